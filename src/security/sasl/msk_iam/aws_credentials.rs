//! Credentials of AWS: what a source returns, and what signatures are made with.

use std::fmt;

use crate::clock::Timestamp;
use crate::config::Password;

/// Longest session token, in bytes. AWS names no limit, and says that they may grow; today's have some 2,000.
const MAX_SESSION_TOKEN_BYTES: usize = 32 * 1024;
/// Longest access key, in bytes; AWS' have 20 and 40.
const MAX_KEY_BYTES: usize = 1024;

/// An access key, with the session token of temporary credentials.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct AwsCredentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Password,
    /// `None` for the permanent credentials of a user.
    pub(super) session_token: Option<Password>,
    /// `None` if the source does not say when they expire.
    pub(super) expires: Option<Timestamp>,
}

impl AwsCredentials {
    /// Credentials whose parts can be sent in a header and in a query.
    ///
    /// # Errors
    /// The invalid part, which is not quoted.
    pub(super) fn new(
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<&str>,
        expires: Option<Timestamp>,
    ) -> Result<Self, String> {
        let parts = [
            ("access key id", Some(access_key_id), MAX_KEY_BYTES),
            ("secret access key", Some(secret_access_key), MAX_KEY_BYTES),
            ("session token", session_token, MAX_SESSION_TOKEN_BYTES),
        ];
        for (name, value, most) in parts {
            let Some(value) = value else { continue };
            if value.is_empty() {
                return Err(format!("the {name} is empty"));
            }
            if value.len() > most {
                return Err(format!("the {name} has more than {most} bytes"));
            }
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "the {name} has blanks, or characters that are not ASCII"
                ));
            }
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: Password::new(secret_access_key),
            session_token: session_token.map(Password::new),
            expires,
        })
    }
}

/// Prints no part of the credentials.
impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCredentials")
            .field("has_session_token", &self.session_token.is_some())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Why a source has no credentials.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoCredentials {
    /// The source is not configured, so the next one is tried.
    NotConfigured(String),
    /// The source is configured, and failed. The next one could be of another identity, so it is not tried.
    Failed(String),
}

impl From<String> for NoCredentials {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_cannot_be_sent_are_rejected_and_not_quoted() {
        let long = "x".repeat(MAX_SESSION_TOKEN_BYTES + 1);
        for (key_id, secret, session) in [
            ("", "hunter2", None),
            ("A", "", None),
            ("A", "hunter2", Some("")),
            ("A\r\nx: y", "hunter2", None),
            ("A", "hunter2 ", None),
            ("A", "hunter2é", None),
            ("A", "hunter2", Some("hunter2\n")),
            ("A", "hunter2", Some(&long)),
            ("A", &long, None),
        ] {
            let why = AwsCredentials::new(key_id, secret, session, None).unwrap_err();
            assert!(!why.contains("hunter2") && why.len() < 80, "{why}");
        }
    }

    #[test]
    fn debug_output_shows_no_part_of_the_credentials() {
        let credentials = AwsCredentials::new("AKID7", "hunter2", Some("hunter3"), None).unwrap();
        let shown = format!("{credentials:?}");
        for secret in ["AKID7", "hunter"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
