//! The whole producer on one thread, in an order drawn from a seed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests: they fail by panicking, print what they find, and measure real time"
)]
#![cfg_attr(not(test), allow(dead_code))]

mod draw;
mod events;
mod scenario;
