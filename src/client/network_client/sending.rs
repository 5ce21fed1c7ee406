//! Sending a request: choosing its version and correlation id, encoding it, passing it to the selector.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{NetworkClient, Purpose};
use crate::client::in_flight_requests::InFlightRequest;
use crate::client::kafka_client::Outcome;
use crate::clock::{Deadline, Instant};
use crate::compress::CompressionType;
use crate::network::resolver::HostResolver;
use crate::network::selectable::{Selectable, SendRefused};
use crate::protocol::{ApiKey, MemoryRecords, ProduceRequest, Request};
use crate::record::format::{codec_of_batch, magic_of};
use crate::types::NodeId;
use crate::util::log;

/// Correlation ids reserved for SASL requests on a connection that is re-authenticated: other requests skip them.
///
/// # Kafka
/// `SaslClientAuthenticator#MIN_RESERVED_CORRELATION_ID`.
const RESERVED_IDS: RangeInclusive<i32> = i32::MAX - 7..=i32::MAX;

/// A request that could not be sent: its purpose, the version chosen, and the outcome to report.
pub(super) type NotSent<T> = (Purpose<T>, i16, Outcome);

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Sends a request to a node to which one [can be sent](Self::can_send). The version is the newest that client and
    /// broker share, unless `version` is given.
    pub(super) fn dispatch(
        &mut self,
        node: NodeId,
        request: &Request,
        version: Option<i16>,
        timeout: Duration,
        purpose: Purpose<T>,
        now: Instant,
    ) -> Result<(), NotSent<T>> {
        let api_key = request.api_key();
        let chosen = match version {
            Some(version) => Ok(version),
            None => self
                .api_versions
                .usable_version(node, api_key, &allowed_versions(request)),
        };
        let version = match chosen {
            Ok(version) => version,
            Err(why) => {
                log::debug!(
                    self.log,
                    "Version mismatch when attempting to send {api_key} to {node}: {why}"
                );
                return Err((purpose, 0, Outcome::UnsupportedVersion(why)));
            }
        };
        // If the request is not sent in the end, its id stays unused: ids must differ, but need not be consecutive.
        let correlation_id = self.next_correlation_id();
        let expects_response = request.expects_response();
        let frame = match request.encode(version, correlation_id, Some(&self.client_id)) {
            Ok(frame) => frame,
            Err(error) => {
                if let Some(suppressed) = self.logged.unwritable.happened(now) {
                    log::error!(
                        self.log,
                        "A {api_key} request cannot be written: {error}{suppressed}"
                    );
                }
                let why = error.to_string().into();
                let outcome = if error.is_of_version() {
                    Outcome::UnsupportedVersion(why)
                } else {
                    Outcome::Unwritable(why)
                };
                return Err((purpose, version, outcome));
            }
        };
        log::debug!(
            self.log,
            "Sending {api_key} request version {version} with correlation id {correlation_id} and timeout {} ms to node {node}",
            timeout.as_millis()
        );
        let bytes = frame.len();
        if let Err(refused) = self.selector.send(node, frame) {
            let reason = match refused {
                SendRefused::NoConnection => "the connection ended before the request was sent",
                SendRefused::Busy => "the connection was still writing another request",
            };
            let outcome = Outcome::Disconnected {
                handed_over: false,
                reason: reason.into(),
            };
            return Err((purpose, version, outcome));
        }
        // Only now is it in flight: a request that the selector refused can have no response.
        self.in_flight.push(
            node,
            InFlightRequest {
                correlation_id,
                api_key,
                version,
                created: now,
                deadline: Deadline::after(now, timeout),
                expects_response,
                bytes,
                purpose,
            },
        );
        // Usually the socket has taken the whole frame at once: the next request can be sent without a poll in between.
        if self.selector.take_completed_send(node) {
            self.handle_completed_send(node, now);
        }
        Ok(())
    }

    /// The next correlation id: counts up from 0, and wraps to `i32::MIN` in place of the reserved ids.
    pub(super) fn next_correlation_id(&mut self) -> i32 {
        if RESERVED_IDS.contains(&self.correlation_id) {
            self.correlation_id = i32::MIN;
        }
        let id = self.correlation_id;
        self.correlation_id = id.wrapping_add(1);
        id
    }
}

/// The versions in which a request can carry its contents.
fn allowed_versions(request: &Request) -> RangeInclusive<i16> {
    let api = request.api_key();
    match request {
        Request::Produce(produce) => produce_versions(produce),
        _ => api.min_version()..=api.max_version(),
    }
}

/// The Produce versions that can carry the request's records: message sets (magic 0 and 1) up to version 2, magic 1 in
/// version 2 only; record batches (magic 2) from version 3; zstd from version 7.
///
/// # Kafka
/// `ProduceRequest#forMagic`, `#validateRecords`. Differs: Java requires version 2 for magic 0, too. It chooses magic 0
/// for brokers that lack version 2, and so cannot send them anything.
fn produce_versions(request: &ProduceRequest) -> RangeInclusive<i16> {
    let (mut min, mut max) = (ApiKey::Produce.min_version(), ApiKey::Produce.max_version());
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    for records in partitions.filter_map(|partition| partition.records.as_ref()) {
        let byte_at = |at| byte_of(records, at);
        // Partitions may differ in their format: the range is limited to the versions that fit all of them.
        match magic_of(byte_at) {
            Some(0) => max = max.min(LAST_WITH_SETS),
            Some(1) => {
                min = min.max(FIRST_WITH_TIMESTAMPS);
                max = max.min(LAST_WITH_SETS);
            }
            Some(_) => min = min.max(FIRST_WITH_BATCHES),
            None => {}
        }
        // Message sets store the codec elsewhere, and do not support zstd.
        let is_batch = min >= FIRST_WITH_BATCHES;
        if is_batch && codec_of_batch(byte_at) == Some(CompressionType::Zstd.id()) {
            min = min.max(FIRST_WITH_ZSTD);
        }
    }
    min..=max
}

const FIRST_WITH_TIMESTAMPS: i16 = 2;
const LAST_WITH_SETS: i16 = 2;
const FIRST_WITH_BATCHES: i16 = 3;
const FIRST_WITH_ZSTD: i16 = 7;

/// Byte `at` of the records, `None` beyond their end. The head is a buffer of its own; the body follows it.
fn byte_of(records: &MemoryRecords, at: usize) -> Option<u8> {
    let head = records.head.as_slice();
    head.get(at)
        .or_else(|| records.body.get(at.checked_sub(head.len())?))
        .copied()
}
