//! A matrix of all kinds of user code that a producer runs × all forbidden actions. The result of each combination is
//! printed as a table.
//!
//! ```text
//! cargo test --test api user_code_matrix -- --nocapture
//! ```

use std::fmt::{self, Write as _};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, CloseError, ClusterResourceListener, FlushError, FutureRecordMetadata, Headers,
    Metric, MetricsReporter, Misuse, OAuthBearerToken, PartitionInput, Partitioner, PluginConfig,
    PluginKind, ProduceError, ProduceErrorKind, ProducerConfigBuilder, ProducerInterceptor,
    ProducerRecord, ReconfigureError, RecordMetadata, SecurityProtocol, SendError, Serialized,
    Serializer, TokenProvider,
};

use crate::support::{BLOCK, LONG, Text, cluster, config, record, values};

/// Upper bound of an action: a blocking call on the sender thread would take longer.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Where user code runs.
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
    Token,
    MetricChange,
    MetricRemoval,
    Reconfigure,
    CloseInterceptor,
    CloseReporter,
    ClosePartitioner,
    CloseKeySerializer,
    CloseValueSerializer,
}

/// The thread that runs the user code. It decides whether a handle that is dropped there can be the last one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Runs {
    OnProducersThread,
    /// On a helper thread of the producer, while the sender thread continues.
    OnHelperThread,
    /// Inside a call that borrows the producer: a handle dropped there is never the last one.
    InsideCall,
    /// On an application thread, outside of calls.
    OnApplicationsThread,
    InsideClose,
}

impl Runs {
    /// Whether the code runs on a thread of the producer, where blocking calls are rejected.
    fn is_own_thread(self) -> bool {
        matches!(self, Self::OnProducersThread | Self::OnHelperThread)
    }
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
    (Site::Token, Runs::OnHelperThread, "token provider"),
    (
        Site::MetricChange,
        Runs::OnProducersThread,
        "metrics reporter, metric_change",
    ),
    (
        Site::MetricRemoval,
        Runs::InsideClose,
        "metrics reporter, metric_removal",
    ),
    (
        Site::Reconfigure,
        Runs::InsideCall,
        "metrics reporter, reconfigure",
    ),
    (
        Site::CloseInterceptor,
        Runs::InsideClose,
        "interceptor, close",
    ),
    (
        Site::CloseReporter,
        Runs::InsideClose,
        "metrics reporter, close",
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

/// A forbidden action.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    Panics,
    /// Sends a record for a topic that is not cached.
    SendsAndWouldWait,
    Flushes,
    Closes,
    /// Waits for the future of its own record.
    Gets,
    DropsItsHandle,
}

const ACTIONS: &[(Action, &str)] = &[
    (Action::Panics, "panics"),
    (Action::SendsAndWouldWait, "sends and would wait"),
    (Action::Flushes, "flushes"),
    (Action::Closes, "closes"),
    (Action::Gets, "waits for a future"),
    (Action::DropsItsHandle, "drops its handle"),
];

/// The result of an action.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Done,
    /// `Misuse::InsideCallback`.
    Refused,
    /// Rejected, because the producer is closed.
    Closed,
    /// `send` blocked for `max.block.ms`, and its future has failed with an unknown topic.
    NoSuchTopic,
}

/// The action, which runs once, at its site.
struct PlantedAction {
    site: Site,
    action: Action,
    armed: AtomicBool,
    /// On a thread of the producer the action waits here until the test has dropped its handles.
    gate: Mutex<Receiver<()>>,
    handle: Mutex<Option<Arc<Text>>>,
    sender: Sender<(Outcome, Duration)>,
}

