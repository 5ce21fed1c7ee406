//! Construction that fails at each of its steps in turn: the parts built so far are closed, no thread or file is left,
//! and the cause is returned.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::PluginConfig;
use crate::error::{BoxError, ProducerFailure, SendError};
use crate::metrics::Metric;
use crate::metrics::definition::family;
use crate::producer::instance::InstanceId;
use crate::producer::lifecycle::Spawn;
use crate::producer::lifecycle_state::LifecycleState;
use crate::producer::metrics_reporter::MetricsReporter;
use crate::producer::partitioner::PartitionInput;
use crate::producer::record::ProducerRecord;
use crate::producer::serializer::Serialized;
use crate::record::header::Headers;
use crate::types::PartitionId;
use crate::util::process::Process;

/// How often a builder's plug-ins were configured and closed.
#[derive(Debug, Default)]
struct Life {
    configured: AtomicUsize,
    closed: AtomicUsize,
}

impl Life {
    fn open(&self) -> usize {
        self.configured.load(Ordering::SeqCst) - self.closed.load(Ordering::SeqCst)
    }

    fn configure(&self, fault: Fault) -> Result<(), BoxError> {
        self.configured.fetch_add(1, Ordering::SeqCst);
        match fault {
            Fault::None => Ok(()),
            Fault::Error => Err("planted".into()),
            Fault::Panic => panic!("planted"),
        }
    }

    fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Error,
    Panic,
}

struct Plugin {
    life: Arc<Life>,
    fault: Fault,
}

impl Serializer<str> for Plugin {
    fn configure(&mut self, _: &PluginConfig, _: bool) -> Result<(), BoxError> {
        self.life.configure(self.fault)
    }

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a str,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(Some(Serialized::Borrowed(data.as_bytes())))
    }

    fn close(&self) -> Result<(), BoxError> {
        self.life.close();
        Ok(())
    }
}

impl Partitioner<str, str> for Plugin {
    fn configure(&mut self, _: &PluginConfig) -> Result<(), BoxError> {
        self.life.configure(self.fault)
    }

    fn partition(&self, _: &PartitionInput<'_, str, str>) -> Result<PartitionId, BoxError> {
        Ok(0)
    }

    fn close(&self) -> Result<(), BoxError> {
        self.life.close();
        Ok(())
    }
}

impl ProducerInterceptor<str, str> for Plugin {
    fn configure(&mut self, _: &PluginConfig) -> Result<(), BoxError> {
        self.life.configure(self.fault)
    }

    fn on_send(&self, _: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        self.life.close();
        Ok(())
    }
}

impl MetricsReporter for Plugin {
    fn configure(&mut self, _: &PluginConfig) -> Result<(), BoxError> {
        self.life.configure(self.fault)
    }

    fn metric_change(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn close(&self) -> Result<(), BoxError> {
        self.life.close();
        Ok(())
    }
}

/// The steps that can fail, in their order.
const STEPS: [&str; 8] = [
    "metrics reporter",
    "partitioner",
    "key serializer",
    "value serializer",
    "interceptor",
    "bootstrap",
    "network client",
    "sender thread",
];

/// A builder whose plug-ins come from the configuration, with `fault` at `step`.
fn builder(step: &str, fault: Fault, life: &Arc<Life>) -> ProducerBuilder<str, str> {
    let servers = if step == "bootstrap" {
        "no-such-host.invalid:9092"
    } else {
        "127.0.0.1:9"
    };
    let config = ProducerConfig::builder()
        .bootstrap_servers([servers])
        .set("client.id", "construction")
        .set("key.serializer", "planted.Key")
        .set("value.serializer", "planted.Value")
        .set("partitioner.class", "planted.Partitioner")
        .set("interceptor.classes", "planted.First,planted.Second")
        .set("metric.reporters", "planted.One,planted.Other")
        .build()
        .unwrap();
    let plugin = |name: &'static str| {
        let fault = if name == step { fault } else { Fault::None };
        let life = Arc::clone(life);
        move || Plugin {
            life: Arc::clone(&life),
            fault,
        }
    };
    let (key, value) = (plugin("key serializer"), plugin("value serializer"));
    let (partitioner, first, second) =
        (plugin("partitioner"), plugin("none"), plugin("interceptor"));
    let (one, other) = (plugin("none"), plugin("metrics reporter"));
    KafkaProducer::builder(config)
        .register_metrics_reporter("planted.One", move || Box::new(one()))
        .register_metrics_reporter("planted.Other", move || Box::new(other()))
        .register_key_serializer("planted.Key", move || Box::new(key()))
        .register_value_serializer("planted.Value", move || Box::new(value()))
        .register_partitioner("planted.Partitioner", move || Box::new(partitioner()))
        .register_interceptor("planted.First", move || Box::new(first()))
        .register_interceptor("planted.Second", move || Box::new(second()))
}

