//! A whole producer in a world that is made up: for the simulator.

mod world;

pub use world::{BrokersOptions, NetworkOptions, World};
