//! Proving to a broker who one is: frames in, frames out, no stream.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::{Deadline, Instant};
use crate::protocol::Frame;

/// What an authenticator wants next.
#[derive(Debug)]
pub(crate) enum AuthStep {
    /// This frame is to be sent; [`proceed`](Authenticator::proceed) when all of it is out.
    Send(Frame),
    /// The broker is to answer.
    Receive,
    /// Something outside is missing, such as a token. [`proceed`](Authenticator::proceed) at this time, and
    /// whenever the selector was woken before it. A time that is over, or near, counts as
    /// [`SHORTEST_BACKOFF`](crate::util::backoff::SHORTEST_BACKOFF) from now.
    Pause(Deadline),
    /// The broker knows who this is. It is to be told again before the first frame that goes after `again`.
    Complete { again: Deadline },
}

/// Why it did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthFailure {
    /// Another attempt would end the same way: the credentials are not accepted, the mechanism is not
    /// offered, or the broker does not prove who it is. The reason, with the broker's words if it had some.
    Refused(Arc<str>),
    /// Another attempt may succeed.
    Interrupted(Arc<str>),
}

/// The longest reason that is kept, in bytes: brokers put their own words into it.
pub(crate) const MAX_REASON_BYTES: usize = 1024;

impl AuthFailure {
    /// The reason, no longer than [`MAX_REASON_BYTES`].
    pub(crate) fn reason(&self) -> Arc<str> {
        let (Self::Refused(reason) | Self::Interrupted(reason)) = self;
        if reason.len() <= MAX_REASON_BYTES {
            return Arc::clone(reason);
        }
        let end = (0..=MAX_REASON_BYTES).rfind(|end| reason.is_char_boundary(*end));
        reason[..end.unwrap_or_default()].into()
    }
}

/// One connection's side of a talk in which the broker learns who the client is.
///
/// It begins when the channel's transport is ready, and again when [`Complete`](AuthStep::Complete) said
/// so: just before the next frame goes, when no other is half written. Answers to earlier frames may come
/// in between then; the channel delivers those that are not [its own](Self::is_answer).
///
/// # Contract
/// - Its requests have correlation ids of its own, from those that the client leaves out
///   (`i32::MAX - 7` and up).
/// - Nothing blocks. A frame goes before any other that waits.
/// - It is given frames only while it talks, and none before all of its own frame is out: a broker that
///   answers sooner loses the connection. After a failure it is given nothing more.
/// - A talk has no end of its own: the client closes a connection whose talk, the first or another, takes
///   longer than the connection may take to be set up.
///
/// # Kafka
/// `org.apache.kafka.common.network.Authenticator`, of which the client's is `SaslClientAuthenticator`.
pub(crate) trait Authenticator: Send {
    /// Begins, or begins again; goes on after a frame that was sent, or after a pause. May be called in a
    /// pause before anything has changed.
    fn proceed(&mut self, now: Instant) -> Result<AuthStep, AuthFailure>;

    /// Takes a frame of the broker, without its length. It may be one that was not asked for, and come in a
    /// pause: the step that is returned takes the pause's place. A frame that does not belong there is
    /// [`Interrupted`](AuthFailure::Interrupted).
    fn receive(&mut self, frame: &Bytes, now: Instant) -> Result<AuthStep, AuthFailure>;

    /// Whether a frame that came while it talks again is for it.
    fn is_answer(&self, frame: &Bytes) -> bool;
}

/// Nobody asks who the client is.
///
/// # Kafka
/// `PlaintextChannelBuilder.PlaintextAuthenticator`; with TLS the certificate has said it.
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
    fn of_a_long_reason_the_beginning_is_kept() {
        let short = AuthFailure::Refused("no".into());
        assert_eq!(&*short.reason(), "no");
        let long = AuthFailure::Interrupted("a€".repeat(1000).into());
        let reason = long.reason();
        assert!(reason.len() <= MAX_REASON_BYTES && reason.len() > MAX_REASON_BYTES - 4);
        assert!(reason.starts_with("a€a€"));
    }
}
