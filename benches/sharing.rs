//! The cost of what two threads share, which instruction counts do not see: the CPU time of a thread that sends, and of
//! a thread that runs the sender, at work at the same time.
//!
//! ```text
//! cargo bench --bench sharing
//! ```
//!
//! *Shared*: both threads work on one producer. *Apart*: each works on a producer of its own, and they swap producers
//! after each round, so that batches, callbacks and metadata pass from one processor to the other as often as in the
//! shared case, but while nobody else uses them. Both do the same work, so the ratio of their CPU times is the cost of
//! locks and cache lines that both threads use at the same moment. The program fails where it is higher than a case
//! allows. Then a field that one thread writes often may have come next to one that the other reads often, or a lock is
//! held for longer. Where the two processors share a cache (hyper-threads), or are busy
//! otherwise, nothing can be seen, and nothing is judged.

#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::hint::{black_box, spin_loop};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use kafka_producer::internals::{ByHand, HandNetwork, Producer};
use kafka_producer::{ProducerConfig, ProducerRecord};
use nix::time::{ClockId, clock_gettime};

/// A way to send, and the most that sharing may cost.
struct Case {
    name: &'static str,
    send: fn(&Producer),
    /// The highest ratio, shared to apart, of the CPU time of both threads.
    most: f64,
}

const CASES: &[Case] = &[
    Case {
        name: "no callback, future dropped",
        send: |producer| {
            for _ in 0..RECORDS {
                drop(producer.send(record()).expect("it is open"));
            }
        },
        most: 1.25,
    },
    Case {
        // So the sender changes the reference count of the topic's name all the time.
        name: "callback that clones the metadata ten times",
        send: |producer| {
            for _ in 0..RECORDS {
                let sent = producer.send_with_callback(record(), |outcome| {
                    for _ in 0..10 {
                        drop(black_box(outcome.cloned()));
                    }
                });
                drop(sent.expect("it is open"));
            }
        },
        most: 1.20,
    },
];

const TOPIC: &str = "bench";
const PARTITIONS: usize = 12;
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Records that the caller sends in a round: about 14 batches of 16 KiB.
const RECORDS: usize = 2_000;
/// Requests of a round, one after the other: as many as the batches of the partition that has the most.
const REQUESTS: usize = 4;
/// Rounds of a block, after which shared and apart take turns.
const ROUNDS: u64 = 60;
/// Counted pairs of blocks, of which the median counts.
const PAIRS: usize = 15;
/// Repetitions with new producers: which fields share a cache line depends on where the allocator puts them. The upper
/// quartile counts.
const REPETITIONS: usize = 12;
/// How often a case is measured, if the first measurement is too high: other programs on the machine may have disturbed
/// it. The case fails if most measurements are too high.
const ATTEMPTS: usize = 3;

fn record() -> ProducerRecord<'static, [u8], [u8]> {
    ProducerRecord::new(TOPIC, &PAYLOAD[..])
}

fn start() -> ByHand {
    // Few open batches are sent: a step takes a millisecond. So the size of batches does not depend on who is quicker.
    let config = ProducerConfig::builder().linger(Duration::from_secs(5));
    ByHand::start(config, TOPIC, PARTITIONS)
}

/// CPU times of a block, in nanoseconds.
#[derive(Default)]
struct Times {
    caller: f64,
    sender: f64,
}

/// Where both threads wait for each other, so that they begin a round at the same time. Each number has a cache line of
/// its own.
#[derive(Default)]
struct Barrier {
    caller: Padded,
    sender: Padded,
}

#[derive(Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Padded {
    /// Arrives at the beginning of this round, and waits for the other thread.
    fn meet(&self, other: &Self, round: u64) {
        self.0.store(round, Ordering::Release);
        while other.0.load(Ordering::Acquire) < round {
            spin_loop();
        }
    }
}

/// The CPU time of this thread so far, in nanoseconds.
fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has one");
    Duration::from(time).as_nanos() as f64
}

fn timed(total: &mut f64, work: impl FnOnce()) {
    let before = cpu_nanos();
    work();
    *total += cpu_nanos() - before;
}

/// The sender's part of a round: the full batches of the round before are sent, and completed by their responses.
fn deliver(network: &mut HandNetwork) {
    for _ in 0..REQUESTS {
        network.step();
        network.answer();
    }
    network.step();
}

