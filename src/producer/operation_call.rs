//! A transactional call that waits for the sender, as a state machine: [`OperationCall`].

use std::sync::Arc;
use std::time::Duration;

use super::accumulator::TransactionNumber;
use super::core::Core;
use super::transaction::{
    AskedOperation, Operation, RequestHandler, TransactionResult, Transactions, closed,
    end_request, init_request, offsets_request,
};
use super::waiting::{BlockingCall, Check, Step, Stopwatch, Wait};
use crate::error::{Misuse, TransactionError, TransactionErrorKind, TransactionFailure};
use crate::planted::planted;

/// A blocking transactional call as a state machine: enqueues a request for the sender and waits for its result. A call
/// that repeats a pending one enqueues nothing, and waits for the result of the pending request.
pub(crate) struct OperationCall<'c> {
    core: &'c Core,
    operation: Operation,
    /// The transaction that the call is for: the call fails if it is not the newest one. `None`: not checked.
    of: Option<TransactionNumber>,
    /// Whether this is a `send_offsets_to_transaction` without offsets: it sends no request and only checks the state.
    is_empty: bool,
    time: Stopwatch,
    asked: Option<AskedOperation>,
}

impl<'c> OperationCall<'c> {
    pub(crate) fn new(core: &'c Core, operation: Operation, timeout: Option<Duration>) -> Self {
        let is_empty =
            matches!(&operation, Operation::SendOffsets(offsets) if offsets.partitions.is_empty());
        // Kafka bounds all transactional calls by `max.block.ms`.
        let limit = timeout.unwrap_or_else(|| core.config.max_block());
        Self {
            core,
            operation,
            of: None,
            is_empty,
            time: Stopwatch::new(Some(limit)),
            asked: None,
        }
    }

    /// Restricts the call to this transaction.
    pub(super) fn of(self, of: Option<TransactionNumber>) -> Self {
        Self { of, ..self }
    }

    fn ask(&self) -> Result<AskedOperation, TransactionFailure> {
        let (id, transactions) = match transactions_of(self.core, self.of) {
            Ok(found) => found,
            // While the producer is being closed, an operation that an earlier call has begun may still be awaited.
            Err(failure) => {
                let begun = self.begun_before().ok_or(failure)?;
                return Ok(AskedOperation::Pending(begun));
            }
        };
        let request = |result: &Arc<TransactionResult>| -> Box<dyn RequestHandler> {
            match &self.operation {
                Operation::Init => init_request(id),
                Operation::SendOffsets(offsets) => offsets_request(id, offsets, result),
                Operation::Commit => end_request(id, true),
                Operation::Abort => end_request(id, false),
            }
        };
        // The check of the state, the transition and the request are one step under the manager's lock. A repeated call
        // gets the result of the pending one (Java: `handleCachedTransactionRequestResult`).
        let asked = transactions.ask(self.of, self.operation.clone(), request)?;
        if matches!(asked, AskedOperation::Pending(_)) {
            // The sender is woken after the request was put into its inbox, so it cannot miss the request.
            self.core.waker.wake();
        }
        Ok(asked)
    }

    /// The pending result of an earlier call that timed out.
    fn begun_before(&self) -> Option<Arc<TransactionResult>> {
        let transactions = self.core.transactions.as_ref()?;
        transactions.begun_before(self.of, &self.operation)
    }

    /// The batches that the end of a transaction waits for, as part of the text of a time-out.
    fn awaited_batches(&self) -> String {
        let ends = matches!(self.operation, Operation::Commit | Operation::Abort);
        match self.core.accumulator.incomplete_count() {
            batches @ 1.. if ends => format!(" while it waited for {batches} batches"),
            _ => String::new(),
        }
    }

