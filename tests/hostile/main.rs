//! The producer against peers that lie: whatever bytes come from the other end of a connection, each
//! record gets a typed outcome in bounded time, memory stays bounded, and the same producer works as soon
//! as its peer does.
//!
//! [`liar::Liar`] stands between the producer and a good embedded broker and forwards frames; each test
//! tells it what to say instead. [`case::Case`] holds the producer to its bounds; with `--nocapture` each
//! says its number and the memory that was taken.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "tests: they fail by panicking, measure real time, lock what they share, and count aloud"
)]

mod answers;
mod case;
mod connections;
mod exchange;
mod fields;
mod frames;
mod liar;
mod memory;
mod metadata;
mod produce;
#[cfg(feature = "sasl-scram")]
mod sasl;
mod throttle;
mod versions;