/// Runs a block. In each round one producer takes records while another, or the same one, delivers those that it took
/// in the round before.
fn block(case: &Case, rigs: &mut [ByHand]) -> Times {
    let (producers, mut networks): (Vec<_>, Vec<_>) = rigs.iter_mut().map(ByHand::split).unzip();
    let count = producers.len();
    let barrier = Barrier::default();
    let mut times = Times::default();
    thread::scope(|scope| {
        let sends = scope.spawn(|| {
            let mut nanos = 0.0;
            for round in 1..=ROUNDS {
                barrier.sender.meet(&barrier.caller, round);
                let network = &mut *networks[(round as usize + 1) % count];
                timed(&mut nanos, || deliver(network));
            }
            nanos
        });
        for round in 1..=ROUNDS {
            barrier.caller.meet(&barrier.sender, round);
            let producer = producers[round as usize % count];
            timed(&mut times.caller, || (case.send)(producer));
        }
        times.sender = sends.join().expect("it does not panic");
    });
    times
}

/// The value below which a share of the values lie.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * share) as usize]
}

/// The ratio of the CPU times, shared to apart, with new producers.
fn ratio(case: &Case) -> f64 {
    let mut shared = [start()];
    let mut apart = [start(), start()];
    // Warm-up.
    block(case, &mut shared);
    block(case, &mut apart);
    let pairs = (0..PAIRS).map(|_| {
        let shared = block(case, &mut shared);
        let apart = block(case, &mut apart);
        (shared.caller + shared.sender) / (apart.caller + apart.sender)
    });
    let ratio = quantile(pairs.collect(), 0.5);
    for rig in shared.iter().chain(&apart) {
        let snapshot = rig.producer().snapshot();
        assert!(snapshot.records_failed == 0, "{snapshot:?}");
    }
    let acknowledged = |rigs: &[ByHand]| -> u64 {
        let snapshots = rigs.iter().map(|rig| rig.producer().snapshot());
        snapshots.map(|it| it.records_acknowledged).sum()
    };
    // Both did the same work, except for the records of the last rounds.
    let sent = (PAIRS as u64 + 1) * ROUNDS * RECORDS as u64;
    for rigs in [&shared[..], &apart[..]] {
        let acknowledged = acknowledged(rigs);
        assert!(acknowledged > sent / 100 * 98, "{acknowledged} of {sent}");
    }
    ratio
}

/// Runs a case. Returns true if sharing costs no more than it may.
fn run(case: &Case) -> bool {
    if holds(case) {
        return true;
    }
    let again = (1..ATTEMPTS).filter(|_| holds(case)).count();
    again > ATTEMPTS / 2
}

/// Measures a case once.
fn holds(case: &Case) -> bool {
    let ratios: Vec<f64> = (0..REPETITIONS).map(|_| ratio(case)).collect();
    let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let upper = quantile(ratios, 0.75);
    println!(
        "{}: {upper:.3} times, at most {} ({})",
        case.name,
        case.most,
        all.join(" ")
    );
    upper <= case.most
}

/// The ratio from which false sharing is visible on this machine, in the worst case there is.
const VISIBLE: f64 = 2.0;

/// The CPU time of two threads that count on one cache line, beside two that count on lines of their own: what this
/// program could see at most.
fn contended_ratio() -> f64 {
    #[derive(Default)]
    #[repr(align(128))]
    struct Counters([AtomicU64; 2]);

    const COUNTS: u64 = 200_000;
    let count = |counter: &AtomicU64, this: &Padded, other: &Padded| {
        let mut nanos = 0.0;
        this.meet(other, 1);
        timed(&mut nanos, || {
            for _ in 0..COUNTS {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        nanos
    };
    let both = |one: &AtomicU64, other: &AtomicU64| {
        let barrier = Barrier::default();
        thread::scope(|scope| {
            let second = scope.spawn(|| count(other, &barrier.sender, &barrier.caller));
            let first = count(one, &barrier.caller, &barrier.sender);
            first + second.join().expect("it does not panic")
        })
    };
    let [near, one, other] = [(); 3].map(|()| Counters::default());
    both(&near.0[0], &near.0[1]) / both(&one.0[0], &other.0[0])
}

fn main() -> ExitCode {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    if processors < 2 {
        println!("not measured: two threads cannot run at the same time on one processor");
        return ExitCode::SUCCESS;
    }
    let control = quantile((0..PAIRS).map(|_| contended_ratio()).collect(), 0.5);
    println!("two counters on one cache line: {control:.1} times");
    if control < VISIBLE {
        println!("not judged: the processors share a cache, or were busy");
        return ExitCode::SUCCESS;
    }
    let failed = CASES.iter().filter(|case| !run(case)).count();
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
