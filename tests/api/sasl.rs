//! SASL against the embedded broker.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_producer::testing::{KafkaRelease, TestCluster, TestClusterBuilder};
use kafka_producer::{
    ConstructError, KafkaProducer, MetadataError, OAuthBearerToken, ProduceErrorKind,
    ProducerConfigBuilder, SecurityProtocol,
};

use crate::support::{BLOCK, LONG, Text, config, config_for, producer, record, values};

const AT_ONCE: Duration = Duration::from_secs(2);

fn brokers() -> TestClusterBuilder {
    TestCluster::builder()
        .topic("t", 1)
        .sasl_user("alice", "s3cret")
}

fn sasl(cluster: &TestCluster) -> ProducerConfigBuilder {
    config(cluster).security_protocol(SecurityProtocol::SaslPlaintext)
}

type Login = fn(ProducerConfigBuilder, &str, &str) -> ProducerConfigBuilder;

const LOGINS: &[Login] = &[
    ProducerConfigBuilder::sasl_plain,
    #[cfg(feature = "sasl-scram")]
    ProducerConfigBuilder::sasl_scram_sha_256,
    #[cfg(feature = "sasl-scram")]
    ProducerConfigBuilder::sasl_scram_sha_512,
];

fn written(producer: &Text, value: &str) {
    producer.send(record(value)).unwrap().get().unwrap();
}

/// Checks that an error names its broker exactly once.
#[track_caller]
fn names_once(words: &str, cluster: &TestCluster) {
    let address = cluster.bootstrap_servers();
    assert_eq!(words.matches(&*address).count(), 1, "{words}");
}

#[test]
fn each_mechanism_works_with_every_release() {
    for release in [
        KafkaRelease::V0_10_2,
        KafkaRelease::V0_11,
        KafkaRelease::V1_1,
        KafkaRelease::V2_4,
        KafkaRelease::V3_0,
    ] {
        for login in LOGINS {
            let cluster = brokers().release(release).start().unwrap();
            let config = login(sasl(&cluster), "alice", "s3cret").enable_idempotence(false);
            let producer = producer(config);
            written(&producer, "v");
            assert_eq!(values(&cluster, 0), ["v"], "{release:?}");
        }
    }
}

#[test]
fn names_and_passwords_may_have_any_characters() {
    let (name, password) = ("a=,\"\\ü", "=,\"\\;' ü\n");
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_user(name, password)
        .start()
        .unwrap();
    for login in LOGINS {
        written(&producer(login(sasl(&cluster), name, password)), "v");
    }
}

#[test]
fn a_wrong_password_fails_at_once_and_the_producer_recovers() {
    for login in LOGINS {
        let cluster = brokers().start().unwrap();
        let producer = producer(login(sasl(&cluster), "alice", "n3w"));
        let began = Instant::now();
        let error = producer.send(record("v")).unwrap().get().unwrap_err();
        assert_eq!(error.kind(), &ProduceErrorKind::Authentication);
        assert!(error.to_string().contains("sasl.jaas.config"), "{error}");
        names_once(&error.to_string(), &cluster);
        assert!(!error.to_string().contains("n3w"), "{error}");
        let error = producer.partitions_for("t").unwrap_err();
        assert!(matches!(error, MetadataError::Authentication(_)), "{error}");
        names_once(&error.to_string(), &cluster);
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        cluster.set_sasl_user("alice", "n3w");
        let until = Instant::now() + LONG;
        while let Err(error) = producer.send(record("v")).unwrap().get() {
            assert!(Instant::now() < until, "{error}");
        }
        assert_eq!(values(&cluster, 0), ["v"]);
        assert!(cluster.connections_accepted() < 300, "with pauses");
    }
}

#[test]
fn a_disabled_mechanism_error_lists_the_enabled_ones() {
    let cluster = brokers().sasl_mechanisms(&[]).start().unwrap();
    let producer = producer(sasl(&cluster).sasl_plain("alice", "s3cret"));
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::Authentication);
    assert!(error.to_string().contains("sasl.mechanism"), "{error}");
}

