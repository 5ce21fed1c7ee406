//! User code that misbehaves in the producer's calls: it panics, blocks, or drops the last handle.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use kafka_producer::{
    BoxError, ClusterResourceListener, FlushError, FutureRecordMetadata, KafkaProducer, Misuse,
    ProduceError, ProduceErrorKind, ProducerInterceptor, ProducerRecord, RecordMetadata,
};

use crate::support::{BLOCK, LONG, Text, cluster, config, producer, record, values};

/// A blocking call on the sender thread would take 10 s or more.
const AT_ONCE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_millis(20);

/// A value whose drop panics. The payload of that panic panics too when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb);
    }
}

/// A waker that runs a function.
struct Woken<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for Woken<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn poll_with(future: &mut FutureRecordMetadata, wake: impl Fn() + Send + Sync + 'static) {
    let waker = Waker::from(Arc::new(Woken(wake)));
    let mut context = Context::from_waker(&waker);
    assert!(Pin::new(future).poll(&mut context).is_pending());
}

#[test]
fn a_panicking_waker_affects_no_record() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).linger(Duration::from_secs(60)));
    let (sender, woken) = channel();
    let mut futures = Vec::new();
    for number in 0..3 {
        let mut future = producer.send(record("v")).unwrap();
        let sender = sender.clone();
        poll_with(&mut future, move || {
            sender.send(number).unwrap();
            if number == 1 {
                std::panic::panic_any(Bomb);
            }
        });
        futures.push(future);
    }
    producer.flush().unwrap();
    assert!(futures.iter().all(|future| future.get().is_ok()));
    let seen = [(); 3].map(|()| woken.recv_timeout(LONG).unwrap());
    assert_eq!(seen, [0, 1, 2]);
    let later = producer.send(record("v")).unwrap();
    producer.flush().unwrap();
    assert_eq!(later.get_timeout(LONG).unwrap().offset(), 3);
    producer.close().unwrap();
}

#[test]
fn a_panic_whose_payload_panics_when_dropped_affects_no_record() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    let bad = producer
        .send_with_callback(record("a"), |_| std::panic::panic_any(Bomb))
        .unwrap();
    assert_eq!(bad.get_timeout(LONG).unwrap().offset(), 0);
    // The captures of a callback are user code as well.
    let bomb = Bomb;
    let bad = producer
        .send_with_callback(record("b"), move |_| {
            let _last = &bomb;
        })
        .unwrap();
    assert_eq!(bad.get_timeout(LONG).unwrap().offset(), 1);
    let good = producer.send(record("c")).unwrap();
    assert_eq!(good.get_timeout(LONG).unwrap().offset(), 2);
    producer.close().unwrap();
}

/// An interceptor that sends its calls to a channel; dropping it closes the channel.
struct SendsEvents(Sender<&'static str>);

impl ProducerInterceptor<str, str> for SendsEvents {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn on_acknowledgement(&self, _metadata: &RecordMetadata, error: Option<&ProduceError>) {
        let what = if error.is_none() { "written" } else { "failed" };
        self.0.send(what).unwrap();
    }

    fn close(&self) -> Result<(), BoxError> {
        self.0.send("closed").unwrap();
        Ok(())
    }
}

fn telling(cluster: &kafka_producer::testing::TestCluster) -> (Text, Receiver<&'static str>) {
    let (sender, events) = channel();
    let config = config(cluster).linger(LINGER).batch_size(0);
    let producer = KafkaProducer::builder(config.build().unwrap())
        .stock_serializers()
        .interceptor(SendsEvents(sender))
        .build()
        .unwrap();
    (producer, events)
}

/// All calls until the interceptor was dropped.
fn all(events: &Receiver<&'static str>) -> Vec<&'static str> {
    let mut all = Vec::new();
    loop {
        match events.recv_timeout(LONG) {
            Ok(event) => all.push(event),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("the plug-ins are alive after {all:?}"),
        }
    }
}

type Handle = Arc<Mutex<Option<Text>>>;

/// Measures how long it takes to drop the last handle.
fn drop_last(handle: &Handle, took: &Sender<Duration>) {
    let producer = handle.lock().unwrap().take();
    if let Some(producer) = producer {
        let began = Instant::now();
        drop(producer);
        took.send(began.elapsed()).unwrap();
    }
}

/// Dropping the last handle does not wait, since the callback or waker runs on the sender thread. The plug-ins are
/// closed when the sender has ended (KP-54).
#[test]
fn the_last_handle_can_be_dropped_in_a_callback_or_a_waker_and_plug_ins_are_closed_once_at_the_end()
{
    for by_waker in [false, true] {
        let cluster = cluster(1);
        let (producer, events) = telling(&cluster);
        producer.partitions_for("t").unwrap();
        let (sender, took) = channel();
        let handle: Handle = Arc::default();
        // The callback must not run before `handle` has the producer.
        let (go, ready) = channel();
        let (held, last) = (Arc::clone(&handle), sender.clone());
        let mut first: FutureRecordMetadata = producer
            .send_with_callback(record("first"), move |_| {
                ready.recv_timeout(LONG).unwrap();
                if !by_waker {
                    drop_last(&held, &last);
                }
            })
            .unwrap()
            .into();
        let held = Arc::clone(&handle);
        if by_waker {
            poll_with(&mut first, move || drop_last(&held, &sender));
        }
        let second = producer.send(record("second")).unwrap();
        *handle.lock().unwrap() = Some(producer);
        go.send(()).unwrap();
        let took = took.recv_timeout(LONG).unwrap();
        assert!(took < AT_ONCE, "dropping took {took:?}");
        let error = second.get_timeout(LONG);
        let events = all(&events);
        let second = match error {
            // The record was in flight already.
            Ok(_) => "written",
            Err(error) => {
                assert_eq!(*error.kind(), ProduceErrorKind::Closed, "{error}");
                "failed"
            }
        };
        assert_eq!(events, ["written", second, "closed"], "waker: {by_waker}");
        assert!(first.get().is_ok());
    }
}

/// A cluster listener that makes blocking calls.
struct Waits {
    producer: OnceLock<Weak<Text>>,
    sender: Sender<(FlushError, ProduceErrorKind)>,
}

impl ClusterResourceListener for Waits {
    fn on_update(&self, _cluster_id: Option<&str>) {
        let Some(producer) = self.producer.get().and_then(Weak::upgrade) else {
            return;
        };
        let flush = producer.flush().unwrap_err();
        let kind = match producer.send(record("from the listener")) {
            Ok(future) => future.get().unwrap_err().kind().clone(),
            Err(_) => return,
        };
        let _ = self.sender.send((flush, kind));
    }
}

struct Listens(Arc<Waits>);

impl ProducerInterceptor<str, str> for Listens {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::clone(&self.0) as _)
    }
}

