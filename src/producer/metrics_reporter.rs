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
/// /// What a thread of the application's reads every ten seconds; of this one producer.
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
///     /// No removal will come of what is still there.
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
/// [reconfigures](crate::KafkaProducer::reconfigure_metrics_reporters) it, and where a topic or a broker is met for
/// the first time, or forgotten, on the producer's own thread: after what was to be sent, but nothing else is sent
/// meanwhile, so note the metric and return, and leave what takes time, such as writing to a socket, to a thread of yours. More than one may run at a
/// time. No lock of the producer's is held: metrics may be read and asked for, records may be sent; what would wait
/// for the producer is refused, as in all [code of yours](crate::KafkaProducer#code-of-yours).
/// # Kafka
/// `org.apache.kafka.common.metrics.MetricsReporter` of 3.0. Differs: what `close` fails with is told by the
/// producer's `close`, where Java's is only logged; after `close` nothing is told any more, where Java's producer
/// still tells that `app-info` goes.
pub trait MetricsReporter: Send + Sync {
    /// Takes what it needs from the producer's configuration; called once, before anything else, for a reporter
    /// that `metric.reporters` names.
    ///
    /// # Errors
    /// Whatever is wrong with the configuration; the producer is not built then.
    fn configure(&mut self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// The labels that are to be put on everything; called before [`init`](Self::init).
    ///
    /// # Errors
    /// Why it cannot work so; the producer is not built then.
    fn context_change(&self, context: &MetricsContext) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }

    /// The metrics that there are already; called once. A producer has none yet at that moment, all are told
    /// by [`metric_change`](Self::metric_change), which is also what this calls unless it is written otherwise.
    ///
    /// # Errors
    /// Why it cannot work so; the producer is not built then.
    fn init(&self, metrics: &[Metric]) -> Result<(), BoxError> {
        metrics
            .iter()
            .try_for_each(|metric| self.metric_change(metric))
    }

    /// There is a new metric. What its values are it is not told: they are to be read.
    ///
    /// # Errors
    /// An error, or a panic, is logged and has no other effect.
    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError>;

    /// A metric is gone: the producer does not count it any more. It can still be read. Only metrics that go while the
    /// producer lives are told so; all others go with [`close`](Self::close).
    ///
    /// # Errors
    /// An error, or a panic, is logged and has no other effect.
    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError>;

    /// The keys whose values it can take over while the producer runs, see
    /// [`reconfigure_metrics_reporters`](crate::KafkaProducer::reconfigure_metrics_reporters).
    ///
    /// # Kafka
    /// `Reconfigurable#reconfigurableConfigs`.
    fn reconfigurable_configs(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it could work with this configuration, in which keys of its own have other values. Nothing
    /// is to be changed yet: another reporter may refuse.
    ///
    /// # Errors
    /// What is wrong with it; nothing is changed then.
    /// # Kafka
    /// `Reconfigurable#validateReconfiguration`.
    fn validate_reconfiguration(&self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// Takes over a configuration that all reporters accepted.
    ///
    /// # Errors
    /// Why it could not; the other reporters take it over all the same.
    /// # Kafka
    /// `Reconfigurable#reconfigure`.
    fn reconfigure(&self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// The producer is being closed, or could not be built. Nothing is told any more; a call that another
    /// thread is in goes on.
    ///
    /// Let go of your metrics here: of those that are there still no removal will come, and whoever keeps them keeps them
    /// for ever, at values that stand still. Before this only `app-info` was removed.
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
