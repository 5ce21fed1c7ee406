//! One connection: what it is waiting for, what it is writing, what it has read.
//!
//! Readiness is edge-triggered: it is told once that there is something to read or room to write. So the
//! channel remembers both until the stream itself says `WouldBlock`, and says after each turn whether it
//! must have another one without waiting for an event.

use std::sync::Arc;

use bytes::Bytes;

use super::authenticator::{AuthFailure, AuthStep, Authenticator};
use super::channel_builder::ChannelParts;
use super::poller::Readiness;
use super::receive::ReceiveBuffer;
use super::selectable::{CloseReason, ConnectionId, Disconnected, PollEvents, SendRefused};
use super::send::NetworkSend;
use super::transport::{Transport, TransportError};
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::protocol::Frame;
use crate::util::backoff::SHORTEST_BACKOFF;

/// Reads in one turn: a peer that sends a large frame as fast as we can read does not keep the other
/// connections waiting for all of it.
const READS_PER_TURN: usize = 16;

/// The cap on one frame until the first talk is over: whoever is at the other end has proved nothing yet. A
/// broker takes no more than half of it from a client that it does not know (`sasl.server.max.receive.size`).
const MAX_BYTES_BEFORE_READY: usize = 1024 * 1024;

/// ```text
///  Connecting ─▶ Handshaking ─▶ Authenticating ─▶ Ready ─▶ Closing
///                                     ▲             │
///                                     └── again ────┘
/// ```
/// Every state may be the last. With plain text, the second and third are over at once.
#[derive(Debug)]
enum State {
    Connecting,
    /// The transport introduces itself.
    Handshaking,
    /// The authenticator talks with the broker, for the first time or again.
    Authenticating,
    Ready,
    /// Writing has failed. What had arrived is delivered first, then the end is told.
    Closing(CloseReason),
}

/// What polls have told of the way to being ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Authenticating,
    Connected,
    AuthenticatingAgain,
}

/// What a turn left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing to do before the next event.
    Wait,
    /// There is more to do, and no event will say so.
    Again,
    /// The connection is over.
    Ended(CloseReason),
}

/// A connection to a node.
///
/// # Kafka
/// `org.apache.kafka.common.network.KafkaChannel`.
pub(super) struct KafkaChannel {
    id: ConnectionId,
    transport: Box<dyn Transport>,
    authenticator: Box<dyn Authenticator>,
    state: State,
    told: Told,
    /// What was told of the stream and it has not contradicted since.
    ready: Readiness,
    received: ReceiveBuffer,
    max_response_bytes: usize,
    /// The client's frame.
    sending: Option<NetworkSend>,
    /// A frame was sent in full and no poll has said so yet.
    sent: bool,
    /// The authenticator's frame, which goes before the client's.
    auth_sending: Option<NetworkSend>,
    /// The authenticator has begun to talk, and has neither come to its end nor failed.
    is_talking: bool,
    /// The authenticator waits for something outside, and is to be asked by then.
    auth_pause: Option<Deadline>,
    /// Frames after this wait until the broker has been told again who this is.
    auth_again: Deadline,
    /// When something last happened here.
    pub(super) last_active: Instant,
    /// Whether the selector's list of work has it.
    pub(super) listed: bool,
}

