//! Metrics reporters: the order of their calls, and the handling of their failures.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use kafka_producer::{
    BoxError, CloseError, ClusterResourceListener, ConstructError, ConstructStep, Headers,
    KafkaProducer, Metric, MetricsContext, MetricsReporter, PartitionInput, Partitioner,
    PluginConfig, PluginKind, ProducerBuilder, ProducerConfigBuilder, ProducerInterceptor,
    ProducerRecord, ReconfigureError, SendError, Serialized, Serializer,
};

use crate::support::{LONG, Text, cluster, config, config_for, lines_of, record};

/// The calls of all plug-ins of a producer, in order.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap()
    }

    fn note(&self, who: &str, what: &str) {
        self.lines().push(format!("{who}: {what}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines())
    }
}

/// The behaviour of a reporter besides recording its calls: a function of the method and the metric's name.
type Behaviour = Box<dyn Fn(&str, &str) -> Result<(), BoxError> + Send + Sync>;

/// A plug-in of any kind that records its calls.
struct Notes {
    name: &'static str,
    journal: Journal,
    behaviour: Behaviour,
    #[allow(dead_code, reason = "dropped with it")]
    alive: Option<Sender<()>>,
}

fn notes(name: &'static str, journal: &Journal) -> Notes {
    notes_with(name, journal, |_, _| Ok(()))
}

fn notes_with(
    name: &'static str,
    journal: &Journal,
    behaviour: impl Fn(&str, &str) -> Result<(), BoxError> + Send + Sync + 'static,
) -> Notes {
    Notes {
        name,
        journal: journal.clone(),
        behaviour: Box::new(behaviour),
        alive: None,
    }
}

impl Notes {
    fn note(&self, method: &str, about: &str) -> Result<(), BoxError> {
        let text = format!("{method} {about}");
        self.journal.note(self.name, text.trim_end());
        (self.behaviour)(method, about)
    }
}

impl MetricsReporter for Notes {
    fn configure(&mut self, config: &PluginConfig) -> Result<(), BoxError> {
        self.note("configure", config.client_id())
    }

    fn context_change(&self, context: &MetricsContext) -> Result<(), BoxError> {
        let labels: Vec<_> = context
            .labels()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.note("context_change", &labels.join(","))
    }

    fn init(&self, metrics: &[Metric]) -> Result<(), BoxError> {
        self.note("init", &metrics.len().to_string())
    }

    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        self.note("metric_change", metric.name().name())
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        self.note("metric_removal", metric.name().name())
    }

    fn reconfigurable_configs(&self) -> Vec<String> {
        vec!["report.level".to_owned()]
    }

    fn validate_reconfiguration(&self, config: &PluginConfig) -> Result<(), BoxError> {
        let level = config.get("report.level").unwrap_or_default();
        self.note("validate_reconfiguration", level)?;
        level.parse::<u32>()?;
        Ok(())
    }

    fn reconfigure(&self, config: &PluginConfig) -> Result<(), BoxError> {
        self.note(
            "reconfigure",
            config.get("report.level").unwrap_or_default(),
        )
    }

    fn close(&self) -> Result<(), BoxError> {
        self.note("close", "")
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::new(IdListener(self.name, self.journal.clone())))
    }

    fn name(&self) -> &str {
        self.name
    }
}

struct IdListener(&'static str, Journal);

impl ClusterResourceListener for IdListener {
    fn on_update(&self, cluster_id: Option<&str>) {
        if let Some(id) = cluster_id {
            self.1.note(self.0, &format!("cluster {id}"));
        }
    }
}

impl Serializer<str> for Notes {
    fn configure(&mut self, _: &PluginConfig, _: bool) -> Result<(), BoxError> {
        self.note("configure", "")
    }

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(data.as_bytes().into()))
    }

    fn close(&self) -> Result<(), BoxError> {
        self.note("close", "")
    }
}

