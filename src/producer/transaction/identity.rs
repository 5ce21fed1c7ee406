//! Who the producer is to the brokers: the id and epoch that they give it.

use std::sync::Arc;

use crate::util::log::{error, info, warn};

use super::request::{
    Condition, CoordinatorKey, Destination, Failure, Priority, RequestHandler, Verdict,
};
use super::{Effect, TransactionManager};
use crate::clock::Instant;
use crate::error::{ErrorCode, ProduceErrorKind};
use crate::protocol::{
    CoordinatorType, InitProducerIdRequest, InitProducerIdResponse, Request, Response,
};
use crate::types::ProducerIdAndEpoch;

/// How the producer stands with the brokers.
///
/// ```text
///  Initializing ──answer──▶ Ready
///        ▲                    │
///        └── epochs used up ──┘
///  Fatal: from anywhere, for good
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// A producer id is asked for.
    Initializing,
    /// The producer has an id.
    Ready,
    /// No batch can be sent any more.
    Fatal(FatalError),
}

/// Why no batch can be sent any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FatalError {
    pub(crate) code: ErrorCode,
    pub(crate) message: Arc<str>,
}

impl FatalError {
    /// What batches fail with.
    pub(crate) fn kind(&self) -> ProduceErrorKind {
        kind_of(self.code)
    }
}

fn kind_of(code: ErrorCode) -> ProduceErrorKind {
    match code {
        ErrorCode::UnsupportedVersion => ProduceErrorKind::UnsupportedVersion,
        code => ProduceErrorKind::Broker(code),
    }
}

/// Asks for a producer id (TM-41).
///
/// # Kafka
/// `TransactionManager.InitProducerIdHandler`. Differs: every retriable code is retried (KAFKA-14417), and a
/// missing authorization is not the end (KAFKA-13668).
#[derive(Debug)]
struct InitProducerId {
    transactional_id: Option<Arc<str>>,
    /// It was refused: asking again is only worth it for batches that need an id.
    was_refused: bool,
}

impl RequestHandler for InitProducerId {
    fn destination(&self) -> Destination {
        match &self.transactional_id {
            None => Destination::AnyNode,
            Some(id) => Destination::Coordinator(CoordinatorKey {
                kind: CoordinatorType::TRANSACTION,
                key: Arc::clone(id),
            }),
        }
    }

    fn priority(&self) -> Priority {
        Priority::InitProducerId
    }

