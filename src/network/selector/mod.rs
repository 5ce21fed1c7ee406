//! Selector: the event loop over all connections, on one thread.
//!
//! Readiness events are edge-triggered, so each channel stores its readiness. Channels that have work to do without a
//! further event are in the work list; while it is not empty, a poll does not block.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::channel::{ChannelTurn, KafkaChannel, failure};
use super::channel_builder::ChannelBuilder;
use super::endpoint::Endpoint;
use super::metrics::SelectorMetrics;
use super::poller::Poller;
use super::selectable::{CloseReason, ConnectionId, PollEvents, Selectable, SendRefused, WakeUp};
use super::transport::TransportError;
use crate::clock::{Clock, Deadline, Instant};
use crate::planted::planted;
use crate::protocol::Frame;

/// Limit on the size of one response, without length prefix: far above any response to a producer.
///
/// Kafka's Java producer has no limit; librdkafka's `receive.message.max.bytes` has this default.
pub(crate) const MAX_RESPONSE_BYTES: usize = 100 * 1024 * 1024;

/// Size of the read buffer, which all connections share.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Longest timeout of one poll: longer ones overflow the system call's argument on some platforms.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Options of a selector.
#[derive(Debug, Clone)]
pub(crate) struct SelectorOptions {
    /// `connections.max.idle.ms`, the idle timeout; `None` for none.
    pub(crate) connections_max_idle: Option<Duration>,
    /// Limit on the size of a response: a larger one closes its connection. [`MAX_RESPONSE_BYTES`] by default.
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

/// Selector over the streams of a poller; a channel builder makes each channel's transport and authenticator.
///
/// # Threads
/// Owned by one thread; only the waker that [`wake_up`](Selectable::wake_up) returns may be used by others.
/// # Kafka
/// `org.apache.kafka.common.network.Selector`.
pub(crate) struct Selector<P: Poller> {
    poller: P,
    builder: Box<dyn ChannelBuilder<P::Stream>>,
    options: SelectorOptions,
    clock: Arc<dyn Clock>,
    metrics: SelectorMetrics,
    channels: BTreeMap<ConnectionId, KafkaChannel>,
    /// Work list: channels that get a turn in the next poll, each at most once.
    work: Vec<ConnectionId>,
    /// The previous work list: it is empty, and kept for its allocation.
    finished_work: Vec<ConnectionId>,
    /// Channels whose authentication is paused, and until when: each poll gives them a turn.
    paused: BTreeMap<ConnectionId, Deadline>,
    /// When the builder's periodic work is due at the latest.
    builder_due: Deadline,
    /// Lower bound of all idle deadlines; the earliest of them may be later.
    next_idle_check: Deadline,
    /// When the last poll stopped blocking.
    last_poll: Instant,
    /// Read buffer.
    scratch: Box<[u8]>,
}

impl<P: Poller> Selector<P> {
    /// A selector without connections.
    pub(crate) fn new(
        poller: P,
        builder: Box<dyn ChannelBuilder<P::Stream>>,
        options: SelectorOptions,
        clock: Arc<dyn Clock>,
        metrics: SelectorMetrics,
    ) -> Self {
        let last_poll = clock.now();
        Self {
            poller,
            builder,
            options,
            clock,
            metrics,
            channels: BTreeMap::new(),
            work: Vec::new(),
            finished_work: Vec::new(),
            paused: BTreeMap::new(),
            builder_due: Deadline::Never,
            next_idle_check: Deadline::Never,
            last_poll,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        }
    }

