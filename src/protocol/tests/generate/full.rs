//! One request and one response of each API, for tests that need no variety.

use bytes::Bytes;

use super::requests::for_version;
use crate::error::ErrorCode;
use crate::protocol::*;
use crate::types::ReplicaLists;

/// A request of the API, with a value in every field that the version has.
pub(crate) fn full_request(api: ApiKey, version: i16) -> Request {
    let request = match api {
        ApiKey::Produce => {
            let partition = |index| PartitionProduceData {
                index,
                records: Some(MemoryRecords {
                    head: [7; 61].into(),
                    body: Bytes::from_static(b"a batch"),
                }),
            };
            let topic = |name: &str| TopicProduceData {
                name: name.into(),
                partitions: vec![partition(0), partition(1)],
            };
            Request::Produce(ProduceRequest {
                transactional_id: Some("transfer".into()),
                acks: -1,
                timeout_ms: 30_000,
                topics: vec![topic("orders"), topic("payments")],
            })
        }
        ApiKey::Metadata => Request::Metadata(MetadataRequest {
            topics: Some(vec!["orders".into(), "payments".into()]),
            allow_auto_topic_creation: true,
        }),
        ApiKey::ApiVersions => Request::ApiVersions(ApiVersionsRequest::ours()),
        ApiKey::InitProducerId => Request::InitProducerId(InitProducerIdRequest {
            transactional_id: Some("transfer".into()),
            transaction_timeout_ms: 60_000,
            producer_id: 4711,
            producer_epoch: 3,
        }),
        ApiKey::FindCoordinator => Request::FindCoordinator(FindCoordinatorRequest {
            coordinator_type: CoordinatorType::TRANSACTION,
            keys: vec!["transfer".into(), "refund".into()],
        }),
        ApiKey::SaslHandshake => Request::SaslHandshake(SaslHandshakeRequest {
            mechanism: "SCRAM-SHA-512".into(),
        }),
        ApiKey::SaslAuthenticate => Request::SaslAuthenticate(SaslAuthenticateRequest {
            auth_bytes: AuthBytes(Bytes::from_static(b"\0user\0secret")),
        }),
        ApiKey::AddPartitionsToTxn => {
            let topic = |name: &str| AddPartitionsToTxnTopic {
                name: name.into(),
                partitions: vec![0, 7],
            };
            let request = AddPartitionsToTxnRequest {
                transactional_id: "transfer".into(),
                producer_id: 4711,
                producer_epoch: 3,
                topics: vec![topic("orders"), topic("payments")],
            };
            Request::AddPartitionsToTxn(request.into())
        }
        ApiKey::AddOffsetsToTxn => {
            let request = AddOffsetsToTxnRequest {
                transactional_id: "transfer".into(),
                producer_id: 4711,
                producer_epoch: 3,
                group_id: "billing".into(),
            };
            Request::AddOffsetsToTxn(request.into())
        }
        ApiKey::EndTxn => Request::EndTxn(EndTxnRequest {
            transactional_id: "transfer".into(),
            producer_id: 4711,
            producer_epoch: 3,
            committed: true,
        }),
        ApiKey::TxnOffsetCommit => Request::TxnOffsetCommit(full_txn_offset_commit().into()),
    };
    for_version(request, version)
}

fn full_txn_offset_commit() -> TxnOffsetCommitRequest {
    let partition = |index| TxnOffsetCommitPartition {
        index,
        offset: 1 << 40,
        leader_epoch: 9,
        metadata: Some("as of noon".into()),
    };
    let topic = |name: &str| TxnOffsetCommitTopic {
        name: name.into(),
        partitions: vec![partition(0), partition(7)],
    };
    TxnOffsetCommitRequest {
        transactional_id: "transfer".into(),
        group_id: "billing".into(),
        producer_id: 4711,
        producer_epoch: 3,
        generation_id: 12,
        member_id: "billing-1".into(),
        group_instance_id: Some("till".into()),
        topics: vec![topic("orders"), topic("payments")],
    }
}

