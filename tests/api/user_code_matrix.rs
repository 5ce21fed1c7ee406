//! Every kind of user code that a producer runs × everything it must not do there: what comes of it, as a table.
//!
//! ```text
//! cargo test --test api user_code_matrix -- --nocapture
//! ```

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use kafka_producer::{
    BoxError, CloseError, ClusterResourceListener, FlushError, FutureRecordMetadata, Headers,
    Misuse, PartitionInput, Partitioner, PluginKind, ProduceError, ProduceErrorKind,
    ProducerInterceptor, ProducerRecord, RecordMetadata, SendError, Serialized, Serializer,
};

use crate::support::{BLOCK, LONG, Text, cluster, config, record, values};

/// Less than any wait for the sender's thread on that thread would take.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Where user code is run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Site {
    Callback,
    CallbackAtOnce,
    CallbackDropped,
    Waker,
    WakerDropped,
    OnSend,
    OnAcknowledgement,
    Partition,
    OnNewBatch,
    SerializeKey,
    SerializeValue,
    Listener,
    CloseInterceptor,
    ClosePartitioner,
    CloseKeySerializer,
    CloseValueSerializer,
}

/// Which thread runs it, on which depends who can hold the last handle.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Runs {
    OnProducersThread,
    /// Inside a call that borrows the producer: no handle that is dropped there is the last.
    InsideCall,
    /// In the application's own time.
    OnApplicationsThread,
    InsideClose,
}

const SITES: &[(Site, Runs, &str)] = &[
    (
        Site::Callback,
        Runs::OnProducersThread,
        "callback of a record that was written",
    ),
    (
        Site::CallbackAtOnce,
        Runs::InsideCall,
        "callback of a record that fails at once",
    ),
    (
        Site::CallbackDropped,
        Runs::OnProducersThread,
        "drop of what a callback captured",
    ),
    (Site::Waker, Runs::OnProducersThread, "waker"),
    (
        Site::WakerDropped,
        Runs::OnApplicationsThread,
        "drop of a waker with its future",
    ),
    (Site::OnSend, Runs::InsideCall, "interceptor, on_send"),
    (
        Site::OnAcknowledgement,
        Runs::OnProducersThread,
        "interceptor, on_acknowledgement",
    ),
    (Site::Partition, Runs::InsideCall, "partitioner, partition"),
    (
        Site::OnNewBatch,
        Runs::InsideCall,
        "partitioner, on_new_batch",
    ),
    (Site::SerializeKey, Runs::InsideCall, "key serializer"),
    (Site::SerializeValue, Runs::InsideCall, "value serializer"),
    (Site::Listener, Runs::OnProducersThread, "cluster listener"),
    (
        Site::CloseInterceptor,
        Runs::InsideClose,
        "interceptor, close",
    ),
    (
        Site::ClosePartitioner,
        Runs::InsideClose,
        "partitioner, close",
    ),
    (
        Site::CloseKeySerializer,
        Runs::InsideClose,
        "key serializer, close",
    ),
    (
        Site::CloseValueSerializer,
        Runs::InsideClose,
        "value serializer, close",
    ),
];

/// What it does there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    Panics,
    /// A record for a topic that is not known.
    SendsAndWouldWait,
    Flushes,
    Closes,
    /// The future of a record that it has sent.
    Gets,
    DropsItsHandle,
}

const ACTIONS: &[(Action, &str)] = &[
    (Action::Panics, "panics"),
    (Action::SendsAndWouldWait, "sends and would wait"),
    (Action::Flushes, "flushes"),
    (Action::Closes, "closes"),
    (Action::Gets, "gets"),
    (Action::DropsItsHandle, "drops its handle"),
];

/// What comes of an action, for the one who does it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Done,
    /// `Misuse::InsideCallback`.
    Refused,
    /// Because the producer is.
    Closed,
    /// `send` waited for `max.block.ms`, and its future says that there is no such topic.
    NoSuchTopic,
}

/// What user code does, once, where it is told to.
struct Deed {
    site: Site,
    action: Action,
    armed: AtomicBool,
    /// On the producer's thread it waits here until the test holds no handle any more.
    gate: Mutex<Receiver<()>>,
    handle: Mutex<Option<Arc<Text>>>,
    told: Sender<(Outcome, Duration)>,
}

