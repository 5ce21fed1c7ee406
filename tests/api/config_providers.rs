//! Config providers: producers whose secrets come from elsewhere.

use std::collections::BTreeMap;

use kafka_producer::testing::TestCluster;
use kafka_producer::{BoxError, ConstructError, KafkaProducer, SecurityProtocol};

use crate::support::{config, producer, record, values};

const PASSWORD: &str = "s3cret-of-alice";

const STRING_SERIALIZER: &str = "org.apache.kafka.common.serialization.StringSerializer";

/// A secret store with one password.
fn vault(path: &str, keys: &[&str]) -> Result<BTreeMap<String, String>, BoxError> {
    if path != "kafka/alice" {
        return Err(format!("no secret at {path}").into());
    }
    let keys = keys.iter().filter(|key| **key == "password");
    Ok(keys
        .map(|key| ((*key).to_owned(), PASSWORD.to_owned()))
        .collect())
}

#[test]
fn a_producer_authenticates_with_a_password_of_a_provider() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_user("alice", PASSWORD)
        .start()
        .unwrap();
    let builder = config(&cluster)
        .security_protocol(SecurityProtocol::SaslPlaintext)
        .config_provider("vault", vault)
        .sasl_plain("alice", "${vault:kafka/alice:password}");
    let producer = producer(builder);
    producer.send(record("of alice")).unwrap().get().unwrap();
    assert_eq!(values(&cluster, 0), ["of alice"]);
    let shown = format!(
        "{:?} {:?}",
        producer.config(),
        producer.config().effective()
    );
    assert!(!shown.contains(PASSWORD), "{shown}");
    producer.close().unwrap();
}

/// The configuration is valid by itself; the error comes from a step of the construction.
#[test]
fn an_error_of_the_construction_does_not_show_the_value_of_a_provider() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    for key in [
        "interceptor.classes",
        "partitioner.class",
        "metric.reporters",
    ] {
        let config = config(&cluster)
            .config_provider("vault", vault)
            .set(key, "a.${vault:kafka/alice:password}")
            .build()
            .unwrap();
        let built = KafkaProducer::<str, str>::new(config);
        let Err(ConstructError::Config(error)) = built else {
            panic!("{key} is not refused");
        };
        assert_eq!((error.key(), error.value()), (Some(key), None));
        let text = format!("{error} {error:?}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn an_error_of_a_plug_in_does_not_show_the_value_of_a_provider() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let config = config(&cluster)
        .config_provider("vault", vault)
        .set("key.serializer", STRING_SERIALIZER)
        .set("key.serializer.encoding", "${vault:kafka/alice:password}")
        .build()
        .unwrap();
    let error = KafkaProducer::<str, str>::new(config).unwrap_err();
    assert!(matches!(error, ConstructError::Failed { .. }), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("[hidden]") && !text.contains(PASSWORD),
        "{text}"
    );
}
