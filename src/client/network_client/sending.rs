//! How a request gets its version, its correlation id and its bytes.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{NetworkClient, Purpose};
use crate::client::in_flight_requests::InFlightRequest;
use crate::client::kafka_client::Outcome;
use crate::clock::{Deadline, Instant};
use crate::network::resolver::HostResolver;
use crate::network::selectable::{Selectable, SendRefused};
use crate::protocol::{ApiKey, ProduceRequest, Records, Request};
use crate::types::NodeId;
use crate::util::log;

/// Correlation ids that SASL's own requests use: other requests skip them.
const RESERVED_IDS: RangeInclusive<i32> = i32::MAX - 7..=i32::MAX;

/// A request that was not sent: whose it was, the version chosen, and what became of it.
pub(super) type NotSent<T> = (Purpose<T>, i16, Outcome);

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Gives a request to a connection that takes one. The version is the newest that both sides
    /// know, unless it is given.
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
        let correlation_id = self.next_correlation_id();
        let expects_response = request.expects_response();
        let frame = match request.encode(version, correlation_id, Some(&self.client_id)) {
            Ok(frame) => frame,
            Err(error) => {
                if let Some(unsaid) = self.logged.unwritable.happened(now) {
                    log::error!(
                        self.log,
                        "A {api_key} request cannot be written: {error}{unsaid}"
                    );
                }
                return Err((
                    purpose,
                    version,
                    Outcome::UnsupportedVersion(error.to_string().into()),
                ));
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
        // Mostly the socket has taken all of it by now, and no poll is needed to find that out.
        if self.selector.take_completed_send(node) {
            self.handle_completed_send(node, now);
        }
        Ok(())
    }

    /// Ids count up from 0 and wrap to the smallest before the reserved ones.
    pub(super) fn next_correlation_id(&mut self) -> i32 {
        if RESERVED_IDS.contains(&self.correlation_id) {
            self.correlation_id = i32::MIN;
        }
        let id = self.correlation_id;
        self.correlation_id = id.wrapping_add(1);
        id
    }
}

/// The versions that a request may be sent in.
fn allowed_versions(request: &Request) -> RangeInclusive<i16> {
    let api = request.api_key();
    match request {
        Request::Produce(produce) => produce_versions(produce),
        _ => api.min_version()..=api.max_version(),
    }
}

/// Up to version 2, a Produce request carries message sets, those of format v1 in version 2 alone; from
/// 3, batches of format v2; and brokers take zstd from version 7 only.
///
/// # Kafka
/// `ProduceRequest#forMagic`, `#validateRecords`. Differs: Java sends format v0 in version 2 alone, too,
/// so that brokers for which it chooses that format, those without version 2, get nothing at all.
fn produce_versions(request: &ProduceRequest) -> RangeInclusive<i16> {
    let (mut min, mut max) = (ApiKey::Produce.min_version(), ApiKey::Produce.max_version());
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    for records in partitions.filter_map(|partition| partition.records.as_ref()) {
        match byte_of(records, MAGIC_AT) {
            Some(0) => max = max.min(LAST_WITH_SETS),
            Some(1) => {
                min = min.max(FIRST_WITH_TIMESTAMPS);
                max = max.min(LAST_WITH_SETS);
            }
            Some(_) => min = min.max(FIRST_WITH_BATCHES),
            None => {}
        }
        let is_batch = min >= FIRST_WITH_BATCHES;
        let codec = byte_of(records, BATCH_ATTRIBUTES_AT).map(|byte| byte & CODEC_MASK);
        if is_batch && codec == Some(ZSTD) {
            min = min.max(FIRST_WITH_ZSTD);
        }
    }
    min..=max
}

const FIRST_WITH_TIMESTAMPS: i16 = 2;
const LAST_WITH_SETS: i16 = 2;
const FIRST_WITH_BATCHES: i16 = 3;
const FIRST_WITH_ZSTD: i16 = 7;
/// Where every format has its version.
const MAGIC_AT: usize = 16;
/// The low byte of a v2 batch's attributes.
const BATCH_ATTRIBUTES_AT: usize = 22;
const CODEC_MASK: u8 = 0b111;
const ZSTD: u8 = 4;

fn byte_of(records: &Records, at: usize) -> Option<u8> {
    let head = records.head.as_slice();
    head.get(at)
        .or_else(|| records.body.get(at.checked_sub(head.len())?))
        .copied()
}
