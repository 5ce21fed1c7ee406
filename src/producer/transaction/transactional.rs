//! Error handling of transactional requests (retriable, abortable, fatal, fenced), and the completion of a transaction.

use std::sync::Arc;

use super::TransactionManager;
use super::add_offsets_to_txn::AddOffsetsToTxn;
use super::add_partitions_to_txn::AddPartitionsToTxn;
use super::contents::{Begun, Contents};
use super::end_txn::EndTxn;
use super::offsets::OffsetsToCommit;
use super::request::{
    ConcurrentBackoff, CoordinatorKey, Lane, RequestFailure, RequestHandler, RequestVerdict,
    RetryReason, describe,
};
use super::shared::{TransactionResult, Transactions, closed};
use super::state::TransactionManagerState;
use crate::clock::{Deadline, Instant};
use crate::error::{ErrorCode, TransactionErrorKind, TransactionFailure};
use crate::planted::planted;
use crate::producer::accumulator::EntryIndex;
use crate::producer::batch::BatchId;
use crate::protocol::{CoordinatorType, Response};
use crate::types::ProducerIdAndEpoch;
use crate::util::log::{debug, warn};

/// The coordinator key of a transactional id.
pub(crate) fn coordinator_of(transactional_id: &Arc<str>) -> CoordinatorKey {
    CoordinatorKey {
        kind: CoordinatorType::TRANSACTION,
        key: Arc::clone(transactional_id),
    }
}

/// The request that ends a transaction.
pub(crate) fn end_request(transactional_id: &Arc<str>, commits: bool) -> Box<dyn RequestHandler> {
    Box::new(EndTxn::new(coordinator_of(transactional_id), commits))
}

/// The request that commits offsets in a transaction.
pub(crate) fn offsets_request(
    transactional_id: &Arc<str>,
    offsets: &Arc<OffsetsToCommit>,
    result: &Arc<TransactionResult>,
) -> Box<dyn RequestHandler> {
    Box::new(AddOffsetsToTxn {
        coordinator: coordinator_of(transactional_id),
        offsets: Arc::clone(offsets),
        result: Arc::clone(result),
        concurrent: ConcurrentBackoff::default(),
    })
}

impl TransactionManager {
    /// The state shared with application threads.
    pub(crate) fn transactions(&self) -> Option<&Arc<Transactions>> {
        self.transactions.as_ref()
    }

    /// Takes over new partitions, requests and the state from application threads. Called first in each step.
    pub(crate) fn handle_inbox(&mut self) {
        let Some(transactions) = &self.transactions else {
            return;
        };
        let news = transactions.take_news();
        // The state is read first: in an aborting state new partitions are not added.
        self.see(news.state);
        if self.adds_to_transaction() {
            self.contents.to_add.extend(news.partitions);
            self.add_new_partitions();
        }
        // The queue is ordered by priority: AddPartitionsToTxn is sent before an EndTxn that may be among these
        // requests.
        for handler in news.requests {
            self.push_request(handler);
        }
    }

    fn see(&mut self, state: TransactionManagerState) {
        if self.state_seen != state {
            debug!(
                self.options.log,
                "transactions: {:?} became {state:?}", self.state_seen
            );
            self.state_seen = state;
        }
        if state.is_aborting() {
            // No partition is added any more (TM-30).
            self.contents.to_add.clear();
        }
    }

    /// Reads the shared state again, after a change by this thread.
    pub(super) fn look(&mut self) {
        if let Some(transactions) = &self.transactions {
            let state = transactions.state();
            self.see(state);
        }
    }

    /// Whether partitions may be added to the transaction: while it is open, and, for its last records, while it is
    /// being committed.
    pub(super) fn adds_to_transaction(&self) -> bool {
        matches!(
            self.state_seen,
            TransactionManagerState::InTransaction | TransactionManagerState::Committing
        )
    }

    /// Queues an AddPartitionsToTxn for new partitions, unless one is pending.
    pub(super) fn add_new_partitions(&mut self) {
        let Some(id) = self.options.transactional_id.clone() else {
            return;
        };
        if planted!(PartitionsNotAdded) {
            for (index, _) in std::mem::take(&mut self.contents.to_add) {
                self.contents.add(index);
            }
        }
        // One AddPartitionsToTxn at a time: it collects its partitions when it is sent, so it includes partitions that
        // come later.
        if !self.contents.to_add.is_empty() && !self.contents.is_adding {
            self.contents.is_adding = true;
            self.push_request(Box::new(AddPartitionsToTxn::new(coordinator_of(&id))));
        }
    }

