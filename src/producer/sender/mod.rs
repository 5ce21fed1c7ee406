//! The sender thread: drains batches from the accumulator into produce requests and completes them with the responses.

mod attempt;
#[cfg(feature = "testing")]
mod by_hand;
mod completion;
mod control;
mod ended;
mod errors;
mod failures;
mod in_flight;
mod metrics;
mod produce;
mod refusal;
mod retry_log;
mod spin;
mod transactional;

use std::sync::Arc;
use std::time::Duration;

use crate::planted::planted;
use crate::util::log::{LogContext, debug, error};

use super::accumulator::{
    DrainGate, Drained, Drainer, DrainerOptions, EntryIndex, RecordAccumulator,
};
use super::batch::{BatchId, SealedBatch};
use super::counters::Counters;
use super::interceptor::AcknowledgementListener;
use super::metadata::ProducerMetadata;
use super::produce_request_result::BatchOutcome;
use super::sensors::ProducerSensors;
use super::transaction::{RequestId, TransactionManager};
use super::wake::SenderWaker;
use crate::client::kafka_client::{ClientResponse, KafkaClient};
use crate::clock::log_limit::LogLimit;
use crate::clock::{Clock, Deadline, Instant};
use crate::error::{CLOSED, ProducerFailure};
use crate::metrics::MetricsRegistry;
use crate::types::{NodeId, UsableMagic};
use crate::util::backoff::ExponentialBackoff;

use crate::util::panic;
#[cfg(feature = "testing")]
pub(crate) use by_hand::{BatchEnd, Stepped, SteppedSender};
pub(crate) use control::SenderControl;
use failures::Expiry;
use in_flight::InFlightBatches;
use metrics::SenderMetrics;
use retry_log::RetryLog;
use spin::Spin;

/// The tag of a request, by which its response is handled.
#[derive(Debug)]
pub(crate) enum Completion {
    /// A produce request with these batches, in the order of the request.
    Produce(Vec<Produced>),
    /// A request of the transaction manager.
    Transaction(RequestId),
}

/// One batch of a produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) index: EntryIndex,
    pub(crate) id: BatchId,
}

/// A completed batch whose callbacks have not run and whose futures are not completed yet.
struct EndedBatch {
    batch: Box<SealedBatch>,
    outcome: BatchOutcome,
}

/// The sender's configuration.
#[derive(Debug, Clone)]
pub(crate) struct SenderOptions {
    /// As on the wire: 0, 1, or -1 for all.
    pub(crate) acks: i16,
    pub(crate) max_request_bytes: usize,
    pub(crate) retries: u32,
    pub(crate) request_timeout: Duration,
    pub(crate) retry_backoff: Duration,
    /// The upper bound of the exponential retry back-off; equal to `retry_backoff` for a constant one.
    pub(crate) retry_backoff_max: Duration,
    pub(crate) linger: Duration,
    pub(crate) delivery_timeout: Duration,
    /// Whether at most one batch of a partition is in flight, because `max.in.flight.requests.per.connection` is 1
    /// (SE-22).
    pub(crate) guarantee_order: bool,
    pub(crate) log: LogContext,
    pub(crate) seed: u64,
}

