//! A whole producer in a world that is made up: for the simulator.

mod world;

pub use crate::testing::sim::journal::{BrokerDeed, BrokerNews, NO_RECORD};
pub use world::{
    BrokersOptions, NetworkOptions, PartitionPicture, RuleNumber, TopicPicture, World,
};
