//! A logger that panics, like one that prints into a closed pipe. The test is a separate binary, because a process has
//! one logger.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: they fail by panicking, and wait in real time"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, TestCluster};
use kafka_producer::{
    BoxError, ErrorCode, Headers, KafkaProducer, ProducerConfig, ProducerRecord, Serialized,
    Serializer,
};
use log::{LevelFilter, Log, Metadata, Record};

static PANICS: AtomicBool = AtomicBool::new(false);
static PANICKED: AtomicUsize = AtomicUsize::new(0);

struct Broken;

impl Broken {
    fn panic_perhaps() {
        if PANICS.load(Ordering::SeqCst) {
            PANICKED.fetch_add(1, Ordering::SeqCst);
            panic!("failed printing to stdout: Broken pipe");
        }
    }
}

impl Log for Broken {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        Self::panic_perhaps();
        true
    }

    fn log(&self, _: &Record<'_>) {
        Self::panic_perhaps();
    }

    fn flush(&self) {}
}

/// A plug-in that counts how often it is closed.
struct Closed(Arc<AtomicUsize>);

impl Serializer<str> for Closed {
    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        value: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(value.as_bytes().into()))
    }

    fn close(&self) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_logger_that_panics_at_every_line_harms_no_record_and_no_close() {
    log::set_logger(&Broken).unwrap();
    log::set_max_level(LevelFilter::Trace);
    // The hook does not print the expected panics.
    std::panic::set_hook(Box::new(|info| {
        if !info.to_string().contains("Broken pipe") {
            eprintln!("{info}");
        }
    }));
    let cluster = TestCluster::builder().topic("t", 2).start().unwrap();
    let node = cluster.node_ids().next().unwrap();
    let config = ProducerConfig::builder()
        .bootstrap_servers([cluster.bootstrap_servers()])
        .reconnect_backoff_max(Duration::from_millis(50))
        .build()
        .unwrap();
    let closed = Arc::new(AtomicUsize::new(0));
    let producer = KafkaProducer::<str, str>::builder(config)
        .key_serializer(Closed(Arc::clone(&closed)))
        .value_serializer(Closed(Arc::clone(&closed)))
        .build()
        .unwrap();
    producer
        .send(ProducerRecord::new("t", "before"))
        .unwrap()
        .get()
        .unwrap();

    PANICS.store(true, Ordering::SeqCst);
    cluster.stop_node(node);
    let waits = producer.send(ProducerRecord::new("t", "waits")).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while PANICKED.load(Ordering::SeqCst) < 20 {
        assert!(
            Instant::now() < until,
            "logged {PANICKED:?}, {:?}",
            producer.snapshot()
        );
        thread::yield_now();
    }
    cluster.start_node(node).unwrap();
    waits.get().unwrap();
    let refuse = Rule::on(Api::Produce)
        .times(1)
        .fail(ErrorCode::NotEnoughReplicas);
    cluster.script(refuse).unwrap();
    let again = producer.send(ProducerRecord::new("t", "again")).unwrap();
    again.get().unwrap();
    let nowhere = producer.send(ProducerRecord::new("nowhere at all", "x"));
    assert!(nowhere.unwrap().get().is_err());
    producer.close().unwrap();
    assert_eq!(closed.load(Ordering::SeqCst), 2, "each plug-in once");
    drop(producer);
    PANICS.store(false, Ordering::SeqCst);
    assert_eq!(cluster.record_count("t"), 3);
}
