//! What is counted: one function for each case, run in a process of its own.

use std::hint::black_box;

use kafka_producer::internals::{ByHand, Producer};
use kafka_producer::{FutureRecordMetadata, ProducerConfig, ProducerConfigBuilder, ProducerRecord};

use crate::callgrind::counted_by_callgrind;

/// One thing to count.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What the count is divided by: how many of them a run counts, and what they are.
    pub(crate) units: u64,
    pub(crate) unit: &'static str,
    run: fn(),
}

impl Case {
    /// Does it, with the part between [`counted_by_callgrind`]'s entry and exit to be counted.
    pub(crate) fn run(&self) {
        (self.run)();
    }
}

const TOPIC: &str = "bench";
const PARTITIONS: i32 = 12;
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Records of a counted loop of sends; their batches fit into the buffer's memory.
const SENDS: u64 = 20_000;
/// Records that fill a batch of 16 KiB but for a rest that no other fits into.
const FULL: u64 = 147;
/// How often each partition gets a batch, and how often it does before that without being counted.
const ROUNDS: u64 = 16;
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
    // A request with a batch for each of 12 partitions: full ones, where the checksum is most of it,
    // and such of one record, where it is next to nothing.
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

/// The second of two equal loops is counted: then batches have memory that was used before.
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

/// The callback owns something, as callbacks do.
fn send_calling(
    producer: &Producer,
    record: ProducerRecord<'_, [u8], [u8]>,
    number: u64,
) -> FutureRecordMetadata {
    let sent = producer.send_with_callback(record, move |outcome| {
        black_box(number + u64::from(outcome.is_ok()));
    });
    sent.expect("it is open")
}

/// Counts the steps that make requests of batches.
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

/// Counts the steps that take answers. The futures that `fill` returns are kept until then.
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

/// Counts what it takes to ask the futures of records that were acknowledged.
fn futures() {
    let mut rig = start();
    for round in 0..WARM_ROUNDS + ROUNDS {
        let futures = fill(rig.producer(), FULL);
        rig.step();
        rig.answer();
        rig.step();
        // Else the first that was not would be waited for.
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

/// A batch of so many records for each partition.
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

/// A case that does not do what it says must not have a count. One record comes from the start.
fn expect_acknowledged(rig: &ByHand, records: u64) {
    let acknowledged = rig.producer().snapshot().records_acknowledged;
    assert_eq!(acknowledged, records + 1, "records acknowledged");
}

/// One request a round holds what `fill` sent, a batch for each partition.
fn expect_requests(rig: &ByHand, rounds: u64) {
    let requests = rig.producer().snapshot().produce_requests;
    assert_eq!(requests, rounds + 1, "requests");
}
