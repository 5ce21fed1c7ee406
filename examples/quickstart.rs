//! A million records from four threads, each of them accounted for.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --bootstrap-servers 127.0.0.1:9092 --topic test
//! ```
//!
//! Without arguments against a broker that this program starts in itself; with servers and a topic
//! against a cluster of yours.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program for people: it prints, and measures real time"
)]

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kafka_producer::testing::TestCluster;
use kafka_producer::{
    Acks, KafkaProducer, ProduceError, ProducerConfig, ProducerRecord, RecordMetadata, SendError,
};
use lexopt::prelude::*;

type Producer = KafkaProducer<[u8], [u8]>;

const PARTITIONS: usize = 12;
const TOPIC: &str = "quickstart";

struct Options {
    servers: Option<String>,
    topic: String,
    records: usize,
    threads: usize,
    size: usize,
    acks: Acks,
}

const HELP: &str = "\
Sends records from several threads and accounts for each of them.

  --bootstrap-servers HOST:PORT   a cluster of yours; without it a broker is started in this program
  --topic NAME                    the topic, which must be there (default: quickstart)
  --records N                     how many records in all (default: 1000000)
  --threads N                     from how many threads (default: 4)
  --record-size BYTES             size of a record's value, 24 at least (default: 100)
  --acks 0|1|all                  (default: all)";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = parse()?;
    if let Some(servers) = &options.servers {
        let load = send_all(servers, &options)?;
        load.report(&options);
        return load.verify_offsets(&options);
    }
    let cluster = TestCluster::builder().topic(TOPIC, PARTITIONS).start()?;
    println!("embedded broker: {}", cluster.bootstrap_servers());
    let load = send_all(&cluster.bootstrap_servers(), &options)?;
    load.report(&options);
    verify_log(&cluster, &options)
}

fn parse() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        servers: None,
        topic: TOPIC.to_owned(),
        records: 1_000_000,
        threads: 4,
        size: 100,
        acks: Acks::All,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bootstrap-servers") => options.servers = Some(parser.value()?.string()?),
            Long("topic") => options.topic = parser.value()?.string()?,
            Long("records") => options.records = parser.value()?.parse()?,
            Long("threads") => options.threads = parser.value()?.parse::<usize>()?.max(1),
            Long("record-size") => options.size = parser.value()?.parse::<usize>()?.max(24),
            Long("acks") => {
                options.acks = match parser.value()?.string()?.as_str() {
                    "0" => Acks::None,
                    "1" => Acks::Leader,
                    "all" | "-1" => Acks::All,
                    other => return Err(format!("acks is 0, 1 or all, not {other}").into()),
                }
            }
            Long("help") | Short('h') => {
                println!("{HELP}");
                std::process::exit(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if options.servers.is_none() && options.topic != TOPIC {
        return Err("--topic is for a cluster of yours: give --bootstrap-servers too".into());
    }
    Ok(options)
}

/// What sending came to.
struct Load {
    took: Duration,
    acknowledged: u64,
    failed: u64,
    first_error: Option<String>,
    latency_us: Histogram<u64>,
    /// By partition: how many records, the sum of their offsets, the smallest and the largest.
    offsets: Vec<Offsets>,
}

#[derive(Default)]
struct Offsets {
    count: AtomicU64,
    sum: AtomicU64,
    smallest: AtomicI64,
    largest: AtomicI64,
}

/// What callbacks add to.
struct Tally {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_error: OnceLock<String>,
    // Callbacks run on one thread, the producer's: nobody waits for this.
    latency_us: Mutex<Histogram<u64>>,
    offsets: Vec<Offsets>,
}

fn send_all(servers: &str, options: &Options) -> Result<Load, Box<dyn Error>> {
    let config = ProducerConfig::builder()
        .bootstrap_servers([servers])
        .acks(options.acks)
        .build()?;
    let producer = Producer::new(config)?;
    let partitions = producer.partitions_for(&options.topic)?.len();
    let tally = Arc::new(Tally {
        acknowledged: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        first_error: OnceLock::new(),
        latency_us: Mutex::new(Histogram::new_with_bounds(1, 60_000_000, 3)?),
        offsets: (0..partitions)
            .map(|_| Offsets {
                smallest: AtomicI64::new(i64::MAX),
                ..Offsets::default()
            })
            .collect(),
    });
    let progress = progress_bar(options.records);
    let began = Instant::now();
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let mut senders = Vec::new();
        for thread in 0..options.threads {
            let (producer, progress) = (&producer, &progress);
            let tally = Arc::clone(&tally);
            let work = move || send_share(producer, options, thread, &tally, progress);
            senders.push(std::thread::Builder::new().spawn_scoped(scope, work)?);
        }
        for sender in senders {
            sender
                .join()
                .map_err(|_| "a sending thread panicked")?
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    })?;
    producer.flush()?;
    let took = began.elapsed();
    progress.finish_and_clear();
    producer.close()?;
    let tally = Arc::into_inner(tally).ok_or("a callback is still there after close")?;
    Ok(Load {
        took,
        acknowledged: tally.acknowledged.into_inner(),
        failed: tally.failed.into_inner(),
        first_error: tally.first_error.into_inner(),
        latency_us: tally
            .latency_us
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
        offsets: tally.offsets,
    })
}

