//! An interceptor: adds a header to each record, and counts records and acknowledgements.
//!
//! ```text
//! cargo run --example interceptor --features testing
//! ```
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, KafkaProducer, ProduceError, ProducerConfig, ProducerInterceptor, ProducerRecord,
    RecordMetadata,
};

#[derive(Default)]
struct Totals {
    sent: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
}

/// Adds the origin of a record as a header, and counts.
struct Audit {
    origin: &'static str,
    totals: Arc<Totals>,
}

impl ProducerInterceptor<str, str> for Audit {
    // Runs on the application's thread that calls `send`, before the record is serialized.
    fn on_send(&self, record: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        record.headers_mut().add("origin", self.origin)?;
        self.totals.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    // Usually runs on the sender thread, so it must be quick.
    fn on_acknowledgement(&self, _metadata: &RecordMetadata, error: Option<&ProduceError>) {
        let total = match error {
            None => &self.totals.written,
            Some(_) => &self.totals.failed,
        };
        total.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("orders", 3).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    let totals = Arc::new(Totals::default());
    let producer = KafkaProducer::<str, str>::builder(config)
        .stock_serializers()
        .interceptor(Audit {
            origin: "shop",
            totals: Arc::clone(&totals),
        })
        .build()?;

    for number in 0..10 {
        let record = ProducerRecord::new("orders", format!("order {number}"));
        drop(producer.send(record)?);
    }
    producer.close()?;

    let [sent, written, failed] =
        [&totals.sent, &totals.written, &totals.failed].map(|total| total.load(Ordering::Relaxed));
    println!("{sent} sent, {written} written, {failed} failed");
    assert_eq!((sent, written, failed), (10, 10, 0));
    let records = (0..3).flat_map(|partition| cluster.records("orders", partition));
    for record in records {
        let origin = record.headers.last("origin").ok_or("no header")?;
        assert_eq!(origin.value(), Some(&b"shop"[..]));
    }
    Ok(())
}