fn build(
    step: &str,
    fault: Fault,
    life: &Arc<Life>,
) -> Result<KafkaProducer<str, str>, ConstructError> {
    let client_fails = step == "network client";
    let spawn: Spawn = if step == "sender thread" {
        Box::new(|_, _| Err(io::Error::other("planted")))
    } else {
        system_spawn()
    };
    builder(step, fault, life).build_with(Seams {
        clock: Arc::new(SystemClock::new()),
        seed: 7,
        names: NameLookUps::of_system(),
        random: random_of_system(),
        make_client: Box::new(move |parts| {
            if client_fails {
                return Err(io::Error::other("planted"));
            }
            network_client(parts)
        }),
        spawn,
    })
}

/// Threads of producers in this process. The system cuts their names to 15 bytes.
fn producer_threads() -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("kafka-producer-"))
        .count()
}

/// Java: KafkaProducerTest#testConstructorFailureCloseResource, KP-2, KAFKA-13950
#[test]
fn a_failure_at_any_step_closes_the_parts_built_so_far_and_keeps_the_cause() {
    for step in STEPS {
        let is_plugin = STEPS[..5].contains(&step);
        let faults: &[Fault] = if is_plugin {
            &[Fault::Error, Fault::Panic]
        } else {
            &[Fault::None]
        };
        for &fault in faults {
            let life = Arc::new(Life::default());
            let error = build(step, fault, &life).expect_err(step);
            let text = error.to_string();
            match &error {
                ConstructError::Failed {
                    step: failed,
                    source,
                } => {
                    assert_eq!(failed.to_string(), step);
                    assert!(source.to_string().contains("planted"), "{text}");
                }
                ConstructError::Config(_) => {
                    assert_eq!(step, "bootstrap");
                    assert!(text.contains("no-such-host.invalid"), "{text}");
                }
            }
            assert_eq!(life.open(), 0, "{step}, {fault:?}: a plug-in was left open");
            assert!(life.configured.load(Ordering::SeqCst) > 0);
        }
    }
}

/// If any step of the construction fails, the parts built so far are closed (KP-2).
#[test]
fn a_failed_construction_leaves_no_thread() {
    // Other tests of this process may run producers at the same time, so the number of threads is only checked to be
    // smaller than if each attempt had left one.
    for step in ["network client", "sender thread"] {
        let before = producer_threads();
        let life = Arc::new(Life::default());
        for _ in 0..20 {
            assert!(build(step, Fault::None, &life).is_err());
        }
        assert!(
            producer_threads() < before + 20,
            "{step}: each attempt left a thread"
        );
    }
}

/// A selector's files are closed with it (KP-2).
#[test]
fn a_failed_construction_leaves_no_file() {
    let life = Arc::new(Life::default());
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    for _ in 0..50 {
        assert!(build("sender thread", Fault::None, &life).is_err());
    }
    // Other tests open files at the same time, but fewer than a hundred. If each attempt had left two files, there
    // would be a hundred more.
    assert!(
        count() < before + 100,
        "{before} files before, {} after",
        count()
    );
}

#[test]
fn a_producer_that_was_built_closes_its_plug_ins_once() {
    let life = Arc::new(Life::default());
    let producer = build("none", Fault::None, &life).unwrap();
    assert_eq!(life.open(), 7);
    producer.close().unwrap();
    producer.close().unwrap();
    drop(producer);
    assert_eq!(life.closed.load(Ordering::SeqCst), 7);
}

/// Each call fails at once, instead of waiting for the sender thread, which does not exist after a fork.
#[test]
fn a_producer_in_a_forked_process_fails_with_an_error_that_names_the_fork() {
    let life = Arc::new(Life::default());
    let mut producer = build("none", Fault::None, &life).unwrap();
    let own = producer.replace_id(InstanceId::built_in(Process::other()));
    let error = producer.send(ProducerRecord::new("t", "v")).unwrap_err();
    assert!(
        matches!(error, SendError::Misuse(crate::Misuse::Forked)),
        "{error}"
    );
    assert!(producer.flush().unwrap_err().to_string().contains("fork"));
    assert!(
        producer
            .partitions_for("t")
            .unwrap_err()
            .to_string()
            .contains("fork")
    );
    assert!(producer.close().unwrap_err().to_string().contains("fork"));
    assert_eq!(producer.state(), LifecycleState::Forked);
    assert!(producer.state().to_string().contains("fork"));
    // Restored, so that `close` ends the sender thread, which does exist in this process.
    producer.replace_id(own);
    producer.close().unwrap();
}