#[test]
fn blocking_calls_in_a_cluster_listener_are_rejected() {
    let cluster = cluster(1);
    let (sender, results) = channel();
    let listener = Arc::new(Waits {
        producer: OnceLock::new(),
        sender,
    });
    let config = config(&cluster).metadata_max_age(Duration::from_millis(50));
    let producer: Text = KafkaProducer::builder(config.build().unwrap())
        .stock_serializers()
        .interceptor(Listens(Arc::clone(&listener)))
        .build()
        .unwrap();
    let producer = Arc::new(producer);
    producer.partitions_for("t").unwrap();
    listener.producer.set(Arc::downgrade(&producer)).unwrap();
    let (flush, get) = results.recv_timeout(LONG).unwrap();
    assert!(
        matches!(flush, FlushError::Misuse(Misuse::InsideCallback)),
        "{flush}"
    );
    assert_eq!(get, ProduceErrorKind::Misuse);
    producer.flush().unwrap();
    assert!(values(&cluster, 0).contains(&"from the listener".to_owned()));
    producer.close().unwrap();
}

/// A cluster listener that drops the last handle.
struct LetsGo {
    handle: Handle,
    took: Sender<Duration>,
    events: Sender<&'static str>,
}

impl ClusterResourceListener for LetsGo {
    fn on_update(&self, _cluster_id: Option<&str>) {
        drop_last(&self.handle, &self.took);
    }
}

struct LetGo(Arc<LetsGo>);

impl ProducerInterceptor<str, str> for LetGo {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::clone(&self.0) as _)
    }

    fn close(&self) -> Result<(), BoxError> {
        self.0.events.send("closed").unwrap();
        Ok(())
    }
}

#[test]
fn the_last_handle_can_be_dropped_in_a_listener() {
    let cluster = cluster(1);
    let (sender, took) = channel();
    let (events, seen) = channel();
    let handle = Handle::default();
    let listener = LetsGo {
        handle: Arc::clone(&handle),
        took: sender,
        events,
    };
    let config = config(&cluster).metadata_max_age(Duration::from_millis(50));
    let producer: Text = KafkaProducer::builder(config.build().unwrap())
        .stock_serializers()
        .interceptor(LetGo(Arc::new(listener)))
        .build()
        .unwrap();
    producer.partitions_for("t").unwrap();
    *handle.lock().unwrap() = Some(producer);
    assert!(took.recv_timeout(LONG).unwrap() < AT_ONCE);
    assert_eq!(all(&seen), ["closed"]);
}

/// An error whose `Debug`, `Display` and drop panic.
#[derive(Debug)]
struct Unprintable(#[allow(dead_code, reason = "dropped")] Bomb);

impl std::fmt::Debug for Bomb {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no debug output")
    }
}

impl std::fmt::Display for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no words")
    }
}

impl std::error::Error for Unprintable {}

/// An interceptor whose methods all panic, or return an error that cannot be printed or dropped without a panic.
struct Hopeless;

impl ProducerInterceptor<str, str> for Hopeless {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Err(Box::new(Unprintable(Bomb)))
    }

    fn on_acknowledgement(&self, _metadata: &RecordMetadata, _error: Option<&ProduceError>) {
        std::panic::panic_any(Bomb)
    }

    fn close(&self) -> Result<(), BoxError> {
        Err(Box::new(Unprintable(Bomb)))
    }

    fn name(&self) -> &str {
        panic!("no name")
    }
}