/// One thread's records: every `threads`-th number.
fn send_share(
    producer: &Producer,
    options: &Options,
    thread: usize,
    tally: &Arc<Tally>,
    progress: &ProgressBar,
) -> Result<(), SendError> {
    const PROGRESS_STEP: usize = 10_000;
    let share = share_of(options, thread);
    let mut value = vec![b'.'; options.size];
    for number in 0..share {
        stamp(&mut value, thread, number);
        let (tally, sent) = (Arc::clone(tally), Instant::now());
        let record = ProducerRecord::new(&*options.topic, &value[..]);
        let callback = move |fate: Result<&RecordMetadata, &ProduceError>| {
            tally.note(fate, sent.elapsed());
        };
        drop(producer.send_with_callback(record, callback)?);
        if number % PROGRESS_STEP == PROGRESS_STEP - 1 {
            progress.inc(PROGRESS_STEP as u64);
        }
    }
    Ok(())
}

impl Tally {
    fn note(&self, fate: Result<&RecordMetadata, &ProduceError>, latency: Duration) {
        let latency_us = u64::try_from(latency.as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        self.latency_us
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(latency_us);
        match fate {
            Ok(metadata) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                let partition = usize::try_from(metadata.partition()).unwrap_or(usize::MAX);
                if let (Some(offsets), true) = (self.offsets.get(partition), metadata.has_offset())
                {
                    offsets.count.fetch_add(1, Ordering::Relaxed);
                    offsets
                        .sum
                        .fetch_add(metadata.offset().unsigned_abs(), Ordering::Relaxed);
                    offsets
                        .smallest
                        .fetch_min(metadata.offset(), Ordering::Relaxed);
                    offsets
                        .largest
                        .fetch_max(metadata.offset(), Ordering::Relaxed);
                }
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let _ = self.first_error.set(error.to_string());
            }
        }
    }
}

fn share_of(options: &Options, thread: usize) -> usize {
    options.records / options.threads + usize::from(thread < options.records % options.threads)
}

/// Writes thread and number where the reader finds them.
fn stamp(value: &mut [u8], thread: usize, number: usize) {
    value[..8].copy_from_slice(&(thread as u64).to_be_bytes());
    value[8..16].copy_from_slice(&(number as u64).to_be_bytes());
}

fn read_stamp(value: &[u8]) -> Option<(usize, usize)> {
    let thread = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
    let number = u64::from_be_bytes(value.get(8..16)?.try_into().ok()?);
    Some((usize::try_from(thread).ok()?, usize::try_from(number).ok()?))
}

