//! Tests of all messages together.

pub(crate) mod generate;
mod hostile;
mod oracle;
mod round_trip;
mod shape;
mod transactions;
