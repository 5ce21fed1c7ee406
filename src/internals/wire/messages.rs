//! Converts JSON with Kafka's field names into messages. Fields that do not exist in a version get their default.

use super::value::{FieldResult, JsonValue};
use crate::protocol::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddPartitionsToTxnTopic, ApiKey, ApiVersionRange,
    ApiVersionsRequest, ApiVersionsResponse, AuthBytes, BatchHead, BatchIndexAndErrorMessage,
    Coordinator, CoordinatorType, EndTxnRequest, EndTxnResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, InitProducerIdRequest, InitProducerIdResponse, MemoryRecords,
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
    PartitionProduceData, PartitionProduceResponse, PartitionResult, ProduceRequest,
    ProduceResponse, Request, Response, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse, TopicProduceData, TopicProduceResponse,
    TopicResult, TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    TxnOffsetCommitTopic,
};
use crate::types::ReplicaLists;

pub(super) fn request(api: ApiKey, version: i16, body: &JsonValue) -> FieldResult<Request> {
    Ok(match api {
        ApiKey::Produce => Request::Produce(produce_request(body)?),
        ApiKey::Metadata => Request::Metadata(metadata_request(version, body)?),
        ApiKey::FindCoordinator => Request::FindCoordinator(find_coordinator_request(body)?),
        ApiKey::SaslHandshake => Request::SaslHandshake(SaslHandshakeRequest {
            mechanism: body.text("mechanism")?,
        }),
        ApiKey::ApiVersions => Request::ApiVersions(api_versions_request(body)?),
        ApiKey::InitProducerId => Request::InitProducerId(init_producer_id_request(body)?),
        ApiKey::AddPartitionsToTxn => {
            Request::AddPartitionsToTxn(add_partitions_to_txn_request(body)?.into())
        }
        ApiKey::AddOffsetsToTxn => {
            Request::AddOffsetsToTxn(add_offsets_to_txn_request(body)?.into())
        }
        ApiKey::EndTxn => Request::EndTxn(end_txn_request(body)?),
        ApiKey::TxnOffsetCommit => {
            Request::TxnOffsetCommit(txn_offset_commit_request(body)?.into())
        }
        ApiKey::SaslAuthenticate => Request::SaslAuthenticate(SaslAuthenticateRequest {
            auth_bytes: AuthBytes(body.bytes("authBytes")?),
        }),
    })
}

pub(super) fn response(api: ApiKey, body: &JsonValue) -> FieldResult<Response> {
    Ok(match api {
        ApiKey::Produce => Response::Produce(produce_response(body)?),
        ApiKey::Metadata => Response::Metadata(metadata_response(body)?),
        ApiKey::FindCoordinator => Response::FindCoordinator(find_coordinator_response(body)?),
        ApiKey::SaslHandshake => Response::SaslHandshake(SaslHandshakeResponse {
            error: body.error("errorCode")?,
            mechanisms: body.texts("mechanisms")?,
        }),
        ApiKey::ApiVersions => Response::ApiVersions(api_versions_response(body)?),
        ApiKey::InitProducerId => Response::InitProducerId(init_producer_id_response(body)?),
        ApiKey::AddPartitionsToTxn => Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
            throttle_time_ms: body.number("throttleTimeMs")?,
            topics: topic_results(body, "results", "results")?,
        }),
        ApiKey::AddOffsetsToTxn => Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
            throttle_time_ms: body.number("throttleTimeMs")?,
            error: body.error("errorCode")?,
        }),
        ApiKey::EndTxn => Response::EndTxn(EndTxnResponse {
            throttle_time_ms: body.number("throttleTimeMs")?,
            error: body.error("errorCode")?,
        }),
        ApiKey::TxnOffsetCommit => Response::TxnOffsetCommit(TxnOffsetCommitResponse {
            throttle_time_ms: body.number("throttleTimeMs")?,
            topics: topic_results(body, "topics", "partitions")?,
        }),
        ApiKey::SaslAuthenticate => Response::SaslAuthenticate(SaslAuthenticateResponse {
            error: body.error("errorCode")?,
            error_message: body.optional_text("errorMessage")?,
            auth_bytes: AuthBytes(body.bytes("authBytes")?),
            session_lifetime_ms: body.number_or("sessionLifetimeMs", 0)?,
        }),
    })
}

fn produce_request(body: &JsonValue) -> FieldResult<ProduceRequest> {
    let partition = |value: &JsonValue| {
        let records = value.optional_bytes("records")?.map(|body| MemoryRecords {
            head: BatchHead::EMPTY,
            body,
        });
        let index = value.number("index")?;
        Ok(PartitionProduceData { index, records })
    };
    let topic = |value: &JsonValue| {
        Ok(TopicProduceData {
            name: value.text("name")?,
            partitions: value.list("partitionData", partition)?,
        })
    };
    Ok(ProduceRequest {
        transactional_id: body.optional_text("transactionalId")?,
        acks: body.number("acks")?,
        timeout_ms: body.number("timeoutMs")?,
        topics: body.list("topicData", topic)?,
    })
}

