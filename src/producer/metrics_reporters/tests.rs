use std::sync::OnceLock;

use super::*;
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Instant};
use crate::metrics::tables::TopicSensor;
use crate::metrics::{MetricValue, Metrics};

type Calls = Arc<Mutex<Vec<String>>>;

/// The result of each call of a reporter, by the method's name.
type Mood = fn(&str) -> Result<(), BoxError>;

/// A reporter that records each call as `name method argument`.
struct Notes {
    name: &'static str,
    calls: Calls,
    mood: Mood,
    keys: &'static [&'static str],
}

impl Notes {
    fn note(&self, method: &str, what: impl fmt::Display) -> Result<(), BoxError> {
        let call = format!("{} {method} {what}", self.name);
        self.calls.lock().push(call.trim_end().to_owned());
        (self.mood)(method)
    }
}

fn short(metric: &Metric) -> String {
    let name = metric.name();
    let topic = name.tag("topic").unwrap_or("-");
    format!("{}:{}", topic, name.name())
}

impl MetricsReporter for Notes {
    fn context_change(&self, context: &MetricsContext) -> Result<(), BoxError> {
        self.note("context_change", context.namespace())
    }

    fn init(&self, metrics: &[Metric]) -> Result<(), BoxError> {
        self.note("init", metrics.len())
    }

    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        self.note("metric_change", short(metric))
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        self.note("metric_removal", short(metric))
    }

    fn reconfigurable_configs(&self) -> Vec<String> {
        self.keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn validate_reconfiguration(&self, config: &PluginConfig) -> Result<(), BoxError> {
        self.note("validate_reconfiguration", text(config))
    }

    fn reconfigure(&self, config: &PluginConfig) -> Result<(), BoxError> {
        self.note("reconfigure", text(config))
    }

    fn close(&self) -> Result<(), BoxError> {
        self.note("close", "")
    }

    fn name(&self) -> &str {
        self.name
    }
}

fn text(config: &PluginConfig) -> String {
    let entries = config.iter().map(|(key, value)| format!("{key}={value}"));
    entries.collect::<Vec<_>>().join(" ")
}

struct Rig {
    clock: Arc<MockClock>,
    registry: Arc<MetricsRegistry>,
    calls: Calls,
}

fn rig() -> Rig {
    let clock = Arc::new(MockClock::new());
    Rig {
        registry: MetricsRegistry::for_tests(Arc::clone(&clock) as Arc<dyn Clock>),
        clock,
        calls: Arc::new(Mutex::new(Rank::LEAF, Vec::new())),
    }
}

impl Rig {
    fn reporter(&self, name: &'static str, mood: Mood) -> Box<dyn MetricsReporter> {
        self.reporter_of(name, mood, &[])
    }

    fn reporter_of(
        &self,
        name: &'static str,
        mood: Mood,
        keys: &'static [&'static str],
    ) -> Box<dyn MetricsReporter> {
        Box::new(Notes {
            name,
            calls: Arc::clone(&self.calls),
            mood,
            keys,
        })
    }

    fn reporters(&self, reporters: Vec<Box<dyn MetricsReporter>>) -> Arc<MetricsReporters> {
        let config = PluginConfig::new("me", [("level", "1"), ("url", "a")]);
        let instance = Instance::on_clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        MetricsReporters::new(reporters, config, instance)
    }

    fn begun(&self, reporters: Vec<Box<dyn MetricsReporter>>) -> Arc<MetricsReporters> {
        let reporters = self.reporters(reporters);
        let context = MetricsContext::new("kafka.producer", [("", ""); 0]);
        reporters.begin(&context, &self.registry).unwrap();
        reporters
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock())
    }
}

const CONTENT: Mood = |_| Ok(());

fn fails(_: &str) -> Result<(), BoxError> {
    Err("planted".into())
}

const PANICS_ONCE_BEGUN: Mood = |method| {
    assert!(matches!(method, "context_change" | "init"), "planted");
    Ok(())
};

