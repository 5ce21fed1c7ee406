//! A batch as it goes on the wire, also in an older format than it was made for.

use std::borrow::Cow;

use bytes::Bytes;

use super::SealedBatch;
use crate::compress::{CompressionType, decompress};
use crate::record::builder::{BatchFacts, batch_head};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::legacy::{LegacyMagic, convert, restage};
use crate::types::Magic;

/// A batch's bytes: what is made anew for each attempt, and what is shared.
#[derive(Debug)]
pub(crate) struct EncodedBatch {
    /// Formats before v2 have none.
    pub(crate) head: Option<[u8; RECORD_BATCH_OVERHEAD]>,
    pub(crate) body: Bytes,
}

impl SealedBatch {
    /// The batch for brokers that know no format above `newest`: its header, made now, and its records.
    ///
    /// A batch that must be written in an older format than it was made for loses its headers, as in Kafka;
    /// the batch itself stays what it is, so that another attempt may find a newer broker.
    ///
    /// # Errors
    /// A sentence that says why it cannot be written in such a format.
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

    /// Beside the pool's memory: it is for one attempt.
    fn converted(&self, older: LegacyMagic) -> Result<Bytes, String> {
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

    /// The records as they were staged: plain ones of format v2.
    pub(super) fn restaged(&self) -> Result<(BatchFacts, Cow<'_, [u8]>), String> {
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

/// TM-32
const NO_IDEMPOTENCE: &str = "a broker of the cluster is older than 0.11 and knows no idempotent producers; \
     set enable.idempotence=false";
