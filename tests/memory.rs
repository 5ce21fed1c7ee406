//! The peak memory of a process with open batches of 1,000 partitions: it is bounded by `buffer.memory` plus the memory
//! of the codecs and of the producer itself.
//!
//! ```text
//! cargo test --test memory -- --nocapture         prints the figures
//! ```
//!
//! Each case runs in a separate process; the brokers run in this one.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "the figures are for people, too; other processes of this program are started"
)]
#![allow(clippy::unwrap_used, reason = "tests: they fail by panicking")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use kafka_producer::testing::{Api, Rule, TestCluster};
use kafka_producer::{CompressionType, KafkaProducer, ProducerConfig, ProducerRecord};
use libtest_mimic::{Arguments, Failed, Trial};

const TOPIC: &str = "wide";
const PARTITIONS: usize = 1_000;
const THREADS: usize = 4;
/// Number of records that each thread sends. All threads together send more than one batch to each partition.
const RECORDS_OF_A_THREAD: usize = 10_000;
/// If the servers do not respond, each thread sends up to this many times as many records. They fill the memory, even
/// with compression.
const FULL_WITHIN: usize = 20;
const RECORD_BYTES: usize = 1_000;
/// The number of different values of each thread: far more than the records of one batch.
const VALUES: usize = 97;
const BATCH_BYTES: usize = 16 << 10;
const BUFFER_BYTES: usize = 32 << 20;
/// Maximum memory in KiB in addition to that of the idle process, `buffer.memory` and the encoders.
const BEYOND_KIB: u64 = 5 << 10;
/// Maximum number of threads that compress at the same time: the sending threads, and the producer's own.
const COMPRESSING: u64 = THREADS as u64 + 1;
const LONG: Duration = Duration::from_secs(60);

/// Environment variable of the measured process: codec, servers, and whether the servers respond.
const MEASURED: &str = "KAFKA_PRODUCER_MEASURED";

const CODECS: [CompressionType; 5] = [
    CompressionType::None,
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];

