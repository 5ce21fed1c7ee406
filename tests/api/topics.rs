//! Topics that do not exist, have invalid names, or change while records are sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use kafka_producer::testing::{Api, Rule, RuleHandle, TestCluster};
use kafka_producer::{
    BoxError, Delivery, ErrorCode, KafkaProducer, MetadataError, PartitionId, PartitionInput,
    Partitioner, ProduceError, ProduceErrorKind, ProducerRecord, TrySendReason,
};

use crate::support::{BLOCK, LONG, Text, cluster, config, config_for, producer, record, values};

fn to<'a>(topic: &'a str, value: &'a str) -> ProducerRecord<'a, str, str> {
    ProducerRecord::new(topic, value)
}

fn send_to(producer: &Text, topic: &str) -> Result<(), ProduceError> {
    let future = producer.send(to(topic, "v")).unwrap();
    future.get_timeout(LONG).map(drop)
}

fn watch(cluster: &TestCluster) -> RuleHandle {
    cluster.script(Rule::on(Api::Metadata)).unwrap()
}

/// Invalid names, one for each rule.
fn illegal_names() -> Vec<String> {
    let long = |bytes| "x".repeat(bytes);
    let mut names = ["", ".", "..", "a b", "a/b", "ä", "a\nb", "a\0"]
        .map(str::to_owned)
        .to_vec();
    names.extend([250, 32_767, 32_768, 1 << 20].map(long));
    names
}

/// Java: `TopicTest#shouldThrowOnInvalidTopicNames`
#[test]
fn an_invalid_topic_name_fails_at_once_and_does_not_affect_others() {
    let cluster = cluster(1);
    let requests = watch(&cluster);
    let producer = producer(config(&cluster));
    send_to(&producer, "t").unwrap();
    let before = requests.fired();
    for name in illegal_names() {
        let shown = &name[..name.len().min(20)];
        let began = Instant::now();
        let error = send_to(&producer, &name).unwrap_err();
        assert_eq!(
            *error.kind(),
            ProduceErrorKind::InvalidTopic,
            "{shown:?}: {error}"
        );
        assert_eq!(
            (error.delivery(), error.code()),
            (Delivery::NotWritten, None)
        );
        assert!(
            !error.is_retriable() && error.to_string().len() < 1_000,
            "{shown:?}"
        );
        assert_eq!(error.topic(), name);
        match producer.try_send(to(&name, "v")).unwrap_err().reason() {
            TrySendReason::Record(error) => {
                assert_eq!(*error.kind(), ProduceErrorKind::InvalidTopic);
            }
            other => panic!("{shown:?}: {other:?}"),
        }
        match producer.partitions_for(&name) {
            Err(error @ MetadataError::InvalidTopic(_)) => {
                assert!(error.to_string().len() < 1_000, "{shown:?}");
            }
            other => panic!("{shown:?}: {other:?}"),
        }
        assert!(began.elapsed() < LONG / 2, "{shown:?}");
    }
    assert_eq!(requests.fired(), before, "no request was sent");
    // Topics that are not cached yet are still fetched.
    let longest = "x".repeat(249);
    for name in ["other", "...", longest.as_str()] {
        cluster
            .create_topic(name, &kafka_producer::testing::TopicOptions::new(1))
            .unwrap();
        send_to(&producer, name).unwrap();
    }
}

/// Measured by the number of requests that the brokers receive while only cached topics are used.
#[test]
fn an_unknown_topic_without_waiters_is_not_requested() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    send_to(&producer, "t").unwrap();
    let names: Vec<String> = (0..20).map(|i| format!("missing-{i}")).collect();
    for name in &names {
        let asked = cluster
            .script(Rule::on(Api::Metadata).topic(name.as_str()))
            .unwrap();
        let refused = producer.try_send(to(name, "v")).unwrap_err();
        // If this thread is preempted, the response may have arrived before `try_send` checks.
        let is_answered =
            |error: &ProduceError| *error.kind() == ProduceErrorKind::UnknownTopicOrPartition;
        assert!(
            match refused.reason() {
                TrySendReason::TopicNotKnown => true,
                TrySendReason::Record(error) => is_answered(error),
                _ => false,
            },
            "{refused}"
        );
        asked.wait_fired(1, LONG).unwrap();
    }
    let requests = watch(&cluster);
    // The ten sends take twenty times the back-off between two metadata requests.
    cluster
        .script(Rule::on(Api::Produce).delay(Duration::from_millis(20)))
        .unwrap();
    for _ in 0..10 {
        send_to(&producer, "t").unwrap();
    }
    assert_eq!(requests.fired(), 0, "no call waits for any of them");
    // A new call requests the topic again.
    let again = cluster
        .script(Rule::on(Api::Metadata).topic("missing-3"))
        .unwrap();
    assert!(producer.try_send(to("missing-3", "v")).is_err());
    again.wait_fired(1, LONG).unwrap();
    // A topic is found once it exists.
    cluster
        .create_topic("missing-3", &kafka_producer::testing::TopicOptions::new(1))
        .unwrap();
    send_to(&producer, "missing-3").unwrap();
}

