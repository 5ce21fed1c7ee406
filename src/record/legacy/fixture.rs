//! Records as they are staged for a batch, for tests of conversion.

use proptest::prelude::*;

use crate::compress::CompressionType;
use crate::record::builder::{BatchFacts, RecordParts, RecordsBuilder};
use crate::record::header::{Header, Headers};

/// A record as a message set can hold it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plain {
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Plain {
    pub(crate) fn new(timestamp_ms: i64, key: Option<&str>, value: Option<&str>) -> Self {
        Self {
            timestamp_ms,
            key: key.map(|key| key.as_bytes().to_vec()),
            value: value.map(|value| value.as_bytes().to_vec()),
        }
    }
}

/// Records staged in chunks of at most `per_chunk` records. Each record has `headers` headers, which message sets
/// cannot hold.
pub(crate) struct Staged {
    pub(crate) facts: BatchFacts,
    chunks: Vec<Vec<u8>>,
}

impl Staged {
    pub(crate) fn new(records: &[Plain], per_chunk: usize, headers: usize) -> Self {
        let mut builder = RecordsBuilder::new(usize::MAX);
        let headers: Headers = (0..headers)
            .map(|at| Header::new(format!("h{at}"), vec![7; at]))
            .collect();
        let chunks = records.chunks(per_chunk).map(|records| {
            let mut out = Vec::new();
            for record in records {
                let parts = RecordParts {
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    headers: headers.as_slice(),
                    timestamp_ms: record.timestamp_ms,
                };
                let size = builder.size_of_next(parts.timestamp_ms, parts.payload_len());
                builder.append(&mut out, &parts, size);
            }
            out
        });
        let chunks = chunks.collect();
        Self {
            facts: builder.finish(),
            chunks,
        }
    }

    pub(crate) fn chunks(&self) -> Vec<&[u8]> {
        self.chunks.iter().map(Vec::as_slice).collect()
    }
}

fn field(longest: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..longest))
}

/// Any record a producer can send.
pub(crate) fn any_record() -> impl Strategy<Value = Plain> {
    let fields = (0..i64::MAX, field(60), field(300));
    fields.prop_map(|(timestamp_ms, key, value)| Plain {
        timestamp_ms,
        key,
        value,
    })
}

/// The records of a batch, and the arguments `per_chunk` and `headers` with which they are staged.
pub(crate) fn any_batch() -> impl Strategy<Value = (Vec<Plain>, usize, usize)> {
    let records = proptest::collection::vec(any_record(), 1..40);
    (records, 1..50usize, 0..3usize)
}

/// The codecs that message sets support.
pub(crate) const CODECS: [CompressionType; 4] = [
    CompressionType::None,
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
];

/// Any codec of [`CODECS`].
pub(crate) fn codecs() -> impl Strategy<Value = CompressionType> {
    proptest::sample::select(&CODECS[..])
}
