//! A million records from four threads, each of them verified.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --bootstrap-servers 127.0.0.1:9092 --topic test
//! ```
//!
//! Without arguments it uses an embedded broker, and verifies its log afterwards; with servers and a topic it uses your
//! cluster, and verifies the acknowledgements.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod verify;

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kafka_producer::testing::TestCluster;
use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
use lexopt::prelude::*;

use verify::Outcomes;

type Producer = KafkaProducer<[u8], [u8]>;
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const THREADS: usize = 4;
const PER_THREAD: usize = 250_000;
const VALUE_BYTES: usize = 100;

fn main() -> Result<()> {
    let (mut servers, mut topic) = (None, "quickstart".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bootstrap-servers") => servers = Some(parser.value()?.string()?),
            Long("topic") => topic = parser.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(servers) = servers {
        return send_all(&servers, &topic)?.verify_acknowledgements();
    }
    let cluster = TestCluster::builder().topic(&*topic, 12).start()?;
    send_all(&cluster.bootstrap_servers(), &topic)?.verify_acknowledgements()?;
    verify::log(&cluster, &topic)
}

/// Sends from all threads through one producer, until every record has its result.
fn send_all(servers: &str, topic: &str) -> Result<Outcomes> {
    let config = ProducerConfig::builder()
        .bootstrap_servers([servers])
        .build()?;
    let producer = Producer::new(config)?;
    let outcomes = Arc::new(Mutex::new(Outcomes::default()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let send = |thread| {
            scope.spawn({
                let (producer, outcomes) = (&producer, &outcomes);
                move || send_share(producer, topic, thread, outcomes)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(send).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a thread panicked".into()))
        })
    })?;
    producer.close()?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} records in {seconds:.2} s: {:.0} per second",
        THREADS * PER_THREAD,
        (THREADS * PER_THREAD) as f64 / seconds
    );
    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *outcomes))
}

/// Sends the records of one thread. Each value begins with the thread and a number.
fn send_share(
    producer: &Producer,
    topic: &str,
    thread: usize,
    outcomes: &Arc<Mutex<Outcomes>>,
) -> Result<()> {
    let mut value = [b'.'; VALUE_BYTES];
    for number in 0..PER_THREAD {
        value[..8].copy_from_slice(&(thread as u64).to_be_bytes());
        value[8..16].copy_from_slice(&(number as u64).to_be_bytes());
        let outcomes = Arc::clone(outcomes);
        let record = ProducerRecord::new(topic, &value[..]);
        producer.send_with_callback(record, move |outcome| {
            // Callbacks run one after another on the sender thread, so the lock is never contended.
            outcomes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note(outcome);
        })?;
    }
    Ok(())
}
