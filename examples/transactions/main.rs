//! A consume-transform-produce loop with exactly-once semantics, whatever fails in between.
//!
//! ```text
//! cargo run --example transactions --features testing
//! cargo run --example transactions --features testing -- \
//!     --bootstrap-servers 127.0.0.1:9092 --consumer /opt/kafka/bin/kafka-console-consumer.sh
//! ```
//!
//! Without arguments it uses an embedded broker, and verifies its log. With servers it reads the topic `orders` of your
//! cluster with Kafka's console consumer, until no record has arrived for ten seconds, and writes to the topic `bills`.
//! `cargo run --example local_kafka -- --topic orders:3 --topic bills:3` starts such a cluster, and prints the command
//! of its console consumer. Kill this program, start it again, and read the bills with `--isolation-level
//! read_committed`: there is one for each order.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "the output of the example; reads what another program prints"
)]

mod consumer;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    KafkaProducer, OffsetAndMetadata, ProducerConfig, ProducerRecord, TopicPartition,
    TransactionError, TransactionRunError,
};
use lexopt::prelude::*;

use consumer::{ConsoleConsumer, Consumer, EmbeddedConsumer, Order};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type Producer = KafkaProducer<str, str>;

const ORDERS: &str = "orders";
const BILLS: &str = "bills";
const GROUP: &str = "billing";
const PARTITIONS: i32 = 3;

/// The loop. The numbers are in the order of execution.
fn write_bills(
    producer: &Producer,
    consumer: &mut dyn Consumer,
    mut bill: impl FnMut(&Order) -> Result<String>,
) -> Result<u64> {
    // 1. Once: initialize the transactional id. A transaction that a crashed predecessor with that id has left open
    //   is aborted; a predecessor that is still running is fenced, and cannot write any more.
    call_with_retries(|| producer.init_transactions())?;
    let mut billed = 0;
    loop {
        // 2. Consume: from the committed offsets of the group.
        let orders = consumer.poll()?;
        if orders.is_empty() {
            return Ok(billed);
        }
        // 3. Begin a transaction. It is committed if this closure returns `Ok`, and aborted if it returns an error or
        //   panics.
        let outcome = producer.run_transaction(|transaction| -> Result<()> {
            for order in &orders {
                // 4. Transform, and produce. The futures need not be checked: a record that fails prevents the
                //   commit.
                transaction.send(ProducerRecord::new(BILLS, bill(order)?))?;
            }
            // 5. The consumed offsets are part of the transaction: bills and offsets become visible together, or not
            //   at all. A consumer that is a member of the group would pass its group metadata instead of the group id.
            transaction.send_offsets(next_offsets(&orders), GROUP)?;
            Ok(())
        });
        match settle(producer, outcome) {
            // 6. Committed. Continue with the next orders.
            Ok(()) => billed += orders.len() as u64,
            // 7. Aborted: nothing of it is visible. Process the same orders again, from the committed offsets.
            Err(Unsettled::Aborted(why)) => {
                println!("aborted, and processed again: {why}");
                consumer.rewind()?;
            }
            // 8. Fenced or fatal. This program ends. The committed transactions stay, and its successor processes
            //   the remaining orders.
            Err(Unsettled::Ended(why)) => return Err(why),
        }
    }
}

/// Why a transaction was not committed.
enum Unsettled {
    Aborted(Box<dyn Error + Send + Sync>),
    Ended(Box<dyn Error + Send + Sync>),
}

/// Waits until the result of a transaction is certain.
fn settle(
    producer: &Producer,
    outcome: std::result::Result<(), TransactionRunError<Box<dyn Error + Send + Sync>>>,
) -> std::result::Result<(), Unsettled> {
    let error = match outcome {
        Ok(()) => return Ok(()),
        Err(TransactionRunError::Work {
            error,
            abort_error: None,
        }) => return Err(Unsettled::Aborted(error)),
        Err(TransactionRunError::Work {
            abort_error: Some(abort_error),
            ..
        }) => {
            // The abort timed out after `max.block.ms`: a retry resumes waiting.
            let aborted = retry_while_timed_out(abort_error, || producer.abort_transaction());
            return Err(match aborted {
                Ok(()) => Unsettled::Aborted("the abort timed out at first".into()),
                Err(error) => Unsettled::Ended(error.into()),
            });
        }
        Err(TransactionRunError::Transaction(error)) => error,
    };
    // If the commit has timed out, it is retried in the same way: its result is unknown until a call returns it.
    match retry_while_timed_out(error, || producer.commit_transaction()) {
        Ok(()) => Ok(()),
        // `run_transaction` has already aborted the transaction.
        Err(error) if error.is_abortable() => Err(Unsettled::Aborted(error.into())),
        Err(error) => Err(Unsettled::Ended(error.into())),
    }
}

