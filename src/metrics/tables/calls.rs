//! Durations of the application's calls other than `send`.

use crate::metrics::definition::family;

family! {
    /// Nanoseconds, recorded once for each call, also for one that fails.
    ///
    /// # Kafka
    /// `KafkaProducerMetrics` (3.1, KIP-761; the wait for metadata 3.3).
    CallSensor of "producer-metrics" by &[];
    Flush {
        "flush-time-ns-total": Total = "Nanoseconds spent in flush." since "3.1";
    }
    TransactionInit {
        "txn-init-time-ns-total": Total = "Nanoseconds spent in init_transactions." since "3.1";
    }
    TransactionBegin {
        "txn-begin-time-ns-total": Total = "Nanoseconds spent in begin_transaction." since "3.1";
    }
    TransactionSendOffsets {
        "txn-send-offsets-time-ns-total": Total = "Nanoseconds spent in send_offsets_to_transaction." since "3.1";
    }
    TransactionCommit {
        "txn-commit-time-ns-total": Total = "Nanoseconds spent in commit_transaction." since "3.1";
    }
    TransactionAbort {
        "txn-abort-time-ns-total": Total = "Nanoseconds spent in abort_transaction." since "3.1";
    }
    MetadataWait {
        "metadata-wait-time-ns-total": Total = "Nanoseconds that send and partitions_for have waited for metadata." since "3.3";
    }
}
