//! All kinds of calls of an application, many at a time, are interleaved with the sender on one thread, in an order
//! drawn from a seed. Each call ends, whatever brokers respond and whenever the producer is closed. No step may sleep,
//! because no other thread could end the sleep.
//!
//! `SEEDS=10000 cargo test --lib interleaved` runs that many seeds.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::*;
use crate::client::metadata::MetadataFailure;
use crate::error::FlushError;
use crate::producer::sender::tests::seeds::number_from;

/// The number of seeds in a usual run of the tests; `SEEDS` sets another number.
const USUAL_SEEDS: u64 = 300;
/// The number of turns after which all faults end and the producer is closed, if it was not closed before.
const TURNS: usize = 250;
/// The maximum number of turns until all open calls have ended.
const TURNS_TO_END: usize = 3000;
const RECORDS: usize = 60;
/// The topics that are sent to: one that exists, one that may be created, and one that never exists.
const TOPICS: [&str; 5] = [TOPIC, TOPIC, TOPIC, "new", "never"];

/// A call in progress: runs a step, and returns the result when the call is over.
type Open<'p> = Box<dyn FnMut() -> Option<String> + 'p>;

struct Run<'p> {
    random: fastrand::Rng,
    producer: &'p Producer,
    records: &'p [ProducerRecord<'static, str, str>],
    /// The futures of records that were accepted or have failed.
    futures: &'p [OnceCell<FutureRecordMetadata>],
    sent: usize,
    clock: Arc<MockClock>,
    shared: SenderShared,
    /// `None` after the sender has ended.
    sender: Option<(Rig, Running)>,
    has_new_topic: bool,
    is_closed: bool,
    open: Vec<Open<'p>>,
    ended: Vec<String>,
}

fn one_of<T: Copy>(random: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

fn open<'p, C: BlockingCall + 'p>(
    mut call: C,
    describe: impl Fn(C::Output) -> String + 'p,
) -> Open<'p> {
    Box::new(move || step(&mut call).map(&describe))
}

/// The name of an error's kind, without its fields.
fn kind(error: &impl std::fmt::Debug) -> String {
    let whole = format!("{error:?}");
    let end = whole.find(|c: char| !c.is_alphanumeric());
    whole[..end.unwrap_or(whole.len())].to_owned()
}

impl Run<'_> {
    fn timeout(&mut self) -> Option<Duration> {
        let limits = [None, Some(MS(0)), Some(MS(40)), Some(MS(400))];
        one_of(&mut self.random, &limits)
    }

    fn begin_send(&mut self) {
        let at = self.sent;
        let (Some(record), Some(place)) = (self.records.get(at), self.futures.get(at)) else {
            return;
        };
        self.sent += 1;
        let call = self.producer.send_call(record, Headers::new(), None);
        self.open.push(open(call, |outcome| match outcome {
            Ok(future) => {
                let text = match poll_failed(&future) {
                    Some(error) => format!("send failed {}", kind(error.kind())),
                    None => "send taken".to_owned(),
                };
                place.set(future).expect("a record is sent once");
                text
            }
            Err(error) => format!("send refused {}", kind(&error)),
        }));
    }

    fn begin_get(&mut self) {
        let at = self.random.usize(..RECORDS);
        let Some(future) = self.futures[at].get() else {
            return;
        };
        let call = future.get_call(self.timeout());
        self.open.push(open(call, |outcome| match outcome {
            Ok(_) => "get written".to_owned(),
            Err(error) => format!("get {}", kind(error.kind())),
        }));
    }

    fn begin_flush(&mut self) {
        let call = self.producer.flush_call(self.timeout());
        self.open.push(open(call, |outcome| match outcome {
            Ok(()) => "flush done".to_owned(),
            Err(FlushError::TimedOut { batches }) => {
                assert!(batches > 0);
                "flush timed out".to_owned()
            }
            Err(FlushError::Misuse(why)) => panic!("{why}"),
        }));
    }

    fn begin_partitions_for(&mut self) {
        let name = one_of(&mut self.random, &[TOPIC, "new", "never", "no/name"]);
        let call = self.producer.partitions_for_call(name);
        self.open.push(open(call, |outcome| match outcome {
            Ok(partitions) => {
                assert!(!partitions.is_empty());
                "partitions known".to_owned()
            }
            Err(error) => format!("partitions {}", kind(&error)),
        }));
    }

    fn begin_close(&mut self) {
        self.is_closed = true;
        let call = self.producer.close_call(self.timeout());
        self.open.push(open(call, |outcome| match outcome {
            Ok(()) => "close done".to_owned(),
            Err(error) => format!("close {}", kind(&error)),
        }));
    }

    fn begin(&mut self) {
        match self.random.u32(..100) {
            0..45 => self.begin_send(),
            45..70 => self.begin_get(),
            70..83 => self.begin_flush(),
            83..99 => self.begin_partitions_for(),
            _ => self.begin_close(),
        }
    }

    fn step_call(&mut self, at: usize) {
        if let Some(outcome) = self.open[at]() {
            self.ended.push(outcome);
            drop(self.open.swap_remove(at));
        }
    }

    /// Runs one step of the sender, or ends the sender if it is finished.
    fn step_sender(&mut self) {
        let Some((rig, _)) = &mut self.sender else {
            return;
        };
        if rig.sender.is_finished() {
            if let Some((rig, running)) = self.sender.take() {
                end(rig, running);
            }
            return;
        }
        rig.run();
        // As if sockets had written the requests.
        rig.client().forget_sent();
    }

    fn answer(&mut self, is_well: bool) {
        let Some((rig, _)) = &mut self.sender else {
            return;
        };
        if rig.waiting() == 0 {
            return;
        }
        match self.random.u32(..10) {
            0 if !is_well => rig.lose(0, true),
            1 if !is_well => rig.respond(ErrorCode::NotLeaderOrFollower, -1),
            2 if !is_well => rig.respond(ErrorCode::InvalidRecord, -1),
            _ => rig.respond(ErrorCode::NoError, 0),
        }
        rig.client().forget_sent();
    }

    /// Answers or fails a metadata request.
    fn notify_of_topics(&mut self) {
        let Some((rig, _)) = &self.sender else {
            return;
        };
        let metadata = &self.shared.metadata;
        let failure = match self.random.u32(..12) {
            0 => MetadataFailure::Authentication("no".into()),
            1 | 2 => MetadataFailure::NoBrokers,
            _ => {
                let asked = metadata.new_request(self.clock.now()).request.topics;
                let there_is = |name: &str| match name {
                    TOPIC => topic(TOPIC, &[0, 1]),
                    "new" if self.has_new_topic => topic("new", &[1]),
                    other => MetadataTopic {
                        error: ErrorCode::UnknownTopicOrPartition,
                        ..topic(other, &[])
                    },
                };
                let asked = asked.unwrap_or_default();
                rig.show(asked.iter().map(|name| there_is(name)).collect());
                return;
            }
        };
        metadata.handle_failure(self.clock.now(), failure);
    }

    fn turn(&mut self) {
        match self.random.u32(..100) {
            0..20 => self.begin(),
            20..55 if !self.open.is_empty() => {
                let at = self.random.usize(..self.open.len());
                self.step_call(at);
            }
            55..75 => self.step_sender(),
            75..85 => self.answer(false),
            85..91 => self.notify_of_topics(),
            91 => self.has_new_topic = true,
            _ => self.clock.advance(MS(self.random.u64(..60))),
        }
    }

    fn finish(&mut self) {
        for _ in 0..TURNS {
            self.turn();
        }
        if !self.is_closed {
            self.begin_close();
        }
        for _ in 0..TURNS_TO_END {
            if self.open.is_empty() {
                break;
            }
            for at in (0..self.open.len()).rev() {
                self.step_call(at);
            }
            self.step_sender();
            self.answer(true);
            self.notify_of_topics();
            self.clock.advance(MS(10));
        }
        assert!(self.open.is_empty(), "{} calls never end", self.open.len());
        assert!(self.sender.is_none(), "a close ended before the sender");
    }
}

