//! Metadata responses that are well formed and wrong.

use std::time::Instant;

use kafka_producer::{Delivery, ProduceErrorKind, WaitCause};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition,
};
use kafka_protocol::messages::{BrokerId, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

use crate::case::{BLOCK, Case, GRACE};
use crate::exchange::Api;

impl Case {
    /// A case in which `edit` changes all Metadata responses.
    fn with_metadata(edit: impl Fn(&mut MetadataResponse) + Send + Sync + Clone + 'static) -> Self {
        Self::meeting(|proxy| {
            proxy.tamper_with(Api::Metadata, move |exchange| exchange.edited(edit.clone()));
        })
    }
}

fn broker(id: i32, host: &'static str, port: i32) -> MetadataResponseBroker {
    MetadataResponseBroker::default()
        .with_node_id(BrokerId(id))
        .with_host(StrBytes::from_static_str(host))
        .with_port(port)
}

fn lead(metadata: &mut MetadataResponse, leader: i32) {
    for topic in &mut metadata.topics {
        for partition in &mut topic.partitions {
            partition.leader_id = BrokerId(leader);
        }
    }
}

/// A partition whose leader is not among the brokers of the metadata has no leader (MD-24), so its records wait until
/// they expire.
#[test]
fn the_error_of_a_record_names_a_partition_without_leader() {
    for leader in [-1, 77, i32::MIN] {
        let case = Case::with_metadata(move |metadata| lead(metadata, leader));
        let parts = ["no broker leads the partition", "delivery.timeout.ms"];
        let error = case.failed(&ProduceErrorKind::DeliveryTimeout, &parts);
        assert_eq!(error.cause(), Some(&WaitCause::NoLeader));
        assert_eq!(error.delivery(), Delivery::NotWritten);
        case.finish();
    }
}

/// One of the two entries is correct; which one is used must not depend on the length of the list.
#[test]
fn the_first_entry_of_a_node_that_is_listed_twice_is_used() {
    for others in [0, 3, 100] {
        let case = Case::with_metadata(move |metadata| {
            metadata.brokers.push(broker(0, "127.0.0.1", 1));
            let more = (1..=others).map(|id| broker(id, "127.0.0.1", 1));
            metadata.brokers.extend(more);
        });
        case.written();
        case.finish();
    }
}

#[test]
fn the_error_names_a_leader_with_its_wrong_address() {
    let wrong = [
        ("nonexistent.invalid", 9092, "nonexistent.invalid"),
        ("127.0.0.1", 1, "127.0.0.1:1"),
        ("", 9092, "no connection to broker 7"),
        ("not a host\n\0", 9092, "no connection to broker 7"),
    ];
    for (host, port, words) in wrong {
        let case = Case::with_metadata(move |metadata| {
            metadata.brokers.push(broker(7, host, port));
            lead(metadata, 7);
        });
        let error = case.failed(&ProduceErrorKind::DeliveryTimeout, &[words]);
        assert!(
            matches!(error.cause(), Some(WaitCause::NotConnected { node: 7, .. })),
            "{error}"
        );
        assert_eq!(error.delivery(), Delivery::NotWritten);
        case.finish();
    }
}

/// The producer uses ids below zero for bootstrap servers.
#[test]
fn brokers_with_invalid_ids_or_ports_are_ignored() {
    for (id, port) in [(-1, 1), (i32::MIN, 1), (7, 0), (7, 65_536), (7, -1)] {
        let case = Case::with_metadata(move |metadata| {
            metadata.brokers.insert(0, broker(id, "127.0.0.1", port));
        });
        case.written();
        case.finish();
    }
}

#[test]
fn a_metadata_response_without_valid_brokers_is_rejected() {
    let none: [fn(&mut MetadataResponse); 3] = [
        |metadata| metadata.brokers.clear(),
        |metadata| metadata.brokers[0].port = 70_000,
        |metadata| metadata.brokers[0].node_id = BrokerId(-5),
    ];
    for edit in none {
        let case = Case::with_metadata(edit);
        let parts = ["response lists no broker", "max.block.ms"];
        case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
        case.finish();
    }
}

#[test]
fn metadata_without_the_requested_topic_leaves_the_topic_unknown() {
    let other: [fn(&mut MetadataResponse); 2] = [
        |metadata| metadata.topics.clear(),
        |metadata| {
            for topic in &mut metadata.topics {
                topic.name = Some(StrBytes::from_static_str("u").into());
            }
        },
    ];
    for edit in other {
        let case = Case::with_metadata(edit);
        case.failed(&ProduceErrorKind::MetadataTimeout, &["t: ", "max.block.ms"]);
        case.finish();
    }
}

fn partition(index: i32, leader: i32) -> MetadataResponsePartition {
    MetadataResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(BrokerId(leader))
}

#[test]
fn invalid_or_duplicate_partitions_do_not_affect_the_others() {
    for strange in [-1, i32::MIN, 0, 2, i32::MAX] {
        let case = Case::with_metadata(move |metadata| {
            for topic in &mut metadata.topics {
                topic.partitions.push(partition(strange, 0));
            }
        });
        case.written();
        case.finish();
    }
}

#[test]
fn a_topic_whose_only_partition_has_an_invalid_number_is_not_found() {
    let case = Case::with_metadata(|metadata| {
        for topic in &mut metadata.topics {
            topic.partitions = vec![partition(i32::MAX, 0)];
        }
    });
    case.failed(&ProduceErrorKind::MetadataTimeout, &["max.block.ms"]);
    case.finish();
}

/// A large but valid number of partitions.
const MANY: i32 = 100_000;

/// Adds partitions without leader to the broker's response. The response is edited as bytes, because the library that
/// edits other responses would take more memory than the producer.
fn with_many_partitions(body: &[u8]) -> Vec<u8> {
    // Searches for the topic's error code 0 and its name.
    let Some(at) = body.windows(4).position(|part| part == b"\0\0\x02t") else {
        // The first metadata request of a producer has no topics.
        return body.to_vec();
    };
    // Error code, name, id, 'is internal', then the number of partitions.
    let count = at + 2 + 2 + 16 + 1;
    assert_eq!(body[count], 2, "one partition");
    let mut out = body[..count].to_vec();
    put_unsigned(&mut out, MANY as u32 + 1);
    let first = body[count + 1..].first_chunk::<26>().unwrap();
    out.extend_from_slice(first);
    for index in 1..MANY {
        out.extend_from_slice(&5_i16.to_be_bytes());
        out.extend_from_slice(&index.to_be_bytes());
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        out.extend_from_slice(&first[10..]);
    }
    out.extend_from_slice(&body[count + 27..]);
    out
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[test]
fn metadata_with_a_hundred_thousand_partitions_is_handled() {
    let case = Case::meeting(|proxy| {
        proxy.tamper_with(Api::Metadata, |exchange| {
            exchange.with_body(&with_many_partitions(exchange.body()))
        });
    });
    let began = Instant::now();
    assert_eq!(case.written().partition(), 0);
    assert!(began.elapsed() < BLOCK + GRACE, "{:?}", began.elapsed());
    let partitions = case.producer.partitions_for("t").unwrap();
    assert_eq!(partitions.len(), MANY as usize);
    drop(partitions);
    for _ in 0..5 {
        case.written();
    }
    case.finish();
}

#[test]
fn metadata_with_twenty_thousand_brokers_is_handled() {
    let case = Case::with_metadata(|metadata| {
        metadata
            .brokers
            .extend((1..20_000).map(|id| broker(id, "127.0.0.1", 1)));
    });
    case.written();
    case.finish();
}
