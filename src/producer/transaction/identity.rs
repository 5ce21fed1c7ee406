//! Producer id and epoch: InitProducerId, epoch bumps by the coordinator, and fatal errors.

use std::sync::Arc;

use crate::util::log::{error, info, warn};

use super::request::{
    Condition, CoordinatorKey, Destination, Priority, RequestFailure, RequestHandler,
    RequestVerdict, RetryReason, describe,
};
use super::{Effect, TransactionManager};
use crate::clock::Instant;
use crate::error::{ErrorCode, ProduceErrorKind, TransactionErrorKind, TransactionFailure};
use crate::protocol::{
    CoordinatorType, InitProducerIdRequest, InitProducerIdResponse, Request, Response,
};
use crate::types::ProducerIdAndEpoch;

/// The state of the producer id. The transaction state is separate:
/// [`TransactionManagerState`](super::state::TransactionManagerState).
///
/// ```text
///  Initializing ──answer──▶ Ready
///        ▲                    │
///        └── epochs used up ──┘
///  Fatal: from anywhere, for good
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdState {
    /// An InitProducerId is queued or in flight.
    Initializing,
    /// The producer has an id.
    Ready,
    /// No batch can be sent any more.
    Fatal(FatalError),
}

/// A fatal error: no batch can be sent any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FatalError {
    pub(crate) code: ErrorCode,
    pub(crate) message: Arc<str>,
}

impl FatalError {
    /// The error kind that batches fail with.
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

/// What a retried InitProducerId leaves undone, in the error of a call that times out.
const NO_ID: &str = "no producer id yet";

/// The InitProducerId request: a new producer id, or an epoch bump of the current one (TM-41).
///
/// # Kafka
/// `TransactionManager.InitProducerIdHandler`. Differs: every retriable code is retried (KAFKA-14417), and a missing
/// authorization is not fatal to a producer that is only idempotent (KAFKA-13668).
#[derive(Debug)]
struct InitProducerId {
    transactional_id: Option<Arc<str>>,
    /// The producer id whose epoch is to be bumped (KIP-360); `NONE` to request a new id.
    raised: ProducerIdAndEpoch,
    /// True if an attempt was refused: the request is then retried only while batches wait for an id.
    was_refused: bool,
}

/// The InitProducerId request of a transactional producer.
pub(crate) fn init_request(transactional_id: &Arc<str>) -> Box<dyn RequestHandler> {
    Box::new(InitProducerId {
        transactional_id: Some(Arc::clone(transactional_id)),
        raised: ProducerIdAndEpoch::NONE,
        was_refused: false,
    })
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
        if self.raised.is_valid() {
            Priority::EpochBump
        } else {
            Priority::InitProducerId
        }
    }

    fn is_awaited(&self, _manager: &TransactionManager) -> bool {
        self.transactional_id.is_some()
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
            // Brokers ignore the time-out of a producer that is not transactional; Java sends the same.
            i32::MAX
        };
        Request::InitProducerId(InitProducerIdRequest {
            transactional_id: self.transactional_id.clone(),
            transaction_timeout_ms: timeout_ms,
            producer_id: self.raised.id,
            producer_epoch: self.raised.epoch,
        })
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        match response {
            // After a fatal error, which occurred while the request was in flight, the response is ignored.
            _ if manager.id_state != IdState::Initializing => RequestVerdict::Done,
            Response::InitProducerId(response) => self.handle_answer(&response, manager, now),
            _ => manager.retry_id(
                "the response was not an InitProducerId response".into(),
                now,
            ),
        }
    }

    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        match failure {
            _ if manager.id_state != IdState::Initializing => RequestVerdict::Done,
            RequestFailure::Disconnected(why) if manager.is_transactional() => {
                manager.retry_id(why, now)
            }
            failure if manager.is_transactional() => manager.no_answer(failure),
            RequestFailure::Disconnected(why) | RequestFailure::Unauthenticated(why) => {
                manager.retry_id(why, now)
            }
            // The broker is older than 0.11, or claims to be. The request is repeated for later batches, since another
            // broker may support it (in Java the error is fatal: TM-32).
            RequestFailure::UnsupportedVersion(why) => {
                let message = format!(
                    "the brokers cannot give producer ids ({why}); they are older than 0.11: set \
                     enable.idempotence=false"
                );
                self.refused(ErrorCode::UnsupportedVersion, message.into(), manager, now)
            }
            failure @ (RequestFailure::Unwritable(_) | RequestFailure::NoCoordinator { .. }) => {
                manager.no_answer(failure)
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
    ) -> RequestVerdict {
        let code = response.error;
        match code {
            ErrorCode::NoError if response.producer_id >= 0 && response.producer_epoch >= 0 => {
                let (id, epoch) = (response.producer_id, response.producer_epoch);
                manager.initialized(ProducerIdAndEpoch::new(id, epoch));
                RequestVerdict::Done
            }
            ErrorCode::NoError => {
                manager.retry_id("the broker gave an invalid producer id".into(), now)
            }
            ErrorCode::InvalidTransactionTimeout => {
                let timeout = manager.options.transaction_timeout.as_millis();
                let message = format!(
                    "transaction.timeout.ms={timeout} is more than the broker's transaction.max.timeout.ms allows"
                );
                manager.fail_with(code, &message.into());
                RequestVerdict::Done
            }
            ErrorCode::InvalidProducerEpoch
            | ErrorCode::ProducerFenced
            | ErrorCode::TransactionalIdAuthorizationFailed
                if manager.is_transactional() =>
            {
                let verdict = manager.transactional_error(code, "give", "a producer id");
                verdict.unwrap_or(RequestVerdict::Done)
            }
            ErrorCode::ClusterAuthorizationFailed if manager.is_transactional() => {
                let message = "the client may not write idempotently: brokers before 2.8 want the \
                               IdempotentWrite permission on the cluster";
                manager.fail_with(code, &message.into());
                RequestVerdict::Done
            }
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TransactionalIdAuthorizationFailed => {
                let message = "the client is not authorized to write idempotently: brokers \
                     before 2.8 want the IdempotentWrite permission on the cluster, later ones Write on a \
                     topic; without it set enable.idempotence=false";
                self.refused(code, message.into(), manager, now)
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                manager.note_no_id(&describe(code), now);
                let wait = manager.retry_backoff();
                let why = RetryReason::refused(NO_ID, code);
                RequestVerdict::FindCoordinator { wait, why }
            }
            // CONCURRENT_TRANSACTIONS: the coordinator is still ending the transaction of this id's previous producer.
            _ if code.is_retriable() || code == ErrorCode::ConcurrentTransactions => {
                manager.note_no_id(&describe(code), now);
                let wait = manager.retry_backoff();
                let why = RetryReason::refused(NO_ID, code);
                RequestVerdict::Retry { wait, why }
            }
            _ => {
                let message = format!("the broker refused a producer id: {}", describe(code));
                manager.fail_with(code, &message.into());
                RequestVerdict::Done
            }
        }
    }

    /// The client lacks the authorization, or the broker does not support idempotence: queued batches fail, and the
    /// request is retried for later batches (KAFKA-13668).
    fn refused(
        &mut self,
        code: ErrorCode,
        message: Arc<str>,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        self.was_refused = true;
        manager.effects.push(Effect::FailWaiting {
            kind: kind_of(code),
            message: Arc::clone(&message),
        });
        manager.retry_id(message, now)
    }
}