impl Partitioner<str, str> for Notes {
    fn configure(&mut self, _: &PluginConfig) -> Result<(), BoxError> {
        self.note("configure", "")
    }

    fn partition(&self, _: &PartitionInput<'_, str, str>) -> Result<i32, BoxError> {
        Ok(0)
    }

    fn close(&self) -> Result<(), BoxError> {
        self.note("close", "")
    }
}

impl ProducerInterceptor<str, str> for Notes {
    fn configure(&mut self, _: &PluginConfig) -> Result<(), BoxError> {
        self.note("configure", "")
    }

    fn on_send(&self, _: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        self.note("close", "")
    }
}

fn build(config: ProducerConfigBuilder) -> ProducerBuilder<str, str> {
    Text::builder(config.build().unwrap()).stock_serializers()
}

/// The configuration of a producer without brokers.
fn alone(client_id: &str) -> ProducerConfigBuilder {
    config_for("127.0.0.1:9").client_id(client_id)
}

const APP_INFO: [&str; 3] = ["version", "commit-id", "start-time-ms"];

/// The calls of the reporter `who`. Of the calls for metrics only a few are kept (additions of `count` and of the
/// app-info metrics, removals of `version`), because other metrics depend on topics and brokers.
fn own_lines(journal: &Journal, who: &str) -> Vec<String> {
    let lines = journal.lines();
    let prefix = format!("{who}: ");
    let of_who = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
    let own = of_who.filter(|line| match line.strip_prefix("metric_change ") {
        Some(metric) => metric == "count" || APP_INFO.contains(&metric),
        None => !line.starts_with("metric_removal") || line.ends_with("version"),
    });
    own.map(str::to_owned).collect()
}

/// Java: `KafkaProducer`, its constructor and `#close` (KP-1, KP-54)
#[test]
fn reporters_are_created_before_the_other_plug_ins_and_closed_after_interceptors() {
    let journal = Journal::default();
    let config = alone("order")
        .set("metric.reporters", "my.Reporter")
        .set("metrics.context.cluster", "eu-1")
        .set("metrics.context.", "nameless")
        .key_serializer_class("my.Key")
        .value_serializer_class("my.Value")
        .partitioner_class("my.Partitioner")
        .set("interceptor.classes", "my.Interceptor")
        .build()
        .unwrap();
    let make = |name: &'static str| {
        let journal = journal.clone();
        move || notes(name, &journal)
    };
    let (named, key, value) = (make("named"), make("key"), make("value"));
    let (partitioner, interceptor) = (make("partitioner"), make("interceptor"));
    let producer = Text::builder(config)
        .metrics_reporter(notes("given", &journal))
        .register_metrics_reporter("my.Reporter", move || Box::new(named()))
        .register_key_serializer("my.Key", move || Box::new(key()))
        .register_value_serializer("my.Value", move || Box::new(value()))
        .register_partitioner("my.Partitioner", move || Box::new(partitioner()))
        .register_interceptor("my.Interceptor", move || Box::new(interceptor()))
        .build()
        .unwrap();
    let lines = journal.take();
    assert_eq!(
        lines[..11],
        [
            // A reporter that is passed as an instance is not configured.
            "named: configure order",
            "named: context_change _namespace=kafka.producer,cluster=eu-1",
            "named: init 0",
            "given: context_change _namespace=kafka.producer,cluster=eu-1",
            "given: init 0",
            "named: metric_change count",
            "given: metric_change count",
            "partitioner: configure",
            "key: configure",
            "value: configure",
            "interceptor: configure",
        ]
    );
    // The metrics of the producer's parts come first; the sender thread may still be registering some of them.
    let app_info: Vec<_> = lines[11..]
        .iter()
        .filter(|line| APP_INFO.iter().any(|metric| line.ends_with(metric)))
        .collect();
    let expected = APP_INFO
        .map(|metric| ["named", "given"].map(|who| format!("{who}: metric_change {metric}")));
    assert_eq!(app_info, expected.iter().flatten().collect::<Vec<_>>());
    assert_eq!(producer.config().unused_keys(), ["metrics.context."]);
    producer.close().unwrap();
    let lines = journal.take();
    assert_eq!(
        lines[lines.len() - 12..],
        [
            "interceptor: close",
            "named: metric_removal version",
            "given: metric_removal version",
            "named: metric_removal commit-id",
            "given: metric_removal commit-id",
            "named: metric_removal start-time-ms",
            "given: metric_removal start-time-ms",
            "named: close",
            "given: close",
            "key: close",
            "value: close",
            "partitioner: close",
        ]
    );
    assert!(producer.metrics().get("app-info", "version", &[]).is_none());
    drop(producer);
    assert_eq!(journal.take(), [""; 0]);
}

