//! Benchmark of compression: its cost on the sending threads, and whether two sending threads compress in parallel.
//!
//! ```text
//! cargo bench --bench compression
//! ```
//!
//! Nothing is sent: the sender runs only between the rounds. One thread appends records to one partition, then two
//! threads append to two partitions. Two processors are seldom twice as fast as one, because a virtual processor may
//! share its core with another machine. So each round also runs a codec without a producer, on threads that share
//! nothing. The speed-up of the producer is then scaled: it is multiplied by 2 and divided by the speed-up of that
//! codec. The program fails if the scaled speed-up is below 1.8. With `-- --test` each codec has one short round, and
//! no limit applies.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measuring program: it prints, and reads real time"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::Instant;

use fastrand::Rng;
use kafka_producer::internals::{ByHand, Producer};
use kafka_producer::{ProducerConfigBuilder, ProducerRecord};
use lz4_flex::block::{compress_into, get_maximum_output_size};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Minimum of the scaled speed-up with two threads. It does not apply without a codec, because memory limits the speed
/// of copying.
const AT_LEAST: f64 = 1.8;
const TOPIC: &str = "bench";
const THREADS: usize = 2;
const RECORD_BYTES: usize = 1_000;
/// Number of different values, so that no batch contains a value twice.
const VALUES: usize = 1_000;
/// Records of a block for the codec without a producer: about as many as in a batch.
const BLOCK_RECORDS: usize = 16;
const ROUNDS: usize = 15;
const RECORDS: usize = 20_000;
const RECORDS_OF_TEST: usize = 500;
/// Enough for all records of a round, since nothing is sent meanwhile.
const BUFFER_BYTES: usize = 256 << 20;
const SEED: u64 = 1;

fn main() -> ExitCode {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let values = values();
    println!(
        "{:<8} {:>20} {:>20} {:>20} {:>20} {:>10}",
        "codec",
        "µs a record, alone",
        "µs a record, of two",
        "two, times the one",
        "without a producer",
        "if that 2"
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
        "below {AT_LEAST} times: {}; has the machine {THREADS} processors with nothing else to do?",
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

    /// Prints a row, and returns the scaled speed-up with two threads. The rounds of all kinds alternate, so that a
    /// slow second of the machine affects all kinds equally. The speed-ups are medians over the rounds.
    fn measure(&mut self, codec: &str) -> f64 {
        // Warm-up: creates contexts and memory, and learns the compression ratio.
        self.round(THREADS, RECORDS);
        let (mut alone, mut both) = (Vec::new(), Vec::new());
        let (mut gains, mut bare_gains, mut judged) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let bare_gain = gain(
                seconds(1, |_| compress_only(self.values, RECORDS)),
                seconds(THREADS, |_| compress_only(self.values, RECORDS)),
            );
            let (one, two) = (self.round(1, RECORDS), self.round(THREADS, RECORDS));
            alone.push(one);
            both.push(two);
            gains.push(gain(one, two));
            bare_gains.push(bare_gain);
            judged.push(gain(one, two) / bare_gain * THREADS as f64);
        }
        let micros = |seconds: f64| seconds * 1e6 / RECORDS as f64;
        let judged = median(judged);
        println!(
            "{codec:<8} {:>20.3} {:>20.3} {:>20.2} {:>20.2} {judged:>10.2}",
            micros(median(alone)),
            micros(median(both)),
            median(gains),
            median(bare_gains)
        );
        judged
    }

    /// Returns the seconds in which each thread appends this many records to its own partition.
    fn round(&mut self, threads: usize, records: usize) -> f64 {
        let (producer, values) = (self.rig.producer(), self.values);
        let took = seconds(threads, |thread| append(producer, thread, values, records));
        self.rig.settle();
        took
    }
}

/// The speed-up with two threads: their throughput divided by that of one thread.
fn gain(alone: f64, of_all: f64) -> f64 {
    THREADS as f64 * alone / of_all
}

/// Runs the work on this many threads. Returns the seconds from the common start until the last thread is done.
fn seconds(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let barrier = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(thread);
                barrier.wait();
            });
        }
        barrier.wait();
        let start = Instant::now();
        barrier.wait();
        start.elapsed().as_secs_f64()
    })
}

/// The work of a thread without a producer: compresses with LZ4, in memory that no other thread uses.
fn compress_only(values: &[Vec<u8>], records: usize) {
    let mut block = Vec::with_capacity(BLOCK_RECORDS * RECORD_BYTES);
    let mut out = vec![0; get_maximum_output_size(block.capacity())];
    let mut values = values.iter().cycle();
    for _ in 0..records / BLOCK_RECORDS {
        block.clear();
        for value in values.by_ref().take(BLOCK_RECORDS) {
            block.extend_from_slice(value);
        }
        let len = compress_into(&block, &mut out).expect("the output has the greatest size");
        black_box(&out[..len]);
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

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Records like those of services: the same fields in each record, with different words and numbers.
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
