use bytes::Bytes;

use super::*;
use crate::protocol::{BatchHead, MemoryRecords, PartitionProduceData, TopicProduceData};

/// Java: NetworkClientTest#testSimpleRequestResponse
#[test]
fn a_response_has_the_tag_of_its_request() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    let created = harness.now();
    harness.send(1, init_producer_id(), 7);
    harness.poll();
    assert!(harness.responses.is_empty());
    assert_eq!(harness.client.in_flight_request_count(), 1);
    harness.advance(MS(5));
    harness
        .client
        .selector
        .respond(1, &init_producer_id_response(0));
    harness.poll();
    let response = harness.take_one();
    assert_eq!((response.node, response.tag, response.version), (1, 7, 4));
    assert_eq!(
        (response.created, response.received),
        (created, harness.now())
    );
    assert!(matches!(
        response.outcome,
        Outcome::Response(Response::InitProducerId(_))
    ));
    assert_eq!(harness.client.in_flight_request_count(), 0);
}

/// Java: NetworkClientTest#testSendToUnreadyNode, NC-5. Java's `poll` then returns without polling the selector (NC-7);
/// if that happens in every iteration, it never notices a disconnect. Ours polls the selector with a timeout of zero.
#[test]
fn a_request_to_a_node_that_is_not_ready_is_completed_without_blocking() {
    let mut harness = Harness::new(&[node(1)]);
    harness.send(1, init_producer_id(), 7);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, false)]);
    assert_eq!(
        harness.client.selector.poll_timeouts,
        [Some(Duration::ZERO)]
    );
}

/// NC-4: a node takes another request when the newest is fully written and fewer than max.in.flight are unanswered.
#[test]
fn another_request_may_be_sent_if_the_newest_is_written_and_the_limit_is_not_reached() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send(1, init_producer_id(), 0);
    let now = harness.now();
    assert_eq!(
        harness.client.not_ready_reason(1, now),
        Some(NotReady::InFlightFull)
    );
    harness.poll();
    for tag in 1..5 {
        assert!(harness.client.is_ready(1, now));
        harness.send_whole(1, tag);
    }
    assert_eq!(
        harness.client.not_ready_reason(1, now),
        Some(NotReady::InFlightFull)
    );
    let header = &harness.client.selector.sent[1].header;
    let payload = init_producer_id_response(0)
        .encode(4, header.correlation_id)
        .to_payload();
    harness.client.selector.receive(1, payload);
    harness.poll();
    assert_eq!(harness.take_one().tag, 0);
    assert!(harness.client.is_ready(1, now));
}

#[test]
fn a_request_without_response_completes_when_it_is_written_in_full() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.client.selector.holds_writes = true;
    harness.send(1, produce(0), 7);
    harness.poll();
    assert!(harness.responses.is_empty());
    harness.client.selector.holds_writes = false;
    harness.poll();
    assert!(matches!(harness.take_one().outcome, Outcome::Sent));
    assert_eq!(harness.client.in_flight_request_count(), 0);
}

#[test]
fn a_send_that_the_socket_takes_at_once_completes_without_a_poll() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.client.selector.writes_at_once = true;
    harness.send(1, produce(1), 7);
    let now = harness.now();
    assert!(harness.client.is_ready(1, now), "for the next request");
    harness.send(1, produce(0), 8);
    // No response is expected: the poll that returns the completed request does not block.
    assert_eq!(harness.client.in_flight_request_count(), 1);
    harness.poll();
    let timeouts = &harness.client.selector.poll_timeouts;
    assert_eq!(timeouts.last(), Some(&Some(Duration::ZERO)));
    let response = harness.take_one();
    assert_eq!(response.tag, 8);
    assert!(matches!(response.outcome, Outcome::Sent));
}

/// Java: NetworkClientTest#testDisconnectWithMultipleInFlights
#[test]
fn in_flight_requests_of_a_disconnected_node_complete_oldest_first() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.send_whole(1, 8);
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, true), (8, true)]);
    assert_eq!(harness.client.in_flight_request_count(), 0);
}

