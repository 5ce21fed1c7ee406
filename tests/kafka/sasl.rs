//! SASL: every mechanism, every failure, and sessions that expire.

use std::error::Error;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kafka_producer::{
    ErrorCode, KafkaProducer, OAuthBearerToken, ProduceErrorKind, ProducerConfigBuilder,
    ProducerRecord, SecurityProtocol,
};
use log::{LevelFilter, Log, Metadata, Record};

use crate::harness::{Cluster, ClusterOptions, run_tool};
use crate::matrix::NEWEST;
use crate::producer::{Producer, build, config};
use crate::runner::{TestResult, tests};
use crate::workload::{Workload, Workloads, pass};

tests![
    each_mechanism_works_and_reauthenticates_under_load,
    each_mechanism_works_with_the_newest_kafka,
    failures_are_reported_at_once_and_the_producer_recovers,
    each_missing_permission_has_its_error,
    a_leader_that_is_killed_five_times_while_sessions_end_costs_no_record,
    #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
    over_tls_a_leader_that_is_killed_five_times_while_sessions_end_costs_no_record,
    sasl_handshake_version_0_works_with_kafka_0_10_2,
];

/// The listener of most tests, named after its protocol.
const LISTENER: &str = "SASL_PLAINTEXT";
const RECORDS: usize = 1_000;
/// A password that must not appear in any log line.
const SECRET: &str = "alice-s3cret";
/// Upper bound of the latency of an immediate failure.
const AT_ONCE: Duration = Duration::from_secs(2);

/// `connections.max.reauth.ms`.
const SESSION: Duration = Duration::from_secs(5);

static AUTHENTICATED_AGAIN: AtomicU64 = AtomicU64::new(0);
static SECRETS_LOGGED: AtomicU64 = AtomicU64::new(0);

/// A logger that counts messages of all producers of this process.
struct Listener;

impl Log for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        if line.contains("Authenticating again") {
            AUTHENTICATED_AGAIN.fetch_add(1, Ordering::Relaxed);
        }
        if line.contains(SECRET) {
            SECRETS_LOGGED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Listener).expect("these tests have no other logger");
        log::set_max_level(LevelFilter::Trace);
    });
}

fn options(version: &str) -> ClusterOptions {
    options_of(LISTENER, version)
}

/// Options of brokers with a SASL listener of this name and protocol.
fn options_of(listener: &str, version: &str) -> ClusterOptions {
    listen();
    let plain = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"{SECRET}\" \
         user_bob=\"bob-s3cret\";"
    );
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let token = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"broker\";";
    let prefix = format!("listener.name.{}", listener.to_lowercase());
    let key = |mechanism: &str| format!("{prefix}.{mechanism}.sasl.jaas.config");
    ClusterOptions::default()
        .version(version)
        .listener(listener)
        .config(
            "sasl.enabled.mechanisms",
            "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        )
        .config(&key("plain"), &plain)
        .config(&key("scram-sha-256"), scram)
        .config(&key("scram-sha-512"), scram)
        .config(&key("oauthbearer"), token)
        .config(
            "connections.max.reauth.ms",
            &SESSION.as_millis().to_string(),
        )
}

fn sasl(cluster: &Cluster) -> ProducerConfigBuilder {
    let servers = cluster.bootstrap_servers_of(LISTENER);
    config(&servers.expect("the listener is configured"))
        .security_protocol(SecurityProtocol::SaslPlaintext)
}

type Login = fn(ProducerConfigBuilder, &str) -> ProducerConfigBuilder;

const PASSWORDS: [(&str, Login); 3] = [
    ("plain", |config, password| {
        config.sasl_plain("alice", password)
    }),
    ("scram-256", |config, password| {
        config.sasl_scram_sha_256("alice", password)
    }),
    ("scram-512", |config, password| {
        config.sasl_scram_sha_512("alice", password)
    }),
];

/// Sets the `sasl.jaas.config` of a Java client for unsecured tokens.
fn unsecured(config: ProducerConfigBuilder) -> ProducerConfigBuilder {
    config.set("sasl.mechanism", "OAUTHBEARER").set(
        "sasl.jaas.config",
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"alice\" unsecuredLoginListClaim_scope=\"|a|b\";",
    )
}

fn mechanisms(cluster: &Cluster) -> Vec<(&'static str, ProducerConfigBuilder)> {
    let mut all: Vec<_> = PASSWORDS
        .iter()
        .map(|(name, login)| (*name, login(sasl(cluster), SECRET)))
        .collect();
    all.push(("token", unsecured(sasl(cluster))));
    all
}

