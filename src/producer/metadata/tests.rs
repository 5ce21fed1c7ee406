use std::sync::atomic::AtomicBool;

use super::*;
use crate::client::metadata::{FatalMetadataError, is_newer};
use crate::clock::mock::MockClock;
use crate::clock::{Clock, SystemClock};
use crate::error::{ErrorCode, Misuse};
use crate::producer::instance::{Instance, InstanceId};
use crate::producer::waiting::{BlockingCall, Check, Driver, Step, Stopwatch, Wait};
use crate::protocol::{MetadataBroker, MetadataPartition, MetadataTopic};
use crate::sync::assert_unlocked;
use crate::types::{ClusterResourceListener, ReplicaLists};

const BACKOFF: Duration = Duration::from_millis(100);
const MAX_AGE: Duration = Duration::from_secs(1);
const MAX_IDLE: Duration = Duration::from_secs(3);
/// The longest time that a test waits for an event.
const LONG: Duration = Duration::from_secs(60);

/// An observer that reports all topics, or none, as used, and stores the partition count of topic "t" at each
/// notification.
#[derive(Default)]
struct Observer {
    uses_all: AtomicBool,
    partition_counts: Leaf<Vec<Option<usize>>>,
}

/// A lock that the observer may take while the metadata lock is held.
struct Leaf<T>(Mutex<T>);

impl<T: Default> Default for Leaf<T> {
    fn default() -> Self {
        Self(Mutex::new(Rank::LEAF, T::default()))
    }
}

impl ClusterObserver for Observer {
    fn take_used(&self, _topic: &str) -> bool {
        self.uses_all.load(Ordering::SeqCst)
    }

    fn on_cluster(&self, cluster: &Arc<Cluster>, _changed: &ChangedTopics) {
        self.partition_counts
            .0
            .lock()
            .push(cluster.partition_count("t"));
    }
}

struct Harness {
    metadata: Arc<ProducerMetadata>,
    observer: Arc<Observer>,
    clock: Arc<MockClock>,
}

impl Harness {
    fn new() -> Self {
        Self::with_listeners(Vec::new())
    }

    fn with_listeners(listeners: Vec<Arc<dyn ClusterResourceListener>>) -> Self {
        let observer = Arc::new(Observer::default());
        let options = ProducerMetadataOptions {
            refresh_backoff: BACKOFF,
            max_age: MAX_AGE,
            max_idle: MAX_IDLE,
        };
        let metadata = ProducerMetadata::new(
            options,
            ClusterListeners::new(listeners, Instance::for_tests()),
            Arc::clone(&observer) as Arc<dyn ClusterObserver>,
        );
        Self {
            metadata: Arc::new(metadata),
            observer,
            clock: Arc::new(MockClock::new()),
        }
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn add(&self, topic: &str) -> u32 {
        self.metadata.add_topic(&topic.into(), self.now()).version
    }

    /// Plans the next request and handles a response in which all requested topics exist. Returns the plan and the
    /// topics.
    fn update(&self) -> (PlannedUpdate, Vec<Arc<str>>) {
        let plan = self.metadata.new_request(self.now());
        let topics = plan.request.topics.unwrap();
        self.answer(plan.planned, &topics, ErrorCode::NoError);
        (plan.planned, topics)
    }

    fn answer(&self, planned: PlannedUpdate, topics: &[Arc<str>], error: ErrorCode) {
        let topics = topics.iter().map(|name| MetadataTopic {
            error,
            name: Arc::clone(name),
            topic_id: [0; 16],
            is_internal: false,
            partitions: vec![MetadataPartition {
                error: ErrorCode::NoError,
                index: 0,
                leader_id: 1,
                leader_epoch: 0,
                replicas: ReplicaLists::new(&[1], &[1], &[]),
            }],
        });
        let broker = MetadataBroker {
            node_id: 1,
            host: "a".into(),
            port: 9092,
            rack: None,
        };
        let response = MetadataResponse {
            throttle_time_ms: 0,
            brokers: vec![broker],
            cluster_id: Some("c".into()),
            controller_id: 1,
            topics: topics.collect(),
        };
        let _ = self
            .metadata
            .handle_response(planned, 11, response, self.now());
    }

    fn is_due(&self) -> bool {
        self.metadata
            .time_to_next_update(self.now())
            .is_over(self.now())
    }
}

/// Waits for a snapshot newer than `version`; [`UpdateCheck::Same`] if the wait times out first.
fn await_update(
    metadata: &ProducerMetadata,
    version: u32,
    start: WaitStart,
    timeout: Duration,
) -> UpdateCheck {
    let clock = SystemClock::new();
    let mut call = Awaiting {
        clock: &clock,
        update: metadata.update_after(version, start),
        time: Stopwatch::new(Some(timeout)),
    };
    Driver::new(&clock, InstanceId::next()).run(&mut call)
}

struct Awaiting<'a> {
    clock: &'a SystemClock,
    update: AwaitedUpdate<'a>,
    time: Stopwatch,
}

