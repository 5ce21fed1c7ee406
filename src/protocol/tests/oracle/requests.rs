//! Conversion of our requests to those of the oracle.

use bytes::Bytes;
use kafka_protocol::messages as theirs;

use super::{optional, request_bytes, text, topic_name, unknown};
use crate::protocol::*;

/// The request as the oracle writes it; with unknown tagged fields in every structure if `tagged` is true.
pub(super) fn their_request(request: &Request, version: i16, tagged: bool) -> Bytes {
    use kafka_protocol::messages::{metadata_request, produce_request};

    let api = request.api_key();
    match request {
        Request::Produce(ours) => {
            let partition = |ours: &PartitionProduceData| {
                let records = ours.records.as_ref();
                produce_request::PartitionProduceData::default()
                    .with_index(ours.index)
                    .with_records(records.map(|records| records.body.clone()))
                    .with_unknown_tagged_fields(unknown(tagged))
            };
            let topic = |ours: &TopicProduceData| {
                produce_request::TopicProduceData::default()
                    .with_name(topic_name(&ours.name))
                    .with_partition_data(ours.partitions.iter().map(partition).collect())
                    .with_unknown_tagged_fields(unknown(tagged))
            };
            let message = theirs::ProduceRequest::default()
                .with_transactional_id(optional(ours.transactional_id.as_deref()).map(Into::into))
                .with_acks(ours.acks)
                .with_timeout_ms(ours.timeout_ms)
                .with_topic_data(ours.topics.iter().map(topic).collect())
                .with_unknown_tagged_fields(unknown(tagged));
            request_bytes(&message, api, version)
        }
        Request::Metadata(ours) => {
            let topic = |name: &std::sync::Arc<str>| {
                metadata_request::MetadataRequestTopic::default()
                    .with_name(Some(topic_name(name)))
                    .with_unknown_tagged_fields(unknown(tagged))
            };
            let topics = ours
                .topics
                .as_ref()
                .map(|names| names.iter().map(topic).collect());
            let topics = if version == 0 {
                topics.or(Some(Vec::new()))
            } else {
                topics
            };
            let message = theirs::MetadataRequest::default()
                .with_topics(topics)
                .with_allow_auto_topic_creation(ours.allow_auto_topic_creation)
                .with_unknown_tagged_fields(unknown(tagged));
            request_bytes(&message, api, version)
        }
        Request::ApiVersions(ours) => {
            let message = theirs::ApiVersionsRequest::default()
                .with_client_software_name(text(&ours.client_software_name))
                .with_client_software_version(text(&ours.client_software_version))
                .with_unknown_tagged_fields(unknown(tagged));
            request_bytes(&message, api, version)
        }
        Request::InitProducerId(ours) => {
            let message = theirs::InitProducerIdRequest::default()
                .with_transactional_id(optional(ours.transactional_id.as_deref()).map(Into::into))
                .with_transaction_timeout_ms(ours.transaction_timeout_ms)
                .with_producer_id(ours.producer_id.into())
                .with_producer_epoch(ours.producer_epoch)
                .with_unknown_tagged_fields(unknown(tagged));
            request_bytes(&message, api, version)
        }
        Request::FindCoordinator(ours) => {
            request_bytes(&their_find_coordinator(ours, version, tagged), api, version)
        }
        Request::SaslHandshake(ours) => {
            let message =
                theirs::SaslHandshakeRequest::default().with_mechanism(text(&ours.mechanism));
            request_bytes(&message, api, version)
        }
        Request::SaslAuthenticate(ours) => {
            let message = theirs::SaslAuthenticateRequest::default()
                .with_auth_bytes(ours.auth_bytes.0.clone())
                .with_unknown_tagged_fields(unknown(tagged));
            request_bytes(&message, api, version)
        }
        Request::AddPartitionsToTxn(ours) => {
            request_bytes(&their_add_partitions_to_txn(ours, tagged), api, version)
        }
        Request::AddOffsetsToTxn(ours) => {
            let message = theirs::AddOffsetsToTxnRequest::default()
                .with_transactional_id(text(&ours.transactional_id).into())
                .with_producer_id(ours.producer_id.into())
                .with_producer_epoch(ours.producer_epoch)
                .with_group_id(text(&ours.group_id).into())
                .with_unknown_tagged_fields(unknown(tagged));
            request_bytes(&message, api, version)
        }
        Request::EndTxn(ours) => {
            let message = theirs::EndTxnRequest::default()
                .with_transactional_id(text(&ours.transactional_id).into())
                .with_producer_id(ours.producer_id.into())
                .with_producer_epoch(ours.producer_epoch)
                .with_committed(ours.committed)
                .with_unknown_tagged_fields(unknown(tagged));
            request_bytes(&message, api, version)
        }
        Request::TxnOffsetCommit(ours) => {
            request_bytes(&their_txn_offset_commit(ours, tagged), api, version)
        }
    }
}

