//! The serializer with a registry that works, one that fails in several ways, and none.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::MockProducer;
use kafka_producer::{
    BoxError, KafkaProducer, ProducerConfig, ProducerRecord, SendError, StringSerializer,
};
use schema_registry::{
    Mode, ORDER_SCHEMA, Order, RegistryClient, RegistryError, RegistrySerializer, SchemaIdError,
    TestRegistry, avro_encoder, decode,
};

type Orders = KafkaProducer<str, Order>;

/// The timeout of calls that have a response, on a busy machine too.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of calls to a registry that hangs: the tests wait for it.
const SHORT: Duration = Duration::from_secs(1);
/// Far less than the defaults of the HTTP client (no limit) and of `max.block.ms` (one minute).
const BOUNDED: Duration = Duration::from_secs(10);
/// A port that nobody listens on: the system gives it to no test.
const NO_REGISTRY: &str = "http://127.0.0.1:1";

fn client(url: &str) -> RegistryClient {
    RegistryClient::new(url, TIMEOUT)
}

fn producer(url: &str, failures_cached_for: Duration) -> Result<(Orders, MockProducer), BoxError> {
    producer_with(client(url), failures_cached_for)
}

fn producer_with(
    client: RegistryClient,
    failures_cached_for: Duration,
) -> Result<(Orders, MockProducer), BoxError> {
    let look_up = move |subject: &str| Ok(client.look_up(subject, ORDER_SCHEMA)?);
    let serializer = RegistrySerializer::new(look_up, avro_encoder()?);
    let builder = Orders::builder(ProducerConfig::builder().build()?)
        .key_serializer(StringSerializer::default())
        .value_serializer(serializer.failures_cached_for(failures_cached_for));
    Ok(MockProducer::builder().build_with(builder)?)
}

fn order() -> Order {
    Order {
        customer: 7,
        articles: vec!["tea".to_owned()],
    }
}

fn send(producer: &Orders, topic: &str) -> Result<(), SendError> {
    let order = order();
    producer
        .send(ProducerRecord::keyed(topic, "customer-7", &order))
        .map(drop)
}

/// The registry's error: the cause of the serializer's error.
fn cause(error: &SendError) -> &RegistryError {
    let SendError::Serialization { source, .. } = error else {
        panic!("{error:?}");
    };
    let no_id: &SchemaIdError = source.downcast_ref().expect("the serializer's error");
    let cause = no_id.source().and_then(|it| it.downcast_ref());
    cause.expect("the registry's error")
}

#[test]
fn a_value_is_written_with_its_schema_id_and_read_back() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    let client = client(&registry.url());
    client.register("other-value", r#""string""#)?;
    let id = client.register("orders-value", ORDER_SCHEMA)?;
    assert_eq!(id, 2);
    assert_eq!(client.register("orders-value", ORDER_SCHEMA)?, id);

    let (producer, mock) = producer(&registry.url(), Duration::ZERO)?;
    send(&producer, "orders")?;
    let value = mock.history()[0].value.clone().ok_or("there is a value")?;
    assert_eq!(&value[..5], [0, 0, 0, 0, 2]);
    assert_eq!(decode(&client.schema(id)?, &value[5..])?, order());
    Ok(())
}

#[test]
fn the_registry_is_called_once_for_each_topic() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    let client = client(&registry.url());
    client.register("orders-value", ORDER_SCHEMA)?;
    client.register("returns-value", ORDER_SCHEMA)?;
    let before = registry.requests().len();

    let (producer, mock) = producer(&registry.url(), Duration::ZERO)?;
    for topic in ["orders", "returns", "orders", "returns", "orders"] {
        send(&producer, topic)?;
    }
    assert_eq!(mock.history().len(), 5);
    assert_eq!(
        registry.requests()[before..],
        [
            "POST /subjects/orders-value",
            "POST /subjects/returns-value"
        ]
    );
    Ok(())
}

#[test]
fn an_unknown_subject_or_schema_is_an_error_with_the_registrys_code() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    client(&registry.url()).register("orders-value", r#""string""#)?;
    let (producer, mock) = producer(&registry.url(), Duration::ZERO)?;
    for (topic, expected) in [("bills", 40401), ("orders", 40403)] {
        let error = send(&producer, topic).unwrap_err();
        let RegistryError::Refused { code, .. } = cause(&error) else {
            panic!("{error:?}");
        };
        assert_eq!(*code, expected);
    }
    assert!(mock.history().is_empty());
    Ok(())
}

