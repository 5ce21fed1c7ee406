//! The whole producer on one thread, in an order drawn from a seed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::format_push_string,
    clippy::maybe_infinite_iter,
    reason = "tests: they fail by panicking, print what they find, and measure real time, \
              and look for a seed until they have one"
)]
#![allow(
    clippy::struct_excessive_bools,
    clippy::enum_variant_names,
    reason = "a scenario is data: much of it is yes or no, and Kafka has named the rest"
)]
#![allow(dead_code, reason = "what runs a scenario is still to come")]

mod draw;
mod events;
mod runner;
mod scenario;
mod shrink;
mod store;
mod trace;