impl PlantedAction {
    fn at(&self, site: Site) {
        if site != self.site || !self.armed.swap(false, Ordering::SeqCst) {
            return;
        }
        if runs(site).is_own_thread() {
            self.gate.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        let began = Instant::now();
        let outcome = self.act();
        self.sender.send((outcome, began.elapsed())).unwrap();
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

/// All plug-ins in one type; its role is given when it is created.
struct Plugin {
    planted: Arc<PlantedAction>,
    serializes: Site,
    closes: Site,
    /// Dropped together with the plug-in.
    _alive: Sender<()>,
}

impl ProducerInterceptor<str, str> for Plugin {
    fn on_send(&self, _record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        self.planted.at(Site::OnSend);
        Ok(())
    }

    fn on_acknowledgement(&self, _metadata: &RecordMetadata, _error: Option<&ProduceError>) {
        self.planted.at(Site::OnAcknowledgement);
    }

    fn close(&self) -> Result<(), BoxError> {
        self.planted.at(self.closes);
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::new(Listens(Arc::clone(&self.planted))))
    }
}

impl Partitioner<str, str> for Plugin {
    fn partition(&self, _: &PartitionInput<'_, str, str>) -> Result<i32, BoxError> {
        self.planted.at(Site::Partition);
        Ok(0)
    }

    fn on_new_batch(&self, _: &str, _: &kafka_producer::Cluster, _: i32) {
        self.planted.at(Site::OnNewBatch);
    }

    fn close(&self) -> Result<(), BoxError> {
        self.planted.at(self.closes);
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
        self.planted.at(self.serializes);
        Ok(Some(data.as_bytes().into()))
    }

    fn close(&self) -> Result<(), BoxError> {
        self.planted.at(self.closes);
        Ok(())
    }
}

impl TokenProvider for Plugin {
    fn token(&self) -> Result<OAuthBearerToken, BoxError> {
        self.planted.at(Site::Token);
        Ok(short_lived_token())
    }
}

impl MetricsReporter for Plugin {
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        if metric.name().tag("topic") == Some("t") {
            self.planted.at(Site::MetricChange);
        }
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        self.planted.at(Site::MetricRemoval);
        Ok(())
    }

    fn reconfigurable_configs(&self) -> Vec<String> {
        vec!["report.level".to_owned()]
    }

    fn reconfigure(&self, _: &PluginConfig) -> Result<(), BoxError> {
        self.planted.at(Site::Reconfigure);
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        self.planted.at(self.closes);
        Ok(())
    }
}

/// A token with the shortest refresh interval, a second.
fn short_lived_token() -> OAuthBearerToken {
    OAuthBearerToken::new(TOKEN, Duration::from_secs(2))
}

struct Listens(Arc<PlantedAction>);

impl ClusterResourceListener for Listens {
    fn on_update(&self, _cluster_id: Option<&str>) {
        self.0.at(Site::Listener);
    }
}

struct WhenDropped(Arc<PlantedAction>, Site);

impl Drop for WhenDropped {
    fn drop(&mut self) {
        self.0.at(self.1);
    }
}

struct Task(
    Arc<PlantedAction>,
    #[allow(dead_code, reason = "dropped")] WhenDropped,
);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.at(Site::Waker);
    }
}

/// A future that a waker is registered for.
fn waited_for(producer: &Text, planted: &Arc<PlantedAction>) -> FutureRecordMetadata {
    loop {
        let mut future = producer.send(record("v")).unwrap();
        let when_dropped = WhenDropped(Arc::clone(planted), Site::WakerDropped);
        let task = Arc::new(Task(Arc::clone(planted), when_dropped));
        let waker = Waker::from(task);
        let mut context = Context::from_waker(&waker);
        // If the future is ready, the record was written before the waker was registered: try again.
        if Pin::new(&mut future).poll(&mut context).is_pending() {
            return future;
        }
    }
}

struct Case {
    site: Site,
    action: Action,
    planted: Arc<PlantedAction>,
    open: Sender<()>,
    outcomes: Receiver<(Outcome, Duration)>,
    /// Closed when all plug-ins are dropped.
    gone: Receiver<()>,
}