#[test]
fn a_request_of_which_not_one_byte_was_written_was_not_handed_over() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.client.selector.holds_writes = true;
    harness.send(1, init_producer_id(), 8);
    harness
        .client
        .selector
        .disconnect(1, CloseReason::Io("reset".into()));
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, true), (8, false)]);
}

#[test]
fn a_request_of_which_some_bytes_were_written_was_handed_over() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.client.selector.holds_writes = true;
    harness.send(1, init_producer_id(), 8);
    harness.client.selector.disconnect_mid_write(1);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(8, true)]);
}

#[test]
fn a_request_on_a_connection_that_has_just_ended_was_not_handed_over() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.send(1, init_producer_id(), 8);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(8, false)]);
}

/// Java: NetworkClientTest#testRequestTimeout, #testDefaultRequestTimeout, NC-10
#[test]
fn a_request_timeout_closes_the_connection_and_completes_all_its_requests() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.advance(MS(10_000));
    harness.send_whole(1, 8);
    harness.poll();
    assert_eq!(
        harness.slept(),
        MS(20_000),
        "it wakes for the request that is due first"
    );
    harness.advance(MS(19_999));
    harness.poll();
    assert!(harness.responses.is_empty());
    harness.advance(MS(1));
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, true), (8, true)]);
    assert_eq!(harness.client.selector.closed, [1]);
}

/// A poll reads at most one response from each connection. If the caller has not polled for a long time, several
/// responses may have arrived, and it takes as many polls to read them.
#[test]
fn a_request_does_not_time_out_while_responses_of_its_connection_are_unread() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    let header = &harness.client.selector.last_sent(1).unwrap().header;
    let response = init_producer_id_response(0)
        .encode(header.api_version, header.correlation_id)
        .to_payload();
    harness.send_whole(1, 8);
    harness.advance(MS(40_000));
    harness.client.selector.receive(1, response);
    harness.client.selector.unread.insert(1);
    harness.poll();
    assert_eq!(harness.slept(), Duration::ZERO);
    assert_eq!(harness.responses.len(), 1);
    assert!(harness.client.selector.closed.is_empty());
    // All input has been read, and the second response was not in it.
    harness.client.selector.unread.clear();
    harness.responses.clear();
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(8, true)]);
}

/// Java: NetworkClientTest#testConnectionThrottling, NC-24
#[test]
fn a_node_is_not_ready_until_its_throttle_time_is_over() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness
        .client
        .selector
        .respond(1, &init_producer_id_response(100));
    harness.poll();
    let now = harness.now();
    assert!(!harness.client.is_ready(1, now));
    assert_eq!(
        harness.client.not_ready_reason(1, now),
        Some(NotReady::Throttled)
    );
    assert_eq!(
        harness.client.poll_deadline(1, now),
        Deadline::after(now, MS(100))
    );
    assert!(harness.client.describe(now).contains("throttled"));
    harness.advance(MS(100));
    assert!(harness.client.is_ready(1, harness.now()));
}

/// Java: SenderTest#testQuotaMetrics
#[test]
fn the_throttle_time_of_every_response_is_recorded_even_if_zero_or_not_waited_for() {
    let mut harness = Harness::new(&[node(1)]);
    let throttle = |harness: &Harness, name: &str| {
        let name = format!("produce-throttle-time-{name}");
        harness.metrics.number("producer-metrics", &name, &[])
    };
    assert!(throttle(&harness, "avg").is_nan());
    harness.connect(&node(1));
    assert!(
        throttle(&harness, "avg").abs() < f64::EPSILON,
        "ApiVersions"
    );
    for millis in [300, 0] {
        harness.send_whole(1, 7);
        let response = init_producer_id_response(millis);
        harness.client.selector.respond(1, &response);
        harness.poll();
        harness.advance(MS(300));
    }
    assert!((throttle(&harness, "max") - 300.0).abs() < f64::EPSILON);
    assert!((throttle(&harness, "avg") - 100.0).abs() < f64::EPSILON);
}