/// Retries a call while it times out.
fn retry_while_timed_out(
    mut error: TransactionError,
    call: impl Fn() -> std::result::Result<(), TransactionError>,
) -> std::result::Result<(), TransactionError> {
    while error.is_retriable() {
        println!("{error}");
        match call() {
            Ok(()) => return Ok(()),
            Err(next) => error = next,
        }
    }
    Err(error)
}

fn call_with_retries(
    call: impl Fn() -> std::result::Result<(), TransactionError>,
) -> std::result::Result<(), TransactionError> {
    match call() {
        Ok(()) => Ok(()),
        Err(error) => retry_while_timed_out(error, call),
    }
}

/// The next offset of each partition.
fn next_offsets(orders: &[Order]) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
    let next = |order: &Order| {
        let partition = TopicPartition::new(ORDERS, order.partition);
        (partition, OffsetAndMetadata::new(order.offset + 1))
    };
    orders.iter().map(next).collect()
}

fn producer(servers: &str) -> Result<Producer> {
    let config = ProducerConfig::builder()
        .bootstrap_servers([servers])
        // One id for each running instance, the same after a restart.
        .transactional_id("billing-1")
        .linger(Duration::from_millis(5))
        .build()?;
    Ok(Producer::new(config)?)
}

fn main() -> Result<()> {
    let (mut servers, mut command) = (None, "kafka-console-consumer.sh".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bootstrap-servers") => servers = Some(parser.value()?.string()?),
            Long("consumer") => command = parser.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(servers) = servers else {
        return with_the_embedded_broker();
    };
    let producer = producer(&servers)?;
    let mut consumer = ConsoleConsumer::new(&command, &servers)?;
    let billed = write_bills(&producer, &mut consumer, |order| {
        Ok(format!("bill for {}", order.text))
    })?;
    producer.close()?;
    println!("{billed} orders were billed");
    Ok(())
}

fn with_the_embedded_broker() -> Result<()> {
    const COUNT: usize = 100;
    let cluster = TestCluster::builder()
        .topic(ORDERS, PARTITIONS as usize)
        .topic(BILLS, PARTITIONS as usize)
        .start()?;
    let servers = cluster.bootstrap_servers();
    take_orders(&servers, COUNT)?;

    let producer = producer(&servers)?;
    let mut consumer = EmbeddedConsumer::new(&cluster);
    let mut has_failed = false;
    let billed = write_bills(&producer, &mut consumer, |order| {
        // Fails once, in the middle of a transaction.
        if order.text.ends_with("17") && !std::mem::replace(&mut has_failed, true) {
            return Err("the price list cannot be read".into());
        }
        Ok(format!("bill for {}", order.text))
    })?;
    producer.close()?;

    // The bills that a consumer with `isolation.level=read_committed` reads.
    let mut bills: Vec<Vec<u8>> = (0..PARTITIONS)
        .flat_map(|partition| cluster.read_committed(BILLS, partition))
        .filter_map(|record| record.value)
        .collect();
    let seen = bills.len();
    bills.sort();
    bills.dedup();
    println!(
        "{billed} orders were billed, and {} bills are visible",
        bills.len()
    );
    assert!(has_failed, "a transaction was aborted");
    assert_eq!((seen, bills.len()), (COUNT, COUNT), "one for each order");
    let read: i64 = cluster
        .committed_offsets(GROUP)
        .values()
        .map(|committed| committed.offset)
        .sum();
    assert_eq!(read, COUNT as i64, "offsets and bills agree");
    Ok(())
}

/// Produces the input.
fn take_orders(servers: &str, count: usize) -> Result<()> {
    let config = ProducerConfig::builder()
        .bootstrap_servers([servers])
        .build()?;
    let shop = Producer::new(config)?;
    let futures = (0..count)
        .map(|number| {
            shop.send(ProducerRecord::keyed(
                ORDERS,
                number.to_string(),
                format!("order {number}"),
            ))
        })
        .collect::<std::result::Result<Vec<_>, _>>()?;
    for future in futures {
        future.get()?;
    }
    Ok(shop.close()?)
}
