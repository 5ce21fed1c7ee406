//! Requests of every shape.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{auth_bytes, text};
use crate::protocol::*;

fn head() -> impl Strategy<Value = BatchHead> {
    prop_oneof![
        Just(BatchHead::EMPTY),
        vec(any::<u8>(), 61).prop_map(|bytes| {
            BatchHead::from(<[u8; 61]>::try_from(bytes).expect("61 were asked for"))
        }),
    ]
}

fn records() -> impl Strategy<Value = MemoryRecords> {
    (head(), vec(any::<u8>(), 0..200)).prop_map(|(head, body)| MemoryRecords {
        head,
        body: body.into(),
    })
}

fn produce_request() -> impl Strategy<Value = Request> {
    let partition = (any::<i32>(), option::weighted(0.9, records()))
        .prop_map(|(index, records)| PartitionProduceData { index, records });
    let topic = (text(), vec(partition, 0..4))
        .prop_map(|(name, partitions)| TopicProduceData { name, partitions });
    (
        option::of(text()),
        any::<i16>(),
        any::<i32>(),
        vec(topic, 0..4),
    )
        .prop_map(|(transactional_id, acks, timeout_ms, topics)| {
            Request::Produce(ProduceRequest {
                transactional_id,
                acks,
                timeout_ms,
                topics,
            })
        })
}

fn metadata_request() -> impl Strategy<Value = Request> {
    (option::weighted(0.9, vec(text(), 0..5)), any::<bool>()).prop_map(
        |(topics, allow_auto_topic_creation)| {
            Request::Metadata(MetadataRequest {
                topics,
                allow_auto_topic_creation,
            })
        },
    )
}

fn api_versions_request() -> impl Strategy<Value = Request> {
    (text(), text()).prop_map(|(client_software_name, client_software_version)| {
        Request::ApiVersions(ApiVersionsRequest {
            client_software_name,
            client_software_version,
        })
    })
}

fn init_producer_id_request() -> impl Strategy<Value = Request> {
    (option::of(text()), any::<i32>(), any::<i64>(), any::<i16>()).prop_map(
        |(transactional_id, transaction_timeout_ms, producer_id, producer_epoch)| {
            Request::InitProducerId(InitProducerIdRequest {
                transactional_id,
                transaction_timeout_ms,
                producer_id,
                producer_epoch,
            })
        },
    )
}

fn find_coordinator_request() -> impl Strategy<Value = Request> {
    (any::<i8>(), vec(text(), 0..4)).prop_map(|(coordinator_type, keys)| {
        Request::FindCoordinator(FindCoordinatorRequest {
            coordinator_type: CoordinatorType(coordinator_type),
            keys,
        })
    })
}

fn sasl_handshake_request() -> impl Strategy<Value = Request> {
    text().prop_map(|mechanism| Request::SaslHandshake(SaslHandshakeRequest { mechanism }))
}

fn sasl_authenticate_request() -> impl Strategy<Value = Request> {
    auth_bytes()
        .prop_map(|auth_bytes| Request::SaslAuthenticate(SaslAuthenticateRequest { auth_bytes }))
}

fn add_partitions_to_txn_request() -> impl Strategy<Value = Request> {
    let topic = (text(), vec(any::<i32>(), 0..5))
        .prop_map(|(name, partitions)| AddPartitionsToTxnTopic { name, partitions });
    (text(), any::<i64>(), any::<i16>(), vec(topic, 0..4)).prop_map(
        |(transactional_id, producer_id, producer_epoch, topics)| {
            let request = AddPartitionsToTxnRequest {
                transactional_id,
                producer_id,
                producer_epoch,
                topics,
            };
            Request::AddPartitionsToTxn(request.into())
        },
    )
}

fn add_offsets_to_txn_request() -> impl Strategy<Value = Request> {
    (text(), any::<i64>(), any::<i16>(), text()).prop_map(
        |(transactional_id, producer_id, producer_epoch, group_id)| {
            let request = AddOffsetsToTxnRequest {
                transactional_id,
                producer_id,
                producer_epoch,
                group_id,
            };
            Request::AddOffsetsToTxn(request.into())
        },
    )
}

