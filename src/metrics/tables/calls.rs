//! Durations of the application's calls. Of `send` and `partitions_for` only the wait for metadata is measured.

use crate::metrics::definition::family;

family! {
    /// Durations in nanoseconds, recorded once for each call, failed calls included.
    ///
    /// # Kafka
    /// `KafkaProducerMetrics` (3.1, KIP-761; the wait for metadata 3.3).
    CallSensor of "producer-metrics" by &[];
    Flush {
        "flush-time-ns-total": Total = "Time spent in flush, in nanoseconds." since "3.1";
    }
    TransactionInit {
        "txn-init-time-ns-total": Total = "Time spent in init_transactions, in nanoseconds." since "3.1";
    }
    TransactionBegin {
        "txn-begin-time-ns-total": Total = "Time spent in begin_transaction, in nanoseconds." since "3.1";
    }
    TransactionSendOffsets {
        "txn-send-offsets-time-ns-total": Total = "Time spent in send_offsets_to_transaction, in nanoseconds." since "3.1";
    }
    TransactionCommit {
        "txn-commit-time-ns-total": Total = "Time spent in commit_transaction, in nanoseconds." since "3.1";
    }
    TransactionAbort {
        "txn-abort-time-ns-total": Total = "Time spent in abort_transaction, in nanoseconds." since "3.1";
    }
    MetadataWait {
        "metadata-wait-time-ns-total": Total = "Time that send and partitions_for have waited for metadata, in nanoseconds." since "3.3";
    }
}
