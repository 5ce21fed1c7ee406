//! The drivers: finds, builds and runs them.

mod build;
mod find;
mod session;

pub use build::{Build, Builds};
pub use find::{Description, FLUSH, OURS, find, is_floor, is_peer, only};
pub use session::Session;
