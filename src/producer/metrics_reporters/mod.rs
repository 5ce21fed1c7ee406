//! Runs the metrics reporters of a producer: `init`, metric changes, reconfiguration, `close`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Weak};

use super::instance::Instance;
use super::metrics_reporter::MetricsReporter;
use super::user_code::{Fence, UserCode, UserCodeFailure, drop_contained};
use crate::clock::log_limit::LogLimit;
use crate::config::PluginConfig;
use crate::error::{BoxError, PluginKind, ReconfigureError};
use crate::metrics::{Metric, MetricsContext, MetricsObserver, MetricsRegistry};
use crate::planted::planted;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Rank};
use crate::types::ClusterResourceListener;
use crate::util::log::warn;

/// All metrics reporters, in the order of the configuration. The failure of one reporter does not affect the others.
///
/// # Threads
/// Any; must be called without a lock held.
/// # Kafka
/// The calls of reporters by `org.apache.kafka.common.metrics.Metrics`.
pub(crate) struct MetricsReporters {
    reporters: Vec<Box<dyn MetricsReporter>>,
    instance: Instance,
    is_closed: AtomicBool,
    /// Set during a reconfiguration. A flag, because no lock may be held while reporters are called.
    is_reconfiguring: AtomicBool,
    /// The current configuration of the reporters.
    config: Mutex<PluginConfig>,
    /// Rate limit of log lines: a reporter may fail for each topic and each broker.
    lines: Mutex<LogLimit>,
}

impl MetricsReporters {
    /// Reporters that were configured already.
    pub(crate) fn new(
        reporters: Vec<Box<dyn MetricsReporter>>,
        config: PluginConfig,
        instance: Instance,
    ) -> Arc<Self> {
        Arc::new(Self {
            reporters,
            instance,
            is_closed: AtomicBool::new(false),
            is_reconfiguring: AtomicBool::new(false),
            config: Mutex::new(Rank::LEAF, config),
            lines: Mutex::new(Rank::LEAF, LogLimit::default()),
        })
    }

    /// No reporters.
    pub(crate) fn none(instance: Instance) -> Arc<Self> {
        let config = PluginConfig::new("", [("", ""); 0]);
        Self::new(Vec::new(), config, instance)
    }

    /// Whether there are no reporters.
    pub(crate) fn is_empty(&self) -> bool {
        self.reporters.is_empty()
    }

    /// Initializes all reporters, then registers them as the registry's observer.
    ///
    /// # Errors
    /// A reporter failed.
    pub(crate) fn begin(
        self: &Arc<Self>,
        context: &MetricsContext,
        registry: &MetricsRegistry,
    ) -> Result<(), UserCodeFailure> {
        if self.is_empty() {
            return Ok(());
        }
        let metrics = registry.metrics();
        for reporter in &self.reporters {
            // Java's order: `contextChange` before `init`.
            self.run("context_change", &**reporter, || {
                reporter.context_change(context)
            })?;
            self.run("init", &**reporter, || reporter.init(&metrics))?;
        }
        // A weak reference: the registry may outlive the producer in `Metrics` handles, but the reporters must not.
        registry.observe(Arc::new(RegisteredReporters(Arc::downgrade(self))));
        Ok(())
    }

    /// The cluster resource listeners of the reporters.
    ///
    /// # Errors
    /// A reporter panicked.
    pub(crate) fn cluster_listeners(
        &self,
    ) -> Result<Vec<Arc<dyn ClusterResourceListener>>, UserCodeFailure> {
        let mut listeners = Vec::new();
        for reporter in &self.reporters {
            let ask = || Ok(reporter.cluster_listener());
            let listener = self.run("cluster_listener", &**reporter, ask)?;
            listeners.extend(listener.flatten());
        }
        Ok(listeners)
    }