/// Java: `Metrics`, its constructor, #registerMetric, #removeMetric, #close
#[test]
fn reporters_are_called_in_order_from_the_context_to_the_close() {
    let rig = rig();
    let reporters = rig.begun(vec![
        rig.reporter("first", CONTENT),
        rig.reporter("second", CONTENT),
    ]);
    assert_eq!(
        rig.take_calls(),
        [
            "first context_change kafka.producer",
            "first init 0",
            "second context_change kafka.producer",
            "second init 0",
        ]
    );
    let orders = rig.registry.add::<TopicSensor>(&["orders"]);
    let added = rig.take_calls();
    assert_eq!(added.len(), 2 * 9);
    assert_eq!(
        added[..2],
        [
            "first metric_change orders:record-send-rate",
            "second metric_change orders:record-send-rate"
        ]
    );
    rig.registry.remove(&orders);
    let removed = rig.take_calls();
    assert_eq!(removed.len(), 2 * 9);
    assert_eq!(removed[0], "first metric_removal orders:record-send-rate");
    reporters.close().unwrap();
    reporters.close().unwrap();
    // Later metrics are not reported.
    let late = rig.registry.add::<TopicSensor>(&["late"]);
    rig.registry.remove(&late);
    assert_eq!(rig.take_calls(), ["first close", "second close"]);
}

#[test]
fn an_error_of_a_reporters_init_fails_the_construction_and_no_reporter_is_notified() {
    let rig = rig();
    let reporters = rig.reporters(vec![
        rig.reporter("first", CONTENT),
        rig.reporter("second", |method| match method {
            "init" => Err("no port".into()),
            _ => Ok(()),
        }),
    ]);
    let context = MetricsContext::new("kafka.producer", [("", ""); 0]);
    let failure = reporters.begin(&context, &rig.registry).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "the metrics reporter second failed in init: no port"
    );
    rig.take_calls();
    rig.registry.add::<TopicSensor>(&["orders"]);
    assert_eq!(rig.take_calls(), [""; 0]);
}

/// The error of a reporter is logged, and the others are called.
#[test]
fn a_reporter_that_fails_or_panics_at_every_call_does_not_affect_the_others() {
    let rig = rig();
    let reporters = rig.begun(vec![
        rig.reporter("bad", PANICS_ONCE_BEGUN),
        rig.reporter("good", CONTENT),
    ]);
    rig.take_calls();
    let orders = rig.registry.add::<TopicSensor>(&["orders"]);
    rig.registry.remove(&orders);
    let failure = reporters.close().unwrap_err();
    assert_eq!(
        failure.to_string(),
        "the metrics reporter bad panicked in close: planted"
    );
    let calls = rig.take_calls();
    let of = |name: &str| calls.iter().filter(|call| call.starts_with(name)).count();
    assert_eq!((of("bad"), of("good")), (19, 19));
}

/// A reporter whose `name` panics. Its name is read when it fails.
struct Nameless;

impl MetricsReporter for Nameless {
    fn metric_change(&self, _: &Metric) -> Result<(), BoxError> {
        Err("planted".into())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        Err("planted".into())
    }

    fn name(&self) -> &str {
        panic!("no name")
    }
}

impl Drop for Nameless {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "and no end");
    }
}

#[test]
fn a_reporter_whose_name_and_drop_panic_does_not_affect_the_others() {
    let rig = rig();
    let reporters = rig.begun(vec![Box::new(Nameless), rig.reporter("good", CONTENT)]);
    rig.take_calls();
    rig.registry.add::<TopicSensor>(&["orders"]);
    let failure = reporters.close().unwrap_err();
    assert_eq!(
        failure.to_string(),
        "the metrics reporter (whose name panicked: no name) failed in close: planted"
    );
    assert_eq!(rig.take_calls().len(), 9 + 1);
    drop(reporters);
    rig.registry.add::<TopicSensor>(&["late"]);
    assert_eq!(rig.take_calls(), [""; 0]);
}

#[test]
fn of_thousands_of_failures_ten_lines_a_second_are_logged_and_the_others_counted() {
    const TOPICS: u64 = 3_000;
    let rig = rig();
    let reporters = rig.begun(vec![rig.reporter("bad", |method| match method {
        "context_change" | "init" => Ok(()),
        method => fails(method),
    })]);
    for number in 0..TOPICS {
        let topic = rig.registry.add::<TopicSensor>(&[&number.to_string()]);
        rig.registry.remove(&topic);
    }
    assert_eq!(rig.take_calls().len() as u64, 2 + TOPICS * 2 * 9);
    assert_eq!(rig.registry.len(), 0);
    rig.clock.advance(std::time::Duration::from_secs(1));
    let left_out = reporters.lines.lock().admit(rig.clock.now()).unwrap();
    let count = (TOPICS * 2 * 9 - 10).to_string();
    assert!(left_out.to_string().contains(&count), "{left_out}");
}

