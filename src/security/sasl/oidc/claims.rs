//! The reader of a token endpoint's JSON, and of the claims in a token (JWT, RFC 7519).
//!
//! A token's signature is not verified: that is the task of the brokers. Errors quote neither the response nor the
//! token.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::config::Password;
use crate::security::sasl::base64;
use crate::security::tls::date::CivilTime;

/// Longest response and longest token file, in bytes. The default limit of brokers is twice as much
/// (`sasl.server.max.receive.size`).
pub(crate) const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// How far the clock of this machine may be ahead: a token that seems to have expired is used nevertheless if its
/// response says that it is valid.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Longest lifetime, against overflow: more than any token has.
const MAX_LIFETIME_SECONDS: f64 = 1e9;

/// A token as it was received, before its claims are read.
pub(crate) struct TokenResponse {
    pub(crate) token: Password,
    /// The lifetime that the response states.
    pub(crate) expires_in: Option<Duration>,
}

/// The names of claims, which the keys can change.
#[derive(Debug, Clone)]
pub(crate) struct ClaimNames {
    pub(crate) scope: String,
    pub(crate) subject: String,
}

/// Parses the response to a successful request (RFC 6749, section 5.1).
///
/// # Errors
/// A description of the problem.
/// # Kafka
/// `HttpAccessTokenRetriever#parseAccessToken`.
pub(crate) fn token_response(body: &[u8]) -> Result<TokenResponse, String> {
    let mut fields = json_object(body).ok_or("its response is not a JSON object")?;
    let Some(Value::String(token)) = fields.remove("access_token") else {
        return Err("its response has no access_token".to_owned());
    };
    let token = Password::new(token);
    let trimmed = Password::new(token.expose().trim());
    if trimmed.expose().is_empty() {
        return Err("the access_token in its response is empty".to_owned());
    }
    let expires_in = match fields.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            seconds(value)
                .map(duration)
                .ok_or("the expires_in in its response is not a number of seconds")?,
        ),
    };
    Ok(TokenResponse {
        token: trimmed,
        expires_in,
    })
}

/// The error in the response to a failed request (RFC 6749, section 5.2), or in the form of Okta; `None` if the response
/// has none. It may repeat what the request contained.
///
/// # Kafka
/// `HttpAccessTokenRetriever#formatErrorMessage`.
pub(crate) fn error_response(body: &[u8]) -> Option<String> {
    let fields = json_object(body)?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let pairs = [
        ("error", "error_description"),
        ("errorCode", "errorSummary"),
    ];
    pairs.iter().find_map(|(code, description)| {
        let code = text(code)?;
        Some(match text(description) {
            Some(description) => format!("{code} ({description})"),
            None => code.to_owned(),
        })
    })
}

/// The lifetime of a token from now on.
///
/// # Errors
/// Why the token cannot be used.
/// # Kafka
/// `LoginAccessTokenValidator#validate`, for JWTs.
pub(crate) fn lifetime(
    token: &str,
    expires_in: Option<Duration>,
    names: &ClaimNames,
    now: Timestamp,
) -> Result<Duration, String> {
    let Some(claims) = claims_of(token) else {
        return expires_in.ok_or_else(|| {
            "it is not a JWT, and without expires_in its expiry is not known".to_owned()
        });
    };
    check_subject(&claims, &names.subject)?;
    check_scope(&claims, &names.scope)?;
    let time = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|time| *time >= 0.0) {
            Some(time) => Ok(Some(time)),
            None => Err(format!("its claim {name} is not a time")),
        },
    };
    let (expiry, issued) = (time("exp")?, time("iat")?);
    let Some(expiry) = expiry else {
        return expires_in.ok_or_else(|| "it has no claim exp, the time of its expiry".to_owned());
    };
    // Negative if the token has expired, or this machine's clock is ahead.
    let left = expiry - now.as_millis() as f64 / 1000.0;
    let least = match expires_in {
        Some(_) => -CLOCK_SKEW.as_secs_f64(),
        None => 0.0,
    };
    if left <= least {
        // The date, and not the age: a text that is the same each time is logged only once.
        return Err(format!(
            "it expired at {} by the clock of this machine: check that clock, and what keeps the token up to date",
            date(expiry)
        ));
    }
    let mut lifetime = expires_in.map_or(left, |stated| stated.as_secs_f64());
    // No clock of ours is in these two: a clock that is behind does not make a token seem valid for longer than it is.
    if let Some(issued) = issued {
        lifetime = lifetime.min(expiry - issued);
    }
    if left > 0.0 {
        // The token may come from a cache of the provider, with the expires_in of a new one.
        lifetime = lifetime.min(left);
    }
    if lifetime <= 0.0 {
        return Err("its claim exp is not after its claim iat".to_owned());
    }
    Ok(duration(lifetime))
}

