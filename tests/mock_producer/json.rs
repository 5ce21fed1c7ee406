//! Values and answers in JSON, as a web service has them.

use kafka_producer::testing::MockProducer;
use kafka_producer::{
    JsonSerializer, KafkaProducer, ProducerConfig, ProducerRecord, ProducerSnapshot, RecordPart,
    SendError,
};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use super::Rig;

#[derive(Clone, Serialize)]
struct Order {
    customer: u64,
    #[serde(serialize_with = "planted")]
    is_broken: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn planted<S: Serializer>(is_broken: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    if *is_broken {
        return Err(S::Error::custom("planted"));
    }
    serializer.serialize_bool(*is_broken)
}

#[test]
fn values_are_sent_as_json_and_an_error_of_serde_is_the_senders() {
    let config = ProducerConfig::builder().build().unwrap();
    let builder = KafkaProducer::<str, Order>::builder(config)
        .stock_key_serializer()
        .value_serializer(JsonSerializer::new());
    let (producer, mock) = MockProducer::builder().build_with(builder).unwrap();
    let order = |is_broken| Order {
        customer: 7,
        is_broken,
    };
    let record = ProducerRecord::keyed("orders", "7", order(false));
    producer.send(record).unwrap().get().unwrap();
    let sent = mock.history()[0].value.clone().unwrap();
    assert_eq!(sent, br#"{"customer":7,"is_broken":false}"#);
    match producer.send(ProducerRecord::keyed("orders", "7", order(true))) {
        Err(SendError::Serialization { part, source, .. }) => {
            assert_eq!(
                (part, source.to_string()),
                (RecordPart::Value, "planted".to_owned())
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_is_written_as_json_and_read_back() {
    let rig = Rig::new(true);
    rig.send("key").get().unwrap();
    let snapshot = rig.producer.snapshot();
    let text = serde_json::to_string(&snapshot).unwrap();
    assert!(text.contains(r#""records_acknowledged":1"#), "{text}");
    assert_eq!(
        serde_json::from_str::<ProducerSnapshot>(&text).unwrap(),
        snapshot
    );
    // Written by a version with fewer counters:
    assert_eq!(
        serde_json::from_str::<ProducerSnapshot>("{}").unwrap(),
        ProducerSnapshot::default()
    );
}
