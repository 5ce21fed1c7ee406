//! `InitProducerId`: producer ids and epochs.

use std::time::Duration;

use super::SimCluster;
use super::transactions::known_to;
use crate::clock::Timestamp;
use crate::error::ErrorCode;
use crate::protocol::{InitProducerIdRequest, InitProducerIdResponse, Response};
use crate::testing::sim::journal::Coordinated;
use crate::testing::sim::script::Decision;
use crate::types::{NodeId, ProducerIdAndEpoch};

/// The first version whose clients know `ProducerFenced`.
const FIRST_VERSION_WITH_FENCED: i16 = 4;

impl SimCluster {
    /// # Kafka
    /// `KafkaApis#handleInitProducerIdRequest`.
    pub(super) fn init_producer_id(
        &mut self,
        node: NodeId,
        request: &InitProducerIdRequest,
        version: i16,
        decision: &Decision,
        now: Timestamp,
    ) -> Response {
        let answer = decision.around(|| {
            let expected = expected(request)?;
            self.init(node, request, expected, now)
        });
        let (error, given) = match known_to(answer, version, FIRST_VERSION_WITH_FENCED) {
            Ok(given) => (ErrorCode::NoError, given),
            Err(error) => (error, ProducerIdAndEpoch::NONE),
        };
        Response::InitProducerId(InitProducerIdResponse {
            throttle_time_ms: 0,
            error,
            producer_id: given.id,
            producer_epoch: given.epoch,
        })
    }

    /// # Kafka
    /// `TransactionCoordinator#handleInitProducerId`. Without a transactional id, the id and epoch in the request are
    /// ignored: any node answers with a new id.
    fn init(
        &mut self,
        node: NodeId,
        request: &InitProducerIdRequest,
        expected: Option<ProducerIdAndEpoch>,
        now: Timestamp,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let Some(name) = &request.transactional_id else {
            return Ok(self.transactions.producer_ids.fresh());
        };
        if name.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let timeout = u64::try_from(request.transaction_timeout_ms)
            .map_or(Duration::ZERO, Duration::from_millis);
        if timeout.is_zero() || timeout > self.transactions.options.max_timeout {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        self.check_transaction_coordinator(node, name)?;
        let transactions = &mut self.transactions;
        let (ids, time) = (&mut transactions.producer_ids, transactions.time.get());
        let was_open = transactions.ids.is_open(name);
        let given = transactions.ids.init(ids, name, timeout, expected, time);
        match &given {
            Ok(_) => self.note(name, Coordinated::Initialized),
            Err(ErrorCode::ConcurrentTransactions) if was_open => {
                self.note(name, Coordinated::Fenced);
            }
            Err(_) => {}
        }
        // The request may have aborted a transaction.
        self.write_markers(now);
        given
    }
}

/// Producer id and epoch in the request; `None` if the request has neither. It is an error if it has only one of them.
fn expected(request: &InitProducerIdRequest) -> Result<Option<ProducerIdAndEpoch>, ErrorCode> {
    let given = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    let none = ProducerIdAndEpoch::NONE;
    match (given.id == none.id, given.epoch == none.epoch) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(given)),
        _ => Err(ErrorCode::InvalidRequest),
    }
}
