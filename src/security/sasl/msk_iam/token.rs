//! The token of MSK's IAM authentication: a presigned URL of the action `kafka-cluster:Connect`, in Base64.

use std::time::Duration;

use super::aws_credentials::AwsCredentials;
use super::signature::{ALGORITHM, RequestSigner, body_hash, push_encoded, query};
use crate::clock::Timestamp;
use crate::security::sasl::base64;
use crate::security::sasl::token::OAuthBearerToken;
use crate::util::wipe::wipe;

/// The longest lifetime of a token that MSK accepts; all of Amazon's signers use it.
const LIFETIME: Duration = Duration::from_secs(900);
const SERVICE: &str = "kafka-cluster";
const ACTION: &str = "kafka-cluster:Connect";
/// Names this library in the broker's log; not signed.
pub(super) const USER_AGENT: &str = concat!("kafka-producer/", env!("CARGO_PKG_VERSION"));

/// A token that is signed at `now`. It ends with the credentials, if those end earlier.
///
/// # Kafka
/// Amazon's `IAMOAuthBearerLoginCallbackHandler`; the order of the parameters is that of its signers in Python and Go.
pub(super) fn sign_token(
    credentials: &AwsCredentials,
    region: &str,
    user_agent: &str,
    now: Timestamp,
) -> OAuthBearerToken {
    let url = presigned_url(credentials, region, user_agent, now);
    let value = base64::encode_url(url.as_bytes());
    wipe(&mut url.into_bytes());
    OAuthBearerToken::new(value, valid_for(credentials, now))
}

/// The signature contains the time in whole seconds, so a token ends up to a second early.
fn valid_for(credentials: &AwsCredentials, now: Timestamp) -> Duration {
    let millis = now.as_millis();
    let elapsed = u64::try_from(millis.rem_euclid(1000)).unwrap_or_default();
    let token = LIFETIME.saturating_sub(Duration::from_millis(elapsed));
    match credentials.expires {
        None => token,
        Some(end) => {
            let left = end.as_millis().saturating_sub(millis);
            token.min(Duration::from_millis(
                u64::try_from(left).unwrap_or_default(),
            ))
        }
    }
}

/// The URL with all parameters. They are signed in alphabetical order, and sent in the order of Amazon's signers.
fn presigned_url(
    credentials: &AwsCredentials,
    region: &str,
    user_agent: &str,
    now: Timestamp,
) -> String {
    let signer = RequestSigner::new(credentials, region, SERVICE, now);
    let host = format!("kafka.{region}.amazonaws.com");
    let (credential, lifetime) = (signer.credential(), LIFETIME.as_secs().to_string());
    let mut fields = vec![
        ("Action", ACTION),
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", &*credential),
        ("X-Amz-Date", signer.date()),
        ("X-Amz-Expires", &*lifetime),
        ("X-Amz-SignedHeaders", "host"),
    ];
    if let Some(token) = &credentials.session_token {
        fields.push(("X-Amz-Security-Token", token.expose()));
    }
    let sent = query(fields.iter().copied());
    fields.sort_unstable();
    let signed = query(fields);
    let request = format!("GET\n/\n{signed}\nhost:{host}\n\nhost\n{}", body_hash(b""));
    let signature = signer.signature(&request);
    let mut url = format!("https://{host}/?{sent}&X-Amz-Signature={signature}&User-Agent=");
    push_encoded(&mut url, user_agent);
    // Each contains the session token.
    for text in [sent, signed, request] {
        wipe(&mut text.into_bytes());
    }
    url
}
