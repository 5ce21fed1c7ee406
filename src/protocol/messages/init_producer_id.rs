//! InitProducerId: producer id and epoch, for idempotent and transactional producers.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, EncodeError, Reader, Writer};

/// Request: a new producer id, or an epoch bump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InitProducerIdRequest {
    pub(crate) transactional_id: Option<Arc<str>>,
    /// Transaction timeout, after which the coordinator aborts an ongoing transaction.
    pub(crate) transaction_timeout_ms: i32,
    /// The producer id whose epoch is to be bumped; -1 for a new id.
    pub(crate) producer_id: i64,
    /// The current epoch of that producer id; -1 for a new id.
    pub(crate) producer_epoch: i16,
}

impl RequestBody for InitProducerIdRequest {
    fn size_hint(&self) -> usize {
        self.transactional_id.as_ref().map_or(0, |id| id.len()) + 18
    }

    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_nullable_str(self.transactional_id.as_deref(), "transactional.id");
        w.put_i32(self.transaction_timeout_ms);
        if version >= 3 {
            w.put_i64(self.producer_id);
            w.put_i16(self.producer_epoch);
        } else if self.producer_id != -1 || self.producer_epoch != -1 {
            w.fail(EncodeError::UnsupportedField {
                what: "the producer id",
                version,
            });
        }
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let transactional_id = r.nullable_string("the transactional id")?;
        let transaction_timeout_ms = r.i32("the transaction timeout")?;
        let (producer_id, producer_epoch) = if version >= 3 {
            (r.i64("the producer id")?, r.i16("the producer epoch")?)
        } else {
            (-1, -1)
        };
        r.skip_tags()?;
        Ok(Self {
            transactional_id,
            transaction_timeout_ms,
            producer_id,
            producer_epoch,
        })
    }
}

/// Response: producer id and epoch, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error: ErrorCode,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

impl ResponseBody for InitProducerIdResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_i32(self.throttle_time_ms);
        w.put_i16(self.error.code());
        w.put_i64(self.producer_id);
        w.put_i16(self.producer_epoch);
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let throttle_time_ms = r.i32("the throttle time")?;
        let error = r.error_code("the error")?;
        let producer_id = r.i64("the producer id")?;
        let producer_epoch = r.i16("the producer epoch")?;
        r.skip_tags()?;
        Ok(Self {
            throttle_time_ms,
            error,
            producer_id,
            producer_epoch,
        })
    }
}
