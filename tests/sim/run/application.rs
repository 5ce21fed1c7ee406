//! Application threads: each is a task that performs the operations of its scenario in order.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kafka_producer::internals::simulation::{
    Parking, close, contents_of, flush, get, partitions_for, send, try_send,
};
use kafka_producer::{FutureRecordMetadata, Header, ProducerRecord};

use super::stage::{Producer, Stage, headers_of, outcome, value_of};
use super::user_code::{Callback, PANIC, Piece};
use crate::events::{Call, CallId, EventKind, ProducerIndex, RecordId, Returned};
use crate::scenario::{Burst, How, Op, Thread};

/// One application thread.
pub(crate) struct ThreadOf {
    pub(crate) stage: Rc<Stage>,
    pub(crate) parking: Rc<Parking>,
    pub(crate) producer: ProducerIndex,
    pub(crate) thread: usize,
    pub(crate) has_handle: Cell<bool>,
    /// The call in progress.
    pub(crate) call: Rc<Cell<Option<CallId>>>,
}

/// The first of the application's own timestamps; later ones are higher. No such timestamp equals a time of the
/// simulated clock.
const FIRST_TIMESTAMP: i64 = 1_000_000;

/// After one record in this many, on average, the thread yields to other tasks.
const YIELDS_EVERY: u32 = 6;

/// When no transaction is open, one burst in this many sends a record before it stops.
const SENDS_WITHOUT_TRANSACTION: u32 = 8;

impl ThreadOf {
    pub(crate) async fn run(self, thread: Thread) {
        for op in thread.ops {
            self.run_op(op).await;
        }
        if self.thread == 0 {
            self.stage
                .application(self.producer, |it| it.is_over = true);
        }
    }

    async fn run_op(&self, op: Op) {
        match op {
            Op::Send(burst) => self.send_all(&burst).await,
            Op::Flush { timeout_ms } => self.flush(timeout_ms.map(Duration::from_millis)).await,
            Op::Close { timeout_ms } => self.close(timeout_ms.map(Duration::from_millis)).await,
            Op::PartitionsFor { topic } => self.partitions_for(topic).await,
            Op::Sleep { ms } => self.parking.sleep(Duration::from_millis(ms)).await,
            Op::Get { count, timeout_ms } => {
                for _ in 0..count {
                    let Some((record, future)) = self.oldest() else {
                        break;
                    };
                    self.get(record, future, timeout_ms.map(Duration::from_millis))
                        .await;
                }
            }
            Op::Await { count } => {
                for _ in 0..count {
                    let Some((record, future)) = self.oldest() else {
                        break;
                    };
                    self.wait_as_task(record, future).await;
                }
            }
            Op::PollOnce { count } => {
                for _ in 0..count {
                    let Some((record, future)) = self.oldest() else {
                        break;
                    };
                    self.poll_once(record, future);
                }
            }
            Op::DropFutures { count } => {
                for _ in 0..count {
                    let Some((record, future)) = self.oldest() else {
                        break;
                    };
                    let call = self.begin(Call::DropFuture { record });
                    drop(future);
                    self.end(call, Returned::Ok);
                }
            }
            Op::DropProducer => self.drop_handle().await,
            Op::Transaction { call, timeout_ms } => self.transaction(&call, timeout_ms).await,
            Op::Stray { call } => self.stray(&call).await,
            Op::AwaitTransaction { ms } => {
                let (stage, producer) = (Rc::clone(&self.stage), self.producer);
                let is_open = move || stage.application(producer, |it| it.is_open() || it.is_over);
                let most = Duration::from_millis(ms);
                self.parking
                    .wait_until_within("a transaction", most, is_open)
                    .await;
            }
        }
    }

    /// The producer; `None` if this thread has dropped its handle or the producer does not exist.
    pub(super) fn producer(&self) -> Option<Arc<Producer>> {
        self.stage
            .producer(self.producer)
            .filter(|_| self.has_handle.get())
    }

    fn oldest(&self) -> Option<(RecordId, FutureRecordMetadata)> {
        self.stage.oldest(self.producer, self.thread)
    }

    pub(super) fn begin(&self, operation: Call) -> CallId {
        let call = self.stage.new_call();
        self.stage.emit(EventKind::CallBegins { call, operation });
        self.call.set(Some(call));
        call
    }

    pub(super) fn end(&self, call: CallId, returned: Returned) {
        self.call.set(None);
        self.stage.emit(EventKind::CallEnds { call, returned });
    }

