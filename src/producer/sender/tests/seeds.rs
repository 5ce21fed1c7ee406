//! An idempotent producer against simulated brokers, whose faults are drawn from a seed. Brokers write a batch and
//! respond with an error; respond late, not at all, or after the connection is lost; refuse batches for good; and lose
//! the state of producers. In every run, no record is in the log twice, acknowledged records are in the log in the
//! order of sending, and records that were reported as not written are not in the log.
//!
//! `SEEDS=10000 cargo test --lib seeds` runs that many seeds, `SEED=17` only that one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::testing::sim::producer_state::{ProducerStateEntry, Verdict, WrittenBatch};

const PARTITIONS: usize = 2;
const NODES: [NodeId; 2] = [0, 1];
/// The number of seeds in a usual run of the tests; `SEEDS` sets another number.
const USUAL_SEEDS: u64 = 400;

/// A partition on its leader.
#[derive(Default)]
struct Partition {
    log: Vec<String>,
    /// The records that were in the log when the topic was deleted.
    gone: BTreeSet<String>,
    producers: BTreeMap<i64, ProducerStateEntry>,
}

/// The responses of one node that are not sent yet, and the requests that a lost connection left unread.
#[derive(Default)]
struct Connection {
    answers: VecDeque<Response>,
    left_behind: VecDeque<ProduceRequest>,
}

/// The faults of a run, drawn for each seed. Numbers are probabilities in thousandths.
struct Faults {
    refuses_for_a_moment: u32,
    refuses_after_append: u32,
    refuses_for_good: u32,
    loses_connection: u32,
    loses_producers: u32,
    recreates_topics: u32,
    lowers_limit: u32,
    comes_back_to_old_requests: u32,
    /// Whether the response to a duplicate is an error, instead of the offset of the first batch.
    reports_duplicates: bool,
    /// Whether an unknown producer is refused if its first sequence number is not 0.
    reports_unknown_producers: bool,
}

struct Sent {
    partition: usize,
    value: String,
    future: FutureRecordMetadata,
}

struct Run {
    seed: u64,
    random: fastrand::Rng,
    faults: Faults,
    rig: Rig,
    partitions: [Partition; PARTITIONS],
    connections: [Connection; NODES.len()],
    sent: Vec<Sent>,
    next_producer: i64,
    is_healed: bool,
}

/// The error codes of a response.
fn codes(answer: &Response) -> String {
    let Response::Produce(produce) = answer else {
        return "a producer id".to_owned();
    };
    let partitions = produce.topics.iter().flat_map(|topic| &topic.partitions);
    let codes: Vec<_> = partitions.map(|it| it.error.name()).collect();
    codes.join(", ")
}