impl BlockingCall for Awaiting<'_> {
    type Output = UpdateCheck;

    const CHECK: Check = Check::BeforeWaiting;

    fn step(&mut self) -> Step<'_, UpdateCheck> {
        let begins = self.time.start(self.clock);
        match self.update.look() {
            UpdateCheck::Same if begins || !self.time.is_over(self.clock) => Step::Wait(Wait {
                event: &self.update,
                until: self.time.deadline(),
            }),
            outcome => Step::Done(outcome),
        }
    }

    fn refuse(&mut self, why: Misuse) -> UpdateCheck {
        panic!("{why}")
    }
}

/// Runs `wait` on another thread and `then` once that thread waits or has finished.
fn while_waiting<W: Send>(wait: impl FnOnce() -> W + Send, then: impl FnOnce()) -> W {
    std::thread::scope(|scope| {
        let (started, has_started) = crossbeam_channel::bounded(1);
        let waiter = scope.spawn(move || {
            started.send(()).unwrap();
            wait()
        });
        has_started.recv().unwrap();
        then();
        waiter.join().unwrap()
    })
}

/// Java: ProducerMetadataTest#testMetadata, MD-21
#[test]
fn a_wait_ends_when_a_newer_snapshot_is_published() {
    let harness = Harness::new();
    let version = harness.add("t");
    let metadata = &harness.metadata;
    let waited = while_waiting(
        || {
            let result = await_update(metadata, version, metadata.begin_wait(), LONG);
            (result, metadata.cluster().partition_count("t"))
        },
        || drop(harness.update()),
    );
    assert_eq!(waited, (UpdateCheck::Newer, Some(1)));
    assert_eq!(metadata.update_version(), version + 1);
    assert!(!harness.is_due());
    harness.clock.advance(MAX_AGE);
    assert!(harness.is_due());
}

/// Java: ProducerMetadataTest#testMetadataAwaitAfterClose, MD-21. Differs from MD-22: while the producer closes, its
/// remaining batches need their partitions' leaders.
#[test]
fn close_wakes_waiters_and_refuses_later_ones_but_updates_go_on() {
    let harness = Harness::new();
    let metadata = &harness.metadata;
    let version = harness.add("t");
    let waited = while_waiting(
        || await_update(metadata, version, metadata.begin_wait(), LONG),
        || metadata.close(),
    );
    assert_eq!(waited, UpdateCheck::Closed);
    assert_eq!(
        await_update(metadata, version, metadata.begin_wait(), LONG),
        UpdateCheck::Closed
    );
    harness.update();
    assert_eq!(metadata.update_version(), version + 1);
}

/// Java: ProducerMetadataTest#testMetadataUpdateWaitTime
#[test]
fn a_wait_ends_at_its_timeout_even_if_the_timeout_is_zero() {
    let harness = Harness::new();
    harness.update();
    for timeout in [Duration::ZERO, Duration::from_millis(20)] {
        let version = harness.metadata.request_update();
        let metadata = &harness.metadata;
        let result = await_update(metadata, version, metadata.begin_wait(), timeout);
        assert_eq!(result, UpdateCheck::Same);
    }
}