/// A failure is more than a close: a probe needs the reason.
#[test]
fn the_state_of_a_failed_producer_has_the_failure_also_after_its_close() {
    let life = Arc::new(Life::default());
    let producer = build("none", Fault::None, &life).unwrap();
    assert_eq!(producer.state(), LifecycleState::Running);
    let failure = ProducerFailure::panicked("planted");
    producer.core.control.fail(failure.clone());
    for _ in 0..2 {
        assert_eq!(producer.state(), LifecycleState::Failed(failure.clone()));
        assert!(producer.state().to_string().contains("planted"));
        assert!(!producer.state().is_running());
        // Whether it returns the failure is not the subject here.
        let _ = producer.close();
    }
}

family! {
    /// A sensor whose metric is recorded only from level `DEBUG` on.
    Detail of "tests" by &[];
    Debugged at Debug {
        "debugged-total": Total = "A metric that is recorded only from level DEBUG on.";
    }
}

/// Java: KafkaProducerTest#testMetricConfigRecordingLevel
#[test]
fn a_debug_metric_is_recorded_only_at_the_levels_debug_and_trace() {
    for (level, recorded) in [("INFO", 0.0), ("DEBUG", 1.0), ("TRACE", 1.0)] {
        let config = ProducerConfig::from_map([("metrics.recording.level", level)]).unwrap();
        let instance = instance(&config, Arc::new(SystemClock::new()));
        let registry = registry(&config, &instance);
        let sensors = registry.add::<Detail>(&[]);
        sensors.record(Detail::Debugged, 1.0, instance.clock().now());
        let metric = registry.metrics().remove(0);
        assert_eq!(metric.value(), recorded.into(), "{level}");
    }
}

#[test]
fn a_factory_that_panics_fails_the_construction_and_closes_the_parts_built_so_far() {
    let life = Arc::new(Life::default());
    let error = builder("none", Fault::None, &life)
        .register_interceptor("planted.Second", || panic!("planted"))
        .build()
        .expect_err("the second interceptor cannot be made");
    assert!(
        error
            .to_string()
            .contains("interceptor: it panicked while being made: planted"),
        "{error}"
    );
    assert_eq!(life.open(), 0);
    assert_eq!(life.closed.load(Ordering::SeqCst), 6);
}

/// A request that is too large to be encoded would fail all its batches.
#[test]
fn a_request_with_several_batches_fits_into_a_frame_whatever_max_request_size_is() {
    for (limit, together) in [("1000000", 1_000_000), ("2147483647", 1 << 30)] {
        let config = ProducerConfig::builder()
            .set("max.request.size", limit)
            .build()
            .unwrap();
        assert_eq!(
            start::sender_options(&config, crate::util::log::LogContext::for_tests(), 0)
                .max_request_bytes,
            together
        );
    }
}

#[cfg(feature = "cli")]
#[test]
fn the_dry_construction_fails_where_the_construction_fails() {
    let config = |text: &str| {
        let text = format!("bootstrap.servers=127.0.0.1:1\n{text}");
        ProducerConfig::from_properties_str(&text).unwrap()
    };
    for text in [
        "interceptor.classes=com.foo.Bar",
        "metric.reporters=com.foo.Bar",
        "partitioner.class=com.foo.Bar",
        "key.serializer=com.foo.Bar",
        "value.serializer=com.foo.Bar",
    ] {
        let builder = || KafkaProducer::<str, str>::builder(config(text)).stock_serializers();
        let built = builder().build().map(drop).unwrap_err();
        let checked = builder().check().unwrap_err();
        assert_eq!(checked.to_string(), built.to_string());
    }
    let without_servers = ProducerConfig::from_properties_str("").unwrap();
    let builder = KafkaProducer::<str, str>::builder(without_servers).stock_serializers();
    let error = builder.check().unwrap_err().to_string();
    assert!(error.contains("names no broker"), "{error}");
}

#[cfg(feature = "cli")]
#[test]
fn the_dry_construction_closes_its_plug_ins_and_resolves_no_name() {
    let life = Arc::new(Life::default());
    let config = "bootstrap.servers=no-such-host.invalid:9092\nvalue.serializer=mine";
    let registered = Arc::clone(&life);
    KafkaProducer::<str, str>::builder(ProducerConfig::from_properties_str(config).unwrap())
        .stock_key_serializer()
        .register_value_serializer("mine", move || {
            Box::new(Plugin {
                life: Arc::clone(&registered),
                fault: Fault::None,
            })
        })
        .check()
        .unwrap();
    assert_eq!(life.configured.load(Ordering::SeqCst), 1);
    assert_eq!(life.open(), 0);
}