impl Deed {
    fn at(&self, site: Site) {
        if site != self.site || !self.armed.swap(false, Ordering::SeqCst) {
            return;
        }
        if runs(site) == Runs::OnProducersThread {
            self.gate.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        let began = Instant::now();
        let outcome = self.act();
        self.told.send((outcome, began.elapsed())).unwrap();
        assert!(self.action != Action::Panics, "planted");
    }

    fn act(&self) -> Outcome {
        if self.action == Action::DropsItsHandle {
            let handle = self.handle.lock().unwrap().take();
            drop(handle);
            return Outcome::Done;
        }
        let producer = Arc::clone(self.handle.lock().unwrap().as_ref().unwrap());
        match self.action {
            Action::Panics | Action::DropsItsHandle => Outcome::Done,
            Action::SendsAndWouldWait => match producer.send(ProducerRecord::new("missing", "v")) {
                Ok(future) => outcome_of(&future),
                Err(error) => refusal(&error),
            },
            Action::Flushes => match producer.flush() {
                Ok(()) => Outcome::Done,
                Err(FlushError::Misuse(Misuse::InsideCallback)) => Outcome::Refused,
                Err(error) => panic!("{error}"),
            },
            Action::Closes => match producer.close() {
                Ok(()) => Outcome::Done,
                Err(CloseError::Misuse(Misuse::InsideCallback)) => Outcome::Refused,
                Err(error) => panic!("{error}"),
            },
            Action::Gets => match producer.send(record("inner")) {
                Ok(future) => {
                    if runs(self.site) == Runs::OnApplicationsThread {
                        producer.flush().unwrap();
                    }
                    outcome_of(&future)
                }
                Err(error) => refusal(&error),
            },
        }
    }
}

fn refusal(error: &SendError) -> Outcome {
    match error {
        SendError::Misuse(Misuse::InsideCallback) => Outcome::Refused,
        SendError::Closed => Outcome::Closed,
        error => panic!("{error}"),
    }
}

fn outcome_of(future: &FutureRecordMetadata) -> Outcome {
    match future.get() {
        Ok(_) => Outcome::Done,
        Err(error) => match error.kind() {
            ProduceErrorKind::Misuse => Outcome::Refused,
            ProduceErrorKind::UnknownTopicOrPartition => Outcome::NoSuchTopic,
            kind => panic!("{kind:?}"),
        },
    }
}

fn runs(site: Site) -> Runs {
    SITES.iter().find(|(other, ..)| *other == site).unwrap().1
}

/// All plug-ins in one: what it is, it is told where it is built in.
struct Plugin {
    deed: Arc<Deed>,
    serializes: Site,
    closes: Site,
    /// Dropped with it.
    _alive: Sender<()>,
}

impl ProducerInterceptor<str, str> for Plugin {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        self.deed.at(Site::OnSend);
        Ok(())
    }

    fn on_acknowledgement(&self, _metadata: &RecordMetadata, _error: Option<&ProduceError>) {
        self.deed.at(Site::OnAcknowledgement);
    }

    fn close(&self) -> Result<(), BoxError> {
        self.deed.at(self.closes);
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::new(Listens(Arc::clone(&self.deed))))
    }
}

impl Partitioner<str, str> for Plugin {
    fn partition(&self, _: &PartitionInput<'_, str, str>) -> Result<i32, BoxError> {
        self.deed.at(Site::Partition);
        Ok(0)
    }

    fn on_new_batch(&self, _: &str, _: &kafka_producer::Cluster, _: i32) {
        self.deed.at(Site::OnNewBatch);
    }

    fn close(&self) -> Result<(), BoxError> {
        self.deed.at(self.closes);
        Ok(())
    }
}

impl Serializer<str> for Plugin {
    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        self.deed.at(self.serializes);
        Ok(Some(data.as_bytes().into()))
    }

    fn close(&self) -> Result<(), BoxError> {
        self.deed.at(self.closes);
        Ok(())
    }
}

struct Listens(Arc<Deed>);

impl ClusterResourceListener for Listens {
    fn on_update(&self, _cluster_id: Option<&str>) {
        self.0.at(Site::Listener);
    }
}

struct WhenDropped(Arc<Deed>, Site);

impl Drop for WhenDropped {
    fn drop(&mut self) {
        self.0.at(self.1);
    }
}

struct Task(
    Arc<Deed>,
    #[allow(dead_code, reason = "dropped")] WhenDropped,
);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.at(Site::Waker);
    }
}

/// A future that a task waits for.
fn waited_for(producer: &Text, deed: &Arc<Deed>) -> FutureRecordMetadata {
    loop {
        let mut future = producer.send(record("v")).unwrap();
        let when_dropped = WhenDropped(Arc::clone(deed), Site::WakerDropped);
        let task = Arc::new(Task(Arc::clone(deed), when_dropped));
        let waker = Waker::from(task);
        let mut context = Context::from_waker(&waker);
        // Else it was written in no time: that one waits for nothing.
        if Pin::new(&mut future).poll(&mut context).is_pending() {
            return future;
        }
    }
}

