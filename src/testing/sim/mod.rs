//! A cluster of brokers as a value: bytes in, bytes out, no socket, no thread, no clock. What carries
//! the bytes, the simulated network beside it or a loopback listener, is not known to it.

pub(crate) mod broker;
#[cfg(any(test, feature = "_internals"))]
pub(crate) mod carrier;
pub(crate) mod coordinators;
pub(crate) mod groups;
#[cfg_attr(
    not(feature = "_internals"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "only the simulator wants to know, and reaches it by `internals`"
    )
)]
pub(crate) mod journal;
pub(crate) mod log;
#[cfg(any(test, feature = "_internals"))]
pub(crate) mod names;
#[cfg(any(test, feature = "_internals"))]
#[cfg_attr(
    not(test),
    allow(
        dead_code,
        reason = "unit tests move it in more ways than the simulator"
    )
)]
pub(crate) mod network;
mod plan;
mod producer_ids;
pub(crate) mod producer_state;
#[cfg(any(test, feature = "_internals"))]
mod reply;
pub(crate) mod sasl;
mod script;
#[cfg(any(test, feature = "_internals"))]
#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;
mod topics;
pub(crate) mod transactional_ids;
pub(crate) mod transactions;
#[cfg(any(test, feature = "_internals"))]
mod wire;

pub(crate) use broker::{SimCluster, SimNode, SimOptions};
pub(crate) use plan::{Answer, Plan};
pub(crate) use script::RuleId;
pub(crate) use topics::NotDone;
