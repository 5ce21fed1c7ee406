//! What a mechanism says to a broker and makes of what it hears: tokens in, tokens out.

use crate::clock::Instant;
use crate::util::wipe::SecretBytes;

/// What a mechanism wants next.
#[derive(Debug)]
pub(crate) enum MechanismStep {
    /// This is to be sent; the broker's next token is for [`evaluate`](SaslMechanism::evaluate).
    Send(SecretBytes),
    /// Something outside is missing. [`proceed`](SaslMechanism::proceed) when the poller was woken.
    Wait,
    /// Nothing more is to be said, and the broker has proved what it has to.
    Complete,
}

/// Why a mechanism cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MechanismFailure {
    /// Another attempt would end the same way.
    Refused(String),
    /// Another attempt may succeed.
    Interrupted(String),
}

/// One exchange of tokens.
///
/// # Contract
/// Nothing blocks. It comes to an end, whatever the broker says. After a failure it is not called again.
///
/// # Kafka
/// `javax.security.sasl.SaslClient`. All mechanisms that Kafka has speak first.
pub(crate) trait SaslMechanism: Send {
    /// Begins, or goes on after [`Wait`](MechanismStep::Wait).
    fn proceed(&mut self, now: Instant) -> Result<MechanismStep, MechanismFailure>;

    /// Takes a token of the broker, which answers the last that was sent.
    fn evaluate(&mut self, token: &[u8], now: Instant) -> Result<MechanismStep, MechanismFailure>;

    /// The broker does not accept the credentials.
    fn refused(&mut self, _now: Instant) {}
}
