//! Many non-blocking connections polled by one thread.
//!
//! Readiness is told by edges: once, when it changes. Each channel remembers what it was
//! told; those that have something to do without a further event are on a list of work, and as long
//! as that list is not empty a poll looks for events without waiting for them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::channel::{KafkaChannel, Turn, failure};
use super::channel_builder::ChannelBuilder;
use super::endpoint::Endpoint;
use super::poller::Poller;
use super::selectable::{CloseReason, ConnectionId, PollEvents, Selectable, SendRefused, WakeUp};
use super::transport::TransportError;
use crate::clock::{Clock, Deadline, Instant};
use crate::planted::planted;
use crate::protocol::Frame;

/// The cap on one response, without its length: no producer request has an answer near it.
///
/// Kafka's Java producer has no cap; librdkafka's `receive.message.max.bytes` has this default.
pub(crate) const MAX_RESPONSE_BYTES: usize = 100 * 1024 * 1024;

/// One read brings at most this. All connections share the memory.
const SCRATCH_BYTES: usize = 64 * 1024;

/// The longest wait in one poll: longer ones do not fit into the system call on every platform.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How connections are kept.
#[derive(Debug, Clone)]
pub(crate) struct SelectorOptions {
    /// `connections.max.idle.ms`; `None` keeps idle connections.
    pub(crate) connections_max_idle: Option<Duration>,
    /// A larger frame ends its connection as a bad one; [`MAX_RESPONSE_BYTES`] unless told otherwise.
    pub(crate) max_response_bytes: usize,
}

