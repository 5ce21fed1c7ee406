//! One broker of three hangs: the throughput of the partitions on the other two brokers.
//!
//! The test has its own cluster, with a long session timeout, so that the broker stays the leader of its partitions.
//! Each partition has one replica, so that no other leader waits for the hung broker to replicate.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use kafka_producer::{Delivery, ProduceErrorKind};

use super::{PARTITIONS, options};
use crate::harness::{self, Cluster, PartitionState};
use crate::ledger::{Ledger, Reading, RecordResult};
use crate::producer::faults::until_exhausted;
use crate::producer::{Producer, build, config};
use crate::runner::{TestResult, tests};
use crate::workload::{THREADS, pass, send};

tests![a_broker_that_hangs_for_a_minute_leaves_the_others_their_throughput];

const HUNG: usize = 2;
/// How long the broker hangs: longer than `request.timeout.ms`, so that the producer also closes its connection to the
/// broker.
const HANG: Duration = Duration::from_secs(60);
/// Duration of each measurement.
const WINDOW: Duration = Duration::from_secs(4);
/// Start of the second measurement: the `request.timeout.ms` of 30 s passes in the middle of it.
const AT_TIMEOUT: Duration = Duration::from_secs(28);
/// Maximum number of unacknowledged records of a fast thread.
const AHEAD: usize = 1_000;
/// Maximum number of records that a thread sends in a tick: a fast thread, and a steady one.
const PER_TICK: [usize; 2] = [200, 10];
const TICK: Duration = Duration::from_millis(10);
/// Capacity of the ledger for each thread, more than the test sends.
const PER_THREAD: usize = 400_000;

/// The mode of the sending threads.
const STEADY: u8 = 0;
const FAST: u8 = 1;
const STOP: u8 = 2;

/// Three threads send to the partitions of the other brokers, one to those of the hung broker. In the first part all
/// records fit into memory, so no `send` blocks. In the second part ([`Small`]) the memory is too small for them.
fn a_broker_that_hangs_for_a_minute_leaves_the_others_their_throughput() -> TestResult {
    let cluster = Cluster::start(options().session_timeout(Duration::from_secs(300)))?;
    for topic in ["hung", "hung-full"] {
        let configs = [("min.insync.replicas", "1")];
        cluster.create_replicated_topic(topic, PARTITIONS as i32, 1, &configs)?;
    }
    let (hung, others) = partitions(&cluster, "hung")?;
    let config = config(&cluster.bootstrap_servers()).buffer_memory(128 * 1024 * 1024);
    let producer = build(config)?;
    let ledger = Ledger::new("hung", THREADS, PER_THREAD);
    let speed = AtomicU8::new(STEADY);
    let rates = std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, ledger, speed) = (&producer, &ledger, &speed);
            let partitions = if thread == 0 { &hung } else { &others };
            scope.spawn(move || send_to(producer, ledger, thread, partitions, speed));
        }
        let _stop = StopAtEnd(&speed);
        hang(&cluster, &producer, &ledger, &others, &speed)
    })?;
    producer.flush()?;
    let tally = ledger.tally();
    println!("    afterwards: {tally:?}");
    producer.close()?;
    let mut reading = Reading::new(&ledger);
    cluster.read_back("hung", |record| {
        reading.see(&record);
    })?;
    reading.finish().assert_exactly_once();
    assert_eq!(tally.acknowledged, ledger.sent().count(), "{tally:?}");
    let [before, during, at_timeout] = rates;
    assert!(
        during >= before / 2.0 && at_timeout >= before / 2.0,
        "the others' throughput was halved"
    );
    Ok(())
}

/// The partitions of the broker that is going to hang, and those of the others.
fn partitions(cluster: &Cluster, topic: &str) -> harness::Result<(Vec<i32>, Vec<i32>)> {
    let (hung, others): (Vec<_>, Vec<_>) = cluster
        .describe_topic(topic)?
        .into_iter()
        .partition(|state| state.leader == Some(HUNG));
    let numbers = |states: Vec<PartitionState>| -> Vec<i32> {
        states.iter().map(|state| state.partition).collect()
    };
    Ok((numbers(hung), numbers(others)))
}

/// Stops the threads also when a check fails: otherwise their scope would never end.
struct StopAtEnd<'s>(&'s AtomicU8);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(STOP, Ordering::Release);
    }
}

/// Hangs the broker, and runs both parts meanwhile. Returns the acknowledged records per second of the other brokers'
/// partitions: before the hang, at its beginning, and when the requests to the hung broker time out.
fn hang(
    cluster: &Cluster,
    producer: &Producer,
    ledger: &Ledger,
    others: &[i32],
    speed: &AtomicU8,
) -> Result<[f64; 3], Box<dyn std::error::Error>> {
    // Built in advance: the producer needs a producer id, which brokers get from the controller, and the hung broker
    // may be the controller.
    let small = Small::start(cluster)?;
    pass(Duration::from_secs(3));
    let before = throughput(ledger, others, speed);
    let began = Instant::now();
    cluster.broker(HUNG).pause()?;
    let during = throughput(ledger, others, speed);
    wait_until(began + AT_TIMEOUT);
    let at_timeout = throughput(ledger, others, speed);
    println!(
        "    records a second to the other brokers: {before:.0} before, {during:.0} in the first 4 s \
         of the hang, {at_timeout:.0} from 28 to 32 s; {} records wait for the hung broker in {} \
         bytes",
        ledger.open(),
        producer.snapshot().memory_total_bytes - producer.snapshot().memory_free_bytes
    );
    small.fill(cluster, began + HANG)?;
    Ok([before, during, at_timeout])
}

