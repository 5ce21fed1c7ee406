//! Handles the completed sends and receives of a poll: matches responses with in-flight requests, applies throttle
//! times, and stores the API versions of nodes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::connecting::EndedConnection;
use super::{NetworkClient, Purpose};
use crate::client::api_versions::NodeApiVersions;
use crate::client::in_flight_requests::InFlightRequest;
use crate::client::kafka_client::{ClientResponse, Outcome};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::metrics::tables::SenderSensor;
use crate::network::resolver::HostResolver;
use crate::network::selectable::{PollEvents, Selectable};
use crate::protocol::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DecodeError, Reader, Request, Response,
    decode_response_correlation,
};
use crate::types::NodeId;
use crate::util::log;

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Marks the requests that were written in full. A request without a response (acks=0) is completed by that.
    pub(super) fn handle_completed_sends(&mut self, events: &PollEvents, now: Instant) {
        for &id in &events.completed_sends {
            if let Some(request) = self.in_flight.newest_written(id) {
                self.complete(id, request, Outcome::Sent, now);
            }
        }
    }

    /// Marks the newest request as written in full by `send` itself. If it expects no response (acks=0), it is
    /// completed, and the next poll returns it.
    pub(super) fn handle_completed_send(&mut self, id: NodeId, now: Instant) {
        if let Some(request) = self.in_flight.newest_written(id) {
            self.complete(id, request, Outcome::Sent, now);
        }
    }

    /// Handles each received frame as the response to the oldest in-flight request of its node.
    pub(super) fn handle_completed_receives(&mut self, events: &mut PollEvents, now: Instant) {
        for (id, payload) in events.completed_receives.drain(..) {
            self.handle_receive(id, &payload, now);
        }
    }

    fn handle_receive(&mut self, id: NodeId, payload: &Bytes, now: Instant) {
        let Some(oldest) = self.in_flight.oldest(id) else {
            // An earlier frame of this poll may have closed the connection and cancelled all its requests.
            if self.states.is_live(id) {
                let ending = EndedConnection::fault(
                    "the broker sent a frame that is a response to no request",
                );
                self.close_connection(id, &ending, now);
            }
            return;
        };
        let (api_key, version) = (oldest.api_key, oldest.version);
        let Decoded {
            response,
            left_over,
            unknown_error,
        } = match decode(api_key, version, oldest.correlation_id, payload) {
            Ok(decoded) => decoded,
            // After a frame that cannot be decoded, no later one can be trusted. The request is still in flight, so
            // that closing the connection completes it as disconnected: it may have been executed.
            Err(error) => {
                let error = format!(
                    "the broker sent an invalid response to {api_key} version {version}: {error}"
                );
                self.close_connection(id, &EndedConnection::fault(error), now);
                return;
            }
        };
        let Some(request) = self.in_flight.pop_oldest(id) else {
            return;
        };
        log::trace!(
            self.log,
            "Received {api_key} response from node {id} for request with correlation id {}",
            request.correlation_id
        );
        if let Some(code) = unknown_error {
            log::debug!(
                self.log,
                "Unexpected error code {code} in {api_key} response from node {id}"
            );
        }
        if left_over > 0 {
            log::debug!(
                self.log,
                "{left_over} bytes follow {api_key} response version {version} from node {id}"
            );
        }
        if api_key != ApiKey::ApiVersions {
            self.states.responded(id);
        }
        // Called before the response is handled: requests that this causes must already observe the throttle time.
        self.maybe_throttle(id, api_key, version, &response, now);
        match (request.purpose, response) {
            (Purpose::Metadata(planned, number), Response::Metadata(response)) => {
                self.handle_metadata_response(
                    number,
                    planned,
                    version,
                    request.correlation_id,
                    response,
                    now,
                );
            }
            (Purpose::ApiVersions, Response::ApiVersions(response)) => {
                self.handle_api_versions(id, version, &response, now);
            }
            (Purpose::User(tag), response) => {
                self.completed.push(ClientResponse {
                    node: id,
                    tag,
                    version,
                    created: request.created,
                    received: now,
                    outcome: Outcome::Response(response),
                });
            }
            // Unreachable: a response is decoded with the API key of its request.
            (Purpose::Metadata(..) | Purpose::ApiVersions, _) => {}
        }
    }

    /// Records the response's throttle time, and sends the node no requests for that time (KIP-219). In older versions
    /// of a request the broker has delayed the response itself, and the client need not wait.
    fn maybe_throttle(
        &mut self,
        id: NodeId,
        api_key: ApiKey,
        version: i16,
        response: &Response,
        now: Instant,
    ) {
        let millis = response.throttle_time_ms();
        self.sensors
            .record(SenderSensor::ThrottleTime, f64::from(millis), now);
        if millis <= 0 || !api_key.throttles_client(version) {
            return;
        }
        let throttle = Duration::from_millis(u64::from(millis.unsigned_abs()));
        let until = now.saturating_add(throttle);
        // The broker does not answer while it throttles: the deadlines of requests in flight are extended by that time.
        let longer_by = self.states.throttle(id, until, now);
        self.in_flight.extend_deadlines(id, longer_by);
        log::trace!(
            self.log,
            "Connection to node {id} is throttled for {millis} ms"
        );
    }

    /// Sends the ApiVersions requests that are due on new connections.
    pub(super) fn send_api_versions_requests(&mut self, now: Instant) {
        if self.nodes_needing_api_versions.is_empty() {
            return;
        }
        for (id, version) in std::mem::take(&mut self.nodes_needing_api_versions) {
            // Not ready yet: the next poll tries again, until the setup timeout closes the connection.
            if !self.selector.is_channel_ready(id) || !self.in_flight.can_send_more(id) {
                self.nodes_needing_api_versions.insert(id, version);
                continue;
            }
            log::debug!(self.log, "Initiating API versions fetch from node {id}.");
            let request = Request::ApiVersions(ApiVersionsRequest::ours());
            let timeout = self.request_timeout;
            let sent = self.dispatch(
                id,
                &request,
                Some(version),
                timeout,
                Purpose::ApiVersions,
                now,
            );
            if sent.is_err() {
                let ending =
                    EndedConnection::lost("the request for API versions could not be sent");
                self.close_connection(id, &ending, now);
            }
        }
    }

    /// Handles an ApiVersions response: the node is ready, or the request is repeated in an older version.
    fn handle_api_versions(
        &mut self,
        id: NodeId,
        version: i16,
        response: &ApiVersionsResponse,
        now: Instant,
    ) {
        if response.error == ErrorCode::NoError {
            let versions = NodeApiVersions::new(response);
            log::debug!(self.log, "Node {id} has API versions: {versions}");
            self.api_versions.update(id, versions);
            self.node_is_ready(id);
            return;
        }
        if response.error == ErrorCode::UnsupportedVersion && version > 0 {
            // Brokers since 2.4 list the versions of ApiVersions that they support; older ones support 0. The fallback
            // is always below the version just tried, so that no broker can cause an endless loop.
            let listed = NodeApiVersions::new(response).range(ApiKey::ApiVersions);
            let fallback = listed.map_or(0, |(_, max)| max.clamp(0, version - 1));
            self.nodes_needing_api_versions.insert(id, fallback);
            return;
        }
        let error = format!(
            "the broker answered the request for API versions with {}",
            response.error.name()
        );
        self.close_connection(id, &EndedConnection::fault(error), now);
    }

    /// Completes a request: its outcome is returned by a poll, unless the request is one of the client's own.
    pub(super) fn complete(
        &mut self,
        node: NodeId,
        request: InFlightRequest<Purpose<T>>,
        outcome: Outcome,
        now: Instant,
    ) {
        if let Purpose::User(tag) = request.purpose {
            self.completed.push(ClientResponse {
                node,
                tag,
                version: request.version,
                created: request.created,
                received: now,
                outcome,
            });
        }
    }
}