impl Case {
    fn start(site: Site, action: Action, cluster: &TestCluster) -> (Self, Arc<Text>) {
        let (sender, outcomes) = channel();
        let (open, gate) = channel();
        let (alive, gone) = channel();
        let planted = Arc::new(PlantedAction {
            site,
            action,
            armed: AtomicBool::new(false),
            gate: Mutex::new(gate),
            handle: Mutex::default(),
            sender,
        });
        let plugin = |serializes, closes| Plugin {
            planted: Arc::clone(&planted),
            serializes,
            closes,
            _alive: alive.clone(),
        };
        let config = config(cluster)
            .max_block(BLOCK)
            .linger(Duration::from_millis(20))
            .max_request_size(10_000);
        let config = match site {
            Site::Token => with_tokens(config),
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
            .metrics_reporter(plugin(Site::MetricRemoval, Site::CloseReporter))
            .token_provider(plugin(Site::Token, Site::Token))
            .build()
            .unwrap();
        producer.partitions_for("t").unwrap();
        if site == Site::Token {
            // From now on no connection needs a token.
            producer.send(record("before")).unwrap().get().unwrap();
        }
        let producer = Arc::new(producer);
        *planted.handle.lock().unwrap() = Some(Arc::clone(&producer));
        planted.armed.store(true, Ordering::SeqCst);
        let case = Self {
            site,
            action,
            planted,
            open,
            outcomes,
            gone,
        };
        (case, producer)
    }

    /// Makes the producer run the user code, now or soon. Returns the result of the record for which the code runs;
    /// `None` if the code runs for no record.
    fn trigger(&self, producer: &Text) -> Result<Option<FutureRecordMetadata>, SendError> {
        let planted = Arc::clone(&self.planted);
        let large = "v".repeat(20_000);
        match self.site {
            Site::Callback => producer
                .send_with_callback(record("v"), move |_| planted.at(Site::Callback))
                .map(|future| Some(future.into())),
            Site::CallbackAtOnce => producer
                .send_with_callback(record(&large), move |_| planted.at(Site::CallbackAtOnce))
                .map(|future| Some(future.into())),
            Site::CallbackDropped => {
                let captured = WhenDropped(planted, Site::CallbackDropped);
                let callback = move |_: Result<&RecordMetadata, &ProduceError>| {
                    let _last = &captured;
                };
                let sent = producer.send_with_callback(record("v"), callback);
                sent.map(|future| Some(future.into()))
            }
            Site::Waker | Site::WakerDropped => Ok(Some(waited_for(producer, &planted))),
            Site::Listener | Site::Token => Ok(None),
            Site::MetricRemoval => {
                producer.close().unwrap();
                Ok(None)
            }
            Site::Reconfigure => {
                match (
                    self.action,
                    producer.reconfigure_metrics_reporters([("report.level", "2")]),
                ) {
                    (Action::Panics, Err(ReconfigureError::Failed { why })) => {
                        assert!(why.contains("panicked in reconfigure: planted"), "{why}");
                    }
                    (action, Ok(())) if action != Action::Panics => {}
                    (_, other) => panic!("{other:?}"),
                }
                Ok(None)
            }
            Site::CloseInterceptor
            | Site::CloseReporter
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
            | Site::MetricChange
            | Site::Partition
            | Site::OnNewBatch
            | Site::SerializeKey
            | Site::SerializeValue => producer
                .send(ProducerRecord::keyed("t", "k", "v"))
                .map(Some),
        }
    }

    /// Runs one case, and returns the cell of the table if all invariants hold.
    fn run(site: Site, action: Action) -> String {
        let cluster = match site {
            Site::Token => cluster_of_tokens(),
            _ => cluster(1),
        };
        let (case, producer) = Self::start(site, action, &cluster);
        let mut sent = case.trigger(&producer);
        let may_be_last = runs(site).is_own_thread() || runs(site) == Runs::OnApplicationsThread;
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
        drop(case.planted.handle.lock().unwrap().take());
        let record = case.check_record(sent);
        if let Some(producer) = producer {
            case.check_that_it_goes_on(&producer, &cluster, outcome);
        }
        // The thread has ended and the plug-ins are dropped, whichever thread dropped the last handle.
        let Self { planted, gone, .. } = case;
        drop(planted);
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
            // A closed producer rejects everything immediately.
            (Action::SendsAndWouldWait | Action::Gets, Runs::InsideClose) => &[Outcome::Closed],
            // On an application thread a call may block.
            (Action::SendsAndWouldWait, Runs::OnApplicationsThread) => &[Outcome::NoSuchTopic],
            (Action::Panics | Action::DropsItsHandle, _) | (_, Runs::OnApplicationsThread) => {
                &[Outcome::Done]
            }
            // The future is complete already.
            (Action::Gets, Runs::InsideCall) => &[Outcome::Refused, Outcome::Done],
            _ => &[Outcome::Refused],
        }
    }

    /// Checks the result of the record for which the user code ran. Returns the text of the table's cell for a panic.
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
                let reported = (plugin, &*topic, &*message);
                assert_eq!(reported, (culprit, "t", "planted"));
                return "its send fails";
            }
            (Action::Panics, Some(_), sent) => panic!("{sent:?}"),
            (_, _, Ok(Some(future))) => {
                let fate = future.get_timeout(LONG);
                let kind = fate.as_ref().map_err(ProduceError::kind);
                match (self.site, kind) {
                    (Site::CallbackAtOnce, Err(ProduceErrorKind::RecordTooLarge { .. })) => {}
                    (Site::CallbackAtOnce, _) => panic!("{fate:?}"),
                    // The last handle was dropped before the record's request was built.
                    (Site::MetricChange, Err(ProduceErrorKind::Closed))
                        if self.action == Action::DropsItsHandle => {}
                    (_, Ok(_)) => {}
                    _ => panic!("{fate:?}"),
                }
            }
            (_, _, Ok(None)) => {}
            (_, _, Err(error)) => panic!("{error}"),
        }
        match (self.site, runs(self.site)) {
            (Site::Reconfigure, _) => "its call fails",
            (Site::MetricRemoval, _) => "logged",
            (_, Runs::InsideClose) => "close fails",
            _ => "logged",
        }
    }

    fn check_that_it_goes_on(&self, producer: &Text, cluster: &TestCluster, outcome: Outcome) {
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

const TOKEN: &str = "t0ken";

fn cluster_of_tokens() -> TestCluster {
    let cluster = TestCluster::builder().topic("t", 1).sasl_token(TOKEN);
    cluster.start().unwrap()
}

fn with_tokens(config: ProducerConfigBuilder) -> ProducerConfigBuilder {
    config
        .security_protocol(SecurityProtocol::SaslPlaintext)
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("sasl.login.refresh.window.factor", "0.5")
        .set("sasl.login.refresh.min.period.seconds", "0")
        .set("sasl.login.refresh.buffer.seconds", "0")
}

/// The width of a cell.
const CELL: usize = 20;

#[test]
fn misbehaving_user_code_does_not_break_the_producer() {
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

/// The method of a user error that panics.
#[derive(Debug, Clone, Copy)]
enum Trap {
    Shown,
    Dropped,
}

/// An error that panics when it is printed, or when it is dropped.
#[derive(Debug)]
struct Trapped(Trap);

impl fmt::Display for Trapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Trap::Shown => panic!("planted in Display"),
            Trap::Dropped => f.write_str("planted in words"),
        }
    }
}

