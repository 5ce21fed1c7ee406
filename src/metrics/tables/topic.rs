//! Per-topic metrics.

use crate::metrics::definition::family;

family! {
    /// Registered when the first batch of a topic is sent (MT-7), removed when the topic's metadata is evicted.
    ///
    /// # Kafka
    /// `SenderMetricsRegistry`, topic level; Kafka never removes them.
    TopicSensor of "producer-topic-metrics" by &["topic"];
    Records {
        "record-send-rate": Rate = "Records sent to the topic per second.";
        "record-send-total": Total = "Records sent to the topic, retries included.";
    }
    Bytes {
        "byte-rate": Rate = "Bytes sent to the topic per second, after compression.";
        "byte-total": Total = "Bytes sent to the topic, after compression.";
    }
    CompressionRate {
        "compression-rate": Average = "Average compression ratio of the topic's batches, compressed size divided by uncompressed size: 1 is no compression.";
    }
    Retries {
        "record-retry-rate": Rate = "Records of the topic retried per second.";
        "record-retry-total": Total = "Records of the topic retried.";
    }
    Errors {
        "record-error-rate": Rate = "Records of the topic failed per second.";
        "record-error-total": Total = "Records of the topic failed, since its first batch was sent.";
    }
}