    /// How long a poll may block.
    fn wait_limit(&self, timeout: Option<Duration>) -> Duration {
        // No event will report the channels in the work list, so the poll only fetches events that have occurred
        // already.
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

    /// Waits for events, passes them to their channels, and adds those channels to the work list, followed by the
    /// paused ones. Returns the number of channels before the paused ones: they are active, while a paused one only
    /// checks whether its pause is over.
    fn wait_for_events(&mut self, wait: Duration) -> io::Result<usize> {
        let (channels, work) = (&mut self.channels, &mut self.work);
        self.poller.wait(wait, |id, event| {
            if let Some(channel) = channels.get_mut(&id) {
                channel.note(event);
                enqueue(work, id, channel);
            }
        })?;
        let active = self.work.len();
        for id in self.paused.keys() {
            if let Some(channel) = self.channels.get_mut(id) {
                enqueue(&mut self.work, *id, channel);
            }
        }
        Ok(active)
    }

    /// Gives each channel of the work list one turn. The first `active` of them count as not idle.
    fn run_turns(&mut self, active: usize, now: Instant, events: &mut PollEvents) {
        // Turns fill the next list while this one is drained: each channel gets one turn per poll.
        std::mem::swap(&mut self.work, &mut self.finished_work);
        for (at, id) in self.finished_work.drain(..).enumerate() {
            let Some(channel) = self.channels.get_mut(&id) else {
                continue;
            };
            channel.listed = false;
            // Checking a pause is no activity: a connection whose token never arrives must reach its idle timeout.
            if at < active {
                channel.last_active = now;
            }
            let turn = channel.turn(&mut self.scratch, now, events);
            record(&mut self.metrics, channel, now);
            update_paused(&mut self.paused, id, channel);
            match turn {
                ChannelTurn::Wait => {}
                ChannelTurn::Again if planted!(RestOfWorkForgotten) => {}
                ChannelTurn::Again => enqueue(&mut self.work, id, channel),
                ChannelTurn::Ended(reason) => {
                    self.paused.remove(&id);
                    if let Some(channel) = self.channels.remove(&id) {
                        close_and_report(channel, reason, &self.metrics, now, events);
                    }
                }
            }
        }
    }

    /// Closes the connection that has been idle longest, if its idle timeout is over.
    ///
    /// # Kafka
    /// `Selector#maybeCloseOldestConnection`.
    fn expire_idle(&mut self, now: Instant, events: &mut PollEvents) {
        let Some(max_idle) = self.options.connections_max_idle else {
            return;
        };
        if !self.next_idle_check.is_over(now) {
            return;
        }
        if let Some((id, idle_until)) = longest_idle(&self.channels, max_idle) {
            if idle_until.is_over(now) {
                self.work.retain(|listed| *listed != id);
                self.paused.remove(&id);
                if let Some(channel) = self.channels.remove(&id) {
                    close_and_report(channel, CloseReason::Idle, &self.metrics, now, events);
                }
            }
        }
        // Each poll closes one connection, as in Java: if another one is due, the next poll does not block.
        self.next_idle_check = longest_idle(&self.channels, max_idle)
            .map_or(Deadline::Never, |(_, idle_until)| idle_until);
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
            other => failure(other),
        })?;
        let now = self.clock.now();
        let max_response = self.options.max_response_bytes;
        let mut channel = KafkaChannel::new(id, parts, connected, max_response, now);
        channel.metrics = Some(self.metrics.connection(id, self.builder.authenticates()));
        if connected {
            enqueue(&mut self.work, id, &mut channel);
        }
        self.channels.insert(id, channel);
        if let Some(max_idle) = self.options.connections_max_idle {
            self.next_idle_check = self.next_idle_check.min(Deadline::after(now, max_idle));
        }
        Ok(())
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(channel) = self.channels.remove(&id) {
            // A new connection of this id must not inherit the old one's place in the work list.
            self.work.retain(|listed| *listed != id);
            self.paused.remove(&id);
            channel.close();
            self.metrics.record_closed(self.clock.now());
        }
    }

    fn is_channel_ready(&self, id: ConnectionId) -> bool {
        self.channels.get(&id).is_some_and(KafkaChannel::is_ready)
    }