impl std::error::Error for Trapped {}

impl Drop for Trapped {
    fn drop(&mut self) {
        if matches!(self.0, Trap::Dropped) {
            panic!("planted in Drop");
        }
    }
}

/// The first token fails; the next one is fetched, and the records arrive.
#[test]
fn a_token_providers_error_that_panics_when_displayed_or_dropped_is_reported() {
    for (trap, words) in [
        (Trap::Shown, "planted in Display"),
        (Trap::Dropped, "planted in words"),
    ] {
        let cluster = cluster_of_tokens();
        let calls = AtomicUsize::new(0);
        let producer = Text::builder(
            with_tokens(config(&cluster))
                .max_block(BLOCK)
                .build()
                .unwrap(),
        )
        .stock_serializers()
        .token_provider(move || match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Trapped(trap).into()),
            _ => Ok(short_lived_token()),
        })
        .build()
        .unwrap();
        let error = producer.partitions_for("t").unwrap_err().to_string();
        assert!(error.contains(words), "{trap:?}: {error}");
        let until = Instant::now() + LONG;
        while let Err(error) = producer.send(record("after")).unwrap().get() {
            assert!(Instant::now() < until, "{trap:?}: {error}");
        }
        producer.close().unwrap();
    }
}

/// Closing or dropping the producer does not wait for a provider that hangs. The provider is dropped when its call
/// returns.
#[test]
fn close_and_drop_do_not_wait_for_a_token_provider_that_blocks() {
    for closes in [true, false] {
        let cluster = cluster_of_tokens();
        let (entered, inside) = channel();
        let (open, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let (alive, gone) = channel::<()>();
        let producer = Text::builder(
            with_tokens(config(&cluster))
                .max_block(BLOCK)
                .build()
                .unwrap(),
        )
        .stock_serializers()
        .token_provider(move || {
            let _ = &alive;
            entered.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
            Ok(short_lived_token())
        })
        .build()
        .unwrap();
        inside.recv_timeout(LONG).unwrap();
        // A call that needs a token times out after max.block.ms.
        let began = Instant::now();
        producer.partitions_for("t").unwrap_err();
        assert!(began.elapsed() < AT_ONCE);
        let began = Instant::now();
        if closes {
            producer.close().unwrap();
        }
        drop(producer);
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        drop(open);
        assert_eq!(gone.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }
}

/// Sends a record that fails immediately, and whose callback calls this function again. Counts the calls, and stores
/// the text of the error with which `send` rejects the recursion.
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
fn recursive_sends_in_a_callback_are_limited() {
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

/// An interceptor that sends another record for each one that it sees.
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
fn recursive_sends_in_an_interceptor_are_limited() {
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

/// A callback may be a closure, a variable, a function, or a box.
#[test]
fn callbacks_are_closures_functions_and_boxes() {
    type Boxed = Box<dyn FnOnce(Result<&RecordMetadata, &ProduceError>) + Send>;
    let cluster = cluster(1);
    let producer = Text::new(config(&cluster).build().unwrap()).unwrap();
    let (sender, offsets) = channel();
    let other = sender.clone();
    let in_place = producer.send_with_callback(record("a"), move |fate| {
        other
            .send(fate.map(RecordMetadata::offset).map_err(Clone::clone))
            .unwrap();
    });
    let other = sender.clone();
    let kept = move |fate: Result<&RecordMetadata, &ProduceError>| {
        other
            .send(fate.map(RecordMetadata::offset).map_err(Clone::clone))
            .unwrap();
    };
    let kept = producer.send_with_callback(record("b"), kept);
    let boxed: Boxed = Box::new(move |fate| {
        sender
            .send(fate.map(RecordMetadata::offset).map_err(Clone::clone))
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
