//! Responses of every shape.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{auth_bytes, error, text};
use crate::protocol::*;
use crate::types::ReplicaLists;
use crate::util::foreign_text::printable;

/// An error message that is decoded as it is: neither empty, nor with characters that are escaped.
fn error_message() -> impl Strategy<Value = Option<Arc<str>>> {
    option::of(text().prop_filter("as it is decoded", |text| {
        !text.is_empty() && *printable(text) == **text
    }))
}

fn produce_response() -> impl Strategy<Value = Response> {
    let record_error = (any::<i32>(), error_message()).prop_map(|(batch_index, message)| {
        BatchIndexAndErrorMessage {
            batch_index,
            message,
        }
    });
    let partition = (
        (
            any::<i32>(),
            error(),
            any::<i64>(),
            any::<i64>(),
            any::<i64>(),
        ),
        vec(record_error, 0..3),
        error_message(),
    )
        .prop_map(|(numbers, record_errors, error_message)| {
            let (index, error, base_offset, log_append_time_ms, log_start_offset) = numbers;
            PartitionProduceResponse {
                index,
                error,
                base_offset,
                log_append_time_ms,
                log_start_offset,
                record_errors,
                error_message,
            }
        });
    let topic = (text(), vec(partition, 0..3))
        .prop_map(|(name, partitions)| TopicProduceResponse { name, partitions });
    (vec(topic, 0..3), any::<i32>()).prop_map(|(topics, throttle_time_ms)| {
        Response::Produce(ProduceResponse {
            topics,
            throttle_time_ms,
        })
    })
}

fn metadata_partition() -> impl Strategy<Value = MetadataPartition> {
    let ids = || vec(any::<i32>(), 0..4);
    (
        (error(), any::<i32>(), any::<i32>(), any::<i32>()),
        ids(),
        ids(),
        ids(),
    )
        .prop_map(
            |((error, index, leader_id, leader_epoch), replicas, isr, offline_replicas)| {
                MetadataPartition {
                    error,
                    index,
                    leader_id,
                    leader_epoch,
                    replicas: ReplicaLists::new(&replicas, &isr, &offline_replicas),
                }
            },
        )
}

fn metadata_response() -> impl Strategy<Value = Response> {
    let broker = (any::<i32>(), text(), any::<i32>(), option::of(text())).prop_map(
        |(node_id, host, port, rack)| MetadataBroker {
            node_id,
            host,
            port,
            rack,
        },
    );
    let topic = (
        error(),
        text(),
        any::<[u8; 16]>(),
        any::<bool>(),
        vec(metadata_partition(), 0..4),
    )
        .prop_map(
            |(error, name, topic_id, is_internal, partitions)| MetadataTopic {
                error,
                name,
                topic_id,
                is_internal,
                partitions,
            },
        );
    (
        any::<i32>(),
        vec(broker, 0..4),
        option::of(text()),
        any::<i32>(),
        vec(topic, 0..4),
    )
        .prop_map(
            |(throttle_time_ms, brokers, cluster_id, controller_id, topics)| {
                Response::Metadata(MetadataResponse {
                    throttle_time_ms,
                    brokers,
                    cluster_id,
                    controller_id,
                    topics,
                })
            },
        )
}

fn api_versions_response() -> impl Strategy<Value = Response> {
    let range = (any::<i16>(), any::<i16>(), any::<i16>())
        .prop_map(|(api_key, min, max)| ApiVersionRange { api_key, min, max });
    // An UNSUPPORTED_VERSION response has version 0, whatever version was requested; `shape` tests it.
    let error = error().prop_filter("of version 0", |error| {
        *error != crate::error::ErrorCode::UnsupportedVersion
    });
    (error, vec(range, 0..80), any::<i32>()).prop_map(|(error, api_keys, throttle_time_ms)| {
        Response::ApiVersions(ApiVersionsResponse {
            error,
            api_keys,
            throttle_time_ms,
        })
    })
}

fn init_producer_id_response() -> impl Strategy<Value = Response> {
    (any::<i32>(), error(), any::<i64>(), any::<i16>()).prop_map(
        |(throttle_time_ms, error, producer_id, producer_epoch)| {
            Response::InitProducerId(InitProducerIdResponse {
                throttle_time_ms,
                error,
                producer_id,
                producer_epoch,
            })
        },
    )
}

fn coordinator() -> impl Strategy<Value = Coordinator> {
    (
        option::weighted(0.9, text()),
        (any::<i32>(), text(), any::<i32>()),
        (error(), error_message()),
    )
        .prop_map(
            |(key, (node_id, host, port), (error, error_message))| Coordinator {
                key,
                node_id,
                host,
                port,
                error,
                error_message,
            },
        )
}

fn find_coordinator_response() -> impl Strategy<Value = Response> {
    // A single coordinator, which every version can carry, is generated more often.
    let coordinators = prop_oneof![vec(coordinator(), 1), vec(coordinator(), 0..4)];
    (any::<i32>(), coordinators).prop_map(|(throttle_time_ms, coordinators)| {
        Response::FindCoordinator(FindCoordinatorResponse {
            throttle_time_ms,
            coordinators,
        })
    })
}

