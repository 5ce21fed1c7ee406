//! Calls of a metrics reporter during a run with a real broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kafka_producer::{
    BoxError, ClusterResourceListener, Metric, MetricsContext, MetricsReporter, ProducerRecord,
};

use super::{Producer, config};
use crate::runner::{TestResult, tests};
use crate::shared;

tests![a_reporter_is_notified_of_the_metrics_of_producer_topics_and_brokers];

const RECORDS: usize = 1_000;

#[derive(Default)]
struct Board {
    labels: BTreeMap<String, String>,
    cluster: Option<String>,
    metrics: BTreeMap<String, Metric>,
    closed: usize,
}

#[derive(Clone, Default)]
struct Reporter(Arc<Mutex<Board>>);

impl Reporter {
    fn with<T>(&self, look: impl FnOnce(&mut Board) -> T) -> T {
        look(&mut self.0.lock().expect("the lock is not poisoned"))
    }
}

impl MetricsReporter for Reporter {
    fn context_change(&self, context: &MetricsContext) -> Result<(), BoxError> {
        let labels = context
            .labels()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.with(|board| board.labels = labels.collect());
        Ok(())
    }

    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        let name = metric.name().to_string();
        let before = self.with(|board| board.metrics.insert(name, metric.clone()));
        assert!(before.is_none(), "{metric:?} was added twice");
        Ok(())
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        let name = metric.name().to_string();
        self.with(|board| board.metrics.remove(&name));
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        self.with(|board| board.closed += 1);
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::new(self.clone()))
    }
}

impl ClusterResourceListener for Reporter {
    fn on_update(&self, cluster_id: Option<&str>) {
        self.with(|board| board.cluster = cluster_id.map(str::to_owned));
    }
}

fn a_reporter_is_notified_of_the_metrics_of_producer_topics_and_brokers() -> TestResult {
    const TOPIC: &str = "reporters";
    let cluster = shared::cluster()?;
    cluster.create_topic(TOPIC, 3, &[])?;
    let reporter = Reporter::default();
    let inner = reporter.clone();
    let config = config(&cluster.bootstrap_servers())
        .client_id("reported")
        .set("metric.reporters", "tests.Reporter")
        .set("metrics.context.region", "eu-1")
        .build()?;
    let producer = Producer::builder(config)
        .stock_serializers()
        .register_metrics_reporter("tests.Reporter", move || Box::new(inner.clone()))
        .build()?;
    for _ in 0..RECORDS {
        drop(producer.send(ProducerRecord::new(TOPIC, &b"value"[..]))?);
    }
    producer.flush()?;
    let value = |name: &str| {
        let metric = reporter.with(|board| board.metrics.get(name).cloned());
        metric.and_then(|metric| metric.value().as_f64())
    };
    let sent = Some(RECORDS as f64);
    let of_topic = "producer-topic-metrics:record-send-total:{client-id=reported, topic=reporters}";
    assert_eq!(value(of_topic), sent);
    let of_all = "producer-metrics:record-send-total:{client-id=reported}";
    assert_eq!(value(of_all), sent);
    let nodes = reporter.with(|board| {
        let names = board.metrics.keys();
        names.filter(|name| name.contains("node-id=node-")).count()
    });
    assert!(nodes > 0 && nodes % 12 == 0, "{nodes} metrics of nodes");
    producer.close()?;
    let known: Vec<String> = reporter.with(|board| board.metrics.keys().cloned().collect());
    let all = producer.metrics().all();
    let mut all: Vec<String> = all.iter().map(|metric| metric.name().to_string()).collect();
    all.sort();
    assert_eq!(known, all);
    reporter.with(|board| {
        assert_eq!(board.closed, 1);
        assert!(board.cluster.is_some());
        let labels = board.labels.iter();
        let labels: Vec<_> = labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(labels, ["_namespace=kafka.producer", "region=eu-1"]);
        println!("    {} metrics, {nodes} of them of nodes", known.len());
    });
    Ok(())
}
