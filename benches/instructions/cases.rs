//! The cases: one function each, run in a separate process.

use std::hint::black_box;

use kafka_producer::internals::{ByHand, Producer};
use kafka_producer::{FutureRecordMetadata, ProducerConfig, ProducerConfigBuilder, ProducerRecord};

use crate::callgrind::counted_by_callgrind;

/// A case whose instructions are counted.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The number of units in a run, by which the count is divided.
    pub(crate) units: u64,
    pub(crate) unit: &'static str,
    run: fn(),
}

impl Case {
    /// Runs the case. Only the part inside [`counted_by_callgrind`] is counted.
    pub(crate) fn run(&self) {
        (self.run)();
    }
}

const TOPIC: &str = "bench";
const PARTITIONS: i32 = 12;
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Records of a counted loop of sends; all of them fit into `buffer.memory`.
const SENDS: u64 = 20_000;
/// The maximum number of records in a batch of 16 KiB.
const FULL: u64 = 147;
/// The number of counted batches of each partition.
const ROUNDS: u64 = 16;
/// The number of batches of each partition before the counted ones, as a warm-up.
const WARM_ROUNDS: u64 = 4;
const BATCHES: u64 = ROUNDS * PARTITIONS as u64;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "send.plain",
        units: SENDS,
        unit: "record",
        run: || sends(send_plain),
    },
    Case {
        name: "send.keyed",
        units: SENDS,
        unit: "record",
        run: || sends(send_keyed),
    },
    Case {
        name: "send.callback",
        units: SENDS,
        unit: "record",
        run: || sends(send_with_callbacks),
    },
    Case {
        name: "send.transactional",
        units: SENDS,
        unit: "record",
        run: || {
            let config = ProducerConfig::builder().transactional_id("bench");
            sends_of(start_with(config), send_plain);
        },
    },
    // A request with a batch for each of 12 partitions. With full batches the checksum is most of the cost;
    // with batches of one record it is negligible.
    Case {
        name: "drain.full",
        units: BATCHES,
        unit: "batch",
        run: || drains(FULL),
    },
    Case {
        name: "drain.single",
        units: BATCHES,
        unit: "batch",
        run: || drains(1),
    },
    Case {
        name: "complete.full",
        units: BATCHES,
        unit: "batch",
        run: || completions(|producer| fill(producer, FULL)),
    },
    Case {
        name: "complete.callbacks",
        units: BATCHES * FULL,
        unit: "record",
        run: || completions(fill_with_callbacks),
    },
    Case {
        name: "future.get",
        units: BATCHES * FULL,
        unit: "record",
        run: futures,
    },
];

fn start() -> ByHand {
    start_with(ProducerConfig::builder())
}

fn start_with(config: ProducerConfigBuilder) -> ByHand {
    ByHand::start(config, TOPIC, PARTITIONS as usize)
}

fn sends(send: fn(&Producer)) {
    sends_of(start(), send);
}

/// Counts the second of two equal loops, in which batches reuse memory.
fn sends_of(mut rig: ByHand, send: fn(&Producer)) {
    send(rig.producer());
    rig.settle();
    counted_by_callgrind(|| send(rig.producer()));
    rig.settle();
    expect_acknowledged(&rig, 2 * SENDS);
}

fn send_plain(producer: &Producer) {
    for _ in 0..SENDS {
        let record = ProducerRecord::new(TOPIC, &PAYLOAD[..]);
        drop(producer.send(record).expect("it is open"));
    }
}

fn send_keyed(producer: &Producer) {
    for number in 0..SENDS {
        let key = number.to_be_bytes();
        let record = ProducerRecord::keyed(TOPIC, &key[..], &PAYLOAD[..]);
        drop(producer.send(record).expect("it is open"));
    }
}

fn send_with_callbacks(producer: &Producer) {
    for number in 0..SENDS {
        let record = ProducerRecord::new(TOPIC, &PAYLOAD[..]);
        drop(send_calling(producer, record, number));
    }
}