/// A decoded response, and its irregularities for the debug log.
struct Decoded {
    response: Response,
    /// Number of bytes after the response. A newer broker may append fields that are unknown to this client.
    left_over: usize,
    /// The first error code in the response that [`ErrorCode`] does not have.
    unknown_error: Option<i16>,
}

/// Decodes a frame as the response to a request.
fn decode(
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    payload: &Bytes,
) -> Result<Decoded, BadAnswer> {
    let mut reader = Reader::new(payload);
    let answered = decode_response_correlation(api_key, version, &mut reader)?;
    if answered != correlation_id {
        return Err(BadAnswer::CorrelationId {
            expected: correlation_id,
            answered,
        });
    }
    Ok(Decoded {
        response: Response::decode(api_key, version, &mut reader)?,
        left_over: reader.remaining(),
        unknown_error: reader.unknown_error(),
    })
}

/// Why a frame is not a valid response to the oldest in-flight request.
#[derive(Debug)]
enum BadAnswer {
    Decode(DecodeError),
    CorrelationId { expected: i32, answered: i32 },
}

impl From<DecodeError> for BadAnswer {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(f),
            Self::CorrelationId { expected, answered } => {
                write!(
                    f,
                    "it has correlation id {answered}, expected was {expected}"
                )
            }
        }
    }
}
