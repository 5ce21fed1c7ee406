//! EndTxn: commits or aborts a transaction.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// Request: commits or aborts the ongoing transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndTxnRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// True to commit, false to abort.
    pub(crate) committed: bool,
}

impl RequestBody for EndTxnRequest {
    fn size_hint(&self) -> usize {
        // Length of the id, producer id and epoch, `committed`, tags: 3 + 10 + 1 + 1.
        self.transactional_id.len() + 15
    }

    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_str(&self.transactional_id, "transactional.id");
        w.put_i64(self.producer_id);
        w.put_i16(self.producer_epoch);
        w.put_bool(self.committed);
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let transactional_id = r.string("the transactional id")?;
        let producer_id = r.i64("the producer id")?;
        let producer_epoch = r.i16("the producer epoch")?;
        let committed = r.bool("'committed'")?;
        r.skip_tags()?;
        Ok(Self {
            transactional_id,
            producer_id,
            producer_epoch,
            committed,
        })
    }
}

/// Response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndTxnResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error: ErrorCode,
}

impl ResponseBody for EndTxnResponse {
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
