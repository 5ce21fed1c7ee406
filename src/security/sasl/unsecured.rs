//! Unsecured OAUTHBEARER tokens, created from the options of the login module: for development, as in Kafka.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::base64;
use super::token::OAuthBearerToken;
use crate::clock::Timestamp;
use crate::config::Password;

const STRING_CLAIM: &str = "unsecuredLoginStringClaim_";
const NUMBER_CLAIM: &str = "unsecuredLoginNumberClaim_";
const LIST_CLAIM: &str = "unsecuredLoginListClaim_";
const EXTENSION: &str = "unsecuredLoginExtension_";
const PRINCIPAL_CLAIM_NAME: &str = "unsecuredLoginPrincipalClaimName";
const LIFETIME_SECONDS: &str = "unsecuredLoginLifetimeSeconds";
const SCOPE_CLAIM_NAME: &str = "unsecuredLoginScopeClaimName";

/// Base64 of `{"alg":"none"}`.
const HEADER: &str = "eyJhbGciOiJub25lIn0";

/// The template of a token without a signature (an unsecured JWS, RFC 7515 appendix A.5); the times are added later.
///
/// # Kafka
/// `OAuthBearerUnsecuredLoginCallbackHandler`. Differs: numbers are written without an exponent, empty items of a list
/// are kept, and quotation marks in values are escaped once.
#[derive(Debug, Clone)]
pub(crate) struct UnsecuredToken {
    lifetime: Duration,
    /// The claims as JSON, without `exp` and `iat`, each with a leading comma.
    claims: String,
    extensions: BTreeMap<String, String>,
}

impl UnsecuredToken {
    /// Parses the options; `None` if there are none.
    ///
    /// # Errors
    /// A description of the invalid option, which does not quote values.
    pub(crate) fn of(options: &BTreeMap<String, Password>) -> Result<Option<Self>, String> {
        if options.is_empty() {
            return Ok(None);
        }
        let mut token = Self {
            lifetime: Duration::from_secs(3600),
            claims: String::new(),
            extensions: BTreeMap::new(),
        };
        let mut principal_claim = "sub".to_owned();
        let mut strings = BTreeMap::new();
        for (option, value) in options {
            let value = value.expose();
            if let Some(name) = claim(option, STRING_CLAIM)? {
                token.claim(name, &json_text(value));
                strings.insert(name, value);
            } else if let Some(name) = claim(option, NUMBER_CLAIM)? {
                let number = value.trim().parse::<f64>().ok().filter(|n| n.is_finite());
                let number =
                    number.ok_or_else(|| format!("the value of {option} is not a number"))?;
                token.claim(name, &number.to_string());
            } else if let Some(name) = claim(option, LIST_CLAIM)? {
                token.claim(name, &json_list(value));
            } else if let Some(name) = option.strip_prefix(EXTENSION) {
                token.extensions.insert(name.to_owned(), value.to_owned());
            } else if option == LIFETIME_SECONDS {
                let seconds = value
                    .trim()
                    .parse::<u32>()
                    .ok()
                    .filter(|seconds| *seconds > 0);
                let none = || format!("the value of {option} is not a number of seconds");
                token.lifetime = Duration::from_secs(seconds.ok_or_else(none)?.into());
            } else if option == PRINCIPAL_CLAIM_NAME && !value.trim().is_empty() {
                value.trim().clone_into(&mut principal_claim);
            } else if option != SCOPE_CLAIM_NAME && option != PRINCIPAL_CLAIM_NAME {
                // The option's name is not quoted: if quotation marks are missing, the name may be part of a secret.
                return Err(format!(
                    "one of its options is not known: there are {STRING_CLAIM}NAME, {NUMBER_CLAIM}NAME, \
                     {LIST_CLAIM}NAME, {EXTENSION}NAME, {PRINCIPAL_CLAIM_NAME}, {SCOPE_CLAIM_NAME} and \
                     {LIFETIME_SECONDS}"
                ));
            }
        }
        if strings
            .get(principal_claim.as_str())
            .is_none_or(|name| name.trim().is_empty())
        {
            return Err(format!(
                "it does not name the client: set {STRING_CLAIM}{principal_claim}"
            ));
        }
        // Validates the extensions once: tokens differ only in their times.
        token.at(Timestamp::EPOCH).check()?;
        Ok(Some(token))
    }

    fn claim(&mut self, name: &str, value: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.claims, ",{}:{value}", json_text(name));
    }

    /// A token issued at this time.
    pub(crate) fn at(&self, now: Timestamp) -> OAuthBearerToken {
        let issued = now.as_millis();
        let lifetime = i64::try_from(self.lifetime.as_millis()).unwrap_or(i64::MAX);
        let claims = format!(
            "{{\"exp\":{},\"iat\":{}{}}}",
            seconds(issued.saturating_add(lifetime)),
            seconds(issued),
            self.claims
        );
        let value = format!("{HEADER}.{}.", base64::encode_url(claims.as_bytes()));
        let token = OAuthBearerToken::new(value, self.lifetime);
        let extensions = self.extensions.iter();
        extensions.fold(token, |token, (name, value)| token.extension(name, value))
    }
}