struct Case {
    site: Site,
    action: Action,
    deed: Arc<Deed>,
    open: Sender<()>,
    outcomes: Receiver<(Outcome, Duration)>,
    /// Ends when all plug-ins are dropped.
    gone: Receiver<()>,
}

impl Case {
    fn start(
        site: Site,
        action: Action,
        cluster: &kafka_producer::testing::TestCluster,
    ) -> (Self, Arc<Text>) {
        let (told, outcomes) = channel();
        let (open, gate) = channel();
        let (alive, gone) = channel();
        let deed = Arc::new(Deed {
            site,
            action,
            armed: AtomicBool::new(false),
            gate: Mutex::new(gate),
            handle: Mutex::default(),
            told,
        });
        let plugin = |serializes, closes| Plugin {
            deed: Arc::clone(&deed),
            serializes,
            closes,
            _alive: alive.clone(),
        };
        let config = config(cluster)
            .max_block(BLOCK)
            .linger(Duration::from_millis(20))
            .max_request_size(10_000);
        let config = match site {
            Site::Listener => config.metadata_max_age(Duration::from_millis(50)),
            // The future is dropped before its record is sent.
            Site::WakerDropped => config.linger(Duration::from_secs(60)),
            _ => config,
        };
        let producer = Text::builder(config.build().unwrap())
            .key_serializer(plugin(Site::SerializeKey, Site::CloseKeySerializer))
            .value_serializer(plugin(Site::SerializeValue, Site::CloseValueSerializer))
            .partitioner(plugin(Site::Partition, Site::ClosePartitioner))
            .interceptor(plugin(Site::OnSend, Site::CloseInterceptor))
            .build()
            .unwrap();
        producer.partitions_for("t").unwrap();
        let producer = Arc::new(producer);
        *deed.handle.lock().unwrap() = Some(Arc::clone(&producer));
        deed.armed.store(true, Ordering::SeqCst);
        let case = Self {
            site,
            action,
            deed,
            open,
            outcomes,
            gone,
        };
        (case, producer)
    }

