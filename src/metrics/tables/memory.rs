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
        "bufferpool-wait-ratio": TimeRatio = "Fraction of time for which threads wait for buffer memory in send; above 1 if several do.";
        "bufferpool-wait-time-total": Total = "Time that threads have waited for buffer memory in send, in nanoseconds. Deprecated: bufferpool-wait-time-ns-total.";
        "bufferpool-wait-time-ns-total": Total = "Time that threads have waited for buffer memory in send, in nanoseconds." since "3.1";
    }
    /// Recorded once for each wait that ended without memory.
    Exhausted {
        "buffer-exhausted-rate": Rate = "Records per second that failed because no buffer memory became free within max.block.ms.";
        "buffer-exhausted-total": Total = "Records that failed because no buffer memory became free within max.block.ms.";
    }
}

family! {
    /// # Kafka
    /// `RecordAccumulator#registerMetrics`.
    MemoryGauge of "producer-metrics" by &[];
    State {
        "waiting-threads": Gauge = "Threads that wait for buffer memory in send.";
        "buffer-total-bytes": Gauge = "Total buffer memory (buffer.memory), in bytes.";
        "buffer-available-bytes": Gauge = "Free buffer memory, in bytes.";
    }
}
