//! Metrics of the library's version, and the number of metrics.

use crate::metrics::definition::family;

family! {
    /// Registered from the end of the producer's construction until it is closed.
    ///
    /// # Kafka
    /// `AppInfoParser`.
    AppInfo of "app-info" by &[];
    Build {
        "version": Gauge = "The version of this library.";
        "commit-id": Gauge = "The commit that this library was built from, if known.";
        "start-time-ms": Gauge = "Time at which the producer was built, in milliseconds since 1970.";
    }
}

family! {
    /// # Kafka
    /// The metric that `Metrics` registers for itself.
    Count of "kafka-metrics-count" by &[];
    State {
        "count": Gauge = "Number of metrics.";
    }
}