/// A reporter that reads all metrics at every call.
struct Asks {
    metrics: Arc<OnceLock<Metrics>>,
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Asks {
    fn ask(&self, metric: &Metric) {
        let Some(metrics) = self.metrics.get() else {
            return;
        };
        for other in metrics.all() {
            let _ = other.value();
        }
        let _ = metric.value();
        let count = metrics.len();
        self.seen.lock().push(count);
    }
}

impl MetricsReporter for Asks {
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        self.ask(metric);
        Ok(())
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        self.ask(metric);
        Ok(())
    }
}

#[test]
fn a_reporter_may_read_metrics_while_they_are_added_removed_and_recorded() {
    let rig = rig();
    let (handle, seen) = (Arc::default(), Arc::new(Mutex::new(Rank::LEAF, Vec::new())));
    let _reporters = rig.begun(vec![Box::new(Asks {
        metrics: Arc::clone(&handle),
        seen: Arc::clone(&seen),
    })]);
    let metrics = Metrics::new(Arc::clone(&rig.registry));
    assert!(handle.set(metrics).is_ok());
    let always = rig.registry.add::<TopicSensor>(&["always"]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (registry, always) = (&rig.registry, &always);
            scope.spawn(move || {
                for number in 0..50 {
                    let name = format!("{thread}-{number}");
                    let topic = registry.add::<TopicSensor>(&[&name]);
                    topic.record(TopicSensor::Records, 1.0, Instant::ORIGIN);
                    always.record(TopicSensor::Records, 1.0, Instant::ORIGIN);
                    registry.remove(&topic);
                }
            });
        }
    });
    let seen = seen.lock();
    assert_eq!(seen.len(), 9 + 200 * 2 * 9);
    // No group of nine metrics was read half registered.
    assert!(seen.iter().all(|count| count % 9 == 0 && *count <= 5 * 9));
}

/// A reporter that keeps the metrics that it gets. The reference count of its `Arc` shows whether it was dropped.
struct Keeps(
    Mutex<Vec<Metric>>,
    #[allow(dead_code, reason = "counts")] Arc<()>,
);

