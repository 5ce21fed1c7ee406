//! The records of a batch, borrowed from its bytes.

use super::{BatchError, InvalidRecord};
use crate::util::varint::{take_varint, take_varlong};

/// A record inside a batch's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordView<'a> {
    /// The record's offset, relative to the batch's base offset.
    pub(crate) offset_delta: i32,
    /// The record's timestamp, relative to the batch's first timestamp.
    pub(crate) timestamp_delta: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: HeaderViews<'a>,
}

impl<'a> RecordView<'a> {
    /// Parses a record that is exactly `body`, the bytes after its length field.
    fn parse(mut body: &'a [u8]) -> Result<Self, InvalidRecord> {
        // One byte of attributes, none of which is in use.
        body = body
            .split_first()
            .ok_or_else(|| too_short("attributes", 1))?
            .1;
        let timestamp_delta = take_varlong(&mut body)?;
        let offset_delta = take_varint(&mut body)?;
        let key = take_nullable(&mut body, "key")?;
        let value = take_nullable(&mut body, "value")?;
        let headers = HeaderViews::take(&mut body)?;
        if body.is_empty() {
            Ok(Self {
                offset_delta,
                timestamp_delta,
                key,
                value,
                headers,
            })
        } else {
            Err(InvalidRecord::Unused(body.len()))
        }
    }
}

/// The headers of a [`RecordView`], in order. They are validated when the record is parsed, so iterating cannot fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderViews<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> HeaderViews<'a> {
    /// Validates the headers at the front of `input` and skips them.
    fn take(input: &mut &'a [u8]) -> Result<Self, InvalidRecord> {
        let count = take_varint(input)?;
        let available = input.len();
        let number = u32::try_from(count).map_err(|_| InvalidRecord::Length {
            field: "headers",
            length: count,
            available,
        })?;
        let bytes = *input;
        for _ in 0..number {
            take_header(input)?;
        }
        Ok(Self {
            count: number,
            bytes: &bytes[..bytes.len() - input.len()],
        })
    }

    /// The number of headers.
    #[cfg(test)]
    pub(crate) fn len(self) -> usize {
        self.count as usize
    }

    /// The key and value of each header, in order.
    pub(crate) fn iter(self) -> HeaderIter<'a> {
        HeaderIter {
            left: self.count,
            bytes: self.bytes,
        }
    }
}

/// Iterator over [`HeaderViews`].
#[derive(Debug, Clone)]
pub(crate) struct HeaderIter<'a> {
    left: u32,
    bytes: &'a [u8],
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // Cannot fail: `HeaderViews::take` has validated the same bytes.
        take_header(&mut self.bytes).ok()
    }
}

/// Iterator over the records of a batch; ends after the first error.
///
/// Trailing bytes after the last record are an error, too.
#[derive(Debug, Clone)]
pub(crate) struct RecordIterator<'a> {
    rest: &'a [u8],
    index: u32,
    count: u32,
}

impl<'a> RecordIterator<'a> {
    pub(super) fn new(payload: &'a [u8], count: u32) -> Self {
        Self {
            rest: payload,
            index: 0,
            count,
        }
    }

    fn take_record(&mut self) -> Result<RecordView<'a>, BatchError> {
        let index = self.index;
        let body = take_nullable(&mut self.rest, "record")
            .and_then(|body| body.ok_or_else(|| too_short("record", -1)));
        body.and_then(RecordView::parse)
            .map_err(|error| BatchError::Record { index, error })
    }
}

impl<'a> Iterator for RecordIterator<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            let left = std::mem::take(&mut self.rest).len();
            return (left > 0).then_some(Err(BatchError::BytesAfterRecords(left)));
        }
        let record = self.take_record();
        if record.is_ok() {
            self.index += 1;
        } else {
            // After an invalid record, the start of the next is unknown: end here.
            self.rest = &[];
            self.count = self.index;
        }
        Some(record)
    }
}

/// Takes a header's key and value off the front of `input`.
fn take_header<'a>(input: &mut &'a [u8]) -> Result<(&'a str, Option<&'a [u8]>), InvalidRecord> {
    let key = take_nullable(input, "header key")?.ok_or_else(|| too_short("header key", -1))?;
    let key = std::str::from_utf8(key).map_err(|_| InvalidRecord::HeaderKey)?;
    Ok((key, take_nullable(input, "header value")?))
}

/// Takes a varint length, and as many bytes, off the front of `input`; `None` for length -1.
fn take_nullable<'a>(
    input: &mut &'a [u8],
    field: &'static str,
) -> Result<Option<&'a [u8]>, InvalidRecord> {
    let length = take_varint(input)?;
    if length == -1 {
        return Ok(None);
    }
    let available = input.len();
    let split = usize::try_from(length)
        .ok()
        .and_then(|length| input.split_at_checked(length));
    let (bytes, rest) = split.ok_or(InvalidRecord::Length {
        field,
        length,
        available,
    })?;
    *input = rest;
    Ok(Some(bytes))
}

fn too_short(field: &'static str, length: i32) -> InvalidRecord {
    InvalidRecord::Length {
        field,
        length,
        available: 0,
    }
}
