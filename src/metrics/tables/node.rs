//! Per-broker metrics.

use crate::metrics::definition::family;

family! {
    /// Registered with the first connection to a node. Bootstrap servers have negative numbers (`node--1`).
    ///
    /// # Kafka
    /// `SelectorMetrics#maybeRegisterConnectionMetrics`; the sender records the latency.
    NodeSensor of "producer-node-metrics" by &["node-id"];
    RequestsSent {
        "request-rate": CountRate = "Requests sent to the broker per second.";
        "request-total": CountTotal = "Requests sent to the broker.";
        "request-size-avg": Average = "Average size of a request to the broker, in bytes.";
        "request-size-max": Max = "Size of the largest request to the broker, in bytes.";
    }
    BytesSent {
        "outgoing-byte-rate": Rate = "Bytes written to the broker per second.";
        "outgoing-byte-total": Total = "Bytes written to the broker.";
    }
    ResponsesReceived {
        "response-rate": CountRate = "Responses of the broker per second.";
        "response-total": CountTotal = "Responses of the broker.";
    }
    BytesReceived {
        "incoming-byte-rate": Rate = "Bytes read from the broker per second.";
        "incoming-byte-total": Total = "Bytes read from the broker.";
    }
    Latency {
        "request-latency-avg": Average = "Average latency of produce requests to the broker, in milliseconds.";
        "request-latency-max": Max = "Longest latency of a produce request to the broker, in milliseconds.";
    }
}
