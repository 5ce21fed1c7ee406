//! The trait of SASL mechanisms: a state machine of tokens in, tokens out.

use crate::clock::{Deadline, Instant};
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
    /// poller was woken, and at this time at the latest.
    Wait(&'static str, Deadline),
    /// The exchange is complete, and the broker is authenticated if the mechanism authenticates brokers.
    Complete,
}

/// The kind of a refusal, which decides the remedy in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MechanismRefusal {
    /// The credentials are not accepted, none could be obtained, or the broker has not proved that it knows them. All
    /// refusals of SCRAM: limits of its salt and iterations concern the user's entry at the broker.
    Credentials,
    /// The broker's messages violate the protocol or a limit, or it demands something that is not supported. Other
    /// credentials would not help.
    #[cfg_attr(
        not(any(feature = "gssapi", test)),
        allow(dead_code, reason = "only GSSAPI refuses for this reason")
    )]
    Protocol,
}

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MechanismFailure {
    /// Permanent: another attempt would fail the same way.
    Refused(MechanismRefusal, String),
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

    /// Called when the credentials were refused: by the broker, in its SaslAuthenticate response, or by
    /// [`MechanismRefusal::Credentials`].
    fn refused(&mut self, _now: Instant) {}
}
