use super::*;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn request(id: i32, deadline: u64) -> InFlightRequest<()> {
    InFlightRequest {
        correlation_id: id,
        api_key: ApiKey::Produce,
        version: 9,
        created: at(0),
        deadline: Deadline::At(at(deadline)),
        expects_response: true,
        bytes: 0,
        purpose: (),
    }
}

fn ids(requests: &VecDeque<InFlightRequest<()>>) -> Vec<i32> {
    requests
        .iter()
        .map(|request| request.correlation_id)
        .collect()
}

/// Java: InFlightRequestsTest#testCompleteNext
#[test]
fn each_response_belongs_to_the_oldest_request() {
    let mut requests = InFlightRequests::new(5);
    requests.push(1, request(10, 50));
    requests.push(1, request(11, 50));
    requests.push(2, request(12, 50));
    assert_eq!(requests.count(), 3);
    assert_eq!(requests.oldest(1).unwrap().correlation_id, 10);
    assert_eq!(requests.pop_oldest(1).unwrap().correlation_id, 10);
    assert_eq!(requests.pop_oldest(1).unwrap().correlation_id, 11);
    assert_eq!((requests.count(), requests.count_of(2)), (1, 1));
}

/// Java: InFlightRequestsTest#testCompleteLastSent
#[test]
fn a_request_without_response_is_removed_when_it_is_written() {
    let mut requests = InFlightRequests::new(5);
    requests.push(1, request(10, 50));
    assert!(requests.newest_written(1).is_none());
    requests.push(
        1,
        InFlightRequest {
            expects_response: false,
            ..request(11, 50)
        },
    );
    assert_eq!(requests.newest_written(1).unwrap().correlation_id, 11);
    assert_eq!(requests.count(), 1);
}

/// Java: InFlightRequestsTest#testCompleteNextThrowsIfNoInflights,
/// #testCompleteLastSentThrowsIfNoInFlights
#[test]
fn a_response_or_a_completed_write_without_a_request_does_not_panic() {
    let mut requests: InFlightRequests<()> = InFlightRequests::new(5);
    assert!(requests.pop_oldest(1).is_none());
    assert!(requests.newest_written(1).is_none());
    requests.push(1, request(10, 50));
    requests.pop_oldest(1);
    assert!(requests.pop_oldest(1).is_none());
    assert!(requests.newest_written(1).is_none());
    assert_eq!(requests.count(), 0);
}

/// Java: InFlightRequestsTest#testClearAll
#[test]
fn all_requests_of_a_node_are_taken_oldest_first_with_the_write_state_of_the_newest() {
    let mut requests = InFlightRequests::new(5);
    requests.push(1, request(10, 50));
    requests.newest_written(1);
    requests.push(1, request(11, 50));
    requests.push(2, request(12, 50));
    let (taken, newest_is_written) = requests.take_all(1);
    assert_eq!(ids(&taken), [10, 11]);
    assert!(!newest_is_written);
    assert_eq!(requests.count(), 1);
    assert!(requests.can_send_more(1));
    let (none, newest_is_written) = requests.take_all(1);
    assert!(none.is_empty() && newest_is_written);
}

/// NC-4: a node takes another request when the newest is fully written and fewer than max.in.flight are unanswered.
#[test]
fn more_can_be_sent_when_the_newest_is_written_and_the_limit_is_not_reached() {
    let mut requests = InFlightRequests::new(2);
    assert!(requests.can_send_more(1));
    requests.push(1, request(1, 50));
    assert!(!requests.can_send_more(1));
    requests.newest_written(1);
    assert!(requests.can_send_more(1));
    requests.push(1, request(2, 50));
    requests.newest_written(1);
    assert!(!requests.can_send_more(1));
    requests.pop_oldest(1);
    assert!(requests.can_send_more(1));
}

/// Java: InFlightRequestsTest#testTimedOutNodes
#[test]
fn nodes_with_a_timed_out_request_are_found_one_by_one() {
    let mut requests = InFlightRequests::new(5);
    requests.push(1, request(1, 100));
    requests.push(1, request(2, 40));
    requests.push(2, request(3, 50));
    requests.push(3, request(4, 100));
    assert_eq!(requests.earliest_deadline(), Deadline::At(at(40)));
    assert_eq!(requests.timed_out_node(at(39), |_| true), None);
    assert_eq!(requests.timed_out_node(at(60), |_| true), Some(1));
    requests.take_all(1);
    assert_eq!(requests.timed_out_node(at(60), |_| true), Some(2));
    requests.take_all(2);
    assert_eq!(requests.timed_out_node(at(60), |_| true), None);
    assert_eq!(requests.earliest_deadline(), Deadline::At(at(100)));
}

/// The bug in KAFKA-16083: throttle time counted towards the request timeout.
#[test]
fn throttle_time_does_not_count_towards_the_request_timeout() {
    let mut requests = InFlightRequests::new(5);
    requests.push(1, request(1, 40));
    requests.extend_deadlines(1, Duration::from_nanos(25));
    assert_eq!(requests.timed_out_node(at(64), |_| true), None);
    assert_eq!(requests.timed_out_node(at(65), |_| true), Some(1));
}
