//! Invalid addresses, topics, partitions and records: each results in a typed error within bounded time, and the
//! producer keeps working.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kafka_producer::testing::{TestCluster, TopicOptions};
use kafka_producer::{
    ConstructError, Delivery, KafkaProducer, MetadataError, ProduceErrorKind, ProducerConfig,
    ProducerRecord, SendError,
};
use socket2::{Domain, Socket, Type};

use crate::support::{BLOCK, LONG, Text, cluster, config, config_for, producer, record, values};

/// A socket that has a port of this machine, but does not listen: connections to the port are refused. While the socket
/// exists, no broker of another test gets the port.
fn closed_port() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address.port())
}

/// Java: `KafkaProducerTest#testConstructorFailureCloseResource` (KP-1)
#[test]
fn malformed_addresses_are_refused_when_the_producer_is_built() {
    for servers in [
        "localhost",
        "localhost:",
        ":9092",
        "localhost:port",
        "localhost:70000",
        "a b:1",
    ] {
        let error = match ProducerConfig::builder()
            .set("bootstrap.servers", servers)
            .build()
        {
            Err(error) => error,
            Ok(config) => match Text::new(config) {
                Err(ConstructError::Config(error)) => error,
                other => panic!("{servers:?}: {other:?}"),
            },
        };
        assert_eq!(
            error.key(),
            Some("bootstrap.servers"),
            "{servers:?}: {error}"
        );
        assert!(!error.remedy().is_empty());
    }
}

/// If none of `bootstrap.servers` can be resolved, the construction fails with a configuration error (KP-1).
#[test]
fn addresses_that_do_not_resolve_fail_the_construction_and_are_named() {
    let config = config_for("nonexistent.invalid:9092")
        .max_block(BLOCK * 5)
        .build()
        .unwrap();
    let began = Instant::now();
    let error = Text::new(config).unwrap_err();
    let ConstructError::Config(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.key(), Some("bootstrap.servers"));
    assert!(
        error.to_string().contains("nonexistent.invalid:9092"),
        "{error}"
    );
    assert!(began.elapsed() < LONG);
}

/// The producer connects to any bootstrap server that can be resolved (MD-23).
#[test]
fn one_address_that_does_not_resolve_is_left_out_if_another_does() {
    let cluster = cluster(1);
    let servers = format!("nonexistent.invalid:9092,{}", cluster.bootstrap_servers());
    let producer = producer(config_for(&servers));
    assert_eq!(
        producer.send(record("v")).unwrap().get().unwrap().offset(),
        0
    );
}

/// The error of a metadata timeout names the broker that could not be reached (KP-40).
#[test]
fn records_for_a_stopped_broker_fail_after_max_block_and_arrive_once_it_is_started() {
    let cluster = cluster(1);
    let port = cluster.port(0).unwrap();
    cluster.stop_node(0);
    let producer = producer(config(&cluster).max_block(BLOCK));
    let began = Instant::now();
    let error = producer.send(record("lost")).unwrap().get().unwrap_err();
    assert!(began.elapsed() >= BLOCK);
    assert!(began.elapsed() < LONG);
    assert_eq!(*error.kind(), ProduceErrorKind::MetadataTimeout);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert!(error.is_retriable() && error.is_timeout());
    let text = error.to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{port}")),
        "what was tried is missing: {text}"
    );
    cluster.start_node(0).unwrap();
    let found = (0..20).any(|_| producer.send(record("found")).unwrap().get().is_ok());
    assert!(found);
    assert_eq!(values(&cluster, 0), ["found"]);
}

/// The error of a metadata timeout contains the full `max.block.ms`, and the addresses that were tried (KP-40).
#[test]
fn an_address_that_refuses_connections_is_named_in_the_error() {
    let (_socket, port) = closed_port();
    let address = format!("127.0.0.1:{port}");
    let producer = producer(config_for(&address).max_block(BLOCK));
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::MetadataTimeout);
    assert!(error.to_string().contains(&address), "{error}");
    match producer.partitions_for("t") {
        Err(MetadataError::TimedOut {
            topic,
            waited,
            tried,
            code: None,
        }) => {
            assert_eq!((&*topic, waited), ("t", BLOCK));
            assert!(tried.contains(&address), "{tried}");
        }
        other => panic!("{other:?}"),
    }
}