impl TransactionManager {
    /// Queues an InitProducerId without a current id. For a transactional producer, the coordinator returns its id with
    /// the next epoch.
    pub(crate) fn request_producer_id(&mut self) {
        if self.fatal_error().is_some() {
            return;
        }
        self.ask_for_id(ProducerIdAndEpoch::NONE);
    }

    /// Requests an epoch bump of the current producer id (KIP-360).
    pub(super) fn raise_epoch(&mut self) {
        self.ask_for_id(self.producer);
    }

    fn ask_for_id(&mut self, raised: ProducerIdAndEpoch) {
        // Closes the drain gate until the response: no batch is sent under the old epoch.
        self.producer = ProducerIdAndEpoch::NONE;
        self.id_state = IdState::Initializing;
        self.requests.push(Box::new(InitProducerId {
            transactional_id: self.options.transactional_id.clone(),
            raised,
            was_refused: false,
        }));
    }

    fn initialized(&mut self, producer: ProducerIdAndEpoch) {
        info!(
            self.options.log,
            "the producer's id and epoch are now {producer}"
        );
        self.producer = producer;
        self.last_producer = producer;
        self.id_state = IdState::Ready;
        self.needs_epoch = false;
        self.last_error = None;
        if let Some(transactions) = &self.transactions {
            // No batch is in flight between transactions: partitions with a gap restart in the new epoch at once.
            let disturbed: Vec<_> = self.disturbed.iter().copied().collect();
            transactions.initialized();
            for index in disturbed {
                self.restart(index);
            }
            self.look();
        }
    }

    /// Retries InitProducerId after a back-off and a new coordinator lookup.
    fn retry_id(&mut self, why: Arc<str>, now: Instant) -> RequestVerdict {
        self.note_no_id(&why, now);
        RequestVerdict::FindCoordinator {
            wait: self.retry_backoff(),
            why: RetryReason::new(why),
        }
    }

    /// Notes why an InitProducerId has failed. The warning is rate-limited: brokers that fail in turn, each with
    /// another error, could cause a hundred lines a second.
    fn note_no_id(&mut self, why: &Arc<str>, now: Instant) {
        if self.last_error.as_ref() != Some(why) {
            if let Some(left_out) = self.log_limit.admit(now) {
                let log = &self.options.log;
                warn!(log, "no producer id yet, trying again: {why}{left_out}");
            }
        }
        self.last_error = Some(Arc::clone(why));
    }

    /// Fails the producer with a fatal error: no batch and no request is sent any more. The first such error is kept.
    pub(super) fn fail_with(&mut self, code: ErrorCode, message: &Arc<str>) {
        if self.fatal_error().is_some() {
            return;
        }
        error!(
            self.options.log,
            "the producer cannot send any more: {message}"
        );
        self.id_state = IdState::Fatal(FatalError {
            code,
            message: Arc::clone(message),
        });
        if let Some(transactions) = &self.transactions {
            let kind = match code {
                ErrorCode::ProducerFenced => TransactionErrorKind::Fenced,
                _ => TransactionErrorKind::Fatal,
            };
            let failure = TransactionFailure::new(kind, Some(code), Arc::clone(message));
            transactions.fail_for_good(failure, self.commit_is_out());
            self.look();
        }
        self.give_up_waiting(message, |_| true);
    }
}