/// Java: `KafkaProducerTest#testMetricsReporterAutoGeneratedClientId`
#[test]
fn a_reporter_is_configured_with_the_generated_client_id() {
    let journal = Journal::default();
    let inner = journal.clone();
    let config = config_for("127.0.0.1:9").set("metric.reporters", "my.Reporter");
    let producer = build(config)
        .register_metrics_reporter("my.Reporter", move || Box::new(notes("it", &inner)))
        .build()
        .unwrap();
    let name = producer.config().client_id().to_owned();
    assert!(name.starts_with("producer-"), "{name}");
    assert_eq!(journal.lines()[0], format!("it: configure {name}"));
    let count = producer.metrics().get("kafka-metrics-count", "count", &[]);
    assert_eq!(count.unwrap().name().tag("client-id"), Some(&*name));
    producer.close().unwrap();
}

#[test]
fn an_unregistered_reporter_name_is_rejected_with_the_remedy() {
    let journal = Journal::default();
    let inner = journal.clone();
    let config = alone("unknown").set("metric.reporters", "my.Reporter,com.example.Graphite");
    let error = build(config)
        .register_metrics_reporter("my.Reporter", move || Box::new(notes("it", &inner)))
        .build()
        .unwrap_err();
    let ConstructError::Config(error) = error else {
        panic!("{error}");
    };
    let parts = (error.key(), error.value(), error.is_not_built());
    let wrong = (
        Some("metric.reporters"),
        Some("com.example.Graphite"),
        false,
    );
    assert_eq!(parts, wrong);
    let remedy = error.remedy();
    assert!(remedy.contains("register_metrics_reporter()"), "{remedy}");
    // The reporter that is listed before the unregistered one was created, but not initialized.
    assert_eq!(*journal.lines(), ["it: configure unknown", "it: close"]);
}

#[test]
fn a_reporter_list_with_an_extra_comma_is_rejected_with_the_remedy() {
    for list in [",", "my.Reporter,"] {
        let error = build(alone("comma").set("metric.reporters", list))
            .register_metrics_reporter("my.Reporter", || Box::new(notes("it", &Journal::default())))
            .build()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "metric.reporters: has a comma without a name on one side. Remove that comma."
        );
    }
}

const JMX: &str = "org.apache.kafka.common.metrics.JmxReporter";

#[test]
fn a_configured_jmx_reporter_causes_one_log_line() {
    let lines = lines_of("no-jmx");
    let journal = Journal::default();
    let config = alone("no-jmx")
        .set("metric.reporters", JMX)
        .set("metrics.jmx.include", "kafka.producer:.*")
        .set("auto.include.jmx.reporter", "true");
    let producer = build(config)
        .metrics_reporter(notes("it", &journal))
        .build()
        .unwrap();
    let logged: Vec<_> = lines()
        .into_iter()
        .filter(|line| !line.contains("configuration in effect") && line.contains("jmx."))
        .collect();
    assert_eq!(logged.len(), 1, "{logged:?}");
    for name in [JMX, "metrics.jmx.include", "auto.include.jmx.reporter"] {
        assert!(logged[0].contains(name), "{logged:?}");
    }
    assert_eq!(producer.config().unused_keys(), [""; 0]);
    // Other reporters are notified as usual.
    assert_eq!(journal.lines()[1], "it: init 0");
    producer.close().unwrap();
}