fn progress_bar(records: usize) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec}");
    ProgressBar::with_draw_target(Some(records as u64), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Load {
    fn report(&self, options: &Options) {
        let seconds = self.took.as_secs_f64();
        let megabytes = (options.records * options.size) as f64 / 1e6;
        println!(
            "{} records of {} bytes from {} threads in {seconds:.3} s",
            options.records, options.size, options.threads
        );
        println!(
            "{:.0} records/s, {:.1} MB/s",
            options.records as f64 / seconds,
            megabytes / seconds
        );
        let at = |quantile| self.latency_us.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "latency from send to callback: p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, \
             max {:.2} ms",
            at(0.5),
            at(0.95),
            at(0.99),
            at(0.999),
            self.latency_us.max() as f64 / 1000.0
        );
        println!("{} acknowledged, {} failed", self.acknowledged, self.failed);
    }

    /// What can be verified without reading the log: every record acknowledged, no offset given twice,
    /// and none left out where nobody else wrote.
    fn verify_offsets(&self, options: &Options) -> Result<(), Box<dyn Error>> {
        if let Some(error) = &self.first_error {
            return Err(format!("{} records failed, the first: {error}", self.failed).into());
        }
        if self.acknowledged != options.records as u64 {
            return Err(format!(
                "{} of {} records acknowledged",
                self.acknowledged, options.records
            )
            .into());
        }
        println!("every record was acknowledged");
        if options.acks == Acks::None {
            println!("with acks=0 brokers tell no offsets: nothing more can be verified here");
            return Ok(());
        }
        let mut shared = 0;
        for (partition, offsets) in self.offsets.iter().enumerate() {
            let count = offsets.count.load(Ordering::Relaxed);
            if count == 0 {
                continue;
            }
            let smallest = offsets.smallest.load(Ordering::Relaxed).unsigned_abs();
            let largest = offsets.largest.load(Ordering::Relaxed).unsigned_abs();
            let span = largest - smallest + 1;
            if span < count {
                return Err(
                    format!("partition {partition}: an offset was acknowledged twice").into(),
                );
            }
            if span > count {
                shared += 1;
            } else if offsets.sum.load(Ordering::Relaxed) != (smallest + largest) * count / 2 {
                return Err(
                    format!("partition {partition}: an offset was acknowledged twice").into(),
                );
            }
        }
        if shared == 0 {
            println!("offsets: each acknowledged once, without a gap, in every partition");
        } else {
            println!(
                "offsets: {shared} partitions have others between ours; somebody else writes to the \
                 topic, so gaps cannot be told"
            );
        }
        println!("not verified: what the log holds; that takes a consumer");
        Ok(())
    }
}

/// Reads the embedded broker's log: every record once, each thread's in order in every partition.
fn verify_log(cluster: &TestCluster, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut seen: Vec<Vec<bool>> = (0..options.threads)
        .map(|thread| vec![false; share_of(options, thread)])
        .collect();
    let mut count = 0;
    for partition in 0..PARTITIONS {
        let mut last: Vec<Option<usize>> = vec![None; options.threads];
        for batch in cluster.batches(TOPIC, i32::try_from(partition)?) {
            for record in batch.records() {
                let (thread, number) = record
                    .value()
                    .and_then(read_stamp)
                    .ok_or_else(|| format!("partition {partition}: a record that nobody sent"))?;
                let mark = seen
                    .get_mut(thread)
                    .and_then(|numbers| numbers.get_mut(number))
                    .ok_or_else(|| format!("partition {partition}: a record that nobody sent"))?;
                if std::mem::replace(mark, true) {
                    return Err(format!("record {thread}:{number} is in the log twice").into());
                }
                if last[thread].is_some_and(|last| last >= number) {
                    return Err(format!(
                        "partition {partition}: {thread}:{number} is out of order"
                    )
                    .into());
                }
                last[thread] = Some(number);
                count += 1;
            }
        }
    }
    if count != options.records {
        return Err(format!("{count} of {} records are in the log", options.records).into());
    }
    println!(
        "verified: each of {count} records is in the log once, in order per partition and thread"
    );
    Ok(())
}