    fn condition(&self, _manager: &TransactionManager) -> Condition {
        if self.was_refused {
            Condition::BatchesWait
        } else {
            Condition::Nothing
        }
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        let timeout_ms = if self.transactional_id.is_some() {
            let timeout = manager.options.transaction_timeout;
            i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
        } else {
            i32::MAX
        };
        Request::InitProducerId(InitProducerIdRequest {
            transactional_id: self.transactional_id.clone(),
            transaction_timeout_ms: timeout_ms,
            producer_id: -1,
            producer_epoch: -1,
        })
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> Verdict {
        match response {
            _ if manager.state != State::Initializing => Verdict::Done,
            Response::InitProducerId(response) => self.handle_answer(&response, manager, now),
            _ => manager.retry_id("the answer was not an InitProducerId response".into(), now),
        }
    }

    fn handle_failure(
        &mut self,
        failure: Failure,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> Verdict {
        match failure {
            _ if manager.state != State::Initializing => Verdict::Done,
            Failure::Disconnected(why) | Failure::Unauthenticated(why) => {
                manager.retry_id(why, now)
            }
            // The broker that was asked is older than 0.11, or says so. Nothing is lost by asking again for later
            // batches, which a better broker may answer (in Java this is the end: TM-32).
            Failure::UnsupportedVersion(why) => {
                let message = format!(
                    "the brokers cannot give producer ids ({why}); they are older than 0.11: set \
                     enable.idempotence=false"
                );
                self.refused(ErrorCode::UnsupportedVersion, message.into(), manager, now)
            }
            Failure::NoCoordinator { code, message } => {
                manager.fail_with(code, &message);
                Verdict::Done
            }
        }
    }
}

impl InitProducerId {
    fn handle_answer(
        &mut self,
        response: &InitProducerIdResponse,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> Verdict {
        let code = response.error;
        match code {
            ErrorCode::NoError if response.producer_id >= 0 && response.producer_epoch >= 0 => {
                let (id, epoch) = (response.producer_id, response.producer_epoch);
                manager.initialized(ProducerIdAndEpoch::new(id, epoch));
                Verdict::Done
            }
            ErrorCode::NoError => {
                manager.retry_id("the broker gave an invalid producer id".into(), now)
            }
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TransactionalIdAuthorizationFailed => {
                let message = "the client is not authorized to write idempotently: brokers \
                     before 2.8 want the IdempotentWrite permission on the cluster, later ones Write on a \
                     topic; without it set enable.idempotence=false";
                self.refused(code, message.into(), manager, now)
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                manager.retry_id(describe(code), now)
            }
            _ if code.is_retriable() || code == ErrorCode::ConcurrentTransactions => {
                manager.retry_id(describe(code), now);
                let wait = manager.retry_backoff();
                Verdict::Retry { wait }
            }
            _ => {
                let message = format!("the broker refused a producer id: {}", describe(code));
                manager.fail_with(code, &message.into());
                Verdict::Done
            }
        }
    }

    /// The client may not be idempotent, or the broker cannot make it so: batches that wait fail, and another
    /// attempt is made when later ones do (KAFKA-13668).
    fn refused(
        &mut self,
        code: ErrorCode,
        message: Arc<str>,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> Verdict {
        self.was_refused = true;
        manager.effects.push(Effect::FailWaiting {
            kind: kind_of(code),
            message: Arc::clone(&message),
        });
        manager.retry_id(message, now)
    }
}

impl TransactionManager {
    /// A producer id is asked for, as soon as may be: of a transactional producer it comes with the next epoch.
    pub(crate) fn request_producer_id(&mut self) {
        if self.fatal_error().is_some() {
            return;
        }
        self.producer = ProducerIdAndEpoch::NONE;
        self.state = State::Initializing;
        self.requests.push(Box::new(InitProducerId {
            transactional_id: self.options.transactional_id.clone(),
            was_refused: false,
        }));
    }

    fn initialized(&mut self, producer: ProducerIdAndEpoch) {
        info!(
            self.options.log,
            "the producer's id and epoch are now {producer}"
        );
        self.producer = producer;
        self.state = State::Ready;
        self.needs_epoch = false;
        self.last_error = None;
    }

    /// There is no producer id for now. Brokers that fail in turn, each in its way, may do so a hundred times a second.
    fn retry_id(&mut self, why: Arc<str>, now: Instant) -> Verdict {
        if self.last_error.as_ref() != Some(&why) {
            if let Some(left_out) = self.log_limit.admit(now) {
                let log = &self.options.log;
                warn!(log, "no producer id yet, trying again: {why}{left_out}");
            }
        }
        self.last_error = Some(why);
        Verdict::FindCoordinator {
            wait: self.retry_backoff(),
        }
    }

    /// No batch can be sent any more, and no request. The first such error is kept.
    pub(super) fn fail_with(&mut self, code: ErrorCode, message: &Arc<str>) {
        if self.fatal_error().is_some() {
            return;
        }
        error!(
            self.options.log,
            "the producer cannot send any more: {message}"
        );
        self.state = State::Fatal(FatalError {
            code,
            message: Arc::clone(message),
        });
        self.give_up_waiting(message, |_| true);
    }
}

pub(super) fn describe(code: ErrorCode) -> Arc<str> {
    format!("{}: {}", code.name(), code.message()).into()
}
