//! Conversion of our responses to those of the oracle.

use bytes::Bytes;
use kafka_protocol::messages as theirs;

use super::{optional, response_bytes, text, topic_name, unknown};
use crate::protocol::*;

/// The response as the oracle writes it; with unknown tagged fields in every structure if `tagged` is true.
pub(super) fn their_response(response: &Response, version: i16, tagged: bool) -> Bytes {
    match response {
        Response::Produce(ours) => response_bytes(&their_produce(ours, tagged), version),
        Response::Metadata(ours) => response_bytes(&their_metadata(ours, tagged), version),
        Response::ApiVersions(ours) => response_bytes(&their_api_versions(ours, tagged), version),
        Response::InitProducerId(ours) => {
            let message = theirs::InitProducerIdResponse::default()
                .with_throttle_time_ms(ours.throttle_time_ms)
                .with_error_code(ours.error.code())
                .with_producer_id(ours.producer_id.into())
                .with_producer_epoch(ours.producer_epoch)
                .with_unknown_tagged_fields(unknown(tagged));
            response_bytes(&message, version)
        }
        Response::FindCoordinator(ours) => {
            response_bytes(&their_find_coordinator(ours, version, tagged), version)
        }
        Response::SaslHandshake(ours) => {
            let mechanisms = ours.mechanisms.iter().map(|mechanism| text(mechanism));
            let message = theirs::SaslHandshakeResponse::default()
                .with_error_code(ours.error.code())
                .with_mechanisms(mechanisms.collect());
            response_bytes(&message, version)
        }
        Response::SaslAuthenticate(ours) => {
            let message = theirs::SaslAuthenticateResponse::default()
                .with_error_code(ours.error.code())
                .with_error_message(optional(ours.error_message.as_deref()))
                .with_auth_bytes(ours.auth_bytes.0.clone())
                .with_session_lifetime_ms(ours.session_lifetime_ms)
                .with_unknown_tagged_fields(unknown(tagged));
            response_bytes(&message, version)
        }
        Response::AddPartitionsToTxn(ours) => {
            response_bytes(&their_add_partitions_to_txn(ours, tagged), version)
        }
        Response::AddOffsetsToTxn(ours) => {
            let message = theirs::AddOffsetsToTxnResponse::default()
                .with_throttle_time_ms(ours.throttle_time_ms)
                .with_error_code(ours.error.code())
                .with_unknown_tagged_fields(unknown(tagged));
            response_bytes(&message, version)
        }
        Response::EndTxn(ours) => {
            let message = theirs::EndTxnResponse::default()
                .with_throttle_time_ms(ours.throttle_time_ms)
                .with_error_code(ours.error.code())
                .with_unknown_tagged_fields(unknown(tagged));
            response_bytes(&message, version)
        }
        Response::TxnOffsetCommit(ours) => {
            response_bytes(&their_txn_offset_commit(ours, tagged), version)
        }
    }
}

fn their_find_coordinator(
    ours: &FindCoordinatorResponse,
    version: i16,
    tagged: bool,
) -> theirs::FindCoordinatorResponse {
    use kafka_protocol::messages::find_coordinator_response as find_coordinator;

    let message = theirs::FindCoordinatorResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_unknown_tagged_fields(unknown(tagged));
    if version < 4 {
        let alone = &ours.coordinators[0];
        return message
            .with_error_code(alone.error.code())
            .with_error_message(optional(alone.error_message.as_deref()))
            .with_node_id(alone.node_id.into())
            .with_host(text(&alone.host))
            .with_port(alone.port);
    }
    let coordinator = |ours: &Coordinator| {
        find_coordinator::Coordinator::default()
            .with_key(text(ours.key.as_deref().unwrap()))
            .with_node_id(ours.node_id.into())
            .with_host(text(&ours.host))
            .with_port(ours.port)
            .with_error_code(ours.error.code())
            .with_error_message(optional(ours.error_message.as_deref()))
            .with_unknown_tagged_fields(unknown(tagged))
    };
    message.with_coordinators(ours.coordinators.iter().map(coordinator).collect())
}

