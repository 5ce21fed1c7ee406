//! Transactional calls, and the application's view of its transaction state.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kafka_producer::internals::simulation::{Parking, TransactionalCall, transactional};
use kafka_producer::{
    ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition, TransactionError,
    TransactionErrorKind,
};

use super::application::ThreadOf;
use super::stage::{Producer, Stage};
use crate::events::{Call, CallId, EventKind, ProducerIndex, Returned};
use crate::scenario::{Crash, TransactionOp, TxnStage};

/// The application's view of its transactions, from the results of its calls.
#[derive(Debug, Default)]
pub(crate) struct Application {
    /// Whether the producer has a transactional id.
    pub(crate) is_transactional: bool,
    pub(crate) phase: Phase,
    /// The current stage; a crash depends on it.
    pub(crate) at: TxnStage,
    /// The last call that timed out; `None` once its operation has ended.
    pub(crate) pending: Option<Made>,
    /// Whether a transactional call is in progress.
    pub(crate) is_calling: bool,
    /// Whether the application has ended: its first thread has stopped, it has crashed or failed for good, or its
    /// producer was not built.
    pub(crate) is_over: bool,
    /// The crash that is planned; `None` if none is, or once it is counted down in `crashes_in`.
    crash: Option<Crash>,
    /// Number of steps until the crash; `None` if no crash is due.
    pub(crate) crashes_in: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    New,
    Ready,
    Open,
    /// The transaction has failed and has to be aborted.
    MustAbort,
    /// A fatal error: the producer has to be replaced.
    Over,
}

/// A transactional call with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    Init,
    Begin,
    SendOffsets {
        group: String,
        offset: i64,
        partitions: Vec<(String, i32)>,
    },
    Commit,
    Abort,
}

impl Application {
    pub(crate) fn new(is_transactional: bool, crash: Option<Crash>) -> Self {
        Self {
            is_transactional,
            crash,
            ..Self::default()
        }
    }

    /// Whether a transaction is open in the application's view.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether a record sent now would lie outside a transaction, although the producer is transactional.
    pub(crate) fn is_shut(&self) -> bool {
        self.is_transactional && !self.is_open()
    }

    fn comes_to(&mut self, stage: TxnStage) {
        self.at = stage;
        if let Some(crash) = self.crash.as_mut().filter(|crash| crash.stage == stage) {
            crash.nth = crash.nth.saturating_sub(1);
            if crash.nth == 0 {
                self.crashes_in = Some(crash.steps);
                self.crash = None;
            }
        }
    }

    /// Notes the beginning of a call.
    fn calls(&mut self, made: &Made) {
        self.is_calling = true;
        match made {
            Made::Init => self.comes_to(TxnStage::Initializing),
            Made::SendOffsets { .. } => self.comes_to(TxnStage::SendingOffsets),
            Made::Commit => self.comes_to(TxnStage::Committing),
            Made::Abort => self.comes_to(TxnStage::Aborting),
            Made::Begin => {}
        }
    }

    /// Updates the view from the result of a call. A call that the state did not allow changes nothing.
    fn note_result(&mut self, made: &Made, result: &Result<(), TransactionError>) {
        self.is_calling = false;
        let kind = result.as_ref().err().map(TransactionError::kind);
        match kind {
            Some(TransactionErrorKind::TimedOut) => self.pending = Some(made.clone()),
            Some(TransactionErrorKind::WrongState | TransactionErrorKind::Misuse(_)) => {}
            Some(TransactionErrorKind::Abortable) => {
                self.pending = None;
                self.phase = Phase::MustAbort;
            }
            Some(_) => {
                self.pending = None;
                self.phase = Phase::Over;
            }
            None => {
                self.pending = None;
                self.phase = match made {
                    Made::Init | Made::Commit | Made::Abort => Phase::Ready,
                    Made::Begin | Made::SendOffsets { .. } => Phase::Open,
                };
            }
        }
        match self.phase {
            Phase::Open if *made == Made::Begin => self.comes_to(TxnStage::Begun),
            Phase::Open => self.at = TxnStage::Begun,
            Phase::Ready if kind.is_none() => self.comes_to(TxnStage::Between),
            _ => {}
        }
    }
}

impl Made {
    fn of(op: &TransactionOp, stage: &Stage) -> Self {
        match op {
            TransactionOp::Init => Self::Init,
            TransactionOp::Begin => Self::Begin,
            TransactionOp::SendOffsets { group, partitions } => Self::SendOffsets {
                group: group.clone(),
                offset: stage.new_offset(),
                partitions: partitions.clone(),
            },
            TransactionOp::Commit => Self::Commit,
            TransactionOp::Abort => Self::Abort,
        }
    }

