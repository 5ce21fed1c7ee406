//! Validation of message sets, the record format before version 3 of the request, and their conversion to a batch: the
//! log stores batches only.

use bytes::Bytes;

use super::{Rejected, TopicSettings};
use crate::compress::DecompressError;
use crate::error::ErrorCode;
use crate::record::batch::RecordBatch;
use crate::record::builder::{ProducerState, batch_head};
use crate::record::legacy::{MessageError, Messages, SetError, restage};
use crate::testing::stored::{MAX_UNCOMPRESSED_BYTES, MessageSet};

/// Codec id of zstd, which these formats do not support.
const ZSTD: u8 = 4;
/// Limit of the compression ratio, above that of any codec of these formats.
const LARGEST_RATIO: usize = 1_100;

/// Validates a message set, and converts its records to an uncompressed batch.
///
/// # Kafka
/// `Log#analyzeAndValidateRecords` and `LogValidator`, converting to format 2. Differs: a broker drops a message that
/// is cut off at the end, writes nothing of an empty set, and takes format 2 in old versions of the request; here all
/// of that is an error, because a correct producer does none of it.
pub(super) fn to_batch(
    bytes: Bytes,
    settings: &TopicSettings,
) -> Result<(RecordBatch, MessageSet), Rejected> {
    let set = analyze(bytes, settings)?;
    let limit = set.bytes.len().saturating_mul(LARGEST_RATIO);
    let (facts, records) =
        restage(&set.bytes, limit.min(MAX_UNCOMPRESSED_BYTES)).map_err(|error| refused(&error))?;
    let records = Bytes::from(records);
    let head = batch_head(&facts, ProducerState::NONE, &records);
    let mut batch = Bytes::from([&head[..], &records].concat());
    match RecordBatch::take(&mut batch) {
        Ok(batch) => Ok((batch, set)),
        Err(error) => Err(Rejected {
            message: Some(error.to_string()),
            ..Rejected::by_log(ErrorCode::UnknownServerError)
        }),
    }
}

/// Validates the outer messages, not those inside wrappers.
fn analyze(bytes: Bytes, settings: &TopicSettings) -> Result<MessageSet, Rejected> {
    let mut first = None;
    let (mut count, mut codec) = (0, 0);
    for message in Messages::new(&bytes) {
        let (_, message) = message.map_err(|error| refused(&error))?;
        if message.size_bytes > settings.max_message_bytes {
            return Err(Rejected::at_once(ErrorCode::MessageTooLarge));
        }
        if *first.get_or_insert(message.magic) != message.magic {
            return Err(invalid("messages of both formats in one set"));
        }
        count += 1;
        codec = codec.max(message.codec());
    }
    let magic = first.ok_or_else(|| invalid("a set without messages"))?;
    if codec != 0 && count > 1 {
        return Err(invalid("a compressed message that does not stand alone"));
    }
    Ok(MessageSet {
        magic: magic.magic(),
        codec,
        bytes,
    })
}

fn invalid(why: &str) -> Rejected {
    Rejected {
        message: Some(why.to_owned()),
        ..Rejected::by_log(ErrorCode::InvalidRecord)
    }
}

fn refused(error: &SetError) -> Rejected {
    let message = Some(error.to_string());
    let by_log = |code| Rejected::by_log(code);
    let why = match &error.problem {
        MessageError::InvalidLength(_)
        | MessageError::UnsupportedMagic(_)
        | MessageError::Checksum { .. }
        | MessageError::Field { .. }
        | MessageError::Unused(_) => Rejected::at_once(ErrorCode::CorruptMessage),
        MessageError::Truncated { .. }
        | MessageError::EmptyWrapper
        | MessageError::Nested
        | MessageError::MixedMagic
        | MessageError::WrapperOffset { .. } => by_log(ErrorCode::InvalidRecord),
        MessageError::Codec(codec) if *codec == ZSTD => by_log(ErrorCode::InvalidRecord),
        MessageError::Decompress(DecompressError::Feature(_)) => {
            by_log(ErrorCode::UnsupportedCompressionType)
        }
        // A real broker fails with an unexpected exception.
        MessageError::Codec(_) | MessageError::Decompress(_) => {
            by_log(ErrorCode::UnknownServerError)
        }
    };
    Rejected { message, ..why }
}

#[cfg(test)]
mod tests;
