//! A workload: threads that send at a steady rate during faults, and its evaluation.

mod report;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka_producer::{ProducerConfigBuilder, ProducerRecord, ProducerSnapshot};

use crate::harness::{Cluster, Result};
use crate::ledger::{Id, Ledger, Reading};
use crate::producer::{Producer, build};
use crate::runner::TestResult;

pub(crate) use report::Report;

/// Application threads that share one producer.
pub(crate) const THREADS: usize = 4;
const RECORD_BYTES: usize = 100;
const TICK: Duration = Duration::from_millis(10);
/// A thread that was delayed for longer does not catch up.
const LONGEST_LAG: Duration = Duration::from_millis(200);
/// Timeout of a wait for new acknowledgements: several times `request.timeout.ms`.
const RECOVERY: Duration = Duration::from_secs(120);
/// Capacity of the ledger for each thread, more than any test sends.
const PER_THREAD: usize = 500_000;

/// One producer with its threads and topic.
pub(crate) struct Workload {
    name: &'static str,
    producer: Arc<Producer>,
    ledger: Arc<Ledger>,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
    marks: Vec<Mark>,
}

/// A fault.
pub(crate) struct Mark {
    label: String,
    began: Instant,
    /// Number of incomplete records when the fault began.
    open: usize,
    before: ProducerSnapshot,
    /// The time from the start of the fault until every partition has acknowledged new records; `None` if that was not
    /// awaited.
    recovered: Option<Duration>,
}

/// A flag that stops the threads. They wait for it until their next tick.
#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until `due`; returns false if the thread must stop.
    fn may_go_on_at(&self, due: Instant) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let left = due.saturating_duration_since(Instant::now());
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, left, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }
}

impl Workload {
    /// Starts to send keyed records to a topic, `per_tick` from each thread every 10 ms.
    pub(crate) fn start(
        name: &'static str,
        topic: &str,
        config: ProducerConfigBuilder,
        per_tick: usize,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        let producer = Arc::new(build(config)?);
        let ledger = Ledger::new(topic, THREADS, PER_THREAD);
        let stop = Arc::new(Stop::default());
        let threads = (0..THREADS)
            .map(|thread| {
                let (producer, ledger, stop) = (
                    Arc::clone(&producer),
                    Arc::clone(&ledger),
                    Arc::clone(&stop),
                );
                std::thread::Builder::new()
                    .name(format!("{topic}-{thread}"))
                    .spawn(move || send_paced(&producer, &ledger, &stop, thread, per_tick))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            name,
            producer,
            ledger,
            stop,
            threads,
            marks: Vec::new(),
        })
    }

    pub(crate) fn snapshot(&self) -> ProducerSnapshot {
        self.producer.snapshot()
    }

    /// Stops sending and waits for every result.
    fn stop(&mut self) -> std::result::Result<ProducerSnapshot, Box<dyn std::error::Error>> {
        self.stop.stop();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| "a sending thread panicked")?;
        }
        self.producer.flush()?;
        let snapshot = self.producer.snapshot();
        assert_eq!(self.ledger.open(), 0, "every future is resolved");
        assert_eq!(
            snapshot.memory_free_bytes, snapshot.memory_total_bytes,
            "all memory is back"
        );
        self.producer.close()?;
        Ok(snapshot)
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

fn send_paced(
    producer: &Producer,
    ledger: &Arc<Ledger>,
    stop: &Stop,
    thread: usize,
    per_tick: usize,
) {
    let mut number = 0;
    let mut due = Instant::now();
    while stop.may_go_on_at(due) && ledger.has_room(thread) {
        for _ in 0..per_tick {
            // The callback stores the result in the ledger.
            drop(send(producer, ledger, thread, number, None));
            number += 1;
        }
        due += TICK;
        if due.elapsed() > LONGEST_LAG {
            due = Instant::now();
        }
    }
}

