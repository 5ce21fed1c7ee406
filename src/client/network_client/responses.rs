//! What a poll brought: requests written, frames received.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::connecting::Ending;
use super::{NetworkClient, Purpose};
use crate::client::api_versions::NodeApiVersions;
use crate::client::in_flight_requests::InFlightRequest;
use crate::client::kafka_client::{ClientResponse, Outcome};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::network::resolver::HostResolver;
use crate::network::selectable::{PollEvents, Selectable};
use crate::protocol::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DecodeError, Reader, Request, Response,
    decode_response_correlation,
};
use crate::types::NodeId;
use crate::util::log;

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Ends the requests that no answer is expected to and that were written in full.
    pub(super) fn handle_completed_sends(
        &mut self,
        events: &PollEvents,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        for &id in &events.completed_sends {
            if let Some(request) = self.in_flight.newest_written(id) {
                finish(id, request, Outcome::Sent, now, responses);
            }
        }
    }

    /// The same for a request that was written as it was sent: the next poll hands it out.
    pub(super) fn handle_completed_send(&mut self, id: NodeId, now: Instant) {
        if let Some(request) = self.in_flight.newest_written(id) {
            finish(id, request, Outcome::Sent, now, &mut self.ended);
        }
    }

    /// Hands each frame to the request that it answers.
    pub(super) fn handle_completed_receives(
        &mut self,
        events: &mut PollEvents,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        for (id, payload) in events.completed_receives.drain(..) {
            self.handle_receive(id, &payload, now, responses);
        }
    }

    fn handle_receive(
        &mut self,
        id: NodeId,
        payload: &Bytes,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        let Some(oldest) = self.in_flight.oldest(id) else {
            if self.states.is_live(id) {
                let ending = Ending::fault("the broker sent a frame that answers no request");
                self.close_connection(id, &ending, now, responses);
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
            Err(error) => {
                let error =
                    format!("the broker sent a bad answer to {api_key} version {version}: {error}");
                self.close_connection(id, &Ending::fault(error), now, responses);
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
        self.maybe_throttle(id, api_key, version, &response, now);
        match (request.purpose, response) {
            (Purpose::Metadata(planned), Response::Metadata(response)) => {
                self.handle_metadata_response(
                    planned,
                    version,
                    request.correlation_id,
                    response,
                    now,
                );
            }
            (Purpose::ApiVersions, Response::ApiVersions(response)) => {
                self.handle_api_versions(id, version, &response, now, responses);
            }
            (Purpose::User(tag), response) => {
                responses.push(ClientResponse {
                    node: id,
                    tag,
                    version,
                    created: request.created,
                    received: now,
                    outcome: Outcome::Response(response),
                });
            }
            // A response is decoded as what its request asks for.
            (Purpose::Metadata(_) | Purpose::ApiVersions, _) => {}
        }
    }

    /// Pauses if the broker asks for it. In older versions it has paused itself, before it answered.
    fn maybe_throttle(
        &mut self,
        id: NodeId,
        api_key: ApiKey,
        version: i16,
        response: &Response,
        now: Instant,
    ) {
        let millis = response.throttle_time_ms();
        if millis <= 0 || !api_key.throttles_client(version) {
            return;
        }
        let throttle = Duration::from_millis(u64::from(millis.unsigned_abs()));
        let until = now.saturating_add(throttle);
        let longer_by = self.states.throttle(id, until, now);
        self.in_flight.extend_deadlines(id, longer_by);
        log::trace!(
            self.log,
            "Connection to node {id} is throttled for {millis} ms"
        );
    }

    /// Asks the brokers of new connections for their versions.
    pub(super) fn ask_for_api_versions(
        &mut self,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        if self.versions_to_ask.is_empty() {
            return;
        }
        for (id, version) in std::mem::take(&mut self.versions_to_ask) {
            if !self.selector.is_channel_ready(id) || !self.in_flight.can_send_more(id) {
                self.versions_to_ask.insert(id, version);
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
                let ending = Ending::given_up("the request for API versions could not be sent");
                self.close_connection(id, &ending, now, responses);
            }
        }
    }

    fn handle_api_versions(
        &mut self,
        id: NodeId,
        version: i16,
        response: &ApiVersionsResponse,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        if response.error == ErrorCode::NoError {
            let versions = NodeApiVersions::new(response);
            log::debug!(self.log, "Node {id} has API versions: {versions}");
            self.api_versions.update(id, versions);
            self.node_is_ready(id);
            return;
        }
        if response.error == ErrorCode::UnsupportedVersion && version > 0 {
            // Brokers since 2.4 say which versions of this request they know; older ones know 0.
            let listed = NodeApiVersions::new(response).range(ApiKey::ApiVersions);
            let fallback = listed.map_or(0, |(_, max)| max.clamp(0, version - 1));
            self.versions_to_ask.insert(id, fallback);
            return;
        }
        let error = format!(
            "the broker answered the request for API versions with {}",
            response.error.name()
        );
        self.close_connection(id, &Ending::fault(error), now, responses);
    }
}

fn finish<T>(
    node: NodeId,
    request: InFlightRequest<Purpose<T>>,
    outcome: Outcome,
    now: Instant,
    responses: &mut Vec<ClientResponse<T>>,
) {
    if let Purpose::User(tag) = request.purpose {
        let InFlightRequest {
            version, created, ..
        } = request;
        responses.push(ClientResponse {
            node,
            tag,
            version,
            created,
            received: now,
            outcome,
        });
    }
}

/// A response, and what is worth a line in the log about it.
struct Decoded {
    response: Response,
    /// Bytes after it, as from a broker that knows more fields than we do.
    left_over: usize,
    /// The first error code in it that is not in our table.
    unknown_error: Option<i16>,
}

/// Reads a frame as the answer to a request.
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

/// Why a frame is not the answer to the oldest request.
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