impl MetricsReporter for Keeps {
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        self.0.lock().push(metric.clone());
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn a_reporter_is_dropped_with_its_producer_even_if_metrics_or_registries_are_kept() {
    let rig = rig();
    let alive = Arc::new(());
    let keeps = Keeps(Mutex::new(Rank::LEAF, Vec::new()), Arc::clone(&alive));
    let reporters = rig.begun(vec![Box::new(keeps)]);
    crate::producer::app_info::register_count(&rig.registry);
    let count = rig.registry.metrics().remove(0);
    assert_eq!(count.value(), MetricValue::Number(1.0));
    drop(reporters);
    assert_eq!(Arc::strong_count(&alive), 1);
    rig.registry.add::<TopicSensor>(&["late"]);
    assert_eq!(count.value(), MetricValue::Number(10.0));
}

fn change(reporters: &MetricsReporters, entries: &[(&str, &str)]) -> Result<(), ReconfigureError> {
    let entries = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    reporters.reconfigure(&entries.collect())
}

/// Java: `DynamicMetricsReporters`
#[test]
fn reporters_of_a_changed_key_validate_it_before_any_is_reconfigured() {
    let rig = rig();
    let reporters = rig.reporters(vec![
        rig.reporter_of("a", CONTENT, &["level"]),
        rig.reporter_of("b", CONTENT, &["level", "url"]),
        rig.reporter_of("c", CONTENT, &["other"]),
    ]);
    change(&reporters, &[("level", "2"), ("url", "a")]).unwrap();
    assert_eq!(
        rig.take_calls(),
        [
            "a validate_reconfiguration client.id=me level=2 url=a",
            "b validate_reconfiguration client.id=me level=2 url=a",
            "a reconfigure client.id=me level=2 url=a",
            "b reconfigure client.id=me level=2 url=a",
        ]
    );
    // The same value again is no change, and earlier changes are kept.
    change(&reporters, &[("level", "2")]).unwrap();
    assert_eq!(rig.take_calls(), [""; 0]);
    change(&reporters, &[("url", "z")]).unwrap();
    assert_eq!(
        rig.take_calls(),
        [
            "b validate_reconfiguration client.id=me level=2 url=z",
            "b reconfigure client.id=me level=2 url=z",
        ]
    );
}

#[test]
fn a_key_of_no_reporter_is_refused_and_nothing_is_changed() {
    let rig = rig();
    let reporters = rig.reporters(vec![rig.reporter_of("a", CONTENT, &["level"])]);
    let refused = change(&reporters, &[("level", "2"), ("linger.ms", "5")]).unwrap_err();
    assert!(refused.to_string().contains("linger.ms"), "{refused}");
    assert_eq!(
        refused,
        ReconfigureError::NotReconfigurable {
            key: "linger.ms".to_owned()
        }
    );
    assert_eq!(rig.take_calls(), [""; 0]);
}

#[test]
fn no_reporter_is_reconfigured_if_one_refuses_but_the_others_are_if_one_fails() {
    let rig = rig();
    let reporters = rig.reporters(vec![
        rig.reporter_of("a", CONTENT, &["level"]),
        rig.reporter_of("b", fails, &["level"]),
    ]);
    let error = change(&reporters, &[("level", "2")]).unwrap_err();
    let ReconfigureError::Refused { why } = error else {
        panic!("{error}");
    };
    assert!(why.contains("reporter b failed in validate_reconfiguration: planted"));
    assert_eq!(rig.take_calls().len(), 2);
    let reporters = rig.reporters(vec![
        rig.reporter_of(
            "a",
            |method| {
                assert_ne!(method, "reconfigure", "planted");
                Ok(())
            },
            &["level"],
        ),
        rig.reporter_of("b", CONTENT, &["level"]),
    ]);
    for _ in 0..2 {
        let error = change(&reporters, &[("level", "2")]).unwrap_err();
        let ReconfigureError::Failed { why } = error else {
            panic!("{error}");
        };
        assert!(why.contains("reporter a panicked in reconfigure"), "{why}");
        assert_eq!(
            rig.take_calls()[3],
            "b reconfigure client.id=me level=2 url=a"
        );
    }
}

/// A reporter that reconfigures all reporters while it is being reconfigured.
struct Again(Arc<OnceLock<Weak<MetricsReporters>>>);

impl MetricsReporter for Again {
    fn metric_change(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn reconfigurable_configs(&self) -> Vec<String> {
        vec!["level".to_owned()]
    }

    fn reconfigure(&self, _: &PluginConfig) -> Result<(), BoxError> {
        let reporters = self.0.get().and_then(Weak::upgrade).ok_or("gone")?;
        change(&reporters, &[("level", "3")])?;
        Ok(())
    }
}

#[test]
fn reconfiguring_inside_a_reporter_or_after_the_close_is_refused() {
    let rig = rig();
    let handle = Arc::new(OnceLock::new());
    let reporters = rig.reporters(vec![Box::new(Again(Arc::clone(&handle)))]);
    handle.set(Arc::downgrade(&reporters)).unwrap();
    let error = change(&reporters, &[("level", "2")]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&ReconfigureError::UnderWay.to_string()),
        "{error}"
    );
    reporters.close().unwrap();
    let late = change(&reporters, &[("level", "2")]).unwrap_err();
    assert_eq!(late, ReconfigureError::Closed);
}

/// A reporter that closes all reporters, as another thread may, inside its method with this name.
struct ClosesIn(&'static str, Arc<OnceLock<Weak<MetricsReporters>>>);

impl ClosesIn {
    fn maybe_close(&self, method: &str) -> Result<(), BoxError> {
        if method == self.0 {
            let reporters = self.1.get().and_then(Weak::upgrade).ok_or("gone")?;
            reporters.close()?;
        }
        Ok(())
    }
}

impl MetricsReporter for ClosesIn {
    fn metric_change(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn reconfigurable_configs(&self) -> Vec<String> {
        self.maybe_close("reconfigurable_configs").unwrap();
        vec!["level".to_owned()]
    }

    fn validate_reconfiguration(&self, _: &PluginConfig) -> Result<(), BoxError> {
        self.maybe_close("validate_reconfiguration")
    }

    fn reconfigure(&self, _: &PluginConfig) -> Result<(), BoxError> {
        self.maybe_close("reconfigure")
    }
}

#[test]
fn a_reconfiguration_calls_no_reporter_after_a_concurrent_close_and_returns_an_error() {
    for (method, earlier) in [
        ("reconfigurable_configs", 0),
        ("validate_reconfiguration", 0),
        ("reconfigure", 1),
    ] {
        let rig = rig();
        let handle = Arc::new(OnceLock::new());
        let reporters = rig.reporters(vec![
            Box::new(ClosesIn(method, Arc::clone(&handle))),
            rig.reporter_of("b", CONTENT, &["level"]),
        ]);
        handle.set(Arc::downgrade(&reporters)).unwrap();
        let error = change(&reporters, &[("level", "2")]).unwrap_err();
        assert_eq!(error, ReconfigureError::Closed, "{method}");
        let calls = rig.take_calls();
        assert_eq!(calls.len(), earlier + 1, "{method}: {calls:?}");
        assert_eq!(calls.last().map(String::as_str), Some("b close"));
    }
}