fn produce_response(body: &JsonValue) -> FieldResult<ProduceResponse> {
    let record_error = |value: &JsonValue| {
        Ok(BatchIndexAndErrorMessage {
            batch_index: value.number("batchIndex")?,
            message: value.optional_text("batchIndexErrorMessage")?,
        })
    };
    let partition = |value: &JsonValue| {
        Ok(PartitionProduceResponse {
            index: value.number("index")?,
            error: value.error("errorCode")?,
            base_offset: value.number("baseOffset")?,
            log_append_time_ms: value.number_or("logAppendTimeMs", -1)?,
            log_start_offset: value.number_or("logStartOffset", -1)?,
            record_errors: value.list("recordErrors", record_error)?,
            error_message: value.optional_text("errorMessage")?,
        })
    };
    let topic = |value: &JsonValue| {
        Ok(TopicProduceResponse {
            name: value.text("name")?,
            partitions: value.list("partitionResponses", partition)?,
        })
    };
    Ok(ProduceResponse {
        topics: body.list("responses", topic)?,
        throttle_time_ms: body.number_or("throttleTimeMs", 0)?,
    })
}

fn metadata_request(version: i16, body: &JsonValue) -> FieldResult<MetadataRequest> {
    let topics = body.optional_list("topics", |topic| topic.text("name"))?;
    Ok(MetadataRequest {
        // In version 0 an empty list means all topics.
        topics: topics.filter(|topics| version > 0 || !topics.is_empty()),
        allow_auto_topic_creation: body.bool_or("allowAutoTopicCreation", true)?,
    })
}

fn metadata_response(body: &JsonValue) -> FieldResult<MetadataResponse> {
    let broker = |value: &JsonValue| {
        Ok(MetadataBroker {
            node_id: value.number("nodeId")?,
            host: value.text("host")?,
            port: value.number("port")?,
            rack: value.optional_text("rack")?,
        })
    };
    let topic = |value: &JsonValue| {
        Ok(MetadataTopic {
            error: value.error("errorCode")?,
            name: value.text("name")?,
            topic_id: topic_id(value)?,
            is_internal: value.bool_or("isInternal", false)?,
            partitions: value.list("partitions", metadata_partition)?,
        })
    };
    Ok(MetadataResponse {
        throttle_time_ms: body.number_or("throttleTimeMs", 0)?,
        brokers: body.list("brokers", broker)?,
        cluster_id: body.optional_text("clusterId")?,
        controller_id: body.number_or("controllerId", -1)?,
        topics: body.list("topics", topic)?,
    })
}

fn metadata_partition(value: &JsonValue) -> FieldResult<MetadataPartition> {
    Ok(MetadataPartition {
        error: value.error("errorCode")?,
        index: value.number("partitionIndex")?,
        leader_id: value.number("leaderId")?,
        leader_epoch: value.number_or("leaderEpoch", -1)?,
        replicas: ReplicaLists::new(
            &value.numbers("replicaNodes")?,
            &value.numbers("isrNodes")?,
            &value.numbers("offlineReplicas")?,
        ),
    })
}

fn topic_id(topic: &JsonValue) -> FieldResult<[u8; 16]> {
    let bytes = topic.optional_bytes("topicId")?;
    let bytes = bytes.as_deref().unwrap_or(&[0; 16]);
    bytes
        .try_into()
        .map_err(|_| format!("an id of {} bytes", bytes.len()))
}

fn api_versions_request(body: &JsonValue) -> FieldResult<ApiVersionsRequest> {
    Ok(ApiVersionsRequest {
        client_software_name: body
            .optional_text("clientSoftwareName")?
            .unwrap_or_default(),
        client_software_version: body
            .optional_text("clientSoftwareVersion")?
            .unwrap_or_default(),
    })
}

fn api_versions_response(body: &JsonValue) -> FieldResult<ApiVersionsResponse> {
    let range = |value: &JsonValue| {
        Ok(ApiVersionRange {
            api_key: value.number("apiKey")?,
            min: value.number("minVersion")?,
            max: value.number("maxVersion")?,
        })
    };
    Ok(ApiVersionsResponse {
        error: body.error("errorCode")?,
        api_keys: body.list("apiKeys", range)?,
        throttle_time_ms: body.number_or("throttleTimeMs", 0)?,
    })
}