/// The error of the record, if it has failed.
fn poll_failed(future: &FutureRecordMetadata) -> Option<ProduceError> {
    let outcome = future.is_done().then(|| future.get())?;
    outcome.err()
}

/// Runs a seed. Returns the outcomes of the calls, in the order in which they ended.
fn run(seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let linger = one_of(&mut random, &[MS(0), MS(30)]);
    let rig = Setup {
        batch_size: 100,
        memory: 300,
        ..Setup::default()
    }
    .with(|options| {
        options.linger = linger;
        options.request_timeout = MS(300);
        options.delivery_timeout = MS(500);
    })
    .start();
    let (producer, running) = producer_on(&rig, strings());
    let records: Vec<_> = (0..RECORDS)
        .map(|_| {
            ProducerRecord::new(
                one_of(&mut random, &TOPICS),
                "forty bytes, so that two go into a batch",
            )
        })
        .collect();
    let futures: Vec<_> = records.iter().map(|_| OnceCell::new()).collect();
    let (pool, shared) = (Arc::clone(&rig.pool), rig.shared.clone());
    let mut run = Run {
        random,
        producer: &producer,
        records: &records,
        futures: &futures,
        sent: 0,
        clock: Arc::clone(&rig.clock),
        shared: rig.shared.clone(),
        sender: Some((rig, running)),
        has_new_topic: false,
        is_closed: false,
        open: Vec::new(),
        ended: Vec::new(),
    };
    run.finish();
    let ended = std::mem::take(&mut run.ended);
    let known: Vec<_> = futures.iter().filter_map(OnceCell::get).collect();
    assert!(known.iter().all(|future| future.is_done()));
    assert_eq!(pool.available_bytes(), pool.total_bytes());
    assert_eq!(
        (pool.waiting(), shared.accumulator.incomplete_count()),
        (0, 0)
    );
    ended
}

#[test]
fn all_calls_interleaved_with_the_sender_in_any_order_end_without_a_thread_of_their_own() {
    let seeds = number_from("SEEDS").unwrap_or(USUAL_SEEDS);
    let mut outcomes = BTreeSet::new();
    for seed in 0..seeds {
        let ended = std::panic::catch_unwind(|| run(seed));
        outcomes.extend(ended.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    // The test is only meaningful if each of these outcomes occurs.
    for expected in [
        "send taken",
        "send failed BufferExhausted",
        "send failed MetadataTimeout",
        "send failed UnknownTopicOrPartition",
        "send failed Authentication",
        "send refused Closed",
        "get written",
        "get Pending",
        "get Broker",
        "get DeliveryTimeout",
        "get BufferExhausted",
        "get Closed",
        "flush done",
        "flush timed out",
        "partitions known",
        "partitions UnknownTopic",
        "partitions TimedOut",
        "partitions InvalidTopic",
        "partitions Authentication",
        "partitions Closed",
        "close done",
        "close Undelivered",
    ] {
        assert!(
            outcomes.contains(expected),
            "never: {expected}; but {outcomes:?}"
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed));
    }
}
