//! Round trips: a decoded message equals the encoded one.

use bytes::Bytes;
use proptest::prelude::*;

use super::generate::{as_read, as_seen_in, read_response, request, response};
use crate::protocol::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Java: RequestResponseTest#testSerialization
    #[test]
    fn a_decoded_request_equals_the_encoded_one(
        (request, version) in request(),
        correlation_id: i32,
        client_id in proptest::option::of("[a-z]{0,10}"),
    ) {
        let frame = request.encode(version, correlation_id, client_id.as_deref()).unwrap();
        let (header, read) = Request::decode(&frame.to_payload()).unwrap();
        prop_assert_eq!(header.api_key, request.api_key());
        prop_assert_eq!(header.api_version, version);
        prop_assert_eq!(header.correlation_id, correlation_id);
        prop_assert_eq!(header.client_id.as_deref(), client_id.as_deref());
        prop_assert_eq!(read, as_read(request));
    }

    /// Java: RequestResponseTest#testSerialization
    #[test]
    fn a_decoded_response_equals_the_encoded_one_without_fields_that_the_version_lacks(
        (response, version) in response(),
        correlation_id: i32,
    ) {
        let payload = response.encode(version, correlation_id).to_payload();
        let (id, read) = read_response(response.api_key(), version, &payload).unwrap();
        prop_assert_eq!(id, correlation_id);
        prop_assert_eq!(read, as_seen_in(response, version));
    }

    #[test]
    fn the_chunks_of_a_frame_add_up_to_its_length_and_none_is_empty((request, version) in request()) {
        let frame = request.encode(version, 1, None).unwrap();
        let chunks = frame.chunks();
        prop_assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        prop_assert_eq!(chunks.iter().map(Bytes::len).sum::<usize>(), frame.len());
        let length = i32::from_be_bytes(chunks[0][..4].try_into().unwrap());
        prop_assert_eq!(length as usize + 4, frame.len());
    }

    #[test]
    fn the_buffer_of_a_request_is_never_reallocated((request, version) in request()) {
        let frame = request.encode(version, 1, None).unwrap();
        let bodies: usize = match &request {
            Request::Produce(produce) => produce
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .filter_map(|partition| partition.records.as_ref())
                .map(|records| records.body.len())
                .sum(),
            _ => 0,
        };
        prop_assert!(frame.len() - bodies - 4 <= 11 + request.size_hint());
    }
}
