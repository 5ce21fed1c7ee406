//! Construction of metrics reporters: given as instances, or registered by name. JMX settings are skipped with a log
//! line.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ProducerBuilder;
use super::plugins::{Factory, make_listed, not_made};
use crate::config::{PluginConfig, ProducerConfig};
use crate::error::{ConfigError, ConstructError, PluginKind};
use crate::metrics::{MetricsContext, MetricsRegistry};
use crate::producer::app_info::register_count;
use crate::producer::instance::Instance;
use crate::producer::metrics_reporter::MetricsReporter;
use crate::producer::metrics_reporters::MetricsReporters;
use crate::producer::record::RecordData;
use crate::producer::user_code::Fence;
use crate::util::log::info;

/// The reporters and factories given to a builder.
#[derive(Default)]
pub(super) struct GivenReporters {
    instances: Vec<Box<dyn MetricsReporter>>,
    registered: BTreeMap<String, Factory<dyn MetricsReporter>>,
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> ProducerBuilder<K, V> {
    /// Adds a metrics reporter, as an instance, after those that were added before; its `configure` is not called.
    /// Reporters that the configuration names come first.
    #[must_use]
    pub fn metrics_reporter(mut self, reporter: impl MetricsReporter + 'static) -> Self {
        self.reporters.instances.push(Box::new(reporter));
        self
    }

    /// Registers a factory for the reporter class name `class` in `metric.reporters`.
    #[must_use]
    pub fn register_metrics_reporter(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn MetricsReporter> + Send + 'static,
    ) -> Self {
        let registered = &mut self.reporters.registered;
        registered.insert(class.into(), Box::new(make));
        self
    }
}

const KEY: &str = "metric.reporters";

const JMX_REPORTER: &str = "org.apache.kafka.common.metrics.JmxReporter";

/// Whether only Java's `JmxReporter` reads this key.
fn is_of_jmx(key: &str) -> bool {
    key.starts_with("metrics.jmx.")
}

/// A key of later versions of Kafka.
const AUTO_INCLUDE: &str = "auto.include.jmx.reporter";

const CONTEXT_PREFIX: &str = "metrics.context.";

/// Namespace of producer metrics (Java: `JMX_PREFIX`).
const NAMESPACE: &str = "kafka.producer";

impl GivenReporters {
    /// Creates, configures and starts all reporters. If one fails, those created so far are closed.
    pub(super) fn start(
        self,
        config: &ProducerConfig,
        view: &PluginConfig,
        instance: &Instance,
        metrics: &Arc<MetricsRegistry>,
    ) -> Result<Arc<MetricsReporters>, ConstructError> {
        let fence = Fence::of(instance);
        let registered = &self.registered;
        // A configuration for Java may name the JMX reporter. That is no error: the name is skipped with a log line.
        let is_known = |class: &str| class != JMX_REPORTER || registered.contains_key(class);
        let classes = config.metric_reporters().iter();
        let classes = classes.map(String::as_str).filter(|class| is_known(class));
        let (mut reporters, failure) = make_listed(
            PluginKind::MetricsReporter,
            classes,
            registered,
            unknown_class,
            |reporter| reporter.configure(view),
            fence,
        );
        reporters.extend(self.instances);
        log_ineffective_jmx_settings(
            config,
            view,
            registered.contains_key(JMX_REPORTER),
            instance,
        );
        let reporters = MetricsReporters::new(reporters, view.clone(), instance.clone());
        let begun = match failure {
            Some(error) => Err(error),
            None if reporters.is_empty() => Ok(()),
            None => reporters
                .begin(&context(view), metrics)
                .map_err(|failure| not_made(PluginKind::MetricsReporter, failure.into())),
        };
        match begun {
            Ok(()) => {
                // After `begin`, so that this metric is reported, too.
                register_count(metrics);
                Ok(reporters)
            }
            Err(error) => {
                // Errors of closing are only logged.
                let _ = reporters.close();
                Err(error)
            }
        }
    }
}

/// The metrics context: labels from the `metrics.context.` keys, which are marked as used.
fn context(view: &PluginConfig) -> MetricsContext {
    let labels = view.iter().filter_map(|(key, _)| {
        let name = key.strip_prefix(CONTEXT_PREFIX)?;
        if name.is_empty() {
            return None;
        }
        Some((name, view.get(key)?))
    });
    MetricsContext::new(NAMESPACE, labels)
}

/// Logs the JMX settings that have no effect: unused keys, and the name of Java's JMX reporter in `metric.reporters`,
/// unless the user registered a reporter with this name.
fn log_ineffective_jmx_settings(
    config: &ProducerConfig,
    view: &PluginConfig,
    has_jmx_substitute: bool,
    instance: &Instance,
) {
    let unused = config.unused_keys();
    let mut without_effect: Vec<&str> = unused.into_iter().filter(|key| is_of_jmx(key)).collect();
    // Kafka's producer has this key, so it does not count as unused.
    let auto_include = view.get(AUTO_INCLUDE);
    if auto_include.is_some_and(|value| !value.trim().eq_ignore_ascii_case("false")) {
        without_effect.push(AUTO_INCLUDE);
    }
    for key in &without_effect {
        // Marked as used: the warning about unused keys must not name the key again.
        view.get(key);
    }
    let mut named = config.metric_reporters().iter();
    if !has_jmx_substitute && named.any(|class| class == JMX_REPORTER) {
        without_effect.insert(0, JMX_REPORTER);
    }
    if !without_effect.is_empty() {
        info!(
            instance.log(),
            "there is no JMX in this library, so these settings have no effect: {}. Read the metrics with \
             KafkaProducer::metrics or a MetricsReporter",
            without_effect.join(", ")
        );
    }
}

fn unknown_class(class: &str) -> ConfigError {
    ConfigError::invalid(
        KEY,
        Some(class),
        "is not the name of a metrics reporter that this library knows",
        "Register the name with register_metrics_reporter(), or give the builder an instance with \
         metrics_reporter() and leave the name out",
    )
}
