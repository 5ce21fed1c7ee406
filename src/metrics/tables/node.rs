//! Per-broker metrics.

use crate::metrics::definition::family;

family! {
    /// Registered with the first connection to a node. Bootstrap servers have negative numbers (`node--1`).
    ///
    /// # Kafka
    /// `SelectorMetrics#maybeRegisterConnectionMetrics`; the latency is the sender's to record.
    NodeSensor of "producer-node-metrics" by &["node-id"];
    RequestsSent {
        "request-rate": CountRate = "Requests sent to the broker a second.";
        "request-total": CountTotal = "Requests sent to the broker.";
        "request-size-avg": Average = "Bytes of a request to the broker, on average.";
        "request-size-max": Max = "Bytes of the largest request to the broker.";
    }
    BytesSent {
        "outgoing-byte-rate": Rate = "Bytes written to the broker a second.";
        "outgoing-byte-total": Total = "Bytes written to the broker.";
    }
    ResponsesReceived {
        "response-rate": CountRate = "Answers of the broker a second.";
        "response-total": CountTotal = "Answers of the broker.";
    }
    BytesReceived {
        "incoming-byte-rate": Rate = "Bytes read from the broker a second.";
        "incoming-byte-total": Total = "Bytes read from the broker.";
    }
    Latency {
        "request-latency-avg": Average = "Milliseconds until the broker answers a produce request, on average.";
        "request-latency-max": Max = "Milliseconds of the broker's slowest answer to a produce request.";
    }
}