    /// The transactional id, and the producer id and epoch, for a transactional request.
    pub(super) fn named_producer(&self) -> (Arc<str>, ProducerIdAndEpoch) {
        let id = self.options.transactional_id.clone();
        (id.unwrap_or_default(), self.producer)
    }

    // ---- how the sender has to act

    pub(super) fn is_aborting(&self) -> bool {
        self.state_seen.is_aborting()
    }

    /// Whether queued batches are dropped because the transaction is aborted.
    pub(crate) fn gives_up_queued(&self) -> bool {
        self.is_aborting() && !planted!(AbortSendsOn)
    }

    pub(crate) fn is_completing(&self) -> bool {
        self.state_seen.is_completing()
    }

    /// Whether the coordinator has not added a partition yet.
    pub(crate) fn is_to_be_added(&self, index: EntryIndex) -> bool {
        self.is_transactional() && !self.contents.holds(index)
    }

    /// Whether a batch in the retry queue is still sent, though the transaction is aborted.
    pub(crate) fn sends_again(&self, index: EntryIndex, batch: BatchId) -> bool {
        let partition = self.partitions.get(&index);
        partition.is_some_and(|it| it.may_still_be_sent(batch))
    }

    /// The error of the transaction or the producer; `None` if there is none, as in an abort that the application
    /// chose.
    pub(crate) fn abort_reason(&self) -> Option<TransactionFailure> {
        self.transactions.as_ref()?.failure()
    }

    /// Aborts an open transaction on a graceful close, and starts the close timeout.
    ///
    /// # Kafka
    /// `Sender#run` ("Aborting incomplete transaction due to shutdown").
    pub(crate) fn abort_at_close(&mut self, now: Instant) {
        // Called in each step while the producer is closing; only the first call starts the close timeout.
        if self.close_deadline == Deadline::Never {
            self.close_deadline = Deadline::after(now, self.options.max_block);
        }
        let (Some(transactions), Some(id)) = (&self.transactions, &self.options.transactional_id)
        else {
            return;
        };
        if transactions.abort_at_close() {
            warn!(
                self.options.log,
                "the producer is closed with a transaction open, which is aborted"
            );
            let request = end_request(id, false);
            // Takes over the Aborting state, the only one in which this EndTxn is needed.
            self.handle_inbox();
            self.push_request(request);
        }
    }

    /// Whether the coordinator may have a transaction open, or one whose end is not known: from the moment at which the
    /// first request of the transaction is sent, until the coordinator has confirmed the end.
    pub(super) fn may_have_begun(&self) -> bool {
        self.contents.begun != Begun::No
            || self
                .requests
                .in_flight()
                .is_some_and(RequestHandler::begins_transaction)
    }

    /// Whether a producer that ends now leaves an open transaction to its coordinator. A fenced producer does not: its
    /// transaction was aborted by the coordinator, or belongs to the producer that has taken over.
    pub(crate) fn leaves_transaction(&self) -> bool {
        let failure = self.abort_reason();
        let is_fenced = failure.is_some_and(|it| it.kind == TransactionErrorKind::Fenced);
        self.may_have_begun() && !is_fenced
    }

    /// The close timeout: until then a closing producer waits for awaited requests. A coordinator may be unreachable.
    pub(crate) fn close_deadline(&self) -> Deadline {
        self.close_deadline
    }

    // ---- what errors mean

    /// Notes why a request of this lane is retried, for the error of a call or a record that times out.
    pub(crate) fn note_retry_reason(&self, lane: Lane, why: RetryReason) {
        self.note_retry(lane, why, false);
    }

    /// Notes the reason of a retry; `is_unsent` if nothing was sent to the node of the request: its lookup or its connection
    /// failed.
    pub(crate) fn note_retry(&self, lane: Lane, why: RetryReason, is_unsent: bool) {
        if let Some(transactions) = &self.transactions {
            transactions.set_retry_reason(lane, why, is_unsent);
        }
    }

    pub(super) fn clear_retry_reason(&self, lane: Lane) {
        if let Some(transactions) = &self.transactions {
            transactions.clear_retry_reason(lane);
        }
    }

    /// Why a partition is not added to the transaction yet.
    pub(crate) fn retry_reason_of_partitions(&self) -> Option<RetryReason> {
        self.transactions.as_ref()?.retry_reason_of_partitions()
    }

    /// The lane of the request that is due.
    pub(crate) fn due_lane(&self) -> Lane {
        let due = self.requests.due();
        due.map_or(Lane::Producer, |due| due.handler.lane())
    }

