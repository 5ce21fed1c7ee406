//! Checks of the messages as a whole.

pub(crate) mod generate;
mod hostile;
mod oracle;
mod round_trip;
mod shape;
mod transactions;
