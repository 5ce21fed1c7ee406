//! TLS against embedded brokers.

#[path = "../../src/security/tls/tests/certificates.rs"]
pub(crate) mod certificates;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use kafka_producer::testing::{TestCluster, TestTls};
use kafka_producer::{
    ConstructError, FutureRecordMetadata, KafkaProducer, ProduceErrorKind, ProducerConfigBuilder,
    rustls,
};

use self::certificates::{Authority, Identity, crypto};
use crate::support::{BLOCK, LONG, Text, config, config_for, producer, record, values};

/// A permanent failure must end a wait within this time, also on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

pub(crate) fn tls(identity: &Identity) -> TestTls {
    TestTls::new(identity.chain.clone(), identity.key)
}

pub(crate) fn cluster(tls: TestTls) -> TestCluster {
    TestCluster::builder()
        .topic("t", 1)
        .tls(tls)
        .start()
        .unwrap()
}

fn trusting(cluster: &TestCluster, authority: &Authority) -> ProducerConfigBuilder {
    trusting_of(config(cluster), authority)
}

fn trusting_of(config: ProducerConfigBuilder, authority: &Authority) -> ProducerConfigBuilder {
    config
        .set("security.protocol", "SSL")
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.certificates", authority.pem())
}

fn with_certificate(config: ProducerConfigBuilder, identity: &Identity) -> ProducerConfigBuilder {
    config
        .set("ssl.keystore.type", "PEM")
        .set("ssl.keystore.key", identity.key)
        .set("ssl.keystore.certificate.chain", identity.chain.clone())
}

/// Checks that an error names its broker exactly once.
#[track_caller]
fn names_once(why: &str, cluster: &TestCluster) {
    let address = cluster.bootstrap_servers();
    assert_eq!(why.matches(&*address).count(), 1, "{why}");
}

/// Sends a record that fails at once; returns the error's text.
#[track_caller]
pub(crate) fn refused(producer: &Text) -> String {
    let began = Instant::now();
    let error = producer.send(record("x")).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::Authentication, "{error}");
    assert!(
        began.elapsed() < AT_ONCE,
        "{error} came after {:?}",
        began.elapsed()
    );
    error.to_string()
}

#[test]
fn records_of_all_sizes_arrive_over_tls() {
    let authority = Authority::new(0);
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let producer = producer(trusting(&cluster, &authority).set("batch.size", "100000"));
    let sizes = [0, 1, 100, 16_384, 16_385, 70_000, 200_000, 900_000];
    let values_sent: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
    let sent: Vec<_> = values_sent
        .iter()
        .map(|value| producer.send(record(value)).unwrap())
        .collect();
    producer.flush().unwrap();
    assert!(sent.iter().all(FutureRecordMetadata::is_done));
    let arrived: Vec<usize> = values(&cluster, 0).iter().map(String::len).collect();
    assert_eq!(arrived, sizes);
    // The metrics of TLS connections have Java's tags.
    let all = producer.metrics().all();
    let of_cipher = all
        .iter()
        .find(|it| it.name().tag("cipher").is_some())
        .unwrap();
    assert!(of_cipher.name().tag("cipher").unwrap().starts_with("TLS_"));
    assert_eq!(of_cipher.name().tag("protocol"), Some("TLSv1.3"));
    let open: usize = cluster
        .node_ids()
        .map(|id| cluster.open_connections(id))
        .sum();
    assert_eq!(of_cipher.value().as_f64(), Some(open as f64));
    let is_number = |name: &str, value: usize| {
        let metric = producer
            .metrics()
            .get("producer-metrics", name, &[])
            .unwrap();
        metric.value().as_f64() == Some(value as f64)
    };
    assert!(is_number("successful-authentication-total", open));
    producer.close().unwrap();
}

#[test]
fn a_rejected_certificate_is_reported_and_the_same_producer_works_once_it_is_replaced() {
    let (authority, stranger) = (Authority::new(0), Authority::new(1));
    let cluster = cluster(tls(&stranger.issue(&["127.0.0.1"])));
    let producer = producer(trusting(&cluster, &authority));
    let why = refused(&producer);
    assert!(why.contains("ssl.truststore.location"), "{why}");
    let why = producer.partitions_for("t").unwrap_err().to_string();
    assert!(why.contains("ssl.truststore.location"), "{why}");
    names_once(&why, &cluster);
    cluster
        .change_tls(tls(&authority.issue(&["elsewhere.test"])))
        .unwrap();
    let end = Instant::now() + LONG;
    loop {
        let why = refused(&producer);
        if why.contains("not valid for 127.0.0.1, but for") {
            break;
        }
        assert!(Instant::now() < end, "{why}");
    }
    cluster
        .change_tls(tls(&authority.issue(&["127.0.0.1"])))
        .unwrap();
    while producer.send(record("mended")).unwrap().get().is_err() {
        assert!(Instant::now() < end);
    }
    assert_eq!(values(&cluster, 0), ["mended"]);
    producer.close().unwrap();
}