/// Java: NetworkClientTest#testThrottlingNotEnabledForConnectionToOlderBroker
#[test]
fn the_throttle_time_of_an_older_broker_is_not_waited_for() {
    let mut harness = Harness::new(&[node(1)]);
    let mut versions = all_versions();
    for range in &mut versions.api_keys {
        range.max = if range.api_key == ApiKey::InitProducerId.code() {
            0
        } else {
            range.max
        };
    }
    harness.connect_with(&node(1), versions);
    harness.send_whole(1, 7);
    harness
        .client
        .selector
        .respond(1, &init_producer_id_response(100));
    harness.poll();
    assert_eq!(harness.take_one().version, 0);
    assert!(harness.client.is_ready(1, harness.now()));
}

/// KAFKA-16083: requests after a throttled one timed out although the broker was only throttling.
#[test]
fn throttle_time_extends_the_deadlines_of_in_flight_requests() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.send_whole(1, 8);
    let first = harness.client.selector.sent[1].header.correlation_id;
    let payload = init_producer_id_response(40_000)
        .encode(4, first)
        .to_payload();
    harness.client.selector.receive(1, payload);
    harness.poll();
    harness.responses.clear();
    harness.advance(MS(69_999));
    harness.poll();
    assert!(harness.responses.is_empty());
    harness.advance(MS(1));
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(8, true)]);
}

/// Java: NetworkClientTest#testCorrelationId, NC-35
#[test]
fn correlation_ids_skip_those_that_sasl_uses() {
    let mut harness = Harness::new(&[node(1)]);
    assert_eq!(harness.client.next_correlation_id(), 0);
    assert_eq!(harness.client.next_correlation_id(), 1);
    harness.client.correlation_id = i32::MAX - 8;
    assert_eq!(harness.client.next_correlation_id(), i32::MAX - 8);
    assert_eq!(harness.client.next_correlation_id(), i32::MIN);
    assert_eq!(harness.client.next_correlation_id(), i32::MIN + 1);
    harness.client.correlation_id = -1;
    assert_eq!(harness.client.next_correlation_id(), -1);
    assert_eq!(harness.client.next_correlation_id(), 0);
}

/// NC-9: a response belongs to the oldest request of its connection. If it has another correlation id than this
/// request, the connection is closed.
#[test]
fn a_wrong_correlation_id_closes_the_connection() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    let payload = init_producer_id_response(0).encode(4, 99).to_payload();
    harness.client.selector.receive(1, payload);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, true)]);
    assert_eq!(harness.client.selector.closed, [1]);
    assert!(
        harness
            .client
            .describe(harness.now())
            .contains("correlation id 99")
    );
}

#[test]
fn a_response_that_cannot_be_decoded_closes_the_connection() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    for garbage in [&b""[..], b"\0\0", b"\0\0\0\x01\xff\xff\xff\xff\xff\xff"] {
        harness.send_whole(1, 7);
        harness
            .client
            .selector
            .receive(1, Bytes::copy_from_slice(garbage));
        harness.poll();
        assert_eq!(harness.take_disconnected(), [(7, true)]);
        harness.advance(MS(2_000));
        let planned = PlannedUpdate {
            is_partial: false,
            request_version: 0,
        };
        let _ =
            harness
                .metadata
                .handle_response(planned, 11, metadata_of(&[node(1)]), harness.now());
        harness.connect(&node(1));
    }
}

#[test]
fn a_frame_without_an_in_flight_request_closes_the_connection() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness
        .client
        .selector
        .receive(1, Bytes::from_static(b"\0\0\0\0"));
    harness.poll();
    assert_eq!(harness.client.selector.closed, [1]);
    assert!(harness.responses.is_empty());
}