#[test]
fn a_spurious_wakeup_does_not_end_a_wait() {
    let harness = Harness::new();
    let version = harness.add("t");
    let metadata = &harness.metadata;
    let waited = while_waiting(
        || await_update(metadata, version, metadata.begin_wait(), LONG),
        || {
            for _ in 0..10 {
                metadata.handle_failure(harness.now(), MetadataFailure::NoBrokers);
            }
            harness.update();
        },
    );
    assert_eq!(waited, UpdateCheck::Newer);
}

/// A timeout may be `Duration::MAX`.
#[test]
fn the_longest_timeout_does_not_overflow() {
    let harness = Harness::new();
    let metadata = &harness.metadata;
    let version = harness.add("t");
    let waited = while_waiting(
        || await_update(metadata, version, metadata.begin_wait(), Duration::MAX),
        || drop(harness.update()),
    );
    assert_eq!(waited, UpdateCheck::Newer);
}

/// Java: ProducerMetadataTest#testMetadataWaitAbortedOnFatalException, MD-20. In Kafka only one waiter gets the error.
#[test]
fn an_authentication_failure_ends_all_current_waits_and_no_later_ones() {
    let harness = Harness::new();
    let metadata = &harness.metadata;
    let refusal = || {
        metadata.handle_failure(harness.now(), MetadataFailure::Authentication("no".into()));
    };
    let failure = UpdateCheck::Fatal(FatalMetadataError::Authentication("no".into()));
    let starts = [metadata.begin_wait(); 20];
    let waited = while_waiting(|| await_update(metadata, 0, starts[0], LONG), refusal);
    assert_eq!(waited, failure);
    for start in starts {
        assert_eq!(await_update(metadata, 0, start, Duration::ZERO), failure);
    }
    let later = metadata.begin_wait();
    let timed_out = UpdateCheck::Same;
    assert_eq!(await_update(metadata, 0, later, Duration::ZERO), timed_out);
    refusal();
    assert_eq!(await_update(metadata, 0, later, Duration::ZERO), failure);
    // After an update the error no longer ends waits.
    let version = metadata.update_version();
    harness.update();
    assert_eq!(
        await_update(metadata, version, later, Duration::ZERO),
        UpdateCheck::Newer
    );
    assert_eq!(
        await_update(metadata, version + 1, later, Duration::ZERO),
        timed_out
    );
}

/// Java: ProducerMetadataTest#testTimeToNextUpdateOverwriteBackoff, MD-3
#[test]
fn a_new_topic_is_requested_without_backoff_and_a_known_one_is_not_requested() {
    let harness = Harness::new();
    harness.update();
    harness.add("t");
    assert!(harness.is_due());
    harness.update();
    harness.add("t");
    assert!(!harness.is_due());
    harness.add("other");
    assert!(harness.is_due());
}

/// Java: ProducerMetadataTest#testTopicExpiry, MD-9
#[test]
fn an_idle_topic_expires() {
    let harness = Harness::new();
    harness.add("t");
    harness.update();
    assert!(harness.metadata.contains_topic("t"));
    harness.clock.advance(MAX_IDLE);
    harness.update();
    assert!(!harness.metadata.contains_topic("t"));
    assert_eq!(harness.metadata.cluster().partition_count("t"), None);

    harness.add("t");
    harness.update();
    for _ in 0..3 {
        harness.clock.advance(MAX_IDLE / 2);
        harness.update();
        assert!(harness.metadata.contains_topic("t"));
        harness.add("t");
    }
    // A topic that no response has named yet stays, however long that takes.
    harness.add("new");
    harness.clock.advance(MAX_IDLE * 2);
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: 0,
    };
    harness.answer(planned, &["t".into()], ErrorCode::NoError);
    assert!(harness.metadata.contains_topic("new") && !harness.metadata.contains_topic("t"));
}

