//! Blocking calls as futures: their steps are taken when somebody polls, and between them nobody sleeps. So any
//! number of threads of an application are tasks on one thread, in an order of its choosing.
//!
//! A call that waits is stepped again when a thread that slept would have been woken: what it waits for was
//! notified, or its time is up. So a notification that is missing is a call that stands still.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::World;
use crate::clock::{Clock, Deadline};
use crate::error::{CloseError, FlushError, MetadataError, ProduceError, SendError};
use crate::producer::future::FutureRecordMetadata;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::record::ProducerRecord;
use crate::producer::record_metadata::RecordMetadata;
use crate::producer::thunks::AnyCallback;
use crate::producer::waiting::{BlockingCall, Step, Wait, awake};
use crate::types::PartitionInfo;

/// Where a task says that it waits, and until when.
#[derive(Debug)]
pub struct Parking {
    world: World,
    until: Cell<Deadline>,
    /// How often a wait has begun or ended.
    moves: Cell<u64>,
    waits_for: RefCell<Option<&'static str>>,
}

impl Parking {
    /// For one task. The thread must not sleep in any call from now on: it would panic.
    pub fn new(world: &World) -> Self {
        awake::stay();
        Self {
            world: world.clone(),
            until: Cell::new(Deadline::Never),
            moves: Cell::new(0),
            waits_for: RefCell::new(None),
        }
    }

    /// When the time of the present wait is up.
    pub fn until(&self) -> Option<Duration> {
        match self.until.get() {
            Deadline::At(at) => Some(self.world.elapsed_at(at)),
            Deadline::Never => None,
        }
    }

    /// Whether the time of the present wait is up.
    pub fn is_over(&self) -> bool {
        self.until.get().is_over(self.world.clock().now())
    }

    /// What it waits for.
    pub fn waits_for(&self) -> Option<&'static str> {
        *self.waits_for.borrow()
    }

    /// Differs from what it was if the task has gone on since.
    pub fn moves(&self) -> u64 {
        self.moves.get()
    }

    /// Lets simulated time pass.
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

    /// Waits until something of the caller's is so; it is asked whenever the task is polled.
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

    /// Takes the steps of a call.
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

/// [`KafkaProducer::send`], or with a callback [`KafkaProducer::send_with_callback`].
///
/// # Errors
/// As those.
pub async fn send<K, V, F>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    record: ProducerRecord<'_, K, V>,
    callback: Option<F>,
) -> Result<FutureRecordMetadata, SendError>
where
    K: ?Sized + ToOwned,
    V: ?Sized + ToOwned,
    F: FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static,
{
    let mut callback = callback.map(Some);
    if let Some(future) = producer.send_at_once(&record, callback.as_mut()) {
        return Ok(future);
    }
    let mut record = producer.intercept(record)?;
    let headers = std::mem::take(&mut record.headers);
    let callback = callback
        .as_mut()
        .map(|callback| callback as &mut AnyCallback);
    parking
        .drive(&mut producer.send_call(&record, headers, callback))
        .await
}

/// [`KafkaProducer::flush`], or with a timeout [`KafkaProducer::flush_timeout`].
///
/// # Errors
/// As those.
pub async fn flush<K: ?Sized + ToOwned, V: ?Sized + ToOwned>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    timeout: Option<Duration>,
) -> Result<(), FlushError> {
    parking.drive(&mut producer.flush_call(timeout)).await
}

/// [`KafkaProducer::close`], or with a timeout [`KafkaProducer::close_timeout`].
///
/// # Errors
/// As those.
pub async fn close<K: ?Sized + ToOwned, V: ?Sized + ToOwned>(
    parking: &Parking,
    producer: &KafkaProducer<K, V>,
    timeout: Option<Duration>,
) -> Result<(), CloseError> {
    parking.drive(&mut producer.close_call(timeout)).await
}

/// [`KafkaProducer::partitions_for`].
///
/// # Errors
/// As that.
pub async fn partitions_for<K: ?Sized + ToOwned, V: ?Sized + ToOwned>(
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
/// As those.
pub async fn get(
    parking: &Parking,
    future: &FutureRecordMetadata,
    timeout: Option<Duration>,
) -> Result<RecordMetadata, ProduceError> {
    parking.drive(&mut future.get_call(timeout)).await
}