/// The second part: a producer with little memory.
struct Small {
    producer: Producer,
    ledger: Arc<Ledger>,
    /// The partitions of the brokers that are not hung.
    others: Vec<i32>,
}

impl Small {
    const MEMORY: usize = 1024 * 1024;
    const MAX_BLOCK: Duration = Duration::from_secs(2);

    /// Builds the producer, and connects it to every broker.
    fn start(cluster: &Cluster) -> Result<Self, Box<dyn std::error::Error>> {
        let config = config(&cluster.bootstrap_servers())
            .buffer_memory(Self::MEMORY)
            .max_block(Self::MAX_BLOCK);
        let producer = build(config)?;
        let ledger = Ledger::new("hung-full", THREADS + 1, 100_000);
        for number in 0..PARTITIONS {
            send(&producer, &ledger, THREADS, number, Some(number as i32)).get()?;
        }
        let (_, others) = partitions(cluster, "hung-full")?;
        Ok(Self {
            producer,
            ledger,
            others,
        })
    }

    /// When the hung broker's records have exhausted the memory, records for every broker block for `max.block.ms` and
    /// fail.
    fn fill(self, cluster: &Cluster, end: Instant) -> TestResult {
        let Self {
            producer,
            ledger,
            others,
        } = self;
        let began = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (producer, ledger) = (&producer, &ledger);
                scope.spawn(move || until_exhausted(producer, ledger, thread, Self::MAX_BLOCK));
            }
        });
        let (full, tally) = (producer.snapshot(), ledger.tally());
        println!(
            "    with {} bytes of memory: full after {:.2?} with {tally:?}, {} bytes free",
            Self::MEMORY,
            began.elapsed(),
            full.memory_free_bytes
        );
        assert_eq!(tally.not_written, THREADS, "each thread's last record");
        let (began, mut refused) = (Instant::now(), 0);
        for (number, partition) in (PARTITIONS..).zip(others.iter().take(2)) {
            let error = match send(&producer, &ledger, THREADS, number, Some(*partition)).get() {
                Ok(metadata) => panic!("there is no memory, and {metadata} was written"),
                Err(error) => error,
            };
            assert_eq!(error.kind(), &ProduceErrorKind::BufferExhausted, "{error}");
            assert_eq!(error.delivery(), Delivery::NotWritten, "{error}");
            refused += 1;
        }
        println!(
            "    {refused} records for a live broker were refused after {:.2?} each",
            began.elapsed() / refused
        );
        wait_until(end);
        cluster.broker(HUNG).resume()?;
        producer.flush()?;
        let snapshot = producer.snapshot();
        assert_eq!(snapshot.memory_free_bytes, Self::MEMORY as u64);
        assert_eq!(snapshot.threads_waiting_for_memory, 0);
        producer.close()?;
        let mut reading = Reading::new(&ledger);
        cluster.read_back("hung-full", |record| {
            reading.see(&record);
        })?;
        reading.finish().assert_exactly_once();
        Ok(())
    }
}

/// Sends to these partitions in turn. In the fast mode, it sends as fast as acknowledgements arrive, up to 20,000
/// records per second; in the steady mode, 1,000 records per second. Thread 0, which sends to the hung broker, is
/// always steady and does not wait for acknowledgements.
fn send_to(
    producer: &Producer,
    ledger: &Arc<Ledger>,
    thread: usize,
    partitions: &[i32],
    speed: &AtomicU8,
) {
    let mut ahead = VecDeque::new();
    let mut number = 0;
    while number + PER_TICK[0] <= PER_THREAD {
        let due = Instant::now() + TICK;
        let is_fast = match speed.load(Ordering::Acquire) {
            STOP => return,
            speed => thread != 0 && speed == FAST,
        };
        for _ in 0..PER_TICK[usize::from(!is_fast)] {
            let partition = partitions[number / 50 % partitions.len()];
            let future = send(producer, ledger, thread, number, Some(partition));
            number += 1;
            if is_fast {
                ahead.push_back(future);
                if ahead.len() > AHEAD {
                    ahead.pop_front().map(|oldest| oldest.get());
                }
            }
        }
        if !is_fast {
            ahead.clear();
        }
        wait_until(due);
    }
}

/// Measures the acknowledged records per second of these partitions while the threads are in the fast mode.
fn throughput(ledger: &Ledger, partitions: &[i32], speed: &AtomicU8) -> f64 {
    speed.store(FAST, Ordering::Release);
    let window: Range<Instant> = Instant::now()..Instant::now() + WINDOW;
    wait_until(window.end);
    speed.store(STEADY, Ordering::Release);
    let counts = |outcome: crate::ledger::Outcome| match outcome.result {
        RecordResult::Acknowledged { partition, .. } => {
            window.contains(&outcome.at) && partitions.contains(&partition)
        }
        _ => false,
    };
    let acknowledged = ledger
        .sent()
        .filter(|id| ledger.outcome(*id).is_some_and(counts));
    acknowledged.count() as f64 / WINDOW.as_secs_f64()
}

fn wait_until(due: Instant) {
    pass(due.saturating_duration_since(Instant::now()));
}