/// Sends records, waits for all acknowledgements, and reads the records back.
fn delivers(cluster: &Cluster, topic: &str, producer: &Producer) -> TestResult {
    let futures: Vec<_> = (0..RECORDS)
        .map(|number| producer.send(ProducerRecord::new(topic, &number.to_be_bytes()[..])))
        .collect::<Result<_, _>>()?;
    for future in futures {
        future.get()?;
    }
    let mut count = 0;
    cluster.read_back(topic, |_| count += 1)?;
    assert_eq!(count, RECORDS);
    Ok(())
}

fn nothing_secret_was_logged() {
    assert_eq!(
        SECRETS_LOGGED.load(Ordering::Relaxed),
        0,
        "lines with the password"
    );
}

/// Java: `SaslAuthenticatorTest`, per mechanism. The broker closes connections that do not re-authenticate (KIP-368),
/// so the producers send for longer than three sessions.
fn each_mechanism_works_and_reauthenticates_under_load() -> TestResult {
    const PARTITIONS: usize = 4;
    let cluster = Cluster::start(options("3.0.0"))?;
    cluster.create_scram_user("alice", SECRET)?;
    let mut workloads = Vec::new();
    for (name, config) in mechanisms(&cluster) {
        let topic = format!("mechanism-{name}");
        cluster.create_topic(&topic, 1, &[])?;
        let began = Instant::now();
        let producer = build(config.clone())?;
        delivers(&cluster, &topic, &producer)?;
        println!("    {name}: {RECORDS} records, {:.2?}", began.elapsed());
        producer.close()?;
        let topic = format!("sessions-{name}");
        cluster.create_topic(&topic, PARTITIONS as i32, &[])?;
        workloads.push(Workload::start(name, &topic, config, 2)?);
    }
    let workloads = Workloads::new(&cluster, workloads, PARTITIONS);
    let before = AUTHENTICATED_AGAIN.load(Ordering::Relaxed);
    pass(3 * SESSION + Duration::from_secs(2));
    let again = AUTHENTICATED_AGAIN.load(Ordering::Relaxed) - before;
    println!("    authenticated again {again} times");
    assert!(again >= 4 * 3, "each producer, each session: {again}");
    for report in workloads.finish()? {
        report.findings.assert_exactly_once();
        let tally = report.ledger().tally();
        assert_eq!(tally.not_written + tally.maybe_written, 0, "{tally:?}");
    }
    nothing_secret_was_logged();
    Ok(())
}

/// Connections are established again and re-authenticated at the same time.
fn a_leader_that_is_killed_five_times_while_sessions_end_costs_no_record() -> TestResult {
    five_kills(options("3.0.0"), &sasl)
}

/// The previous test with TLS.
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
fn over_tls_a_leader_that_is_killed_five_times_while_sessions_end_costs_no_record() -> TestResult {
    use crate::security::{Authority, trusting, with_identity};

    const LISTENER: &str = "SASL_SSL";
    let authority = Authority::new(0);
    let identity = authority.issue(&["127.0.0.1"]);
    let options = options_of(LISTENER, "3.0.0");
    let options = with_identity(options, "listener.name.sasl_ssl.", &identity, &authority);
    five_kills(options, &|cluster| {
        let servers = cluster.bootstrap_servers_of(LISTENER);
        let servers = servers.expect("the listener is configured");
        trusting(&servers, &authority).security_protocol(SecurityProtocol::SaslSsl)
    })
}

fn five_kills(
    options: ClusterOptions,
    config: &dyn Fn(&Cluster) -> ProducerConfigBuilder,
) -> TestResult {
    const PARTITIONS: usize = 12;
    let options = options
        .brokers(3)
        .session_timeout(Duration::from_secs(3))
        .config("min.insync.replicas", "2")
        .config("auto.leader.rebalance.enable", "false");
    let cluster = Cluster::start(options)?;
    cluster.create_scram_user("alice", SECRET)?;
    let scram = config(&cluster).sasl_scram_sha_512("alice", SECRET);
    let mut all = Vec::new();
    for (name, config) in [
        ("kills-scram", scram),
        ("kills-token", unsecured(config(&cluster))),
    ] {
        cluster.create_topic(name, PARTITIONS as i32, &[])?;
        all.push(Workload::start(name, name, config, 5)?);
    }
    let mut workloads = Workloads::new(&cluster, all, PARTITIONS);
    let before = AUTHENTICATED_AGAIN.load(Ordering::Relaxed);
    for round in 1..=5 {
        let leader = cluster.leader_of("kills-scram", 0)?;
        let broker = cluster.broker(leader);
        workloads.disturb(format!("kill {round}, broker {leader}"), || broker.kill())?;
        workloads.until_recovered(PARTITIONS);
        broker.start()?;
        cluster.await_in_sync()?;
        workloads.until_acknowledged(PARTITIONS);
    }
    let again = AUTHENTICATED_AGAIN.load(Ordering::Relaxed) - before;
    println!("    authenticated again {again} times");
    assert!(again > 10, "sessions end all the while: {again}");
    for report in workloads.finish()? {
        report.assert_none_failed();
        report.findings.assert_exactly_once();
    }
    nothing_secret_was_logged();
    Ok(())
}