    fn event(&self, timeout: Option<Duration>) -> Call {
        match self {
            Self::Init => Call::InitTransactions { timeout },
            Self::Begin => Call::BeginTransaction,
            Self::SendOffsets {
                group,
                offset,
                partitions,
            } => Call::SendOffsets {
                group: group.clone(),
                offset: *offset,
                partitions: partitions.clone(),
                timeout,
            },
            Self::Commit => Call::Commit { timeout },
            Self::Abort => Call::Abort { timeout },
        }
    }

    /// Makes the call, and updates the application's view.
    async fn make(
        &self,
        stage: &Rc<Stage>,
        parking: &Parking,
        index: ProducerIndex,
        producer: &Producer,
        timeout: Option<Duration>,
    ) -> Result<(), TransactionError> {
        stage.application(index, |it| it.calls(self));
        let call = match self {
            Self::Begin => None,
            Self::Init => Some(TransactionalCall::Init),
            Self::Commit => Some(TransactionalCall::Commit),
            Self::Abort => Some(TransactionalCall::Abort),
            Self::SendOffsets {
                group,
                offset,
                partitions,
            } => {
                let offsets = partitions.iter().map(|(topic, partition)| {
                    let place = TopicPartition::new(topic.as_str(), *partition);
                    (place, OffsetAndMetadata::new(*offset))
                });
                let group = ConsumerGroupMetadata::new(group.as_str());
                Some(TransactionalCall::SendOffsets(offsets.collect(), group))
            }
        };
        let result = match call {
            None => producer.begin_transaction(),
            Some(call) => transactional(parking, producer, call, timeout).await,
        };
        stage.application(index, |it| it.note_result(self, &result));
        result
    }
}

fn returned(result: &Result<(), TransactionError>) -> Returned {
    match result {
        Ok(()) => Returned::Ok,
        Err(error) => Returned::Error {
            kind: format!("{:?}", error.kind()),
            text: error.to_string(),
        },
    }
}

fn is_time_out(result: &Result<(), TransactionError>) -> bool {
    matches!(result, Err(error) if error.is_retriable())
}

/// A call that timed out is repeated within 1 ms; if its time-out was below this limit, within `PAUSE_US` microseconds.
const NO_TIME: Duration = Duration::from_millis(20);
const PAUSE_US: u64 = 30_000;

/// Time-out of closing a transactional producer after a fatal error.
const CLOSE: Duration = Duration::from_secs(5);

impl ThreadOf {
    /// Makes a call if the known state allows it, and repeats it while it times out.
    pub(super) async fn transaction(&self, op: &TransactionOp, timeout_ms: Option<u64>) {
        let phase = self.stage.application(self.producer, |it| it.phase);
        let is_right = match op {
            TransactionOp::Init => phase == Phase::New,
            TransactionOp::Begin => phase == Phase::Ready,
            TransactionOp::SendOffsets { .. } | TransactionOp::Commit => phase == Phase::Open,
            TransactionOp::Abort => matches!(phase, Phase::Open | Phase::MustAbort),
        };
        if !is_right || self.stage.is_closing.get() {
            return;
        }
        let timeout = timeout_ms.map(Duration::from_millis);
        self.until_known(&Made::of(op, &self.stage), timeout).await;
        if self.phase() == Phase::MustAbort {
            self.until_known(&Made::Abort, timeout).await;
        }
        if self.phase() == Phase::Over && !self.stage.application(self.producer, |it| it.is_over) {
            self.stage
                .application(self.producer, |it| it.is_over = true);
            if self.stage.random(fastrand::Rng::bool) {
                self.close(Some(CLOSE)).await;
            }
        }
    }

    fn phase(&self) -> Phase {
        self.stage.application(self.producer, |it| it.phase)
    }

    async fn until_known(&self, made: &Made, timeout: Option<Duration>) {
        loop {
            let Some(producer) = self.producer() else {
                return;
            };
            let result = self.make(&producer, made, timeout).await;
            drop(producer);
            if !is_time_out(&result) || self.stage.is_closing.get() {
                return;
            }
            let gives_up = matches!(made, Made::SendOffsets { .. })
                && self.stage.random(|random| random.u32(..3)) == 0;
            if gives_up {
                // The transaction may be ended without the result of this call.
                return;
            }
            if self.stage.random(|random| random.u32(..8)) == 0 {
                let others = [
                    TransactionOp::Init,
                    TransactionOp::Begin,
                    TransactionOp::Commit,
                ];
                let other = self.stage.random(|random| random.usize(..others.len()));
                let other = Made::of(&others[other], &self.stage);
                // Pending offsets do not prevent a commit, so here a commit would not be refused.
                if other != *made && !(other == Made::Commit && is_offsets(made)) {
                    self.stray_call(&other).await;
                }
            }
            let pause = match timeout {
                Some(timeout) if timeout < NO_TIME => {
                    self.stage.random(|random| random.u64(1_000..PAUSE_US))
                }
                None | Some(_) => self.stage.random(|random| random.u64(..1_000)),
            };
            self.parking.sleep(Duration::from_micros(pause)).await;
            if self.stage.is_closing.get() {
                return;
            }
        }
    }