    /// Has the user code run, now or soon. Returns what became of the call that it runs in, if there is one.
    fn trigger(&self, producer: &Text) -> Result<Option<FutureRecordMetadata>, SendError> {
        let deed = Arc::clone(&self.deed);
        let large = "v".repeat(20_000);
        match self.site {
            Site::Callback => producer
                .send_with_callback(record("v"), move |_| deed.at(Site::Callback))
                .map(Some),
            Site::CallbackAtOnce => producer
                .send_with_callback(record(&large), move |_| deed.at(Site::CallbackAtOnce))
                .map(Some),
            Site::CallbackDropped => {
                let captured = WhenDropped(deed, Site::CallbackDropped);
                let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
                    let _last = &captured;
                };
                producer.send_with_callback(record("v"), callback).map(Some)
            }
            Site::Waker | Site::WakerDropped => Ok(Some(waited_for(producer, &deed))),
            Site::Listener => Ok(None),
            Site::CloseInterceptor
            | Site::ClosePartitioner
            | Site::CloseKeySerializer
            | Site::CloseValueSerializer => match (self.action, producer.close()) {
                (Action::Panics, Err(CloseError::Plugin(why))) => {
                    assert!(why.contains("panicked in close: planted"), "{why}");
                    Ok(None)
                }
                (action, Ok(())) if action != Action::Panics => Ok(None),
                (_, other) => panic!("{other:?}"),
            },
            Site::OnSend
            | Site::OnAcknowledgement
            | Site::Partition
            | Site::OnNewBatch
            | Site::SerializeKey
            | Site::SerializeValue => producer
                .send(ProducerRecord::keyed("t", "k", "v"))
                .map(Some),
        }
    }

    /// What came of it, in words, when everything that must hold does.
    fn run(site: Site, action: Action) -> String {
        let cluster = cluster(1);
        let (case, producer) = Self::start(site, action, &cluster);
        let mut sent = case.trigger(&producer);
        let may_be_last = matches!(
            runs(site),
            Runs::OnProducersThread | Runs::OnApplicationsThread
        );
        let is_last = action == Action::DropsItsHandle && may_be_last;
        let producer = (!is_last).then_some(producer);
        case.open.send(()).unwrap();
        if site == Site::WakerDropped {
            sent = Ok(None);
        }
        let (outcome, took) = case.outcomes.recv_timeout(LONG).unwrap();
        assert!(took < AT_ONCE, "{site:?}, {action:?}: took {took:?}");
        let expected = case.expected();
        assert!(expected.contains(&outcome), "{outcome:?}, not {expected:?}");
        drop(case.deed.handle.lock().unwrap().take());
        let record = case.check_record(sent);
        if let Some(producer) = producer {
            case.check_that_it_goes_on(&producer, &cluster, outcome);
        }
        // Whoever let go of it, its thread has ended and its plug-ins are gone.
        let Self { deed, gone, .. } = case;
        drop(deed);
        let end = gone.recv_timeout(LONG);
        assert_eq!(end, Err(RecvTimeoutError::Disconnected));
        match (outcome, action) {
            (Outcome::Done, Action::Panics) => record.to_owned(),
            (Outcome::Done, Action::DropsItsHandle) if is_last => "the producer ends".to_owned(),
            (Outcome::Done, Action::DropsItsHandle) => "not the last".to_owned(),
            (Outcome::Done, _) => "done".to_owned(),
            (Outcome::Refused, _) => "refused".to_owned(),
            (Outcome::Closed, _) => "is closed".to_owned(),
            (Outcome::NoSuchTopic, _) => "no such topic".to_owned(),
        }
    }

    fn expected(&self) -> &'static [Outcome] {
        match (self.action, runs(self.site)) {
            // Nothing is taken any more, and nobody need wait to be told.
            (Action::SendsAndWouldWait | Action::Gets, Runs::InsideClose) => &[Outcome::Closed],
            // Its own thread may wait.
            (Action::SendsAndWouldWait, Runs::OnApplicationsThread) => &[Outcome::NoSuchTopic],
            (Action::Panics | Action::DropsItsHandle, _) | (_, Runs::OnApplicationsThread) => {
                &[Outcome::Done]
            }
            // An answer that is there already is told.
            (Action::Gets, Runs::InsideCall) => &[Outcome::Refused, Outcome::Done],
            _ => &[Outcome::Refused],
        }
    }

    /// What became of the record that the code was run for.
    fn check_record(&self, sent: Result<Option<FutureRecordMetadata>, SendError>) -> &'static str {
        let fails = match self.site {
            Site::Partition | Site::OnNewBatch => Some(PluginKind::Partitioner),
            Site::SerializeKey => Some(PluginKind::KeySerializer),
            Site::SerializeValue => Some(PluginKind::ValueSerializer),
            _ => None,
        };
        match (self.action, fails, sent) {
            (
                Action::Panics,
                Some(culprit),
                Err(SendError::Panicked {
                    plugin,
                    topic,
                    message,
                }),
            ) => {
                let told = (plugin, &*topic, &*message);
                assert_eq!(told, (culprit, "t", "planted"));
                return "its send fails";
            }
            (Action::Panics, Some(_), sent) => panic!("{sent:?}"),
            (_, _, Ok(Some(future))) => {
                let fate = future.get_timeout(LONG);
                let kind = fate.as_ref().map_err(ProduceError::kind);
                match (self.site, kind) {
                    (Site::CallbackAtOnce, Err(ProduceErrorKind::RecordTooLarge { .. })) => {}
                    (Site::CallbackAtOnce, _) => panic!("{fate:?}"),
                    (_, Ok(_)) => {}
                    _ => panic!("{fate:?}"),
                }
            }
            (_, _, Ok(None)) => {}
            (_, _, Err(error)) => panic!("{error}"),
        }
        match runs(self.site) {
            Runs::InsideClose => "close says so",
            _ => "logged",
        }
    }

    fn check_that_it_goes_on(
        &self,
        producer: &Text,
        cluster: &kafka_producer::testing::TestCluster,
        outcome: Outcome,
    ) {
        let is_closed = runs(self.site) == Runs::InsideClose
            || (self.action, outcome) == (Action::Closes, Outcome::Done);
        let after = producer.send(record("after"));
        if is_closed {
            assert!(matches!(after, Err(SendError::Closed)), "{after:?}");
        } else {
            producer.flush().unwrap();
            after.unwrap().get().unwrap();
            assert!(values(cluster, 0).contains(&"after".to_owned()));
        }
        producer.close().unwrap();
    }
}

/// The width of a cell.
const CELL: usize = 20;

