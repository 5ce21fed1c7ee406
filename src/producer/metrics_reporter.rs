//! Metrics reporter: plug-in that exports metrics to a monitoring system.

use std::sync::Arc;

use crate::config::PluginConfig;
use crate::error::BoxError;
use crate::metrics::{Metric, MetricsContext};
use crate::types::ClusterResourceListener;

/// Exporter of metrics. It is notified when metrics are added and removed, and reads their values whenever it exports:
/// a [`Metric`] can be read at any time.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// use kafka_producer::{BoxError, KafkaProducer, Metric, MetricsContext, MetricsReporter, ProducerConfig};
///
/// /// The metrics of one producer, which a thread of the application reads every ten seconds.
/// type Board = Arc<Mutex<BTreeMap<String, Metric>>>;
///
/// struct ToBoard(Board);
///
/// impl MetricsReporter for ToBoard {
///     fn context_change(&self, context: &MetricsContext) -> Result<(), BoxError> {
///         assert_eq!(context.namespace(), "kafka.producer");
///         Ok(())
///     }
///
///     fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
///         let mut board = self.0.lock().unwrap();
///         board.insert(metric.name().to_string(), metric.clone());
///         Ok(())
///     }
///
///     fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
///         self.0.lock().unwrap().remove(&metric.name().to_string());
///         Ok(())
///     }
///
///     /// No removal is reported for the remaining metrics.
///     fn close(&self) -> Result<(), BoxError> {
///         self.0.lock().unwrap().clear();
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let board = Board::default();
/// # let config = ProducerConfig::builder().bootstrap_servers(["127.0.0.1:9092"]).client_id("billing").build()?;
/// let producer = KafkaProducer::<str, str>::builder(config)
///     .stock_serializers()
///     .metrics_reporter(ToBoard(Arc::clone(&board)))
///     .build()?;
/// assert!(board.lock().unwrap().contains_key("app-info:version:{client-id=billing}"));
/// producer.close()?;
/// assert!(board.lock().unwrap().is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Threads
/// Methods run on the thread that builds the producer, closes it or
/// [reconfigures](crate::KafkaProducer::reconfigure_metrics_reporters) it. When metrics of a topic or a broker are
/// added or removed later, the methods run on the producer's own thread, after due requests were sent. Nothing else is
/// sent meanwhile: store the metric and return, and leave slow work, such as writing to a socket, to a thread of your
/// own. Several methods may run at the same time. No lock of the producer is held: metrics may be read, and records may
/// be sent. A call that would wait for the producer is refused, as in all [code of
/// yours](crate::KafkaProducer#code-of-yours).
/// # Kafka
/// `org.apache.kafka.common.metrics.MetricsReporter` of 3.0. Differs: the producer's `close` returns the error of a
/// reporter's `close`, which Java only logs; no method is called after `close`, whereas Java still reports the removal
/// of `app-info`.
pub trait MetricsReporter: Send + Sync {
    /// Configures the reporter from the producer's configuration. Called once, before any other method, for a reporter
    /// that `metric.reporters` names.
    ///
    /// # Errors
    /// The configuration is invalid; the producer is not built.
    fn configure(&mut self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// Passes the labels that belong to every metric; called before [`init`](Self::init).
    ///
    /// # Errors
    /// The reporter cannot work with these labels; the producer is not built.
    fn context_change(&self, context: &MetricsContext) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }

    /// Passes the metrics that exist already; called once. A producer has none at that time: all its metrics are
    /// reported by [`metric_change`](Self::metric_change), which the default implementation of this method calls for
    /// each.
    ///
    /// # Errors
    /// The reporter cannot work; the producer is not built.
    fn init(&self, metrics: &[Metric]) -> Result<(), BoxError> {
        metrics
            .iter()
            .try_for_each(|metric| self.metric_change(metric))
    }

    /// Reports a new metric. Its later values are not reported: the reporter reads them.
    ///
    /// # Errors
    /// An error, or a panic, is logged and has no other effect.
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError>;

    /// Reports the removal of a metric: the producer no longer updates it. It can still be read. Only removals before
    /// [`close`](Self::close) are reported; all other metrics end with `close`.
    ///
    /// # Errors
    /// An error, or a panic, is logged and has no other effect.
    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError>;

    /// The keys whose values the reporter can change while the producer runs, see
    /// [`reconfigure_metrics_reporters`](crate::KafkaProducer::reconfigure_metrics_reporters).
    ///
    /// # Kafka
    /// `Reconfigurable#reconfigurableConfigs`.
    fn reconfigurable_configs(&self) -> Vec<String> {
        Vec::new()
    }

    /// Validates a configuration in which [keys of the reporter](Self::reconfigurable_configs) have other values. Must
    /// not change anything yet: another reporter may refuse.
    ///
    /// # Errors
    /// The configuration is invalid; no reporter is reconfigured.
    /// # Kafka
    /// `Reconfigurable#validateReconfiguration`.
    fn validate_reconfiguration(&self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// Applies a configuration that all reporters have accepted.
    ///
    /// # Errors
    /// The reporter could not apply it; the other reporters are reconfigured all the same.
    /// # Kafka
    /// `Reconfigurable#reconfigure`.
    fn reconfigure(&self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// Ends the reporter: the producer is being closed, or could not be built. No method is called afterwards; a call
    /// in progress on another thread goes on.
    ///
    /// Drop all metrics here: no removal is reported for the metrics that still exist, and a metric that is kept stays
    /// in memory with its last value. Only the removal of `app-info` is reported before this call.
    ///
    /// # Errors
    /// Reported by the producer's `close`; the other reporters and the producer are closed all the same.
    fn close(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// A cluster resource listener, if the reporter is to be notified of the cluster id.
    ///
    /// # Kafka
    /// A reporter that implements `ClusterResourceListener`.
    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        None
    }

    /// Name in logs; by default the name of the type.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }
}