#[test]
fn a_reporter_may_be_registered_with_the_name_of_the_jmx_reporter() {
    let lines = lines_of("own-jmx");
    let journal = Journal::default();
    let inner = journal.clone();
    let producer = build(alone("own-jmx").set("metric.reporters", JMX))
        .register_metrics_reporter(JMX, move || Box::new(notes("it", &inner)))
        .build()
        .unwrap();
    assert_eq!(journal.lines()[0], "it: configure own-jmx");
    let logged = lines();
    let of_jmx = logged.iter().filter(|line| line.contains("no JMX"));
    assert_eq!(of_jmx.count(), 0, "{logged:?}");
    producer.close().unwrap();
}

/// Java: `KafkaProducerTest#testConstructorFailureCloseResource`
#[test]
fn a_reporter_that_fails_to_start_fails_the_construction_and_all_reporters_are_closed() {
    for (method, panics) in [
        ("context_change", false),
        ("init", false),
        ("init", true),
        ("cluster_listener", true),
    ] {
        let journal = Journal::default();
        let fails = notes_with("bad", &journal, move |called, _| {
            assert!(!(called == method && panics), "no port");
            if called == method {
                return Err("no port".into());
            }
            Ok(())
        });
        let builder = build(alone("bad")).metrics_reporter(notes("good", &journal));
        let error = if method == "cluster_listener" {
            builder.metrics_reporter(NoListener).build()
        } else {
            builder.metrics_reporter(fails).build()
        };
        match error.unwrap_err() {
            ConstructError::Failed { step, source } => {
                let kind = match method {
                    "cluster_listener" => PluginKind::ClusterListener,
                    _ => PluginKind::MetricsReporter,
                };
                assert_eq!(step, ConstructStep::Plugin(kind));
                let text = source.to_string();
                assert!(text.contains(method) && text.contains("no port"), "{text}");
            }
            error => panic!("{error}"),
        }
        assert!(journal.lines().contains(&"good: close".to_owned()));
    }
}

struct NoListener;

impl MetricsReporter for NoListener {
    fn metric_change(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        panic!("no port")
    }
}

#[test]
fn a_failing_reporter_is_logged_by_name_and_does_not_affect_another() {
    let lines = lines_of("two");
    let cluster = cluster(1);
    let journal = Journal::default();
    let bad = notes_with("billing::Bad", &journal, |method, about| match method {
        "metric_change" => Err(format!("cannot {about}").into()),
        "metric_removal" | "close" => panic!("never {about}"),
        _ => Ok(()),
    });
    let producer = build(config(&cluster).client_id("two"))
        .metrics_reporter(bad)
        .metrics_reporter(notes("good", &journal))
        .build()
        .unwrap();
    producer.send(record("v")).unwrap().get().unwrap();
    match producer.close() {
        Err(CloseError::Plugin(why)) => assert_eq!(
            &*why,
            "the metrics reporter billing::Bad panicked in close: never "
        ),
        other => panic!("{other:?}"),
    }
    let id = cluster.cluster_id();
    for who in ["billing::Bad", "good"] {
        let calls = own_lines(&journal, who);
        assert_eq!(calls[0], "context_change _namespace=kafka.producer");
        assert!(calls.contains(&format!("cluster {id}")), "{calls:?}");
        let others = calls.iter().filter(|line| !line.starts_with("cluster"));
        assert_eq!(
            others.collect::<Vec<_>>(),
            [
                "context_change _namespace=kafka.producer",
                "init 0",
                "metric_change count",
                "metric_change version",
                "metric_change commit-id",
                "metric_change start-time-ms",
                "metric_removal version",
                "close",
            ]
        );
    }
    let first = lines().into_iter().find(|line| line.contains("Bad"));
    let first = first.expect("there is a line");
    let expected = "the metrics reporter billing::Bad failed in metric_change for \
                    kafka-metrics-count:count:{client-id=two}: cannot count";
    assert!(first.contains(expected), "{first}");
}