    /// Abortable error: the transaction can only be aborted.
    pub(crate) fn fail_transaction(
        &mut self,
        code: Option<ErrorCode>,
        message: impl Into<Arc<str>>,
    ) {
        let failure = TransactionFailure::new(TransactionErrorKind::Abortable, code, message);
        if let Some(transactions) = &self.transactions {
            // After an EndTxn(commit) without a response the transaction may be committed: the error must not deny
            // that.
            let is_out = self.commit_is_out() && !planted!(LostCommitCalledAborted);
            transactions.fail_transaction(failure, is_out);
            self.look();
        }
    }

    /// Whether the coordinator may have committed the transaction without the producer knowing it: an attempt got no
    /// response, or is in flight.
    pub(super) fn commit_is_out(&self) -> bool {
        self.commit_in_doubt
            || self
                .requests
                .in_flight()
                .is_some_and(RequestHandler::commits)
    }

    /// Abortable error: the client lacks the permission Read on the group.
    pub(super) fn fail_for_group(&mut self, code: ErrorCode, group: &str) {
        let message = format!(
            "offsets of group {group} may not be committed: grant the client Read on the group"
        );
        self.fail_transaction(Some(code), message);
    }

    /// Abortable error: the group's offsets exceed what a request can carry. No broker has seen them, so the producer
    /// goes on.
    pub(super) fn fail_for_unwritable(&mut self, why: &str, group: &str) {
        let message = format!("the offsets of group {group} cannot be sent: {why}");
        self.fail_transaction(None, message);
    }

    /// Requires an epoch bump when the transaction has ended.
    ///
    /// # Kafka
    /// `TransactionManager#epochBumpRequired`. Differs: also required after a request of the transaction without a
    /// response, see [`handle_outcome`](Self::handle_outcome).
    pub(super) fn require_epoch(&mut self) {
        self.needs_epoch = true;
    }

