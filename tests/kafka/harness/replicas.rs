//! Who leads partitions and who follows: asking, moving, waiting for those that fell behind.

use std::fs;
use std::time::Duration;

use super::cluster::{Cluster, broker_name};
use super::{Context, Failure, Result};

/// A broker that was paused tells old metadata until it has noticed that its session is over.
const STALE: Duration = Duration::from_secs(5);

impl Cluster {
    /// The broker that leads a partition.
    pub(crate) fn leader_of(&self, topic: &str, partition: i32) -> Result<usize> {
        let states = self.describe_topic(topic)?;
        let state = states.iter().find(|state| state.partition == partition);
        let leader = state.and_then(|state| state.leader);
        leader.ok_or_else(|| Failure::new(format!("{topic}-{partition} has no leader: {states:?}")))
    }

    /// Where brokers have cut off the ends of a topic's logs, to follow a new leader: partitions and
    /// the first offset that went. From the brokers' own logs.
    pub(crate) fn truncations(&self, topic: &str) -> Result<Vec<(i32, i64)>> {
        let mut found = Vec::new();
        for index in 0..self.broker_count() {
            let path = self.folder().join(format!("{}.log", broker_name(index)));
            let log = fs::read(&path).context(|| format!("cannot read {}", path.display()))?;
            let log = String::from_utf8_lossy(&log);
            found.extend(log.lines().filter_map(|line| truncation(line, topic)));
        }
        Ok(found)
    }

    /// Makes brokers that have a replica the leaders of partitions, given as pairs of partition and
    /// broker, and waits until they are; each broker learns of it in its own time. They become the preferred
    /// leaders too.
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
        self.await_in_sync_for(Duration::ZERO)
    }

    /// The same, and that it has been so for a while.
    fn await_in_sync_for(&self, steady: Duration) -> Result<()> {
        let call = self.call("await-in-sync").number(&steady.as_millis());
        self.explained(self.helper().run(&call))
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
    /// [`Self::await_in_sync`] does. If that takes too long, restarts all of them: a leader of Kafka 3.0.0 that
    /// was asking the controller to let a replica back, when the controller was lost, may never ask again.
    pub(crate) fn mend(&self) -> Result<()> {
        let mut steady = Duration::ZERO;
        for index in 0..self.broker_count() {
            let broker = self.broker(index);
            if broker.process_id().is_none() {
                broker.start()?;
            } else if broker.is_paused() {
                broker.resume()?;
                steady = STALE;
            }
        }
        self.await_in_sync_for(steady).or_else(|failure| {
            println!("mending by restarts: {failure}");
            for index in 0..self.broker_count() {
                self.broker(index).stop_clean()?;
                self.broker(index).start()?;
            }
            self.await_in_sync()
        })
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

/// A line such as `… [Log partition=orders-3, dir=…] Truncating to offset 17`.
fn truncation(line: &str, topic: &str) -> Option<(i32, i64)> {
    let (before, offset) = line.split_once("] Truncating to offset ")?;
    let (_, partition) = before.split_once("partition=")?;
    let (partition, _) = partition.split_once(',')?;
    let (name, number) = partition.rsplit_once('-')?;
    (name == topic).then_some(())?;
    Some((number.parse().ok()?, offset.trim().parse().ok()?))
}
