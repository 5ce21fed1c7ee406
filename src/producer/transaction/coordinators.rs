//! Which brokers look after what the producer does in transactions, and how that is found out.

use std::sync::Arc;

use crate::util::log::{debug, info, warn};

use super::TransactionManager;
use super::request::{CoordinatorKey, Destination, Failure, Priority, RequestHandler, Verdict};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::protocol::{
    ApiKey, Coordinator, CoordinatorType, FindCoordinatorRequest, Request, Response,
};
use crate::types::Node;

/// The coordinators that are known: at most one of each type, as a producer has one transactional id and commits
/// the offsets of one group at a time.
///
/// # Kafka
/// `TransactionManager#transactionCoordinator`, `#consumerGroupCoordinator`. Differs: another group's coordinator
/// is not taken for this group's.
#[derive(Debug, Default)]
pub(super) struct Coordinators(Vec<Known>);

#[derive(Debug)]
struct Known {
    of: CoordinatorKey,
    node: Node,
    /// The version of InitProducerId that it takes from this client.
    init_producer_id: Option<i16>,
}

impl Coordinators {
    pub(super) fn get(&self, of: &CoordinatorKey) -> Option<&Node> {
        let known = self.0.iter().find(|known| known.of == *of);
        known.map(|known| &known.node)
    }

    fn found(&mut self, of: CoordinatorKey, node: Node) {
        self.0.retain(|known| known.of.kind != of.kind);
        self.0.push(Known {
            of,
            node,
            init_producer_id: None,
        });
    }

    pub(super) fn lost(&mut self, of: &CoordinatorKey) {
        self.0.retain(|known| known.of != *of);
    }

    /// It can be sent to now: `version_of` tells the newest version of a request that it takes.
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

    /// The version of InitProducerId that the coordinator of the producer's transactions takes, if that is known.
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
/// `TransactionManager.FindCoordinatorHandler`. Differs: what the refusal of a coordinator means is said by the
/// requests that need it.
#[derive(Debug)]
pub(super) struct FindCoordinator {
    of: CoordinatorKey,
}

impl FindCoordinator {
    pub(super) fn new(of: CoordinatorKey) -> Self {
        Self { of }
    }

    /// The one coordinator in the answer, if it is for the key that was asked for.
    fn read(&self, response: Response) -> Result<Coordinator, String> {
        let Response::FindCoordinator(response) = response else {
            return Err(format!("{response:?} is no answer to FindCoordinator"));
        };
        match <[Coordinator; 1]>::try_from(response.coordinators) {
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
    ) -> Verdict {
        let retry = Verdict::Retry {
            wait: manager.retry_backoff(),
        };
        let found = match self.read(response) {
            Ok(found) => found,
            Err(wrong) => {
                warn!(
                    manager.options.log,
                    "the answer to who coordinates {:?} cannot be used, asking again: {wrong}",
                    self.of.key
                );
                return retry;
            }
        };
        match found.error {
            ErrorCode::NoError => match node_of(&found) {
                Some(node) => {
                    info!(
                        manager.options.log,
                        "the coordinator of {:?} is node {node}", self.of.key
                    );
                    manager.requests.coordinators.found(self.of.clone(), node);
                    Verdict::Done
                }
                None => retry,
            },
            code if code.is_retriable() => {
                debug!(
                    manager.options.log,
                    "no coordinator of {:?} yet: {code}", self.of.key
                );
                retry
            }
            code => {
                let words = found.error_message.as_deref();
                let message = words.unwrap_or_else(|| code.message());
                let message = format!(
                    "the brokers do not name a coordinator of {:?}: {}: {message}",
                    self.of.key,
                    code.name()
                );
                let failure = Failure::NoCoordinator {
                    code,
                    message: message.into(),
                };
                manager.fail_requests_to(&self.of, &failure, now);
                Verdict::Done
            }
        }
    }

    fn handle_failure(
        &mut self,
        failure: Failure,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> Verdict {
        match failure {
            Failure::Disconnected(_) => Verdict::Retry {
                wait: manager.retry_backoff(),
            },
            failure => {
                manager.fail_requests_to(&self.of, &failure, now);
                Verdict::Done
            }
        }
    }
}

fn node_of(found: &Coordinator) -> Option<Node> {
    let port = u16::try_from(found.port).ok().filter(|port| *port != 0)?;
    let is_named = found.node_id >= 0 && !found.host.is_empty();
    is_named.then(|| Node::new(found.node_id, Arc::clone(&found.host), port))
}