/// Sends a record with a callback that owns a value, as most callbacks do.
fn send_calling(
    producer: &Producer,
    record: ProducerRecord<'_, [u8], [u8]>,
    number: u64,
) -> FutureRecordMetadata {
    let sent = producer.send_with_callback(record, move |outcome| {
        black_box(number + u64::from(outcome.is_ok()));
    });
    sent.expect("it is open").into()
}

/// Counts the steps of the sender that build requests from batches.
fn drains(records: u64) {
    let mut rig = start();
    for round in 0..WARM_ROUNDS + ROUNDS {
        drop(fill(rig.producer(), records));
        if round < WARM_ROUNDS {
            rig.step();
        } else {
            counted_by_callgrind(|| rig.step());
        }
        rig.answer();
        rig.step();
    }
    expect_requests(&rig, WARM_ROUNDS + ROUNDS);
    expect_acknowledged(&rig, (WARM_ROUNDS + ROUNDS) * PARTITIONS as u64 * records);
}

/// Counts the steps of the sender that handle responses. The futures that `fill` returns live until the responses are
/// handled.
fn completions(fill: fn(&Producer) -> Vec<FutureRecordMetadata>) {
    let mut rig = start();
    let mut sent = 0;
    for round in 0..WARM_ROUNDS + ROUNDS {
        let futures = fill(rig.producer());
        rig.step();
        rig.answer();
        if round < WARM_ROUNDS {
            rig.step();
        } else {
            counted_by_callgrind(|| rig.step());
        }
        sent += futures.len() as u64;
    }
    expect_requests(&rig, WARM_ROUNDS + ROUNDS);
    expect_acknowledged(&rig, sent);
}

/// Counts calls of `get` on the futures of acknowledged records.
fn futures() {
    let mut rig = start();
    for round in 0..WARM_ROUNDS + ROUNDS {
        let futures = fill(rig.producer(), FULL);
        rig.step();
        rig.answer();
        rig.step();
        // Otherwise `get` would wait for a record that is not acknowledged.
        expect_acknowledged(&rig, (round + 1) * PARTITIONS as u64 * FULL);
        if round < WARM_ROUNDS {
            get_all(futures);
        } else {
            counted_by_callgrind(|| get_all(futures));
        }
    }
}

fn get_all(futures: Vec<FutureRecordMetadata>) {
    for future in futures {
        let metadata = future.get().expect("it was acknowledged");
        black_box(metadata.offset());
    }
}

/// Appends a batch of this many records to each partition.
fn fill(producer: &Producer, records: u64) -> Vec<FutureRecordMetadata> {
    each(records, |partition| {
        producer.send(record(partition)).expect("it is open")
    })
}

fn fill_with_callbacks(producer: &Producer) -> Vec<FutureRecordMetadata> {
    each(FULL, |partition| {
        send_calling(producer, record(partition), 1)
    })
}

fn each(records: u64, send: impl Fn(i32) -> FutureRecordMetadata) -> Vec<FutureRecordMetadata> {
    (0..PARTITIONS)
        .flat_map(|partition| (0..records).map(move |_| partition))
        .map(send)
        .collect()
}

fn record(partition: i32) -> ProducerRecord<'static, [u8], [u8]> {
    ProducerRecord::new(TOPIC, &PAYLOAD[..]).with_partition(partition)
}

/// Checks that a case has sent its records, so that a broken case has no count. The start sends one more record.
fn expect_acknowledged(rig: &ByHand, records: u64) {
    let acknowledged = rig.producer().snapshot().records_acknowledged;
    assert_eq!(acknowledged, records + 1, "records acknowledged");
}

/// Checks that each round has one request, with the batches of all partitions.
fn expect_requests(rig: &ByHand, rounds: u64) {
    let requests = rig.producer().snapshot().produce_requests;
    assert_eq!(requests, rounds + 1, "requests");
}