/// A `send` to the topic since the last response counts as use (KP-37).
#[test]
fn a_topic_in_use_is_kept_without_being_added_again() {
    let harness = Harness::new();
    harness.add("t");
    harness.update();
    harness.observer.uses_all.store(true, Ordering::SeqCst);
    harness.clock.advance(MAX_IDLE);
    harness.update();
    assert!(harness.metadata.contains_topic("t"));
    harness.observer.uses_all.store(false, Ordering::SeqCst);
    harness.clock.advance(MAX_IDLE);
    harness.update();
    assert!(!harness.metadata.contains_topic("t"));
}

/// Java: ProducerMetadataTest#testMetadataPartialUpdate, MD-6, MD-11, MD-27
#[test]
fn only_new_topics_are_requested_while_the_other_metadata_is_fresh() {
    let harness = Harness::new();
    harness.add("one");
    let (planned, topics) = harness.update();
    assert_eq!(
        (planned.is_partial, topics),
        (false, vec!["one".into()]),
        "nothing was known"
    );
    harness.add("two");
    let before_three = harness.metadata.new_request(harness.now());
    assert!(before_three.request.allow_auto_topic_creation);
    harness.add("three");
    assert_eq!(before_three.request.topics.unwrap(), ["two".into()]);
    harness.answer(before_three.planned, &["two".into()], ErrorCode::NoError);
    harness.clock.advance(BACKOFF);
    assert!(harness.is_due(), "the answer did not know of the third");
    let (planned, topics) = harness.update();
    assert_eq!((planned.is_partial, topics), (true, vec!["three".into()]));
    assert!(!harness.is_due());
    harness.metadata.request_update();
    harness.add("four");
    let (planned, topics) = harness.update();
    assert!(!planned.is_partial);
    assert_eq!(topics, ["four", "one", "three", "two"].map(Arc::from));
    assert_eq!(harness.metadata.cluster().topics().count(), 4);
}

/// Java: ProducerMetadataTest#testRequestUpdateForTopic, KP-39
#[test]
fn a_new_topic_is_requested_alone_and_a_known_one_with_all_others() {
    let harness = Harness::new();
    harness.add("known");
    harness.update();
    harness.add("new");
    let requested = harness.metadata.request_update_for_topic("new", None);
    assert_eq!((requested.version, requested.is_new), (1, false));
    assert!(
        harness
            .metadata
            .new_request(harness.now())
            .planned
            .is_partial
    );
    let requested = harness.metadata.request_update_for_topic("known", None);
    assert_eq!((requested.version, requested.is_new), (1, true));
    assert!(
        !harness
            .metadata
            .new_request(harness.now())
            .planned
            .is_partial
    );
}

/// Calls that are refused at once may come in a loop: only a new request wakes the sender.
#[test]
fn a_request_for_an_update_is_new_only_if_it_was_not_pending() {
    let harness = Harness::new();
    let (topic, now) = ("t".into(), harness.now());
    let add = || harness.metadata.add_topic(&topic, now).is_new;
    let request = |wanted| {
        let requested = harness.metadata.request_update_for_topic("t", wanted);
        requested.is_new
    };
    assert_eq!(
        [add(), add(), request(None), request(Some(9))],
        [true, false, false, false]
    );
    harness.update();
    // The topic is known now, but lacks the partition.
    assert_eq!(
        [add(), request(Some(9)), request(Some(9))],
        [false, true, false]
    );
    harness.update();
    assert!(request(Some(9)));
}

/// In Kafka only one of the waiters gets the error (KP-42).
#[test]
fn the_error_of_a_topic_is_returned_to_all_its_waiters_and_later_calls_request_it_again() {
    let harness = Harness::new();
    let metadata = &harness.metadata;
    let start = metadata.begin_wait();
    harness.add("t");
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: 1,
    };
    harness.answer(planned, &["t".into()], ErrorCode::TopicAuthorizationFailed);
    assert_eq!(metadata.topic_error("u", start), None);
    // The error remains after a response for other topics.
    harness.update();
    for _ in 0..20 {
        let failure = metadata.topic_error("t", start);
        assert_eq!(failure, Some(TopicError::Unauthorized));
    }
    let later = metadata.begin_wait();
    assert_eq!(metadata.topic_error("t", later), None);
    harness.clock.advance(BACKOFF);
    assert!(!harness.is_due());
    harness.add("t");
    assert!(harness.is_due());
    harness.update();
    assert_eq!(metadata.topic_error("t", start), None, "it was mended");
}

