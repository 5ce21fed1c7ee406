//! Robustness against hostile peers: whatever bytes a peer sends, each record gets a typed result within bounded time,
//! memory stays bounded, and the same producer works again as soon as its peer does.
//!
//! [`proxy::TamperingProxy`] stands between the producer and a good embedded broker; each test scripts the responses
//! to change. [`case::Case`] checks the invariants; with `--nocapture` each case prints its number and peak memory.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "tests: they fail by panicking, measure real time, lock what they share, and print counts"
)]

mod answers;
mod beside;
mod case;
mod connections;
mod exchange;
mod fields;
mod frames;
mod machine;
mod memory;
mod metadata;
mod produce;
mod proxy;
#[cfg(feature = "sasl-scram")]
mod sasl;
mod throttle;
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
mod tls;
mod versions;