/// A time in seconds since 1970, as a date in UTC.
fn date(seconds: f64) -> String {
    let time = CivilTime::of(seconds as u64);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}

/// The claims of a JWT; `None` if the token is not one.
///
/// # Kafka
/// `SerializedJwt`.
fn claims_of(token: &str) -> Option<Map<String, Value>> {
    let mut sections = token.split('.');
    let (header, payload) = (sections.next()?, sections.next()?);
    let signature = sections.next()?;
    if sections.next().is_some() || header.is_empty() || signature.is_empty() {
        return None;
    }
    json_object(&base64::decode_url(payload.trim_end_matches('='))?)
}

/// Kafka's brokers derive the principal from this claim.
fn check_subject(claims: &Map<String, Value>, name: &str) -> Result<(), String> {
    match claims.get(name) {
        Some(Value::String(subject)) if !subject.trim().is_empty() => Ok(()),
        _ => Err(format!(
            "it does not name its subject in the claim {name:?} (check sasl.oauthbearer.sub.claim.name)"
        )),
    }
}

fn check_scope(claims: &Map<String, Value>, name: &str) -> Result<(), String> {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let is_scope = match claims.get(name) {
        Some(Value::Array(scopes)) => scopes.iter().all(is_text),
        Some(scope @ Value::String(_)) => is_text(scope),
        _ => true,
    };
    if is_scope {
        return Ok(());
    }
    Err(format!(
        "its claim {name:?} is no list of scopes (check sasl.oauthbearer.scope.claim.name)"
    ))
}