    /// Classifies a coordinator's error code: retriable, abortable, fatal; `None` for codes that depend on the request.
    /// With [`RequestVerdict::Done`] the transaction or the producer has failed.
    pub(super) fn transactional_error(
        &mut self,
        code: ErrorCode,
        doing: &str,
        what: &str,
    ) -> Option<RequestVerdict> {
        let wait = self.retry_backoff();
        match code {
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
                let why = RetryReason::refused(what, code);
                Some(RequestVerdict::FindCoordinator { wait, why })
            }
            code if code.is_retriable() || code == ErrorCode::ConcurrentTransactions => {
                let why = RetryReason::refused(what, code);
                Some(RequestVerdict::Retry { wait, why })
            }
            // Brokers before 2.8 have a single code for both errors (TM-22).
            ErrorCode::InvalidProducerEpoch | ErrorCode::ProducerFenced
                if !planted!(FencedCalledAbortable) =>
            {
                self.fenced();
                Some(RequestVerdict::Done)
            }
            ErrorCode::TransactionalIdAuthorizationFailed => {
                self.fail_for_id();
                Some(RequestVerdict::Done)
            }
            // TM-23: an unknown producer id is an abortable error if the coordinator can bump epochs, else a fatal one.
            ErrorCode::UnknownProducerId | ErrorCode::InvalidProducerIdMapping => {
                let message = format!(
                    "the coordinator did not {doing} {what}: it has no state of the producer any more ({})",
                    describe(code)
                );
                if self.can_bump_epoch() {
                    self.require_epoch();
                    self.fail_transaction(Some(code), message);
                } else {
                    self.fail_with(code, &message.into());
                }
                Some(RequestVerdict::Done)
            }
            ErrorCode::TransactionAbortable
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::ProducerFenced => {
                let message = format!("the coordinator did not {doing} {what}: {}", describe(code));
                self.fail_transaction(Some(code), message);
                Some(RequestVerdict::Done)
            }
            ErrorCode::InvalidTxnState => {
                let message = format!(
                    "the coordinator did not {doing} {what}, its transaction is in another state than the \
                     producer's: {}",
                    describe(code)
                );
                self.fail_with(code, &message.into());
                Some(RequestVerdict::Done)
            }
            _ => None,
        }
    }

    /// Fatal error: the client is not authorized for its transactional id.
    fn fail_for_id(&mut self) {
        let (id, _) = self.named_producer();
        let message = format!(
            "the client may not use transactional.id={id}: grant it Write and Describe on the transactional id"
        );
        self.fail_with(
            ErrorCode::TransactionalIdAuthorizationFailed,
            &message.into(),
        );
    }

    /// Fatal error: the producer was fenced, by another one with its transactional id or by the coordinator after a
    /// transaction timeout.
    pub(crate) fn fenced(&mut self) {
        let (id, _) = self.named_producer();
        let producer = self.last_producer;
        let message = format!(
            "the producer {producer} was fenced: another one with transactional.id={id} was started, or a transaction \
             was open for longer than transaction.timeout.ms and the coordinator aborted it, or a request that arrived \
             late has raised the epoch"
        );
        self.fail_with(ErrorCode::ProducerFenced, &message.into());
    }

    /// A response of the wrong type: warns, and looks the coordinator up again.
    pub(super) fn not_an_answer(&self, response: &Response) -> RequestVerdict {
        warn!(
            self.options.log,
            "a coordinator's response is not of the type of its request, retrying: {response:?}"
        );
        RequestVerdict::FindCoordinator {
            wait: self.retry_backoff(),
            why: RetryReason::new("the coordinator's response is not of the type of its request"),
        }
    }

    /// Sets a call's result to the error of the transaction or the producer.
    pub(super) fn fail_call(&self, result: &TransactionResult) {
        let failure = self
            .abort_reason()
            .unwrap_or_else(|| match self.state_seen {
                TransactionManagerState::FatalError => closed(),
                _ => TransactionFailure::new(
                    TransactionErrorKind::Abortable,
                    None,
                    "the transaction was aborted meanwhile",
                ),
            });
        result.set(Err(failure));
    }

    /// Abortable error after a failed batch of the transaction (TM-32, TM-33).
    pub(super) fn handle_lost_records(
        &mut self,
        code: Option<ErrorCode>,
        message: impl FnOnce() -> String,
    ) {
        if !self.is_transactional() || self.fatal_error().is_some() || self.is_aborting() {
            return;
        }
        // The lost batch leaves a sequence gap, which a new epoch closes. The epoch bump is requested when the
        // transaction ends.
        if self.can_bump_epoch() && !self.is_completing() {
            self.require_epoch();
        }
        if !planted!(LostRecordsCommitted) {
            self.fail_transaction(code, message());
        }
    }

    // ---- the end of a transaction

    /// Completes the transaction: clears its contents, and starts an epoch bump if one is required (TM-35).
    ///
    /// # Kafka
    /// `TransactionManager#completeTransaction` (TM-34).
    pub(super) fn complete_transaction(&mut self) {
        self.commit_in_doubt = false;
        if !planted!(ContentsOutliveTransaction) {
            self.contents = Contents::default();
        }
        // All batches have ended: unresolved sequence numbers are resolved now, before the next transaction begins.
        self.resolve();
        let raise_epoch = (self.needs_epoch || self.has_disturbed()) && self.can_bump_epoch();
        if !raise_epoch && !self.rewind() {
            let message = "numbers of records that may have been written are missing, and brokers before 2.5 cannot \
                           raise the producer's epoch";
            return self.fail_with(ErrorCode::OutOfOrderSequenceNumber, &message.into());
        }
        let raise_epoch = raise_epoch && !planted!(EpochNotRaised);
        self.needs_epoch = false;
        if let Some(transactions) = &self.transactions {
            // If an epoch bump follows, the state is Initializing: `begin_transaction` is refused until the bump is
            // complete.
            transactions.ended(raise_epoch);
            self.look();
        }
        if raise_epoch {
            self.raise_epoch();
        }
    }

    /// Handles a transactional request that failed without a response.
    pub(super) fn no_answer(&mut self, failure: RequestFailure) -> RequestVerdict {
        match failure {
            RequestFailure::Disconnected(why) => RequestVerdict::FindCoordinator {
                wait: self.retry_backoff(),
                why: RetryReason::new(why),
            },
            RequestFailure::UnsupportedVersion(why) => {
                self.fail_with(ErrorCode::UnsupportedVersion, &why);
                RequestVerdict::Done
            }
            RequestFailure::Unwritable(why) => {
                self.fail_with(ErrorCode::InvalidRequest, &why);
                RequestVerdict::Done
            }
            RequestFailure::Unauthenticated(why) => {
                self.fail_with(ErrorCode::SaslAuthenticationFailed, &why);
                RequestVerdict::Done
            }
            RequestFailure::NoCoordinator { code, message } => {
                match code {
                    ErrorCode::TransactionalIdAuthorizationFailed => self.fail_for_id(),
                    // Without its coordinator a producer can neither commit nor abort.
                    code => self.fail_with(code, &message),
                }
                RequestVerdict::Done
            }
        }
    }
}