/// NC-6: a request that fits no version of the broker is returned as failed by the next poll.
#[test]
fn a_request_without_a_shared_version_is_completed_as_unsupported() {
    let mut harness = Harness::new(&[node(1)]);
    let mut versions = all_versions();
    versions
        .api_keys
        .retain(|range| range.api_key != ApiKey::InitProducerId.code());
    harness.connect_with(&node(1), versions);
    harness.send(1, init_producer_id(), 7);
    harness.poll();
    let Outcome::UnsupportedVersion(why) = harness.take_one().outcome else {
        panic!()
    };
    assert!(why.contains("InitProducerId"), "{why}");
    assert_eq!(harness.client.in_flight_request_count(), 0);
    assert!(harness.client.is_ready(1, harness.now()));
}

/// The maximum length of a string is the same in all versions, so the request cannot be sent to another broker either.
#[test]
fn a_request_that_no_version_can_encode_is_returned_unsent_with_the_reason() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    let request = Request::InitProducerId(InitProducerIdRequest {
        transactional_id: Some("i".repeat(40_000).into()),
        transaction_timeout_ms: 1,
        producer_id: -1,
        producer_epoch: -1,
    });
    harness.send(1, request, 7);
    harness.poll();
    let Outcome::Unwritable(why) = harness.take_one().outcome else {
        panic!()
    };
    assert!(why.contains("too long"), "{why}");
    assert!(harness.client.is_ready(1, harness.now()));
}

/// A message set or a batch: all its bytes are zero, except for the magic and the codec.
fn produce_of(magic: u8, codec: u8) -> Request {
    let mut body = vec![0; 64];
    body[16] = magic;
    body[22] = codec;
    let records = MemoryRecords {
        head: BatchHead::EMPTY,
        body: Bytes::from(body),
    };
    let partition = PartitionProduceData {
        index: 0,
        records: Some(records),
    };
    let topic = TopicProduceData {
        name: "t".into(),
        partitions: vec![partition],
    };
    Request::Produce(ProduceRequest {
        transactional_id: None,
        acks: 1,
        timeout_ms: 1_000,
        topics: vec![topic],
    })
}

/// Java: ProduceRequestTest#testV3AndAboveCannotUseMagicV0, #testV6AndBelowCannotUseZStdCompression
#[test]
fn the_version_of_a_produce_request_fits_the_format_of_its_records() {
    for (magic, codec, broker_max, chosen) in [
        (2, 0, 9, Some(9)),
        (2, 4, 9, Some(9)),
        (2, 4, 6, None),
        (2, 0, 2, None),
        (1, 4, 9, Some(2)),
        (0, 0, 9, Some(2)),
        (0, 0, 1, Some(1)),
        (1, 0, 1, None),
        (2, 1, 3, Some(3)),
    ] {
        let mut harness = Harness::new(&[node(1)]);
        let mut versions = all_versions();
        versions.api_keys[0].max = broker_max;
        harness.connect_with(&node(1), versions);
        harness.send(1, produce_of(magic, codec), 7);
        let sent = harness.client.selector.last_sent(1).unwrap();
        let version =
            Some(sent.header.api_version).filter(|_| sent.request.api_key() == ApiKey::Produce);
        assert_eq!(
            version, chosen,
            "magic {magic}, codec {codec}, broker up to {broker_max}"
        );
    }
}

/// NC-36: the newest format that all brokers support is computed again when a broker connects or disconnects.
#[test]
fn the_record_format_depends_on_the_connected_brokers() {
    let mut harness = Harness::new(&[node(1)]);
    let mut versions = all_versions();
    versions.api_keys[0].max = 2;
    harness.connect_with(&node(1), versions);
    assert_eq!(harness.magic.load(), crate::types::Magic::V1);
    harness.client.selector.disconnect(1, CloseReason::Idle);
    harness.poll();
    assert_eq!(harness.magic.load(), crate::types::Magic::V2);
}

#[test]
fn an_idle_poll_blocks_for_its_whole_timeout() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.poll_for(MS(123));
    assert_eq!(harness.slept(), MS(123));
    harness.poll();
    assert_eq!(harness.slept(), MAX_AGE, "until metadata is due");
}

