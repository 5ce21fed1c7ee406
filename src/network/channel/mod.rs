//! Channel: one connection, from connecting over TLS handshake and authentication to exchanging frames.
//!
//! Readiness events are edge-triggered: each is reported once. So the channel stores readiness until the stream returns
//! `WouldBlock`, and each turn returns whether another one is needed without an event.

mod auth_exchange;
mod reasons;
mod state;

use std::sync::Arc;

use bytes::Bytes;

use self::auth_exchange::{AuthExchange, AuthExchangeStep};
pub(super) use self::reasons::failure;
use self::reasons::{is_of_authentication, refusal};
use self::state::{ChannelState, ReportedState};
use super::activity::{Activity, Authenticated};
use super::authenticator::AuthFailure;
use super::channel_builder::ChannelParts;
use super::metrics::ChannelMetrics;
use super::poller::Readiness;
use super::receive::ReceiveBuffer;
use super::selectable::{CloseReason, ConnectionId, Disconnected, PollEvents, SendRefused};
use super::send::NetworkSend;
use super::transport::{Transport, TransportError};
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::protocol::Frame;

/// Maximum number of reads in one turn, for fairness: a peer that sends a large frame as fast as it is read does not
/// starve other connections.
const READS_PER_TURN: usize = 16;

/// Limit on the size of a frame before the first authentication, while the peer is untrusted. A broker's limit for
/// unauthenticated clients is half of it (`sasl.server.max.receive.size`).
const MAX_BYTES_BEFORE_READY: usize = 1024 * 1024;

/// Size of the length prefix of a frame.
const LENGTH_BYTES: usize = 4;

/// Result of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChannelTurn {
    /// There is nothing to do before the next event.
    Wait,
    /// There is more to do, and no event will report it: the channel needs another turn in the next poll.
    Again,
    /// The connection is closed, for this reason.
    Ended(CloseReason),
}

/// A connection to a node.
///
/// The selector calls [`note`](Self::note) with each event and then [`turn`](Self::turn), which does the I/O;
/// [`send`](Self::send) queues a frame and writes what the socket takes.
///
/// # Kafka
/// `org.apache.kafka.common.network.KafkaChannel`.
pub(super) struct KafkaChannel {
    id: ConnectionId,
    transport: Box<dyn Transport>,
    exchange: AuthExchange,
    state: ChannelState,
    reported: ReportedState,
    /// Readiness of the stream.
    readiness: Readiness,
    received: ReceiveBuffer,
    max_response_bytes: usize,
    /// The request frame that is being written.
    sending: Option<NetworkSend>,
    /// Whether a request frame was written in full that no poll has reported yet.
    sent: bool,
    /// Activity that is not recorded yet.
    pub(super) activity: Activity,
    /// The metrics in which the activity is recorded.
    pub(super) metrics: Option<ChannelMetrics>,
    /// Time of the last event or send, for the idle timeout.
    pub(super) last_active: Instant,
    /// Whether the channel is in the selector's work list.
    pub(super) listed: bool,
}

