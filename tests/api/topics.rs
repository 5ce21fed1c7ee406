//! Topics that no cluster has, that cannot be, and that change while they are sent to.

use std::time::Instant;

use kafka_producer::testing::{Api, Rule, RuleHandle, TestCluster};
use kafka_producer::{
    Delivery, ErrorCode, MetadataError, ProduceError, ProduceErrorKind, ProducerRecord,
    TrySendReason,
};

use crate::support::{LONG, Text, cluster, config, producer};

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

/// Names that Kafka refuses, for each of its reasons.
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
fn a_name_that_no_topic_can_have_is_refused_at_once_and_keeps_nothing_from_others() {
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
    assert_eq!(requests.fired(), before, "no broker was asked");
    // Topics that are not known yet are found as ever.
    let longest = "x".repeat(249);
    for name in ["other", "...", longest.as_str()] {
        cluster
            .create_topic(name, &kafka_producer::testing::TopicOptions::new(1))
            .unwrap();
        send_to(&producer, name).unwrap();
    }
}

/// As Kafka answers when `c_d` is to be made beside `c.d`.
#[test]
fn a_legal_name_that_a_broker_refuses_is_not_told_to_mind_its_letters() {
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
    assert_eq!(error.code(), None, "no broker was asked");
}