/// The parts that the sender shares with application threads.
#[derive(Clone)]
pub(crate) struct SenderShared {
    pub(crate) accumulator: Arc<RecordAccumulator>,
    pub(crate) metadata: Arc<ProducerMetadata>,
    pub(crate) waker: Arc<SenderWaker>,
    pub(crate) control: Arc<SenderControl>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) metrics: Arc<MetricsRegistry>,
    pub(crate) sensors: Arc<ProducerSensors>,
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Drains the accumulator into requests and completes batches with the responses.
///
/// # Threads
/// Runs on its own thread. Other threads access only the parts that are shared by `Arc`.
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.Sender`. Differs: one loop iteration is one step without nested polls
/// or sleeps, so waiting for a coordinator never blocks other batches; user code runs at one place of each half of a
/// step (`ended.rs`), not wherever a batch ends or a metric is registered, so that no step uses a time that was read
/// before user code ran.
pub(crate) struct Sender<C> {
    options: SenderOptions,
    shared: SenderShared,
    client: C,
    drainer: Drainer,
    in_flight: InFlightBatches,
    /// Completed batches whose callbacks are still to run, in this order.
    ended: Vec<EndedBatch>,
    transactions: Option<TransactionManager>,
    listener: Option<Arc<dyn AcknowledgementListener>>,
    backoff: ExponentialBackoff,
    random: fastrand::Rng,
    metrics: SenderMetrics,
    retry_log: RetryLog,
    /// Rate limit for warnings that a broker can provoke again and again.
    log_limit: LogLimit,
    /// The time at which the last poll had read the sockets. Responses that came since are unread, so everything that
    /// waits for a response times out by this time, not by a later one.
    polled_at: Instant,
    /// Only on a thread of its own: a sender that is stepped does not spin.
    spin: Option<Spin>,
    /// Whether a response has come since the sender last decided whether to spin.
    was_answered: bool,
    scratch: LoopBuffers,
}

/// Whether the poll of a step may block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// Block until a network event, a wake-up or this deadline.
    Until(Deadline),
    /// Poll without blocking.
    No,
}

/// Scratch vectors, reused in each step to save allocations.
#[derive(Default)]
struct LoopBuffers {
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
        let metrics = SenderMetrics::new(Arc::clone(&shared.metrics), &shared.sensors);
        let polled_at = shared.clock.now();
        Self {
            options,
            shared,
            client,
            drainer,
            in_flight,
            ended: Vec::new(),
            transactions,
            listener,
            backoff,
            random,
            metrics,
            retry_log: RetryLog::default(),
            log_limit: LogLimit::default(),
            polled_at,
            spin: None,
            was_answered: false,
            scratch: LoopBuffers::default(),
        }
    }

    /// The thread's main function: runs until the producer is closed. A panic ends the producer, not the process: every
    /// waiting call fails with the panic's message.
    pub(crate) fn run(mut self) {
        self.spin = Some(Spin::new());
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

    /// Whether the loop takes another step: while the producer runs; after `close` until no batch and no awaited
    /// request is left; not after a forced close.
    fn goes_on(&mut self) -> bool {
        if self.shared.control.is_running() {
            return true;
        }
        if self.shared.control.is_forced() {
            return false;
        }
        self.abort_open_transaction();
        self.has_work()
    }

    /// Shutdown after the last step: fails the remaining batches and requests.
    fn end(&mut self) {
        self.note_open_transaction();
        if self.has_work() {
            self.abort_everything();
        } else {
            // The queue may still hold transactional requests that no call waits for. They are not sent, and their
            // handlers are called.
            self.give_up_requests(CLOSED);
        }
        self.run_user_code();
        debug!(self.options.log, "the sender thread ends");
    }

    fn end_after_panic(&mut self, reason: &str) {
        let failure = ProducerFailure::panicked(reason);
        let message = failure.to_string();
        // The failure is set first: it refuses new calls, even if a later step of the cleanup panics.
        self.shared.control.fail(failure);
        // Closing wakes every thread that is blocked in `send` for metadata or for buffer memory.
        self.shared.metadata.close();
        self.shared.accumulator.close();
        error!(self.options.log, "{message}");
        if panic::contain(|| self.fail_everything_poisoned(&message)).is_err() {
            error!(self.options.log, "cleaning up after the panic panicked too",);
        }
        // Last: batches that were on the stack when the sender panicked are in no collection that the cleanup above
        // goes through.
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
                transactions.has_awaited_requests(self.polled_at)
            })
    }

    /// One step: expire, make a transactional request if one is due, drain, send, poll, complete.
    pub(crate) fn run_once(&mut self) {
        let sleep = self.begin_step();
        self.poll(sleep);
        self.end_step();
    }

    /// The part of a step before the poll: expiry, transactional requests, drain and send. Sets the waker's state to
    /// asleep, unless there is work already.
    ///
    /// All of this part uses the time that is read at its beginning, or read again after compression; time-outs of
    /// requests in flight use the time of the last poll. User code (callbacks) comes last, as it may take long.
    /// Transactional requests that waited for the completed batches are then tried again, with a new time.
    fn begin_step(&mut self) -> Sleep {
        self.shared.counters.looped();
        let now = self.shared.clock.now();
        // Inputs are read while the waker's state is awake: work published after this makes `fall_asleep` fail below.
        let was_signalled = self.drainer.handle_inbox(&self.shared.accumulator, now);
        // The version is read before the cluster: at worst a newer cluster is handled under an older version, and
        // handled again in the next step.
        let version = self.shared.metadata.update_version();
        if version != self.drainer.cluster_version() {
            self.drainer
                .handle_cluster(self.shared.metadata.cluster(), version, now);
            self.metrics.forget_topics(&self.shared.metadata);
        }
        self.drainer.handle_timers(now);
        // Before the drain, so that an expired batch is never sent (SE-8).
        let expiry = self.expire_batches(now);
        if expiry == Expiry::AfterPoll {
            // The sockets are read first: a batch that is sent or expired now could end before an older batch of its
            // partition whose response is unread.
            self.run_user_code();
            return Sleep::No;
        }
        // Also before the drain: the transaction manager may begin a new epoch, and the batches of the new epoch are
        // then sent in this same step.
        let mut request_due = self.run_transactions(now);
        let in_flight = self.in_flight.live_count();
        let mut wake_at = self.send_produce_data(now);
        let has_sent = self.in_flight.live_count() > in_flight;
        if self.run_user_code() && self.waits_for_batches() {
            // The last batch that the request waits for may have failed just now without being sent.
            let now = self.shared.clock.now();
            request_due = self.run_transactions(now);
            if self.run_user_code() {
                wake_at = Deadline::At(now);
            }
        }
        // The poll ends at the earliest deadline: request back-off, close timeout, linger, retry back-off or delivery
        // timeout.
        wake_at = wake_at.min(request_due);
        let transactions = self.transactions.as_ref();
        let answered_until = self.polled_at;
        if let Some(transactions) =
            transactions.filter(|it| it.has_awaited_requests(answered_until))
        {
            wake_at = wake_at.min(transactions.close_deadline());
        }
        wake_at = wake_at.min(self.drainer.next_due());
        wake_at = wake_at.min(self.drainer.next_expiry());
        wake_at = wake_at.min(self.in_flight.next_expiry());
        let was_answered = std::mem::take(&mut self.was_answered);
        let worked = was_signalled || has_sent || was_answered;
        let spin = self.spin.as_mut();
        if spin.is_some_and(|spin| spin.polls_again(worked, now)) {
            // Still awake: work that comes now needs no system call to wake the sender.
            return Sleep::No;
        }
        // `fall_asleep` fails if the sender was notified since the last poll: then the poll must not wait.
        let falls_asleep = self.shared.waker.fall_asleep(wake_at);
        if falls_asleep && expiry == Expiry::Done && !self.is_finished() {
            Sleep::Until(wake_at)
        } else {
            Sleep::No
        }
    }

    /// Whether a transactional request (EndTxn) waits for batches to complete.
    fn waits_for_batches(&self) -> bool {
        let transactions = self.transactions.as_ref();
        transactions.is_some_and(TransactionManager::waits_for_batches)
    }

    /// Whether a closing producer has nothing left to deliver. Checked at the end of `begin_step`, which may itself
    /// have completed the last batch: nothing would then end the poll.
    fn is_finished(&mut self) -> bool {
        !planted!(CloseSleepsAfterLastBatch)
            && !self.shared.control.is_running()
            && (self.shared.control.is_forced() || !self.has_work())
    }

    /// Polls the network. The time is read again: compressing drained batches and the callbacks of failed ones may have
    /// taken long.
    fn poll(&mut self, sleep: Sleep) {
        let now = self.shared.clock.now();
        let timeout = match sleep {
            Sleep::Until(wake_at) => wake_at.remaining_or(now, LONGEST_POLL),
            Sleep::No => Duration::ZERO,
        };
        self.polled_at = self.client.poll(timeout, now, &mut self.scratch.responses);
        self.notify_plugins();
    }

    /// The part of a step after the poll: handles the responses, then runs the callbacks of completed batches.
    fn end_step(&mut self) {
        self.shared.waker.wake_up();
        // Set even if the list of responses is empty, since it lacks responses to the client's own requests. Set before
        // the callbacks run, so that they see the request of their record as completed.
        self.shared
            .counters
            .requests_in_flight(self.client.in_flight_request_count());
        if self.scratch.responses.is_empty() {
            return;
        }
        self.was_answered = true;
        // Taken out of `self`, which the handlers borrow mutably; put back below to keep its capacity.
        let mut responses = std::mem::take(&mut self.scratch.responses);
        let now = self.shared.clock.now();
        for response in responses.drain(..) {
            self.handle_response(response, now);
        }
        self.scratch.responses = responses;
        self.complete_ended();
    }

    /// Drains and sends to every ready node. Returns the time of the next attempt, if no network event comes before it.
    fn send_produce_data(&mut self, mut now: Instant) -> Deadline {
        self.ask_for_leaders(now);
        let mut look_again = Deadline::Never;
        let mut nodes = std::mem::take(&mut self.scratch.nodes);
        // TM-31: while a transaction is being ended nothing lingers.
        let completes = (self.transactions.as_ref()).is_some_and(TransactionManager::is_completing);
        let everything = self.shared.accumulator.sends_everything() || completes;
        self.drainer.ready_nodes(everything, &mut nodes);
        for id in nodes.drain(..) {
            let Some(node) = self.drainer.cluster().node(id).cloned() else {
                continue;
            };
            // `ready` also starts connecting. Batches of a node that is not ready stay queued; other nodes go on.
            if self.client.ready(&node, now) {
                if self.drain_and_send(id, everything, &mut now) {
                    look_again = Deadline::At(now);
                }
            } else if planted!(SpinsWhileNotReady) {
                look_again = Deadline::At(now);
            } else {
                // The deadline is the end of the reconnect back-off or throttle time. A connection in progress ends the
                // poll by itself.
                look_again = look_again.min(self.client.poll_deadline(id, now));
            }
        }
        self.scratch.nodes = nodes;
        look_again
    }

    /// Requests a metadata update for queued batches without a leader, and keeps their topics from expiring from the
    /// metadata (MD-28).
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

    /// Drains one node's batches into one produce request; true if more batches can be sent at once (SE-5). After a
    /// drain without batches it is false: the gate holds all ready batches back until a response comes. `now` advances
    /// to the time of the request.
    fn drain_and_send(&mut self, node: NodeId, everything: bool, now: &mut Instant) -> bool {
        let mut drained = std::mem::take(&mut self.scratch.drained);
        // The transaction manager is the drain gate: it may hold batches back, and assigns producer id and sequence.
        let gate = self
            .transactions
            .as_mut()
            .map(|gate| gate as &mut dyn DrainGate);
        let result = self.drainer.drain(
            node,
            self.options.max_request_bytes,
            gate,
            *now,
            &mut drained,
        );
        if !drained.is_empty() {
            // The drain may have compressed batches, which takes time. With the time read again, the request does not
            // time out before it is sent, and batches that are overdue by now are not sent.
            *now = self.shared.clock.now();
            self.send_produce_request(node, &mut drained, *now);
        }
        self.scratch.drained = drained;
        result.cut_short || (result.batches > 0 && self.drainer.is_ready(node, everything))
    }
}

/// Whether a batch is queued or in flight. Completed batches whose callbacks are still to run do not count.
fn has_unfinished_batches(
    accumulator: &RecordAccumulator,
    drainer: &mut Drainer,
    in_flight: &InFlightBatches,
    now: Instant,
) -> bool {
    let is_under_way = in_flight.live_count() > 0 && !planted!(CloseForgetsUnderWay);
    has_queued_batches(accumulator, drainer, now) || is_under_way
}

/// Whether a batch is queued: not sent yet, or waiting for its retry.
pub(super) fn has_queued_batches(
    accumulator: &RecordAccumulator,
    drainer: &mut Drainer,
    now: Instant,
) -> bool {
    // Read before the inbox: a batch whose packing has ended by now is in the inbox.
    let is_packing = accumulator.is_packing();
    drainer.handle_inbox(accumulator, now);
    is_packing || drainer.has_undrained()
}

/// The longest poll timeout, for when no deadline is due: the clock's range is larger than the poller's.
const LONGEST_POLL: Duration = Duration::from_secs(3600);

/// Jitter of the exponential retry back-off, as a fraction: spreads the retries of producers that failed together
/// (KIP-580).
const RETRY_JITTER: f64 = 0.2;

#[cfg(test)]
mod tests;