impl KafkaChannel {
    /// A channel that is connecting; `writable` is true if the stream is connected already: since no event reports
    /// that, the first turn checks it.
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
            exchange: AuthExchange::new(parts.authenticator, now),
            state: ChannelState::Connecting,
            reported: ReportedState::Nothing,
            readiness: Readiness {
                writable,
                ..Readiness::default()
            },
            received: ReceiveBuffer::new(max_response_bytes.min(MAX_BYTES_BEFORE_READY)),
            max_response_bytes,
            sending: None,
            sent: false,
            activity: Activity::default(),
            metrics: None,
            last_active: now,
            listed: false,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, ChannelState::Ready)
    }

    /// Adds a readiness event.
    pub(super) fn note(&mut self, event: Readiness) {
        self.readiness.note(event);
    }

    /// Deadline of a pause of the authentication, which waits for something that no event of the stream reports, such
    /// as a token. Each turn checks whether it has arrived. `None` if authentication is not paused.
    pub(super) fn paused_until(&self) -> Option<Deadline> {
        self.exchange.pause
    }

    /// The event that the TLS handshake or authentication waits for, for error texts.
    pub(super) fn waits_for(&self) -> Option<&'static str> {
        match self.state {
            ChannelState::Handshaking => Some("the broker's part of the TLS handshake"),
            ChannelState::Authenticating => Some(self.exchange.waits_for()),
            ChannelState::Connecting | ChannelState::Ready | ChannelState::Closing(_) => None,
        }
    }

    /// TLS version and broker's certificate, once the handshake is done.
    #[cfg(feature = "cli")]
    pub(super) fn tls_facts(&self) -> Option<super::tls_facts::TlsFacts> {
        match self.state {
            ChannelState::Connecting | ChannelState::Handshaking => None,
            _ => self.transport.tls_facts(),
        }
    }

    /// Queues a frame, and writes as much of it as the stream takes.
    ///
    /// A write error is not returned here but by the next turn. A closing channel accepts the frame, too, and reports
    /// it as untouched when it is closed.
    pub(super) fn send(
        &mut self,
        frame: Frame,
        now: impl FnOnce() -> Instant,
    ) -> Result<(), SendRefused> {
        match self.state {
            // Re-authentication: the caller may try again later.
            ChannelState::Authenticating if self.has_been_ready() => {
                return Err(SendRefused::Busy);
            }
            ChannelState::Connecting | ChannelState::Handshaking | ChannelState::Authenticating => {
                return Err(SendRefused::NoConnection);
            }
            ChannelState::Ready | ChannelState::Closing(_) => {}
        }
        if self.sending.is_some() || self.sent {
            return Err(SendRefused::Busy);
        }
        self.sending = Some(NetworkSend::new(frame));
        // The session may have expired: re-authenticate before this frame, which stays queued meanwhile (KIP-368).
        // The clock is read only if sessions expire at all.
        if self.is_ready() && self.exchange.again != Deadline::Never {
            let now = now();
            if self.exchange.again.is_over(now) {
                if let Err(reason) = self.start_authentication(now) {
                    self.begin_closing(reason);
                }
                self.write_authenticator_frames(now);
            }
        }
        self.write();
        Ok(())
    }

    /// Whether a frame was written in full and not reported yet. Resets the flag, so that no poll reports the frame.
    pub(super) fn take_sent(&mut self) -> bool {
        std::mem::take(&mut self.sent)
    }

    /// Whether a frame is queued of which the transport has taken no byte.
    pub(super) fn is_send_untouched(&self) -> bool {
        let sending = self.sending.as_ref();
        sending.is_some_and(|sending| !sending.is_touched())
    }

    /// Drops a queued frame of which the transport has taken no byte: the peer never sees it. Returns whether there was
    /// such a frame.
    pub(super) fn withdraw_send(&mut self) -> bool {
        let withdraws = self.is_send_untouched();
        if withdraws {
            self.sending = None;
        }
        withdraws
    }

    /// Does the I/O that is possible now: connect, handshake and authenticate, then read at most one frame, then write.
    pub(super) fn turn(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
        events: &mut PollEvents,
    ) -> ChannelTurn {
        self.report_sent(events);
        if planted!(BlindClosingReadsNothing) {
            if let ChannelState::Closing(reason) = &self.state {
                return ChannelTurn::Ended(reason.clone());
            }
        }
        match self.set_up(now) {
            Ok(true) => {}
            Ok(false) => {
                self.reported.catch_up(&self.state, self.id, events);
                return ChannelTurn::Wait;
            }
            // Failed re-authentication: responses to earlier requests may have arrived, and are delivered first.
            Err(reason) if self.has_been_ready() => self.begin_closing(reason),
            Err(reason) => return ChannelTurn::Ended(self.root_cause(reason)),
        }
        self.reported.catch_up(&self.state, self.id, events);
        match self.receive(scratch) {
            Ok(Some(frame)) if self.is_for_authenticator(&frame) => {
                match self.receive_for_authenticator(&frame, now) {
                    Ok(()) => {}
                    Err(reason) if self.has_been_ready() => self.begin_closing(reason),
                    Err(reason) => return ChannelTurn::Ended(self.root_cause(reason)),
                }
            }
            // Before the first authentication no request was sent, so this frame answers none: it is dropped.
            Ok(Some(_)) if !self.has_been_ready() => {}
            // One frame per turn, for fairness among connections, and so that frames are delivered before the
            // disconnect.
            Ok(Some(frame)) => {
                self.activity.response_bytes = Some(LENGTH_BYTES + frame.len());
                events.completed_receives.push((self.id, frame));
            }
            // All input is delivered: only now a closing channel is closed.
            Ok(None) if !self.has_input() => {
                if let ChannelState::Closing(reason) = &self.state {
                    return ChannelTurn::Ended(reason.clone());
                }
            }
            Ok(None) => {}
            Err(reason) => {
                let reason = self.reason_in_pause(reason);
                return ChannelTurn::Ended(self.root_cause(reason));
            }
        }
        // The authenticator's frames first: no request may be written before authentication is done.
        self.write_authenticator_frames(now);
        self.reported.catch_up(&self.state, self.id, events);
        self.write();
        self.report_sent(events);
        if self.has_work() {
            ChannelTurn::Again
        } else {
            ChannelTurn::Wait
        }
    }

    /// Whether another turn has something to do without a new event.
    pub(super) fn has_work(&self) -> bool {
        match self.state {
            ChannelState::Connecting => self.readiness.readable || self.readiness.writable,
            // A turn continues the handshake until the stream returns `WouldBlock`.
            ChannelState::Handshaking => false,
            ChannelState::Authenticating | ChannelState::Ready => {
                self.sent
                    || self.reported.is_behind(&self.state)
                    || self.has_input()
                    || self.received.has_frame()
                    || self.readiness.writable && self.has_output()
            }
            ChannelState::Closing(_) => true,
        }
    }

    /// Closes the connection, and returns the event that reports it.
    pub(super) fn end(mut self, reason: CloseReason) -> Disconnected {
        self.transport.shutdown(&mut self.readiness);
        Disconnected {
            id: self.id,
            reason,
            last_frame_untouched: self.is_send_untouched(),
        }
    }

    /// Closes the connection without reporting it.
    pub(super) fn close(mut self) {
        self.transport.shutdown(&mut self.readiness);
    }

    /// Continues connecting, the handshake, and a paused authentication. Returns false until both connect and handshake
    /// are done.
    fn set_up(&mut self, now: Instant) -> Result<bool, CloseReason> {
        if matches!(self.state, ChannelState::Connecting) {
            match self.transport.finish_connect(&mut self.readiness) {
                Ok(true) => {
                    self.state = ChannelState::Handshaking;
                    self.activity.connected = true;
                }
                Ok(false) => return Ok(false),
                Err(error) => return Err(CloseReason::ConnectFailed(text(&error))),
            }
        }
        if matches!(self.state, ChannelState::Handshaking) {
            if !self
                .transport
                .handshake(&mut self.readiness)
                .map_err(failure)?
            {
                return Ok(false);
            }
            self.activity.cipher = self.transport.cipher();
            self.start_authentication(now)?;
        } else if self.exchange.pause.is_some() {
            self.proceed(now)?;
        }
        Ok(true)
    }

    /// Starts authentication or re-authentication.
    fn start_authentication(&mut self, now: Instant) -> Result<(), CloseReason> {
        self.state = ChannelState::Authenticating;
        self.exchange.start(now);
        self.proceed(now)
    }

    fn proceed(&mut self, now: Instant) -> Result<(), CloseReason> {
        let step = self.exchange.proceed(now, self.is_closing());
        self.apply_step(step, now)
    }

    /// Whether a poll has reported the channel as ready: the first authentication is done.
    pub(super) fn has_been_ready(&self) -> bool {
        self.reported.has_been_ready()
    }

    fn is_for_authenticator(&self, frame: &Bytes) -> bool {
        self.exchange.is_active && (!self.has_been_ready() || self.exchange.is_answer(frame))
    }

    /// Passes a frame to the authenticator, also on a closing channel: the broker's error message is more informative
    /// than the failed write that follows from it.
    fn receive_for_authenticator(
        &mut self,
        frame: &Bytes,
        now: Instant,
    ) -> Result<(), CloseReason> {
        self.check_request_complete(now)?;
        let step = self.exchange.receive(frame, now, self.is_closing());
        self.apply_step(step, now)
    }

    /// Checks that the authenticator's frame is written in full before an answer to it is processed. A broker that
    /// answers earlier has not read the request; and the authenticator's next frame must not be written into the middle
    /// of this one.
    fn check_request_complete(&mut self, now: Instant) -> Result<(), CloseReason> {
        let Some(sending) = &self.exchange.sending else {
            return Ok(());
        };
        // `sending` may still be set although the transport has accepted the whole frame: the transport has yet to
        // flush it, or bytes of its own that follow it.
        if planted!(FramesSplicedByEarlyAnswer) {
            self.exchange.sending = None;
            return Ok(());
        }
        if sending.is_complete() {
            self.exchange.sending = None;
            self.proceed(now)?;
            if self.exchange.is_active && self.exchange.sending.is_none() {
                return Ok(());
            }
        }
        self.exchange.is_active = false;
        let what = "a response to an authentication request that was not written in full";
        Err(CloseReason::BadFrame(what.into()))
    }

    /// Makes the channel ready if the exchange has completed.
    fn apply_step(
        &mut self,
        step: Result<AuthExchangeStep, AuthFailure>,
        now: Instant,
    ) -> Result<(), CloseReason> {
        if step.map_err(|why| refusal(&why))? == AuthExchangeStep::Completed {
            self.activity.authenticated = Some(if self.has_been_ready() {
                Authenticated::Again(now - self.exchange.started())
            } else {
                Authenticated::First
            });
            // The peer is authenticated now: full-size responses are accepted.
            self.received.set_max_frame(self.max_response_bytes);
            self.state = ChannelState::Ready;
        }
        Ok(())
    }

    fn is_closing(&self) -> bool {
        matches!(self.state, ChannelState::Closing(_))
    }

    /// The next frame: from the receive buffer, else read from the transport.
    ///
    /// The transport is read only when the buffer has no complete frame, so the end of the stream is found only after
    /// all frames before it were delivered.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<Option<Bytes>, CloseReason> {
        for _ in 0..READS_PER_TURN {
            if let Some(frame) = self.received.next_frame().map_err(CloseReason::BadFrame)? {
                return Ok(Some(frame));
            }
            if !self.has_input() {
                return Ok(None);
            }
            match self.transport.read(&mut self.readiness, scratch) {
                Ok(0) => return Err(CloseReason::ClosedByPeer),
                Ok(len) => {
                    // Bytes of the first authentication are not counted, as in Java.
                    if self.has_been_ready() {
                        self.activity.bytes_read += len;
                    }
                    self.received.extend(&scratch[..len]);
                }
                Err(error) if error.is_blocked() => {}
                Err(error) => return Err(failure(error)),
            }
        }
        self.received.next_frame().map_err(CloseReason::BadFrame)
    }

    /// Whether a turn may receive a frame without a new event.
    pub(super) fn has_unread_input(&self) -> bool {
        self.has_input() || self.received.has_frame()
    }

    /// Whether a read of the transport may return something.
    fn has_input(&self) -> bool {
        self.readiness.readable || self.transport.has_pending_input()
    }

    /// Whether there are bytes to write.
    fn has_output(&self) -> bool {
        self.exchange.sending.is_some()
            || self.sending.is_some() && self.is_ready()
            || self.transport.has_pending_writes()
    }

    /// Writes the authenticator's frames until it waits for the broker, or the stream takes no more.
    fn write_authenticator_frames(&mut self, now: Instant) {
        while let Some(sending) = &mut self.exchange.sending {
            match write_frame(sending, &mut *self.transport, &mut self.readiness) {
                Ok(true) => {}
                Ok(false) => return,
                Err(reason) => return self.begin_closing(reason),
            }
            self.exchange.sending = None;
            if let Err(reason) = self.proceed(now) {
                return self.begin_closing(reason);
            }
        }
    }

    /// Writes the request frame until it is complete or the stream takes no more; without a request frame, flushes the
    /// transport's own bytes (a TLS alert or key update).
    fn write(&mut self) {
        let overtakes =
            planted!(RequestOvertakesAuthentication) && self.exchange.again != Deadline::Never;
        let may_send =
            self.is_ready() || overtakes && matches!(self.state, ChannelState::Authenticating);
        if let (true, Some(sending)) = (may_send, &mut self.sending) {
            let before = sending.written();
            let written_in_full = write_frame(sending, &mut *self.transport, &mut self.readiness);
            self.activity.bytes_written += sending.written() - before;
            match written_in_full {
                Ok(true) => {
                    self.activity.request_bytes = Some(sending.len());
                    // The frame is dropped when it is written, not when it is answered: nothing else needs it, and it
                    // shares the memory of record batches.
                    self.sending = None;
                    self.sent = true;
                }
                Ok(false) => {}
                Err(reason) => self.begin_closing(reason),
            }
        } else if matches!(
            self.state,
            ChannelState::Authenticating | ChannelState::Ready
        ) {
            if let Err(reason) = flush(&mut *self.transport, &mut self.readiness) {
                self.begin_closing(reason);
            }
        }
    }

    /// Starts closing after a failed write: responses that the broker sent before are still read and delivered.
    fn begin_closing(&mut self, reason: CloseReason) {
        self.state = ChannelState::Closing(self.root_cause(reason));
        self.exchange.sending = None;
        self.exchange.pause = None;
        // As if the end of the stream had been reported: reads continue until they reach it.
        self.readiness.readable = !planted!(AnswersDroppedAtEnd);
        self.readiness.input_ends = true;
    }

    /// Replaces the close reason if the broker disconnected during a pause, in which it waits for the client's next
    /// token: the likely cause is that the event of the pause came too late, so the reason names both. Not the only
    /// one: a mechanism may have sent a token before, which the broker may have rejected by closing the connection.
    fn reason_in_pause(&self, reason: CloseReason) -> CloseReason {
        match reason {
            CloseReason::ClosedByPeer | CloseReason::Io(_) if self.exchange.pause.is_some() => {
                let what = self.exchange.waits_for();
                let why = format!("while the client waited for {what}: {reason}");
                CloseReason::AuthenticationInterrupted(why.into())
            }
            reason => reason,
        }
    }

    /// The root cause of the close: the first error, not those that follow from it. Exception: a peer that rejects the
    /// client sends its reason and closes, and the failed write may be noticed before the reason is read.
    fn root_cause(&self, reason: CloseReason) -> CloseReason {
        match &self.state {
            ChannelState::Closing(first) if is_of_authentication(first) => first.clone(),
            ChannelState::Closing(first) if !is_of_authentication(&reason) => first.clone(),
            _ => reason,
        }
    }

    fn report_sent(&mut self, events: &mut PollEvents) {
        if self.take_sent() {
            events.completed_sends.push(self.id);
        }
    }
}

/// Writes a frame to the transport, and flushes it to the stream. Returns false if the stream takes no more now.
fn write_frame(
    sending: &mut NetworkSend,
    transport: &mut dyn Transport,
    ready: &mut Readiness,
) -> Result<bool, CloseReason> {
    while !sending.is_complete() {
        // A TLS transport would take the frame into its buffer, and the frame would count as touched though nothing was
        // sent.
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

/// Flushes the transport. Returns false if the stream takes no more now.
fn flush(transport: &mut dyn Transport, ready: &mut Readiness) -> Result<bool, CloseReason> {
    if !transport.has_pending_writes() {
        return Ok(true);
    }
    transport.flush(ready).map_err(failure)
}

fn text(error: &TransportError) -> Arc<str> {
    error.to_string().into()
}

#[cfg(test)]
mod tests;