/// The name of the claim, if the option has this prefix.
fn claim<'a>(option: &'a str, kind: &str) -> Result<Option<&'a str>, String> {
    match option.strip_prefix(kind) {
        None => Ok(None),
        Some("") => Err(format!("the option {option} names no claim")),
        Some(name @ ("exp" | "iat")) => Err(format!(
            "the option {option} sets the claim {name}, which follows from the time"
        )),
        Some(name) => Ok(Some(name)),
    }
}

/// Formats milliseconds as seconds with a fraction.
fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}

/// Encodes a list, whose first character is the separator of its items.
fn json_list(value: &str) -> String {
    let mut chars = value.chars();
    let items = match chars.next() {
        Some(mark) if !chars.as_str().is_empty() => {
            let items = chars.as_str().split(mark).map(json_text);
            items.collect::<Vec<_>>().join(",")
        }
        _ => String::new(),
    };
    format!("[{items}]")
}

fn json_text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\0'..='\u{1f}' => {
                // Writing to a string cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            _ => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(options: &[(&str, &str)]) -> BTreeMap<String, Password> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), Password::new(*value));
        options.iter().map(owned).collect()
    }

    fn claims(token: &OAuthBearerToken) -> String {
        let message = String::from_utf8(token.initial_response()).unwrap();
        let claims = message.split('.').nth(1).unwrap();
        let standard = claims.replace('-', "+").replace('_', "/");
        let padded = format!("{standard}{}", "=".repeat((4 - standard.len() % 4) % 4));
        String::from_utf8(base64::decode(&padded).unwrap()).unwrap()
    }

    /// Java: OAuthBearerUnsecuredLoginCallbackHandlerTest#minimalToken, validOptionsWithExplicitOptionValues
    #[test]
    fn a_token_has_the_principal_and_the_expiry() {
        let token = UnsecuredToken::of(&options(&[("unsecuredLoginStringClaim_sub", "alice")]));
        let token = token
            .unwrap()
            .unwrap()
            .at(Timestamp::from_millis(1_600_000_000_123));
        assert_eq!(token.valid_for(), Duration::from_secs(3600));
        assert_eq!(
            claims(&token),
            r#"{"exp":1600003600.123,"iat":1600000000.123,"sub":"alice"}"#
        );
        assert!(
            token
                .initial_response()
                .starts_with(b"n,,\x01auth=Bearer eyJhbGciOiJub25lIn0.")
        );
        assert!(token.initial_response().ends_with(b".\x01\x01"));
        let token = UnsecuredToken::of(&options(&[
            ("unsecuredLoginStringClaim_user", "a\"b\\c"),
            ("unsecuredLoginPrincipalClaimName", " user "),
            ("unsecuredLoginScopeClaimName", "scp"),
            ("unsecuredLoginNumberClaim_n", "1e3"),
            ("unsecuredLoginListClaim_scope", "|read|write||x"),
            ("unsecuredLoginListClaim_none", ""),
            ("unsecuredLoginLifetimeSeconds", "60"),
            ("unsecuredLoginExtension_traceId", "123"),
        ]));
        let token = token.unwrap().unwrap().at(Timestamp::from_millis(0));
        assert_eq!(
            claims(&token),
            r#"{"exp":60.000,"iat":0.000,"none":[],"scope":["read","write","","x"],"n":1000,"user":"a\"b\\c"}"#
        );
        assert!(
            token
                .initial_response()
                .ends_with(b"\x01traceId=123\x01\x01")
        );
    }

    /// Java: OAuthBearerUnsecuredLoginCallbackHandlerTest#addsExtensions, throwsErrorOnInvalidExtensionName,
    /// throwsErrorOnInvalidExtensionValue, testNoTokenIfNoOptions
    #[test]
    fn invalid_options_are_rejected_and_their_values_not_quoted() {
        assert!(UnsecuredToken::of(&options(&[])).unwrap().is_none());
        for (name, value) in [
            ("unsecuredLoginStringClaim_", "hunter2"),
            ("unsecuredLoginStringClaim_exp", "hunter2"),
            ("unsecuredLoginNumberClaim_iat", "1"),
            ("unsecuredLoginNumberClaim_n", "hunter2"),
            ("unsecuredLoginNumberClaim_n", "NaN"),
            ("unsecuredLoginLifetimeSeconds", "hunter2"),
            ("unsecuredLoginLifetimeSeconds", "0"),
            ("unsecuredLoginLifetimeSeconds", "-1"),
            ("unsecuredLoginExtension_auth", "hunter2"),
            ("unsecuredLoginExtension_a1", "hunter2"),
            ("unsecuredLoginExtension_a", "hunter2\u{1}"),
            ("username", "hunter2"),
            ("unsecuredLoginPrincipalClaimName", "hunter"),
        ] {
            let given = options(&[("unsecuredLoginStringClaim_sub", "x"), (name, value)]);
            let why = UnsecuredToken::of(&given).map(drop).expect_err(name);
            assert!(!why.contains("hunter2"), "{name}: {why}");
        }
        let only_extension = options(&[("unsecuredLoginExtension_a", "b")]);
        assert!(
            UnsecuredToken::of(&only_extension)
                .unwrap_err()
                .contains("does not name the client")
        );
    }
}
