//! Who the producer is to the brokers: the id and epoch that they give it.

use std::sync::Arc;

use crate::util::log::{error, info, warn};

use super::TransactionManager;
use crate::clock::{Deadline, Instant};
use crate::error::ErrorCode;
use crate::protocol::{InitProducerIdRequest, InitProducerIdResponse};
use crate::types::ProducerIdAndEpoch;

/// How the producer stands with the brokers.
///
/// ```text
///  Uninitialized ──request sent──▶ Initializing ──answer──▶ Ready
///        ▲  ▲───── retriable / not authorized ──┘             │
///        └──────────────── epochs used up ────────────────────┘
///  Fatal: from anywhere, for good
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// No producer id; one may be asked for from `retry_at` on.
    Uninitialized { retry_at: Instant },
    /// A request for a producer id is under way.
    Initializing,
    /// The producer has an id.
    Ready,
    /// No batch can be sent any more.
    Fatal(FatalError),
}

/// Why no batch can be sent any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FatalError {
    pub(crate) code: Option<ErrorCode>,
    pub(crate) message: Arc<str>,
}

/// What an answer to InitProducerId means for the batches that waited for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InitOutcome {
    /// There is a producer id, or another attempt will be made.
    GoOn,
    /// The client may not be idempotent, or the broker cannot make it so: batches that wait fail with
    /// this, and another attempt is made for later ones (KAFKA-13668).
    Refused(FatalError),
}

impl TransactionManager {
    /// The request to make now, if no producer id is there or under way (TM-41). After a refusal only
    /// when batches wait for one.
    pub(crate) fn next_request(
        &self,
        batches_wait: bool,
        now: Instant,
    ) -> Option<InitProducerIdRequest> {
        if self.was_refused && !batches_wait {
            return None;
        }
        match self.state {
            State::Uninitialized { retry_at } if retry_at <= now => Some(InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                producer_id: -1,
                producer_epoch: -1,
            }),
            _ => None,
        }
    }

    /// The request was handed to the client.
    pub(crate) fn handle_request_sent(&mut self) {
        if matches!(self.state, State::Uninitialized { .. }) {
            self.state = State::Initializing;
        }
    }

    /// When a request is due that cannot be made yet.
    pub(crate) fn next_request_due(&self, batches_wait: bool) -> Deadline {
        match self.state {
            State::Uninitialized { retry_at } if !self.was_refused || batches_wait => {
                Deadline::At(retry_at)
            }
            _ => Deadline::Never,
        }
    }

    /// An answer to InitProducerId.
    ///
    /// # Kafka
    /// `TransactionManager.InitProducerIdHandler#handleResponse`. Differs: every retriable code is
    /// retried (KAFKA-14417), and a missing authorization is not the end (KAFKA-13668).
    pub(crate) fn handle_init_response(
        &mut self,
        response: &InitProducerIdResponse,
        now: Instant,
    ) -> InitOutcome {
        if !matches!(self.state, State::Initializing) {
            return InitOutcome::GoOn;
        }
        let code = response.error;
        match code {
            ErrorCode::NoError if response.producer_id >= 0 && response.producer_epoch >= 0 => {
                self.producer =
                    ProducerIdAndEpoch::new(response.producer_id, response.producer_epoch);
                info!("the producer's id and epoch are now {}", self.producer);
                self.state = State::Ready;
                self.last_error = None;
                self.was_refused = false;
                InitOutcome::GoOn
            }
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TransactionalIdAuthorizationFailed => {
                let message: Arc<str> = "the client is not authorized to write idempotently: brokers \
                     before 2.8 want the IdempotentWrite permission on the cluster, later ones Write on a \
                     topic; without it set enable.idempotence=false"
                    .into();
                self.refuse(code, message, now)
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.retry_later(describe(code), now);
                InitOutcome::GoOn
            }
            _ if code.is_retriable() || code == ErrorCode::ConcurrentTransactions => {
                self.retry_later(describe(code), now);
                InitOutcome::GoOn
            }
            ErrorCode::NoError => {
                self.retry_later("the broker gave an invalid producer id".into(), now);
                InitOutcome::GoOn
            }
            _ => {
                self.fail(FatalError {
                    code: Some(code),
                    message: format!("the broker refused a producer id: {}", describe(code)).into(),
                });
                InitOutcome::GoOn
            }
        }
    }

    /// The request did not get an answer.
    pub(crate) fn handle_init_failure(&mut self, why: Arc<str>, now: Instant) {
        if matches!(self.state, State::Initializing) {
            self.retry_later(why, now);
        }
    }

    /// The broker that was asked does not know InitProducerId: it is older than 0.11, or says so. Batches
    /// that wait fail; nothing is lost by asking again for later ones, which a better broker may answer
    /// (in Java this is the end: TM-32).
    pub(crate) fn handle_init_unsupported(&mut self, why: &str, now: Instant) -> InitOutcome {
        let message: Arc<str> = format!(
            "the brokers cannot give producer ids ({why}); they are older than 0.11: set \
             enable.idempotence=false"
        )
        .into();
        self.refuse(ErrorCode::UnsupportedVersion, message, now)
    }

    /// There is no producer id for now; one is asked for again when batches want it.
    fn refuse(&mut self, code: ErrorCode, message: Arc<str>, now: Instant) -> InitOutcome {
        self.retry_later(Arc::clone(&message), now);
        self.was_refused = true;
        InitOutcome::Refused(FatalError {
            code: Some(code),
            message,
        })
    }

    fn retry_later(&mut self, why: Arc<str>, now: Instant) {
        if self.last_error.as_ref() != Some(&why) {
            warn!("no producer id yet, trying again: {why}");
        }
        self.last_error = Some(why);
        self.state = State::Uninitialized {
            retry_at: now + self.retry_backoff,
        };
    }

    pub(super) fn fail(&mut self, error: FatalError) {
        error!("the producer cannot send any more: {}", error.message);
        self.state = State::Fatal(error);
    }
}

pub(super) fn describe(code: ErrorCode) -> Arc<str> {
    format!("{}: {}", code.name(), code.message()).into()
}