#[test]
fn a_topic_with_waiters_is_found_when_it_is_created() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    let asked = cluster
        .script(Rule::on(Api::Metadata).topic("late"))
        .unwrap();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| send_to(&producer, "late"));
        let asking = scope.spawn(|| producer.partitions_for("late").map(|all| all.len()));
        asked.wait_fired(3, LONG).unwrap();
        cluster
            .create_topic("late", &kafka_producer::testing::TopicOptions::new(2))
            .unwrap();
        sending.join().unwrap().unwrap();
        assert_eq!(asking.join().unwrap().unwrap(), 2);
    });
}

/// An HTTP service that sends records would respond with 404 in one case, with 503 in the other.
#[test]
fn unknown_topic_and_unreachable_broker_are_different_kinds() {
    let unknown = Some(ErrorCode::UnknownTopicOrPartition);
    let cluster = cluster(1);
    let missing = producer(config(&cluster).max_block(BLOCK));
    let error = send_to(&missing, "missing").unwrap_err();
    assert_eq!(
        *error.kind(),
        ProduceErrorKind::UnknownTopicOrPartition,
        "{error}"
    );
    assert_eq!(
        (error.code(), error.delivery()),
        (unknown, Delivery::NotWritten)
    );
    assert!(
        error.is_retriable() && error.is_timeout(),
        "it may be made yet"
    );
    let error = missing.partitions_for("missing").unwrap_err();
    assert!(
        matches!(error, MetadataError::UnknownTopic { .. }),
        "{error:?}"
    );
    assert_eq!(error.code(), unknown);
    assert!(error.is_retriable());
    let error = missing
        .send(record("v").with_partition(7))
        .unwrap()
        .get()
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        ProduceErrorKind::UnknownTopicOrPartition,
        "{error}"
    );
    assert_eq!((error.code(), error.partition()), (unknown, Some(7)));

    let being_made = Rule::on(Api::Metadata)
        .topic("made")
        .fail(ErrorCode::LeaderNotAvailable);
    cluster.script(being_made).unwrap();
    let error = send_to(&missing, "made").unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::MetadataTimeout, "{error}");
    assert_eq!(error.code(), Some(ErrorCode::LeaderNotAvailable));
    let error = missing.partitions_for("made").unwrap_err();
    assert!(matches!(error, MetadataError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.code(), Some(ErrorCode::LeaderNotAvailable));

    let nobody = producer(config_for("127.0.0.1:1").max_block(BLOCK));
    let error = send_to(&nobody, "t").unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::MetadataTimeout, "{error}");
    assert_eq!(error.code(), None);
    let error = nobody.partitions_for("t").unwrap_err();
    assert!(matches!(error, MetadataError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.code(), None);

    // An error that was received before the brokers went down is not returned.
    cluster.stop_node(0);
    let error = send_to(&missing, "missing").unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::MetadataTimeout, "{error}");
}

/// The timeout of the call is shorter than `max.block.ms`, and the error names it.
#[test]
fn send_sync_waits_for_a_topic_no_longer_than_its_own_timeout() {
    let cluster = cluster(1);
    let missing = producer(config(&cluster));
    let began = Instant::now();
    let error = missing.send_sync(to("missing", "v"), BLOCK).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    let text = error.to_string();
    assert!(text.contains("the 400 ms left of the call"), "{text}");
    let nobody = producer(config_for("127.0.0.1:1"));
    let records = ["a", "b"].map(|value| to("t", value));
    for result in nobody.send_all(records, BLOCK) {
        let error = result.unwrap_err();
        assert_eq!(
            (error.code(), error.is_retriable()),
            (None, true),
            "{error}"
        );
    }
    assert!(began.elapsed() < LONG / 2);
    assert!(missing.send_sync(to("t", "v"), LONG).is_ok());
}