fn their_find_coordinator(
    ours: &FindCoordinatorRequest,
    version: i16,
    tagged: bool,
) -> theirs::FindCoordinatorRequest {
    let message = theirs::FindCoordinatorRequest::default()
        .with_key_type(ours.coordinator_type.0)
        .with_unknown_tagged_fields(unknown(tagged));
    let keys = ours.keys.iter().map(|key| text(key));
    if version < 4 {
        keys.fold(message, theirs::FindCoordinatorRequest::with_key)
    } else {
        message.with_coordinator_keys(keys.collect())
    }
}

/// Since version 4 the request holds a list of transactions; the oracle has separate fields for versions up to 3.
fn their_add_partitions_to_txn(
    ours: &AddPartitionsToTxnRequest,
    tagged: bool,
) -> theirs::AddPartitionsToTxnRequest {
    use kafka_protocol::messages::add_partitions_to_txn_request as add_partitions;

    let topic = |ours: &AddPartitionsToTxnTopic| {
        add_partitions::AddPartitionsToTxnTopic::default()
            .with_name(topic_name(&ours.name))
            .with_partitions(ours.partitions.clone())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    theirs::AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(text(&ours.transactional_id).into())
        .with_v3_and_below_producer_id(ours.producer_id.into())
        .with_v3_and_below_producer_epoch(ours.producer_epoch)
        .with_v3_and_below_topics(ours.topics.iter().map(topic).collect())
        .with_unknown_tagged_fields(unknown(tagged))
}

fn their_txn_offset_commit(
    ours: &TxnOffsetCommitRequest,
    tagged: bool,
) -> theirs::TxnOffsetCommitRequest {
    use kafka_protocol::messages::txn_offset_commit_request as txn_offset_commit;

    let partition = |ours: &TxnOffsetCommitPartition| {
        txn_offset_commit::TxnOffsetCommitRequestPartition::default()
            .with_partition_index(ours.index)
            .with_committed_offset(ours.offset)
            .with_committed_leader_epoch(ours.leader_epoch)
            .with_committed_metadata(optional(ours.metadata.as_deref()))
            .with_unknown_tagged_fields(unknown(tagged))
    };
    let topic = |ours: &TxnOffsetCommitTopic| {
        txn_offset_commit::TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(&ours.name))
            .with_partitions(ours.partitions.iter().map(partition).collect())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    theirs::TxnOffsetCommitRequest::default()
        .with_transactional_id(text(&ours.transactional_id).into())
        .with_group_id(text(&ours.group_id).into())
        .with_producer_id(ours.producer_id.into())
        .with_producer_epoch(ours.producer_epoch)
        .with_generation_id(ours.generation_id)
        .with_member_id(text(&ours.member_id))
        .with_group_instance_id(optional(ours.group_instance_id.as_deref()))
        .with_topics(ours.topics.iter().map(topic).collect())
        .with_unknown_tagged_fields(unknown(tagged))
}