    /// Reconfigures the reporters that declare one of the changed keys.
    ///
    /// # Errors
    /// As `KafkaProducer::reconfigure_metrics_reporters`.
    pub(crate) fn reconfigure(
        &self,
        entries: &BTreeMap<String, String>,
    ) -> Result<(), ReconfigureError> {
        let _turn = self.turn()?;
        // Cloned, because reporters run below: no lock may be held. `_turn` excludes other calls.
        let before = self.config.lock().clone();
        let changed: BTreeSet<&str> = before.changed_by(entries).collect();
        let concerned = self.concerned(&changed)?;
        let after = before.with(entries);
        // All reporters validate before any is changed: a refusal leaves every reporter with its old configuration.
        for reporter in &concerned {
            let validate = || reporter.validate_reconfiguration(&after);
            self.run("validate_reconfiguration", *reporter, validate)
                .map_err(|failure| refused(&failure))?
                .ok_or(ReconfigureError::Closed)?;
        }
        let mut first_failure = Ok(());
        // The failure of one reporter does not stop the others: each has accepted this configuration.
        for reporter in &concerned {
            match self.run("reconfigure", *reporter, || reporter.reconfigure(&after)) {
                Ok(Some(())) => {}
                Ok(None) => return Err(ReconfigureError::Closed),
                Err(failure) => {
                    warn!(self.instance.log(), "{failure}");
                    let why = failure.to_string().into();
                    first_failure = first_failure.and(Err(ReconfigureError::Failed { why }));
                }
            }
        }
        // Not stored after a failure: a repeated call would find no changed key.
        if first_failure.is_ok() {
            *self.config.lock() = after;
        }
        first_failure
    }

    /// The reporters that declare a changed key as reconfigurable. An error if no reporter declares one of the changed
    /// keys.
    fn concerned(
        &self,
        changed: &BTreeSet<&str>,
    ) -> Result<Vec<&dyn MetricsReporter>, ReconfigureError> {
        let mut left = changed.clone();
        let mut concerned = Vec::new();
        for reporter in &self.reporters {
            let ask = || Ok(reporter.reconfigurable_configs());
            let keys = self.run("reconfigurable_configs", &**reporter, ask);
            let keys = keys.map_err(|failure| refused(&failure))?;
            let keys = keys.ok_or(ReconfigureError::Closed)?;
            if keys.iter().any(|key| changed.contains(key.as_str())) {
                concerned.push(&**reporter);
            }
            for key in &keys {
                left.remove(key.as_str());
            }
        }
        // A changed key that no reporter declares would be ignored silently, so it is an error.
        match left.pop_first() {
            None => Ok(concerned),
            Some(key) => Err(ReconfigureError::NotReconfigurable {
                key: key.to_owned(),
            }),
        }
    }

