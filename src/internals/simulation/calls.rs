//! Blocking calls as futures: each poll takes the steps that are possible, and nothing ever blocks the thread. So all
//! threads of an application are tasks on one thread, which the simulator interleaves.
//!
//! A waiting call is stepped again only when a blocked thread would have been woken: when its event was signalled, or
//! its time is up. A lost wake-up therefore shows as a call that never returns.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::World;
use crate::clock::{Clock, Deadline};
use crate::error::{
    CloseError, FlushError, MetadataError, ProduceError, SendError, TransactionError,
};
use crate::producer::accumulator::RecordAccumulator;
use crate::producer::accumulator::by_hand::{self, Unfinished};
use crate::producer::future::FutureRecordMetadata;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::record::{ProducerRecord, RecordData};
use crate::producer::record_metadata::RecordMetadata;
use crate::producer::thunks::AnyCallback;
use crate::producer::transaction::{OffsetsToCommit, Operation};
use crate::producer::try_send::TrySendError;
use crate::producer::waiting::{BlockingCall, Step, Wait, awake};
use crate::types::{ConsumerGroupMetadata, OffsetAndMetadata, PartitionInfo, TopicPartition};

/// Wait state of a task: what it waits for, and until when.
pub struct Parking {
    world: World,
    /// Time for each step of packing a batch.
    packing: Box<dyn Fn() -> Duration>,
    until: Cell<Deadline>,
    /// How often a wait has begun or ended.
    moves: Cell<u64>,
    waits_for: RefCell<Option<&'static str>>,
}

impl Parking {
    /// Creates the wait state of one task. From now on a call that would block this thread panics instead.
    pub fn new(world: &World) -> Self {
        awake::stay();
        Self {
            world: world.clone(),
            packing: Box::new(|| Duration::ZERO),
            until: Cell::new(Deadline::Never),
            moves: Cell::new(0),
            waits_for: RefCell::new(None),
        }
    }

    /// Sets the simulated time that each step of packing a batch takes.
    #[must_use]
    pub fn with_packing(mut self, takes: impl Fn() -> Duration + 'static) -> Self {
        self.packing = Box::new(takes);
        self
    }

    /// The time at which the current wait ends at the latest; `None` if it has no time limit.
    pub fn until(&self) -> Option<Duration> {
        match self.until.get() {
            Deadline::At(at) => Some(self.world.elapsed_at(at)),
            Deadline::Never => None,
        }
    }

    /// Whether the time of the current wait is up.
    pub fn is_over(&self) -> bool {
        self.until.get().is_over(self.world.clock().now())
    }

