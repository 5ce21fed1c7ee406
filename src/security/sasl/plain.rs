//! PLAIN (RFC 4616): user and password in clear text.

use super::mechanism::{MechanismFailure, MechanismStep, SaslMechanism};
use crate::clock::Instant;
use crate::config::Password;
use crate::util::wipe::SecretBytes;

/// User name and password.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: Password,
}

/// # Kafka
/// The JDK's client, `com.sun.security.sasl.PlainClient`.
pub(crate) struct PlainMechanism(pub(crate) Credentials);

impl SaslMechanism for PlainMechanism {
    fn proceed(&mut self, _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        let (name, password) = (
            self.0.username.as_bytes(),
            self.0.password.expose().as_bytes(),
        );
        // Allocated at its final size: a reallocation would free a copy of the password without wiping it.
        let mut token = Vec::with_capacity(name.len() + password.len() + 2);
        token.push(0);
        token.extend_from_slice(name);
        token.push(0);
        token.extend_from_slice(password);
        Ok(MechanismStep::Send(SecretBytes::new(token)))
    }

    fn sent_secret(&self) -> Option<&Password> {
        Some(&self.0.password)
    }

    /// The broker's response is empty: there is nothing to evaluate.
    fn evaluate(
        &mut self,
        _token: &[u8],
        _now: Instant,
    ) -> Result<MechanismStep, MechanismFailure> {
        Ok(MechanismStep::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_name_and_password_with_a_zero_byte_before_each() {
        let mut mechanism = PlainMechanism(Credentials {
            username: "älice".to_owned(),
            password: Password::new("s3cret"),
        });
        let Ok(MechanismStep::Send(token)) = mechanism.proceed(Instant::ORIGIN) else {
            panic!("nothing to send");
        };
        assert_eq!(token.expose(), "\0älice\0s3cret".as_bytes());
        let step = mechanism.evaluate(b"", Instant::ORIGIN);
        assert!(matches!(step, Ok(MechanismStep::Complete)));
    }
}
