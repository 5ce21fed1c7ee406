//! Checks the simulator's own parts.
#![allow(dead_code, reason = "what runs a scenario uses them")]

mod checker;
mod events;
mod scenario;
mod tallies;