/// Since version 4 the response holds a list of transactions; the oracle has separate fields for versions up to 3.
fn their_add_partitions_to_txn(
    ours: &AddPartitionsToTxnResponse,
    tagged: bool,
) -> theirs::AddPartitionsToTxnResponse {
    use kafka_protocol::messages::add_partitions_to_txn_response as add_partitions;

    let partition = |ours: &PartitionResult| {
        add_partitions::AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(ours.index)
            .with_partition_error_code(ours.error.code())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    let topic = |ours: &TopicResult| {
        add_partitions::AddPartitionsToTxnTopicResult::default()
            .with_name(topic_name(&ours.name))
            .with_results_by_partition(ours.partitions.iter().map(partition).collect())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    theirs::AddPartitionsToTxnResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_results_by_topic_v3_and_below(ours.topics.iter().map(topic).collect())
        .with_unknown_tagged_fields(unknown(tagged))
}

fn their_txn_offset_commit(
    ours: &TxnOffsetCommitResponse,
    tagged: bool,
) -> theirs::TxnOffsetCommitResponse {
    use kafka_protocol::messages::txn_offset_commit_response as txn_offset_commit;

    let partition = |ours: &PartitionResult| {
        txn_offset_commit::TxnOffsetCommitResponsePartition::default()
            .with_partition_index(ours.index)
            .with_error_code(ours.error.code())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    let topic = |ours: &TopicResult| {
        txn_offset_commit::TxnOffsetCommitResponseTopic::default()
            .with_name(topic_name(&ours.name))
            .with_partitions(ours.partitions.iter().map(partition).collect())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    theirs::TxnOffsetCommitResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_topics(ours.topics.iter().map(topic).collect())
        .with_unknown_tagged_fields(unknown(tagged))
}

fn their_produce(ours: &ProduceResponse, tagged: bool) -> theirs::ProduceResponse {
    use kafka_protocol::messages::produce_response as produce;

    let record_error = |ours: &BatchIndexAndErrorMessage| {
        produce::BatchIndexAndErrorMessage::default()
            .with_batch_index(ours.batch_index)
            .with_batch_index_error_message(optional(ours.message.as_deref()))
            .with_unknown_tagged_fields(unknown(tagged))
    };
    let partition = |ours: &PartitionProduceResponse| {
        produce::PartitionProduceResponse::default()
            .with_index(ours.index)
            .with_error_code(ours.error.code())
            .with_base_offset(ours.base_offset)
            .with_log_append_time_ms(ours.log_append_time_ms)
            .with_log_start_offset(ours.log_start_offset)
            .with_record_errors(ours.record_errors.iter().map(record_error).collect())
            .with_error_message(optional(ours.error_message.as_deref()))
            .with_unknown_tagged_fields(unknown(tagged))
    };
    let topic = |ours: &TopicProduceResponse| {
        produce::TopicProduceResponse::default()
            .with_name(topic_name(&ours.name))
            .with_partition_responses(ours.partitions.iter().map(partition).collect())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    theirs::ProduceResponse::default()
        .with_responses(ours.topics.iter().map(topic).collect())
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_unknown_tagged_fields(unknown(tagged))
}

fn their_metadata(ours: &MetadataResponse, tagged: bool) -> theirs::MetadataResponse {
    use kafka_protocol::messages::metadata_response as metadata;

    let ids = |ids: &[i32]| ids.iter().copied().map(theirs::BrokerId).collect();
    let broker = |ours: &MetadataBroker| {
        metadata::MetadataResponseBroker::default()
            .with_node_id(ours.node_id.into())
            .with_host(text(&ours.host))
            .with_port(ours.port)
            .with_rack(optional(ours.rack.as_deref()))
            .with_unknown_tagged_fields(unknown(tagged))
    };
    let partition = |ours: &MetadataPartition| {
        metadata::MetadataResponsePartition::default()
            .with_error_code(ours.error.code())
            .with_partition_index(ours.index)
            .with_leader_id(ours.leader_id.into())
            .with_leader_epoch(ours.leader_epoch)
            .with_replica_nodes(ids(ours.replicas.all()))
            .with_isr_nodes(ids(ours.replicas.in_sync()))
            .with_offline_replicas(ids(ours.replicas.offline()))
            .with_unknown_tagged_fields(unknown(tagged))
    };
    let topic = |ours: &MetadataTopic| {
        // Passed as 32 hexadecimal digits, because the UUID type itself cannot be named here.
        let id = format!("{:032x}", u128::from_be_bytes(ours.topic_id));
        metadata::MetadataResponseTopic::default()
            .with_error_code(ours.error.code())
            .with_name(Some(topic_name(&ours.name)))
            .with_topic_id(id.parse().unwrap())
            .with_is_internal(ours.is_internal)
            .with_partitions(ours.partitions.iter().map(partition).collect())
            .with_unknown_tagged_fields(unknown(tagged))
    };
    theirs::MetadataResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_brokers(ours.brokers.iter().map(broker).collect())
        .with_cluster_id(optional(ours.cluster_id.as_deref()))
        .with_controller_id(ours.controller_id.into())
        .with_topics(ours.topics.iter().map(topic).collect())
        .with_unknown_tagged_fields(unknown(tagged))
}

pub(super) fn their_api_versions(
    ours: &ApiVersionsResponse,
    tagged: bool,
) -> theirs::ApiVersionsResponse {
    use kafka_protocol::messages::api_versions_response as api_versions;

    let range = |ours: &ApiVersionRange| {
        api_versions::ApiVersion::default()
            .with_api_key(ours.api_key)
            .with_min_version(ours.min)
            .with_max_version(ours.max)
            .with_unknown_tagged_fields(unknown(tagged))
    };
    theirs::ApiVersionsResponse::default()
        .with_error_code(ours.error.code())
        .with_api_keys(ours.api_keys.iter().map(range).collect())
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_unknown_tagged_fields(unknown(tagged))
}
