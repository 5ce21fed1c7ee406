//! Metrics of the selector: all connections together.

use crate::metrics::definition::family;

family! {
    /// Recorded per poll, per write and per read.
    ///
    /// # Kafka
    /// `SelectorMetrics`.
    SelectorSensor of "producer-metrics" by &[];
    ConnectionsClosed {
        "connection-close-rate": Rate = "Connections closed and connection attempts failed, per second.";
        "connection-close-total": Total = "Connections closed and connection attempts failed.";
    }
    ConnectionsCreated {
        "connection-creation-rate": Rate = "Connections established per second.";
        "connection-creation-total": Total = "Connections established.";
    }
    /// Not recorded for connections in plain text, which are not authenticated.
    SuccessfulAuthentication {
        "successful-authentication-rate": Rate = "Connections authenticated with TLS or SASL, per second.";
        "successful-authentication-total": Total = "Connections authenticated with TLS or SASL.";
    }
    SuccessfulReauthentication {
        "successful-reauthentication-rate": Rate = "Connections re-authenticated with SASL, per second.";
        "successful-reauthentication-total": Total = "Connections re-authenticated with SASL.";
    }
    SuccessfulAuthenticationNoReauth {
        "successful-authentication-no-reauth-total": Total = "The same as successful-authentication-total: meaningful in brokers only.";
    }
    FailedAuthentication {
        "failed-authentication-rate": Rate = "Failed authentications per second.";
        "failed-authentication-total": Total = "Failed authentications.";
    }
    FailedReauthentication {
        "failed-reauthentication-rate": Rate = "Failed re-authentications per second.";
        "failed-reauthentication-total": Total = "Failed re-authentications.";
    }
    ReauthenticationLatency {
        "reauthentication-latency-max": Max = "Longest latency of a re-authentication, in milliseconds.";
        "reauthentication-latency-avg": Average = "Average latency of re-authentications, in milliseconds.";
    }
    /// Bytes of each write and of each read.
    NetworkIo {
        "network-io-rate": CountRate = "Socket reads and writes per second.";
        "network-io-total": CountTotal = "Socket reads and writes.";
    }
    BytesSent {
        "outgoing-byte-rate": Rate = "Bytes written to all brokers per second.";
        "outgoing-byte-total": Total = "Bytes written to all brokers.";
    }
    RequestsSent {
        "request-rate": CountRate = "Requests of every kind sent per second.";
        "request-total": CountTotal = "Requests of every kind sent.";
        "request-size-avg": Average = "Average size of a request, in bytes.";
        "request-size-max": Max = "Size of the largest request, in bytes.";
    }
    BytesReceived {
        "incoming-byte-rate": Rate = "Bytes read from all brokers per second.";
        "incoming-byte-total": Total = "Bytes read from all brokers.";
    }
    ResponsesReceived {
        "response-rate": CountRate = "Responses of every kind per second.";
        "response-total": CountTotal = "Responses of every kind.";
    }
    /// Nanoseconds of one wait for events.
    SelectTime {
        "select-rate": CountRate = "Network polls of the sender thread per second.";
        "select-total": CountTotal = "Network polls of the sender thread.";
        "io-wait-time-ns-avg": Average = "Average time that the sender thread waits for network events in a poll, in nanoseconds.";
        "io-wait-ratio": TimeRatio = "Fraction of time for which the sender thread waits for network events: near 1 when it is mostly idle.";
        "io-waittime-total": Total = "Time that the sender thread has waited for network events, in nanoseconds. Deprecated: io-wait-time-ns-total.";
        "io-wait-time-ns-total": Total = "Time that the sender thread has waited for network events, in nanoseconds." since "3.1";
    }
    /// Nanoseconds of I/O after one wait for events.
    IoTime {
        "io-time-ns-avg": Average = "Average time of I/O in a poll, in nanoseconds.";
        "io-ratio": TimeRatio = "Fraction of time for which the sender thread does I/O.";
        "iotime-total": Total = "Time of I/O, in nanoseconds. Deprecated: io-time-ns-total.";
        "io-time-ns-total": Total = "Time of I/O, in nanoseconds." since "3.1";
    }
}

family! {
    SelectorGauge of "producer-metrics" by &[];
    State {
        "connection-count": Gauge = "Current number of connections.";
    }
}

family! {
    /// One instance for each pair of cipher suite and TLS version in use; at most 100.
    ///
    /// # Kafka
    /// `SelectorMetrics#connectionsByCipher`.
    CipherGauge of "producer-metrics" by &["cipher", "protocol"];
    State {
        "connections": Gauge = "Current connections with this cipher suite and TLS version.";
    }
}