#[test]
fn an_interceptor_whose_methods_all_fail_loses_no_record() {
    let cluster = cluster(1);
    let config = config(&cluster).max_block(BLOCK).build().unwrap();
    let producer: Text = KafkaProducer::builder(config)
        .stock_serializers()
        .interceptor(Hopeless)
        .build()
        .unwrap();
    let future = producer.send(record("v")).unwrap();
    assert_eq!(future.get_timeout(LONG).unwrap().offset(), 0);
    let missing = producer.send(ProducerRecord::new("missing", "v")).unwrap();
    assert!(missing.get().unwrap_err().is_timeout());
    assert_eq!(values(&cluster, 0), ["v"]);
    producer.close().unwrap_err();
}

/// A plug-in whose `cluster_listener` panics: the construction fails, and plug-ins are closed.
struct NoListener(Sender<&'static str>);

impl ProducerInterceptor<str, str> for NoListener {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        panic!("out of listeners")
    }

    fn close(&self) -> Result<(), BoxError> {
        self.0.send("closed").unwrap();
        Ok(())
    }
}

/// If a step of the construction fails, here the call of a cluster listener, everything created before is closed
/// (KP-2).
#[test]
fn a_plug_in_whose_cluster_listener_panics_fails_the_construction_and_is_closed() {
    let cluster = cluster(1);
    let (sender, events) = channel();
    let error = KafkaProducer::<str, str>::builder(config(&cluster).build().unwrap())
        .stock_serializers()
        .interceptor(NoListener(sender))
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("out of listeners"), "{error}");
    assert_eq!(all(&events), ["closed"]);
}

/// A listener that records the number of buffer pool waiters when a record fails.
struct LooksAtMemory {
    producer: OnceLock<Weak<Text>>,
    seen: Mutex<Vec<u64>>,
}

struct Looks(Arc<LooksAtMemory>);

impl LooksAtMemory {
    fn look(&self) {
        let producer = self.producer.get().and_then(Weak::upgrade).unwrap();
        let waiting = producer.snapshot().threads_waiting_for_memory;
        self.seen.lock().unwrap().push(waiting);
    }
}

impl ProducerInterceptor<str, str> for Looks {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn on_acknowledgement(&self, _metadata: &RecordMetadata, error: Option<&ProduceError>) {
        let is_refused = |error: &ProduceError| *error.kind() != ProduceErrorKind::Closed;
        if error.is_some_and(is_refused) {
            self.0.look();
        }
    }
}

#[test]
fn a_record_rejected_for_memory_has_left_the_waiters_before_user_code_runs() {
    let cluster = cluster(1);
    let shared = Arc::new(LooksAtMemory {
        producer: OnceLock::new(),
        seen: Mutex::default(),
    });
    let settings = config(&cluster).buffer_memory(32 * 1024).max_block(BLOCK);
    let producer: Text = KafkaProducer::builder(settings.build().unwrap())
        .stock_serializers()
        .interceptor(Looks(Arc::clone(&shared)))
        .build()
        .unwrap();
    let producer = Arc::new(producer);
    shared.producer.set(Arc::downgrade(&producer)).unwrap();
    producer.partitions_for("t").unwrap();
    cluster.stop_node(cluster.node_ids().next().unwrap());
    let value = "v".repeat(10_000);
    while producer.try_send(record(&value)).is_ok() {}
    let looks = Arc::clone(&shared);
    let future = producer
        .send_with_callback(record(&value), move |_| looks.look())
        .unwrap();
    let error = future.get().unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::BufferExhausted);
    // The interceptor calls of `try_send` and `send`, and the callback.
    assert_eq!(*shared.seen.lock().unwrap(), [0, 0, 0]);
    let _ = producer.close_timeout(Duration::ZERO);
}

/// A waker that sends to the batch of its future when it is dropped, as an executor may.
struct Reenters {
    producer: Weak<Text>,
    events: Sender<u64>,
}

impl Wake for Reenters {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Reenters {
    fn drop(&mut self) {
        // Sends to the same partition, and so to the same batch.
        if let Some(producer) = self.producer.upgrade() {
            let mut future = producer.send(record("from the drop")).unwrap();
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut future).poll(&mut context);
            let _ = self.events.send(producer.snapshot().batches_queued);
        }
    }
}

#[test]
fn polling_a_future_with_another_waker_drops_the_first_at_once_and_without_a_lock() {
    let cluster = cluster(1);
    let producer = Arc::new(producer(config(&cluster).linger(Duration::from_secs(60))));
    let (events, dropped) = channel();
    let waker = Waker::from(Arc::new(Reenters {
        producer: Arc::downgrade(&producer),
        events,
    }));
    {
        let mut future = pin!(producer.send(record("v")).unwrap());
        let mut context = Context::from_waker(&waker);
        assert!(future.as_mut().poll(&mut context).is_pending());
        // The future is polled with another waker, so the first waker is dropped.
        let mut context = Context::from_waker(Waker::noop());
        drop(waker);
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert_eq!(dropped.try_recv(), Ok(1));
    }
    producer.close().unwrap();
    assert_eq!(values(&cluster, 0), ["v", "from the drop"]);
}
