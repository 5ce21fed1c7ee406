//! State of transactions, as reported by Kafka's own clients.

use std::fmt;
use std::time::Duration;

use super::cluster::{Cluster, with_servers};
use super::helper::Call;
use super::{Failure, Result};

/// The coordinator's description of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransactionView {
    /// The broker id of the coordinator.
    pub(crate) coordinator: usize,
    /// Kafka's name of the state, such as `Ongoing`.
    pub(crate) state: String,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// Number of partitions in the transaction, including those that store the group's offsets.
    pub(crate) partitions: usize,
}

impl fmt::Display for TransactionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with {} partitions, epoch {}, coordinator {}",
            self.state, self.partitions, self.producer_epoch, self.coordinator
        )
    }
}

impl Cluster {
    /// Describes the transaction of an id. Needs brokers of 3.0 or later.
    pub(crate) fn transaction(&self, id: &str) -> Result<TransactionView> {
        let call = self.call("transaction").text(id);
        let lines = self.explained(self.helper().lines(&call))?;
        let parse = || {
            let mut words = lines.first()?.split(' ');
            Some(TransactionView {
                coordinator: words.next()?.parse().ok()?,
                state: words.next()?.to_owned(),
                producer_id: words.next()?.parse().ok()?,
                producer_epoch: words.next()?.parse().ok()?,
                partitions: words.next()?.parse().ok()?,
            })
        };
        parse().ok_or_else(|| Failure::new(format!("the helper sent {lines:?}")))
    }

    /// Waits until the transaction of an id has been in one of these states for `steady`.
    pub(crate) fn await_transaction(
        &self,
        id: &str,
        states: &[&str],
        steady: Duration,
    ) -> Result<()> {
        let call = self.call("await-transaction").text(id);
        let call = call.number(&steady.as_millis());
        let call = states.iter().fold(call, |call, state| call.text(state));
        self.explained(self.helper().run(&call))
    }

    /// The committed offsets of a group for a topic, with their metadata, by partition. Waits while an open transaction
    /// may replace them.
    pub(crate) fn committed_offsets(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<(i32, i64, String)>> {
        let call = self.call("committed").text(group).text(topic);
        let lines = self.explained(self.helper().lines(&call))?;
        let parse = |line: &String| {
            let mut words = line.splitn(3, ' ');
            Some((
                words.next()?.parse().ok()?,
                words.next()?.parse().ok()?,
                words.next()?.to_owned(),
            ))
        };
        let offsets: Option<Vec<_>> = lines.iter().map(parse).collect();
        offsets.ok_or_else(|| Failure::new(format!("the helper sent {lines:?}")))
    }

    /// Changes the configuration of a topic.
    pub(crate) fn configure_topic(&self, topic: &str, configs: &[(&str, &str)]) -> Result<()> {
        let call = self.call("configure").text(topic).map(configs);
        self.explained(self.helper().run(&call))
    }

    /// The finalized level of a feature, such as `transaction.version`; 0 if there is none.
    pub(crate) fn feature_level(&self, feature: &str) -> Result<i16> {
        let lines = self.explained(self.helper().lines(&self.call("feature").text(feature)))?;
        let level = lines.first().and_then(|line| line.parse().ok());
        level.ok_or_else(|| Failure::new(format!("the helper sent {lines:?}")))
    }

    /// Makes calls of Kafka's own producer, and returns for each `ok` or the classes of its exceptions.
    /// `java/…/Transactions.java` has the calls.
    pub(crate) fn script_with_java(
        &self,
        configs: &[(&str, &str)],
        topic: &str,
        calls: &[&str],
    ) -> Result<Vec<String>> {
        let servers = self.bootstrap_servers();
        let call = Call::new("script").map(&with_servers(&servers, configs));
        let call = calls
            .iter()
            .fold(call.text(topic), |call, name| call.text(name));
        self.explained(self.helper().lines(&call))
    }
}
