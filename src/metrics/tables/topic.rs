//! Per-topic metrics.

use crate::metrics::definition::family;

family! {
    /// Registered when the first batch of a topic is sent (MT-7), removed when the topic is forgotten.
    ///
    /// # Kafka
    /// `SenderMetricsRegistry`, topic level; there they stay.
    TopicSensor of "producer-topic-metrics" by &["topic"];
    Records {
        "record-send-rate": Rate = "Records sent to the topic a second.";
        "record-send-total": Total = "Records sent to the topic, those that were sent again included.";
    }
    Bytes {
        "byte-rate": Rate = "Bytes sent to the topic a second, compressed if they are.";
        "byte-total": Total = "Bytes sent to the topic, compressed if they are.";
    }
    CompressionRate {
        "compression-rate": Average = "What is left of the topic's batches after compression, on average: 0.25 is a quarter, 1 is all.";
    }
    Retries {
        "record-retry-rate": Rate = "Records of the topic sent again a second.";
        "record-retry-total": Total = "Records of the topic sent again.";
    }
    Errors {
        "record-error-rate": Rate = "Records of the topic a second that failed.";
        "record-error-total": Total = "Records of the topic that failed, since its first batch was sent.";
    }
}
