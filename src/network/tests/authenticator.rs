//! Mock authenticator: several rounds, pauses, and re-authentication after some time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::transport::Probe;
use crate::clock::{Deadline, Instant};
use crate::network::authenticator::{AuthFailure, AuthStep, Authenticator};
use crate::protocol::Frame;

/// Scripted behaviour of the authenticator.
#[derive(Debug, Clone, Copy)]
pub(super) struct AuthPlan {
    pub(super) rounds: u8,
    /// The exchange (by its number) in whose last round the broker refuses the client.
    pub(super) refused_in: Option<u8>,
    /// Whether the last frame gets no response.
    pub(super) is_last_unanswered: bool,
    /// How long each exchange pauses at its start, as if for a token.
    pub(super) pause: Option<Duration>,
    /// The time until re-authentication; `None` for no re-authentication.
    pub(super) session: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Initial,
    PausedUntil(Instant),
    /// The frame of this round was sent.
    Sending(u8),
}

pub(super) struct TestAuthenticator {
    plan: AuthPlan,
    probe: Arc<Probe>,
    state: State,
    exchanges: u8,
}

impl TestAuthenticator {
    pub(super) fn new(plan: AuthPlan, probe: Arc<Probe>) -> Self {
        Self {
            plan,
            probe,
            state: State::Initial,
            exchanges: 0,
        }
    }

    fn send(&mut self, round: u8) -> AuthStep {
        self.state = State::Sending(round);
        self.probe.change(|facts| facts.auth_wanted += 1);
        let is_refused = self.plan.refused_in == Some(self.exchanges) && self.is_last(round);
        let wants_answer = !(self.plan.is_last_unanswered && self.is_last(round));
        let body = vec![b'A', round, u8::from(is_refused), u8::from(wants_answer)];
        AuthStep::Send(Frame::from_payload(body.into()).unwrap())
    }

    fn is_last(&self, round: u8) -> bool {
        round + 1 == self.plan.rounds
    }

    fn complete(&mut self, now: Instant) -> AuthStep {
        self.state = State::Initial;
        self.exchanges += 1;
        let again = self.plan.session;
        AuthStep::Complete {
            again: again.map_or(Deadline::Never, |session| Deadline::after(now, session)),
        }
    }
}

impl Authenticator for TestAuthenticator {
    fn proceed(&mut self, now: Instant) -> Result<AuthStep, AuthFailure> {
        Ok(match self.state {
            State::Initial => match self.plan.pause {
                Some(pause) => {
                    let until = now.saturating_add(pause);
                    self.state = State::PausedUntil(until);
                    AuthStep::Pause(Deadline::At(until))
                }
                None => self.send(0),
            },
            State::PausedUntil(until) if now < until => AuthStep::Pause(Deadline::At(until)),
            State::PausedUntil(_) => self.send(0),
            State::Sending(round) if self.plan.is_last_unanswered && self.is_last(round) => {
                self.complete(now)
            }
            State::Sending(_) => AuthStep::Receive,
        })
    }

    fn receive(&mut self, frame: &Bytes, now: Instant) -> Result<AuthStep, AuthFailure> {
        let (State::Sending(sent), [b'a', round, refused]) = (self.state, &frame[..]) else {
            return Err(AuthFailure::Interrupted(
                format!("unexpected: {frame:?}").into(),
            ));
        };
        assert_eq!(*round, sent);
        if *refused == 1 {
            return Err(AuthFailure::Refused("who are you?".into()));
        }
        Ok(if self.is_last(sent) {
            self.complete(now)
        } else {
            self.send(sent + 1)
        })
    }

    fn is_answer(&self, frame: &Bytes) -> bool {
        frame.first() == Some(&b'a')
    }
}
