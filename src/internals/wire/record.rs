//! A record as the input and output of this module.

use bytes::Bytes;

use crate::record::builder::RecordParts;
use crate::record::header::Header;

/// A record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl BatchRecord {
    pub(super) fn parts<'a>(&'a self, headers: &'a [Header]) -> RecordParts<'a> {
        RecordParts {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
            timestamp_ms: self.timestamp,
        }
    }
}