#[test]
fn user_code_that_misbehaves_is_contained_or_refused_and_the_producer_goes_on() {
    let mut table = format!("| {:40} |", "run by the producer");
    for (_, name) in ACTIONS {
        write!(table, " {name:CELL$} |").unwrap();
    }
    for (site, _, name) in SITES {
        write!(table, "\n| {name:40} |").unwrap();
        for (action, _) in ACTIONS {
            let cell = Case::run(*site, *action);
            write!(table, " {cell:CELL$} |").unwrap();
        }
    }
    println!("{table}");
}

/// Sends the same again whenever it fails, which it does at once.
fn send_again(producer: &Weak<Text>, calls: &Arc<AtomicUsize>, last: &Arc<Mutex<String>>) {
    calls.fetch_add(1, Ordering::SeqCst);
    let Some(strong) = producer.upgrade() else {
        return;
    };
    let (again, inner, error) = (producer.clone(), Arc::clone(calls), Arc::clone(last));
    let large = "v".repeat(20_000);
    let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
        send_again(&again, &inner, &error);
    };
    if let Err(error) = strong.send_with_callback(record(&large), callback) {
        assert!(matches!(error, SendError::Misuse(Misuse::NestedTooDeep)));
        *last.lock().unwrap() = error.to_string();
    }
}

#[test]
fn a_callback_that_sends_again_what_fails_at_once_ends_before_the_stack_does() {
    let cluster = cluster(1);
    let config = config(&cluster).max_request_size(10_000).build().unwrap();
    let producer = Arc::new(Text::new(config).unwrap());
    producer.partitions_for("t").unwrap();
    let (calls, last) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    send_again(&Arc::downgrade(&producer), &calls, &last);
    assert_eq!(calls.load(Ordering::SeqCst), 9);
    assert!(last.lock().unwrap().contains("too many times over"));
    producer.send(record("v")).unwrap().get().unwrap();
    producer.close().unwrap();
}

/// Sends for every record that it sees one more.
struct Echoes(Arc<OnceLock<Weak<Text>>>, Arc<AtomicUsize>);

impl ProducerInterceptor<str, str> for Echoes {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        if let Some(producer) = self.0.get().and_then(Weak::upgrade) {
            self.1.fetch_add(1, Ordering::SeqCst);
            drop(producer.send(record("echo"))?);
        }
        Ok(())
    }
}

#[test]
fn an_interceptor_that_sends_for_each_record_another_ends_before_the_stack_does() {
    let cluster = cluster(1);
    let (handle, calls) = (Arc::default(), Arc::default());
    let echoes = Echoes(Arc::clone(&handle), Arc::clone(&calls));
    let producer = Text::builder(config(&cluster).build().unwrap())
        .stock_serializers()
        .interceptor(echoes)
        .build()
        .unwrap();
    let producer = Arc::new(producer);
    producer.partitions_for("t").unwrap();
    handle.set(Arc::downgrade(&producer)).unwrap();
    let sent = producer.send(record("v")).unwrap();
    sent.get().unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 8);
    producer.flush().unwrap();
    assert_eq!(values(&cluster, 0).len(), 8);
    producer.close().unwrap();
}

fn note(fate: Result<&RecordMetadata, &ProduceError>) {
    assert!(fate.is_ok());
}

/// A callback may be written in place, kept in a variable, be a function, or a box.
#[test]
fn callbacks_are_closures_functions_and_boxes() {
    type Boxed = Box<dyn FnOnce(Result<&RecordMetadata, &ProduceError>) + Send>;
    let cluster = cluster(1);
    let producer = Text::new(config(&cluster).build().unwrap()).unwrap();
    let (told, offsets) = channel();
    let tell = told.clone();
    let in_place = producer.send_with_callback(record("a"), move |fate| {
        tell.send(fate.map(RecordMetadata::offset).map_err(Clone::clone))
            .unwrap();
    });
    let tell = told.clone();
    let kept = move |fate: Result<&RecordMetadata, &ProduceError>| {
        tell.send(fate.map(RecordMetadata::offset).map_err(Clone::clone))
            .unwrap();
    };
    let kept = producer.send_with_callback(record("b"), kept);
    let boxed: Boxed = Box::new(move |fate| {
        told.send(fate.map(RecordMetadata::offset).map_err(Clone::clone))
            .unwrap();
    });
    let boxed = producer.send_with_callback(record("c"), boxed);
    let function = producer.send_with_callback(record("d"), note);
    for sent in [in_place, kept, boxed, function] {
        sent.unwrap().get().unwrap();
    }
    let offsets: Vec<_> = offsets.iter().map(Result::unwrap).collect();
    assert_eq!(offsets, [0, 1, 2]);
    producer.close().unwrap();
}