#[test]
fn the_state_of_a_topic_names_the_missing_metadata() {
    let harness = Harness::new();
    harness.add("t");
    let start = harness.metadata.begin_wait();
    let state = || {
        let state = harness.metadata.topic_state("t", start, harness.now());
        state.to_string()
    };
    assert_eq!(state(), "no broker has described the topic yet");
    let awaited = |node| AwaitedBroker {
        node,
        host: "h".into(),
        port: 9092,
        stage: "connecting",
        missing: None,
        since: harness.now(),
    };
    harness.metadata.handle_awaited(vec![awaited(-2)]);
    harness.clock.advance(Duration::from_millis(30));
    assert_eq!(
        state(),
        "no broker has described the topic yet; metadata is awaited from broker -2 (h:9092): connecting for 30 ms"
    );
    let why = "broker -1 (h:9092): connection refused";
    let failure = MetadataFailure::Disconnected(why.into());
    harness.metadata.handle_failure(harness.now(), failure);
    harness.metadata.handle_awaited(vec![awaited(-1)]);
    assert_eq!(
        state(),
        format!(
            "no broker has described the topic yet; the last request for metadata failed: disconnected: {why}; \
             metadata is awaited from broker -1 again: connecting for 0 ms"
        )
    );
    harness.metadata.handle_awaited(Vec::new());
    assert!(state().ends_with("connection refused"), "{}", state());
    let planned = PlannedUpdate {
        is_partial: false,
        request_version: 1,
    };
    harness.answer(planned, &["t".into()], ErrorCode::LeaderNotAvailable);
    assert!(state().contains("LEADER_NOT_AVAILABLE"), "{}", state());
    harness.answer(planned, &["t".into()], ErrorCode::NoError);
    assert_eq!(state(), "the topic has 1 partitions");
}

/// A cluster listener that checks that no lock is held, and stores the cluster id of each notification.
#[derive(Default)]
struct Listener {
    cluster_ids: Leaf<Vec<Option<String>>>,
}

impl ClusterResourceListener for Listener {
    fn on_update(&self, cluster_id: Option<&str>) {
        assert_unlocked();
        self.cluster_ids.0.lock().push(cluster_id.map(Into::into));
    }
}

struct Panics;

impl ClusterResourceListener for Panics {
    fn on_update(&self, _cluster_id: Option<&str>) {
        panic!("in the user's listener");
    }
}

/// Java: MetadataTest#testClusterListenerGetsNotifiedOfUpdate, MD-26
#[test]
fn listeners_are_notified_of_each_update_even_if_one_of_them_panics() {
    let listener = Arc::new(Listener::default());
    let harness = Harness::with_listeners(vec![Arc::new(Panics), Arc::clone(&listener) as _]);
    harness.metadata.notify_listeners(&*harness.clock);
    for updates in 1..3 {
        harness.update();
        assert_eq!(listener.cluster_ids.0.lock().len(), updates - 1);
        harness.metadata.notify_listeners(&*harness.clock);
        harness.metadata.notify_listeners(&*harness.clock);
        assert_eq!(
            *listener.cluster_ids.0.lock(),
            vec![Some("c".into()); updates]
        );
    }
}

/// A listener that closes all listeners while it is called, as another thread may.
#[derive(Default)]
struct ClosesThem(std::sync::OnceLock<Arc<ProducerMetadata>>);

impl ClusterResourceListener for ClosesThem {
    fn on_update(&self, _cluster_id: Option<&str>) {
        self.0.get().unwrap().close_listeners();
    }
}

#[test]
fn no_listener_is_called_after_the_listeners_are_closed() {
    let closes = Arc::new(ClosesThem::default());
    let listener = Arc::new(Listener::default());
    let harness =
        Harness::with_listeners(vec![Arc::clone(&closes) as _, Arc::clone(&listener) as _]);
    closes.0.set(Arc::clone(&harness.metadata)).unwrap();
    for _ in 0..2 {
        harness.update();
        harness.metadata.notify_listeners(&*harness.clock);
    }
    assert!(listener.cluster_ids.0.lock().is_empty());
}

