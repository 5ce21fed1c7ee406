//! Transactions of the embedded cluster: their results, their coordinators, and delays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{TestCluster, TestClusterBuilder};
use crate::testing::error::TestClusterError;
use crate::testing::sim::SimCluster;
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::groups::Membership;
use crate::testing::sim::transactional_ids::{Participant, TransactionalId};
use crate::testing::stored::{StoredBatch, StoredRecord};
use crate::testing::transaction::{
    AbortedTransaction, CommittedOffset, TransactionDescription, TransactionState,
};
use crate::types::{NodeId, PartitionId, TopicPartition};

impl TestClusterBuilder {
    /// The maximum of `transaction.timeout.ms` (`transaction.max.timeout.ms`); 15 minutes unless set.
    pub fn transaction_max_timeout(mut self, longest: Duration) -> Self {
        self.transactions.max_timeout = longest;
        self
    }

    /// Whether a batch is rejected if its partition was not added to the transaction, as by brokers from 3.6 on
    /// (KIP-890); false unless set. The error is `INVALID_TXN_STATE`, which such brokers send to clients that do not
    /// support `TRANSACTION_ABORTABLE`.
    pub fn verify_transactions(mut self, yes: bool) -> Self {
        self.transactions.verify = yes;
        self
    }
}

/// Transactions.
impl TestCluster {
    /// The records of a partition that a consumer with `isolation.level=read_committed` reads, in order: without those
    /// of aborted transactions, and up to the last stable offset.
    ///
    /// [`records`](Self::records) are those that a consumer with `read_uncommitted` reads.
    ///
    /// ```
    /// use kafka_producer::testing::TestCluster;
    /// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = TestCluster::builder().topic("bills", 1).start()?;
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers([cluster.bootstrap_servers()])
    ///     .transactional_id("billing-1")
    ///     .build()?;
    /// let producer = KafkaProducer::<str, str>::new(config)?;
    /// producer.init_transactions()?;
    /// let transaction = producer.transaction()?;
    /// producer.send(ProducerRecord::new("bills", "12.50"))?.get()?;
    /// transaction.abort()?;
    /// assert_eq!((cluster.records("bills", 0).len(), cluster.read_committed("bills", 0).len()), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_committed(&self, topic: &str, partition: PartitionId) -> Vec<StoredRecord> {
        let cluster = self.shared.cluster();
        let Ok(partition) = cluster.partition(topic, partition) else {
            return Vec::new();
        };
        let records = partition.log.committed().flat_map(StoredBatch::records);
        records.map(|record| record.to_record()).collect()
    }

    /// The last stable offset of a partition: all transactions before it have ended. `None` for an unknown partition.
    pub fn last_stable_offset(&self, topic: &str, partition: PartitionId) -> Option<i64> {
        let cluster = self.shared.cluster();
        let partition = cluster.partition(topic, partition).ok()?;
        Some(partition.log.last_stable_offset())
    }

    /// The aborted transactions of a partition, in the order of their markers.
    pub fn aborted_transactions(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Vec<AbortedTransaction> {
        let cluster = self.shared.cluster();
        let partition = cluster.partition(topic, partition);
        partition.map_or_else(
            |_| Vec::new(),
            |partition| partition.log.aborted_transactions().to_vec(),
        )
    }

    /// The coordinator's state of a transactional id; `None` if no producer was initialized with it.
    pub fn transaction(&self, transactional_id: &str) -> Option<TransactionDescription> {
        let cluster = self.shared.cluster();
        let id = cluster.transactions().ids.get(transactional_id)?;
        Some(describe(id))
    }

    /// Waits until the transaction of a transactional id is in this state.
    ///
    /// # Errors
    /// [`NotInState`](TestClusterError::NotInState) on timeout.
    ///
    /// # Blocking
    /// Up to `timeout`.
    pub fn wait_for_transaction(
        &self,
        transactional_id: &str,
        state: TransactionState,
        timeout: Duration,
    ) -> Result<TransactionDescription, TestClusterError> {
        let known = |cluster: &SimCluster| {
            let id = cluster.transactions().ids.get(transactional_id);
            id.map(describe)
        };
        let reached = self.shared.wait_for(timeout, |cluster| {
            known(cluster).filter(|known| known.state == state)
        });
        reached.ok_or_else(|| TestClusterError::NotInState {
            transactional_id: transactional_id.into(),
            wanted: state,
            state: self.transaction(transactional_id).map(|known| known.state),
        })
    }

    /// The offsets that a consumer group has committed.
    pub fn committed_offsets(&self, group: &str) -> BTreeMap<TopicPartition, CommittedOffset> {
        self.shared.cluster().transactions().groups.committed(group)
    }

    /// The offsets of a group in open transactions, by producer id. They are committed with their transactions.
    pub fn pending_offsets(
        &self,
        group: &str,
    ) -> BTreeMap<i64, BTreeMap<TopicPartition, CommittedOffset>> {
        self.shared.cluster().transactions().groups.pending(group)
    }

    /// Sets the delay between EndTxn and the markers of its transaction; zero unless set. With [`Duration::MAX`] no
    /// marker is written until this method is called again. Until the markers are written, the coordinator responds
    /// with `CONCURRENT_TRANSACTIONS`. A new delay also applies to transactions whose markers are pending.
    ///
    /// ```
    /// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
    /// use std::time::Duration;
    /// use kafka_producer::testing::TestCluster;
    ///
    /// let cluster = TestCluster::builder().topic("orders", 1).start()?;
    /// cluster.delay_markers(Duration::MAX);
    /// // … a producer commits, and begins the next transaction, which has to wait …
    /// cluster.delay_markers(Duration::ZERO);
    /// # Ok(())
    /// # }
    /// ```
    pub fn delay_markers(&self, by: Duration) {
        self.shared
            .change(|cluster| cluster.transactions_mut().options.marker_delay = by);
    }

    /// How long a broker that becomes a coordinator responds with `COORDINATOR_LOAD_IN_PROGRESS`; zero unless set.
    pub fn set_coordinator_load_time(&self, time: Duration) {
        self.shared
            .change(|cluster| cluster.transactions_mut().coordinators.load_time = time);
    }

    /// The transaction coordinator of a transactional id; `None` while it is stopped. When it stops, another broker
    /// takes over if there are [replicas](super::TestClusterBuilder::replication_factor).
    pub fn transaction_coordinator(&self, transactional_id: &str) -> Option<NodeId> {
        self.coordinator(CoordinatorKind::Transaction, transactional_id)
    }

    /// The coordinator of a consumer group; `None` while it is stopped.
    pub fn group_coordinator(&self, group: &str) -> Option<NodeId> {
        self.coordinator(CoordinatorKind::Group, group)
    }

    fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<NodeId> {
        self.shared.cluster().coordinator(kind, &key.into())
    }

    /// Makes a broker the transaction coordinator of a transactional id, with its state. The previous coordinator
    /// responds with `NOT_COORDINATOR` from now on.
    ///
    /// # Errors
    /// If there is no such broker.
    pub fn move_transaction_coordinator(
        &self,
        transactional_id: &str,
        to: NodeId,
    ) -> Result<(), TestClusterError> {
        self.move_coordinator(CoordinatorKind::Transaction, transactional_id, to)
    }

    /// Makes a broker the coordinator of a consumer group, with its state.
    ///
    /// # Errors
    /// If there is no such broker.
    pub fn move_group_coordinator(&self, group: &str, to: NodeId) -> Result<(), TestClusterError> {
        self.move_coordinator(CoordinatorKind::Group, group, to)
    }

    fn move_coordinator(
        &self,
        kind: CoordinatorKind,
        key: &str,
        to: NodeId,
    ) -> Result<(), TestClusterError> {
        let key = key.into();
        Ok(self
            .shared
            .change(|cluster| cluster.move_coordinator(kind, &key, to))?)
    }

    /// Sets the members of a consumer group: their ids, and the `group.instance.id` of those that have one. From now on
    /// a producer that commits offsets with an unknown member id or another generation is rejected (KIP-447). A group
    /// without this setting accepts every producer.
    pub fn set_group_members(
        &self,
        group: &str,
        generation: i32,
        members: &[(&str, Option<&str>)],
    ) {
        let members = members.iter();
        let members = members.map(|(id, instance)| (Arc::from(*id), instance.map(Arc::from)));
        let members = Membership {
            generation,
            members: members.collect(),
        };
        let group = group.into();
        self.shared.change(|cluster| {
            let groups = &mut cluster.transactions_mut().groups;
            groups.set_members(&group, members);
        });
    }
}

fn describe(id: &TransactionalId) -> TransactionDescription {
    let mut partitions = BTreeSet::new();
    let mut groups = BTreeSet::new();
    for participant in id.participants() {
        match participant {
            Participant::Partition(partition) => {
                partitions.insert(partition.clone());
            }
            Participant::Group(group) => {
                groups.insert(Arc::clone(group));
            }
        }
    }
    let producer = id.producer();
    TransactionDescription {
        state: id.state(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timeout: id.timeout(),
        partitions,
        groups,
    }
}