fn sasl_handshake_response() -> impl Strategy<Value = Response> {
    (error(), vec(text(), 0..4)).prop_map(|(error, mechanisms)| {
        Response::SaslHandshake(SaslHandshakeResponse { error, mechanisms })
    })
}

fn sasl_authenticate_response() -> impl Strategy<Value = Response> {
    (error(), error_message(), auth_bytes(), any::<i64>()).prop_map(
        |(error, error_message, auth_bytes, session_lifetime_ms)| {
            Response::SaslAuthenticate(SaslAuthenticateResponse {
                error,
                error_message,
                auth_bytes,
                session_lifetime_ms,
            })
        },
    )
}

fn topic_results() -> impl Strategy<Value = Vec<TopicResult>> {
    let partition =
        (any::<i32>(), error()).prop_map(|(index, error)| PartitionResult { index, error });
    let topic = (text(), vec(partition, 0..4))
        .prop_map(|(name, partitions)| TopicResult { name, partitions });
    vec(topic, 0..4)
}

fn add_partitions_to_txn_response() -> impl Strategy<Value = Response> {
    (any::<i32>(), topic_results()).prop_map(|(throttle_time_ms, topics)| {
        Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
            throttle_time_ms,
            topics,
        })
    })
}

fn add_offsets_to_txn_response() -> impl Strategy<Value = Response> {
    (any::<i32>(), error()).prop_map(|(throttle_time_ms, error)| {
        Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
            throttle_time_ms,
            error,
        })
    })
}

fn end_txn_response() -> impl Strategy<Value = Response> {
    (any::<i32>(), error()).prop_map(|(throttle_time_ms, error)| {
        Response::EndTxn(EndTxnResponse {
            throttle_time_ms,
            error,
        })
    })
}

fn txn_offset_commit_response() -> impl Strategy<Value = Response> {
    (any::<i32>(), topic_results()).prop_map(|(throttle_time_ms, topics)| {
        Response::TxnOffsetCommit(TxnOffsetCommitResponse {
            throttle_time_ms,
            topics,
        })
    })
}

/// A response, and a version that can carry it; the version may lack some of the response's fields.
pub(crate) fn response() -> impl Strategy<Value = (Response, i16)> {
    prop_oneof![
        produce_response(),
        metadata_response(),
        find_coordinator_response(),
        sasl_handshake_response(),
        api_versions_response(),
        init_producer_id_response(),
        add_partitions_to_txn_response(),
        add_offsets_to_txn_response(),
        end_txn_response(),
        txn_offset_commit_response(),
        sasl_authenticate_response(),
    ]
    .prop_flat_map(|response| {
        let oldest = match &response {
            Response::FindCoordinator(find) if find.coordinators.len() != 1 => 4,
            _ => 0,
        };
        let versions = oldest..=response.api_key().max_version();
        (Just(response), versions)
    })
}

/// The response as a peer decodes it in this version.
pub(crate) fn as_seen_in(mut response: Response, version: i16) -> Response {
    match &mut response {
        Response::Produce(produce) => {
            if version < 1 {
                produce.throttle_time_ms = 0;
            }
            for partition in produce
                .topics
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
            {
                if version < 2 {
                    partition.log_append_time_ms = -1;
                }
                if version < 5 {
                    partition.log_start_offset = -1;
                }
                if version < 8 {
                    partition.record_errors.clear();
                    partition.error_message = None;
                }
            }
        }
        Response::Metadata(metadata) => metadata_as_seen_in(metadata, version),
        Response::ApiVersions(api_versions) if version < 1 => api_versions.throttle_time_ms = 0,
        Response::SaslAuthenticate(authenticate) if version < 1 => {
            authenticate.session_lifetime_ms = 0;
        }
        Response::FindCoordinator(find) => find_coordinator_as_seen_in(find, version),
        _ => {}
    }
    response
}

fn metadata_as_seen_in(metadata: &mut MetadataResponse, version: i16) {
    if version < 3 {
        metadata.throttle_time_ms = 0;
    }
    if version < 2 {
        metadata.cluster_id = None;
    }
    if version < 1 {
        metadata.controller_id = -1;
        metadata
            .brokers
            .iter_mut()
            .for_each(|broker| broker.rack = None);
    }
    for topic in &mut metadata.topics {
        if version < 10 {
            topic.topic_id = [0; 16];
        }
        topic.is_internal &= version >= 1;
        for partition in &mut topic.partitions {
            if version < 7 {
                partition.leader_epoch = -1;
            }
            if version < 5 {
                let known = &partition.replicas;
                partition.replicas = ReplicaLists::new(known.all(), known.in_sync(), &[]);
            }
        }
    }
}

fn find_coordinator_as_seen_in(find: &mut FindCoordinatorResponse, version: i16) {
    if version < 1 {
        find.throttle_time_ms = 0;
    }
    for coordinator in &mut find.coordinators {
        if version < 1 {
            coordinator.error_message = None;
        }
        coordinator.key = if version < 4 {
            None
        } else {
            Some(coordinator.key.take().unwrap_or_default())
        };
    }
}
