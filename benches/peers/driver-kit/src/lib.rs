//! Common code of the drivers of `benches/peers`: a driver only implements its client.
//!
//! A driver implements [`Client`] and its `main` is one line:
//!
//! ```no_run
//! # use driver_kit::*;
//! # struct Mine;
//! # impl Client for Mine {
//! #     fn start(_: &Setup) -> Result<(Self, About), Refusal> { Err(Refusal::Unable("it is an example".into())) }
//! #     fn send(&self, _: Record<'_>, _: Ticket) -> Result<(), String> { Ok(()) }
//! #     fn send_quietly(&self, _: Record<'_>) -> Result<(), String> { Ok(()) }
//! #     fn send_and_wait(&self, _: Record<'_>) -> Result<(), String> { Ok(()) }
//! #     fn flush(&self, _: Option<std::time::Instant>) -> Result<(), String> { Ok(()) }
//! # }
//! fn main() {
//!     driver_kit::run::<Mine>();
//! }
//! ```
//!
//! The kit reads the commands, keeps the payloads in memory, starts the sending threads once and parks them
//! between rounds, paces the records, counts the results and stores the latencies. The client is shared by
//! reference between all sending threads.
//!
//! The kit's own cost for a record with a callback is one addition to an atomic counter. With latencies it
//! also reads the clock and adds an entry to a histogram under a lock.
#![forbid(unsafe_code)]

mod allocations;
mod client;
mod driver;
mod payloads;
mod protocol;
#[cfg(feature = "tokio")]
pub mod runtime;
mod sending_threads;
mod share;
mod tally;

pub use client::{Client, Refusal};
pub use driver::run;
pub use payloads::Blocks;
pub use protocol::{
    About, Allocations, Mode, Produce, Ready, Result as RoundResult, SIZED_UNCOMPRESSED, Setup,
};
pub use share::{Record, Share, Turn, Turns};
pub use tally::Ticket;