fn end_txn_request() -> impl Strategy<Value = Request> {
    (text(), any::<i64>(), any::<i16>(), any::<bool>()).prop_map(
        |(transactional_id, producer_id, producer_epoch, committed)| {
            Request::EndTxn(EndTxnRequest {
                transactional_id,
                producer_id,
                producer_epoch,
                committed,
            })
        },
    )
}

fn txn_offset_commit_request() -> impl Strategy<Value = Request> {
    let partition = (any::<i32>(), any::<i64>(), any::<i32>(), option::of(text())).prop_map(
        |(index, offset, leader_epoch, metadata)| TxnOffsetCommitPartition {
            index,
            offset,
            leader_epoch,
            metadata,
        },
    );
    let topic = (text(), vec(partition, 0..4))
        .prop_map(|(name, partitions)| TxnOffsetCommitTopic { name, partitions });
    (
        (text(), text(), any::<i64>(), any::<i16>()),
        (any::<i32>(), text(), option::of(text())),
        vec(topic, 0..4),
    )
        .prop_map(|(producer, member, topics)| {
            let (transactional_id, group_id, producer_id, producer_epoch) = producer;
            let (generation_id, member_id, group_instance_id) = member;
            let request = TxnOffsetCommitRequest {
                transactional_id,
                group_id,
                producer_id,
                producer_epoch,
                generation_id,
                member_id,
                group_instance_id,
                topics,
            };
            Request::TxnOffsetCommit(request.into())
        })
}

/// A request, and a version that can carry it.
pub(crate) fn request() -> impl Strategy<Value = (Request, i16)> {
    prop_oneof![
        produce_request(),
        metadata_request(),
        find_coordinator_request(),
        sasl_handshake_request(),
        api_versions_request(),
        init_producer_id_request(),
        add_partitions_to_txn_request(),
        add_offsets_to_txn_request(),
        end_txn_request(),
        txn_offset_commit_request(),
        sasl_authenticate_request(),
    ]
    .prop_flat_map(|request| {
        let versions = request.api_key().versions();
        (Just(request), versions)
    })
    .prop_map(|(request, version)| (for_version(request, version), version))
}

/// The request without the fields that the version lacks, and with those that it requires.
pub(super) fn for_version(mut request: Request, version: i16) -> Request {
    match &mut request {
        Request::Produce(produce) if version < 3 => produce.transactional_id = None,
        Request::Metadata(metadata) => {
            metadata.allow_auto_topic_creation |= version < 4;
            metadata.topics = metadata
                .topics
                .take()
                .filter(|topics| version > 0 || !topics.is_empty());
        }
        Request::FindCoordinator(find) if version < 4 => {
            find.keys.resize(1, "alone".into());
            if version < 1 {
                find.coordinator_type = CoordinatorType::GROUP;
            }
        }
        Request::ApiVersions(api_versions) if version < 3 => {
            api_versions.client_software_name = "".into();
            api_versions.client_software_version = "".into();
        }
        Request::InitProducerId(init) if version < 3 => {
            (init.producer_id, init.producer_epoch) = (-1, -1);
        }
        Request::TxnOffsetCommit(commit) => {
            if version < 3 {
                commit.generation_id = -1;
                commit.member_id = "".into();
                commit.group_instance_id = None;
            }
            // A version without leader epochs leaves them out.
            let topics = commit.topics.iter_mut().filter(|_| version < 2);
            for partition in topics.flat_map(|topic| &mut topic.partitions) {
                partition.leader_epoch = -1;
            }
        }
        _ => {}
    }
    request
}

/// The request as a peer decodes it: all bytes of a batch are in its body.
pub(crate) fn as_read(mut request: Request) -> Request {
    if let Request::Produce(produce) = &mut request {
        for partition in produce
            .topics
            .iter_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            if let Some(records) = &mut partition.records {
                let whole = [records.head.as_slice(), &records.body].concat();
                *records = MemoryRecords {
                    head: BatchHead::EMPTY,
                    body: whole.into(),
                };
            }
        }
    }
    request
}