impl Default for SelectorOptions {
    fn default() -> Self {
        Self {
            connections_max_idle: None,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// Connections over the streams of a poller, each with the transport and the authenticator that its builder
/// gives it.
///
/// # Threads
/// One thread owns it; only [`wake_up`](Selectable::wake_up)'s handle is for others.
/// # Kafka
/// `org.apache.kafka.common.network.Selector`.
pub(crate) struct Selector<P: Poller> {
    poller: P,
    builder: Box<dyn ChannelBuilder<P::Stream>>,
    options: SelectorOptions,
    clock: Arc<dyn Clock>,
    channels: BTreeMap<ConnectionId, KafkaChannel>,
    /// Channels that need a turn in the next poll, each once.
    work: Vec<ConnectionId>,
    /// The list that was worked off last, kept for its memory.
    worked: Vec<ConnectionId>,
    /// Channels that wait for what no event tells of, and until when: each poll gives them a turn.
    paused: BTreeMap<ConnectionId, Deadline>,
    /// When the builder has to be asked whether something is due, at the latest.
    builder_due: Deadline,
    /// No connection is idle for too long before this; the true time may be later.
    next_idle_check: Deadline,
    /// When the last poll came back.
    last_poll: Instant,
    scratch: Box<[u8]>,
}

impl<P: Poller> Selector<P> {
    /// A selector without connections.
    pub(crate) fn new(
        poller: P,
        builder: Box<dyn ChannelBuilder<P::Stream>>,
        options: SelectorOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let last_poll = clock.now();
        Self {
            poller,
            builder,
            options,
            clock,
            channels: BTreeMap::new(),
            work: Vec::new(),
            worked: Vec::new(),
            paused: BTreeMap::new(),
            builder_due: Deadline::Never,
            next_idle_check: Deadline::Never,
            last_poll,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        }
    }

    /// How long a poll may wait for events.
    fn wait_limit(&self, timeout: Option<Duration>) -> Duration {
        if !self.work.is_empty() {
            return Duration::ZERO;
        }
        let limit = timeout.unwrap_or(MAX_WAIT).min(MAX_WAIT);
        let paused = self.paused.values().copied().min();
        let due = self.builder_due.min(paused.unwrap_or(Deadline::Never));
        match self.next_idle_check.min(due) {
            Deadline::Never => limit,
            deadline @ Deadline::At(_) => deadline.remaining_or(self.clock.now(), limit),
        }
    }

    /// Waits for events and gives them to their channels. Returns how many of the channels that are listed
    /// then have something to do; the others wait, and are only to look whether that is over.
    fn gather(&mut self, wait: Duration) -> io::Result<usize> {
        let (channels, work) = (&mut self.channels, &mut self.work);
        self.poller.wait(wait, |id, event| {
            if let Some(channel) = channels.get_mut(&id) {
                channel.note(event);
                list(work, id, channel);
            }
        })?;
        let active = self.work.len();
        for id in self.paused.keys() {
            if let Some(channel) = self.channels.get_mut(id) {
                list(&mut self.work, *id, channel);
            }
        }
        Ok(active)
    }

    /// Gives each listed channel one turn; on the first `active` of them something happens.
    fn work_off(&mut self, active: usize, now: Instant, events: &mut PollEvents) {
        std::mem::swap(&mut self.work, &mut self.worked);
        for (at, id) in self.worked.drain(..).enumerate() {
            let Some(channel) = self.channels.get_mut(&id) else {
                continue;
            };
            channel.listed = false;
            if at < active {
                channel.last_active = now;
            }
            let turn = channel.turn(&mut self.scratch, now, events);
            note_pause(&mut self.paused, id, channel);
            match turn {
                Turn::Wait => {}
                Turn::Again if planted!(RestOfWorkForgotten) => {}
                Turn::Again => list(&mut self.work, id, channel),
                Turn::Ended(reason) => {
                    self.paused.remove(&id);
                    end(&mut self.channels, id, reason, events);
                }
            }
        }
    }

    /// Closes the connection that has been idle for longest, if that is too long.
    fn expire_idle(&mut self, now: Instant, events: &mut PollEvents) {
        let Some(max_idle) = self.options.connections_max_idle else {
            return;
        };
        if !self.next_idle_check.is_over(now) {
            return;
        }
        if let Some((id, idle_until)) = oldest(&self.channels, max_idle) {
            if idle_until.is_over(now) {
                self.work.retain(|listed| *listed != id);
                self.paused.remove(&id);
                end(&mut self.channels, id, CloseReason::Idle, events);
            }
        }
        // Only one a poll: if the next one is due too, the next poll will not wait.
        self.next_idle_check =
            oldest(&self.channels, max_idle).map_or(Deadline::Never, |(_, idle_until)| idle_until);
    }
}

impl<P: Poller> Selectable for Selector<P> {
    fn connect(&mut self, id: ConnectionId, endpoint: Endpoint) -> Result<(), CloseReason> {
        let failed = |error: String| CloseReason::ConnectFailed(error.into());
        if self.channels.contains_key(&id) {
            return Err(failed(format!(
                "there is a connection to node {id} already"
            )));
        }
        let opened = self.poller.open(id, endpoint.address);
        let (stream, connected) = opened.map_err(|error| failed(error.to_string()))?;
        let built = self.builder.build(&endpoint, stream);
        let parts = built.map_err(|error| match error {
            TransportError::Io(error) => failed(error.to_string()),
            told => failure(told),
        })?;
        let now = self.clock.now();
        let max_response = self.options.max_response_bytes;
        let mut channel = KafkaChannel::new(id, parts, connected, max_response, now);
        if connected {
            list(&mut self.work, id, &mut channel);
        }
        self.channels.insert(id, channel);
        if let Some(max_idle) = self.options.connections_max_idle {
            self.next_idle_check = self.next_idle_check.min(Deadline::after(now, max_idle));
        }
        Ok(())
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(channel) = self.channels.remove(&id) {
            // A new connection of this id must not find the old one's place on the list.
            self.work.retain(|listed| *listed != id);
            self.paused.remove(&id);
            channel.close();
        }
    }

    fn is_channel_ready(&self, id: ConnectionId) -> bool {
        self.channels.get(&id).is_some_and(KafkaChannel::is_ready)
    }

    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused> {
        let channel = self
            .channels
            .get_mut(&id)
            .ok_or(SendRefused::NoConnection)?;
        let clock = &self.clock;
        channel.send(frame, || clock.now())?;
        // What is written here and now is no event of the next poll. That must not take the connection, and the
        // answer that is on its way, for idle. What has passed since the last poll is no matter beside that.
        if !planted!(SendingIsIdling) {
            channel.last_active = channel.last_active.max(self.last_poll);
        }
        note_pause(&mut self.paused, id, channel);
        if channel.has_work() {
            list(&mut self.work, id, channel);
        }
        Ok(())
    }

    fn take_completed_send(&mut self, id: ConnectionId) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else {
            return false;
        };
        let sent = channel.take_sent();
        // `send` has just put it at the end of the list, if that was all it had to do.
        if sent && !channel.has_work() && self.work.last() == Some(&id) {
            self.work.pop();
            channel.listed = false;
        }
        sent
    }

    fn is_send_untouched(&self, id: ConnectionId) -> bool {
        let channel = self.channels.get(&id);
        channel.is_some_and(KafkaChannel::is_send_untouched)
    }

    fn withdraw_send(&mut self, id: ConnectionId) -> bool {
        let channel = self.channels.get_mut(&id);
        channel.is_some_and(KafkaChannel::withdraw_send)
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()> {
        events.clear();
        let active = self.gather(self.wait_limit(timeout))?;
        let now = self.clock.now();
        self.last_poll = now;
        self.builder_due = self.builder.poll(now);
        self.work_off(active, now, events);
        self.expire_idle(now, events);
        Ok(())
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.poller.wake_up()
    }

    fn close_all(&mut self) {
        self.work.clear();
        self.paused.clear();
        self.next_idle_check = Deadline::Never;
        while let Some((_, channel)) = self.channels.pop_first() {
            channel.close();
        }
    }
}

/// Puts a channel on the list of work, unless it is there.
fn list(work: &mut Vec<ConnectionId>, id: ConnectionId, channel: &mut KafkaChannel) {
    if !channel.listed {
        channel.listed = true;
        work.push(id);
    }
}

/// Keeps whether, and until when, a channel waits for what no event tells of.
fn note_pause(
    paused: &mut BTreeMap<ConnectionId, Deadline>,
    id: ConnectionId,
    channel: &KafkaChannel,
) {
    match channel.paused_until() {
        Some(until) => {
            paused.insert(id, until);
        }
        None if paused.is_empty() => {}
        None => {
            paused.remove(&id);
        }
    }
}

/// Removes a channel that ended, and tells so.
fn end(
    channels: &mut BTreeMap<ConnectionId, KafkaChannel>,
    id: ConnectionId,
    reason: CloseReason,
    events: &mut PollEvents,
) {
    if let Some(channel) = channels.remove(&id) {
        // One that came and went in the same poll has not been there.
        events.authenticating.retain(|standing| *standing != id);
        events.connected.retain(|connected| *connected != id);
        events.authenticating_again.retain(|again| *again != id);
        events.authenticated_again.retain(|again| *again != id);
        events.disconnected.push(channel.end(reason));
    }
}

/// The connection that has been idle for longest, and when that is too long.
fn oldest(
    channels: &BTreeMap<ConnectionId, KafkaChannel>,
    max_idle: Duration,
) -> Option<(ConnectionId, Deadline)> {
    channels
        .iter()
        .min_by_key(|(_, channel)| channel.last_active)
        .map(|(id, channel)| (*id, Deadline::after(channel.last_active, max_idle)))
}

#[cfg(test)]
mod tests;
