//! Messages of every shape, and what is left of each in a given version.

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::error::ErrorCode;
use crate::protocol::*;
use crate::types::ReplicaLists;

/// All versions of the four messages, with one of each: for checks that need no variety.
pub(super) const APIS: [ApiKey; 4] = [
    ApiKey::Produce,
    ApiKey::Metadata,
    ApiKey::ApiVersions,
    ApiKey::InitProducerId,
];

fn text() -> impl Strategy<Value = Arc<str>> {
    // Lengths around 127 take a second byte in compact form.
    prop_oneof!["[a-z0-9._-]{1,12}", "\\PC{0,6}", "[a-z]{120,135}"].prop_map(Arc::from)
}

fn error() -> impl Strategy<Value = ErrorCode> {
    (-1i16..=105).prop_map(ErrorCode::from_code)
}

fn head() -> impl Strategy<Value = BatchHead> {
    prop_oneof![
        Just(BatchHead::EMPTY),
        vec(any::<u8>(), 61).prop_map(|bytes| {
            BatchHead::from(<[u8; 61]>::try_from(bytes).expect("61 were asked for"))
        }),
    ]
}

fn records() -> impl Strategy<Value = Records> {
    (head(), vec(any::<u8>(), 0..200)).prop_map(|(head, body)| Records {
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

/// A request and one of its versions, which can carry it.
pub(super) fn request() -> impl Strategy<Value = (Request, i16)> {
    prop_oneof![
        produce_request(),
        metadata_request(),
        api_versions_request(),
        init_producer_id_request()
    ]
    .prop_flat_map(|request| {
        let versions = request.api_key().versions();
        (Just(request), versions)
    })
    .prop_map(|(request, version)| (for_version(request, version), version))
}

/// The request without what the version cannot carry.
fn for_version(mut request: Request, version: i16) -> Request {
    match &mut request {
        Request::Produce(produce) if version < 3 => produce.transactional_id = None,
        Request::Metadata(metadata) => {
            metadata.allow_auto_topic_creation |= version < 4;
            metadata.topics = metadata
                .topics
                .take()
                .filter(|topics| version > 0 || !topics.is_empty());
        }
        Request::ApiVersions(api_versions) if version < 3 => {
            api_versions.client_software_name = "".into();
            api_versions.client_software_version = "".into();
        }
        Request::InitProducerId(init) if version < 3 => {
            (init.producer_id, init.producer_epoch) = (-1, -1);
        }
        _ => {}
    }
    request
}

fn produce_response() -> impl Strategy<Value = Response> {
    let record_error =
        (any::<i32>(), option::of(text())).prop_map(|(batch_index, message)| RecordError {
            batch_index,
            message,
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
        option::of(text()),
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
    (error(), vec(range, 0..80), any::<i32>()).prop_map(|(error, api_keys, throttle_time_ms)| {
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

/// A response, and a version for it that may lack some of its fields.
pub(super) fn response() -> impl Strategy<Value = (Response, i16)> {
    prop_oneof![
        produce_response(),
        metadata_response(),
        api_versions_response(),
        init_producer_id_response()
    ]
    .prop_flat_map(|response| {
        let versions = response.api_key().versions();
        (Just(response), versions)
    })
}

/// What a peer reads of a response that is written in this version.
pub(super) fn as_seen_in(mut response: Response, version: i16) -> Response {
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
        Response::ApiVersions(_) | Response::InitProducerId(_) => {}
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

/// The request as a peer reads it: of a batch, all is body.
pub(super) fn as_read(mut request: Request) -> Request {
    if let Request::Produce(produce) = &mut request {
        for partition in produce
            .topics
            .iter_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            if let Some(records) = &mut partition.records {
                let whole = [records.head.as_slice(), &records.body].concat();
                *records = Records {
                    head: BatchHead::EMPTY,
                    body: whole.into(),
                };
            }
        }
    }
    request
}

/// One request of each kind with something in every field that the version has.
pub(crate) fn full_request(api: ApiKey, version: i16) -> Request {
    let request = match api {
        ApiKey::Produce => {
            let partition = |index| PartitionProduceData {
                index,
                records: Some(Records {
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
        _ => Request::InitProducerId(InitProducerIdRequest {
            transactional_id: Some("transfer".into()),
            transaction_timeout_ms: 60_000,
            producer_id: 4711,
            producer_epoch: 3,
        }),
    };
    for_version(request, version)
}

/// One response of each kind with something in every field.
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
                record_errors: vec![RecordError {
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
        _ => Response::InitProducerId(InitProducerIdResponse {
            throttle_time_ms: 250,
            error,
            producer_id: 4711,
            producer_epoch: 4,
        }),
    }
}

/// Reads a whole response frame.
pub(super) fn read_response(
    api: ApiKey,
    version: i16,
    payload: &Bytes,
) -> Result<(i32, Response), DecodeError> {
    let mut reader = Reader::new(payload);
    let correlation_id = decode_response_correlation(api, version, &mut reader)?;
    Ok((correlation_id, Response::decode(api, version, &mut reader)?))
}
