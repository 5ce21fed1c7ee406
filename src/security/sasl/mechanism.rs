//! The trait of SASL mechanisms: a state machine of tokens in, tokens out.

use crate::clock::Instant;
use crate::config::Password;
use crate::util::wipe::SecretBytes;

/// The next step of a mechanism.
#[derive(Debug)]
pub(crate) enum MechanismStep {
    /// Send this token; the broker's response goes to [`evaluate`](SaslMechanism::evaluate).
    Send(SecretBytes),
    /// As `Send`, and this token is the client's last one. To a bare token the broker does not respond: the exchange is
    /// complete when it is written.
    #[cfg_attr(
        not(any(feature = "gssapi", test)),
        allow(dead_code, reason = "only GSSAPI ends like this")
    )]
    SendLast(SecretBytes),
    /// The mechanism waits for keys or a token; the text says which. Call [`proceed`](SaslMechanism::proceed) when the
    /// poller was woken.
    Wait(&'static str),
    /// The exchange is complete, and the broker is authenticated if the mechanism authenticates brokers.
    Complete,
}

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MechanismFailure {
    /// Permanent: another attempt would fail the same way.
    Refused(String),
    /// Transient: another attempt may succeed.
    Interrupted(String),
}

/// The client's side of one SASL exchange.
///
/// # Contract
/// No method blocks. The exchange ends after a bounded number of tokens, whatever the broker sends. No method is called
/// after a failure.
///
/// # Kafka
/// `javax.security.sasl.SaslClient`. In all of Kafka's mechanisms the client sends the first token.
pub(crate) trait SaslMechanism: Send {
    /// Starts the exchange, or resumes it after [`Wait`](MechanismStep::Wait).
    fn proceed(&mut self, now: Instant) -> Result<MechanismStep, MechanismFailure>;

    /// Processes the broker's response to the last token.
    fn evaluate(&mut self, token: &[u8], now: Instant) -> Result<MechanismStep, MechanismFailure>;

    /// The secret that this exchange sends to the broker, whose error messages may repeat it.
    fn sent_secret(&self) -> Option<&Password> {
        None
    }

    /// Called when the broker has rejected the credentials (in its SaslAuthenticate response).
    fn refused(&mut self, _now: Instant) {}
}