    fn has_unread_input(&self, id: ConnectionId) -> bool {
        let channel = self.channels.get(&id);
        channel.is_some_and(|channel| channel.listed && channel.has_unread_input())
    }

    fn waits_for(&self, id: ConnectionId) -> Option<&'static str> {
        self.channels.get(&id).and_then(KafkaChannel::waits_for)
    }

    #[cfg(feature = "cli")]
    fn tls_facts(&self, id: ConnectionId) -> Option<super::tls_facts::TlsFacts> {
        self.channels.get(&id).and_then(KafkaChannel::tls_facts)
    }

    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused> {
        let channel = self
            .channels
            .get_mut(&id)
            .ok_or(SendRefused::NoConnection)?;
        let clock = &self.clock;
        channel.send(frame, || clock.now())?;
        // A frame that is written here causes no event in the next poll, which must not close the connection as idle
        // while the response is awaited. The time of the last poll is exact enough, and saves reading the clock.
        if !planted!(SendingIsIdling) {
            channel.last_active = channel.last_active.max(self.last_poll);
        }
        record(&mut self.metrics, channel, self.last_poll);
        // The send may have started a re-authentication, which may have paused.
        update_paused(&mut self.paused, id, channel);
        if channel.has_work() {
            enqueue(&mut self.work, id, channel);
        }
        Ok(())
    }

    fn take_completed_send(&mut self, id: ConnectionId) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else {
            return false;
        };
        let sent = channel.take_sent();
        // `send` has just appended the channel to the work list. If reporting the send was its only work, remove it
        // again, or the next poll would not block.
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
        let wait = self.wait_limit(timeout);
        let began = self.clock.now();
        let active = self.wait_for_events(wait)?;
        // The wait may have blocked: timeouts and metrics need the time after it.
        let now = self.clock.now();
        self.last_poll = now;
        self.builder_due = self.builder.poll(now);
        self.run_turns(active, now, events);
        self.expire_idle(now, events);
        let worked = self.clock.now() - now;
        self.metrics.record_poll(now - began, worked, now);
        Ok(())
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.poller.wake_up()
    }

    fn close_all(&mut self) {
        self.work.clear();
        self.paused.clear();
        self.next_idle_check = Deadline::Never;
        let now = self.clock.now();
        while let Some((_, channel)) = self.channels.pop_first() {
            channel.close();
            self.metrics.record_closed(now);
        }
    }
}

/// Adds a channel to the work list, unless it is listed already.
fn enqueue(work: &mut Vec<ConnectionId>, id: ConnectionId, channel: &mut KafkaChannel) {
    if !channel.listed {
        channel.listed = true;
        work.push(id);
    }
}

/// Updates the set of paused channels after a turn of a channel.
fn update_paused(
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

/// Records a channel's activity in its metrics.
fn record(metrics: &mut SelectorMetrics, channel: &mut KafkaChannel, now: Instant) {
    if let Some(recorded) = &mut channel.metrics {
        metrics.record(recorded, &mut channel.activity, now);
    }
}

/// Closes a channel that was removed from the map, and reports it as disconnected.
fn close_and_report(
    channel: KafkaChannel,
    reason: CloseReason,
    metrics: &SelectorMetrics,
    now: Instant,
    events: &mut PollEvents,
) {
    if let CloseReason::AuthenticationFailed(_) = &reason {
        metrics.record_refusal(channel.has_been_ready(), now);
    }
    metrics.record_closed(now);
    let ended = channel.end(reason);
    let id = ended.id;
    // A connection that was established and closed in the same poll is reported as disconnected only.
    events.authenticating.retain(|standing| *standing != id);
    events.connected.retain(|connected| *connected != id);
    events.authenticating_again.retain(|again| *again != id);
    events.authenticated_again.retain(|again| *again != id);
    events.disconnected.push(ended);
}

/// The connection that has been idle longest, and its idle deadline.
fn longest_idle(
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
