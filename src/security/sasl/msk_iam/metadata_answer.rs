//! The JSON document with credentials that the container service and the instance's metadata service return.

use serde_json::{Map, Value};

use super::aws_context::{reason, text_of};
use super::aws_credentials::AwsCredentials;
use super::aws_time::parse_utc;
use crate::config::Password;
use crate::security::http::HttpResponse;

/// Parses an answer.
///
/// # Errors
/// The problem, without the document.
pub(super) fn credentials(answer: HttpResponse) -> Result<AwsCredentials, String> {
    if answer.status != 200 {
        return Err(format!("the answer has the status {}", answer.status));
    }
    parse(text_of(answer)?.expose())
}

/// Parses the document. It is as large as a response may be, and `serde_json` bounds its depth.
pub(super) fn parse(json: &str) -> Result<AwsCredentials, String> {
    let Ok(Value::Object(mut document)) = serde_json::from_str(json) else {
        return Err("the answer is not a JSON object".to_owned());
    };
    if let Some(code) = taken(&mut document, "Code") {
        if code.expose() != "Success" {
            let code = code.expose();
            return Err(reason(&format!("the answer has the code {code}")));
        }
    }
    let mut of = |name: &str| {
        let value = taken(&mut document, name);
        value.ok_or_else(|| format!("the answer has no text {name}"))
    };
    let (key_id, secret) = (of("AccessKeyId")?, of("SecretAccessKey")?);
    let (session, end) = (of("Token")?, of("Expiration")?);
    let end = parse_utc(end.expose()).ok_or("Expiration of the answer is not a time")?;
    let (key_id, secret) = (key_id.expose(), secret.expose());
    AwsCredentials::new(key_id, secret, Some(session.expose()), Some(end))
}

/// Takes a text out of the document, so that its memory is wiped later.
fn taken(document: &mut Map<String, Value>, name: &str) -> Option<Password> {
    match document.remove(name) {
        Some(Value::String(text)) => Some(Password::new(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn the_documents_of_both_services_have_credentials() {
        for code in ["\"Code\": \"Success\", \"Type\": \"AWS-HMAC\",", ""] {
            let json = format!(
                "{{{code} \"LastUpdated\": \"2012-04-26T16:39:16Z\", \"AccessKeyId\": \"ASIA\", \
                 \"SecretAccessKey\": \"wJalr/\", \"Token\": \"t+=\", \"Expiration\": \"2017-05-17T15:09:54Z\"}}"
            );
            let credentials = parse(&json).unwrap();
            assert_eq!(credentials.access_key_id, "ASIA");
            assert_eq!(credentials.session_token.unwrap().expose(), "t+=");
            assert_eq!(
                credentials.expires,
                Some(Timestamp::from_millis(1_495_033_794_000))
            );
        }
    }

    #[test]
    fn other_documents_are_rejected_and_not_quoted() {
        let deep = "[".repeat(50_000);
        for json in [
            "",
            "hunter2",
            "[\"hunter2\"]",
            "{\"AccessKeyId\": \"hunter2\"}",
            "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"hunter2\", \"Token\": \"hunter2\"}",
            "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": 1, \"Token\": \"hunter2\"}",
            "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"hunter2\", \"Token\": \"t\", \"Expiration\": \"hunter2\"}",
            "{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"AccessKeyId\": \"hunter2\"}",
            &deep,
        ] {
            let why = parse(json).unwrap_err();
            assert!(!why.contains("hunter2") && why.len() < 100, "{why}");
        }
    }
}
