//! Metrics of the selector: all connections together.

use crate::metrics::definition::family;

family! {
    /// Recorded by poll, by write and by read.
    ///
    /// # Kafka
    /// `SelectorMetrics`.
    SelectorSensor of "producer-metrics" by &[];
    ConnectionsClosed {
        "connection-close-rate": Rate = "Connections that ended and attempts that failed, a second.";
        "connection-close-total": Total = "Connections that ended and attempts that failed.";
    }
    ConnectionsCreated {
        "connection-creation-rate": Rate = "Connections made, a second.";
        "connection-creation-total": Total = "Connections made.";
    }
    /// Not of connections in plain text, which are not authenticated.
    SuccessfulAuthentication {
        "successful-authentication-rate": Rate = "Connections authenticated with TLS or SASL, a second.";
        "successful-authentication-total": Total = "Connections authenticated with TLS or SASL.";
    }
    SuccessfulReauthentication {
        "successful-reauthentication-rate": Rate = "Connections authenticated again with SASL, a second.";
        "successful-reauthentication-total": Total = "Connections authenticated again with SASL.";
    }
    SuccessfulAuthenticationNoReauth {
        "successful-authentication-no-reauth-total": Total = "The same as successful-authentication-total: it has a meaning in brokers only.";
    }
    FailedAuthentication {
        "failed-authentication-rate": Rate = "Connections that failed to authenticate, a second.";
        "failed-authentication-total": Total = "Connections that failed to authenticate.";
    }
    FailedReauthentication {
        "failed-reauthentication-rate": Rate = "Connections that failed to authenticate again, a second.";
        "failed-reauthentication-total": Total = "Connections that failed to authenticate again.";
    }
    ReauthenticationLatency {
        "reauthentication-latency-max": Max = "Milliseconds of the slowest authentication of a standing connection.";
        "reauthentication-latency-avg": Average = "Milliseconds that it takes to authenticate a standing connection again, on average.";
    }
    /// Bytes of each write and of each read.
    NetworkIo {
        "network-io-rate": CountRate = "Reads and writes of sockets a second.";
        "network-io-total": CountTotal = "Reads and writes of sockets.";
    }
    BytesSent {
        "outgoing-byte-rate": Rate = "Bytes written to all brokers a second.";
        "outgoing-byte-total": Total = "Bytes written to all brokers.";
    }
    RequestsSent {
        "request-rate": CountRate = "Requests of every kind sent a second.";
        "request-total": CountTotal = "Requests of every kind sent.";
        "request-size-avg": Average = "Bytes of a request, on average.";
        "request-size-max": Max = "Bytes of the largest request.";
    }
    BytesReceived {
        "incoming-byte-rate": Rate = "Bytes read from all brokers a second.";
        "incoming-byte-total": Total = "Bytes read from all brokers.";
    }
    ResponsesReceived {
        "response-rate": CountRate = "Answers of every kind a second.";
        "response-total": CountTotal = "Answers of every kind.";
    }
    /// Nanoseconds of one wait for events.
    SelectTime {
        "select-rate": CountRate = "How often a second the producer's thread looks for events of its connections.";
        "select-total": CountTotal = "How often the producer's thread has looked for events of its connections.";
        "io-wait-time-ns-avg": Average = "Nanoseconds that the producer's thread waits for events in one look, on average.";
        "io-wait-ratio": TimeRatio = "The part of time for which the producer's thread waits for events: near 1 when it has little to do.";
        "io-waittime-total": Total = "Nanoseconds that the producer's thread has waited for events. Kafka 3.1 calls it io-wait-time-ns-total.";
        "io-wait-time-ns-total": Total = "Nanoseconds that the producer's thread has waited for events." since "3.1";
    }
    /// Nanoseconds of what one wait brought.
    IoTime {
        "io-time-ns-avg": Average = "Nanoseconds that reading and writing take after one look for events, on average.";
        "io-ratio": TimeRatio = "The part of time for which the producer's thread reads and writes.";
        "iotime-total": Total = "Nanoseconds that reading and writing have taken. Kafka 3.1 calls it io-time-ns-total.";
        "io-time-ns-total": Total = "Nanoseconds that reading and writing have taken." since "3.1";
    }
}

family! {
    SelectorGauge of "producer-metrics" by &[];
    State {
        "connection-count": Gauge = "Connections there are.";
    }
}

family! {
    /// One instance for each pair that a connection has; at most 100.
    ///
    /// # Kafka
    /// `SelectorMetrics#connectionsByCipher`.
    CipherGauge of "producer-metrics" by &["cipher", "protocol"];
    State {
        "connections": Gauge = "Connections with this cipher and version of TLS.";
    }
}
