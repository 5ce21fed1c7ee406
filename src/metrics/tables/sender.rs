//! Metrics of the sender: batches and requests.

use crate::metrics::definition::family;

family! {
    /// Recorded for each batch and request.
    ///
    /// # Kafka
    /// `SenderMetricsRegistry`, client level.
    SenderSensor of "producer-metrics" by &[];
    /// The bytes of a batch that is sent, compressed if it is.
    BatchSize {
        "batch-size-avg": Average = "Bytes of a batch as it is sent, on average.";
        "batch-size-max": Max = "Bytes of the largest batch that was sent.";
    }
    /// Once for each batch that a broker called too large.
    BatchSplit {
        "batch-split-rate": Rate = "Batches a second that a broker called too large and that were split.";
        "batch-split-total": Total = "Batches that a broker called too large and that were split.";
    }
    /// The compressed size of a batch divided by its uncompressed size.
    CompressionRate {
        "compression-rate-avg": Average = "What is left of a batch after compression, on average: 0.25 is a quarter, 1 is all of it.";
    }
    /// Milliseconds from the first record of a batch until it is sent.
    QueueTime {
        "record-queue-time-avg": Average = "Milliseconds from the first record of a batch until it is sent, on average; earlier attempts included.";
        "record-queue-time-max": Max = "The most milliseconds from the first record of a batch until it is sent; earlier attempts included.";
    }
    /// Milliseconds from a produce request to its answer.
    RequestLatency {
        "request-latency-avg": Average = "Milliseconds until a broker answers a produce request, on average.";
        "request-latency-max": Max = "Milliseconds of the slowest answer to a produce request.";
    }
    /// Throttle times of all responses.
    ThrottleTime {
        "produce-throttle-time-avg": Average = "Milliseconds for which an answer says that the client is throttled, on average: 0 unless a quota is exceeded.";
        "produce-throttle-time-max": Max = "The most milliseconds for which an answer says that the client is throttled.";
    }
    /// Records that one pass drains for a node.
    RecordsPerRequest {
        "record-send-rate": Rate = "Records sent a second.";
        "record-send-total": Total = "Records sent, those that were sent again included.";
        "records-per-request-avg": Average = "Records in a request, on average.";
    }
    /// Records of a batch that is sent again.
    RecordRetries {
        "record-retry-rate": Rate = "Records sent again a second.";
        "record-retry-total": Total = "Records sent again.";
    }
    /// Records of a batch that failed, and sends that failed before.
    RecordErrors {
        "record-error-rate": Rate = "Records a second that failed.";
        "record-error-total": Total = "Records that failed, in a batch or in send.";
    }
    /// The most bytes that the largest record of a batch can take.
    RecordSize {
        "record-size-max": Max = "Bytes of the largest record, at most.";
        "record-size-avg": Average = "Bytes of the largest record of a batch, on average over batches; not the average of records.";
    }
}

family! {
    /// The state of the sender and its client.
    SenderGauge of "producer-metrics" by &[];
    State {
        "requests-in-flight": Gauge = "Requests of every kind that are not answered yet.";
        "metadata-age": Gauge = "Seconds since the cluster was last asked for completely and answered; before the first answer since the producer was built.";
    }
}