/// Brokers reject the creation of `c_d` if there is a `c.d`.
#[test]
fn a_valid_name_that_brokers_reject_gets_another_error_text() {
    let cluster = cluster(1);
    let code = ErrorCode::InvalidTopicException;
    cluster
        .script(Rule::on(Api::Metadata).topic("c_d").fail(code))
        .unwrap();
    let producer = producer(config(&cluster));
    let error = send_to(&producer, "c_d").unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::InvalidTopic);
    assert_eq!(error.code(), Some(code));
    let other = producer.partitions_for("c_d").unwrap_err();
    assert!(matches!(other, MetadataError::InvalidTopic(_)), "{other:?}");
    for text in [error.to_string(), other.to_string()] {
        assert!(
            text.contains("c_d") && text.contains("'.' and '_'"),
            "{text}"
        );
        assert!(!text.contains("letters"), "{text}");
    }
    let error = send_to(&producer, "c d").unwrap_err();
    assert!(error.to_string().contains("letters"), "{error}");
    assert_eq!(error.code(), None, "no request was sent");
}

/// A partitioner that chooses the last partition. Before its first choice it waits until the producer's metadata has
/// another partition.
struct Last {
    asked: AtomicBool,
    has_been_asked: Sender<()>,
    go_on: Receiver<()>,
}

impl Partitioner<str, str> for Last {
    fn partition(&self, input: &PartitionInput<'_, str, str>) -> Result<PartitionId, BoxError> {
        if !self.asked.swap(true, Ordering::SeqCst) {
            self.has_been_asked.send(())?;
            self.go_on.recv_timeout(LONG)?;
        }
        let count = input
            .cluster()
            .partition_count(input.topic())
            .ok_or("no such topic")?;
        Ok(count as PartitionId - 1)
    }
}

#[test]
fn the_result_of_a_partitioner_is_checked_against_the_partitions_it_was_given() {
    let cluster = cluster(1);
    let (has_been_asked, asked) = bounded(1);
    let (learned, go_on) = bounded(1);
    let partitioner = Last {
        asked: AtomicBool::new(false),
        has_been_asked,
        go_on,
    };
    let producer = KafkaProducer::<str, str>::builder(config(&cluster).build().unwrap())
        .stock_serializers()
        .partitioner(partitioner)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| producer.send(record("first")).unwrap().get_timeout(LONG));
        asked.recv_timeout(LONG).unwrap();
        cluster.add_partitions("t", 3).unwrap();
        // `send` returns when the producer's metadata has the partition.
        let second = producer.send(record("second").with_partition(2)).unwrap();
        learned.send(()).unwrap();
        let first = sending.join().unwrap().unwrap();
        assert_eq!(first.partition(), 0, "there was one when it was sent");
        second.get_timeout(LONG).unwrap();
    });
    let third = producer
        .send(record("third"))
        .unwrap()
        .get_timeout(LONG)
        .unwrap();
    assert_eq!(third.partition(), 2);
    assert_eq!(values(&cluster, 2), ["second", "third"]);
}

/// The first metadata request has no topics. The topic of the first record is requested right after its response.
#[test]
fn the_first_record_does_not_wait_for_the_back_off_between_metadata_requests() {
    let cluster = cluster(1);
    let slow = Rule::on(Api::Metadata).times(1);
    let first = cluster
        .script(slow.delay(Duration::from_millis(100)))
        .unwrap();
    let producer = producer(config(&cluster).retry_backoff(LONG));
    first.wait_fired(1, LONG).unwrap();
    let began = Instant::now();
    send_to(&producer, "t").unwrap();
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
}

#[test]
fn a_new_topic_for_each_record_does_not_flood_the_brokers() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).max_block(Duration::ZERO));
    let requests = watch(&cluster);
    let began = Instant::now();
    let mut names = 0;
    while began.elapsed() < Duration::from_secs(1) {
        names += 1;
        assert!(send_to(&producer, &format!("missing-{names}")).is_err());
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = began.elapsed().as_secs_f64();
    let fired = requests.fired();
    assert!(names > 200 || seconds > 2.0, "{names} in {seconds} s");
    assert!((fired as f64) < 160.0 * seconds, "{fired} in {seconds} s");
    assert!(fired > 0);
}

/// The default back-off between two requests for the same topic.
const PAUSE: Duration = Duration::from_millis(100);

