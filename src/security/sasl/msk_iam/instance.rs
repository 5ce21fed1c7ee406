//! The metadata service of an EC2 instance (`IMDSv2`): the credentials of its role, and its region.

use super::aws_context::{AwsContext, reason, text_of};
use super::aws_credentials::{AwsCredentials, NoCredentials};
use super::metadata_answer;
use super::signature::push_encoded;
use crate::config::Password;
use crate::security::http::{HttpMethod, HttpRequest, HttpResponse};

const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const ENDPOINT_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const REGION: &str = "/latest/meta-data/placement/region";
/// Lifetime of the session with the service, in seconds. It is used for the requests of one look-up.
const SESSION_SECONDS: &str = "60";

/// Advice for a request without an answer.
const ON_TIME_OUT: &str = " (on EC2 a container needs a hop limit of 2 in the instance's metadata options; elsewhere \
                           AWS_EC2_METADATA_DISABLED=true leaves this source out)";

/// A session with the service.
struct MetadataSession<'a> {
    context: &'a AwsContext,
    endpoint: String,
    token: Password,
}

/// The credentials of the instance's role.
pub(super) fn credentials(context: &AwsContext) -> Result<AwsCredentials, NoCredentials> {
    if is_disabled(context) {
        return Err(NoCredentials::NotConfigured(format!("{DISABLED} is true")));
    }
    let session = MetadataSession::open(context)?;
    let roles = session.get(ROLES)?;
    if roles.status == 404 {
        return Err(NoCredentials::NotConfigured(
            "the instance has no role".to_owned(),
        ));
    }
    let roles = text_with_success(roles)?;
    let role = roles.expose().lines().next().unwrap_or_default().trim();
    let mut path = ROLES.to_owned();
    push_encoded(&mut path, role);
    Ok(metadata_answer::credentials(session.get(&path)?)?)
}

/// The region of the instance.
///
/// # Errors
/// Why it is not known.
pub(super) fn region(context: &AwsContext) -> Result<String, String> {
    if is_disabled(context) {
        return Err(format!("{DISABLED} is true"));
    }
    let session = MetadataSession::open(context)?;
    let region = text_with_success(session.get(REGION)?)?;
    Ok(region.expose().trim().to_owned())
}

fn is_disabled(context: &AwsContext) -> bool {
    let value = context.variable(DISABLED);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The first part of a URL, without a path.
fn endpoint(context: &AwsContext) -> String {
    if let Some(url) = context.variable(ENDPOINT) {
        return url.trim_end_matches('/').to_owned();
    }
    let mode = context.variable(ENDPOINT_MODE);
    if mode.is_some_and(|mode| mode.eq_ignore_ascii_case("IPv6")) {
        "http://[fd00:ec2::254]".to_owned()
    } else {
        "http://169.254.169.254".to_owned()
    }
}

impl<'a> MetadataSession<'a> {
    fn open(context: &'a AwsContext) -> Result<Self, String> {
        let endpoint = endpoint(context);
        let request = HttpRequest {
            method: HttpMethod::Put,
            url: &format!("{endpoint}/latest/api/token"),
            headers: &[("X-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)],
            body: b"",
        };
        let answer = context.send_with_advice(&request, ON_TIME_OUT);
        let answer = answer.map_err(|why| match context.variable(ENDPOINT) {
            Some(_) => reason(&format!("{ENDPOINT}: {why}")),
            None => why,
        })?;
        Ok(Self {
            context,
            endpoint,
            token: text_with_success(answer)?,
        })
    }

    fn get(&self, path: &str) -> Result<HttpResponse, String> {
        self.context.send(&HttpRequest {
            method: HttpMethod::Get,
            url: &format!("{}{path}", self.endpoint),
            headers: &[("X-aws-ec2-metadata-token", self.token.expose())],
            body: b"",
        })
    }
}

/// The text of an answer with status 200.
fn text_with_success(answer: HttpResponse) -> Result<Password, String> {
    match answer.status {
        200 => text_of(answer),
        status => Err(format!(
            "the metadata service answered with status {status}"
        )),
    }
}