/// A reporter that reads all metrics each time it is notified of one.
struct Reads(Arc<Mutex<BTreeMap<String, Metric>>>);

impl MetricsReporter for Reads {
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        let mut known = self.0.lock().unwrap();
        known.insert(metric.name().to_string(), metric.clone());
        for metric in known.values() {
            let _ = metric.value();
        }
        Ok(())
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        let gone = self.0.lock().unwrap().remove(&metric.name().to_string());
        assert!(gone.is_some_and(|gone| gone.value() == metric.value()));
        Ok(())
    }
}

#[test]
fn reporters_are_notified_of_all_metrics_of_the_producer() {
    let cluster = cluster(1);
    let known: Arc<Mutex<BTreeMap<String, Metric>>> = Arc::default();
    let producer = build(config(&cluster))
        .metrics_reporter(Reads(Arc::clone(&known)))
        .build()
        .unwrap();
    producer.send(record("v")).unwrap().get().unwrap();
    // After close no metric is added or removed.
    producer.close().unwrap();
    let metrics = producer.metrics();
    let all = metrics.all();
    let mut all: Vec<_> = all.iter().map(|metric| metric.name().to_string()).collect();
    all.sort();
    let known: Vec<String> = known.lock().unwrap().keys().cloned().collect();
    assert_eq!(known, all);
    let count = metrics.get("kafka-metrics-count", "count", &[]).unwrap();
    assert_eq!(count.value().as_f64(), Some(all.len() as f64));
}

#[test]
fn reporters_are_reconfigured_at_runtime() {
    let journal = Journal::default();
    let producer = build(alone("reconfigured").set("report.level", "1"))
        .metrics_reporter(notes("it", &journal))
        .build()
        .unwrap();
    journal.take();
    // All keys of a file may be given: unchanged keys are ignored.
    let mut file = producer.config().originals().clone();
    producer
        .reconfigure_metrics_reporters(file.clone())
        .unwrap();
    assert_eq!(journal.take(), [""; 0]);
    file.insert("report.level".to_owned(), "2".to_owned());
    producer.reconfigure_metrics_reporters(file).unwrap();
    assert_eq!(
        journal.take(),
        ["it: validate_reconfiguration 2", "it: reconfigure 2"]
    );
    let error = producer
        .reconfigure_metrics_reporters([("report.level", "high")])
        .unwrap_err();
    assert!(matches!(error, ReconfigureError::Refused { .. }));
    let text = kafka_producer::Error::from(error).to_string();
    assert!(
        text.contains("nothing was changed: the metrics reporter it"),
        "{text}"
    );
    assert_eq!(journal.take(), ["it: validate_reconfiguration high"]);
    let error = producer
        .reconfigure_metrics_reporters([("linger.ms", "5")])
        .unwrap_err();
    let key = "linger.ms".to_owned();
    assert_eq!(error, ReconfigureError::NotReconfigurable { key });
    producer.close().unwrap();
    let error = producer.reconfigure_metrics_reporters([("report.level", "3")]);
    assert_eq!(error, Err(ReconfigureError::Closed));
}

