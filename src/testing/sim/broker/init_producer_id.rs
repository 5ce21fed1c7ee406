//! `InitProducerId`: who a producer is.

use super::SimCluster;
use crate::error::ErrorCode;
use crate::protocol::{InitProducerIdRequest, InitProducerIdResponse, Response};
use crate::testing::sim::script::Decision;
use crate::types::ProducerIdAndEpoch;

/// From this version on clients know `ProducerFenced`.
const FIRST_VERSION_WITH_FENCED: i16 = 4;

impl SimCluster {
    /// # Kafka
    /// `KafkaApis#handleInitProducerIdRequest`.
    pub(super) fn init_producer_id(
        &mut self,
        request: &InitProducerIdRequest,
        version: i16,
        decision: &Decision,
    ) -> Response {
        let refused = decision.refused(None, None);
        let answer = match refused {
            Some(refused) if !refused.after_applying => Err(refused.refusal.code),
            _ => expected(request).and_then(|expected| {
                let id = request.transactional_id.as_deref();
                self.producer_ids
                    .init(id, request.transaction_timeout_ms, expected)
            }),
        };
        let answer = match refused {
            Some(refused) => Err(refused.refusal.code),
            None => answer,
        };
        let (error, given) = match answer {
            Ok(given) => (ErrorCode::NoError, given),
            Err(ErrorCode::ProducerFenced) if version < FIRST_VERSION_WITH_FENCED => {
                (ErrorCode::InvalidProducerEpoch, ProducerIdAndEpoch::NONE)
            }
            Err(error) => (error, ProducerIdAndEpoch::NONE),
        };
        Response::InitProducerId(InitProducerIdResponse {
            throttle_time_ms: 0,
            error,
            producer_id: given.id,
            producer_epoch: given.epoch,
        })
    }
}

/// What the producer says it has: both parts, or none.
fn expected(request: &InitProducerIdRequest) -> Result<Option<ProducerIdAndEpoch>, ErrorCode> {
    let said = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    let none = ProducerIdAndEpoch::NONE;
    match (said.id == none.id, said.epoch == none.epoch) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(said)),
        _ => Err(ErrorCode::InvalidRequest),
    }
}
