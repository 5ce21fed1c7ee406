//! The sender: one thread that moves batches from the queues to the brokers and their answers back.

#[cfg(all(feature = "testing", feature = "_internals"))]
mod by_hand;
mod completion;
mod control;
mod errors;
mod failures;
mod in_flight;
mod produce;
mod refusal;
mod retry_log;
mod transactional;

use std::sync::Arc;
use std::time::Duration;

use crate::planted::planted;
use crate::util::log::{LogContext, debug, error};

use super::accumulator::{
    DrainGate, Drained, Drainer, DrainerOptions, EntryIndex, RecordAccumulator,
};
use super::batch::BatchId;
use super::counters::Counters;
use super::interceptor::AcknowledgementListener;
use super::metadata::ProducerMetadata;
use super::transaction::{RequestId, TransactionManager};
use super::wake::SenderWaker;
use crate::client::kafka_client::{ClientResponse, KafkaClient};
use crate::clock::log_limit::LogLimit;
use crate::clock::{Clock, Deadline, Instant};
use crate::types::{NodeId, UsableMagic};
use crate::util::backoff::ExponentialBackoff;

use crate::util::panic;
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) use by_hand::{Stepped, SteppedSender};
pub(crate) use control::SenderControl;
use in_flight::InFlightBatches;
use retry_log::RetryLog;

/// What a request was for: comes back with its answer.
#[derive(Debug)]
pub(crate) enum Completion {
    /// These batches, in the order they stand in the request.
    Produce(Vec<Produced>),
    /// What the transaction manager wanted.
    Transaction(RequestId),
}

/// One batch of a produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) index: EntryIndex,
    pub(crate) id: BatchId,
}

/// What the sender is told by the configuration.
#[derive(Debug, Clone)]
pub(crate) struct SenderOptions {
    /// As on the wire: 0, 1, or -1 for all.
    pub(crate) acks: i16,
    pub(crate) max_request_bytes: usize,
    pub(crate) retries: u32,
    pub(crate) request_timeout: Duration,
    pub(crate) retry_backoff: Duration,
    /// The largest wait before another attempt; the same as `retry_backoff` for a constant one.
    pub(crate) retry_backoff_max: Duration,
    pub(crate) linger: Duration,
    pub(crate) delivery_timeout: Duration,
    /// One request in flight per connection: batches of a partition go one at a time (SE-22).
    pub(crate) guarantee_order: bool,
    pub(crate) log: LogContext,
    pub(crate) seed: u64,
}

