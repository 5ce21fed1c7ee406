//! Client ids with special characters are read back unchanged.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use kafka_producer::{KafkaProducer, Metrics, ProducerConfig};

use crate::metrics_http;
use crate::server::Prometheus;

const NAMES: [&str; 6] = [
    "plain",
    "quo\"te",
    "back\\slash\\n",
    "new\nline",
    "größe 中 😀",
    "{x=\"y\"} 1 # TYPE",
];

#[test]
fn several_producers_are_distinguished_by_names_of_every_kind() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let producer = |name: &str| {
        let config = ProducerConfig::builder()
            .bootstrap_servers([cluster.bootstrap_servers()])
            .client_id(name)
            .build()
            .unwrap();
        KafkaProducer::<str, str>::new(config).unwrap()
    };
    let producers = NAMES.map(producer);
    let metrics: Vec<Metrics> = producers.iter().map(KafkaProducer::metrics).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let Some(prometheus) = Prometheus::start("names", address) else {
        return;
    };
    let stopped = &AtomicBool::new(false);
    thread::scope(|scope| {
        let text = || Metrics::prometheus_text_of(&metrics);
        scope.spawn(move || metrics_http::serve(&listener, stopped, text));
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut found = Vec::new();
        while found.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(200));
            found = prometheus.query("kafka_producer_producer_metrics_buffer_total_bytes");
        }
        metrics_http::stop(address, stopped);
        let names: BTreeSet<&str> = found
            .iter()
            .map(|series| series.labels["client_id"].as_str().unwrap())
            .collect();
        assert_eq!(names, BTreeSet::from(NAMES));
        // Prometheus has stored each sample.
        let samples = text().lines().filter(|line| !line.starts_with('#')).count();
        let scraped = prometheus.query("scrape_samples_scraped - 0 * up");
        assert!(samples > 100);
        assert_eq!(scraped[0].numbers().next(), Some(samples as f64));
    });
}