    fn end_with<T, E: std::fmt::Debug + std::fmt::Display>(
        &self,
        call: CallId,
        ended: &Result<T, E>,
    ) {
        let returned = match ended {
            Ok(_) => Returned::Ok,
            Err(error) => Returned::Error {
                kind: format!("{error:?}"),
                text: error.to_string(),
            },
        };
        self.end(call, returned);
    }

    async fn send_all(&self, burst: &Burst) {
        let piece = burst
            .callback
            .as_ref()
            .map(|behaviour| Arc::new(Piece::new("callback", self.producer, behaviour)));
        for _ in 0..burst.count {
            let Some(producer) = self.producer() else {
                return;
            };
            // An application that knows that no transaction is open seldom sends.
            if self.stage.application(self.producer, |it| it.is_shut()) {
                if self
                    .stage
                    .random(|random| random.u32(..SENDS_WITHOUT_TRANSACTION))
                    == 0
                {
                    self.send_one(&producer, burst, piece.as_ref()).await;
                }
                return;
            }
            self.send_one(&producer, burst, piece.as_ref()).await;
            if burst.pause_us > 0 {
                self.parking
                    .sleep(Duration::from_micros(burst.pause_us))
                    .await;
            } else if self.stage.random(|random| random.u32(..YIELDS_EVERY)) == 0 {
                self.parking.give_way().await;
            }
        }
    }

    async fn send_one(&self, producer: &Arc<Producer>, burst: &Burst, piece: Option<&Arc<Piece>>) {
        let id = self.stage.new_record();
        let value = value_of(id, burst.size as usize);
        let key = (burst.keys > 0).then(|| {
            let key = self.stage.random(|random| random.u32(..burst.keys));
            key.to_string().into_bytes()
        });
        let has_callback = piece.is_some() && burst.how == How::Send;
        let headers = headers_of(id, burst.headers);
        let timestamp = burst.stamped.then_some(FIRST_TIMESTAMP + id.0 as i64);
        self.stage.emit(EventKind::RecordOffered {
            record: id,
            producer: self.producer,
            topic: burst.topic.clone(),
            partition: burst.partition,
            key: key.clone(),
            timestamp,
            contents: contents_of(
                key.as_deref(),
                Some(&value),
                headers
                    .iter()
                    .map(|(name, value)| (&**name, value.as_deref())),
            ),
            size: value.len(),
            has_callback,
            inside: false,
        });
        let mut record = ProducerRecord::<[u8], [u8]>::new(burst.topic.as_str(), &value[..]);
        for (name, value) in headers {
            let header = match value {
                Some(value) => Header::new(name, value),
                None => Header::null(name),
            };
            let added = record.headers_mut().push(header);
            added.expect("a record that is not sent yet");
        }
        record.set_timestamp(timestamp);
        record.set_partition(burst.partition);
        if let Some(key) = &key {
            record.set_key(&key[..]);
        }
        let refused = match burst.how {
            How::Send => {
                let call = self.begin(Call::Send(id));
                let callback = piece.filter(|_| has_callback).map(|piece| {
                    let callback = Callback::new(id, piece);
                    move |answer: Result<&_, &_>| callback.run(answer)
                });
                let sent = match callback {
                    // A batch stores callbacks of another type than its first one in another way.
                    Some(callback) if id.0 % 3 == 0 => {
                        let other = move |answer: Result<&_, &_>| callback(answer);
                        send(&self.parking, producer, record, Some(other)).await
                    }
                    callback => send(&self.parking, producer, record, callback).await,
                };
                self.end_with(call, &sent);
                match sent {
                    Ok(future) => return self.accepted(id, future),
                    Err(error) => (format!("{error:?}"), error.to_string()),
                }
            }
            How::TrySend => {
                let call = self.begin(Call::TrySend(id));
                match try_send(&self.parking, producer, record).await {
                    Ok(future) => {
                        self.end(call, Returned::Ok);
                        return self.accepted(id, future);
                    }
                    Err(error) => {
                        let (kind, text) = (format!("{:?}", error.reason()), error.to_string());
                        self.end(
                            call,
                            Returned::Error {
                                kind: kind.clone(),
                                text: text.clone(),
                            },
                        );
                        (kind, text)
                    }
                }
            }
        };
        let (kind, text) = refused;
        self.stage.emit(EventKind::RecordRefused {
            record: id,
            kind,
            text,
        });
    }

    fn accepted(&self, record: RecordId, future: FutureRecordMetadata) {
        self.stage.emit(EventKind::RecordAccepted { record });
        self.stage.keep(self.producer, self.thread, record, future);
    }

