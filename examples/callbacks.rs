//! Asynchronous results: a callback for each record, without waiting on futures.
//!
//! ```text
//! cargo run --example callbacks --features testing
//! ```
//!
//! Callbacks run on the sender thread, and nothing is sent while one runs: so they only count, or pass work on to
//! another thread. Here the records that were not written go through a channel to the thread that sends them again.
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use kafka_producer::testing::{Api, Rule, TestCluster};
use kafka_producer::{ErrorCode, KafkaProducer, ProducerConfig, ProducerRecord};

const COUNT: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("clicks", 3).start()?;
    // The broker rejects the first batch with an error that is not retriable.
    let refused = Rule::on(Api::Produce).times(1);
    cluster.script(refused.fail(ErrorCode::InvalidRecord))?;

    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    let producer = KafkaProducer::<str, str>::new(config)?;
    let (written, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (again, not_written) = channel();
    let send = |number: u64| {
        let (written, failed) = (Arc::clone(&written), Arc::clone(&failed));
        let again = again.clone();
        let record = ProducerRecord::new("clicks", format!("click {number}"));
        producer.send_with_callback(record, move |outcome| match outcome {
            Ok(_) => {
                written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.may_be_written() => {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            // An error means that the program is about to end.
            Err(_) => drop(again.send(number)),
        })
    };

    for number in 0..COUNT {
        send(number)?;
    }
    producer.flush()?;
    let mut repeated = 0;
    for number in not_written.try_iter() {
        send(number)?;
        repeated += 1;
    }
    // When flush returns, the callbacks of all records sent before have run.
    producer.flush()?;
    let (written, failed) = (
        written.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed),
    );
    println!("{written} written, {repeated} of them sent again; {failed} may be written");
    assert_eq!((written, failed), (COUNT, 0));
    assert_eq!(cluster.record_count("clicks"), COUNT);
    assert!(repeated > 0);
    producer.close()?;
    Ok(())
}