fn one_of<T: Copy>(random: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rate = |most: u32| {
            if random.bool() { random.u32(..most) } else { 0 }
        };
        let faults = Faults {
            refuses_for_a_moment: rate(300),
            refuses_after_append: rate(300),
            refuses_for_good: rate(150),
            loses_connection: rate(150),
            loses_producers: rate(500),
            recreates_topics: rate(60),
            lowers_limit: rate(150),
            comes_back_to_old_requests: rate(500),
            reports_duplicates: rate(2) > 0,
            reports_unknown_producers: rate(4) == 0,
        };
        let in_flight = one_of(&mut random, &[1, 2, 5, 5]);
        let mut rig = Setup {
            idempotent: true,
            batch_size: one_of(&mut random, &[0, 0, 100, 300]),
            ..Setup::default()
        }
        .with(|options| {
            options.retries = one_of(&mut random, &[0, 1, 3, u32::MAX, u32::MAX, u32::MAX]);
            options.retry_backoff = one_of(&mut random, &[MS(0), MS(10), BACKOFF]);
            options.retry_backoff_max = options.retry_backoff;
            options.linger = one_of(&mut random, &[MS(0), MS(0), MS(20)]);
            options.request_timeout = one_of(&mut random, &[MS(300), MS(2000)]);
            options.delivery_timeout = one_of(&mut random, &[MS(400), MS(2500), DELIVERY_TIMEOUT]);
            options.guarantee_order = in_flight == 1;
            options.seed = seed;
        })
        .build();
        rig.client().set_max_in_flight(in_flight);
        rig.lead_by(&NODES);
        Self {
            seed,
            random,
            faults,
            rig,
            partitions: Default::default(),
            connections: Default::default(),
            sent: Vec::new(),
            next_producer: PRODUCER_ID,
            is_healed: false,
        }
    }

    /// Prints an event, if only a single seed is run.
    fn trace(&self, what: impl FnOnce() -> String) {
        if number_from("SEED").is_some() {
            println!("{:?} {}", self.rig.now(), what());
        }
    }

    fn happens(&mut self, thousandths: u32) -> bool {
        !self.is_healed && self.random.u32(..1000) < thousandths
    }

    fn send(&mut self) {
        let partition = self.random.usize(..PARTITIONS);
        let value = format!("{partition}:{}", self.sent.len());
        let future = self.rig.send(partition as i32, &value);
        self.sent.push(Sent {
            partition,
            value,
            future,
        });
    }

    fn step(&mut self) {
        let now = self.rig.now();
        // The client would fail these requests itself. The connection is closed here, so that the simulated brokers
        // notice it.
        for node in NODES {
            let is_late =
                self.rig.client().requests().iter().any(|request| {
                    request.node == node && request.created + request.timeout <= now
                });
            if is_late {
                self.lose_connection(node);
            }
        }
        self.rig.run();
        self.rig.client().forget_sent();
    }

    /// The node processes its oldest unread request.
    fn read_request(&mut self, node: NodeId) {
        let already = self.connections[node as usize].answers.len();
        let requests = self.rig.client().requests().iter();
        let unread = requests.filter(|request| request.node == node).nth(already);
        let Some(request) = unread.map(|request| request.request.clone()) else {
            return;
        };
        let answer = match request {
            Request::InitProducerId(_) => {
                self.next_producer += 1;
                init_response(ErrorCode::NoError, self.next_producer, 0)
            }
            Request::Produce(produce) => self.handle_produce(&produce),
            other => panic!("not a request of a sender: {other:?}"),
        };
        self.connections[node as usize].answers.push_back(answer);
    }

    fn send_answer(&mut self, node: NodeId) {
        let Some(answer) = self.connections[node as usize].answers.pop_front() else {
            return;
        };
        self.trace(|| format!("{node} answers: {}", codes(&answer)));
        let now = self.rig.now();
        let at = self
            .rig
            .client()
            .requests()
            .iter()
            .position(|request| request.node == node)
            .expect("what was read was sent");
        self.rig.client().finish(at, Outcome::Response(answer), now);
    }

    /// Closes the connection to a node. The node may later process requests that it has not read.
    fn lose_connection(&mut self, node: NodeId) {
        let connection = &mut self.connections[node as usize];
        let read = std::mem::take(&mut connection.answers).len();
        let requests = self.rig.sender.client.requests().iter();
        let unread: Vec<_> = requests
            .filter(|request| request.node == node)
            .skip(read)
            .map(|request| request.request.clone())
            .collect();
        let newest_untouched = !unread.is_empty() && self.random.bool();
        let written = unread.len() - usize::from(newest_untouched);
        for request in unread.into_iter().take(written) {
            if let Request::Produce(produce) = request {
                connection.left_behind.push_back(produce);
            }
        }
        self.trace(|| {
            format!("the connection to {node} is lost, newest untouched: {newest_untouched}")
        });
        let now = self.rig.now();
        self.rig.client().disconnect(node, newest_untouched, now);
    }

    /// A node that was paused processes requests that a lost connection has left unread.
    fn come_back(&mut self, node: NodeId) {
        for _ in 0..self.random.u32(1..5) {
            let Some(old) = self.connections[node as usize].left_behind.pop_front() else {
                return;
            };
            self.trace(|| format!("{node} comes back to an old request"));
            let _nobody_reads_it = self.handle_produce(&old);
        }
    }

    fn handle_produce(&mut self, request: &ProduceRequest) -> Response {
        let mut answers = Vec::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let records = partition.records.as_ref().expect("a batch");
                let bytes = [records.head.as_slice(), &records.body].concat();
                let batch = RecordBatch::parse(&Bytes::from(bytes)).expect("a valid batch");
                let answer = self.handle_batch(partition.index, &batch);
                self.trace(|| {
                    format!(
                        "partition {} reads {}/{} sequence {}, {} records: {} at {}",
                        partition.index,
                        batch.producer_id(),
                        batch.producer_epoch(),
                        batch.base_sequence(),
                        batch.records_count(),
                        answer.error.name(),
                        answer.base_offset
                    )
                });
                answers.push(answer);
            }
        }
        produce_response(answers)
    }

    fn handle_batch(&mut self, index: i32, batch: &RecordBatch) -> PartitionProduceResponse {
        if self.happens(self.faults.refuses_for_a_moment) {
            let code = one_of(
                &mut self.random,
                &[
                    ErrorCode::NotEnoughReplicas,
                    ErrorCode::NotLeaderOrFollower,
                    ErrorCode::CorruptMessage,
                ],
            );
            return partition_response(index, code, -1);
        }
        // Brokers check the size of a batch before they look for duplicates.
        if self.happens(self.faults.lowers_limit) {
            return partition_response(index, ErrorCode::MessageTooLarge, -1);
        }
        let partition = &mut self.partitions[index as usize];
        let log_end = partition.log.len() as i64;
        let known = partition.producers.get(&batch.producer_id());
        let verdict = known.cloned().unwrap_or_default().check(batch);
        // Brokers before 2.5 refuse an unknown producer whose first sequence number is not 0.
        if self.faults.reports_unknown_producers && known.is_none() && batch.base_sequence() != 0 {
            let code = ErrorCode::UnknownProducerId;
            return PartitionProduceResponse {
                log_start_offset: log_end,
                ..partition_response(index, code, -1)
            };
        }
        let base_offset = match verdict {
            Verdict::Refuse(code) => return partition_response(index, code, -1),
            Verdict::Duplicate(_) if self.faults.reports_duplicates => {
                return partition_response(index, ErrorCode::DuplicateSequenceNumber, -1);
            }
            Verdict::Duplicate(known) => known.base_offset,
            Verdict::Write => {
                if self.happens(self.faults.refuses_for_good) {
                    let code = one_of(
                        &mut self.random,
                        &[ErrorCode::InvalidRecord, ErrorCode::MessageTooLarge],
                    );
                    return partition_response(index, code, -1);
                }
                self.append(index as usize, batch);
                log_end
            }
        };
        if self.happens(self.faults.refuses_after_append) {
            let code = one_of(
                &mut self.random,
                &[
                    ErrorCode::NotEnoughReplicasAfterAppend,
                    ErrorCode::RequestTimedOut,
                    ErrorCode::NotLeaderOrFollower,
                ],
            );
            return partition_response(index, code, -1);
        }
        partition_response(index, ErrorCode::NoError, base_offset)
    }

    fn append(&mut self, partition: usize, batch: &RecordBatch) {
        let partition = &mut self.partitions[partition];
        let base_offset = partition.log.len() as i64;
        for record in batch.records().expect("records") {
            let value = record.expect("a record").value.expect("a value");
            let value = String::from_utf8(value.to_vec()).expect("text");
            partition.log.push(value);
        }
        let state = partition.producers.entry(batch.producer_id()).or_default();
        let written = WrittenBatch::new(batch, base_offset, 0);
        state.written(batch.producer_epoch(), written);
    }

    /// The leader loses the state of producers, if nothing is in flight to it: their ids have expired, or the topic was
    /// deleted and recreated.
    fn forget(&mut self, partition: usize) {
        let is_idle = self
            .sent
            .iter()
            .all(|sent| sent.partition != partition || sent.future.is_done());
        let node = &mut self.connections[partition];
        let requests = self.rig.sender.client.requests();
        if is_idle && !requests.iter().any(|it| it.node as usize == partition) {
            node.left_behind.clear();
            self.trace(|| format!("{partition} loses its producers"));
            self.partitions[partition].producers.clear();
        }
    }

    /// Deletes and recreates the topic, also while batches are in flight.
    fn make_again(&mut self, partition: usize) {
        self.trace(|| format!("{partition} is made again"));
        self.assert_written_once(partition);
        let partition = &mut self.partitions[partition];
        partition.gone.extend(partition.log.drain(..));
        partition.producers.clear();
    }

    fn assert_written_once(&self, partition: usize) -> BTreeMap<&str, usize> {
        let mut places = BTreeMap::new();
        for (at, value) in self.partitions[partition].log.iter().enumerate() {
            let before = places.insert(value.as_str(), at);
            assert_eq!(
                before, None,
                "SEED={}: {value} is in the log twice",
                self.seed
            );
        }
        places
    }

    /// Runs for a while without sending records.
    fn lull(&mut self) {
        for _ in 0..self.random.u32(5..40) {
            for node in NODES {
                self.read_request(node);
                self.send_answer(node);
            }
            self.step();
            self.rig.advance(MS(20));
        }
    }

    fn act(&mut self) {
        let node = one_of(&mut self.random, &NODES);
        match self.random.u32(..24) {
            0 => self.lull(),
            1..=5 => {
                for _ in 0..self.random.u32(1..4) {
                    self.send();
                }
            }
            6..=11 => self.step(),
            12..=15 => self.read_request(node),
            16..=19 => self.send_answer(node),
            _ => {
                let by = MS(self.random.u64(..60));
                self.rig.advance(by);
            }
        }
        if self.happens(self.faults.loses_connection / 5) {
            self.lose_connection(node);
        }
        if self.happens(self.faults.comes_back_to_old_requests) {
            self.come_back(node);
        }
        if self.happens(self.faults.loses_producers) {
            self.forget(node as usize);
        }
        if self.happens(self.faults.recreates_topics / 10) {
            self.make_again(node as usize);
        }
    }

    /// Whether the run has no fault that could make a record fail.
    fn must_deliver_all(&self) -> bool {
        let options = &self.rig.sender.options;
        self.faults.refuses_for_good == 0
            && !self.faults.reports_unknown_producers
            && self.faults.recreates_topics == 0
            && self.faults.lowers_limit == 0
            && options.retries == u32::MAX
            && options.delivery_timeout == DELIVERY_TIMEOUT
    }

    /// Ends all faults, and runs until every future has completed.
    fn heal(&mut self) {
        self.is_healed = true;
        for _ in 0..20_000 {
            if self.sent.iter().all(|sent| sent.future.is_done()) {
                return;
            }
            for node in NODES {
                self.read_request(node);
                self.send_answer(node);
            }
            self.step();
            self.rig.advance(MS(10));
        }
        let pending = self.sent.iter().filter(|sent| !sent.future.is_done());
        let pending: Vec<_> = pending.map(|sent| &sent.value).collect();
        panic!("SEED={}: these never ended: {pending:?}", self.seed);
    }

    fn check(&mut self) {
        let seed = self.seed;
        for node in NODES {
            while !self.connections[node as usize].left_behind.is_empty() {
                self.come_back(node);
            }
        }
        for (number, partition) in self.partitions.iter().enumerate() {
            let places = self.assert_written_once(number);
            let mut last = None;
            for sent in self.sent.iter().filter(|sent| sent.partition == number) {
                let place = places.get(&*sent.value).copied();
                let is_gone = partition.gone.contains(&sent.value);
                match sent.future.get() {
                    Ok(_) if is_gone && place.is_none() => {}
                    Ok(metadata) => {
                        assert!(place.is_some(), "SEED={seed}: {} is not there", sent.value);
                        assert!(
                            place > last,
                            "SEED={seed}: {} at {place:?} was sent after what is at {last:?}",
                            sent.value
                        );
                        // The offset of a record in the deleted topic is not compared.
                        let offset = Some(metadata.offset()).filter(|at| *at >= 0 && !is_gone);
                        assert!(
                            offset.is_none_or(|offset| Some(offset as usize) == place),
                            "SEED={seed}: {} is at {place:?}, not {offset:?}",
                            sent.value
                        );
                        last = place;
                    }
                    Err(error) if self.must_deliver_all() => {
                        panic!("SEED={seed}: {} was not delivered: {error}", sent.value)
                    }
                    Err(error) if !error.may_be_written() => {
                        assert_eq!(place, None, "SEED={seed}: {}: {error}", sent.value);
                        assert!(!is_gone, "SEED={seed}: {}: {error}", sent.value);
                    }
                    Err(_) => {}
                }
            }
        }
        // Requests of batches that have expired hold their memory until their connection is closed.
        for node in NODES {
            self.lose_connection(node);
            self.connections[node as usize].left_behind.clear();
        }
        self.step();
        self.rig.assert_memory_is_back();
    }
}

fn run(seed: u64) -> (usize, usize) {
    let mut run = Run::new(seed);
    for _ in 0..run.random.u32(50..400) {
        run.act();
    }
    run.heal();
    run.check();
    let written = run.sent.iter().filter(|sent| sent.future.get().is_ok());
    (written.count(), run.sent.len())
}

pub(super) fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn no_record_is_duplicated_reordered_or_misreported_for_any_responses_of_the_brokers() {
    let seeds = match number_from("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_from("SEEDS").unwrap_or(USUAL_SEEDS),
    };
    let count = seeds.end - seeds.start;
    let (mut written, mut sent) = (0, 0);
    for seed in seeds {
        let one = run(seed);
        written += one.0;
        sent += one.1;
    }
    println!("{count} seeds: {sent} records, {written} acknowledged");
    assert!(
        written > sent / 10,
        "of {sent} only {written} were acknowledged"
    );
}
