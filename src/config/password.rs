//! A secret that `Debug` and `Display` do not print.

use std::fmt;

use crate::util::wipe::wipe;

/// A secret from the configuration. `Debug` and `Display` print `[hidden]`, and its memory is overwritten when it is
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The text that is printed instead of a secret.
    pub const HIDDEN: &str = "[hidden]";

    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: ConfigDefTest#testSslPasswords
    #[test]
    fn a_password_prints_as_hidden_and_still_can_be_used() {
        let password = Password::new("s3cret");
        assert_eq!(format!("{password} {password:?}"), "[hidden] [hidden]");
        assert_eq!(password.expose(), "s3cret");
    }
}