/// Calls a function on twenty threads, which start at the same time.
fn on_twenty_threads<R: Send>(call: impl Fn() -> R + Sync) -> Vec<R> {
    let together = std::sync::Barrier::new(20);
    let one = || {
        together.wait();
        call()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..20).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Every waiter must get the error, and none may wait for its timeout.
#[test]
fn a_topic_error_is_returned_to_all_waiters() {
    let cluster = cluster(1);
    let config = config(&cluster).max_block(Duration::from_secs(1));
    let producer = producer(config.retry_backoff(PAUSE));
    let refuse = |topic: &str, code| {
        let rule = Rule::on(Api::Metadata).topic(topic).fail(code);
        cluster.script(rule).unwrap();
    };
    refuse("c_d", ErrorCode::InvalidTopicException);
    refuse("secret", ErrorCode::TopicAuthorizationFailed);
    for (topic, kind) in [
        ("secret", ProduceErrorKind::TopicAuthorization),
        ("c_d", ProduceErrorKind::InvalidTopic),
    ] {
        for sent in on_twenty_threads(|| send_to(&producer, topic)) {
            let error = sent.unwrap_err();
            assert_eq!(*error.kind(), kind, "{error}");
        }
        let codes = on_twenty_threads(|| producer.partitions_for(topic).unwrap_err().code());
        let code = match kind {
            ProduceErrorKind::InvalidTopic => ErrorCode::InvalidTopicException,
            _ => ErrorCode::TopicAuthorizationFailed,
        };
        assert_eq!(codes, [Some(code); 20]);
    }
    // A later call requests the topic again.
    cluster.clear_script();
    cluster
        .create_topic("secret", &kafka_producer::testing::TopicOptions::new(1))
        .unwrap();
    send_to(&producer, "secret").unwrap();
}

/// The response arrived before the call, and no other arrives before the call times out.
#[test]
fn an_unknown_topic_error_is_returned_however_short_the_wait() {
    let cluster = cluster(1);
    let unknown = Some(ErrorCode::UnknownTopicOrPartition);
    for millis in [0, 50] {
        let max_block = Duration::from_millis(millis);
        let producer = producer(config(&cluster).max_block(max_block).retry_backoff(PAUSE));
        let answered = cluster
            .script(Rule::on(Api::Metadata).topic("missing"))
            .unwrap();
        let _ = send_to(&producer, "missing");
        answered.wait_fired(1, LONG).unwrap();
        // The response may not have arrived yet.
        let mut tries = 0;
        while send_to(&producer, "missing").unwrap_err().code() != unknown {
            tries += 1;
            assert!(tries < 10_000, "the error is never reported");
        }
        for _ in 0..20 {
            let error = send_to(&producer, "missing").unwrap_err();
            let kind = ProduceErrorKind::UnknownTopicOrPartition;
            assert_eq!((error.kind(), error.code()), (&kind, unknown), "{error}");
            let error = producer.partitions_for("missing").unwrap_err();
            assert!(
                matches!(error, MetadataError::UnknownTopic { .. }),
                "{error:?}"
            );
        }
    }
}

/// If `try_send` always returned "not known yet", a caller that retries on that result would retry for ever.
#[test]
fn try_send_returns_unknown_topic_once_a_broker_has_responded() {
    let cluster = cluster(3);
    let producer = producer(config(&cluster));
    let missing = || to("missing", "v");
    let beyond = || record("v").with_partition(7);
    let secret = || to("secret", "v");
    let refused = Rule::on(Api::Metadata)
        .topic("secret")
        .fail(ErrorCode::TopicAuthorizationFailed);
    cluster.script(refused).unwrap();
    // The record `beyond` needs a cached topic, whose partition does not exist.
    producer.partitions_for("t").unwrap();
    let unknown = ProduceErrorKind::UnknownTopicOrPartition;
    let cases: [(&dyn Fn() -> ProducerRecord<'static, str, str>, _, _); 3] = [
        (&missing, &unknown, "was not found"),
        (
            &beyond,
            &unknown,
            "partition 7 did not appear: the topic has 3 partitions",
        ),
        (
            &secret,
            &ProduceErrorKind::TopicAuthorization,
            "permissions",
        ),
    ];
    for (record, kind, words) in cases {
        let asked = watch(&cluster);
        let mut tries = 0;
        // The first call already returns the error if the broker responds while it runs.
        let error = loop {
            match producer.try_send(record()).unwrap_err().reason() {
                TrySendReason::Record(error) => break error.clone(),
                TrySendReason::TopicNotKnown => {}
                reason => panic!("{reason}"),
            }
            tries += 1;
            assert!(tries < 100_000, "the error is never reported");
            std::thread::yield_now();
        };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        // Each failed call requests the metadata again.
        let before = asked.fired();
        assert!(
            !producer
                .try_send(record())
                .unwrap_err()
                .reason()
                .would_block()
        );
        asked.wait_fired(before + 1, LONG).unwrap();
    }
}
