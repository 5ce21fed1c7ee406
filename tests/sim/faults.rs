//! stand-in
use kafka_producer::internals::simulation::World;
use kafka_producer::testing::KafkaRelease;

use crate::events::{What, Who};
use crate::scenario::{Fault, Topic};

pub(crate) struct Ongoing;

pub(crate) fn begin(_fault: &Fault, _world: &World) -> Option<Ongoing> {
    None
}

pub(crate) fn end(_ongoing: Ongoing, _world: &World) {}

pub(crate) fn create_topic(world: &World, topic: &Topic) {
    world.create_topic(&topic.name, topic.partitions, topic.log_append_time, topic.max_message_bytes);
}
pub(crate) fn restore_topic(_world: &World, _topic: &Topic) {}
pub(crate) fn release(_name: &str) -> KafkaRelease { KafkaRelease::default() }
pub(crate) fn tell_news(_world: &World, _say: impl FnMut(Who, What)) {}
