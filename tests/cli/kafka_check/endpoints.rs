//! Endpoints that are no broker, or cannot be reached.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use kafka_producer::testing::TestCluster;

use super::{SOON, assert_says, document, flowing, line_of, run, run_on};

/// A listener that accepts connections, and answers each with `answer`; without an answer it stays silent.
fn listener(answer: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some(answer) = answer {
                // The peer may have closed the connection meanwhile.
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(answer);
            } else {
                open.push(stream);
            }
        }
    });
    address
}

/// A port on which nothing listens, and which no other program can take: it is that of a connection's client.
struct ClosedPort {
    address: SocketAddr,
    _connection: (TcpListener, TcpStream),
}

impl ClosedPort {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self {
            address: stream.local_addr().unwrap(),
            _connection: (listener, stream),
        }
    }
}

/// Time limit of a step that ends before it.
const LONG_MS: &str = "10000";
/// Time limit of a step that ends by it; the steps before it must end in less, also on a busy machine.
const SHORT_MS: &str = "2000";

/// Keys of a client with SASL; they have no effect without it.
const LOGIN: [&str; 4] = [
    "--producer-property",
    "sasl.mechanism=PLAIN",
    "--producer-property",
    "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
     username=a password=b;",
];

fn run_at(address: SocketAddr, timeout_ms: &str, further: &[&str]) -> crate::support::Ended {
    let address = address.to_string();
    let first = ["--bootstrap-server", &address, "--timeout-ms", timeout_ms];
    let ended = run(&[&first, further].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.took < SOON, "{ended:?}");
    ended
}

#[test]
fn a_port_without_a_listener_is_a_failed_connection() {
    let closed = ClosedPort::new();
    let ended = run_at(closed.address, LONG_MS, &["--topic", "t"]);
    assert!(line_of(&ended, "TCP connection").contains("failed"));
    assert_says(
        &ended,
        &[
            "refused",
            "likely no broker listens on this port",
            "bootstrap.servers (client)",
            "brokers skipped",
            "topics skipped",
            "1 step failed.",
        ],
    );
}

#[test]
fn a_host_that_cannot_be_resolved_fails_in_name_resolution() {
    let ended = run(&[
        "--bootstrap-server",
        "no-such-host.invalid:9092",
        "--timeout-ms",
        "2000",
    ]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.took < SOON, "{ended:?}");
    assert!(line_of(&ended, "name resolution").contains("failed"));
    assert_says(&ended, &["no-such-host.invalid", "the name is misspelled"]);
}

#[test]
fn a_listener_that_never_answers_ends_the_step_by_its_time_limit() {
    let silent = listener(None);
    let ended = run_at(silent, SHORT_MS, &[]);
    assert!(line_of(&ended, "TCP connection").contains("ok"));
    assert!(line_of(&ended, "API versions").contains("failed"));
    assert_says(
        &ended,
        &[
            "within 2000 ms",
            "the listener expects TLS",
            "security.protocol (client)",
        ],
    );
    let protocol = ["--producer-property", "security.protocol=SASL_PLAINTEXT"];
    let sasl = [&protocol[..], &LOGIN].concat();
    let ended = run_at(silent, SHORT_MS, &sasl);
    assert!(line_of(&ended, "SASL").contains("failed"));
    assert_says(
        &ended,
        &["the listener does not expect SASL", "security.protocol"],
    );
}

#[test]
fn a_listener_that_closes_the_connection_gets_likely_reasons() {
    let closing = listener(Some(b""));
    for (protocol, step, reason) in [
        (
            "PLAINTEXT",
            "API versions",
            "the listener expects TLS or SASL",
        ),
        #[cfg(feature = "tls-no-provider")]
        (
            "SSL",
            "TLS handshake",
            "the listener accepts plain text only",
        ),
        ("SASL_PLAINTEXT", "SASL", "the listener expects TLS"),
    ] {
        let protocol = format!("security.protocol={protocol}");
        let further = [&["--producer-property", &protocol][..], &LOGIN].concat();
        let ended = run_at(closing, LONG_MS, &further);
        assert!(line_of(&ended, step).contains("failed"), "{ended:?}");
        assert_says(
            &ended,
            &[&format!("likely {reason}"), "security.protocol (client)"],
        );
    }
}

#[test]
fn a_web_server_is_recognized_as_no_broker() {
    let web = listener(Some(
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    ));
    let ended = run_at(web, LONG_MS, &[]);
    assert!(line_of(&ended, "API versions").contains("failed"));
    assert_says(
        &ended,
        &[
            "not a Kafka broker",
            "bootstrap.servers (client)",
            "security.protocol (client)",
        ],
    );
}

#[test]
fn garbage_ends_the_step_at_once() {
    for garbage in [&[0xff; 64][..], &[0, 0, 0, 4, 9, 9, 9, 9], b"\0\0\0\0"] {
        let ended = run_at(listener(Some(garbage)), LONG_MS, &[]);
        assert!(line_of(&ended, "API versions").contains("failed"));
    }
}