/// What the sender shares with others.
#[derive(Clone)]
pub(crate) struct SenderShared {
    pub(crate) accumulator: Arc<RecordAccumulator>,
    pub(crate) metadata: Arc<ProducerMetadata>,
    pub(crate) waker: Arc<SenderWaker>,
    pub(crate) control: Arc<SenderControl>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Drains the accumulator into requests and completes batches with the answers.
///
/// # Threads
/// Runs on its own thread; everything in it is that thread's alone, but for what is shared by `Arc`.
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.Sender`. Differs: one loop is one step without nested
/// polls or sleeps, so nothing that waits for a coordinator holds up batches that do not need it.
pub(crate) struct Sender<C> {
    options: SenderOptions,
    shared: SenderShared,
    client: C,
    drainer: Drainer,
    in_flight: InFlightBatches,
    transactions: Option<TransactionManager>,
    listener: Option<Arc<dyn AcknowledgementListener>>,
    backoff: ExponentialBackoff,
    random: fastrand::Rng,
    retry_log: RetryLog,
    /// For whatever brokers can make the sender say over and over.
    log_limit: LogLimit,
    scratch: Scratch,
}

/// What the poll of a step may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// Wait, at most until then.
    Until(Deadline),
    /// Look at the network and come back.
    No,
}

/// Vectors that keep their memory from loop to loop.
#[derive(Default)]
struct Scratch {
    nodes: Vec<NodeId>,
    drained: Vec<Drained>,
    responses: Vec<ClientResponse<Completion>>,
}

impl<C: KafkaClient<Completion>> Sender<C> {
    pub(crate) fn new(
        options: SenderOptions,
        shared: SenderShared,
        client: C,
        transactions: Option<TransactionManager>,
        listener: Option<Arc<dyn AcknowledgementListener>>,
    ) -> Self {
        let drainer = Drainer::new(DrainerOptions {
            linger: options.linger,
            delivery_timeout: options.delivery_timeout,
        });
        let backoff = ExponentialBackoff::new(
            options.retry_backoff,
            2,
            options.retry_backoff_max,
            RETRY_JITTER,
        );
        let random = fastrand::Rng::with_seed(options.seed);
        let in_flight = InFlightBatches::new(Arc::clone(&shared.counters));
        Self {
            options,
            shared,
            client,
            drainer,
            in_flight,
            transactions,
            listener,
            backoff,
            random,
            retry_log: RetryLog::default(),
            log_limit: LogLimit::default(),
            scratch: Scratch::default(),
        }
    }

    /// Runs until the producer is closed. A panic ends the producer, not the process: every waiter gets
    /// its message.
    pub(crate) fn run(mut self) {
        if let Err(reason) = panic::contain(|| self.run_until_closed()) {
            self.end_after_panic(&reason);
        }
        self.close_client();
    }

    pub(super) fn run_until_closed(&mut self) {
        debug!(self.options.log, "the sender thread has started");
        while self.goes_on() {
            self.run_once();
        }
        self.end();
    }

    /// Whether another step is to be taken: until the producer is closed, and then until nothing is left, unless
    /// that is not to be waited for.
    fn goes_on(&mut self) -> bool {
        self.shared.control.is_running() || !self.shared.control.is_forced() && self.has_work()
    }

    /// What is left after the last step is given up, and told so.
    fn end(&mut self) {
        if self.has_work() {
            self.abort_everything();
        } else {
            self.give_up_requests("the producer is closed");
        }
        debug!(self.options.log, "the sender thread ends");
    }

    fn end_after_panic(&mut self, reason: &str) {
        let message: Arc<str> = format!("the sender panicked: {reason}").into();
        // Nothing is let in any more before anything else that could go wrong.
        self.shared.control.fail(Arc::clone(&message));
        self.shared.metadata.close();
        self.shared.accumulator.close();
        error!(self.options.log, "{message}");
        if panic::contain(|| self.fail_everything_poisoned(&message)).is_err() {
            error!(self.options.log, "cleaning up after the panic panicked too",);
        }
        self.abandon_lost_batches(&message);
    }

    fn close_client(&mut self) {
        self.client.close();
        self.shared.counters.requests_in_flight(0);
    }

    fn has_work(&mut self) -> bool {
        let now = self.shared.clock.now();
        let accumulator = &self.shared.accumulator;
        has_unfinished_batches(accumulator, &mut self.drainer, &self.in_flight, now)
            || self.transactions.as_mut().is_some_and(|transactions| {
                transactions.handle_inbox();
                transactions.has_awaited_requests()
            })
    }

    /// One step: expire, make a transactional request if one is due, drain, send, poll, complete.
    pub(crate) fn run_once(&mut self) {
        let sleep = self.begin_step();
        self.poll(sleep);
        self.end_step();
    }

    /// All of a step that comes before the poll. The sender counts as asleep from now on, unless there is
    /// something to do already.
    fn begin_step(&mut self) -> Sleep {
        self.shared.counters.looped();
        let now = self.shared.clock.now();
        self.drainer.handle_inbox(&self.shared.accumulator, now);
        let version = self.shared.metadata.update_version();
        if version != self.drainer.cluster_version() {
            self.drainer
                .handle_cluster(self.shared.metadata.cluster(), version, now);
        }
        self.drainer.handle_timers(now);
        self.expire_batches(now);
        let mut request_due = self.run_transactions(now);
        let mut wake_at = self.send_produce_data(now);
        let transactions = self.transactions.as_ref();
        if transactions.is_some_and(TransactionManager::waits_for_batches) {
            // The last batch may have ended just now, unsent.
            request_due = self.run_transactions(now);
        }
        wake_at = wake_at.min(request_due);
        wake_at = wake_at.min(self.drainer.next_due());
        wake_at = wake_at.min(self.drainer.next_expiry());
        wake_at = wake_at.min(self.in_flight.next_expiry());
        if self.shared.waker.fall_asleep(wake_at) && !self.is_finished() {
            Sleep::Until(wake_at)
        } else {
            Sleep::No
        }
    }

    /// Whether a producer that is being closed has nothing left to wait for. Asked after all that a step
    /// does: the step itself may have ended the last batch.
    fn is_finished(&mut self) -> bool {
        !planted!(CloseSleepsAfterLastBatch)
            && !self.shared.control.is_running()
            && (self.shared.control.is_forced() || !self.has_work())
    }

    /// The time is read anew: compressing what the step has drained, and callbacks of what it gave up, may have
    /// taken long.
    fn poll(&mut self, sleep: Sleep) {
        let now = self.shared.clock.now();
        let timeout = match sleep {
            Sleep::Until(wake_at) => wake_at.remaining_or(now, LONGEST_POLL),
            Sleep::No => Duration::ZERO,
        };
        self.client.poll(timeout, now, &mut self.scratch.responses);
    }

    /// The poll is over.
    fn end_step(&mut self) {
        self.shared.waker.wake_up();
        if self.scratch.responses.is_empty() {
            return;
        }
        let mut responses = std::mem::take(&mut self.scratch.responses);
        let now = self.shared.clock.now();
        for response in responses.drain(..) {
            self.handle_response(response, now);
        }
        self.scratch.responses = responses;
        self.shared
            .counters
            .requests_in_flight(self.client.in_flight_request_count());
    }

    /// Sends what is ready. Returns when to look again, apart from the network's events.
    fn send_produce_data(&mut self, now: Instant) -> Deadline {
        self.ask_for_leaders(now);
        let mut look_again = Deadline::Never;
        let mut nodes = std::mem::take(&mut self.scratch.nodes);
        let everything = self.shared.accumulator.sends_everything();
        self.drainer.ready_nodes(everything, &mut nodes);
        for id in nodes.drain(..) {
            let Some(node) = self.drainer.cluster().node(id).cloned() else {
                continue;
            };
            if self.client.ready(&node, now) {
                if self.drain_and_send(id, everything, now) {
                    look_again = Deadline::At(now);
                }
            } else if planted!(SpinsWhileNotReady) {
                look_again = Deadline::At(now);
            } else {
                look_again = look_again.min(self.client.poll_deadline(id, now));
            }
        }
        self.scratch.nodes = nodes;
        look_again
    }

    /// Batches whose partition has no leader make the metadata be asked for again, and keep their
    /// topics from being forgotten (MD-28).
    fn ask_for_leaders(&mut self, now: Instant) {
        let topics = self.drainer.take_leaderless_topics();
        if topics.is_empty() {
            return;
        }
        debug!(
            self.options.log,
            "no leader known for partitions of {topics:?}",
        );
        for topic in &topics {
            self.shared.metadata.add_topic(topic, now);
        }
        self.shared.metadata.request_update();
    }

    /// Drains one node into one request; true when there is more to send at once (SE-5). A pass that
    /// took nothing found only what the gate holds back: an answer will end the wait for that.
    fn drain_and_send(&mut self, node: NodeId, everything: bool, now: Instant) -> bool {
        let mut drained = std::mem::take(&mut self.scratch.drained);
        let gate = self
            .transactions
            .as_mut()
            .map(|gate| gate as &mut dyn DrainGate);
        let result = self.drainer.drain(
            node,
            self.options.max_request_bytes,
            gate,
            now,
            &mut drained,
        );
        if !drained.is_empty() {
            // Batches that linger had to close are compressed on the way, which takes its time: neither must a
            // request time out that was not sent yet, nor be sent what is overdue by now.
            let now = self.shared.clock.now();
            self.send_produce_request(node, &mut drained, now);
        }
        self.scratch.drained = drained;
        result.cut_short || (result.batches > 0 && self.drainer.is_ready(node, everything))
    }
}

/// Whether a batch has not ended: wherever it is.
fn has_unfinished_batches(
    accumulator: &RecordAccumulator,
    drainer: &mut Drainer,
    in_flight: &InFlightBatches,
    now: Instant,
) -> bool {
    let is_under_way = in_flight.live_count() > 0 && !planted!(CloseForgetsUnderWay);
    has_queued_batches(accumulator, drainer, now) || is_under_way
}

/// Whether a batch is not under way yet, or not any more.
pub(super) fn has_queued_batches(
    accumulator: &RecordAccumulator,
    drainer: &mut Drainer,
    now: Instant,
) -> bool {
    // Asked first: what is no longer being packed is in the inbox.
    let is_packing = accumulator.is_packing();
    drainer.handle_inbox(accumulator, now);
    is_packing || drainer.has_undrained()
}

/// The longest poll when nothing at all is due: the clock's range is not the poller's.
const LONGEST_POLL: Duration = Duration::from_secs(3600);

/// How far apart producers that failed together are spread when backoff grows (KIP-580).
const RETRY_JITTER: f64 = 0.2;

#[cfg(test)]
mod tests;
