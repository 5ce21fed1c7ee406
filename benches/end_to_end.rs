//! End-to-end benchmark: from `send` to the acknowledgement by the embedded broker, which runs in another process.
//!
//! ```text
//! cargo bench --bench end_to_end
//! ```
//!
//! Criterion measures wall-clock time. In addition, the benchmark prints the CPU time of this process per record,
//! separately for the sending threads and the producer's thread. The broker's process is the same program, started with
//! the environment variable `BENCH_BROKER`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark: it prints, and measures real time"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};
use kafka_producer::testing::TestCluster;
use kafka_producer::{Acks, KafkaProducer, ProducerConfig, ProducerConfigBuilder, ProducerRecord};

type Producer = KafkaProducer<[u8], [u8]>;

/// Environment variable that is set in the broker's process.
const BROKER_ROLE: &str = "BENCH_BROKER";
const TOPIC: &str = "bench";
const PARTITIONS: usize = 12;
/// Records of one measured iteration.
const RECORDS: u64 = 200_000;
/// The number of clock ticks per second. `/proc` counts CPU time in clock ticks.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    if std::env::var_os(BROKER_ROLE).is_some() {
        run_broker();
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}

fn run_broker() {
    let cluster = TestCluster::builder()
        .sink()
        .topic(TOPIC, PARTITIONS)
        .start()
        .expect("the broker starts");
    println!("{}", cluster.bootstrap_servers());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

struct Broker {
    process: Child,
    servers: String,
}

impl Broker {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program)
            .env(BROKER_ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let output = process
            .stdout
            .take()
            .expect("the broker's output is a pipe");
        let mut servers = String::new();
        BufReader::new(output)
            .read_line(&mut servers)
            .expect("the broker prints its address");
        Self {
            process,
            servers: servers.trim().to_owned(),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn end_to_end(criterion: &mut Criterion) {
    let broker = Broker::start();
    let mut group = criterion.benchmark_group("end_to_end");
    group
        .throughput(Throughput::Elements(RECORDS))
        .sample_size(10);
    group.measurement_time(Duration::from_secs(8));
    let base =
        |config: ProducerConfigBuilder| config.acks(Acks::Leader).linger(Duration::from_millis(5));
    for (name, size, producer) in [
        ("base_100B_acks1_linger5", 100, build(&broker, base)),
        (
            "defaults_100B_idempotent",
            100,
            build(&broker, |config| config),
        ),
        ("1000B_acks1_linger5", 1000, build(&broker, base)),
    ] {
        let payload = vec![b'x'; size];
        // Not measured: establishes connections, fetches metadata, allocates batches.
        send_and_flush(&producer, &payload);
        let (before, mut iterations) = (cpu_ticks(), 0);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                iterations += 1;
                send_and_flush(&producer, &payload);
            });
        });
        report(name, before, iterations * RECORDS);
        producer.close().expect("every record was delivered");
    }
}

fn build(
    broker: &Broker,
    configure: impl FnOnce(ProducerConfigBuilder) -> ProducerConfigBuilder,
) -> Producer {
    let config = configure(ProducerConfig::builder().bootstrap_servers([&broker.servers]));
    Producer::new(config.build().expect("the configuration is valid")).expect("the producer starts")
}

/// Sends the records of one iteration and waits for their acknowledgements.
fn send_and_flush(producer: &Producer, payload: &[u8]) {
    for _ in 0..RECORDS {
        let record = ProducerRecord::<[u8], [u8]>::new(TOPIC, payload);
        drop(
            producer
                .send(record)
                .expect("the producer accepts the record"),
        );
    }
    producer.flush().expect("not called inside a callback");
}

/// CPU time so far, in clock ticks: of the sending threads, and of the producers' threads.
fn cpu_ticks() -> (u64, u64) {
    let mut ticks = (0, 0);
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return ticks;
    };
    for task in tasks.flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let of = |at: usize| {
            fields
                .get(at)
                .and_then(|f| f.parse::<u64>().ok())
                .unwrap_or(0)
        };
        // User and system time: fields 14 and 15 of `/proc/<pid>/stat`, counted from 1.
        let sum = of(11) + of(12);
        if head.ends_with("(kafka-producer-") {
            ticks.1 += sum;
        } else {
            ticks.0 += sum;
        }
    }
    ticks
}

fn report(name: &str, before: (u64, u64), records: u64) {
    let after = cpu_ticks();
    let per_record = |ticks: u64| ticks as f64 / TICKS_PER_SECOND * 1e6 / records.max(1) as f64;
    let (senders, producer) = (
        per_record(after.0 - before.0),
        per_record(after.1 - before.1),
    );
    println!(
        "{name}: CPU per record {:.3} µs: {senders:.3} in the sending threads, {producer:.3} in the \
         producer's thread ({records} records)",
        senders + producer
    );
}

criterion_group!(benches, end_to_end);