    /// The failure of a call whose time-out has passed. A pending operation goes on, so a repeated call waits for its
    /// result and starts no second operation.
    fn timed_out(&self, is_pending: bool) -> TransactionFailure {
        let transactions = self.core.transactions.as_ref();
        let running = transactions.filter(|_| self.core.control.is_running());
        let why = running.and_then(|it| it.retry_reason_of_call(&self.operation));
        let why = why.map_or_else(String::new, |why| format!(" ({})", why.message));
        let next = if is_pending {
            "the operation continues: call it again to wait for its result"
        } else {
            "it was not begun, because too many earlier calls with other offsets have no result yet: call it again"
        };
        let message = format!(
            "it timed out (max.block.ms, or the timeout that was given){}{why}; {next}",
            self.awaited_batches()
        );
        let failure = TransactionFailure::new(TransactionErrorKind::TimedOut, None, message);
        // A commit that times out here may still be carried out.
        let commits = self.operation == Operation::Commit;
        refused(self.core, self.of, failure.in_doubt(commits))
    }

    fn failed<T>(&self, failure: TransactionFailure) -> Result<T, TransactionError> {
        Err(TransactionError::new(self.operation.call(), failure))
    }
}

impl BlockingCall for OperationCall<'_> {
    type Output = Result<(), TransactionError>;

    const CHECK: Check = Check::First;

    fn step(&mut self) -> Step<'_, Self::Output> {
        let clock = &*self.core.clock;
        // The stopwatch is never stopped: only the time of user code does not count, and a transactional call runs no
        // user code.
        self.time.start(clock);
        if !matches!(self.asked, Some(AskedOperation::Pending(_))) {
            // Without offsets no request is sent. The state is checked all the same, so that misuse is reported.
            let asked = if self.is_empty {
                let of = self.of;
                let check = |(_, it): (_, &Arc<Transactions>)| it.check_offsets(of);
                match transactions_of(self.core, of).and_then(check) {
                    Ok(()) => return Step::Done(Ok(())),
                    Err(failure) => Err(failure),
                }
            } else {
                self.ask()
            };
            match asked {
                Ok(asked) => self.asked = Some(asked),
                Err(failure) => return Step::Done(self.failed(failure)),
            }
        }
        let (result, is_pending) = match &self.asked {
            Some(AskedOperation::Pending(result)) => (result, true),
            // The result of another call: when it is set, this call asks again.
            Some(AskedOperation::TooMany(oldest)) => (oldest, false),
            None => return Step::Wait(Wait::NOTHING),
        };
        if let Some(outcome) = result.get().filter(|_| is_pending) {
            // Ends the pending operation, so that another one may begin.
            if let Some(transactions) = &self.core.transactions {
                transactions.clear_pending(result);
            }
            return Step::Done(match outcome {
                Ok(()) => Ok(()),
                Err(failure) => self.failed(failure.clone()),
            });
        }
        // The timeout is checked after the result: a result that arrives together with the timeout counts.
        if self.time.is_over(clock) {
            if planted!(TimedOutCallForgotten) {
                if let Some(transactions) = &self.core.transactions {
                    transactions.clear_pending(result);
                }
            }
            return Step::Done(self.failed(self.timed_out(is_pending)));
        }
        Step::Wait(Wait {
            event: &**result,
            until: self.time.deadline(),
        })
    }

    fn refuse(&mut self, why: Misuse) -> Self::Output {
        let failure = TransactionFailure::misuse(why);
        self.failed(refused(self.core, self.of, failure))
    }
}

/// The failure of a refused call, which also says whether the transaction may be committed.
pub(super) fn refused(
    core: &Core,
    of: Option<TransactionNumber>,
    failure: TransactionFailure,
) -> TransactionFailure {
    match &core.transactions {
        Some(transactions) => transactions.refused(of, failure),
        None => failure,
    }
}

pub(super) fn transactions_of(
    core: &Core,
    of: Option<TransactionNumber>,
) -> Result<(&Arc<str>, &Arc<Transactions>), TransactionFailure> {
    let Some(transactions) = &core.transactions else {
        return Err(TransactionFailure::wrong_state(
            "the producer has no transactional.id, so it has no transactions: set transactional.id in its \
             configuration",
        ));
    };
    if !core.control.is_running() {
        let failure = match core.control.failure() {
            Some(failure) => {
                TransactionFailure::new(TransactionErrorKind::Fatal, None, failure.to_string())
            }
            None => closed(),
        };
        // An EndTxn request may have reached the coordinator before the producer was closed.
        return Err(transactions.refused(of, failure));
    }
    Ok((transactions.transactional_id(), transactions))
}
