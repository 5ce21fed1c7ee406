//! What compressing costs the threads that send, and whether two of them do it at the same time.
//!
//! ```text
//! cargo bench --bench compression
//! ```
//!
//! Nothing is sent: the producer's own thread takes steps only between the rounds. Records go to one partition
//! from one thread, then to two partitions from two. The program fails where two threads compress less than 1.8
//! times as much as one; the machine must have nothing else to do. With `-- --test` each codec has one short round
//! and nothing is judged.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measuring program: it prints, and reads real time"
)]

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use fastrand::Rng;
use kafka_producer::internals::{ByHand, Producer};
use kafka_producer::{ProducerConfigBuilder, ProducerRecord};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// What two threads are to do of what one does. Without a codec nothing is asked for: copying is bound by memory.
const AT_LEAST: f64 = 1.8;
const TOPIC: &str = "bench";
const THREADS: usize = 2;
const RECORD_BYTES: usize = 1_000;
/// Values that differ, so that no batch repeats itself.
const VALUES: usize = 1_000;
const ROUNDS: usize = 7;
const RECORDS: usize = 20_000;
const RECORDS_OF_TEST: usize = 500;
/// For all records of a round, since nothing is sent meanwhile.
const BUFFER_BYTES: usize = 256 << 20;
const SEED: u64 = 1;

fn main() -> ExitCode {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let values = values();
    println!(
        "{:<8} {:>22} {:>22} {:>20}",
        "codec", "µs a record, alone", "µs a record, of two", "two, times the one"
    );
    let mut missed = Vec::new();
    for codec in CODECS {
        let mut bench = Bench::start(codec, &values);
        if is_test {
            bench.round(THREADS, RECORDS_OF_TEST);
            continue;
        }
        let speed_up = bench.measure(codec);
        if codec != "none" && speed_up < AT_LEAST {
            missed.push(codec);
        }
    }
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "below {AT_LEAST} times: {}; is the machine otherwise idle, with {THREADS} processors?",
        missed.join(", ")
    );
    ExitCode::FAILURE
}

struct Bench<'a> {
    rig: ByHand,
    values: &'a [Vec<u8>],
}

impl<'a> Bench<'a> {
    fn start(codec: &str, values: &'a [Vec<u8>]) -> Self {
        let config = ProducerConfigBuilder::new()
            .set("compression.type", codec)
            .set("buffer.memory", BUFFER_BYTES.to_string());
        Self {
            rig: ByHand::start(config, TOPIC, THREADS),
            values,
        }
    }

    /// Prints a row, and tells how much more two threads do than one. The rounds take turns, and the medians count.
    fn measure(&mut self, codec: &str) -> f64 {
        // Contexts and memory are made, and the ratio is learnt.
        self.round(THREADS, RECORDS);
        let (mut alone, mut both) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.push(self.round(1, RECORDS));
            both.push(self.round(THREADS, RECORDS));
        }
        let (alone, both) = (median(alone), median(both));
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / RECORDS as f64;
        let speed_up = THREADS as f64 * alone.as_secs_f64() / both.as_secs_f64();
        println!(
            "{codec:<8} {:>22.3} {:>22.3} {speed_up:>20.2}",
            micros(alone),
            micros(both)
        );
        speed_up
    }

    /// How long so many threads take for so many records each, every thread with a partition of its own.
    fn round(&mut self, threads: usize, records: usize) -> Duration {
        let (producer, values) = (self.rig.producer(), self.values);
        let barrier = Barrier::new(threads + 1);
        let took = std::thread::scope(|scope| {
            for partition in 0..threads {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    append(producer, partition, values, records);
                    barrier.wait();
                });
            }
            barrier.wait();
            let start = Instant::now();
            barrier.wait();
            start.elapsed()
        });
        self.rig.settle();
        took
    }
}

fn append(producer: &Producer, partition: usize, values: &[Vec<u8>], records: usize) {
    for value in values.iter().cycle().take(records) {
        let record = ProducerRecord::new(TOPIC, value.as_slice()).with_partition(partition as i32);
        let _future = producer
            .try_send(record)
            .expect("the buffer has room for a round");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Like what services write: the same fields in each record, with words and numbers that differ.
fn values() -> Vec<Vec<u8>> {
    const FIELDS: [&str; 6] = [
        "customer",
        "warehouse",
        "product",
        "session",
        "region",
        "campaign",
    ];
    const WORDS: [&str; 8] = [
        "amber", "blue", "coral", "denim", "ebony", "green", "ivory", "plum",
    ];
    let mut rng = Rng::with_seed(SEED);
    let mut value = || {
        let mut text = String::from("{");
        while text.len() < RECORD_BYTES {
            for field in FIELDS {
                let word = WORDS[rng.usize(..WORDS.len())];
                let _ = write!(text, "\"{field}\":\"{word}-{:05}\",", rng.u32(..100_000));
            }
        }
        text.truncate(RECORD_BYTES);
        text.into_bytes()
    };
    (0..VALUES).map(|_| value()).collect()
}
