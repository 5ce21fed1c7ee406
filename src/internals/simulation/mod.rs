//! Building blocks of simulations: a [`World`] with brokers, network, names and time, and producers whose calls and
//! senders are stepped on one thread. `tests/sim` decides on the scenarios and the order of steps.

mod calls;
mod producer;
mod world;

pub use crate::testing::sim::journal::{
    BrokerEvent, BrokerNews, Coordinated, NO_RECORD, TlsHandshake, contents_of,
};
#[cfg(feature = "tls-no-provider")]
pub use crate::testing::sim::tls::TlsTrouble;
pub use calls::{
    Parking, TransactionalCall, close, flush, get, partitions_for, send, transactional, try_send,
};
pub use producer::{SenderStep, SimSender, build};
#[cfg(feature = "tls-no-provider")]
pub use world::TlsOptions;
pub use world::{
    BrokersOptions, NetworkOptions, PartitionPicture, RuleNumber, SaslOptions, TopicPicture, World,
};