/// A listener that takes twice the maximum age of metadata for each update.
#[derive(Default)]
struct SlowListener(std::sync::OnceLock<Arc<MockClock>>);

impl ClusterResourceListener for SlowListener {
    fn on_update(&self, _cluster_id: Option<&str>) {
        self.0.get().unwrap().advance(2 * MAX_AGE);
    }
}

/// If they counted from the response, an update would be due whenever the listeners return, and nothing else would be
/// sent.
#[test]
fn the_age_of_metadata_and_the_back_off_count_from_the_return_of_the_listeners() {
    let slow = Arc::new(SlowListener::default());
    let harness = Harness::with_listeners(vec![Arc::clone(&slow) as _]);
    slow.0.set(Arc::clone(&harness.clock)).unwrap();
    harness.metadata.bootstrap(vec![Node::new(-1, "a", 9092)]);
    harness.add("t");
    harness.update();
    harness.metadata.notify_listeners(&*harness.clock);
    assert!(!harness.is_due());
    assert_eq!(harness.metadata.age(harness.now()), Some(Duration::ZERO));
    harness.metadata.request_update();
    assert!(!harness.is_due(), "the back-off");
    harness.clock.advance(BACKOFF);
    assert!(harness.is_due());
    harness.update();
    harness.metadata.notify_listeners(&*harness.clock);
    // A partial update does not renew the age of the other topics' metadata.
    harness.add("u");
    let (planned, _) = harness.update();
    assert!(planned.is_partial);
    harness.metadata.notify_listeners(&*harness.clock);
    assert!(!harness.is_due(), "the back-off");
    harness.clock.advance(BACKOFF);
    assert!(harness.is_due());
}

#[test]
fn the_observer_is_notified_of_each_snapshot() {
    let harness = Harness::new();
    harness.metadata.bootstrap(vec![Node::new(-1, "a", 9092)]);
    assert_eq!(harness.metadata.update_version(), 1);
    harness.add("t");
    harness.update();
    assert_eq!(*harness.observer.partition_counts.0.lock(), [None, Some(1)]);
    assert_eq!(harness.metadata.update_version(), 2);
}

#[test]
fn versions_are_compared_correctly_when_they_wrap_around() {
    assert!(is_newer(0, u32::MAX));
    assert!(!is_newer(u32::MAX, 0));
    assert!(!is_newer(3, 3));
}

/// A missing topic costs one request for each call that needs it, not one per back-off.
#[test]
fn a_topic_that_does_not_exist_is_requested_only_when_a_call_needs_it() {
    let harness = Harness::new();
    harness.add("known");
    harness.update();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let ask = || {
        let plan = harness.metadata.new_request(harness.now());
        let topics = plan.request.topics.unwrap();
        harness.answer(plan.planned, &topics, unknown);
        (plan.planned.is_partial, topics)
    };
    harness.add("missing");
    assert!(harness.is_due(), "a new one is asked for at once");
    assert_eq!(ask(), (true, vec!["missing".into()]));
    harness.clock.advance(BACKOFF);
    assert!(!harness.is_due(), "no call waits for it");
    for _ in 0..3 {
        // Several calls before the response cause one request.
        for _ in 0..5 {
            harness.add("missing");
            harness.metadata.request_update_for_topic("missing", None);
        }
        assert!(harness.is_due());
        assert_eq!(ask(), (true, vec!["missing".into()]), "it alone");
        assert!(!harness.is_due());
        harness.add("missing");
        assert!(
            !harness.is_due(),
            "it waits for the backoff like other attempts"
        );
        harness.clock.advance(BACKOFF);
        assert!(harness.is_due());
        ask();
        harness.clock.advance(BACKOFF);
        assert!(!harness.is_due());
    }
    harness.clock.advance(MAX_AGE);
    let plan = harness.metadata.new_request(harness.now());
    assert!(!plan.planned.is_partial);
    assert_eq!(plan.request.topics.unwrap(), ["known".into()]);
}