/// The metrics of a topic are registered on the sender thread, after its first request was sent. A reporter that blocks
/// there blocks the sender, and nothing else.
#[test]
fn a_reporter_blocking_in_metric_change_blocks_only_the_sender() {
    let cluster = cluster(1);
    let journal = Journal::default();
    let (entered, inside) = channel();
    let (open, gate) = channel::<()>();
    let (entered, gate) = (Mutex::new(entered), Mutex::new(gate));
    let blocks = notes_with("slow", &journal, move |method, about| {
        // The last metric that is registered for a topic.
        if (method, about) == ("metric_change", "record-error-total") {
            let here = thread::current().name().unwrap_or_default().to_owned();
            // The metric of the same name for all topics together is registered while the producer is built.
            if here.contains("network-thread") {
                entered.lock().unwrap().send(())?;
                gate.lock().unwrap().recv_timeout(LONG)?;
            }
        }
        Ok(())
    });
    let producer = build(config(&cluster).client_id("slow"))
        .metrics_reporter(blocks)
        .build()
        .unwrap();
    let first = producer.send(record("first")).unwrap();
    inside.recv_timeout(LONG).unwrap();
    let second = producer.send(record("second")).unwrap();
    let sent = producer
        .metrics()
        .get(
            "producer-topic-metrics",
            "record-send-total",
            &[("topic", "t")],
        )
        .unwrap();
    assert_eq!(sent.value().as_f64(), Some(1.0), "the first is under way");
    assert!(!first.is_done() && !second.is_done());
    open.send(()).unwrap();
    assert_eq!(first.get().unwrap().offset(), 0);
    assert_eq!(second.get().unwrap().offset(), 1);
    producer.close().unwrap();
}

/// Only the call of `close` in which the reporter runs is blocked.
#[test]
fn a_reporter_blocking_in_close_blocks_only_close() {
    let cluster = cluster(1);
    let journal = Journal::default();
    let (entered, inside) = channel();
    let (open, gate) = channel::<()>();
    let (entered, gate) = (Mutex::new(entered), Mutex::new(gate));
    let blocks = notes_with("slow", &journal, move |method, _| {
        if method == "close" {
            entered.lock().unwrap().send(())?;
            gate.lock().unwrap().recv_timeout(LONG)?;
        }
        Ok(())
    });
    let producer = build(config(&cluster))
        .metrics_reporter(blocks)
        .build()
        .unwrap();
    let future = producer.send(record("v")).unwrap();
    thread::scope(|scope| {
        let closing = scope.spawn(|| producer.close());
        inside.recv_timeout(LONG).unwrap();
        assert_eq!(future.get().unwrap().offset(), 0);
        assert!(matches!(
            producer.send(record("late")),
            Err(SendError::Closed)
        ));
        assert!(!producer.metrics().is_empty());
        let late = producer.reconfigure_metrics_reporters([("report.level", "3")]);
        assert_eq!(late, Err(ReconfigureError::Closed));
        assert!(!closing.is_finished());
        open.send(()).unwrap();
        closing.join().unwrap().unwrap();
    });
}

/// A reporter whose drop panics.
struct Bomb(#[allow(dead_code, reason = "dropped")] Notes);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("planted");
    }
}

impl MetricsReporter for Bomb {
    fn metric_change(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        MetricsReporter::close(&self.0)
    }
}

#[test]
fn a_dropped_producer_closes_and_drops_all_reporters_even_if_one_panics_when_dropped() {
    let journal = Journal::default();
    let (alive, gone): (_, Receiver<()>) = channel();
    let held = || {
        let mut held = notes("it", &journal);
        held.alive = Some(alive.clone());
        held
    };
    let producer: KafkaProducer<str, str> = build(alone("dropped"))
        .metrics_reporter(Bomb(held()))
        .metrics_reporter(held())
        .build()
        .unwrap();
    let kept = producer.metrics();
    drop(alive);
    journal.take();
    drop(producer);
    let closed = journal.take();
    let closed = closed.iter().filter(|line| *line == "it: close").count();
    assert_eq!(closed, 2);
    let end = gone.recv_timeout(LONG);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected));
    // The same holds for a producer that cannot be built.
    let nowhere = alone("nowhere").set("bootstrap.servers", "no-such-host.invalid:9092");
    let bomb = Bomb(notes("it", &journal));
    assert!(build(nowhere).metrics_reporter(bomb).build().is_err());
    assert_eq!(journal.take(), ["it: close"]);
    // Metrics that are kept do not keep their reporter alive.
    assert!(kept.get("kafka-metrics-count", "count", &[]).is_some());
}