    async fn flush(&self, timeout: Option<Duration>) {
        let Some(producer) = self.producer() else {
            return;
        };
        let call = self.begin(Call::Flush { timeout });
        let flushed = flush(&self.parking, &producer, timeout).await;
        self.end_with(call, &flushed);
    }

    pub(super) async fn close(&self, timeout: Option<Duration>) {
        let Some(producer) = self.producer() else {
            return;
        };
        let call = self.begin(Call::Close { timeout });
        let closed = close(&self.parking, &producer, timeout).await;
        self.end_with(call, &closed);
    }

    async fn partitions_for(&self, topic: String) {
        let Some(producer) = self.producer() else {
            return;
        };
        let call = self.begin(Call::PartitionsFor {
            topic: topic.clone(),
        });
        let result = partitions_for(&self.parking, &producer, &topic).await;
        self.end_with(call, &result);
    }

    async fn get(&self, record: RecordId, future: FutureRecordMetadata, timeout: Option<Duration>) {
        let call = self.begin(Call::Get { record, timeout });
        let result = get(&self.parking, &future, timeout).await;
        let is_pending = matches!(
            &result,
            Err(error) if *error.kind() == kafka_producer::ProduceErrorKind::Pending
        );
        if !is_pending {
            self.stage.emit(EventKind::FutureReported {
                record,
                outcome: outcome(result.as_ref()),
            });
        }
        self.end_with(call, &result);
        if is_pending {
            self.stage.keep(self.producer, self.thread, record, future);
        }
    }

    async fn wait_as_task(&self, record: RecordId, mut future: FutureRecordMetadata) {
        let call = self.begin(Call::Await { record });
        let woken = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let result = loop {
            match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => break result,
                Poll::Pending => {
                    let is_woken = || woken.0.swap(false, Ordering::SeqCst);
                    self.parking.wait_until("its waker", is_woken).await;
                }
            }
        };
        self.stage.emit(EventKind::FutureReported {
            record,
            outcome: outcome(result.as_ref()),
        });
        self.end_with(call, &result);
    }

    /// Polls a future once, as a broken async runtime might, with a waker that panics.
    fn poll_once(&self, record: RecordId, mut future: FutureRecordMetadata) {
        let waker = Waker::from(Arc::new(Bomb));
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => self.stage.emit(EventKind::FutureReported {
                record,
                outcome: outcome(result.as_ref()),
            }),
            Poll::Pending => self.stage.keep(self.producer, self.thread, record, future),
        }
        // The panic comes from dropping this handle of the waker, outside the library.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(waker)));
    }

    /// Drops this thread's handle. Dropping the last handle drops the producer, which waits like `close` with a
    /// time-out of 10 s.
    async fn drop_handle(&self) {
        if !self.has_handle.replace(false) {
            return;
        }
        let is_last = {
            let mut producers = self.stage.producers.borrow_mut();
            let held = &mut producers[self.producer];
            held.handles = held.handles.saturating_sub(1);
            held.handles == 0
        };
        if is_last {
            drop_producer(&self.stage, &self.parking, self.producer).await;
        }
    }
}

/// Documented time-out for dropping a producer, which closes it.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn drop_producer(stage: &Rc<Stage>, parking: &Parking, index: ProducerIndex) {
    let Some(producer) = stage.producer(index) else {
        return;
    };
    let call = stage.new_call();
    stage.emit(EventKind::CallBegins {
        call,
        operation: Call::DropProducer,
    });
    let _ = close(parking, &producer, Some(DROP_TIMEOUT)).await;
    // Before the next step the observer gets a snapshot of the closed producer.
    stage.about_to_drop.borrow_mut().push(index);
    parking.give_way().await;
    drop(producer);
    let dropped = stage.producers.borrow_mut()[index].producer.take();
    // Other threads may still be in a call, which then drops the producer at its end.
    drop(dropped);
    stage.emit(EventKind::CallEnds {
        call,
        returned: Returned::Ok,
    });
}

/// A waker that panics when it is woken and when it is dropped.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        explode();
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        // A second panic during the first would abort the process.
        if !std::thread::panicking() {
            explode();
        }
    }
}

fn explode() {
    if let Some(stage) = Stage::current() {
        if stage.is_muted.get() {
            return;
        }
        stage.emit(EventKind::UserCode {
            piece: "waker",
            act: "Panics".into(),
        });
    }
    panic!("{PANIC}");
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
