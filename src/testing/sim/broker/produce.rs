//! `Produce`: appends batches to the logs of the partitions that this node leads.

use std::sync::Arc;

use super::SimCluster;
use crate::clock::Timestamp;
use crate::error::ErrorCode;
use crate::protocol::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, Response, TopicProduceResponse,
};
use crate::record::batch::RecordBatch;
use crate::testing::script::Refusal;
use crate::testing::sim::log::{Appended, Incoming, PartitionLog, Rejected, take_records};
use crate::testing::sim::script::Decision;
use crate::testing::sim::topics::is_internal;
use crate::testing::sim::transactional_ids::{Participant, TransactionalIds};
use crate::types::{NodeId, ProducerIdAndEpoch, TopicPartition};

/// Offset and timestamp in error responses.
const UNKNOWN: i64 = -1;

/// Properties of a produce request that apply to all its batches.
struct Circumstances {
    node: NodeId,
    acks: i16,
    version: i16,
    /// Error for the whole request.
    refused: Option<ErrorCode>,
    transactional_id: Option<Arc<str>>,
    now: Timestamp,
}

impl SimCluster {
    /// Returns the response in the order of the request, and whether any batch was refused.
    ///
    /// # Kafka
    /// `KafkaApis#handleProduceRequest` and `ReplicaManager#appendRecords`. All replicas are one log,
    /// so `acks` of 1 and of all are the same, and nothing waits for `timeout_ms`.
    pub(super) fn produce(
        &mut self,
        node: NodeId,
        request: ProduceRequest,
        version: i16,
        decision: &Decision,
        now: Timestamp,
    ) -> (Response, bool) {
        let is_unauthorized =
            has_transactional_batch(&request) && request.transactional_id.is_none();
        let refused = is_unauthorized.then_some(ErrorCode::TransactionalIdAuthorizationFailed);
        let about = Circumstances {
            node,
            acks: request.acks,
            version,
            refused,
            transactional_id: request.transactional_id.clone(),
            now,
        };
        let mut failed = false;
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().map(|partition| {
                let index = partition.index;
                let Some(scripted) = decision.refused(Some(&topic.name), Some(index)) else {
                    let outcome = self.produce_one(&topic.name, partition, &about);
                    failed |= outcome.is_err();
                    let log = self.partition(&topic.name, index).map(|it| &it.log);
                    let log_start = log.map_or(UNKNOWN, PartitionLog::start_offset);
                    return to_response(index, outcome, log_start);
                };
                if scripted.after_applying {
                    // The scripted error is the answer, whatever the append returns.
                    let _ = self.produce_one(&topic.name, partition, &about);
                }
                failed = true;
                scripted_response(index, &scripted.refusal)
            });
            let partitions = partitions.collect();
            TopicProduceResponse {
                name: topic.name,
                partitions,
            }
        });
        let topics = topics.collect();
        (
            Response::Produce(ProduceResponse {
                topics,
                throttle_time_ms: 0,
            }),
            failed,
        )
    }

    fn produce_one(
        &mut self,
        topic: &str,
        data: PartitionProduceData,
        about: &Circumstances,
    ) -> Result<Appended, Rejected> {
        let refuse = |code| Err(Rejected::at_once(code));
        if let Some(code) = about.refused {
            return refuse(code);
        }
        let depth = self.options.depth;
        let Some((settings, incarnation, partition)) =
            self.topics.get_mut(topic).and_then(|topic| {
                let (settings, incarnation) = (topic.settings, topic.incarnation);
                let partition = topic.partition_mut(data.index)?;
                Some((settings, incarnation, partition))
            })
        else {
            return refuse(ErrorCode::UnknownTopicOrPartition);
        };
        let records = take_records(data.records.map(|records| records.body), about.version)?;
        if !matches!(about.acks, -1..=1) {
            return refuse(ErrorCode::InvalidRequiredAcks);
        }
        if is_internal(topic) {
            return refuse(ErrorCode::InvalidTopicException);
        }
        if partition.role.leader != Some(about.node) {
            return refuse(ErrorCode::NotLeaderOrFollower);
        }
        if self.transactions.options.verify {
            let ids = &mut self.transactions.ids;
            let place = TopicPartition::new(topic, data.index);
            verify(ids, about, &records, &partition.log, place)?;
        }
        let epoch = partition.role.epoch;
        let Some(journal) = &mut self.journal else {
            return partition
                .log
                .append(records, epoch, &settings, depth, about.now);
        };
        let (sent, duplicates) = (records.clone(), partition.log.size().duplicates);
        let appended = partition
            .log
            .append(records, epoch, &settings, depth, about.now)?;
        if partition.log.size().duplicates > duplicates {
            journal.duplicate(topic, data.index, appended.base_offset, sent);
        } else if let Some(batch) = partition.log.batches().last() {
            journal.appended(topic, incarnation, data.index, batch);
        }
        Ok(appended)
    }
}

/// If a batch is the first of a transaction in its partition, checks that the partition was added to the transaction.
///
/// # Kafka
/// `ReplicaManager#maybeStartTransactionVerificationForPartition`, of 3.6 and later (KIP-890).
fn verify(
    ids: &mut TransactionalIds,
    about: &Circumstances,
    records: &Incoming,
    log: &PartitionLog,
    place: TopicPartition,
) -> Result<(), Rejected> {
    let (Incoming::Batch(batch), Some(name)) = (records, &about.transactional_id) else {
        return Ok(());
    };
    if !batch.attributes().is_transactional() || log.has_open(batch.producer_id()) {
        return Ok(());
    }
    let producer = ProducerIdAndEpoch::new(batch.producer_id(), batch.producer_epoch());
    ids.verify(name, producer, &Participant::Partition(place))
        .map_err(Rejected::at_once)
}

/// `Some` if any batch is transactional. This is checked before anything else.
fn has_transactional_batch(request: &ProduceRequest) -> bool {
    let mut partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.any(|partition| {
        let records = partition
            .records
            .as_ref()
            .map(|records| records.body.clone());
        records
            .and_then(|mut records| RecordBatch::take(&mut records).ok())
            .is_some_and(|batch| batch.attributes().is_transactional())
    })
}

fn to_response(
    index: i32,
    outcome: Result<Appended, Rejected>,
    log_start: i64,
) -> PartitionProduceResponse {
    match outcome {
        Ok(appended) => PartitionProduceResponse {
            index,
            error: ErrorCode::NoError,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: log_start,
            record_errors: Vec::new(),
            error_message: None,
        },
        Err(rejected) => PartitionProduceResponse {
            index,
            error: rejected.code,
            base_offset: UNKNOWN,
            log_append_time_ms: UNKNOWN,
            log_start_offset: if rejected.knows_log_start {
                log_start
            } else {
                UNKNOWN
            },
            record_errors: rejected.records.into_iter().map(to_record_error).collect(),
            error_message: rejected.message.map(Arc::from),
        },
    }
}

fn scripted_response(index: i32, refusal: &Refusal) -> PartitionProduceResponse {
    let records = refusal.records.iter();
    PartitionProduceResponse {
        index,
        error: refusal.code,
        base_offset: UNKNOWN,
        log_append_time_ms: UNKNOWN,
        log_start_offset: refusal.log_start_offset,
        record_errors: records
            .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                batch_index: *batch_index,
                message: Some(Arc::clone(message)),
            })
            .collect(),
        error_message: refusal.message.clone(),
    }
}

fn to_record_error((batch_index, message): (i32, String)) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage {
        batch_index,
        message: Some(message.into()),
    }
}
