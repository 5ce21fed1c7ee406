//! Who leads partitions and who follows: asking, moving, waiting for those that fell behind.

use super::cluster::Cluster;
use super::{Failure, Result};

impl Cluster {
    /// The broker that leads a partition.
    pub(crate) fn leader_of(&self, topic: &str, partition: i32) -> Result<usize> {
        let states = self.describe_topic(topic)?;
        let state = states.iter().find(|state| state.partition == partition);
        let leader = state.and_then(|state| state.leader);
        leader.ok_or_else(|| Failure::new(format!("{topic}-{partition} has no leader: {states:?}")))
    }

    /// Makes brokers that have a replica the leaders of partitions, given as pairs of partition and
    /// broker, and waits until they are. They become the preferred leaders too.
    pub(crate) fn move_leaders(&self, topic: &str, leaders: &[(i32, usize)]) -> Result<()> {
        let call = self.call("move-leaders").text(topic);
        let call = leaders.iter().fold(call, |call, (partition, broker)| {
            call.number(partition).number(broker)
        });
        self.explained(self.helper().run(&call))
    }

    /// Waits until every partition of every topic has a leader and all its replicas are in sync. Every
    /// broker must be running.
    pub(crate) fn await_in_sync(&self) -> Result<()> {
        self.explained(self.helper().run(&self.call("await-in-sync")))
    }

    /// Stops each broker cleanly and starts it again, one after another, with all replicas in sync
    /// between two.
    pub(crate) fn rolling_restart(&self) -> Result<()> {
        for index in 0..self.broker_count() {
            self.await_in_sync()?;
            self.broker(index).stop_clean()?;
            self.broker(index).start()?;
        }
        self.await_in_sync()
    }

    /// Starts brokers that are down and wakes those that are paused, then waits as
    /// [`Self::await_in_sync`] does.
    pub(crate) fn mend(&self) -> Result<()> {
        for index in 0..self.broker_count() {
            let broker = self.broker(index);
            if broker.process_id().is_none() {
                broker.start()?;
            } else if broker.is_paused() {
                broker.resume()?;
            }
        }
        self.await_in_sync()
    }

    /// Starts all brokers, all of which are down, at the same time.
    pub(crate) fn start_all(&self) -> Result<()> {
        std::thread::scope(|scope| {
            let starts: Vec<_> = (0..self.broker_count())
                .map(|index| scope.spawn(move || self.broker(index).start()))
                .collect();
            starts.into_iter().try_for_each(|start| {
                start
                    .join()
                    .unwrap_or_else(|_| Err(Failure::new("starting a broker panicked")))
            })
        })
    }
}
