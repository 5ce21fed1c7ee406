//! AddOffsetsToTxn: adds a consumer group's offsets to a transaction, before they are committed with it.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// Request: adds a group's offsets to the ongoing transaction, or starts a transaction with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddOffsetsToTxnRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) group_id: Arc<str>,
}

impl RequestBody for AddOffsetsToTxnRequest {
    fn size_hint(&self) -> usize {
        // Lengths of two strings, producer id and epoch, tags: 3 + 3 + 10 + 1.
        self.transactional_id.len() + self.group_id.len() + 17
    }

    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_str(&self.transactional_id, "transactional.id");
        w.put_i64(self.producer_id);
        w.put_i16(self.producer_epoch);
        w.put_str(&self.group_id, "the group's name");
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let transactional_id = r.string("the transactional id")?;
        let producer_id = r.i64("the producer id")?;
        let producer_epoch = r.i16("the producer epoch")?;
        let group_id = r.string("the group's name")?;
        r.skip_tags()?;
        Ok(Self {
            transactional_id,
            producer_id,
            producer_epoch,
            group_id,
        })
    }
}

/// Response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddOffsetsToTxnResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error: ErrorCode,
}

impl ResponseBody for AddOffsetsToTxnResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_i32(self.throttle_time_ms);
        w.put_i16(self.error.code());
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let throttle_time_ms = r.i32("the throttle time")?;
        let error = r.error_code("the error")?;
        r.skip_tags()?;
        Ok(Self {
            throttle_time_ms,
            error,
        })
    }
}
