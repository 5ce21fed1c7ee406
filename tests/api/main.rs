//! The public API over loopback TCP, with real threads.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests: they fail by panicking, measure real time, and lock what they share"
)]

mod bad_input;
mod callbacks;
mod closing;
mod config_providers;
mod error_chains;
mod host;
mod lingering;
mod metrics;
mod metrics_reporters;
#[cfg(feature = "msk-iam")]
mod msk_iam;
mod names;
#[cfg(feature = "oidc")]
mod oidc;
mod old_brokers;
mod plugins;
mod produce_errors;
mod rebootstrap;
mod refused_in_a_loop;
mod sasl;
mod scripted;
mod send_and_wait;
mod sending;
mod splitting;
mod support;
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
mod tls;
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
mod tls_reload;
mod topics;
mod transactions;
mod user_code;
mod user_code_matrix;
