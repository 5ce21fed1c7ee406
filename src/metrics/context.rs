//! Metrics context: labels that identify the application to metrics reporters (KIP-606).

use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels that a reporter attaches to all metrics of a producer, such as the application or the host.
///
/// The keys `metrics.context.NAME` set them. The further label [`NAMESPACE`](Self::NAMESPACE) has the kind of the
/// client: `kafka.producer`, unless `metrics.context._namespace` sets another value.
///
/// ```
/// use kafka_producer::MetricsContext;
///
/// // As a reporter gets it with `metrics.context.cluster=eu-1`.
/// let context = MetricsContext::new("kafka.producer", [("cluster", "eu-1")]);
/// assert_eq!(context.label("cluster"), Some("eu-1"));
/// ```
///
/// # Kafka
/// `MetricsContext`, `KafkaMetricsContext` (KIP-606). Differs: a label always has a value, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsContext {
    labels: Arc<BTreeMap<String, String>>,
}

impl MetricsContext {
    /// The name of the label with the kind of the client.
    pub const NAMESPACE: &'static str = "_namespace";

    /// Creates a context with this namespace and these labels. A label `_namespace` replaces the namespace. A test of a
    /// reporter can pass it such a context.
    pub fn new<K, V>(namespace: &str, labels: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let namespace = (Self::NAMESPACE.to_owned(), namespace.to_owned());
        let labels = labels
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            // Later entries win in `collect`, so a label `_namespace` replaces the default.
            labels: Arc::new(std::iter::once(namespace).chain(labels).collect()),
        }
    }

    /// The namespace of the metrics: the kind of the client.
    pub fn namespace(&self) -> &str {
        self.label(Self::NAMESPACE).unwrap_or_default()
    }

    /// The value of a label; `None` if there is no such label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// All labels, the namespace among them, in the order of their names.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(context: &MetricsContext) -> Vec<(&str, &str)> {
        context.labels().collect()
    }

    /// Java: KafkaMetricsContextTest#testCreationWithValidNamespaceAndNoLabels
    #[test]
    fn without_labels_a_context_has_only_the_namespace() {
        let context = MetricsContext::new("sample-ns", [("", ""); 0]);
        assert_eq!(labels(&context), [("_namespace", "sample-ns")]);
        assert_eq!(context.namespace(), "sample-ns");
    }

    /// Java: KafkaMetricsContextTest#testCreationWithValidNamespaceAndLabels
    #[test]
    fn a_context_lists_its_labels_and_the_namespace() {
        let context = MetricsContext::new("sample-ns", [("label-a", "label-a-value")]);
        assert_eq!(
            labels(&context),
            [("_namespace", "sample-ns"), ("label-a", "label-a-value")]
        );
        assert_eq!(context.label("label-a"), Some("label-a-value"));
        assert_eq!(context.label("label-b"), None);
    }

    /// Java: KafkaMetricsContextTest#testCreationWithValidNamespaceAndNullLabelValues,
    /// #testCreationWithNullNamespaceAndLabels; there is no null here.
    #[test]
    fn labels_and_namespace_may_be_empty() {
        let context = MetricsContext::new("", [("label-a", "")]);
        assert_eq!(labels(&context), [("_namespace", ""), ("label-a", "")]);
    }

    #[test]
    fn a_label_may_set_another_namespace() {
        let context = MetricsContext::new("kafka.producer", [("_namespace", "billing")]);
        assert_eq!(labels(&context), [("_namespace", "billing")]);
    }

    /// Java: KafkaMetricsContextTest#testKafkaMetricsContextLabelsAreImmutable
    #[test]
    fn a_copy_has_the_same_labels_which_are_immutable() {
        let context = MetricsContext::new("sample-ns", [("label-a", "label-a-value")]);
        let copy = context.clone();
        assert!(Arc::ptr_eq(&copy.labels, &context.labels));
        assert_eq!(copy, context);
    }
}