#[test]
fn a_security_protocol_mismatch_error_names_the_key() {
    let plain = TestCluster::builder().topic("t", 1).start().unwrap();
    let producer = producer(sasl(&plain).sasl_plain("alice", "s3cret"));
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert!(error.to_string().contains("security.protocol"), "{error}");
}

/// The broker closes connections whose SASL session has expired, so a producer that did not re-authenticate in time
/// would make more connections (KIP-368).
///
/// The time between re-authentication and the end of the session is at least a twentieth of the session. A busy
/// machine may keep a thread from running for longer; then the test is repeated with longer sessions. In no case may a
/// record be lost.
#[test]
fn reauthentication_loses_and_reorders_no_record() {
    for login in LOGINS {
        let connections: Vec<u64> = [100, 400, 2_000]
            .into_iter()
            .map(|session| connections_of(*login, Duration::from_millis(session)))
            // Two connections are needed: one to the bootstrap server and one to the node.
            .take_while(|connections| *connections > 2)
            .collect();
        assert!(connections.len() < 3, "{connections:?}");
    }
}

/// Sends for the duration of four sessions. Returns the number of connections.
fn connections_of(login: Login, session: Duration) -> u64 {
    const COUNT: usize = 2_000;
    let cluster = brokers().sasl_session(session).start().unwrap();
    let producer = producer(login(sasl(&cluster), "alice", "s3cret"));
    let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    let mut last = None;
    for value in &expected {
        last = Some(producer.send(record(value)).unwrap());
        if value.ends_with('7') {
            std::thread::sleep(session * 4 * 10 / COUNT as u32);
        }
    }
    last.unwrap().get().unwrap();
    producer.flush().unwrap();
    assert_eq!(values(&cluster, 0), expected);
    cluster.connections_accepted()
}

/// These brokers do not enable OAUTHBEARER: the test is about the provider.
#[test]
fn a_token_provider_runs_on_a_helper_thread_and_its_error_is_reported() {
    let cluster = brokers().start().unwrap();
    let threads = Arc::new(Mutex::new(Vec::new()));
    let (seen, calls) = (Arc::clone(&threads), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&calls);
    let config = sasl(&cluster).set("sasl.mechanism", "OAUTHBEARER");
    let producer = KafkaProducer::<str, str>::builder(
        config
            .max_block(Duration::from_millis(300))
            .build()
            .unwrap(),
    )
    .stock_serializers()
    .token_provider(move || {
        seen.lock()
            .unwrap()
            .push(std::thread::current().name().map(str::to_owned));
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(!is_first, "a provider that panics");
        Ok(OAuthBearerToken::new("token", Duration::from_secs(60)))
    })
    .build()
    .unwrap();
    // The first call fails, the second returns a token that no broker here accepts.
    let until = Instant::now() + LONG;
    loop {
        let error = producer.send(record("v")).unwrap().get().unwrap_err();
        if error.kind() == &ProduceErrorKind::Authentication {
            assert!(error.to_string().contains("does not offer"), "{error}");
            break;
        }
        assert!(Instant::now() < until, "{error}");
    }
    let until = Instant::now() + LONG;
    while calls.load(Ordering::SeqCst) < 2 {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    let names = threads.lock().unwrap().clone();
    assert!(
        names
            .iter()
            .all(|name| name.as_deref() == Some("kafka-producer-helper")),
        "{names:?}"
    );
}

#[test]
fn an_invalid_login_fails_the_construction() {
    let cluster = brokers().start().unwrap();
    // The default mechanism is GSSAPI.
    let by_default = if cfg!(feature = "gssapi") {
        "sasl.jaas.config"
    } else {
        "sasl.mechanism"
    };
    for (entries, key) in [
        (vec![], by_default),
        (vec![("sasl.mechanism", "PLAIN")], "sasl.jaas.config"),
        (
            vec![("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", "hunter2")],
            "sasl.jaas.config",
        ),
    ] {
        let config = entries
            .into_iter()
            .fold(sasl(&cluster), |config, (key, value)| {
                config.set(key, value)
            });
        let error = Text::new(config.build().unwrap()).map(drop).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let ConstructError::Config(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.key(), Some(key));
    }
}

/// After its first token the provider hangs: connections with the valid token work, re-authentication included.
#[test]
fn a_token_provider_that_hangs_blocks_nothing_while_the_token_is_valid() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 1)
        .sasl_token("t0ken")
        .sasl_session(Duration::from_millis(50))
        .start()
        .unwrap();
    let config = sasl(&cluster)
        .set("sasl.mechanism", "OAUTHBEARER")
        // The refresh is due one to two seconds after the token was fetched.
        .set("sasl.login.refresh.window.factor", "0.5")
        .build()
        .unwrap();
    let (calls, hangs) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(())));
    let held = hangs.lock().unwrap();
    let (count, hang) = (Arc::clone(&calls), Arc::clone(&hangs));
    let producer = KafkaProducer::<str, str>::builder(config)
        .stock_serializers()
        .token_provider(move || {
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                drop(hang.lock());
            }
            Ok(OAuthBearerToken::new("t0ken", Duration::from_secs(3)))
        })
        .build()
        .unwrap();
    let until = Instant::now() + LONG;
    while calls.load(Ordering::SeqCst) < 2 {
        written(&producer, "before");
        assert!(Instant::now() < until, "no refresh");
    }
    // The provider hangs now.
    for number in 0..100 {
        let began = Instant::now();
        written(&producer, &number.to_string());
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    drop(held);
    producer.close().unwrap();
}