fn each_mechanism_works_with_the_newest_kafka() -> TestResult {
    let cluster = Cluster::start(options(NEWEST))?;
    cluster.create_scram_user("alice", SECRET)?;
    for (name, config) in mechanisms(&cluster) {
        let topic = format!("mechanism-{name}");
        cluster.create_topic(&topic, 1, &[])?;
        let producer = build(config)?;
        delivers(&cluster, &topic, &producer)?;
        producer.close()?;
    }
    // A user-defined token provider, with a SASL extension.
    cluster.create_topic("provider", 1, &[])?;
    let jws = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImlhdCI6MSwiZXhwIjo0MTAyNDQ0ODAwfQ.";
    let config = sasl(&cluster).set("sasl.mechanism", "OAUTHBEARER");
    let producer: Producer = KafkaProducer::builder(config.build()?)
        .stock_serializers()
        .token_provider(move || {
            Ok(OAuthBearerToken::new(jws, Duration::from_secs(60)).extension("traceId", "7"))
        })
        .build()?;
    delivers(&cluster, "provider", &producer)?;
    producer.close()?;
    nothing_secret_was_logged();
    Ok(())
}

/// Sends a record that must fail. Returns the kind and the text of its error, and the latency.
fn failure(
    producer: &Producer,
    topic: &str,
) -> Result<(ProduceErrorKind, String, Duration), Box<dyn Error>> {
    let began = Instant::now();
    let error = producer
        .send(ProducerRecord::new(topic, &b"value"[..]))?
        .get()
        .expect_err("the record is refused");
    Ok((error.kind().clone(), error.to_string(), began.elapsed()))
}

fn is_refused(
    what: &str,
    config: ProducerConfigBuilder,
    expected: &[&str],
) -> Result<Producer, Box<dyn Error>> {
    let producer = build(config)?;
    let (kind, words, took) = failure(&producer, "refused")?;
    println!("    {what}, after {took:.2?}: {words}");
    assert_eq!(kind, ProduceErrorKind::Authentication);
    assert!(took < AT_ONCE, "{took:?}");
    for part in expected {
        assert!(words.contains(part), "{part:?} is missing in {words}");
    }
    let began = Instant::now();
    let error = producer
        .partitions_for("refused")
        .expect_err("nothing can be sent");
    assert!(began.elapsed() < AT_ONCE, "{error}");
    Ok(producer)
}

/// Java: SaslAuthenticatorTest#testInvalidPasswordSaslPlain, testInvalidUsernameSaslPlain,
/// testUnknownUserSaslScram and the like
fn failures_are_reported_at_once_and_the_producer_recovers() -> TestResult {
    let cluster = Cluster::start(options("3.0.0"))?;
    cluster.create_topic("refused", 1, &[])?;
    cluster.create_scram_user("alice", SECRET)?;
    let address = cluster.bootstrap_servers_of(LISTENER).unwrap_or_default();
    for (name, login) in PASSWORDS {
        let config = login(sasl(&cluster), "wrong");
        let expected = [&*address, "sasl.jaas.config", "uthentication failed"];
        is_refused(&format!("{name}, wrong password"), config, &expected)?;
    }
    let config = sasl(&cluster).sasl_plain("nobody", SECRET);
    is_refused("plain, unknown user", config, &["sasl.jaas.config"])?;
    let config = sasl(&cluster).sasl_scram_sha_256("late", SECRET);
    let producer = is_refused("scram, unknown user", config, &["sasl.jaas.config"])?;
    cluster.create_scram_user("late", SECRET)?;
    let began = Instant::now();
    let metadata = loop {
        match producer
            .send(ProducerRecord::new("refused", &b"value"[..]))?
            .get()
        {
            Ok(metadata) => break metadata,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
        }
    };
    println!("    mended after {:.2?}: {metadata}", began.elapsed());
    let config = sasl(&cluster).set("sasl.mechanism", "OAUTHBEARER");
    let tokens: Producer = KafkaProducer::builder(config.build()?)
        .stock_serializers()
        .token_provider(|| Ok(OAuthBearerToken::new("x.y.z", Duration::from_secs(60))))
        .build()?;
    let (kind, words, took) = failure(&tokens, "refused")?;
    println!("    a token that is none, after {took:.2?}: {words}");
    assert_eq!(kind, ProduceErrorKind::Authentication);
    // A listener without SASL.
    let config = config_of_plaintext(&cluster).sasl_plain("alice", SECRET);
    is_refused("a plain listener", config, &["security.protocol"])?;
    nothing_secret_was_logged();
    Ok(())
}

fn config_of_plaintext(cluster: &Cluster) -> ProducerConfigBuilder {
    config(&cluster.bootstrap_servers()).security_protocol(SecurityProtocol::SaslPlaintext)
}