/// The text of the error names the keys; user and password have nothing to do with it.
#[test]
fn a_listener_without_sasl_is_not_taken_for_a_wrong_password() {
    let cluster = TestCluster::builder().start().unwrap();
    let protocol = ["--producer-property", "security.protocol=SASL_PLAINTEXT"];
    let ended = run_on(&cluster, &[&protocol[..], &LOGIN].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "SASL").contains("failed"));
    assert_says(
        &ended,
        &[
            "does not authenticate clients on this listener",
            "security.protocol (client)",
        ],
    );
    for other in ["sasl.jaas.config (client)", "sasl.mechanism (client)"] {
        assert!(!ended.stdout.contains(other), "{}", ended.stdout);
    }
}

#[test]
fn one_bad_server_of_two_is_a_failure_and_the_check_goes_on() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let closed = ClosedPort::new();
    let servers = format!("{},{}", closed.address, cluster.bootstrap_servers());
    let ended = run(&["--bootstrap-server", &servers, "--topic", "t"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended, &["refused", "t ok", "1 step failed."]);
}

#[test]
fn servers_of_two_clusters_are_a_failure() {
    let start = |id: &str| TestCluster::builder().cluster_id(id).start().unwrap();
    let (one, other) = (start("one"), start("other"));
    let servers = format!("{},{}", one.bootstrap_servers(), other.bootstrap_servers());
    let ended = run(&["--bootstrap-server", &servers]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let texts = [
        format!("{} belongs to another cluster", other.bootstrap_servers()),
        "the list mixes clusters".to_owned(),
    ];
    assert_says(&ended, &[&texts[0], &texts[1]]);
}

/// The commonest fault: the bootstrap server answers, and advertises an address that cannot be reached from here.
#[test]
fn an_advertised_address_that_cannot_be_reached_is_a_failure_of_that_broker() {
    use kafka_producer::testing::{Api, Rule};

    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 4)
        .start()
        .unwrap();
    let closed = ClosedPort::new();
    let elsewhere = cluster
        .metadata_snapshot()
        .with_port(1, closed.address.port());
    cluster
        .script(Rule::on(Api::Metadata).always().answer_as_of(&elsewhere))
        .unwrap();
    let first = format!("127.0.0.1:{}", cluster.port(0).unwrap());
    let arguments = ["--bootstrap-server", &first, "--topic", "t"];
    let ended = run(&arguments);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "broker 0").contains("ok"));
    assert!(line_of(&ended, "broker 1").contains("failed"));
    assert_says(
        &ended,
        &[
            "TCP connection: ",
            "advertised.listeners (broker)",
            "the leader cannot be reached from here: partitions ",
            "2 steps failed.",
        ],
    );
    let (_, document) = document(&arguments);
    assert_eq!(document["brokers"][0]["is_reachable"], true);
    assert_eq!(document["brokers"][1]["is_reachable"], false);
}

/// The bootstrap server has accepted the protocol.
#[test]
fn the_protocol_is_not_doubted_at_an_advertised_address() {
    use kafka_producer::testing::{Api, Rule};

    let cluster = TestCluster::builder().nodes(2).start().unwrap();
    let elsewhere = cluster
        .metadata_snapshot()
        .with_port(1, listener(Some(b"")).port());
    cluster
        .script(Rule::on(Api::Metadata).always().answer_as_of(&elsewhere))
        .unwrap();
    let first = format!("127.0.0.1:{}", cluster.port(0).unwrap());
    let ended = run(&["--bootstrap-server", &first]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "broker 1").contains("failed"));
    assert_says(
        &ended,
        &[
            "the address is that of another listener",
            "advertised.listeners (broker): an address and port of the listener for PLAINTEXT",
        ],
    );
    for key in ["security.protocol (client)", "bootstrap.servers (client)"] {
        assert!(!flowing(&ended).contains(key), "{}", ended.stdout);
    }
}

/// A listener that expects SASL answers the request for the API versions, which is the first one, and no other.
#[test]
fn a_connection_that_is_closed_after_the_api_versions_has_answered_the_first_request() {
    use kafka_producer::testing::{Api, Rule};

    let cluster = TestCluster::builder().start().unwrap();
    cluster
        .script(Rule::on(Api::Metadata).always().close())
        .unwrap();
    let ended = run_on(&cluster, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(line_of(&ended, "API versions").contains("ok"));
    assert!(line_of(&ended, "metadata").contains("failed"));
    let texts = ["to the metadata request", "security.protocol (client)"];
    assert_says(&ended, &texts);
    assert!(!flowing(&ended).contains("first request"), "{ended:?}");
}

#[test]
fn a_broker_that_does_not_answer_the_metadata_request_is_a_failure() {
    use kafka_producer::testing::{Api, Rule};

    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    cluster
        .script(Rule::on(Api::Metadata).always().never_answer())
        .unwrap();
    let ended = run_on(&cluster, &["--timeout-ms", SHORT_MS]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.took < SOON, "{ended:?}");
    assert!(line_of(&ended, "metadata").contains("failed"));
    assert_says(
        &ended,
        &["no response to the metadata request within 2000 ms"],
    );
}
