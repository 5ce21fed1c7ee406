//! What a real Prometheus reads, and whether the dashboard in `docs` finds data in it.
//!
//! These tests need the program `prometheus` (Debian: `apt-get install prometheus`). Where it is missing they say so and
//! pass, unless `PROMETHEUS_TESTS=required` is set.
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