/// The topic is found once it exists, and waiters are woken.
#[test]
fn a_topic_that_a_response_lacks_is_requested_again() {
    let harness = Harness::new();
    harness.add("t");
    let plan = harness.metadata.new_request(harness.now());
    harness.answer(plan.planned, &[], ErrorCode::NoError);
    harness.clock.advance(BACKOFF);
    assert!(!harness.is_due());
    harness.add("t");
    assert!(harness.is_due());
    harness.update();
    assert_eq!(harness.metadata.cluster().partition_count("t"), Some(1));
}

#[test]
fn a_topic_that_does_not_exist_is_distinguished_from_an_unknown_one() {
    let harness = Harness::new();
    let metadata = &harness.metadata;
    harness.add("t");
    let start = metadata.begin_wait();
    let state = |start| metadata.topic_state("t", start, harness.now());
    let is_missing = |start, wanted| state(start).is_missing(wanted);
    assert!(!is_missing(start, None), "no broker has responded");
    let planned = PlannedUpdate {
        is_partial: true,
        request_version: 1,
    };
    let answer = |code| harness.answer(planned, &["t".into()], code);
    answer(ErrorCode::LeaderNotAvailable);
    assert!(!is_missing(start, None), "it exists");
    answer(ErrorCode::UnknownTopicOrPartition);
    assert!(is_missing(start, None));
    // The topic is missing for later calls, too, which do not wait for another response.
    harness.clock.advance(Duration::from_millis(200));
    let later = metadata.begin_wait();
    assert!(is_missing(later, None));
    assert_eq!(state(later).response_age, Some(Duration::from_millis(200)));
    assert_eq!(state(start).response_age, None);
    harness.clock.advance(MAX_IDLE);
    assert!(!is_missing(later, None), "that was long ago");
    assert!(is_missing(start, None));
    answer(ErrorCode::UnknownTopicOrPartition);
    assert!(is_missing(metadata.begin_wait(), None));
    let failure = MetadataFailure::Disconnected("gone".into());
    metadata.handle_failure(harness.now(), failure);
    for start in [start, metadata.begin_wait()] {
        assert!(
            !is_missing(start, None),
            "that was before the brokers went away"
        );
    }
    // A response about other topics does not show whether the topic is still missing.
    harness.answer(planned, &[], ErrorCode::NoError);
    assert!(!is_missing(metadata.begin_wait(), None));
    harness.clock.advance(BACKOFF);
    answer(ErrorCode::NoError);
    assert!(is_missing(start, Some(7)) && !is_missing(start, None));
}

#[test]
fn a_partition_beyond_the_count_is_missing_once_a_response_has_confirmed_the_count() {
    let harness = Harness::new();
    let metadata = &harness.metadata;
    harness.add("t");
    harness.update();
    let is_missing = || {
        let start = metadata.begin_wait();
        let state = metadata.topic_state("t", start, harness.now());
        state.is_missing(Some(7))
    };
    assert!(!is_missing(), "it was not asked");
    for _ in 0..3 {
        metadata.request_update_for_topic("t", Some(7));
        assert!(!is_missing(), "it was not answered");
    }
    harness.clock.advance(BACKOFF);
    assert!(harness.is_due());
    harness.update();
    for _ in 0..3 {
        assert!(is_missing());
        let state = metadata.topic_state("t", metadata.begin_wait(), harness.now());
        assert!(!state.is_missing(Some(0)), "the topic has that one");
        metadata.request_update_for_topic("t", Some(7));
    }
    metadata.handle_failure(harness.now(), MetadataFailure::NoBrokers);
    assert!(!is_missing());
}

/// The caller has checked the name. This is the last check: one invalid name would make every metadata request fail.
#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "was not checked"))]
fn a_topic_name_that_cannot_be_encoded_is_not_tracked() {
    let harness = Harness::new();
    harness.add(&"x".repeat(40_000));
    assert!(!harness.metadata.contains_topic(&"x".repeat(40_000)));
}
