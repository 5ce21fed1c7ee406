//! Coordinator lookup (FindCoordinator), and the cache of known coordinators.

use std::sync::Arc;

use crate::util::log::{debug, info, warn};

use super::TransactionManager;
use super::request::{
    CoordinatorKey, Destination, Lane, Priority, RequestFailure, RequestHandler, RequestVerdict,
    RetryReason,
};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::protocol::{
    ApiKey, Coordinator, CoordinatorType, FindCoordinatorRequest, Request, Response,
};
use crate::types::Node;

/// The cache of known coordinators: at most one of each type, as a producer has one transactional id and commits the
/// offsets of one group at a time.
///
/// # Kafka
/// `TransactionManager#transactionCoordinator`, `#consumerGroupCoordinator`. Differs: the coordinator of another
/// group is not used for this group.
#[derive(Debug, Default)]
pub(super) struct Coordinators(Vec<Known>);

#[derive(Debug)]
struct Known {
    of: CoordinatorKey,
    node: Node,
    /// True if the coordinator is to be looked up again.
    is_lost: bool,
    /// The version of InitProducerId to use with the coordinator; `None` if it is unknown.
    init_producer_id: Option<i16>,
}

impl Coordinators {
    pub(super) fn get(&self, of: &CoordinatorKey) -> Option<&Node> {
        let mut known = self.0.iter();
        let known = known.find(|known| known.of == *of && !known.is_lost);
        known.map(|known| &known.node)
    }

    /// Caches a coordinator; returns true if it is another node than the last known one.
    fn found(&mut self, of: CoordinatorKey, node: Node) -> bool {
        let mut known = self.0.iter();
        let is_new = !known.any(|known| known.of == of && known.node == node);
        self.0.retain(|known| known.of.kind != of.kind);
        self.0.push(Known {
            of,
            node,
            is_lost: false,
            init_producer_id: None,
        });
        is_new
    }

    pub(super) fn lost(&mut self, of: &CoordinatorKey) {
        if let Some(known) = self.0.iter_mut().find(|known| known.of == *of) {
            // Marked, not removed: `found` compares the result of the next lookup with it.
            known.is_lost = true;
            known.init_producer_id = None;
        }
    }

    /// The coordinator is connected: notes the version of InitProducerId to use with it.
    ///
    /// # Kafka
    /// `TransactionManager#handleCoordinatorReady` (SE-30).
    pub(super) fn is_ready(
        &mut self,
        of: &CoordinatorKey,
        version_of: impl FnOnce(ApiKey) -> Option<i16>,
    ) {
        if let Some(known) = self.0.iter_mut().find(|known| known.of == *of) {
            known.init_producer_id = version_of(ApiKey::InitProducerId);
        }
    }

    /// The version of InitProducerId to use with the transaction coordinator, if that is known.
    pub(super) fn init_producer_id_version(&self) -> Option<i16> {
        let mut known = self.0.iter();
        known
            .find(|known| known.of.kind == CoordinatorType::TRANSACTION)?
            .init_producer_id
    }
}

/// Looks up a coordinator.
///
/// # Kafka
/// `TransactionManager.FindCoordinatorHandler`. Differs: the requests that need the coordinator decide whether a
/// refused lookup is fatal.
#[derive(Debug)]
pub(super) struct FindCoordinator {
    of: CoordinatorKey,
}

impl FindCoordinator {
    pub(super) fn new(of: CoordinatorKey) -> Self {
        Self { of }
    }

    /// The one coordinator in the response, if it is for the requested key.
    fn read(&self, response: Response) -> Result<Coordinator, String> {
        let Response::FindCoordinator(response) = response else {
            return Err(format!("{response:?} is not a FindCoordinator response"));
        };
        match <[Coordinator; 1]>::try_from(response.coordinators) {
            // FindCoordinator before version 4 has no key in the response.
            Ok([it]) if it.key.as_ref().is_none_or(|key| *key == self.of.key) => Ok(it),
            Ok([it]) => Err(format!("it is for {:?}", it.key.unwrap_or_default())),
            Err(several) => Err(format!("it names {} coordinators", several.len())),
        }
    }
}

impl RequestHandler for FindCoordinator {
    fn destination(&self) -> Destination {
        Destination::AnyNode
    }

    fn priority(&self) -> Priority {
        Priority::FindCoordinator
    }

    fn lane(&self) -> Lane {
        match self.of.kind {
            CoordinatorType::GROUP => Lane::Offsets,
            _ => Lane::Producer,
        }
    }

    /// Whether a request to the coordinator is queued: those of a transaction are dropped when it is aborted.
    fn is_needed(&self, manager: &TransactionManager) -> bool {
        let destination = Destination::Coordinator(self.of.clone());
        let mut waiting = manager.requests.waiting();
        waiting.any(|it| it.destination() == destination)
    }

    fn looks_up(&self) -> Option<&CoordinatorKey> {
        Some(&self.of)
    }

    fn request(&self, _manager: &TransactionManager) -> Request {
        Request::FindCoordinator(FindCoordinatorRequest {
            coordinator_type: self.of.kind,
            keys: vec![Arc::clone(&self.of.key)],
        })
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        let wait = manager.retry_backoff();
        let retry = |why| RequestVerdict::Retry { wait, why };
        let found = match self.read(response) {
            Ok(found) => found,
            Err(wrong) => {
                let why = format!(
                    "the FindCoordinator response for {:?} cannot be used: {wrong}",
                    self.of.key
                );
                warn!(manager.options.log, "{why}; retrying");
                return retry(RetryReason::new(why));
            }
        };
        match found.error {
            ErrorCode::NoError => {
                if let Some(node) = node_of(&found) {
                    let text = format!("the coordinator of {:?} is node {node}", self.of.key);
                    // Logged at info only if new: an unreachable coordinator is looked up repeatedly.
                    if manager.requests.coordinators.found(self.of.clone(), node) {
                        info!(manager.options.log, "{text}");
                    } else {
                        debug!(manager.options.log, "{text}");
                    }
                    RequestVerdict::Done
                } else {
                    let why = format!(
                        "the FindCoordinator response for {:?} contains no usable node: node {} at {:?}, port {}",
                        self.of.key, found.node_id, found.host, found.port
                    );
                    debug!(manager.options.log, "{why}");
                    retry(RetryReason::new(why))
                }
            }
            code if code.is_retriable() => {
                debug!(
                    manager.options.log,
                    "no coordinator of {:?} yet: {code}", self.of.key
                );
                let about = format!("no coordinator of {:?} yet", self.of.key);
                retry(RetryReason::refused(&about, code))
            }
            code => {
                let words = found.error_message.as_deref();
                let message = words.unwrap_or_else(|| code.message());
                let message = format!(
                    "the brokers do not name a coordinator of {:?}: {}: {message}",
                    self.of.key,
                    code.name()
                );
                let failure = RequestFailure::NoCoordinator {
                    code,
                    message: message.into(),
                };
                manager.fail_requests_to(&self.of, &failure, now);
                RequestVerdict::Done
            }
        }
    }

    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        match failure {
            RequestFailure::Disconnected(why) => RequestVerdict::Retry {
                wait: manager.retry_backoff(),
                why: RetryReason::new(why),
            },
            failure => {
                manager.fail_requests_to(&self.of, &failure, now);
                RequestVerdict::Done
            }
        }
    }
}

fn node_of(found: &Coordinator) -> Option<Node> {
    let port = u16::try_from(found.port).ok().filter(|port| *port != 0)?;
    let is_named = found.node_id >= 0 && !found.host.is_empty();
    is_named.then(|| Node::new(found.node_id, Arc::clone(&found.host), port))
}
