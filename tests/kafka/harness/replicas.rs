//! Leaders and replicas: queries, leader moves, waits for replicas to be in sync.

use std::fs;
use std::time::Duration;

use super::cluster::{Cluster, broker_name};
use super::{Context, Failure, Result};

/// How long a resumed broker may return stale metadata, until it notices that its session has expired.
const STALE: Duration = Duration::from_secs(5);

impl Cluster {
    /// The leader of a partition.
    pub(crate) fn leader_of(&self, topic: &str, partition: i32) -> Result<usize> {
        let states = self.describe_topic(topic)?;
        let state = states.iter().find(|state| state.partition == partition);
        let leader = state.and_then(|state| state.leader);
        leader.ok_or_else(|| Failure::new(format!("{topic}-{partition} has no leader: {states:?}")))
    }

    /// The log truncations of a topic by brokers that followed a new leader: partition and first truncated offset, as
    /// found in the brokers' own log files.
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

    /// Makes these replicas, given as pairs of partition and broker, the leaders and the preferred leaders. Waits until
    /// they are leaders, because brokers are informed asynchronously.
    pub(crate) fn move_leaders(&self, topic: &str, leaders: &[(i32, usize)]) -> Result<()> {
        let call = self.call("move-leaders").text(topic);
        let call = leaders.iter().fold(call, |call, (partition, broker)| {
            call.number(partition).number(broker)
        });
        self.explained(self.helper().run(&call))
    }

    /// Waits until every partition of every topic has a leader and all its replicas are in sync. Every broker must be
    /// running.
    pub(crate) fn await_in_sync(&self) -> Result<()> {
        self.await_in_sync_for(Duration::ZERO)
    }

    /// As [`Self::await_in_sync`], but waits until the state has lasted for `steady`.
    fn await_in_sync_for(&self, steady: Duration) -> Result<()> {
        let call = self.call("await-in-sync").number(&steady.as_millis());
        self.explained(self.helper().run(&call))
    }

    /// Stops each broker by controlled shutdown and starts it again, one after another, and waits for all replicas to
    /// be in sync in between.
    pub(crate) fn rolling_restart(&self) -> Result<()> {
        for index in 0..self.broker_count() {
            self.await_in_sync()?;
            self.broker(index).stop_clean()?;
            self.broker(index).start()?;
        }
        self.await_in_sync()
    }

    /// Starts brokers that are down and resumes paused ones, then waits as [`Self::await_in_sync`] does. If that takes
    /// too long, restarts all brokers: a leader of Kafka 3.0.0 whose request to the controller to add a replica was
    /// lost may never repeat it.
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

    /// Starts all brokers concurrently, after all of them were down.
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

/// Parses a line such as `… [Log partition=orders-3, dir=…] Truncating to offset 17`.
fn truncation(line: &str, topic: &str) -> Option<(i32, i64)> {
    let (before, offset) = line.split_once("] Truncating to offset ")?;
    let (_, partition) = before.split_once("partition=")?;
    let (partition, _) = partition.split_once(',')?;
    let (name, number) = partition.rsplit_once('-')?;
    (name == topic).then_some(())?;
    Some((number.parse().ok()?, offset.trim().parse().ok()?))
}