#[test]
fn a_connection_without_a_token_times_out_with_the_reason() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_token("t0ken")
        .start()
        .unwrap();
    let config = sasl(&cluster)
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("socket.connection.setup.timeout.ms", "50")
        .max_block(Duration::from_secs(1))
        .build()
        .unwrap();
    let hangs = Arc::new(Mutex::new(()));
    let held = hangs.lock().unwrap();
    let hang = Arc::clone(&hangs);
    let producer = KafkaProducer::<str, str>::builder(config)
        .stock_serializers()
        .token_provider(move || {
            drop(hang.lock());
            Ok(OAuthBearerToken::new("t0ken", Duration::from_secs(60)))
        })
        .build()
        .unwrap();
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert!(error.to_string().contains("TokenProvider"), "{error}");
    drop(held);
    producer.close().unwrap();
}

/// `max.block.ms` passes before the connection's own timeout.
#[test]
fn the_error_names_a_broker_that_does_not_answer_a_login() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let config = config_for(&address)
        .max_block(BLOCK * 3)
        .security_protocol(SecurityProtocol::SaslPlaintext)
        .sasl_plain("alice", "s3cret");
    let producer = producer(config);
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    let words = format!(
        "awaited from broker -1 ({address}): authenticating, waiting for the broker's response to ApiVersions for "
    );
    assert!(error.to_string().contains(&words), "{error}");
    producer.close().unwrap();
}

#[test]
fn a_rejected_token_is_reported_and_refreshed() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_token("right")
        .start()
        .unwrap();
    let config = sasl(&cluster)
        .set("sasl.mechanism", "OAUTHBEARER")
        .build()
        .unwrap();
    let producer = KafkaProducer::<str, str>::builder(config)
        .stock_serializers()
        .token_provider(|| Ok(OAuthBearerToken::new("wr0ng", Duration::from_secs(60))))
        .build()
        .unwrap();
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::Authentication);
    for part in ["invalid_token", "TokenProvider"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(!error.to_string().contains("wr0ng"), "{error}");
}