/// Java: `KafkaProducerTest#testMetadataTimeoutWithMissingTopic` (KP-39)
#[test]
fn a_topic_that_does_not_exist_fails_the_record_after_max_block() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).max_block(BLOCK));
    let began = Instant::now();
    let error = producer
        .send(ProducerRecord::new("missing", "v"))
        .unwrap()
        .get()
        .unwrap_err();
    assert!(began.elapsed() >= BLOCK);
    assert_eq!(*error.kind(), ProduceErrorKind::UnknownTopicOrPartition);
    assert_eq!(error.topic(), "missing");
    assert_eq!(error.partition(), None);
    assert!(producer.send(record("v")).unwrap().get().is_ok());
    cluster
        .create_topic("missing", &TopicOptions::new(1))
        .unwrap();
    assert!((0..20).any(|_| {
        producer
            .send(ProducerRecord::new("missing", "v"))
            .unwrap()
            .get()
            .is_ok()
    }));
}

/// Java: `KafkaProducerTest#testSendToInvalidTopic` (KP-42)
#[test]
fn an_illegal_topic_name_fails_at_once() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    let began = Instant::now();
    let error = producer
        .send(ProducerRecord::new("topic abc", "v"))
        .unwrap()
        .get()
        .unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::InvalidTopic);
    assert!(error.to_string().contains("topic abc"), "{error}");
    assert!(matches!(
        producer.partitions_for("a/b"),
        Err(MetadataError::InvalidTopic(_))
    ));
    assert!(began.elapsed() < LONG / 2);
    assert!(producer.send(record("v")).unwrap().get().is_ok());
}

/// The metadata of the recreated topic replaces that of the deleted one (MD-8): no record that is sent afterwards
/// fails.
#[test]
fn a_topic_may_be_deleted_and_recreated_while_records_are_sent() {
    let cluster = cluster(2);
    let producer = producer(
        config(&cluster)
            .request_timeout(Duration::from_secs(1))
            .delivery_timeout(Duration::from_secs(15)),
    );
    let mut pending = Vec::new();
    for i in 0..300 {
        if i == 100 {
            cluster.delete_topic("t").unwrap();
        }
        if i == 101 {
            cluster.create_topic("t", &TopicOptions::new(2)).unwrap();
        }
        pending.push(producer.send(record("v")).unwrap());
    }
    producer.flush().unwrap();
    let written = pending.iter().filter(|future| future.get().is_ok()).count();
    // Every record is complete, and those sent after the topic was recreated are in the log.
    assert!(
        pending
            .iter()
            .all(kafka_producer::FutureRecordMetadata::is_done)
    );
    assert!(written >= 199, "{written}");
    assert!(producer.send(record("last")).unwrap().get().is_ok());
    let snapshot = producer.snapshot();
    assert_eq!(snapshot.memory_free_bytes, snapshot.memory_total_bytes);
}

/// Java: `KafkaProducerTest#testMetadataTimeoutWithPartitionOutOfRange` (KP-38)
#[test]
fn a_partition_that_does_not_exist_is_waited_for_and_the_error_names_the_count() {
    let cluster = cluster(3);
    let producer = producer(config(&cluster).max_block(BLOCK));
    let began = Instant::now();
    let error = producer
        .send(record("v").with_partition(3))
        .unwrap()
        .get()
        .unwrap_err();
    assert!(began.elapsed() >= BLOCK);
    assert_eq!(*error.kind(), ProduceErrorKind::UnknownTopicOrPartition);
    assert_eq!(error.partition(), Some(3));
    assert!(error.to_string().contains("3 partitions"), "{error}");
    cluster.add_partitions("t", 4).unwrap();
    assert!((0..20).any(|_| {
        producer
            .send(record("v").with_partition(3))
            .unwrap()
            .get()
            .is_ok()
    }));
}

