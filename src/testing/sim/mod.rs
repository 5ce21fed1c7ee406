//! A cluster of brokers as a value: bytes in, bytes out, no socket, no thread, no clock. What carries
//! the bytes, the simulated network beside it or a loopback listener, is not known to it.

pub(crate) mod broker;
pub(crate) mod log;
#[cfg(test)]
pub(crate) mod network;
mod plan;
pub(crate) mod producer_state;
mod script;
mod topics;
mod transactional_ids;

pub(crate) use broker::{SimCluster, SimNode, SimOptions};
pub(crate) use plan::{Answer, Plan};
pub(crate) use script::RuleId;
pub(crate) use topics::NotDone;