/// Sends a record whose key and value contain its identity, with the ledger's callback.
pub(crate) fn send(
    producer: &Producer,
    ledger: &Arc<Ledger>,
    thread: usize,
    number: usize,
    partition: Option<i32>,
) -> kafka_producer::CallbackFuture {
    let value = ledger.payload(thread, number, RECORD_BYTES);
    let key = key(ledger, Id { thread, number });
    let mut record = ProducerRecord::keyed(ledger.topic(), &key[..], &value[..]);
    record.set_partition(partition);
    let future = producer
        .send_with_callback(record, ledger.callback(thread, number))
        .expect("the producer takes records");
    ledger.taken(thread, number);
    future
}

fn key(ledger: &Ledger, Id { thread, number }: Id) -> Vec<u8> {
    format!("{}:{thread}:{number}", ledger.topic()).into_bytes()
}

/// Workloads with the same faults at the same time.
pub(crate) struct Workloads<'c> {
    cluster: &'c Cluster,
    all: Vec<Workload>,
}

impl<'c> Workloads<'c> {
    /// Waits until each of the first `partitions` partitions of these workloads has acknowledged records.
    pub(crate) fn new(cluster: &'c Cluster, all: Vec<Workload>, partitions: usize) -> Self {
        let workloads = Self { cluster, all };
        workloads.until_acknowledged(partitions);
        workloads
    }

    pub(crate) fn get(&self, at: usize) -> &Workload {
        &self.all[at]
    }

    /// Injects a fault at a time at which every workload has incomplete records.
    pub(crate) fn disturb(
        &mut self,
        label: impl Into<String>,
        act: impl FnOnce() -> Result<()>,
    ) -> TestResult {
        let label = label.into();
        let mut open = Vec::new();
        wait_for("records under way", Duration::from_secs(30), || {
            open = self.all.iter().map(|each| each.ledger.open()).collect();
            open.iter().all(|open| *open > 0)
        });
        let before: Vec<_> = self.all.iter().map(Workload::snapshot).collect();
        let began = Instant::now();
        act()?;
        for ((workload, open), before) in self.all.iter_mut().zip(open).zip(before) {
            workload.marks.push(Mark {
                label: label.clone(),
                began,
                open,
                before,
                recovered: None,
            });
        }
        Ok(())
    }

    /// Waits until new records are acknowledged in each of the first `partitions` partitions.
    pub(crate) fn until_acknowledged(&self, partitions: usize) {
        let since = Instant::now();
        for workload in &self.all {
            wait_for(workload.name, RECOVERY, || {
                workload.ledger.all_acknowledge_since(partitions, since)
            });
        }
    }

    /// As [`Self::until_acknowledged`], and stores the time since the last fault.
    pub(crate) fn until_recovered(&mut self, partitions: usize) {
        self.until_acknowledged(partitions);
        for workload in &mut self.all {
            if let Some(mark) = workload.marks.last_mut() {
                mark.recovered = Some(mark.began.elapsed());
            }
        }
    }

    /// Sends for another 10 s, waits for every result, and reads everything back.
    pub(crate) fn finish(self) -> std::result::Result<Vec<Report>, Box<dyn std::error::Error>> {
        pass(Duration::from_secs(10));
        let mut reports = Vec::new();
        for mut workload in self.all {
            let timeout = workload.producer.config().delivery_timeout();
            let after = workload.stop()?;
            let mut reading = Reading::new(&workload.ledger);
            self.cluster.read_back(workload.ledger.topic(), |record| {
                let id = reading.see(&record);
                assert_eq!(record.key, Some(&key(&workload.ledger, id)[..]));
            })?;
            let report = Report {
                name: workload.name,
                ledger: Arc::clone(&workload.ledger),
                findings: reading.finish(),
                truncations: self.cluster.truncations(workload.ledger.topic())?,
                marks: std::mem::take(&mut workload.marks),
                after,
            };
            report.print();
            report.assert_resolved_within(timeout + Duration::from_secs(1));
            reports.push(report);
        }
        Ok(reports)
    }
}

/// Waits for a condition; panics on timeout.
pub(crate) fn wait_for(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "{what}: it did not happen within {limit:?}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sleeps while the threads of workloads send.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}
