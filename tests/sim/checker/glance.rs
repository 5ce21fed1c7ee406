//! What a run shows of itself between two events, besides the events.

use std::time::Duration;

use kafka_producer::ProducerSnapshot;

use crate::events::RecordId;

/// How all stands after a step of anybody. Filled by what runs the scenario; plain data.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Glance {
    /// Since the start.
    pub(crate) at: Duration,
    /// Nothing is under way: no thread of the application can go on, each sender sleeps, and in the network and in
    /// the brokers there is nothing to come but what a sender does by the clock, such as looking at the cluster anew.
    pub(crate) idle: bool,
    /// By their place in the scenario, those that do not exist as well.
    pub(crate) producers: Vec<ProducerGlance>,
    /// Records whose futures the application keeps, and that have been found to be done (`is_done`) since the last
    /// glance. Without it nobody knows when a record was done whose future is read late: what is not told here, nor by
    /// `FutureTold` or a callback, counts as not done.
    pub(crate) done: Vec<RecordId>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ProducerGlance {
    pub(crate) life: Life,
    /// While it can be asked; the last one afterwards.
    pub(crate) snapshot: Option<ProducerSnapshot>,
    /// How often its sender was stepped.
    pub(crate) steps: u64,
    /// Sizes of what is inside (queues, maps), by name; always the same names in the same order. What is called
    /// "queued …" has to be empty when all is idle; anything else has to be no larger than topics, partitions and
    /// nodes together allow.
    pub(crate) sizes: Vec<(&'static str, usize)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Life {
    #[default]
    NotBuilt,
    Open,
    /// Its sender has ended.
    Closed,
    /// There is no handle of it any more.
    Dropped,
}