fn allow(cluster: &Cluster, user: &str, operation: &str, topic: &str) -> TestResult {
    let principal = format!("User:{user}");
    let added = cluster.run_admin_tool(
        "kafka.admin.AclCommand",
        &[
            "--add",
            "--allow-principal",
            &principal,
            "--operation",
            operation,
            "--topic",
            topic,
        ],
    );
    Ok(added?)
}

/// A broker of 3.0 gives a producer id to a client that may write to at least one topic (KIP-679).
fn each_missing_permission_has_its_error() -> TestResult {
    let options = options("3.0.0")
        .config(
            "authorizer.class.name",
            "kafka.security.authorizer.AclAuthorizer",
        )
        .config("super.users", "User:ANONYMOUS");
    let cluster = Cluster::start(options)?;
    for topic in ["mine", "seen", "hidden"] {
        cluster.create_topic(topic, 1, &[])?;
    }
    allow(&cluster, "alice", "Write", "mine")?;
    allow(&cluster, "alice", "Describe", "seen")?;
    allow(&cluster, "bob", "Describe", "seen")?;
    let alice = build(sasl(&cluster).sasl_plain("alice", SECRET))?;
    let bob = sasl(&cluster).sasl_plain("bob", "bob-s3cret");
    delivers(&cluster, "mine", &alice)?;
    for topic in ["hidden", "seen"] {
        let (kind, words, took) = failure(&alice, topic)?;
        println!("    alice, {topic}, after {took:.2?}: {words}");
        assert_eq!(kind, ProduceErrorKind::TopicAuthorization, "{words}");
        assert!(took < AT_ONCE && words.contains(topic), "{took:?}: {words}");
    }
    // A topic without permission does not affect the others.
    alice
        .send(ProducerRecord::new("mine", &b"more"[..]))?
        .get()?;
    let (kind, words, took) = failure(&build(bob.clone())?, "seen")?;
    println!("    bob, seen, after {took:.2?}: {words}");
    assert_eq!(
        kind,
        ProduceErrorKind::Broker(ErrorCode::ClusterAuthorizationFailed),
        "{words}"
    );
    let (kind, words, _) = failure(&build(bob.enable_idempotence(false))?, "seen")?;
    assert_eq!(kind, ProduceErrorKind::TopicAuthorization, "{words}");
    Ok(())
}

/// Kafka 0.10.2 has version 0 of `SaslHandshake` (tokens outside of requests), reports failures without an error
/// message, and stores users in ZooKeeper.
fn sasl_handshake_version_0_works_with_kafka_0_10_2() -> TestResult {
    listen();
    let jaas = format!(
        "KafkaServer {{\n org.apache.kafka.common.security.plain.PlainLoginModule required \
         user_alice=\"{SECRET}\";\n org.apache.kafka.common.security.scram.ScramLoginModule required;\n}};\n"
    );
    let options = ClusterOptions::default()
        .version("0.10.2.2")
        .listener(LISTENER)
        .config("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256")
        .jaas(&jaas);
    let cluster = Cluster::start(options)?;
    let zookeeper = cluster.zookeeper().expect("it has one");
    let arguments = [
        "--zookeeper",
        &*zookeeper,
        "--alter",
        "--add-config",
        &format!("SCRAM-SHA-256=[password={SECRET}]"),
        "--entity-type",
        "users",
        "--entity-name",
        "alice",
    ];
    let (code, printed) = run_tool(cluster.folder(), "kafka.admin.ConfigCommand", &arguments)?;
    assert_eq!(code, Some(0), "{printed}");
    let old = |config: ProducerConfigBuilder| config.enable_idempotence(false);
    for (name, login) in &PASSWORDS[..2] {
        let topic = format!("oldest-{name}");
        cluster.create_topic(&topic, 1, &[])?;
        let producer = build(old(login(sasl(&cluster), SECRET)))?;
        delivers(&cluster, &topic, &producer)?;
        producer.close()?;
    }
    let config = old(sasl(&cluster).sasl_scram_sha_512("alice", SECRET));
    is_refused(
        "a mechanism that is not offered",
        config,
        &["it offers: ", "SCRAM-SHA-256", "sasl.mechanism"],
    )?;
    // The broker closes the connection without a message, which looks like a network failure: the timeout error names
    // the possible cause.
    let config = old(sasl(&cluster).sasl_plain("alice", "wrong")).max_block(Duration::from_secs(2));
    let (kind, words, took) = failure(&build(config)?, "oldest-plain")?;
    println!("    a wrong password, after {took:.2?}: {words}");
    assert_eq!(kind, ProduceErrorKind::MetadataTimeout);
    assert!(words.contains("during authentication"), "{words}");
    nothing_secret_was_logged();
    Ok(())
}
