//! Metrics of the buffer pool (`buffer.memory`).

use crate::metrics::definition::family;

family! {
    /// Recorded by threads that had to wait for memory.
    ///
    /// # Kafka
    /// `BufferPool`.
    MemorySensor of "producer-metrics" by &[];
    /// Nanoseconds that a thread waited.
    WaitTime {
        "bufferpool-wait-ratio": TimeRatio = "The part of time for which threads wait for memory in send; above 1 when several do.";
        "bufferpool-wait-time-total": Total = "Nanoseconds that threads have waited for memory in send. Kafka 3.1 calls it bufferpool-wait-time-ns-total.";
        "bufferpool-wait-time-ns-total": Total = "Nanoseconds that threads have waited for memory in send." since "3.1";
    }
    /// Once for each wait that ended without memory.
    Exhausted {
        "buffer-exhausted-rate": Rate = "Records a second that failed because no memory came free in max.block.ms.";
        "buffer-exhausted-total": Total = "Records that failed because no memory came free in max.block.ms.";
    }
}

family! {
    /// # Kafka
    /// `RecordAccumulator#registerMetrics`.
    MemoryGauge of "producer-metrics" by &[];
    State {
        "waiting-threads": Gauge = "Threads that wait for memory in send.";
        "buffer-total-bytes": Gauge = "Bytes of buffer.memory.";
        "buffer-available-bytes": Gauge = "Bytes of buffer.memory that are free.";
    }
}
