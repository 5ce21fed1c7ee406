//! Extreme values of timeouts and back-offs: no setting causes a busy loop or a flood of requests. The table in
//! docs/RELIABILITY.md, "Extreme values", has the measurements, which this test prints with `--nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests: they fail by panicking, and measure real time"
)]

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, TestCluster};
use kafka_producer::{ErrorCode, KafkaProducer, ProducerConfig, ProducerRecord};

/// The duration of each case.
const WATCHED: Duration = Duration::from_secs(2);

/// Maximum number of connects per second, to all brokers of a case together.
const MOST_CONNECTS: u64 = 100;
/// Maximum number of requests per second of the most frequent kind.
const MOST_REQUESTS: u64 = 100;
/// Maximum number of log lines per second of level `INFO` and above, in addition to `FIRST_LINES`.
const MOST_LINES: u64 = 5;
/// Maximum number of sender loops per second, in addition to two for each record that is sent.
const MOST_LOOPS: u64 = 500;
/// Number of log lines for the construction, and for the first occurrence of each failure.
const FIRST_LINES: u64 = 20;

struct Lines(AtomicU64);

static LINES: Lines = Lines(AtomicU64::new(0));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        if std::env::var_os("SHOW_LINES").is_some() {
            println!("{} {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

/// The peer of the producer.
enum World {
    /// A broker that works.
    Up,
    /// A broker that does not respond to requests of this API.
    Silent(Api),
    /// A broker that closes the connection on a request of this API.
    ClosingOn(Api),
    /// A server that speaks another protocol.
    Other,
    /// A broker that rejects every batch with this error; the topic has 200 partitions.
    Refusing200(ErrorCode),
    /// A broker that accepts connections, and never responds.
    Hung,
    /// A port without a listener.
    Refusing,
    /// A server that closes each connection at once.
    Closing,
    /// A working broker whose metadata lists unreachable brokers.
    Misadvertised,
}

struct Case {
    values: &'static [(&'static str, &'static str)],
    world: World,
    what: &'static str,
    topic: &'static str,
}

const fn case(
    values: &'static [(&'static str, &'static str)],
    world: World,
    what: &'static str,
) -> Case {
    Case {
        values,
        world,
        what,
        topic: "t",
    }
}

const CASES: &[Case] = &[
    case(
        &[("reconnect.backoff.ms", "0")],
        World::Refusing,
        "the broker is down",
    ),
    case(
        &[("reconnect.backoff.ms", "0")],
        World::Closing,
        "a server closes every connection",
    ),
    case(
        &[("reconnect.backoff.ms", "0"), ("retry.backoff.ms", "0")],
        World::Refusing,
        "the broker is down",
    ),
    case(
        &[("reconnect.backoff.ms", "0"), ("retry.backoff.ms", "0")],
        World::Misadvertised,
        "brokers advertise an address that leads nowhere",
    ),
    Case {
        topic: "missing",
        ..case(
            &[("retry.backoff.ms", "0")],
            World::Up,
            "the topic does not exist",
        )
    },
    case(
        &[],
        World::Refusing200(ErrorCode::NotEnoughReplicas),
        "every batch of 200 partitions is refused with NOT_ENOUGH_REPLICAS",
    ),
    case(
        &[("retry.backoff.ms", "0")],
        World::Refusing200(ErrorCode::NotEnoughReplicas),
        "every batch of 200 partitions is refused with NOT_ENOUGH_REPLICAS",
    ),
    case(
        &[("retry.backoff.ms", "0"), ("acks", "1")],
        World::Refusing200(ErrorCode::NotLeaderOrFollower),
        "every batch of 200 partitions is refused with NOT_LEADER_OR_FOLLOWER",
    ),
    case(&[("metadata.max.age.ms", "0")], World::Up, "no fault"),
    case(
        &[("metadata.max.age.ms", "0"), ("retry.backoff.ms", "0")],
        World::Up,
        "no fault",
    ),
    case(&[("request.timeout.ms", "0")], World::Up, "no fault"),
    case(
        &[
            ("request.timeout.ms", "1"),
            ("retry.backoff.ms", "0"),
            ("reconnect.backoff.ms", "0"),
        ],
        World::Silent(Api::Metadata),
        "the broker does not respond to metadata requests",
    ),
    case(
        &[
            ("socket.connection.setup.timeout.ms", "0"),
            ("socket.connection.setup.timeout.max.ms", "0"),
        ],
        World::Hung,
        "the broker hangs",
    ),
    case(
        &[
            ("socket.connection.setup.timeout.ms", "0"),
            ("socket.connection.setup.timeout.max.ms", "0"),
            ("reconnect.backoff.ms", "0"),
        ],
        World::Hung,
        "the broker hangs",
    ),
    case(&[("connections.max.idle.ms", "0")], World::Up, "no fault"),
    case(
        &[
            ("connections.max.idle.ms", "1"),
            ("reconnect.backoff.ms", "0"),
        ],
        World::Up,
        "no fault",
    ),
    case(
        &[
            ("metadata.recovery.rebootstrap.trigger.ms", "0"),
            ("metadata.max.age.ms", "0"),
        ],
        World::Up,
        "no fault",
    ),
    case(
        &[("reconnect.backoff.ms", "0"), ("retry.backoff.ms", "0")],
        World::ClosingOn(Api::Metadata),
        "the broker closes the connection on a metadata request",
    ),
    case(
        &[("reconnect.backoff.ms", "0"), ("retry.backoff.ms", "0")],
        World::ClosingOn(Api::ApiVersions),
        "the broker closes the connection on a version request",
    ),
    case(
        &[("reconnect.backoff.ms", "0"), ("retry.backoff.ms", "0")],
        World::Other,
        "a web server is at the address",
    ),
    case(
        &[
            ("metadata.recovery.rebootstrap.trigger.ms", "0"),
            ("retry.backoff.ms", "0"),
            ("reconnect.backoff.ms", "0"),
        ],
        World::Refusing,
        "the broker is down",
    ),
];

/// The measurements of a case.
#[derive(Debug)]
struct Seen {
    connects: u64,
    requests: [u64; 4],
    lines: u64,
    loops: u64,
    /// Number of sent records; each one may cause one additional request.
    sent: u64,
    seconds: f64,
}

const KINDS: [Api; 4] = [
    Api::Produce,
    Api::Metadata,
    Api::ApiVersions,
    Api::InitProducerId,
];

#[test]
fn no_setting_causes_a_busy_loop_or_a_flood_of_requests() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    println!(
        "| setting | and | connects/s | requests/s, of the most frequent kind | lines of the log in {} s | loops/s |",
        WATCHED.as_secs()
    );
    println!("|---|---|---|---|---|---|");
    let mut wrong = Vec::new();
    for case in CASES {
        let seen = watch(case);
        let settings: Vec<_> = case
            .values
            .iter()
            .map(|(key, value)| format!("`{key}={value}`"))
            .collect();
        let settings = match settings.len() {
            0 => vec!["the defaults".to_owned()],
            _ => settings,
        };
        let rate = |count: u64| (count as f64 / seen.seconds).round() as u64;
        let (most, kind) = (0..4)
            .map(|at| (seen.requests[at], KINDS[at]))
            .max()
            .unwrap();
        let kind = if most > 0 {
            format!(" ({kind})")
        } else {
            String::new()
        };
        println!(
            "| {} | {} | {} | {}{kind} | {} | {} |",
            settings.join(", "),
            case.what,
            rate(seen.connects),
            rate(most),
            seen.lines,
            rate(seen.loops)
        );
        let allowed = |a_second: u64| (a_second as f64 * seen.seconds) as u64 + a_second / 5 + 2;
        if seen.connects > allowed(MOST_CONNECTS)
            || most > allowed(MOST_REQUESTS) + seen.sent
            || seen.lines > allowed(MOST_LINES) + FIRST_LINES
            || seen.loops > allowed(MOST_LOOPS) + 2 * seen.sent
        {
            wrong.push(format!("{settings:?} {}: {seen:?}", case.what));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn watch(case: &Case) -> Seen {
    let partitions = match &case.world {
        World::Refusing200(_) => 200,
        _ => 1,
    };
    let cluster = TestCluster::builder()
        .topic("t", partitions)
        .start()
        .unwrap();
    let closed = Arc::new(AtomicU64::new(0));
    let node = cluster.node_ids().next().unwrap();
    let mut servers = cluster.bootstrap_servers();
    match &case.world {
        World::Up => {}
        World::Silent(api) => {
            cluster
                .script(Rule::on(*api).always().never_answer())
                .unwrap();
        }
        World::ClosingOn(api) => {
            cluster.script(Rule::on(*api).always().close()).unwrap();
        }
        World::Refusing200(code) => {
            let refuse = Rule::on(Api::Produce).always().fail(*code);
            cluster.script(refuse).unwrap();
        }
        World::Hung => {
            cluster.hang_node(node);
        }
        World::Refusing => servers = unused_address(),
        World::Closing => servers = server(b"", &closed),
        World::Other => servers = server(b"HTTP/1.1 400 Bad Request\r\n\r\n", &closed),
        World::Misadvertised => {
            let gone = TestCluster::builder().topic("t", 1).start().unwrap();
            let snapshot = gone.metadata_snapshot();
            drop(gone);
            let named = Rule::on(Api::Metadata).always().answer_as_of(&snapshot);
            cluster.script(named).unwrap();
        }
    }
    let mut config = ProducerConfig::builder()
        .set("bootstrap.servers", &*servers)
        .set("max.block.ms", "50")
        .set("enable.idempotence", "false");
    for (key, value) in case.values {
        config = config.set(*key, *value);
    }
    let lines = LINES.0.load(Ordering::Relaxed);
    let producer = KafkaProducer::<str, str>::new(config.build().unwrap()).unwrap();
    if partitions > 1 {
        for partition in 0..partitions {
            let record = ProducerRecord::new("t", "value").with_partition(partition as i32);
            drop(producer.send(record));
            // The records are sent at different times.
            thread::sleep(Duration::from_micros(500));
        }
    }
    let begun = Instant::now();
    let loops = producer.snapshot().sender_loops;
    let requests = || KINDS.map(|api| cluster.request_count(api));
    let before = if partitions > 1 { requests() } else { [0; 4] };
    let mut sent = 0;
    while begun.elapsed() < WATCHED {
        // The call may fail.
        if partitions == 1 {
            drop(producer.send(ProducerRecord::new(case.topic, "value")));
            sent += 1;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let seen = Seen {
        connects: cluster.connections_accepted() + closed.load(Ordering::Relaxed),
        requests: std::array::from_fn(|at| requests()[at] - before[at]),
        lines: LINES.0.load(Ordering::Relaxed) - lines,
        loops: producer.snapshot().sender_loops - loops,
        sent,
        seconds,
    };
    // Does not wait for incomplete records.
    let _ = producer.close_timeout(Duration::ZERO);
    seen
}

fn unused_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A server that writes the same bytes on each connection, and closes it.
fn server(bytes: &'static [u8], count: &Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::clone(count);
    // The thread ends with the test's process.
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(bytes);
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    address
}
