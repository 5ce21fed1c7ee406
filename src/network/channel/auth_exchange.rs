//! The authentication exchange of a channel: drives the authenticator, and holds its outgoing frame and its pause.

use bytes::Bytes;

use crate::clock::{Deadline, Instant};
use crate::network::authenticator::{AuthFailure, AuthStep, Authenticator};
use crate::network::send::NetworkSend;
use crate::planted::planted;
use crate::util::backoff::SHORTEST_BACKOFF;

/// Authentication exchange: the first one, and re-authentications (KIP-368).
pub(super) struct AuthExchange {
    pub(super) authenticator: Box<dyn Authenticator>,
    /// The authenticator's frame, which is written before the client's.
    pub(super) sending: Option<NetworkSend>,
    /// Whether an exchange has started, and has neither completed nor failed.
    pub(super) is_active: bool,
    /// When the exchange started.
    started: Instant,
    /// Deadline of a pause, in which the authenticator waits for something other than the broker: `proceed` is called
    /// then at the latest.
    pub(super) pause: Option<Deadline>,
    /// Time from which re-authentication is due, before the next request is sent.
    pub(super) again: Deadline,
}

/// State of an exchange after a step of the authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthExchangeStep {
    InProgress,
    /// Authentication succeeded.
    Completed,
}

impl AuthExchange {
    pub(super) fn new(authenticator: Box<dyn Authenticator>, now: Instant) -> Self {
        Self {
            authenticator,
            sending: None,
            is_active: false,
            started: now,
            pause: None,
            again: Deadline::Never,
        }
    }

    pub(super) fn waits_for(&self) -> &'static str {
        self.authenticator.waits_for()
    }

    /// Starts an exchange, whose first step is the next [`proceed`](Self::proceed).
    pub(super) fn start(&mut self, now: Instant) {
        self.is_active = true;
        self.started = now;
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Lets the authenticator start or continue the exchange.
    pub(super) fn proceed(
        &mut self,
        now: Instant,
        is_closing: bool,
    ) -> Result<AuthExchangeStep, AuthFailure> {
        let step = self.authenticator.proceed(now);
        self.follow(step, now, is_closing)
    }

    /// Whether a frame received during re-authentication is for the authenticator, not a response to a request.
    pub(super) fn is_answer(&self, frame: &Bytes) -> bool {
        self.authenticator.is_answer(frame)
    }

    /// Passes a frame of the broker to the authenticator.
    pub(super) fn receive(
        &mut self,
        frame: &Bytes,
        now: Instant,
        is_closing: bool,
    ) -> Result<AuthExchangeStep, AuthFailure> {
        let step = self.authenticator.receive(frame, now);
        self.follow(step, now, is_closing)
    }

    /// Applies a step of the authenticator. On a closing channel only its success or failure matters.
    fn follow(
        &mut self,
        step: Result<AuthStep, AuthFailure>,
        now: Instant,
        is_closing: bool,
    ) -> Result<AuthExchangeStep, AuthFailure> {
        self.pause = None;
        self.is_active = matches!(
            step,
            Ok(AuthStep::Send(_) | AuthStep::Receive | AuthStep::Pause(_))
        );
        let step = step?;
        // Nothing is sent any more, and the channel must not become ready again; a failure was returned above.
        if is_closing {
            return Ok(AuthExchangeStep::InProgress);
        }
        match step {
            AuthStep::Send(frame) => self.sending = Some(NetworkSend::new(frame)),
            AuthStep::Receive => {}
            AuthStep::Pause(until) => {
                // A deadline in the past would make each poll return at once: a busy loop.
                let soonest = Deadline::after(now, SHORTEST_BACKOFF);
                self.pause = Some(until.max(soonest));
            }
            AuthStep::Complete { again } => {
                self.again = if planted!(SessionNeverRenewed) {
                    Deadline::Never
                } else {
                    again
                };
                return Ok(AuthExchangeStep::Completed);
            }
        }
        Ok(AuthExchangeStep::InProgress)
    }
}
