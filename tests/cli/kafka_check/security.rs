//! TLS and SASL.

#[path = "../../../src/security/tls/tests/certificates.rs"]
mod certificates;

use kafka_producer::testing::{TestCluster, TestTls};

use self::certificates::{Authority, Identity};
use super::{SOON, assert_says, flowing, line_of, run};
use crate::support::{Ended, TempFile};

fn tls(identity: &Identity) -> TestTls {
    TestTls::new(identity.chain.clone(), identity.key)
}

/// Runs the tool with the authority's certificate in a file.
fn run_trusting(servers: &str, authority: &Authority, name: &str, further: &str) -> Ended {
    let trusted = TempFile::new(&format!("{name}.pem"), authority.pem().as_bytes());
    let text = format!(
        "bootstrap.servers={servers}\nsecurity.protocol=SSL\nssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n{further}",
        trusted.path().display()
    );
    let file = TempFile::new(&format!("{name}.properties"), text.as_bytes());
    let arguments = ["--producer.config", file.name(), "--timeout-ms", "10000"];
    let ended = run(&arguments);
    assert!(ended.took < SOON, "{ended:?}");
    ended
}

#[test]
fn the_brokers_certificate_is_shown_and_sasl_is_a_step_of_its_own() {
    let authority = Authority::new(0);
    let cluster = TestCluster::builder()
        .sasl_user("alice", "secret")
        .tls(tls(&authority.issue(&["127.0.0.1"])))
        .start()
        .unwrap();
    let login = "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=\
        org.apache.kafka.common.security.plain.PlainLoginModule required username=alice password=secret;";
    let servers = cluster.bootstrap_servers();
    let ended = run_trusting(&servers, &authority, "check-tls", login);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(line_of(&ended, "TLS handshake").contains("TLSv1.3"));
    assert!(line_of(&ended, "SASL").contains("ok"));
    let facts = [
        "subject CN=broker",
        "issuer CN=authority 0",
        "valid until 2090-01-01 (",
    ];
    assert_says(&ended, &facts);

    let wrong = login.replace("password=secret", "password=wrong");
    let ended = run_trusting(&servers, &authority, "check-wrong", &wrong);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "TLS handshake").contains("ok"));
    assert!(line_of(&ended, "SASL").contains("failed"));
    assert_says(
        &ended,
        &[
            WRONG_CREDENTIALS,
            "sasl.jaas.config (client)",
            "sasl.mechanism (client)",
        ],
    );
}

const WRONG_CREDENTIALS: &str = "user or password are wrong";

#[test]
fn a_mechanism_that_is_not_offered_is_not_taken_for_a_wrong_password() {
    let cluster = TestCluster::builder()
        .sasl_user("alice", "secret")
        .sasl_mechanisms(&[])
        .start()
        .unwrap();
    let ended = run(&[
        "--bootstrap-server",
        &cluster.bootstrap_servers(),
        "--producer-property",
        "security.protocol=SASL_PLAINTEXT",
        "--producer-property",
        "sasl.mechanism=PLAIN",
        "--producer-property",
        "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
         username=alice password=secret;",
    ]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "SASL").contains("failed"));
    assert_says(
        &ended,
        &["does not offer this mechanism", "sasl.mechanism (client)"],
    );
    for other in [WRONG_CREDENTIALS, "sasl.jaas.config (client)"] {
        assert!(!flowing(&ended).contains(other), "{}", ended.stdout);
    }
}

/// With TLS 1.3 the broker requests the certificate during the handshake, and complains of its absence after it.
#[test]
fn a_missing_client_certificate_is_not_taken_for_a_wrong_password() {
    let authority = Authority::new(0);
    let cluster = TestCluster::builder()
        .sasl_user("alice", "secret")
        .tls(tls(&authority.issue(&["127.0.0.1"])).require_client_certificate(authority.pem()))
        .start()
        .unwrap();
    let login = "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=\
        org.apache.kafka.common.security.plain.PlainLoginModule required username=alice password=secret;";
    let servers = cluster.bootstrap_servers();
    let ended = run_trusting(&servers, &authority, "check-no-certificate", login);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let keys = "ssl.keystore.location (client)";
    assert_says(&ended, &["requires a client certificate", keys]);
    for other in [WRONG_CREDENTIALS, "sasl.jaas.config (client)"] {
        assert!(!flowing(&ended).contains(other), "{}", ended.stdout);
    }
}

#[test]
fn a_certificate_that_is_not_trusted_or_has_another_name_fails_the_handshake() {
    let (ours, theirs) = (Authority::new(0), Authority::new(1));
    let start = |identity: &Identity| TestCluster::builder().tls(tls(identity)).start().unwrap();
    let untrusted = start(&theirs.issue(&["127.0.0.1"]));
    let ended = run_trusting(&untrusted.bootstrap_servers(), &ours, "check-untrusted", "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "TLS handshake").contains("failed"));
    assert_says(&ended, &["ssl.truststore.location (client)"]);

    let renamed = start(&ours.issue(&["broker.example"]));
    let ended = run_trusting(&renamed.bootstrap_servers(), &ours, "check-renamed", "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "TLS handshake").contains("failed"));
}

#[test]
fn a_protocol_that_is_not_the_listeners_is_named_in_both_directions() {
    let authority = Authority::new(0);
    let plain = TestCluster::builder().start().unwrap();
    let ended = run_trusting(&plain.bootstrap_servers(), &authority, "check-plain", "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "TLS handshake").contains("failed"));
    assert_says(
        &ended,
        &["security.protocol (client): that of the listener; here it is SSL"],
    );

    let secure = TestCluster::builder()
        .tls(tls(&authority.issue(&["127.0.0.1"])))
        .start()
        .unwrap();
    let servers = secure.bootstrap_servers();
    let ended = run(&["--bootstrap-server", &servers, "--timeout-ms", "10000"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "API versions").contains("failed"));
    assert_says(&ended, &["here it is PLAINTEXT"]);
}
