//! Metrics of the sender: batches and requests.

use crate::metrics::definition::family;

family! {
    /// Recorded for each batch and request.
    ///
    /// # Kafka
    /// `SenderMetricsRegistry`, client level.
    SenderSensor of "producer-metrics" by &[];
    /// Bytes of a batch as sent, after compression.
    BatchSize {
        "batch-size-avg": Average = "Average size of a batch as sent, in bytes.";
        "batch-size-max": Max = "Size of the largest batch sent, in bytes.";
    }
    /// Recorded once for each batch that a broker rejected as too large.
    BatchSplit {
        "batch-split-rate": Rate = "Batches per second that a broker rejected as too large and that were split.";
        "batch-split-total": Total = "Batches that a broker rejected as too large and that were split.";
    }
    /// The compressed size of a batch divided by its uncompressed size.
    CompressionRate {
        "compression-rate-avg": Average = "Average compression ratio of batches, compressed size divided by uncompressed size: 1 is no compression.";
    }
    /// Milliseconds from the first record of a batch until it is sent.
    QueueTime {
        "record-queue-time-avg": Average = "Average time from the first record of a batch until it is sent, in milliseconds; earlier attempts included.";
        "record-queue-time-max": Max = "Longest time from the first record of a batch until it is sent, in milliseconds; earlier attempts included.";
    }
    /// Milliseconds from a produce request to its response.
    RequestLatency {
        "request-latency-avg": Average = "Average latency of produce requests, in milliseconds.";
        "request-latency-max": Max = "Longest latency of a produce request, in milliseconds.";
    }
    /// Throttle times of all responses, in milliseconds.
    ThrottleTime {
        "produce-throttle-time-avg": Average = "Average throttle time in a response, in milliseconds: 0 unless a quota is exceeded.";
        "produce-throttle-time-max": Max = "Longest throttle time in a response, in milliseconds.";
    }
    /// Number of records drained for a node in one pass.
    RecordsPerRequest {
        "record-send-rate": Rate = "Records sent per second.";
        "record-send-total": Total = "Records sent, retries included.";
        "records-per-request-avg": Average = "Average number of records in a request.";
    }
    /// Number of records of a batch that is retried.
    RecordRetries {
        "record-retry-rate": Rate = "Records retried per second.";
        "record-retry-total": Total = "Records retried.";
    }
    /// Number of records of a failed batch; 1 for a record that failed in `send`.
    RecordErrors {
        "record-error-rate": Rate = "Records failed per second.";
        "record-error-total": Total = "Records failed, in a batch or in send.";
    }
    /// Upper bound of the size of a batch's largest record, in bytes.
    RecordSize {
        "record-size-max": Max = "Upper bound of the size of the largest record, in bytes.";
        "record-size-avg": Average = "Upper bound of the size of a batch's largest record, in bytes, averaged over batches; not the average record size.";
    }
}

family! {
    /// The state of the sender and its client.
    SenderGauge of "producer-metrics" by &[];
    State {
        "requests-in-flight": Gauge = "Requests of every kind without a response yet.";
        "metadata-age": Gauge = "Seconds since the last full metadata update; before the first one, since the producer was built.";
    }
}
