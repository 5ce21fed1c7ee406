//! Model of a Kafka cluster as a value: bytes in, bytes out, without sockets, threads or clocks. The bytes are carried
//! by a loopback listener, or by the simulated network in this folder.

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
        reason = "only the simulation tests read it, through `internals`"
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
        reason = "unit tests use more of its methods than the simulator"
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
