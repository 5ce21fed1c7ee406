//! Fields of transactional messages that a version lacks: they are left out, or refused.

use super::generate::{full_request, full_response, read_response};
use crate::protocol::*;

fn find(coordinator_type: CoordinatorType, keys: &[&str]) -> Request {
    Request::FindCoordinator(FindCoordinatorRequest {
        coordinator_type,
        keys: keys.iter().map(|key| (*key).into()).collect(),
    })
}

/// Java: FindCoordinatorRequest.Builder#build (KIP-699)
#[test]
fn one_coordinator_can_be_requested_in_every_version_and_several_from_version_4_on() {
    let one = find(CoordinatorType::GROUP, &["billing"]);
    for version in ApiKey::FindCoordinator.versions() {
        let payload = one.encode(version, 1, None).unwrap().to_payload();
        assert_eq!(Request::decode(&payload).unwrap().1, one, "{version}");
        for keys in [&[][..], &["billing", "shipping"][..]] {
            let other = find(CoordinatorType::GROUP, keys);
            match other.encode(version, 1, None) {
                Ok(frame) => {
                    assert!(version >= 4, "{version}");
                    assert_eq!(Request::decode(&frame.to_payload()).unwrap().1, other);
                }
                Err(error) => {
                    assert!(version < 4, "{version}");
                    let what = "several keys, or none";
                    assert_eq!(error, EncodeError::UnsupportedField { what, version });
                }
            }
        }
    }
}

/// Java: FindCoordinatorRequest.Builder#build
#[test]
fn version_0_supports_only_group_coordinators() {
    let of_transaction = find(CoordinatorType::TRANSACTION, &["transfer"]);
    let refused = of_transaction.encode(0, 1, None);
    let expected = EncodeError::UnsupportedField {
        what: "the type of a coordinator",
        version: 0,
    };
    assert_eq!(refused.unwrap_err(), expected);
    for version in 1..=4 {
        let payload = of_transaction.encode(version, 1, None).unwrap();
        let (_, read) = Request::decode(&payload.to_payload()).unwrap();
        assert_eq!(read, of_transaction, "{version}");
    }
}

/// Java: FindCoordinatorResponse#coordinators
#[test]
fn a_coordinator_has_its_key_only_in_versions_with_batched_look_ups() {
    let Response::FindCoordinator(sent) = full_response(ApiKey::FindCoordinator) else {
        panic!("it is asked for by name");
    };
    let sent = sent.coordinators;
    for version in ApiKey::FindCoordinator.versions() {
        let payload = full_response(ApiKey::FindCoordinator).encode(version, 1);
        let payload = payload.to_payload();
        let read = read_response(ApiKey::FindCoordinator, version, &payload);
        let Ok((_, Response::FindCoordinator(read))) = read else {
            panic!("version {version}: {read:?}");
        };
        let read = &read.coordinators[..];
        let expected = Coordinator {
            key: sent[0].key.clone().filter(|_| version >= 4),
            error_message: sent[0].error_message.clone().filter(|_| version >= 1),
            ..sent[0].clone()
        };
        assert_eq!(read, [expected], "{version}");
    }
}

/// Java: MessageTest#testTxnOffsetCommitRequestVersions
#[test]
fn group_metadata_is_refused_in_versions_without_its_fields() {
    let named = |change: fn(&mut TxnOffsetCommitRequest)| {
        let Request::TxnOffsetCommit(mut commit) = full_request(ApiKey::TxnOffsetCommit, 2) else {
            panic!("it is asked for by name");
        };
        change(&mut commit);
        Request::TxnOffsetCommit(commit)
    };
    let changes: [fn(&mut TxnOffsetCommitRequest); 3] = [
        |commit| commit.generation_id = 0,
        |commit| commit.member_id = "billing-1".into(),
        |commit| commit.group_instance_id = Some("".into()),
    ];
    for change in changes {
        let request = named(change);
        for version in 0..=2 {
            let what = "the member of a group";
            let expected = EncodeError::UnsupportedField { what, version };
            assert_eq!(request.encode(version, 1, None).unwrap_err(), expected);
        }
        assert!(request.encode(3, 1, None).is_ok());
    }
    for version in 0..=3 {
        assert!(named(|_| ()).encode(version, 1, None).is_ok());
    }
}

/// The field is ignorable in Kafka's `TxnOffsetCommitRequest.json`.
#[test]
fn the_leader_epoch_of_an_offset_is_left_out_in_versions_without_it() {
    let request = full_request(ApiKey::TxnOffsetCommit, 2);
    for version in 0..=2 {
        let payload = request.encode(version, 1, None).unwrap().to_payload();
        let (_, Request::TxnOffsetCommit(read)) = Request::decode(&payload).unwrap() else {
            panic!("it was a TxnOffsetCommit request");
        };
        let expected = if version < 2 { -1 } else { 9 };
        assert_eq!(read.topics[0].partitions[0].leader_epoch, expected);
    }
}
