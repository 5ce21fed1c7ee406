//! A cluster of brokers as a value: bytes in, bytes out, no socket, no thread, no clock. What carries
//! the bytes, a network of the simulator or a loopback listener, is not known here.

pub(crate) mod broker;
pub(crate) mod log;
mod plan;
pub(crate) mod producer_state;
mod script;
mod topics;
mod transactional_ids;

pub(crate) use broker::{SimCluster, SimNode, SimOptions};
pub(crate) use plan::{Answer, Plan};
pub(crate) use script::RuleId;
pub(crate) use topics::NotDone;
