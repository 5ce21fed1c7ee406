//! Brokers that ask who the client is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_producer::testing::{KafkaRelease, TestCluster, TestClusterBuilder};
use kafka_producer::{
    ConstructError, KafkaProducer, MetadataError, OAuthBearerToken, ProduceErrorKind,
    ProducerConfigBuilder, SecurityProtocol,
};

use crate::support::{LONG, Text, config, producer, record, values};

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

/// An error says which broker it is about, and does not say it again.
#[track_caller]
fn names_once(words: &str, cluster: &TestCluster) {
    let address = cluster.bootstrap_servers();
    assert_eq!(words.matches(&*address).count(), 1, "{words}");
}

#[test]
fn each_mechanism_is_taken_by_every_release() {
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
fn a_wrong_password_is_told_at_once_and_its_producer_goes_on_when_it_is_right() {
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
fn a_mechanism_that_is_not_offered_is_told_with_those_that_are() {
    let cluster = brokers().sasl_mechanisms(&[]).start().unwrap();
    let producer = producer(sasl(&cluster).sasl_plain("alice", "s3cret"));
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::Authentication);
    assert!(error.to_string().contains("sasl.mechanism"), "{error}");
}

#[test]
fn a_listener_of_the_other_kind_is_told_by_its_key() {
    let plain = TestCluster::builder().topic("t", 1).start().unwrap();
    let producer = producer(sasl(&plain).sasl_plain("alice", "s3cret"));
    let error = producer.send(record("v")).unwrap().get().unwrap_err();
    assert!(error.to_string().contains("security.protocol"), "{error}");
}

/// KIP-368: the broker ends connections whose session is over, so that a producer that did not authenticate
/// again in time would make more of them.
#[test]
fn sessions_that_end_while_records_are_sent_lose_and_reorder_none() {
    const COUNT: usize = 2_000;
    for login in LOGINS {
        let cluster = brokers()
            .sasl_session(Duration::from_millis(100))
            .start()
            .unwrap();
        let producer = producer(login(sasl(&cluster), "alice", "s3cret"));
        let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
        let mut last = None;
        for value in &expected {
            last = Some(producer.send(record(value)).unwrap());
            if value.ends_with('7') {
                // As long as a few sessions.
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        last.unwrap().get().unwrap();
        producer.flush().unwrap();
        assert_eq!(values(&cluster, 0), expected);
        // The bootstrap server's, and the node's.
        assert_eq!(cluster.connections_accepted(), 2);
    }
}

/// Tokens are not offered by these brokers: it is the provider's side that is looked at.
#[test]
fn a_token_provider_runs_elsewhere_and_what_it_says_is_told() {
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
    // The first attempt comes to nothing, the second brings a token that no broker here asks for.
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
fn what_is_wrong_with_a_login_is_told_when_the_producer_is_built() {
    let cluster = brokers().start().unwrap();
    for (entries, key) in [
        (vec![], "sasl.mechanism"),
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

/// The provider comes back with a token, and then hangs: what has a valid token goes on, sessions that end included.
#[test]
fn a_token_provider_that_hangs_holds_nothing_up_while_the_token_is_valid() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 1)
        .sasl_token("t0ken")
        .sasl_session(Duration::from_millis(50))
        .start()
        .unwrap();
    let config = sasl(&cluster)
        .set("sasl.mechanism", "OAUTHBEARER")
        // The refresh is due one to two seconds after the token was had.
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
    // It hangs now.
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
fn a_token_that_is_not_taken_is_told_and_replaced() {
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