/// The socket took no byte before the request timeout: the broker cannot have seen the request.
#[test]
fn a_request_that_timed_out_before_a_byte_was_written_was_not_handed_over() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.client.selector.holds_writes = true;
    harness.send(1, init_producer_id(), 8);
    harness.poll();
    harness.advance(REQUEST_TIMEOUT);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, true), (8, false)]);
}

#[test]
fn a_request_that_timed_out_partly_written_was_handed_over() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.client.selector.holds_writes = true;
    harness.send(1, init_producer_id(), 9);
    harness.client.selector.write_a_part(1);
    harness.advance(REQUEST_TIMEOUT);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(9, true)]);
}

/// As after a request timeout, it is the client that closes the connection, before a byte of the request was written.
#[test]
fn an_unwritten_request_was_not_handed_over_when_a_bad_frame_closes_the_connection() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.client.selector.holds_writes = true;
    harness.send(1, init_producer_id(), 8);
    harness
        .client
        .selector
        .receive(1, Bytes::from_static(&[0, 0, 9, 9]));
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, true), (8, false)]);
}

#[test]
fn an_unwritten_request_can_be_withdrawn() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    let now = harness.now();
    assert_eq!(harness.client.newest_untouched(1), None, "it was written");
    assert!(!harness.client.withdraw_untouched(1, "too late", now));
    harness.client.selector.holds_writes = true;
    harness.send(1, init_producer_id(), 8);
    assert_eq!(harness.client.newest_untouched(1), Some(&8));
    assert!(harness.client.withdraw_untouched(1, "too late", now));
    assert_eq!(harness.client.newest_untouched(1), None);
    assert_eq!(harness.client.in_flight_request_count(), 1);
    harness.poll();
    let response = harness.take_one();
    assert_eq!(response.tag, 8);
    assert!(matches!(
        response.outcome,
        Outcome::Disconnected { handed_over: false, reason } if &*reason == "too late"
    ));
    // The connection stays open: the next request can be sent.
    harness.send(1, init_producer_id(), 9);
    assert_eq!(harness.client.newest_untouched(1), Some(&9));
    harness.client.selector.write_a_part(1);
    assert_eq!(harness.client.newest_untouched(1), None);
    assert!(!harness.client.withdraw_untouched(1, "too late", now));
    harness.client.selector.holds_writes = false;
    harness.poll();
    assert!(harness.client.is_ready(1, harness.now()));
    assert_eq!(harness.client.in_flight_request_count(), 2);
}

/// A broker closes the connection without a response when a request exceeds `socket.request.max.bytes`.
#[test]
fn a_disconnect_with_a_large_request_in_flight_names_its_size() {
    for (records, hints) in [(100, false), (20_000, true)] {
        let mut harness = Harness::new(&[node(1)]);
        harness.connect(&node(1));
        let request = produce_bytes(records);
        harness.send(1, request, 7);
        harness.poll();
        harness
            .client
            .selector
            .disconnect(1, CloseReason::ClosedByPeer);
        harness.poll();
        let Outcome::Disconnected { reason, .. } = harness.take_one().outcome else {
            panic!("it was closed");
        };
        let sent = harness.client.selector.sent.last().unwrap();
        let size = sent.bytes.to_string();
        assert!(sent.bytes > records && reason.contains(&size), "{reason}");
        for key in ["socket.request.max.bytes", "max.request.size"] {
            assert_eq!(reason.contains(key), hints, "{reason}");
        }
    }
}

fn produce_bytes(bytes: usize) -> Request {
    let records = MemoryRecords {
        head: BatchHead::EMPTY,
        body: Bytes::from(vec![0; bytes]),
    };
    Request::Produce(ProduceRequest {
        transactional_id: None,
        acks: 1,
        timeout_ms: 1_000,
        topics: vec![TopicProduceData {
            name: "t".into(),
            partitions: vec![PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
        }],
    })
}