    async fn make(
        &self,
        producer: &Arc<Producer>,
        made: &Made,
        timeout: Option<Duration>,
    ) -> Result<(), TransactionError> {
        let call = self.begin(made.event(timeout));
        let result = made
            .make(&self.stage, &self.parking, self.producer, producer, timeout)
            .await;
        self.end(call, returned(&result));
        result
    }

    /// Makes a call only if the known state does not allow it.
    pub(super) async fn stray(&self, op: &TransactionOp) {
        let phase = self.phase();
        let is_wrong = match op {
            TransactionOp::Init => phase != Phase::New,
            TransactionOp::Begin => phase != Phase::Ready,
            TransactionOp::SendOffsets { .. } | TransactionOp::Commit => phase != Phase::Open,
            TransactionOp::Abort => !matches!(phase, Phase::Open | Phase::MustAbort),
        };
        if is_wrong && !self.stage.is_closing.get() {
            self.stray_call(&Made::of(op, &self.stage)).await;
        }
    }

    async fn stray_call(&self, made: &Made) {
        let Some(producer) = self.producer() else {
            return;
        };
        let (pending, at) = self
            .stage
            .application(self.producer, |it| (it.pending.clone(), it.at));
        // This call may fail with the error of the pending call, which is then reported here.
        let before = self.phase();
        let result = self.make(&producer, made, Some(Duration::ZERO)).await;
        self.stage.application(self.producer, |it| {
            it.at = at;
            if result.is_ok() {
                (it.pending, it.phase) = (pending, before);
            }
        });
    }
}

fn is_offsets(made: &Made) -> bool {
    matches!(made, Made::SendOffsets { .. })
}

/// Final transaction of a producer, after the healing: calls have enough time, and are repeated until their results are
/// known.
pub(super) struct Last<'l> {
    pub(super) stage: &'l Rc<Stage>,
    pub(super) parking: &'l Parking,
    pub(super) index: ProducerIndex,
    pub(super) timeout: Duration,
}

impl Last<'_> {
    /// Ends an open transaction and begins a new one. Returns false if that is impossible.
    pub(super) async fn begins(&self) -> bool {
        let (stage, index) = (Rc::clone(self.stage), self.index);
        let is_free = move || !stage.application(index, |it| it.is_calling);
        self.parking
            .wait_until_within("a call", self.timeout, is_free)
            .await;
        if self.stage.application(self.index, |it| it.is_calling) {
            return false;
        }
        loop {
            let (phase, pending) = self
                .stage
                .application(self.index, |it| (it.phase, it.pending.clone()));
            let next = match (pending, phase) {
                (Some(pending), _) => pending,
                (None, Phase::New) => Made::Init,
                (None, Phase::Ready) => Made::Begin,
                (None, Phase::Open | Phase::MustAbort) => Made::Abort,
                (None, Phase::Over) => return false,
            };
            let result = self.call(&next).await;
            match result {
                Some(Ok(())) if next == Made::Begin => return true,
                Some(Ok(())) => {}
                Some(Err(error)) if error.is_abortable() => {}
                Some(Err(_)) | None => return false,
            }
        }
    }

    /// Commits the transaction, or aborts it if the commit failed with an abortable error.
    pub(super) async fn commits(&self) {
        if let Some(Err(error)) = self.call(&Made::Commit).await {
            if error.is_abortable() {
                self.call(&Made::Abort).await;
            }
        }
    }

    async fn call(&self, made: &Made) -> Option<Result<(), TransactionError>> {
        let producer = self.stage.producer(self.index)?;
        let call: CallId = self.stage.new_call();
        let timeout = Some(self.timeout);
        self.stage.emit(EventKind::CallBegins {
            call,
            operation: made.event(timeout),
        });
        let result = made
            .make(self.stage, self.parking, self.index, &producer, timeout)
            .await;
        self.stage.emit(EventKind::CallEnds {
            call,
            returned: returned(&result),
        });
        Some(result)
    }
}