fn init_producer_id_request(body: &JsonValue) -> FieldResult<InitProducerIdRequest> {
    Ok(InitProducerIdRequest {
        transactional_id: body.optional_text("transactionalId")?,
        transaction_timeout_ms: body.number("transactionTimeoutMs")?,
        producer_id: body.number_or("producerId", -1)?,
        producer_epoch: body.number_or("producerEpoch", -1)?,
    })
}

fn init_producer_id_response(body: &JsonValue) -> FieldResult<InitProducerIdResponse> {
    Ok(InitProducerIdResponse {
        throttle_time_ms: body.number("throttleTimeMs")?,
        error: body.error("errorCode")?,
        producer_id: body.number("producerId")?,
        producer_epoch: body.number("producerEpoch")?,
    })
}

fn find_coordinator_request(body: &JsonValue) -> FieldResult<FindCoordinatorRequest> {
    let keys = match body.find("key") {
        Some(_) => vec![body.text("key")?],
        None => body.texts("coordinatorKeys")?,
    };
    Ok(FindCoordinatorRequest {
        coordinator_type: CoordinatorType(body.number_or("keyType", 0)?),
        keys,
    })
}

fn find_coordinator_response(body: &JsonValue) -> FieldResult<FindCoordinatorResponse> {
    let coordinator = |value: &JsonValue| {
        Ok(Coordinator {
            key: value.optional_text("key")?,
            node_id: value.number("nodeId")?,
            host: value.text("host")?,
            port: value.number("port")?,
            error: value.error("errorCode")?,
            error_message: value.optional_text("errorMessage")?,
        })
    };
    // Before version 4 the only coordinator was in the body itself.
    let coordinators = match body.find("coordinators") {
        Some(_) => body.list("coordinators", coordinator)?,
        None => vec![coordinator(body)?],
    };
    Ok(FindCoordinatorResponse {
        throttle_time_ms: body.number_or("throttleTimeMs", 0)?,
        coordinators,
    })
}

fn add_partitions_to_txn_request(body: &JsonValue) -> FieldResult<AddPartitionsToTxnRequest> {
    let topic = |value: &JsonValue| {
        Ok(AddPartitionsToTxnTopic {
            name: value.text("name")?,
            partitions: value.numbers("partitions")?,
        })
    };
    Ok(AddPartitionsToTxnRequest {
        transactional_id: body.text("transactionalId")?,
        producer_id: body.number("producerId")?,
        producer_epoch: body.number("producerEpoch")?,
        topics: body.list("topics", topic)?,
    })
}

fn add_offsets_to_txn_request(body: &JsonValue) -> FieldResult<AddOffsetsToTxnRequest> {
    Ok(AddOffsetsToTxnRequest {
        transactional_id: body.text("transactionalId")?,
        producer_id: body.number("producerId")?,
        producer_epoch: body.number("producerEpoch")?,
        group_id: body.text("groupId")?,
    })
}

fn end_txn_request(body: &JsonValue) -> FieldResult<EndTxnRequest> {
    Ok(EndTxnRequest {
        transactional_id: body.text("transactionalId")?,
        producer_id: body.number("producerId")?,
        producer_epoch: body.number("producerEpoch")?,
        committed: body.bool("committed")?,
    })
}

fn txn_offset_commit_request(body: &JsonValue) -> FieldResult<TxnOffsetCommitRequest> {
    let partition = |value: &JsonValue| {
        Ok(TxnOffsetCommitPartition {
            index: value.number("partitionIndex")?,
            offset: value.number("committedOffset")?,
            leader_epoch: value.number_or("committedLeaderEpoch", -1)?,
            metadata: value.optional_text("committedMetadata")?,
        })
    };
    let topic = |value: &JsonValue| {
        Ok(TxnOffsetCommitTopic {
            name: value.text("name")?,
            partitions: value.list("partitions", partition)?,
        })
    };
    Ok(TxnOffsetCommitRequest {
        transactional_id: body.text("transactionalId")?,
        group_id: body.text("groupId")?,
        producer_id: body.number("producerId")?,
        producer_epoch: body.number("producerEpoch")?,
        generation_id: body.number_or("generationId", -1)?,
        member_id: body.optional_text("memberId")?.unwrap_or_default(),
        group_instance_id: body.optional_text("groupInstanceId")?,
        topics: body.list("topics", topic)?,
    })
}

/// The results of partitions; the names of the two lists depend on the API.
fn topic_results(
    body: &JsonValue,
    topics: &str,
    partitions: &str,
) -> FieldResult<Vec<TopicResult>> {
    let partition = |value: &JsonValue| {
        Ok(PartitionResult {
            index: value.number("partitionIndex")?,
            error: value.error("errorCode")?,
        })
    };
    body.list(topics, |value| {
        Ok(TopicResult {
            name: value.text("name")?,
            partitions: value.list(partitions, partition)?,
        })
    })
}