fn json_object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// A number that is not negative, or its text: some providers quote it.
fn seconds(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, MAX_LIFETIME_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01.
    const NOW: f64 = 1_767_225_600.0;

    fn names() -> ClaimNames {
        ClaimNames {
            scope: "scope".to_owned(),
            subject: "sub".to_owned(),
        }
    }

    fn jwt(claims: &str) -> String {
        format!(
            "eyJhbGciOiJub25lIn0.{}.c2ln",
            base64::encode_url(claims.as_bytes())
        )
    }

    fn lifetime_of(token: &str, expires_in: Option<u64>) -> Result<u64, String> {
        let now = Timestamp::from_millis(NOW as i64 * 1000);
        let expires_in = expires_in.map(Duration::from_secs);
        lifetime(token, expires_in, &names(), now).map(|it| it.as_secs())
    }

    /// A token with a subject and these times relative to now.
    fn timed(expiry: f64, issued: Option<f64>) -> String {
        let issued = issued.map_or_else(String::new, |at| format!(",\"iat\":{}", NOW + at));
        jwt(&format!(
            "{{\"sub\":\"a\",\"exp\":{}{issued}}}",
            NOW + expiry
        ))
    }

    /// Java: HttpAccessTokenRetrieverTest#testParseAccessToken, #testParseAccessTokenEmptyAccessToken,
    /// #testParseAccessTokenMissingAccessToken, #testParseAccessTokenInvalidJson
    #[test]
    fn a_response_has_a_token_and_maybe_its_lifetime() {
        let response = |text: &str| {
            let read = token_response(text.as_bytes())?;
            Ok::<_, String>((read.token.expose().to_owned(), read.expires_in))
        };
        let token = Ok(("t".to_owned(), None));
        assert_eq!(response(r#"{"access_token":" t\n"}"#), token);
        for number in ["60", "\"60\"", "60.0"] {
            let text = format!("{{\"access_token\":\"t\",\"expires_in\":{number}}}");
            let expected = Some(Duration::from_secs(60));
            assert_eq!(response(&text), Ok(("t".to_owned(), expected)));
        }
        let huge = response(r#"{"access_token":"t","expires_in":1e300}"#).unwrap();
        assert_eq!(huge.1, Some(Duration::from_secs(1_000_000_000)));
        for text in [
            "",
            "hunter2",
            "<html>hunter2</html>",
            "[]",
            "\"hunter2\"",
            "{\"access_token\":\"hunter2",
            "{\"access_token\":\"hunter2\"} x",
            "{\"access_token\":1}",
            "{\"access_token\":\"\"}",
            "{\"access_token\":\" \"}",
            "{\"accessToken\":\"hunter2\"}",
            "{\"access_token\":\"hunter2\",\"expires_in\":-1}",
            "{\"access_token\":\"hunter2\",\"expires_in\":\"NaN\"}",
            "{\"access_token\":\"hunter2\",\"expires_in\":\"soon\"}",
            &"[".repeat(MAX_RESPONSE_BYTES),
        ] {
            let why = response(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn the_error_of_a_failed_request_is_read_in_both_forms() {
        for (text, expected) in [
            (r#"{"error":"invalid_client"}"#, Some("invalid_client")),
            (
                r#"{"error":"invalid_scope","error_description":"no such scope"}"#,
                Some("invalid_scope (no such scope)"),
            ),
            (
                r#"{"errorCode":"E0000011","errorSummary":"Invalid token"}"#,
                Some("E0000011 (Invalid token)"),
            ),
            (r#"{"error":{"code":1}}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(error_response(text.as_bytes()).as_deref(), expected);
        }
    }

    #[test]
    fn the_lifetime_follows_from_the_claims_and_the_response() {
        for (expiry, issued, expires_in, expected) in [
            (300.0, Some(0.0), None, 300),
            (300.0, None, None, 300),
            (300.0, Some(0.0), Some(200), 200),
            // A token from the provider's cache.
            (100.0, Some(-200.0), Some(300), 100),
            // The clock of this machine is a minute ahead, or ten minutes.
            (240.0, Some(-60.0), Some(300), 240),
            (-60.0, Some(-120.0), Some(60), 60),
            // It is an hour behind.
            (3900.0, Some(3600.0), None, 300),
            (3900.0, Some(3600.0), Some(300), 300),
        ] {
            let token = timed(expiry, issued);
            assert_eq!(lifetime_of(&token, expires_in), Ok(expected), "{expiry}");
        }
    }

    #[test]
    fn an_expired_token_is_refused() {
        for (expiry, issued, expires_in) in [
            (0.0, None, None),
            (-10.0, Some(-310.0), None),
            (-301.0, Some(-601.0), Some(300)),
            (10.0, Some(10.0), None),
            (10.0, Some(20.0), Some(300)),
        ] {
            let found = lifetime_of(&timed(expiry, issued), expires_in);
            assert!(found.is_err(), "{expiry} {found:?}");
        }
    }

    /// A failure is logged once, which its text decides.
    #[test]
    fn an_expired_token_has_the_same_error_a_second_later() {
        let token = timed(0.0, None);
        let error = |seconds: i64| {
            let now = Timestamp::from_millis((NOW as i64 + seconds) * 1000);
            lifetime(&token, None, &names(), now).unwrap_err()
        };
        assert_eq!(error(0), error(1));
        assert!(
            error(0).contains("at 2026-01-01 00:00:00 UTC"),
            "{}",
            error(0)
        );
    }

    /// Java: AccessTokenValidatorTest#testEmptySections, #testMissingHeader, #testMissingPayload, #testMissingSignature
    #[test]
    fn a_token_that_is_no_jwt_needs_a_stated_lifetime() {
        for token in [
            "opaque",
            "a.b",
            "a.b.c",
            "a.e30.",
            ".e30.c",
            "a.b.c.d.e",
            "a.W10.c",
        ] {
            assert_eq!(lifetime_of(token, Some(60)), Ok(60), "{token}");
            assert!(lifetime_of(token, None).is_err(), "{token}");
        }
        // With claims, but without a time.
        assert_eq!(lifetime_of(&jwt(r#"{"sub":"a"}"#), Some(60)), Ok(60));
        assert!(lifetime_of(&jwt(r#"{"sub":"a"}"#), None).is_err());
    }

    /// Java: ClaimValidationUtilsTest#testValidateSubjectDisallowsEmptyNullAndWhitespace,
    /// #testValidateScopesDisallowsEmptyNullAndWhitespace, #testValidateExpirationDisallowsNegatives,
    /// #testValidateIssuedAtDisallowsNegatives
    #[test]
    fn invalid_claims_are_refused_and_not_quoted() {
        for claims in [
            r#"{"exp":9e9}"#,
            r#"{"exp":9e9,"sub":""}"#,
            r#"{"exp":9e9,"sub":" "}"#,
            r#"{"exp":9e9,"sub":7}"#,
            r#"{"exp":"hunter2","sub":"a"}"#,
            r#"{"exp":-1,"sub":"a"}"#,
            r#"{"exp":9e9,"sub":"a","iat":"hunter2"}"#,
            r#"{"exp":9e9,"sub":"a","scope":["hunter2",1]}"#,
            r#"{"exp":9e9,"sub":"a","scope":""}"#,
        ] {
            let why = lifetime_of(&jwt(claims), Some(60)).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        let other = ClaimNames {
            scope: "scp".to_owned(),
            subject: "client".to_owned(),
        };
        let token = jwt(r#"{"exp":9e9,"client":"a","scp":["x"],"scope":1}"#);
        let now = Timestamp::from_millis(NOW as i64 * 1000);
        assert!(lifetime(&token, None, &other, now).is_ok());
        let padded = format!("{}==.x", token.rsplit_once('.').unwrap().0);
        assert!(lifetime(&padded, None, &other, now).is_ok());
    }
}