/// Java: the counterpart of `KafkaProducerTest#testTopicExpiryInMetadata` for partitions (KP-38)
#[test]
fn a_partition_that_appears_in_time_gets_the_record_that_waits_for_it() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    assert_eq!(producer.partitions_for("t").unwrap().len(), 1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| producer.send(record("v").with_partition(1)).unwrap().get());
        cluster.add_partitions("t", 2).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().partition(), 1);
    });
}

/// A record is validated before `send` waits for metadata (KP-9). An invalid record is an error of the call, not a
/// failed future.
#[test]
fn negative_partitions_and_timestamps_are_refused_by_the_call() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    for wrong in [
        record("v").with_partition(-1),
        record("v").with_timestamp(-1),
    ] {
        match producer.send(wrong) {
            Err(SendError::Record(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(
        producer
            .send(record("v").with_timestamp(0))
            .unwrap()
            .get()
            .is_ok()
    );
    assert_eq!(values(&cluster, 0), ["v"]);
}

/// Java: `KafkaProducerTest` and `PlaintextProducerSendTest#testSendTooLargeRecord` (KP-19)
#[test]
fn records_above_max_request_size_or_buffer_memory_fail_and_name_the_key() {
    let cluster = cluster(1);
    let cases = [
        (
            config(&cluster).max_request_size(1000),
            "max.request.size",
            1000,
        ),
        (
            config(&cluster).buffer_memory(2000).batch_size(100),
            "buffer.memory",
            2000,
        ),
    ];
    let large = "x".repeat(5000);
    for (config, name, bytes) in cases {
        let producer = producer(config);
        let error = producer.send(record(&large)).unwrap().get().unwrap_err();
        match error.kind() {
            ProduceErrorKind::RecordTooLarge { size, limit, key } => {
                assert_eq!((*key, *limit), (name, bytes));
                assert!(*size > 5000);
            }
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().contains(name), "{error}");
        assert!(!error.is_retriable());
        assert!(producer.send(record("small")).unwrap().get().is_ok());
        assert_eq!(producer.snapshot().records_failed, 1);
    }
    assert_eq!(values(&cluster, 0), ["small", "small"]);
}

/// A size error of the broker fails the record's future (KP-24).
#[test]
fn a_batch_that_the_broker_rejects_as_too_large_fails_its_record_and_no_other() {
    let options = TopicOptions::new(1).max_message_bytes(1000);
    let cluster = TestCluster::builder()
        .topic_with("t", options)
        .start()
        .unwrap();
    let producer = producer(config(&cluster));
    let error = producer
        .send(record(&"x".repeat(3000)))
        .unwrap()
        .get()
        .unwrap_err();
    assert!(
        matches!(error.kind(), ProduceErrorKind::Broker(_)),
        "{error:?}"
    );
    assert!(producer.send(record("v")).unwrap().get().is_ok());
    assert_eq!(values(&cluster, 0), ["v"]);
}

/// A send after close fails with an error, not with a failed future (KP-11). Nothing is left to flush or close, so
/// these calls succeed.
#[test]
fn a_closed_producer_rejects_sends_and_metadata_calls_but_may_be_flushed_and_closed_again() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    let _sent = producer.send(record("v")).unwrap();
    producer.close().unwrap();
    assert!(matches!(producer.send(record("w")), Err(SendError::Closed)));
    assert!(matches!(
        producer.partitions_for("t"),
        Err(MetadataError::Closed)
    ));
    producer.flush().unwrap();
    producer.close().unwrap();
    assert_eq!(values(&cluster, 0), ["v"]);
}

/// If neither serializer is given, the error is about the key serializer, which the constructor makes first (KP-1).
#[test]
fn a_type_without_a_stock_serializer_needs_one_and_the_error_names_the_configuration_key() {
    struct Order;
    impl Clone for Order {
        fn clone(&self) -> Self {
            Self
        }
    }
    let config = config_for("127.0.0.1:1").build().unwrap();
    match KafkaProducer::<Order, Order>::builder(config).build() {
        Err(ConstructError::Config(error)) => assert_eq!(error.key(), Some("key.serializer")),
        other => panic!("{other:?}"),
    }
}

/// The operating system rejects a thread name with a NUL.
#[test]
fn a_client_id_may_contain_a_nul() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).client_id("a\0b"));
    assert!(producer.send(record("v")).unwrap().get().is_ok());
}