#[test]
fn a_record_for_a_broker_with_a_rejected_certificate_gets_the_reason() {
    let (authority, stranger) = (Authority::new(0), Authority::new(1));
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let producer = producer(
        trusting(&cluster, &authority)
            .request_timeout(Duration::from_secs(1))
            .delivery_timeout(Duration::from_secs(2)),
    );
    producer.send(record("before")).unwrap().get().unwrap();
    cluster
        .change_tls(tls(&stranger.issue(&["127.0.0.1"])))
        .unwrap();
    cluster.disconnect_clients(0);
    let sent = producer.send(record("after")).unwrap();
    let why = sent.get().unwrap_err().to_string();
    assert!(why.contains("ssl.truststore.location"), "{why}");
    names_once(&why, &cluster);
    producer.close().unwrap();
}

#[test]
fn a_client_certificate_authenticates_and_its_absence_is_an_error() {
    let authority = Authority::new(0);
    let brokers = tls(&authority.issue(&["127.0.0.1"])).require_client_certificate(authority.pem());
    let cluster = cluster(brokers);
    let config = trusting(&cluster, &authority);
    let without = producer(config.clone());
    let why = refused(&without);
    assert!(
        why.contains("client certificate") && why.contains("ssl.keystore.location"),
        "{why}"
    );
    let with = producer(with_certificate(config, &authority.issue(&["client"])));
    with.send(record("known")).unwrap().get().unwrap();
    assert_eq!(values(&cluster, 0), ["known"]);
}

#[test]
fn a_mix_of_tls_and_plain_text_is_detected_in_time() {
    let authority = Authority::new(0);
    let short = Duration::from_secs(1);
    let secure = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let plain = TestCluster::builder().topic("t", 1).start().unwrap();
    for (config, words) in [
        (trusting(&plain, &authority), "plain text listener"),
        (config(&secure), "TLS"),
    ] {
        let producer = producer(config.max_block(short));
        let began = Instant::now();
        let why = producer.partitions_for("t").unwrap_err().to_string();
        println!("{:?}: {why}", began.elapsed());
        assert!(began.elapsed() < short + AT_ONCE);
        assert!(
            why.contains(words) && why.contains("security.protocol"),
            "{why}"
        );
        producer.close().unwrap();
    }
}

/// `max.block.ms` passes before the connection's own timeout.
#[test]
fn the_error_names_a_broker_that_does_not_answer_in_the_handshake() {
    let authority = Authority::new(0);
    // The kernel completes connections from the backlog, and nothing responds on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let config = config_for(&address).max_block(BLOCK * 3);
    let producer = producer(trusting_of(config, &authority));
    let error = producer.send(record("x")).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::MetadataTimeout);
    let partitions = producer.partitions_for("t").unwrap_err();
    for why in [error.to_string(), partitions.to_string()] {
        let words = format!(
            "awaited from broker -1 ({address}): authenticating, waiting for the broker's part of the TLS \
             handshake for "
        );
        assert!(why.contains(&words), "{why}");
    }
    producer.close().unwrap();
}

#[test]
fn invalid_tls_keys_fail_the_construction() {
    let authority = Authority::new(0);
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let config = trusting(&cluster, &authority)
        .set("ssl.keystore.key", "x")
        .build()
        .unwrap();
    let Err(ConstructError::Config(error)) = Text::new(config) else {
        panic!("a key alone is not enough");
    };
    assert_eq!(error.key(), Some("ssl.keystore.certificate.chain"));
}

/// With a provider without TLS 1.3 the construction fails, with the complete provider it succeeds.
#[test]
fn the_given_cryptography_provider_is_used() {
    let authority = Authority::new(0);
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let mut provider = (*crypto()).clone();
    let is_13 = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_some();
    provider.cipher_suites.retain(|suite| !is_13(suite));
    let config = trusting(&cluster, &authority)
        .set("ssl.enabled.protocols", "TLSv1.3")
        .build()
        .unwrap();
    let build = |provider| {
        KafkaProducer::<str, str>::builder(config.clone())
            .stock_serializers()
            .tls_crypto_provider(provider)
            .build()
    };
    let Err(ConstructError::Config(error)) = build(provider) else {
        panic!("it cannot do TLS 1.3");
    };
    assert_eq!(error.key(), Some("ssl.enabled.protocols"));
    build((*crypto()).clone())
        .unwrap()
        .send(record("x"))
        .unwrap()
        .get()
        .unwrap();
}

#[test]
fn nothing_that_prints_a_configuration_prints_its_keys() {
    let authority = Authority::new(0);
    let own = authority.issue(&["client"]);
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let builder = with_certificate(trusting(&cluster, &authority), &own);
    let config = builder.clone().build().unwrap();
    let brokers = tls(&own);
    let text = format!(
        "{builder:?} {config:?} {:?} {brokers:?}",
        config.effective()
    );
    let secret = own.key.lines().nth(1).unwrap();
    assert!(text.contains("ssl.keystore.key") && !text.contains(secret));
}
