//! The `Authenticator` trait: authentication of one connection as a state machine. It gets and returns frames, and does
//! no I/O.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::{Deadline, Instant};
use crate::protocol::Frame;
use crate::util::foreign_text::{MAX_FOREIGN_BYTES, printable_within};

/// The next step of an authentication exchange.
#[derive(Debug)]
pub(crate) enum AuthStep {
    /// Send this frame, and call [`proceed`](Authenticator::proceed) when it is written in full.
    Send(Frame),
    /// Wait for a frame of the broker.
    Receive,
    /// Wait for something other than the broker, such as an OAuth token. Call [`proceed`](Authenticator::proceed) at
    /// this time, and at each wake-up of the selector before it. A time in the past or near future counts as
    /// [`SHORTEST_BACKOFF`](crate::util::backoff::SHORTEST_BACKOFF) from now.
    Pause(Deadline),
    /// Authentication succeeded. Re-authentication is due before the first request that is sent after `again`.
    Complete { again: Deadline },
}

/// Why authentication failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthFailure {
    /// Not retriable: the credentials are not accepted or cannot be obtained, the mechanism is not offered, the broker
    /// violates the protocol, or its own proof is wrong.
    Refused(AuthRefusal),
    /// Retriable: the exchange was interrupted, with this reason.
    Interrupted(Arc<str>),
}

/// Why an authentication was refused. Dereferences to the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthRefusal {
    pub(crate) kind: AuthRefusalKind,
    /// The reason, with the broker's error message if it sent one.
    pub(crate) reason: Arc<str>,
}

/// The kind of a refused authentication, for callers that need more than its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthRefusalKind {
    /// TLS: one side rejects the other, during the handshake or by an alert after it.
    Tls,
    /// SASL: the broker rejects the credentials, or has not proved that it knows them; or no credentials could be
    /// obtained.
    Credentials,
    /// SASL: the broker does not offer the mechanism.
    Mechanism,
    /// Any other.
    Other,
}

impl Deref for AuthRefusal {
    type Target = str;

    fn deref(&self) -> &str {
        &self.reason
    }
}

/// A refusal whose kind does not matter.
#[cfg(test)]
impl From<&str> for AuthRefusal {
    fn from(reason: &str) -> Self {
        Self {
            kind: AuthRefusalKind::Other,
            reason: reason.into(),
        }
    }
}

/// Longest reason that is kept, in bytes: a text of the broker, and the client's own words before and after it.
const MAX_REASON_BYTES: usize = MAX_FOREIGN_BYTES + 512;

impl AuthFailure {
    /// The reason, in printable form and truncated: it may contain texts of the broker, which are untrusted.
    pub(crate) fn reason(&self) -> Arc<str> {
        let reason = match self {
            Self::Refused(refusal) => &refusal.reason,
            Self::Interrupted(reason) => reason,
        };
        match printable_within(reason, MAX_REASON_BYTES) {
            Cow::Borrowed(_) => Arc::clone(reason),
            Cow::Owned(changed) => changed.into(),
        }
    }
}

/// The client's side of one connection's authentication exchange.
///
/// The channel starts the exchange when its transport is ready. Once the deadline in [`Complete`](AuthStep::Complete)
/// has passed, the channel re-authenticates just before the next request is sent, when no other request is partly
/// written. Responses to earlier requests may arrive during re-authentication; the channel delivers those that are not
/// [the authenticator's](Self::is_answer).
///
/// # Contract
/// - Its requests have reserved correlation ids, which the client skips (`i32::MAX - 7` and up).
/// - No method blocks. Its frames are sent before any waiting request.
/// - It gets frames only during an exchange, and none before its own frame is written in full: a broker that answers
///   earlier is disconnected. After a failure it gets nothing more.
/// - It has no timeout: the network client closes a connection whose exchange, the first or a later one, exceeds the
///   setup timeout.
///
/// # Kafka
/// `org.apache.kafka.common.network.Authenticator`, which clients implement by `SaslClientAuthenticator`.
pub(crate) trait Authenticator: Send {
    /// Starts an exchange, or continues it after its frame was written in full or after a pause. May be called during a
    /// pause even if nothing has changed yet.
    fn proceed(&mut self, now: Instant) -> Result<AuthStep, AuthFailure>;

    /// Processes a frame of the broker, without its length prefix. The frame may be unsolicited, and may arrive during
    /// a pause, which the returned step replaces. An unexpected frame is [`Interrupted`](AuthFailure::Interrupted).
    fn receive(&mut self, frame: &Bytes, now: Instant) -> Result<AuthStep, AuthFailure>;

    /// The event that an exchange waits for: for the error text when it times out.
    fn waits_for(&self) -> &'static str {
        "the broker"
    }

    /// Whether a frame that arrived during re-authentication is for the authenticator.
    fn is_answer(&self, frame: &Bytes) -> bool;
}

/// No authentication beyond the transport's, for `PLAINTEXT` and `SSL`.
///
/// # Kafka
/// `PlaintextChannelBuilder.PlaintextAuthenticator`, `SslChannelBuilder.SslAuthenticator`.
#[derive(Debug)]
pub(crate) struct NullAuthenticator;

impl Authenticator for NullAuthenticator {
    fn proceed(&mut self, _now: Instant) -> Result<AuthStep, AuthFailure> {
        Ok(AuthStep::Complete {
            again: Deadline::Never,
        })
    }

    fn receive(&mut self, _frame: &Bytes, now: Instant) -> Result<AuthStep, AuthFailure> {
        self.proceed(now)
    }

    fn is_answer(&self, _frame: &Bytes) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_truncated_and_its_control_characters_are_escaped() {
        let short = AuthFailure::Refused("no".into());
        assert_eq!(&*short.reason(), "no");
        let long = AuthFailure::Interrupted("a€".repeat(1000).into());
        let reason = long.reason();
        assert!(reason.len() <= MAX_REASON_BYTES + 3 && reason.len() > MAX_REASON_BYTES - 4);
        assert!(reason.starts_with("a€a€"));
        let split = AuthFailure::Refused("no\nERROR".into());
        assert_eq!(&*split.reason(), "no\\nERROR");
    }
}