/// A response of the API, with a value in every field.
pub(crate) fn full_response(api: ApiKey) -> Response {
    let error = ErrorCode::NotLeaderOrFollower;
    match api {
        ApiKey::Produce => {
            let partition = |index| PartitionProduceResponse {
                index,
                error,
                base_offset: 1 << 40,
                log_append_time_ms: 1_600_000_000_000,
                log_start_offset: 17,
                record_errors: vec![BatchIndexAndErrorMessage {
                    batch_index: 2,
                    message: Some("bad".into()),
                }],
                error_message: Some("moved".into()),
            };
            let topic = |name: &str| TopicProduceResponse {
                name: name.into(),
                partitions: vec![partition(0), partition(1)],
            };
            let topics = vec![topic("orders"), topic("payments")];
            Response::Produce(ProduceResponse {
                topics,
                throttle_time_ms: 250,
            })
        }
        ApiKey::Metadata => {
            let partition = MetadataPartition {
                error,
                index: 0,
                leader_id: 1,
                leader_epoch: 9,
                replicas: ReplicaLists::new(&[1, 2, 3], &[1, 2], &[3]),
            };
            Response::Metadata(MetadataResponse {
                throttle_time_ms: 250,
                brokers: vec![MetadataBroker {
                    node_id: 1,
                    host: "broker.example".into(),
                    port: 9092,
                    rack: Some("a".into()),
                }],
                cluster_id: Some("cluster".into()),
                controller_id: 1,
                topics: vec![MetadataTopic {
                    error,
                    name: "orders".into(),
                    topic_id: [5; 16],
                    is_internal: true,
                    partitions: vec![partition.clone(), partition],
                }],
            })
        }
        ApiKey::ApiVersions => Response::ApiVersions(ApiVersionsResponse {
            error: ErrorCode::NoError,
            api_keys: vec![
                ApiVersionRange {
                    api_key: 0,
                    min: 0,
                    max: 9,
                },
                ApiVersionRange {
                    api_key: 18,
                    min: 0,
                    max: 3,
                },
            ],
            throttle_time_ms: 250,
        }),
        ApiKey::InitProducerId => Response::InitProducerId(InitProducerIdResponse {
            throttle_time_ms: 250,
            error,
            producer_id: 4711,
            producer_epoch: 4,
        }),
        ApiKey::FindCoordinator => Response::FindCoordinator(FindCoordinatorResponse {
            throttle_time_ms: 250,
            coordinators: vec![Coordinator {
                key: Some("transfer".into()),
                node_id: 1,
                host: "broker.example".into(),
                port: 9092,
                error,
                error_message: Some("moved".into()),
            }],
        }),
        ApiKey::SaslHandshake => Response::SaslHandshake(SaslHandshakeResponse {
            error: ErrorCode::UnsupportedSaslMechanism,
            mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-512".into()],
        }),
        ApiKey::SaslAuthenticate => Response::SaslAuthenticate(SaslAuthenticateResponse {
            error: ErrorCode::SaslAuthenticationFailed,
            error_message: Some("no".into()),
            auth_bytes: AuthBytes(Bytes::from_static(b"v=signature")),
            session_lifetime_ms: 3_600_000,
        }),
        ApiKey::AddPartitionsToTxn => Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
            throttle_time_ms: 250,
            topics: topic_results(),
        }),
        ApiKey::AddOffsetsToTxn => Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
            throttle_time_ms: 250,
            error,
        }),
        ApiKey::EndTxn => Response::EndTxn(EndTxnResponse {
            throttle_time_ms: 250,
            error,
        }),
        ApiKey::TxnOffsetCommit => Response::TxnOffsetCommit(TxnOffsetCommitResponse {
            throttle_time_ms: 250,
            topics: topic_results(),
        }),
    }
}

fn topic_results() -> Vec<TopicResult> {
    let partition = |index| PartitionResult {
        index,
        error: ErrorCode::UnknownTopicOrPartition,
    };
    let topic = |name: &str| TopicResult {
        name: name.into(),
        partitions: vec![partition(0), partition(7)],
    };
    vec![topic("orders"), topic("payments")]
}