impl KafkaChannel {
    /// A channel that is connecting, or is connected and does not know it yet: its first turn asks
    /// the transport, if `writable` says so or an event does.
    pub(super) fn new(
        id: ConnectionId,
        parts: ChannelParts,
        writable: bool,
        max_response_bytes: usize,
        now: Instant,
    ) -> Self {
        Self {
            id,
            transport: parts.transport,
            authenticator: parts.authenticator,
            state: State::Connecting,
            told: Told::Nothing,
            ready: Readiness {
                writable,
                ..Readiness::default()
            },
            received: ReceiveBuffer::new(max_response_bytes.min(MAX_BYTES_BEFORE_READY)),
            max_response_bytes,
            sending: None,
            sent: false,
            auth_sending: None,
            is_talking: false,
            auth_pause: None,
            auth_again: Deadline::Never,
            last_active: now,
            listed: false,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Keeps what an event said.
    pub(super) fn note(&mut self, event: Readiness) {
        self.ready.note(event);
    }

    /// Until when the channel waits for what no event of its stream tells of, if it does. Each turn looks
    /// whether it has come.
    pub(super) fn paused_until(&self) -> Option<Deadline> {
        self.auth_pause
    }

    /// Takes a frame and writes what the stream has room for.
    ///
    /// A failure to write is no answer to this call: the next turn tells it. A channel that is
    /// closing takes the frame too and gives it back untouched, with its end.
    pub(super) fn send(
        &mut self,
        frame: Frame,
        now: impl FnOnce() -> Instant,
    ) -> Result<(), SendRefused> {
        match self.state {
            State::Authenticating if self.has_been_ready() => {
                return Err(SendRefused::Busy);
            }
            State::Connecting | State::Handshaking | State::Authenticating => {
                return Err(SendRefused::NoConnection);
            }
            State::Ready | State::Closing(_) => {}
        }
        if self.sending.is_some() || self.sent {
            return Err(SendRefused::Busy);
        }
        self.sending = Some(NetworkSend::new(frame));
        if self.is_ready() && self.auth_again != Deadline::Never {
            let now = now();
            if self.auth_again.is_over(now) {
                if let Err(reason) = self.begin_talk(now) {
                    self.begin_closing(reason);
                }
                self.write_of_authenticator(now);
            }
        }
        self.write();
        Ok(())
    }

    /// Whether a frame has been sent in full that no poll has told of; none will then.
    pub(super) fn take_sent(&mut self) -> bool {
        std::mem::take(&mut self.sent)
    }

    /// Whether a frame waits of which the transport has taken nothing.
    pub(super) fn is_send_untouched(&self) -> bool {
        let sending = self.sending.as_ref();
        sending.is_some_and(|sending| !sending.is_touched())
    }

    /// Gives up such a frame: the peer cannot have seen it and never will. Whether there was one.
    pub(super) fn withdraw_send(&mut self) -> bool {
        let withdraws = self.is_send_untouched();
        if withdraws {
            self.sending = None;
        }
        withdraws
    }

    /// Does what can be done now: get ready, then read at most one frame, then write.
    pub(super) fn turn(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
        events: &mut PollEvents,
    ) -> Turn {
        self.report_sent(events);
        if planted!(BlindClosingReadsNothing) {
            if let State::Closing(reason) = &self.state {
                return Turn::Ended(reason.clone());
            }
        }
        match self.set_up(now) {
            Ok(true) => {}
            Ok(false) => {
                self.report_standing(events);
                return Turn::Wait;
            }
            // Answers to earlier frames may have come.
            Err(reason) if self.has_been_ready() => self.begin_closing(reason),
            Err(reason) => return Turn::Ended(self.first_reason(reason)),
        }
        self.report_standing(events);
        match self.receive(scratch) {
            Ok(Some(frame)) if self.is_for_authenticator(&frame) => {
                match self.take_answer(&frame, now) {
                    Ok(()) => {}
                    Err(reason) if self.has_been_ready() => self.begin_closing(reason),
                    Err(reason) => return Turn::Ended(self.first_reason(reason)),
                }
            }
            // Until the first talk is over, nothing that comes is for anybody else.
            Ok(Some(_)) if !self.has_been_ready() => {}
            Ok(Some(frame)) => events.completed_receives.push((self.id, frame)),
            Ok(None) if !self.has_input() => {
                if let State::Closing(reason) = &self.state {
                    return Turn::Ended(reason.clone());
                }
            }
            Ok(None) => {}
            Err(reason) => return Turn::Ended(self.first_reason(reason)),
        }
        self.write_of_authenticator(now);
        self.report_standing(events);
        self.write();
        self.report_sent(events);
        if self.has_work() {
            Turn::Again
        } else {
            Turn::Wait
        }
    }

    /// Whether a turn would do something without an event.
    pub(super) fn has_work(&self) -> bool {
        match self.state {
            State::Connecting => self.ready.readable || self.ready.writable,
            // It went as far as the stream allowed.
            State::Handshaking => false,
            State::Authenticating | State::Ready => {
                self.sent
                    || self.has_standing_to_tell()
                    || self.has_input()
                    || self.received.has_frame()
                    || self.ready.writable && self.has_output()
            }
            State::Closing(_) => true,
        }
    }

    /// Closes, and says what a poll tells of it.
    pub(super) fn end(mut self, reason: CloseReason) -> Disconnected {
        self.transport.shutdown(&mut self.ready);
        Disconnected {
            id: self.id,
            reason,
            last_frame_untouched: self.is_send_untouched(),
        }
    }

    /// Closes without a word.
    pub(super) fn close(mut self) {
        self.transport.shutdown(&mut self.ready);
    }

    /// Goes on towards being ready. False as long as the transport is not.
    fn set_up(&mut self, now: Instant) -> Result<bool, CloseReason> {
        if matches!(self.state, State::Connecting) {
            match self.transport.finish_connect(&mut self.ready) {
                Ok(true) => self.state = State::Handshaking,
                Ok(false) => return Ok(false),
                Err(error) => return Err(CloseReason::ConnectFailed(text(&error))),
            }
        }
        if matches!(self.state, State::Handshaking) {
            if !self.transport.handshake(&mut self.ready).map_err(failure)? {
                return Ok(false);
            }
            self.begin_talk(now)?;
        } else if self.auth_pause.is_some() {
            self.proceed(now)?;
        }
        Ok(true)
    }

    fn begin_talk(&mut self, now: Instant) -> Result<(), CloseReason> {
        self.state = State::Authenticating;
        self.is_talking = true;
        self.proceed(now)
    }

    fn proceed(&mut self, now: Instant) -> Result<(), CloseReason> {
        let step = self.authenticator.proceed(now);
        self.take_step(step, now)
    }

    /// Whether a poll has told that the channel is ready.
    fn has_been_ready(&self) -> bool {
        matches!(self.told, Told::Connected | Told::AuthenticatingAgain)
    }

    fn is_for_authenticator(&self, frame: &Bytes) -> bool {
        self.is_talking && (!self.has_been_ready() || self.authenticator.is_answer(frame))
    }

    /// Also of a channel that is closing: the broker's reason says more than that it listens no more.
    fn take_answer(&mut self, frame: &Bytes, now: Instant) -> Result<(), CloseReason> {
        self.end_question(now)?;
        let step = self.authenticator.receive(frame, now);
        self.take_step(step, now)
    }

    /// A broker that answers has read all of the question. If a part is yet to be written, it made the answer
    /// up; and what the authenticator would say next must not follow upon half a frame.
    fn end_question(&mut self, now: Instant) -> Result<(), CloseReason> {
        let Some(sending) = &self.auth_sending else {
            return Ok(());
        };
        // What the transport has yet to flush may be something of its own, behind the question.
        if planted!(FramesSplicedByEarlyAnswer) {
            self.auth_sending = None;
            return Ok(());
        }
        if sending.is_complete() {
            self.auth_sending = None;
            self.proceed(now)?;
            if self.is_talking && self.auth_sending.is_none() {
                return Ok(());
            }
        }
        self.is_talking = false;
        let what = "an answer to a request for authentication that it has not been sent in full";
        Err(CloseReason::BadFrame(what.into()))
    }

    /// Does what the authenticator wants; of a channel that is closing, only how the talk stands is of interest.
    fn take_step(
        &mut self,
        step: Result<AuthStep, AuthFailure>,
        now: Instant,
    ) -> Result<(), CloseReason> {
        self.auth_pause = None;
        self.is_talking = matches!(
            step,
            Ok(AuthStep::Send(_) | AuthStep::Receive | AuthStep::Pause(_))
        );
        let step = step.map_err(|why| refusal(&why))?;
        if matches!(self.state, State::Closing(_)) {
            return Ok(());
        }
        match step {
            AuthStep::Send(frame) => self.auth_sending = Some(NetworkSend::new(frame)),
            AuthStep::Receive => {}
            AuthStep::Pause(until) => {
                // One that is over already would have every poll come back at once.
                let soonest = Deadline::after(now, SHORTEST_BACKOFF);
                self.auth_pause = Some(until.max(soonest));
            }
            AuthStep::Complete { again } => {
                self.auth_again = if planted!(SessionNeverRenewed) {
                    Deadline::Never
                } else {
                    again
                };
                self.received.set_max_frame(self.max_response_bytes);
                self.state = State::Ready;
            }
        }
        Ok(())
    }

    /// The next frame: from the buffer, or else from the transport.
    ///
    /// The transport is read only when the buffer has no whole frame, so its end is found only when all
    /// that came before has been delivered.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<Option<Bytes>, CloseReason> {
        for _ in 0..READS_PER_TURN {
            if let Some(frame) = self.received.next_frame().map_err(CloseReason::BadFrame)? {
                return Ok(Some(frame));
            }
            if !self.has_input() {
                return Ok(None);
            }
            match self.transport.read(&mut self.ready, scratch) {
                Ok(0) => return Err(CloseReason::ClosedByPeer),
                Ok(len) => self.received.extend(&scratch[..len]),
                Err(error) if error.is_blocked() => {}
                Err(error) => return Err(failure(error)),
            }
        }
        self.received.next_frame().map_err(CloseReason::BadFrame)
    }

    /// Whether the transport may have something to read.
    fn has_input(&self) -> bool {
        self.ready.readable || self.transport.has_pending_input()
    }

    /// Whether there is something to write.
    fn has_output(&self) -> bool {
        self.auth_sending.is_some()
            || self.sending.is_some() && self.is_ready()
            || self.transport.has_pending_writes()
    }

    /// Writes the authenticator's frames until one has to be answered or the stream is full.
    fn write_of_authenticator(&mut self, now: Instant) {
        while let Some(sending) = &mut self.auth_sending {
            match put(sending, &mut *self.transport, &mut self.ready) {
                Ok(true) => {}
                Ok(false) => return,
                Err(reason) => return self.begin_closing(reason),
            }
            self.auth_sending = None;
            if let Err(reason) = self.proceed(now) {
                return self.begin_closing(reason);
            }
        }
    }

    /// Writes until the client's frame is out or the stream is full; without a frame, what the transport
    /// has to say by itself.
    fn write(&mut self) {
        let overtakes = planted!(RequestOvertakesTalk) && self.auth_again != Deadline::Never;
        let may_send = self.is_ready() || overtakes && matches!(self.state, State::Authenticating);
        if let (true, Some(sending)) = (may_send, &mut self.sending) {
            match put(sending, &mut *self.transport, &mut self.ready) {
                Ok(true) => {
                    // Dropped here and not when it is answered: its header is of no more use.
                    self.sending = None;
                    self.sent = true;
                }
                Ok(false) => {}
                Err(reason) => self.begin_closing(reason),
            }
        } else if matches!(self.state, State::Authenticating | State::Ready) {
            if let Err(reason) = flush(&mut *self.transport, &mut self.ready) {
                self.begin_closing(reason);
            }
        }
    }

    /// Reads on until there is nothing more: answers to earlier frames may have come.
    fn begin_closing(&mut self, reason: CloseReason) {
        self.state = State::Closing(self.first_reason(reason));
        self.auth_sending = None;
        self.auth_pause = None;
        self.ready.readable = !planted!(AnswersDroppedAtEnd);
        self.ready.input_ends = true;
    }

    /// Why the connection ended: the first thing that went wrong, not what followed from it. But a peer that
    /// refuses us says so and listens no more, and that it does not listen may be found first.
    fn first_reason(&self, reason: CloseReason) -> CloseReason {
        match &self.state {
            State::Closing(first) if is_of_authentication(first) => first.clone(),
            State::Closing(first) if !is_of_authentication(&reason) => first.clone(),
            _ => reason,
        }
    }

    /// Whether there is something of how far the connection has come that an event will not make a poll tell.
    fn has_standing_to_tell(&self) -> bool {
        match self.told {
            Told::Connected => matches!(self.state, State::Authenticating),
            Told::AuthenticatingAgain => self.is_ready(),
            Told::Nothing | Told::Authenticating => false,
        }
    }

    /// Tells how far the connection has come, each stage once. A talk that has come and gone between two
    /// polls has not been.
    fn report_standing(&mut self, events: &mut PollEvents) {
        match (&self.state, self.told) {
            (State::Handshaking | State::Authenticating, Told::Nothing) => {
                self.told = Told::Authenticating;
                events.authenticating.push(self.id);
            }
            (State::Ready, Told::Nothing | Told::Authenticating) => {
                self.told = Told::Connected;
                events.connected.push(self.id);
            }
            (State::Authenticating, Told::Connected) => {
                self.told = Told::AuthenticatingAgain;
                events.authenticating_again.push(self.id);
            }
            (State::Ready, Told::AuthenticatingAgain) => {
                self.told = Told::Connected;
                events.authenticated_again.push(self.id);
            }
            _ => {}
        }
    }

    fn report_sent(&mut self, events: &mut PollEvents) {
        if self.take_sent() {
            events.completed_sends.push(self.id);
        }
    }
}

/// Gives the transport a frame, and the stream all of it. False: the stream is full.
fn put(
    sending: &mut NetworkSend,
    transport: &mut dyn Transport,
    ready: &mut Readiness,
) -> Result<bool, CloseReason> {
    while !sending.is_complete() {
        if !ready.writable {
            return Ok(false);
        }
        match sending.write_to(transport, ready) {
            Ok(()) => {}
            Err(error) if error.is_blocked() => return Ok(false),
            Err(error) => return Err(failure(error)),
        }
    }
    flush(transport, ready)
}

fn flush(transport: &mut dyn Transport, ready: &mut Readiness) -> Result<bool, CloseReason> {
    if !transport.has_pending_writes() {
        return Ok(true);
    }
    transport.flush(ready).map_err(failure)
}

fn refusal(why: &AuthFailure) -> CloseReason {
    match why {
        AuthFailure::Refused(_) => CloseReason::AuthenticationFailed(why.reason()),
        AuthFailure::Interrupted(_) => CloseReason::AuthenticationInterrupted(why.reason()),
    }
}

fn is_of_authentication(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::AuthenticationFailed(_) | CloseReason::AuthenticationInterrupted(_)
    )
}

pub(super) fn failure(error: TransportError) -> CloseReason {
    match error {
        TransportError::Io(error) => CloseReason::Io(error.to_string().into()),
        TransportError::Authentication(why) => refusal(&AuthFailure::Refused(why)),
        TransportError::Interrupted(why) => refusal(&AuthFailure::Interrupted(why)),
    }
}

fn text(error: &TransportError) -> Arc<str> {
    error.to_string().into()
}

#[cfg(test)]
mod tests;
