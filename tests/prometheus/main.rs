//! Tests with a real Prometheus: it reads the metrics, and the dashboard in `docs` has data.
//!
//! These tests need the program `prometheus` (Debian: `apt-get install prometheus`). If it is missing, they print a
//! note and pass, unless the variable `PROMETHEUS_TESTS` is set (to `required`).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests: they fail by panicking, and ask another program in real time"
)]

mod dashboard;
#[allow(dead_code, reason = "the example has a main function")]
#[path = "../../examples/metrics_http.rs"]
mod metrics_http;
mod names;
mod picture;
mod server;
