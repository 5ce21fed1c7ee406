//! The command line tools, run as their users run them, against the embedded broker.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests: they fail by panicking, and run programs in real time"
)]

mod command_lines;
mod console_producer;
#[cfg(unix)]
mod early_signals;
mod kafka_check;
mod lines;
#[cfg(unix)]
mod lost_output;
mod perf_test;
mod support;
mod verifiable_producer;