#[test]
fn each_fault_of_a_registry_is_a_serialization_error_in_bounded_time() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    client(&registry.url()).register("orders-value", ORDER_SCHEMA)?;
    let url = registry.url();
    let failed = "the call of the schema registry failed: ";
    let faults = [
        (Mode::Fails, &*url, TIMEOUT, "code 50001: the store failed"),
        (Mode::SendsHtml, &*url, TIMEOUT, "status 200, \"<html>"),
        (Mode::Hangs, &*url, SHORT, failed),
        (Mode::Trickles, &*url, SHORT, failed),
        (Mode::Disconnects, &*url, TIMEOUT, failed),
        (Mode::Works, NO_REGISTRY, TIMEOUT, failed),
    ];
    for (mode, url, timeout, text) in faults {
        registry.set_mode(mode);
        let client = RegistryClient::new(url, timeout);
        let (producer, mock) = producer_with(client, Duration::ZERO)?;
        let began = Instant::now();
        let error = send(&producer, "orders").unwrap_err();
        assert!(began.elapsed() < BOUNDED, "{mode:?}: {:?}", began.elapsed());
        let cause = cause(&error).to_string();
        assert!(cause.contains(text), "{mode:?}: {cause}");
        // The message of the outermost error has the reason too.
        assert!(error.to_string().contains(text), "{mode:?}: {error}");
        assert!(mock.history().is_empty());
    }
    Ok(())
}

#[test]
fn a_registry_that_works_again_is_found() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    client(&registry.url()).register("orders-value", ORDER_SCHEMA)?;
    let (producer, mock) = producer(&registry.url(), Duration::ZERO)?;
    registry.set_mode(Mode::Fails);
    send(&producer, "orders").unwrap_err();
    registry.set_mode(Mode::Works);
    send(&producer, "orders")?;
    assert_eq!(mock.history().len(), 1);
    Ok(())
}

#[test]
fn a_topic_whose_id_is_cached_needs_no_registry() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    client(&registry.url()).register("orders-value", ORDER_SCHEMA)?;
    let (producer, mock) = producer(&registry.url(), Duration::ZERO)?;
    send(&producer, "orders")?;
    registry.set_mode(Mode::Disconnects);
    let before = registry.requests().len();

    send(&producer, "orders")?;
    assert_eq!(mock.history().len(), 2);
    assert_eq!(registry.requests().len(), before);
    let error = send(&producer, "returns").unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Call(_)), "{error:?}");
    Ok(())
}

#[test]
fn the_credentials_are_sent_and_not_shown() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    let url = registry.url();
    let with_password = url.replace("//", "//key:secret@");
    let clients = [
        client(&url),
        client(&url).authorization("Bearer secret"),
        client(&with_password),
    ];
    for client in &clients {
        let id = client.register("orders-value", ORDER_SCHEMA)?;
        client.schema(id)?;
        let shown = format!("{client:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
    // `Basic`, then `key:secret` in Base64.
    let expected = [None, Some("Bearer secret"), Some("Basic a2V5OnNlY3JldA==")];
    let sent = registry.authorizations();
    let sent: Vec<_> = sent.iter().map(Option::as_deref).collect();
    // Each client has made two requests.
    assert_eq!(sent, expected.map(|it| [it; 2]).concat());
    Ok(())
}

#[test]
fn a_failure_is_cached_for_the_given_time() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    client(&registry.url()).register("orders-value", ORDER_SCHEMA)?;
    registry.set_mode(Mode::Fails);
    for (time, expected) in [
        (Duration::MAX, 1),
        (Duration::from_secs(3600), 1),
        (Duration::ZERO, 3),
    ] {
        let (producer, _mock) = producer(&registry.url(), time)?;
        let before = registry.requests().len();
        for _ in 0..3 {
            cause(&send(&producer, "orders").unwrap_err());
        }
        assert_eq!(registry.requests().len() - before, expected, "{time:?}");
    }
    Ok(())
}

#[test]
fn threads_that_find_a_hanging_registry_do_not_wait_for_each_other() -> Result<(), BoxError> {
    let registry = TestRegistry::start()?;
    registry.set_mode(Mode::Hangs);
    let client = RegistryClient::new(&registry.url(), SHORT);
    let (producer, mock) = producer_with(client, Duration::from_secs(3600))?;
    let began = Instant::now();
    thread::scope(|scope| {
        // One after another they would wait for 64 timeouts.
        for _ in 0..64 {
            scope.spawn(|| send(&producer, "orders").unwrap_err());
        }
    });
    assert!(began.elapsed() < BOUNDED, "{:?}", began.elapsed());
    assert!(mock.history().is_empty());
    Ok(())
}
