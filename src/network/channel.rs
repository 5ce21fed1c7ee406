//! One connection: what it is waiting for, what it is writing, what it has read.
//!
//! Readiness is edge-triggered: the system says once that there is something to read or room to
//! write. So the channel remembers both until the socket itself says `WouldBlock`, and says after
//! each turn whether it must have another one without waiting for an event.

use std::io;
use std::sync::Arc;

use super::receive::ReceiveBuffer;
use super::selectable::{CloseReason, ConnectionId, Disconnected, PollEvents, SendRefused};
use super::send::NetworkSend;
use super::transport::Transport;
use crate::clock::Instant;
use crate::protocol::Frame;

/// Reads in one turn: a peer that sends a large frame as fast as we can read does not keep the other
/// connections waiting for all of it.
const READS_PER_TURN: usize = 16;

/// What the system said of a socket. Bits that are not set say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer will send no more, or the socket has failed: a read will say which.
    pub(super) input_ends: bool,
}

#[derive(Debug)]
enum State {
    Connecting,
    Ready,
    /// Writing has failed. What had arrived is delivered first, then the end is told.
    Closing(CloseReason),
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
    state: State,
    /// What the system said and the socket has not contradicted since.
    ready: Readiness,
    muted: bool,
    received: ReceiveBuffer,
    sending: Option<NetworkSend>,
    /// A frame was written in full and no poll has said so yet.
    sent: bool,
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
        transport: Box<dyn Transport>,
        writable: bool,
        max_response_bytes: usize,
        now: Instant,
    ) -> Self {
        Self {
            id,
            transport,
            state: State::Connecting,
            ready: Readiness {
                readable: false,
                writable,
                input_ends: false,
            },
            muted: false,
            received: ReceiveBuffer::new(max_response_bytes),
            sending: None,
            sent: false,
            last_active: now,
            listed: false,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Keeps what the system said.
    pub(super) fn note(&mut self, readiness: Readiness) {
        self.ready.readable |= readiness.readable;
        self.ready.writable |= readiness.writable;
        self.ready.input_ends |= readiness.input_ends;
    }

    pub(super) fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Takes a frame and writes what the socket has room for.
    ///
    /// A failure to write is no answer to this call: the next turn tells it. A channel that is
    /// closing takes the frame too and gives it back untouched, with its end.
    pub(super) fn send(&mut self, frame: Frame) -> Result<(), SendRefused> {
        if matches!(self.state, State::Connecting) {
            return Err(SendRefused::NoConnection);
        }
        if self.sending.is_some() || self.sent {
            return Err(SendRefused::Busy);
        }
        self.sending = Some(NetworkSend::new(frame));
        self.write();
        Ok(())
    }

    /// Whether a frame has been written in full that no poll has told of; none will then.
    pub(super) fn take_sent(&mut self) -> bool {
        std::mem::take(&mut self.sent)
    }

    /// Whether a frame waits of which the socket has taken nothing.
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

    /// Does what can be done now: finish connecting, then read at most one frame, then write.
    pub(super) fn turn(&mut self, scratch: &mut [u8], events: &mut PollEvents) -> Turn {
        self.report_sent(events);
        if matches!(self.state, State::Connecting) {
            match self.finish_connect() {
                Ok(true) => events.connected.push(self.id),
                Ok(false) => return Turn::Wait,
                Err(error) => return Turn::Ended(CloseReason::ConnectFailed(text(&error))),
            }
        }
        match self.receive(scratch) {
            Ok(Some(frame)) => events.completed_receives.push((self.id, frame)),
            Ok(None) if self.is_drained() => {
                if let State::Closing(reason) = &self.state {
                    return Turn::Ended(reason.clone());
                }
            }
            Ok(None) => {}
            Err(reason) => return Turn::Ended(self.first_reason(reason)),
        }
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
            State::Ready => {
                self.sent || !self.muted && (self.ready.readable || self.received.has_frame())
            }
            State::Closing(_) => self.sent || !self.muted,
        }
    }

    /// Closes, and says what a poll tells of it.
    pub(super) fn end(mut self, reason: CloseReason) -> Disconnected {
        self.transport.shutdown();
        Disconnected {
            id: self.id,
            reason,
            last_frame_untouched: self.is_send_untouched(),
        }
    }

    /// Closes without a word.
    pub(super) fn close(mut self) {
        self.transport.shutdown();
    }

    fn finish_connect(&mut self) -> io::Result<bool> {
        if !self.ready.readable && !self.ready.writable {
            return Ok(false);
        }
        loop {
            match self.transport.finish_connect() {
                Ok(true) => {
                    self.state = State::Ready;
                    return Ok(true);
                }
                Ok(false) => {
                    // The event was for nothing; there will be another.
                    self.ready.readable = false;
                    self.ready.writable = false;
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next frame: from the buffer, or else from the socket.
    ///
    /// The socket is read only when the buffer has no whole frame, so its end is found only when all
    /// that came before has been delivered.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<Option<bytes::Bytes>, CloseReason> {
        if self.muted {
            return Ok(None);
        }
        for _ in 0..READS_PER_TURN {
            if let Some(frame) = self.received.next_frame().map_err(CloseReason::BadFrame)? {
                return Ok(Some(frame));
            }
            if !self.ready.readable {
                return Ok(None);
            }
            self.read(scratch)?;
        }
        self.received.next_frame().map_err(CloseReason::BadFrame)
    }

    fn read(&mut self, scratch: &mut [u8]) -> Result<(), CloseReason> {
        match self.transport.read(scratch) {
            Ok(received) if received.len == 0 => return Err(CloseReason::ClosedByPeer),
            Ok(received) => {
                self.received.extend(&scratch[..received.len]);
                // A short read has emptied the socket, unless its end was announced along with the
                // bytes: that end has had its event, and only reading on will find it. An end that
                // comes after the last event has an event of its own.
                if received.drained && !self.ready.input_ends {
                    self.ready.readable = false;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready.readable = false;
                self.ready.input_ends = false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CloseReason::Io(text(&error))),
        }
        Ok(())
    }

    /// Writes until the frame is out or the socket is full.
    fn write(&mut self) {
        if !self.is_ready() {
            return;
        }
        let Some(sending) = &mut self.sending else {
            return;
        };
        while !sending.is_complete() {
            if !self.ready.writable {
                return;
            }
            match sending.write_to(&mut *self.transport) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready.writable = false;
                }
                Err(error) => {
                    self.begin_closing(CloseReason::Io(text(&error)));
                    return;
                }
            }
        }
        // Dropped here and not when it is answered: its header is of no more use.
        self.sending = None;
        self.sent = true;
    }

    /// Reads on until the socket has nothing more: answers to earlier frames may lie in it.
    fn begin_closing(&mut self, reason: CloseReason) {
        self.state = State::Closing(reason);
        self.ready.readable = true;
        self.ready.input_ends = true;
    }

    /// Whether nothing more can be had from the socket now. A muted channel does not know.
    fn is_drained(&self) -> bool {
        !self.muted && !self.ready.readable
    }

    /// Why the connection ended: the first thing that went wrong, not what followed from it.
    fn first_reason(&self, reason: CloseReason) -> CloseReason {
        match &self.state {
            State::Closing(first) => first.clone(),
            State::Connecting | State::Ready => reason,
        }
    }

    fn report_sent(&mut self, events: &mut PollEvents) {
        if self.take_sent() {
            events.completed_sends.push(self.id);
        }
    }
}

fn text(error: &io::Error) -> Arc<str> {
    error.to_string().into()
}

#[cfg(test)]
mod tests;