    /// Admits one reconfiguration at a time; also refuses a reentrant call by a reporter.
    fn turn(&self) -> Result<ReconfigureGuard<'_>, ReconfigureError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(ReconfigureError::Closed);
        }
        // A flag, not a lock: a reporter that calls back gets an error where a lock would deadlock.
        if self.is_reconfiguring.swap(true, Ordering::AcqRel) {
            return Err(ReconfigureError::UnderWay);
        }
        Ok(ReconfigureGuard(&self.is_reconfiguring))
    }

    /// Closes all reporters, once, even if some fail to close.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn close(&self) -> Result<(), UserCodeFailure> {
        // Set before the first `close`, so that no method of a reporter is called after its `close`.
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let mut first_failure = Ok(());
        for reporter in &self.reporters {
            if let Err(failure) = self.call("close", &**reporter, || reporter.close()) {
                warn!(self.instance.log(), "{failure}");
                first_failure = first_failure.and(Err(failure));
            }
        }
        first_failure
    }

    /// Notifies all reporters of each of these metrics.
    fn notify_each(
        &self,
        method: &'static str,
        metrics: &[Metric],
        call: impl Fn(&dyn MetricsReporter, &Metric) -> Result<(), BoxError>,
    ) {
        for metric in metrics {
            for reporter in &self.reporters {
                let called = self.run(method, &**reporter, || call(&**reporter, metric));
                if let Err(failure) = called {
                    self.log_one_of_many(&failure.about(metric.name()));
                    if planted!(FailedReportEndsTelling) {
                        return;
                    }
                }
            }
        }
    }

    #[cold]
    fn log_one_of_many(&self, failure: &UserCodeFailure) {
        let now = self.instance.clock().now();
        // The lock is released before the line is written: the logger is user code.
        let admitted = self.lines.lock().admit(now);
        if let Some(left_out) = admitted {
            warn!(self.instance.log(), "{failure}{left_out}");
        }
    }

    /// Calls a reporter. Returns `None` if the reporters are closed, which is checked for each call: `close` may run on
    /// another thread meanwhile.
    fn run<T>(
        &self,
        method: &'static str,
        reporter: &dyn MetricsReporter,
        call: impl FnOnce() -> Result<T, BoxError>,
    ) -> Result<Option<T>, UserCodeFailure> {
        if self.is_closed.load(Ordering::Acquire) {
            return Ok(None);
        }
        self.call(method, reporter, call).map(Some)
    }

    fn call<T>(
        &self,
        method: &'static str,
        reporter: &dyn MetricsReporter,
        call: impl FnOnce() -> Result<T, BoxError>,
    ) -> Result<T, UserCodeFailure> {
        let called = Fence::of(&self.instance).try_call(user_code(method), call);
        called.map_err(|failure| failure.named(self.name_of(reporter)))
    }

    #[cold]
    fn name_of(&self, reporter: &dyn MetricsReporter) -> String {
        let ask = || reporter.name().to_owned();
        Fence::of(&self.instance)
            .call(user_code("name"), ask)
            .unwrap_or_else(|failure| format!("(whose name panicked: {})", failure.into_words()))
    }
}

fn user_code(method: &'static str) -> UserCode {
    UserCode::Plugin(PluginKind::MetricsReporter, method)
}

fn refused(failure: &UserCodeFailure) -> ReconfigureError {
    let why = failure.to_string().into();
    ReconfigureError::Refused { why }
}

/// Drops the reporters, and catches panics of their destructors. The last reference may be held by the producer, by a
/// construction that failed, or by a thread that is notifying them.
impl Drop for MetricsReporters {
    fn drop(&mut self) {
        // Dropped one by one: a destructor that panics must not keep the others from running.
        for reporter in std::mem::take(&mut self.reporters) {
            if let Err(failure) = drop_contained(user_code("drop"), reporter) {
                warn!(self.instance.log(), "{failure}");
            }
        }
    }
}

impl fmt::Debug for MetricsReporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} metrics reporters", self.reporters.len())
    }
}

/// RAII guard of a reconfiguration; clears the flag when dropped.
struct ReconfigureGuard<'r>(&'r AtomicBool);

impl Drop for ReconfigureGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Weak reference to the reporters, as the registry's observer. The reporters are dropped with their producer, even if
/// the user keeps its registry or metrics.
struct RegisteredReporters(Weak<MetricsReporters>);

impl RegisteredReporters {
    fn with(&self, notify: impl FnOnce(&MetricsReporters)) {
        // If the producer is dropped meanwhile, the reporters are dropped here.
        if let Some(reporters) = self.0.upgrade() {
            notify(&reporters);
        }
    }
}

impl MetricsObserver for RegisteredReporters {
    fn metrics_added(&self, metrics: &[Metric]) {
        self.with(|reporters| {
            reporters.notify_each("metric_change", metrics, |it, metric| {
                it.metric_change(metric)
            });
        });
    }

    fn metrics_removed(&self, metrics: &[Metric]) {
        if planted!(RemovedMetricsNotTold) {
            return;
        }
        self.with(|reporters| {
            reporters.notify_each("metric_removal", metrics, |it, metric| {
                it.metric_removal(metric)
            });
        });
    }
}

#[cfg(test)]
mod tests;
