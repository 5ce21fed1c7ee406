//! Encoding a sealed batch for the wire, with down-conversion for older brokers.

use std::borrow::Cow;

use bytes::Bytes;

use super::SealedBatch;
use crate::compress::{CompressionType, decompress};
use crate::record::builder::{BatchFacts, batch_head};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::legacy::{LegacyMagic, convert, restage};
use crate::types::Magic;

/// An encoded batch: the header, built for each attempt, and the shared body.
#[derive(Debug)]
pub(crate) struct EncodedBatch {
    /// The batch header; formats before v2 have none.
    pub(crate) head: Option<[u8; RECORD_BATCH_OVERHEAD]>,
    pub(crate) body: Bytes,
}

impl SealedBatch {
    /// Encodes the batch for brokers that understand no format above `newest`: builds its header, and down-converts its
    /// records if necessary.
    ///
    /// Down-conversion drops record headers, as in Kafka. The batch itself is not changed, so a retry at a newer broker
    /// sends it in its own format.
    ///
    /// # Errors
    /// The reason why the batch cannot be written in that format, as text.
    /// # Kafka
    /// `Sender#sendProduceRequest`, `Records#downConvert`.
    pub(crate) fn encode(&self, newest: Magic) -> Result<EncodedBatch, String> {
        let magic = self.magic();
        match LegacyMagic::of(newest) {
            Some(older) if older.magic() < magic => Ok(EncodedBatch {
                head: None,
                body: self.converted(older)?,
            }),
            _ => Ok(EncodedBatch {
                head: (magic == Magic::V2).then(|| batch_head(&self.facts, self.state, &self.body)),
                body: self.body.clone(),
            }),
        }
    }

    /// The down-converted records, outside of the pool's memory: they are for one attempt.
    fn converted(&self, older: LegacyMagic) -> Result<Bytes, String> {
        // Old formats have no field for producer id and sequence.
        if self.has_sequence() {
            return Err(NO_IDEMPOTENCE.to_owned());
        }
        let (facts, plain) = self.restaged()?;
        let compressor = match self.facts.codec {
            CompressionType::None => None,
            _ => self
                .format
                .as_ref()
                .and_then(|format| format.format.packer.compressor()),
        };
        let mut set = Vec::new();
        convert(&facts, &[&plain], older, compressor, &mut set)
            .map_err(|error| error.to_string())?;
        Ok(set.into())
    }

    /// The records as they were staged: uncompressed, in format v2.
    pub(super) fn restaged(&self) -> Result<(BatchFacts, Cow<'_, [u8]>), String> {
        // The size before compression is known exactly, so decompression is bounded by it.
        let limit = self.format.as_ref().map_or(0, |format| format.plain_bytes);
        if self.magic() < Magic::V2 {
            let (facts, plain) = restage(&self.body, limit).map_err(|error| error.to_string())?;
            return Ok((facts, plain.into()));
        }
        let plain = match self.facts.codec {
            CompressionType::None => Cow::Borrowed(&*self.body),
            codec => decompress(codec, Magic::V2, &self.body, limit)
                .map_err(|error| error.to_string())?
                .into(),
        };
        let facts = BatchFacts {
            codec: CompressionType::None,
            ..self.facts
        };
        Ok((facts, plain))
    }
}

/// The error text for a batch with sequence numbers whose broker does not support idempotence. An unsupported version
/// is fatal for a transactional producer (TM-32).
const NO_IDEMPOTENCE: &str = "a broker of the cluster is older than 0.11 and does not support idempotent producers; \
     set enable.idempotence=false";
