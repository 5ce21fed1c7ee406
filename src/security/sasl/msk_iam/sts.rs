//! Requests to AWS STS, which exchanges credentials or a web identity for the credentials of a role.

use super::aws_context::{AwsContext, reason, text_of};
use super::aws_credentials::AwsCredentials;
use super::signature::{ALGORITHM, RequestSigner, body_hash, query};
use super::sts_answer::StsAnswer;
use crate::config::Password;
use crate::security::http::{HttpMethod, HttpRequest, Url};
use crate::util::wipe::wipe;

const VERSION: &str = "2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded";
/// The region of the endpoint without a region, and the one that its requests are signed for.
const GLOBAL: (&str, &str) = ("aws-global", "us-east-1");

/// The domains of the partitions of AWS, by the beginning of a region's name.
const DOMAINS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// A role, and the name under which its session appears in AWS' logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleRequest {
    pub(super) arn: String,
    pub(super) session_name: String,
    pub(super) external_id: Option<Password>,
    pub(super) duration_seconds: Option<String>,
}

/// The session's name if none is configured. It is the same for each request: a broker refuses re-authentication by
/// another principal, of which the name is a part.
pub(super) const SESSION_NAME: &str = "kafka-producer";

/// `AssumeRole`: the credentials of a role, for those of another identity that may assume it.
///
/// # Errors
/// Why there are none.
/// # Blocking
/// Up to ten seconds.
pub(super) fn assume_role(
    context: &AwsContext,
    region: &str,
    credentials: &AwsCredentials,
    role: &RoleRequest,
) -> Result<AwsCredentials, String> {
    let mut fields = vec![
        ("Action", "AssumeRole"),
        ("Version", VERSION),
        ("RoleArn", &*role.arn),
        ("RoleSessionName", &*role.session_name),
    ];
    if let Some(id) = &role.external_id {
        fields.push(("ExternalId", id.expose()));
    }
    if let Some(seconds) = &role.duration_seconds {
        fields.push(("DurationSeconds", seconds.as_str()));
    }
    let body = Password::new(query(fields));
    let (url, region) = endpoint(context, region)?;
    let signer = RequestSigner::new(credentials, region, "sts", context.now());
    let session = credentials.session_token.as_ref();
    let authorization = authorization(&signer, &url.authority, session, &body);
    let mut headers = vec![
        ("Content-Type", FORM),
        ("X-Amz-Date", signer.date()),
        ("Authorization", &*authorization),
    ];
    if let Some(token) = session {
        headers.push(("X-Amz-Security-Token", token.expose()));
    }
    let secrets = [session, role.external_id.as_ref()];
    ask(context, &url, &headers, &body, &secrets)
}

/// `AssumeRoleWithWebIdentity`: the credentials of a role, for a token of another identity provider.
///
/// # Errors
/// Why there are none.
/// # Blocking
/// Up to ten seconds.
pub(super) fn assume_role_with_web_identity(
    context: &AwsContext,
    region: &str,
    token: &Password,
    role: &RoleRequest,
) -> Result<AwsCredentials, String> {
    let body = query([
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", VERSION),
        ("RoleArn", &*role.arn),
        ("RoleSessionName", &*role.session_name),
        ("WebIdentityToken", token.expose()),
    ]);
    let (url, _) = endpoint(context, region)?;
    let headers = [("Content-Type", FORM)];
    ask(
        context,
        &url,
        &headers,
        &Password::new(body),
        &[Some(token)],
    )
}

/// Sends a request. The secrets are hidden in an error's text, which may repeat them.
fn ask(
    context: &AwsContext,
    url: &Url,
    headers: &[(&str, &str)],
    body: &Password,
    secrets: &[Option<&Password>],
) -> Result<AwsCredentials, String> {
    let answer = context.send(&HttpRequest {
        method: HttpMethod::Post,
        url: &url.to_string(),
        headers,
        body: body.expose().as_bytes(),
    })?;
    let status = answer.status;
    let parsed = text_of(answer).and_then(|text| StsAnswer::parse(text.expose()));
    if status == 200 {
        let credentials = parsed.and_then(|answer| answer.credentials());
        return credentials.map_err(|why| format!("STS ({url}): {why}"));
    }
    let Ok(StsAnswer {
        code: Some(code),
        message,
        ..
    }) = parsed
    else {
        return Err(format!("STS ({url}) answered with status {status}"));
    };
    // Hidden before the text is truncated: a part of a secret would not be found.
    let text = format!("{code}: {}", message.unwrap_or_default());
    let text = secrets
        .iter()
        .flatten()
        .fold(text, |text, secret| secret.hidden_in(&text).into_owned());
    Err(reason(&format!("STS refuses with {text}")))
}

/// The URL of STS for a region, and the region that requests to it are signed for.
pub(super) fn endpoint<'r>(
    context: &AwsContext,
    region: &'r str,
) -> Result<(Url, &'r str), String> {
    let signed = if region == GLOBAL.0 { GLOBAL.1 } else { region };
    for name in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"] {
        if let Some(url) = context.variable(name) {
            let url = Url::parse(&url).map_err(|why| format!("{name}: {why}"))?;
            if url.target != "/" {
                return Err(format!("{name}: the URL of STS has no path"));
            }
            // A web identity and the credentials of the answer would be readable on the way.
            if !url.is_https && !url.is_local() {
                return Err(format!(
                    "{name} begins with http://, which is allowed for this machine only: set it to an https:// URL"
                ));
            }
            return Ok((url, signed));
        }
    }
    let host = if region == GLOBAL.0 {
        "sts.amazonaws.com".to_owned()
    } else {
        let domain = DOMAINS.iter().find(|(start, _)| region.starts_with(start));
        let domain = domain.map_or("amazonaws.com", |(_, domain)| domain);
        format!("sts.{region}.{domain}")
    };
    Ok((Url::parse(&format!("https://{host}/"))?, signed))
}

/// The header `Authorization` of a POST to `/`.
pub(super) fn authorization(
    signer: &RequestSigner<'_>,
    host: &str,
    session: Option<&Password>,
    body: &Password,
) -> String {
    let (mut headers, mut signed) = (
        format!(
            "content-type:{FORM}\nhost:{host}\nx-amz-date:{}\n",
            signer.date()
        ),
        "content-type;host;x-amz-date".to_owned(),
    );
    if let Some(token) = session {
        headers = format!("{headers}x-amz-security-token:{}\n", token.expose());
        signed.push_str(";x-amz-security-token");
    }
    let hash = body_hash(body.expose().as_bytes());
    let request = format!("POST\n/\n\n{headers}\n{signed}\n{hash}");
    let signature = signer.signature(&request);
    // Both contain the session token.
    wipe(&mut headers.into_bytes());
    wipe(&mut request.into_bytes());
    let credential = signer.credential();
    format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}")
}
