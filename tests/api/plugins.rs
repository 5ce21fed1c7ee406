//! User-defined serializers, partitioners and interceptors: their input, and the handling of their failures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use kafka_producer::{
    BoxError, Cluster, ClusterResourceListener, Headers, PartitionId, PartitionInput, Partitioner,
    PluginConfig, PluginKind, ProduceError, ProduceErrorKind, ProducerInterceptor, ProducerRecord,
    RecordMetadata, RecordPart, SendError, Serialized, Serializer, TrySendReason,
};

use crate::support::{BLOCK, LONG, Text, cluster, config, record, values};

/// A serializer that fails or panics for certain values, and adds a header to all other records.
struct Moody;

impl Serializer<str> for Moody {
    fn serialize<'a>(
        &self,
        _topic: &str,
        headers: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        match data {
            "fail" => Err("no such value".into()),
            "panic" => panic!("out of order"),
            _ => {
                headers.add("by", "moody")?;
                Ok(Some(Serialized::from(data.to_owned())))
            }
        }
    }
}

/// Java: `KafkaProducer#doSend` (KP-27)
#[test]
fn a_serializer_that_fails_or_panics_fails_its_call_only() {
    let cluster = cluster(1);
    let config = config(&cluster).build().unwrap();
    let producer = Text::builder(config)
        .stock_serializers()
        .value_serializer(Moody)
        .build()
        .unwrap();
    match producer.send(record("fail")) {
        Err(SendError::Serialization {
            part,
            topic,
            source,
        }) => {
            assert_eq!((part, &*topic), (RecordPart::Value, "t"));
            assert_eq!(source.to_string(), "no such value");
        }
        other => panic!("{other:?}"),
    }
    match producer.send(record("panic")) {
        Err(SendError::Panicked {
            plugin,
            topic,
            message,
        }) => {
            assert_eq!(
                (plugin, &*topic, &*message),
                (PluginKind::ValueSerializer, "t", "out of order")
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(producer.send(record("v")).unwrap().get().is_ok());
    let stored = cluster.records("t", 0);
    assert_eq!(stored.len(), 1);
    assert_eq!(
        stored[0].headers.last("by").unwrap().value(),
        Some(&b"moody"[..])
    );
}

/// A partitioner that returns the number in the value.
struct ByValue;

impl Partitioner<str, str> for ByValue {
    fn partition(&self, record: &PartitionInput<'_, str, str>) -> Result<PartitionId, BoxError> {
        match record.value() {
            Some("panic") => panic!("lost my way"),
            Some(number) => Ok(number.parse()?),
            None => Ok(0),
        }
    }
}

/// An error or a panic of the user's partitioner is returned by `send` (KP-28). A partition number that does not exist
/// is an error, too. Java did not detect a negative number (KAFKA-7572, fixed in 3.2; KP-35).
#[test]
fn a_partitioner_that_fails_panics_or_names_no_partition_fails_its_call_only() {
    let cluster = cluster(2);
    let config = config(&cluster).build().unwrap();
    let producer = Text::builder(config)
        .stock_serializers()
        .partitioner(ByValue)
        .build()
        .unwrap();
    for (value, wrong) in [("2", 2), ("-1", -1)] {
        match producer.send(record(value)) {
            Err(SendError::PartitionOutOfRange {
                topic,
                partition,
                count,
            }) => {
                assert_eq!((&*topic, partition, count), ("t", wrong, 2));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        producer.send(record("x")),
        Err(SendError::Partitioner { .. })
    ));
    match producer.send(record("panic")) {
        Err(SendError::Panicked {
            plugin: PluginKind::Partitioner,
            message,
            ..
        }) => {
            assert_eq!(&*message, "lost my way");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        producer
            .send(record("1"))
            .unwrap()
            .get()
            .unwrap()
            .partition(),
        1
    );
    assert_eq!(
        (values(&cluster, 0).len(), values(&cluster, 1).len()),
        (0, 1)
    );
}

/// A partitioner that changes the partition with each batch.
struct Batches(Arc<AtomicUsize>);

impl Partitioner<str, str> for Batches {
    fn partition(&self, _record: &PartitionInput<'_, str, str>) -> Result<PartitionId, BoxError> {
        Ok((self.0.load(Ordering::Relaxed) % 2) as PartitionId)
    }

    fn on_new_batch(&self, topic: &str, cluster: &Cluster, _previous: PartitionId) {
        assert_eq!((topic, cluster.partition_count("t")), ("t", Some(2)));
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Java: `KafkaProducerTest#testPartitionAddedToTransactionAfterFullBatchRetry`'s partitioner (KP-21)
#[test]
fn partition_is_called_again_after_on_new_batch() {
    let cluster = cluster(2);
    let config = config(&cluster).build().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let producer = Text::builder(config)
        .stock_serializers()
        .partitioner(Batches(Arc::clone(&seen)))
        .build()
        .unwrap();
    assert_eq!(
        producer
            .send(record("a"))
            .unwrap()
            .get()
            .unwrap()
            .partition(),
        1
    );
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    assert_eq!(
        producer
            .send(record("b"))
            .unwrap()
            .get()
            .unwrap()
            .partition(),
        0
    );
}

#[derive(Default)]
struct Seen {
    sent: AtomicUsize,
    good: AtomicUsize,
    bad: Mutex<Vec<ProduceErrorKind>>,
}

struct Watch(Arc<Seen>);

impl ProducerInterceptor<str, str> for Watch {
    fn on_send(&self, record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
        record.headers_mut().add("seen", "yes")?;
        match record.value() {
            Some("hook fails") => Err("no".into()),
            Some("hook panics") => panic!("never"),
            _ => Ok(()),
        }
    }

    fn on_acknowledgement(&self, metadata: &RecordMetadata, error: Option<&ProduceError>) {
        assert!(!metadata.topic().is_empty());
        match error {
            None => drop(self.0.good.fetch_add(1, Ordering::Relaxed)),
            Some(error) => self.0.bad.lock().unwrap().push(error.kind().clone()),
        }
        panic!("an interceptor's panic stays its own");
    }
}

/// Java: `ProducerInterceptorsTest` (KP-24, KP-27). Difference: after `close` no interceptor is called.
#[test]
fn interceptors_see_each_record_once_and_their_failures_affect_no_record() {
    let cluster = cluster(1);
    let config = config(&cluster).max_block(BLOCK).build().unwrap();
    let seen = Arc::new(Seen::default());
    let producer = Text::builder(config)
        .stock_serializers()
        .value_serializer(Moody)
        .interceptor(Watch(Arc::clone(&seen)))
        .build()
        .unwrap();
    for value in ["a", "hook fails", "hook panics"] {
        assert!(producer.send(record(value)).unwrap().get().is_ok());
    }
    assert!(producer.send(record("fail")).is_err());
    assert!(
        producer
            .send(ProducerRecord::new("missing", "v"))
            .unwrap()
            .get()
            .is_err()
    );
    producer.close().unwrap();
    // The interceptor is closed by now, and not called again.
    assert!(producer.send(record("late")).is_err());
    assert_eq!(seen.sent.load(Ordering::Relaxed), 5);
    assert_eq!(seen.good.load(Ordering::Relaxed), 3);
    assert_eq!(
        *seen.bad.lock().unwrap(),
        [
            ProduceErrorKind::NotTaken,
            ProduceErrorKind::UnknownTopicOrPartition
        ]
    );
    let marks: Vec<usize> = cluster
        .records("t", 0)
        .iter()
        .map(|stored| stored.headers.iter_for("seen").count())
        .collect();
    assert_eq!(marks, [1, 0, 0], "a failing interceptor changes nothing");
}

/// Appends its letter to each value. Reports each acknowledgement: its letter, the partition, and whether the record
/// was written.
struct Letter(char, Sender<(char, i32, bool)>);

impl ProducerInterceptor<str, str> for Letter {
    fn on_send(&self, record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        let value = format!("{}{}", record.value().unwrap_or_default(), self.0);
        record.set_value(value);
        Ok(())
    }

    fn on_acknowledgement(&self, metadata: &RecordMetadata, error: Option<&ProduceError>) {
        self.1
            .send((self.0, metadata.partition(), error.is_none()))
            .unwrap();
    }
}

/// The callback of a refused record is returned and not called, but the interceptors, which have got the record, are
/// notified: once for each attempt.
#[test]
fn try_send_with_callback_passes_the_record_through_all_interceptors_in_order() {
    let cluster = cluster(1);
    let config = config(&cluster).build().unwrap();
    let (sender, acknowledged) = channel();
    let producer = Text::builder(config)
        .stock_serializers()
        .interceptor(Letter('x', sender.clone()))
        .interceptor(Letter('y', sender))
        .build()
        .unwrap();
    let (sender, called_back) = channel();
    let callback = move |fate: Result<&RecordMetadata, &ProduceError>| {
        sender.send(fate.map(RecordMetadata::offset).ok()).unwrap();
    };

    // Refused: nothing is known of the topic yet.
    let given = record("v").with_partition(0);
    let refused = producer.try_send_with_callback(given.clone(), callback);
    let refused = refused.unwrap_err();
    assert!(refused.reason().would_block(), "{refused}");
    let reported: Vec<_> = acknowledged.try_iter().collect();
    assert_eq!(reported, [('x', 0, false), ('y', 0, false)]);
    assert!(called_back.try_recv().is_err());
    let (back, callback) = refused.into_parts();
    assert_eq!(back, given, "as it was before the interceptors");

    // Accepted. The interceptors are notified before the callback runs.
    producer.partitions_for("t").unwrap();
    let future = producer.try_send_with_callback(back, callback).unwrap();
    assert_eq!(called_back.recv_timeout(LONG).unwrap(), Some(0));
    let reported: Vec<_> = acknowledged.try_iter().collect();
    assert_eq!(reported, [('x', 0, true), ('y', 0, true)]);
    assert_eq!(future.get_timeout(LONG).unwrap().offset(), 0);
    assert_eq!(values(&cluster, 0), ["vxy"]);

    // Refused by the call: the producer is closed, and its interceptors are no longer called.
    producer.close().unwrap();
    let refused = producer.try_send_with_callback(given, |_| {}).unwrap_err();
    assert!(matches!(
        refused.reason(),
        TrySendReason::Call(SendError::Closed)
    ));
    assert_eq!(
        acknowledged.try_iter().count() + called_back.try_iter().count(),
        0
    );
}

struct IdListener(Arc<Mutex<Vec<Option<String>>>>);

impl ClusterResourceListener for IdListener {
    fn on_update(&self, cluster_id: Option<&str>) {
        self.0.lock().unwrap().push(cluster_id.map(str::to_owned));
    }
}

/// A serializer that reads the configuration and has a cluster listener.
struct Curious {
    listener: Arc<IdListener>,
    configured: Arc<Mutex<Vec<String>>>,
}

impl Serializer<str> for Curious {
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        let own = config.get("curious.setting").unwrap_or("none");
        let text = format!("{is_key} {} {own}", config.client_id());
        self.configured.lock().unwrap().push(text);
        Ok(())
    }

    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(Serialized::from(data.to_owned())))
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::clone(&self.listener) as _)
    }
}

/// Java: `KafkaProducerTest#testSerializerClose`, `#testInterceptorConstructClose` (KP-3, KP-5)
#[test]
fn plug_ins_that_the_configuration_names_are_configured_and_instances_are_not() {
    let cluster = cluster(1);
    let ids = Arc::new(Mutex::new(Vec::new()));
    let configured = Arc::new(Mutex::new(Vec::new()));
    let make = {
        let (ids, configured) = (Arc::clone(&ids), Arc::clone(&configured));
        move || Curious {
            listener: Arc::new(IdListener(Arc::clone(&ids))),
            configured: Arc::clone(&configured),
        }
    };
    let instance = make();
    let config = config(&cluster)
        .client_id("me")
        .key_serializer_class("my.Curious")
        .set("curious.setting", "42")
        .set("never.read", "x")
        .build()
        .unwrap();
    let producer = Text::builder(config)
        .register_key_serializer("my.Curious", move || Box::new(make()))
        .value_serializer(instance)
        .build()
        .unwrap();
    assert_eq!(*configured.lock().unwrap(), ["true me 42"]);
    assert_eq!(producer.config().unused_keys(), ["never.read"]);
    assert!(
        producer
            .send(ProducerRecord::keyed("t", "k", "v"))
            .unwrap()
            .get()
            .is_ok()
    );
    let calls = ids
        .lock()
        .unwrap()
        .iter()
        .flatten()
        .filter(|id| *id == cluster.cluster_id())
        .count();
    assert!(
        calls >= 2,
        "the listeners of both serializers get the id: {calls}"
    );
}

/// Java: `KafkaProducerTest#testConstructorWithSerializers`
#[test]
fn serializers_and_partitioners_may_be_named_by_their_java_classes() {
    let cluster = cluster(3);
    let config = config(&cluster)
        .key_serializer_class("org.apache.kafka.common.serialization.StringSerializer")
        .value_serializer_class("org.apache.kafka.common.serialization.StringSerializer")
        .partitioner_class("org.apache.kafka.clients.producer.RoundRobinPartitioner")
        .build()
        .unwrap();
    let producer = Text::new(config).unwrap();
    for _ in 0..30 {
        producer.send(record("v")).unwrap().get().unwrap();
    }
    assert_eq!(
        [0, 1, 2]
            .iter()
            .map(|p| values(&cluster, *p).len())
            .sum::<usize>(),
        30
    );
    assert!([0, 1, 2].iter().all(|p| !values(&cluster, *p).is_empty()));
}
