//! Another implementation of the protocol, generated from Kafka's own descriptions, writes the same
//! bytes. It begins with Produce version 3.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use proptest::prelude::*;

use super::generate::{
    APIS, as_read, as_seen_in, full_request, full_response, read_response, request, response,
};
use crate::protocol::*;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn optional(maybe: Option<&str>) -> Option<StrBytes> {
    maybe.map(text)
}

fn topic_name(name: &str) -> theirs::TopicName {
    text(name).into()
}

/// A field that other versions of the message may have, and this library does not know.
fn unknown(tagged: bool) -> BTreeMap<i32, Bytes> {
    let field = (9_000, Bytes::from_static(b"of a later time"));
    tagged.then_some(field).into_iter().collect()
}

fn request_bytes<M: Encodable + HeaderVersion>(message: &M, api: ApiKey, version: i16) -> Bytes {
    let mut out = Vec::new();
    theirs::RequestHeader::default()
        .with_request_api_key(api.code())
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some(text("client")))
        .encode(&mut out, M::header_version(version))
        .unwrap();
    message.encode(&mut out, version).unwrap();
    out.into()
}

fn response_bytes<M: Encodable + HeaderVersion>(message: &M, version: i16) -> Bytes {
    let mut out = Vec::new();
    theirs::ResponseHeader::default()
        .with_correlation_id(77)
        .encode(&mut out, M::header_version(version))
        .unwrap();
    message.encode(&mut out, version).unwrap();
    out.into()
}

/// The request as the oracle writes it; with unknown tagged fields in every structure if `tagged`.
fn their_request(request: &Request, version: i16, tagged: bool) -> Bytes {
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
    }
}

/// The response as the oracle writes it; with unknown tagged fields in every structure if `tagged`.
fn their_response(response: &Response, version: i16, tagged: bool) -> Bytes {
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
    }
}

fn their_produce(ours: &ProduceResponse, tagged: bool) -> theirs::ProduceResponse {
    use kafka_protocol::messages::produce_response as produce;

    let record_error = |ours: &RecordError| {
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
        // In 32 hexadecimal digits, because the UUID type itself cannot be named here.
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

fn their_api_versions(ours: &ApiVersionsResponse, tagged: bool) -> theirs::ApiVersionsResponse {
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

fn oracle_has(api: ApiKey, version: i16) -> bool {
    api != ApiKey::Produce || version >= 3
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn requests_have_the_bytes_that_another_implementation_writes((request, version) in request()) {
        prop_assume!(oracle_has(request.api_key(), version));
        let ours = request.encode(version, 77, Some("client")).unwrap().to_payload();
        let request = as_read(request);
        let theirs = their_request(&request, version, false);
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(Request::decode(&theirs).unwrap().1, request);
    }

    #[test]
    fn responses_have_the_bytes_that_another_implementation_writes(
        (response, version) in response(),
    ) {
        prop_assume!(oracle_has(response.api_key(), version));
        let ours = response.encode(version, 77).to_payload();
        let response = as_seen_in(response, version);
        let theirs = their_response(&response, version, false);
        prop_assert_eq!(&ours, &theirs);
        let read = read_response(response.api_key(), version, &theirs).unwrap();
        prop_assert_eq!(read, (77, response));
    }
}

/// Every version, so that none is left to the luck of the draw.
#[test]
fn every_version_of_every_message_has_the_bytes_of_the_other_implementation() {
    for api in APIS {
        for version in api.versions().filter(|&version| oracle_has(api, version)) {
            let request = full_request(api, version);
            let ours = request
                .encode(version, 77, Some("client"))
                .unwrap()
                .to_payload();
            assert_eq!(
                ours,
                their_request(&as_read(request), version, false),
                "{api} {version}"
            );

            let response = full_response(api);
            let ours = response.encode(version, 77).to_payload();
            let response = as_seen_in(response, version);
            assert_eq!(
                ours,
                their_response(&response, version, false),
                "{api} {version}"
            );
        }
    }
}

#[test]
fn tagged_fields_that_are_not_known_are_skipped() {
    for api in APIS {
        for version in api.versions().filter(|&version| api.is_flexible(version)) {
            let request = as_read(full_request(api, version));
            let tagged = their_request(&request, version, true);
            assert_ne!(tagged, their_request(&request, version, false));
            assert_eq!(
                Request::decode(&tagged).unwrap().1,
                request,
                "{api} {version}"
            );

            let response = as_seen_in(full_response(api), version);
            let tagged = their_response(&response, version, true);
            assert_ne!(tagged, their_response(&response, version, false));
            let read = read_response(api, version, &tagged).unwrap();
            assert_eq!(read, (77, response), "{api} {version}");
        }
    }
}

#[test]
fn the_features_of_a_cluster_are_skipped() {
    use kafka_protocol::messages::api_versions_response as api_versions;

    let Response::ApiVersions(ours) = full_response(ApiKey::ApiVersions) else {
        panic!("it is asked for by name");
    };
    let supported = api_versions::SupportedFeatureKey::default()
        .with_name(text("metadata.version"))
        .with_min_version(1)
        .with_max_version(20);
    let finalized = api_versions::FinalizedFeatureKey::default()
        .with_name(text("metadata.version"))
        .with_min_version_level(1)
        .with_max_version_level(20);
    let message = their_api_versions(&ours, false)
        .with_supported_features(vec![supported])
        .with_finalized_features_epoch(12)
        .with_finalized_features(vec![finalized]);
    let payload = response_bytes(&message, 3);
    let (_, read) = read_response(ApiKey::ApiVersions, 3, &payload).unwrap();
    assert_eq!(read, Response::ApiVersions(ours));
}