fn main() -> ExitCode {
    if let Ok(case) = env::var(MEASURED) {
        produce(&case);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let can_be_measured = peak_kib().is_some();
    let mut trials = Vec::new();
    for codec in CODECS {
        for (is_answered, what) in [(true, "are_answered"), (false, "are_not_answered")] {
            let name = format!("{codec}_batches_of_1000_partitions_that_{what}");
            let test = move || check(codec, is_answered);
            trials.push(Trial::test(name, test).with_ignored_flag(!can_be_measured));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn check(codec: CompressionType, is_answered: bool) -> Result<(), Failed> {
    let bound = BEYOND_KIB + COMPRESSING * encoder_kib(codec);
    let beyond = beyond_kib(codec, is_answered)?;
    if beyond > bound {
        return Err(format!("{beyond} KiB beyond buffer.memory, where {bound} may be").into());
    }
    Ok(())
}

/// The peak memory of the measured process in KiB, in addition to that of the idle process and `buffer.memory`.
fn beyond_kib(codec: CompressionType, is_answered: bool) -> Result<u64, Failed> {
    let cluster = TestCluster::builder()
        .sink()
        .topic(TOPIC, PARTITIONS)
        .start()?;
    if !is_answered {
        let _rule = cluster.script(Rule::on(Api::Produce).always().never_answer())?;
    }
    let case = format!("{codec} {} {is_answered}", cluster.bootstrap_servers());
    let child = Command::new(env::current_exe()?)
        .env(MEASURED, case)
        .output()?;
    let said = String::from_utf8_lossy(&child.stdout);
    let peak: u64 = said.trim().parse().map_err(|_| {
        let complaint = String::from_utf8_lossy(&child.stderr);
        format!("{}: {said}{complaint}", child.status)
    })?;
    let beyond = peak.saturating_sub(BUFFER_BYTES as u64 / 1024);
    let answered = if is_answered {
        "answered"
    } else {
        "unanswered"
    };
    println!("{codec:<7} {answered:<10} peak {peak} KiB: buffer.memory and {beyond} KiB");
    Ok(beyond)
}

/// The memory of one encoder in KiB.
fn encoder_kib(codec: CompressionType) -> u64 {
    match codec {
        CompressionType::Zstd => 805,
        CompressionType::Gzip => 316,
        CompressionType::None => 0,
        // Tables of 16,384 entries of two or four bytes.
        _ => 64,
    }
}

/// The measured process: sends from several threads to all partitions, until all records are acknowledged or the memory
/// is full. Then it prints its peak memory minus that of the idle process.
fn produce(case: &str) {
    let [codec, servers, is_answered] = case.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{MEASURED} is {case:?}")
    };
    let is_answered: bool = is_answered.parse().unwrap();
    let program = peak_kib().unwrap();
    let config = ProducerConfig::builder()
        .set("bootstrap.servers", servers)
        .set("compression.type", codec)
        .set("batch.size", BATCH_BYTES.to_string())
        .set("buffer.memory", BUFFER_BYTES.to_string())
        // Every partition has a batch open before the first of them is sent.
        .linger(Duration::from_secs(1))
        .max_block(LONG)
        .build()
        .unwrap();
    let producer = KafkaProducer::<[u8], [u8]>::new(config).unwrap();
    producer.partitions_for(TOPIC).unwrap();
    let refused: usize = thread::scope(|scope| {
        let producer = &producer;
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|number| scope.spawn(move || send_all(producer, number, is_answered)))
            .collect();
        let refused = threads.into_iter().map(|thread| thread.join().unwrap());
        refused.sum()
    });
    if is_answered {
        producer.flush_timeout(LONG).unwrap();
        let acknowledged = producer.snapshot().records_acknowledged;
        assert_eq!(acknowledged, (THREADS * RECORDS_OF_A_THREAD) as u64);
    } else {
        assert_eq!(refused, THREADS, "no thread found the memory full");
    }
    println!("{}", peak_kib().unwrap() - program);
}

/// Sends this thread's records. Returns 1 if the memory is full before all of them are sent, and 0 otherwise.
fn send_all(producer: &KafkaProducer<[u8], [u8]>, number: u64, is_answered: bool) -> usize {
    let mut random = Rng::with_seed(number);
    let values: Vec<_> = (0..VALUES).map(|_| value(&mut random)).collect();
    let most = if is_answered { 1 } else { FULL_WITHIN };
    for sent in 0..most * RECORDS_OF_A_THREAD {
        let value = &values[sent % values.len()];
        // Sends to each partition in turn; the threads begin at distant partitions.
        let partition = (sent + number as usize * PARTITIONS / THREADS) % PARTITIONS;
        let record =
            ProducerRecord::<[u8], [u8]>::new(TOPIC, &value[..]).with_partition(partition as i32);
        if is_answered {
            drop(producer.send(record).unwrap());
        } else if producer.try_send(record).is_err() {
            return 1;
        }
    }
    0
}

/// A value of words and numbers, which codecs compress to about a third of its size.
fn value(random: &mut Rng) -> Vec<u8> {
    const WORDS: [&str; 8] = [
        "accepted",
        "customer",
        "delivery",
        "invoice",
        "message",
        "order",
        "payment",
        "warehouse",
    ];
    let mut text = String::from("{");
    while text.len() < RECORD_BYTES {
        let (name, word) = (random.choice(WORDS), random.choice(WORDS));
        let (name, word, number) = (name.unwrap(), word.unwrap(), random.u32(..));
        write!(text, "\"{name}\":\"{word} {number}\",").unwrap();
    }
    text.truncate(RECORD_BYTES);
    text.into_bytes()
}

/// The peak resident size of this process in KiB, without pages of files; `None` if the system does not report it.
/// Pages of executed code take megabytes in a debug build, and do not count as memory of the producer.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(kib("VmHWM:")?.saturating_sub(kib("RssFile:")?))
}