    /// The event that the task waits for; `None` if it does not wait.
    pub fn waits_for(&self) -> Option<&'static str> {
        *self.waits_for.borrow()
    }

    /// A counter that changes whenever the task makes progress.
    pub fn moves(&self) -> u64 {
        self.moves.get()
    }

    /// Waits for simulated time to pass.
    pub async fn sleep(&self, time: Duration) {
        let until = Deadline::after(self.world.clock().now(), time);
        self.park("time", until);
        poll_fn(|_| {
            if self.is_over() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.go_on();
    }

    /// Waits until a condition holds. It is checked at each poll of the task.
    pub async fn wait_until(&self, what: &'static str, mut is_so: impl FnMut() -> bool) {
        self.park(what, Deadline::Never);
        poll_fn(|_| {
            if is_so() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.go_on();
    }

    /// As [`wait_until`](Self::wait_until), with a time limit.
    pub async fn wait_until_within(
        &self,
        what: &'static str,
        most: Duration,
        mut is_so: impl FnMut() -> bool,
    ) {
        self.park(what, Deadline::after(self.world.clock().now(), most));
        poll_fn(|_| {
            if is_so() || self.is_over() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.go_on();
    }

    /// Yields: other tasks may run before this one continues.
    pub async fn give_way(&self) {
        // The deadline is now, so the task counts as runnable, not as waiting.
        self.until.set(Deadline::At(self.world.clock().now()));
        self.moves.set(self.moves.get() + 1);
        let mut has_given_way = false;
        poll_fn(|_| {
            if std::mem::replace(&mut has_given_way, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.go_on();
    }

    /// Packs the batches that a step of a call has filled. Each packing step takes its time, and other tasks may run
    /// before it.
    async fn pack(&self, begun: Vec<Unfinished>) {
        for unfinished in begun {
            loop {
                self.sleep((self.packing)()).await;
                self.give_way().await;
                if !unfinished.step() {
                    break;
                }
            }
        }
    }

    /// As [`drive`](Self::drive), for a call that may fill batches.
    async fn drive_and_pack<C: BlockingCall>(
        &self,
        accumulator: &Arc<RecordAccumulator>,
        call: &mut C,
    ) -> C::Output {
        loop {
            let (step, begun) = by_hand::begin_in(accumulator, || call.step());
            match step {
                Step::Done(output) => {
                    self.pack(begun).await;
                    return output;
                }
                Step::Wait(wait) if begun.is_empty() => self.wait(wait).await,
                // The event that the call waits for may happen while it packs.
                Step::Wait(_) => self.pack(begun).await,
            }
        }
    }

    /// Takes the steps of a call until it returns.
    async fn drive<C: BlockingCall>(&self, call: &mut C) -> C::Output {
        loop {
            match call.step() {
                Step::Done(output) => return output,
                Step::Wait(wait) => self.wait(wait).await,
            }
        }
    }

    async fn wait(&self, wait: Wait<'_>) {
        let watched = wait.event.watched();
        self.park(watched.map_or("nothing", |(what, _)| what), wait.until);
        let wakes = || watched.map(|(_, condvar)| condvar.wakes());
        let before = wakes();
        poll_fn(|_| {
            if wakes() != before || self.is_over() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.go_on();
    }

    fn park(&self, what: &'static str, until: Deadline) {
        self.until.set(until);
        *self.waits_for.borrow_mut() = Some(what);
        self.moves.set(self.moves.get() + 1);
    }

    fn go_on(&self) {
        self.until.set(Deadline::Never);
        *self.waits_for.borrow_mut() = None;
        self.moves.set(self.moves.get() + 1);
    }
}

impl fmt::Debug for Parking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parking")
            .field("until", &self.until)
            .field("waits_for", &self.waits_for)
            .finish_non_exhaustive()
    }
}

/// [`KafkaProducer::send`], or with a callback [`KafkaProducer::send_with_callback`].
///
/// # Errors
/// The errors of these methods.
pub async fn send<K, V, F>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    record: ProducerRecord<'_, K, V>,
    callback: Option<F>,
) -> Result<FutureRecordMetadata, SendError>
where
    K: ?Sized + RecordData,
    V: ?Sized + RecordData,
    F: FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static,
{
    let mut callback = callback.map(Some);
    let accumulator = producer.accumulator();
    let quick = || producer.send_at_once(&record, callback.as_mut());
    let (sent, begun) = by_hand::begin_in(accumulator, quick);
    parking.pack(begun).await;
    if let Some(future) = sent {
        return Ok(future);
    }
    let of = producer.transaction_number();
    let mut record = producer.intercept(of, record)?;
    let headers = std::mem::take(&mut record.headers);
    let callback = callback
        .as_mut()
        .map(|callback| callback as &mut AnyCallback);
    let mut call = producer.send_call_of(of, &record, headers, callback);
    parking.drive_and_pack(accumulator, &mut call).await
}

/// [`KafkaProducer::try_send`].
///
/// # Errors
/// The errors of that method.
#[allow(
    clippy::result_large_err,
    reason = "the record itself comes back: that is the point"
)]
pub async fn try_send<'a, K: ?Sized + RecordData, V: ?Sized + RecordData>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    record: ProducerRecord<'a, K, V>,
) -> Result<FutureRecordMetadata, TrySendError<'a, K, V>> {
    let tries = || producer.try_send(record);
    let (sent, begun) = by_hand::begin_in(producer.accumulator(), tries);
    parking.pack(begun).await;
    sent
}

/// [`KafkaProducer::flush`], or with a timeout [`KafkaProducer::flush_timeout`].
///
/// # Errors
/// The errors of these methods.
pub async fn flush<K: ?Sized + RecordData, V: ?Sized + RecordData>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    timeout: Option<Duration>,
) -> Result<(), FlushError> {
    parking.drive(&mut producer.flush_call(timeout)).await
}

/// [`KafkaProducer::close`], or with a timeout [`KafkaProducer::close_timeout`].
///
/// # Errors
/// The errors of these methods.
pub async fn close<K: ?Sized + RecordData, V: ?Sized + RecordData>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    timeout: Option<Duration>,
) -> Result<(), CloseError> {
    parking.drive(&mut producer.close_call(timeout)).await
}

/// A transactional call other than `begin_transaction`, which never waits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TransactionalCall {
    /// [`KafkaProducer::init_transactions`]
    Init,
    /// [`KafkaProducer::send_offsets_to_transaction`]
    SendOffsets(
        Vec<(TopicPartition, OffsetAndMetadata)>,
        ConsumerGroupMetadata,
    ),
    /// [`KafkaProducer::commit_transaction`]
    Commit,
    /// [`KafkaProducer::abort_transaction`]
    Abort,
}

/// Makes the call. With a timeout it makes the variant of the call that takes a timeout.
///
/// # Errors
/// The errors of these methods.
pub async fn transactional<K: ?Sized + RecordData, V: ?Sized + RecordData>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    call: TransactionalCall,
    timeout: Option<Duration>,
) -> Result<(), TransactionError> {
    let operation = match call {
        TransactionalCall::Init => Operation::Init,
        TransactionalCall::SendOffsets(offsets, group) => {
            Operation::SendOffsets(Arc::new(OffsetsToCommit::new(group, offsets)))
        }
        TransactionalCall::Commit => Operation::Commit,
        TransactionalCall::Abort => Operation::Abort,
    };
    parking
        .drive(&mut producer.transaction_call(operation, timeout))
        .await
}

/// [`KafkaProducer::partitions_for`].
///
/// # Errors
/// The errors of that method.
pub async fn partitions_for<K: ?Sized + RecordData, V: ?Sized + RecordData>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    topic: &str,
) -> Result<Vec<PartitionInfo>, MetadataError> {
    parking
        .drive(&mut producer.partitions_for_call(topic))
        .await
}

/// [`FutureRecordMetadata::get`], or with a timeout [`FutureRecordMetadata::get_timeout`].
///
/// # Errors
/// The errors of these methods.
pub async fn get(
    parking: &Parking,
    future: &FutureRecordMetadata,
    timeout: Option<Duration>,
) -> Result<RecordMetadata, ProduceError> {
    parking.drive(&mut future.get_call(timeout)).await
}
