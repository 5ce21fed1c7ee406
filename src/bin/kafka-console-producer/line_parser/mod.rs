//! Parser of lines: headers, key and value of a record.

use std::fmt;

use kafka_producer::{Header, Headers, ProducerRecord};

use crate::line_format::{HeaderFormat, LineFormat};

pub(crate) type BytesRecord<'a> = ProducerRecord<'a, [u8], [u8]>;

/// Why a line is not a record.
#[derive(Debug)]
pub(crate) struct LineError(String);

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LineFormat {
    /// Parses a line: `HEADERS delimiter KEY separator VALUE`, of which headers and key are optional. A part that is
    /// the null marker is null.
    ///
    /// With `ignore.error`, a part whose separator is missing is left out.
    pub(crate) fn parse<'a>(&'a self, line: &'a [u8]) -> Result<BytesRecord<'a>, LineError> {
        let mut rest = line;
        let mut headers = Headers::default();
        if let Some(format) = &self.headers {
            let delimiter = ("headers.delimiter", format.delimiter.as_str());
            if let Some(part) = self.part(line, &mut rest, delimiter)? {
                if !self.is_null(part) {
                    headers = self.headers(format, part)?;
                }
            }
        }
        let mut key = None;
        if let Some(separator) = &self.key_separator {
            key = self.part(line, &mut rest, ("key.separator", separator))?;
        }
        let key = key.filter(|key| !self.is_null(key));
        let mut record = BytesRecord::new(&*self.topic, rest)
            .with_optional_key(key)
            .with_headers(headers);
        if self.is_null(rest) {
            record.clear_value();
        }
        Ok(record)
    }

    /// The part of the line before the separator, which is a property's name and its text. Removes both from `rest`.
    fn part<'a>(
        &self,
        line: &[u8],
        rest: &mut &'a [u8],
        (name, separator): (&str, &str),
    ) -> Result<Option<&'a [u8]>, LineError> {
        if let Some((part, after)) = split_once(rest, separator) {
            *rest = after;
            return Ok(Some(part));
        }
        if self.ignores_errors {
            return Ok(None);
        }
        Err(LineError(format!(
            "the line has no {name} {separator:?}: {}; --property ignore.error=true sends such lines all the same",
            shown(line)
        )))
    }

    fn headers(&self, format: &HeaderFormat, part: &[u8]) -> Result<Headers, LineError> {
        let mut pairs = split(part, &format.separator);
        // As in Kafka, separators at the end of the headers are ignored, and separators alone are no headers.
        while !part.is_empty() && pairs.last().is_some_and(|last| last.is_empty()) {
            pairs.pop();
        }
        let headers = pairs.into_iter().map(|pair| self.header(format, pair));
        headers.collect()
    }

    fn header(&self, format: &HeaderFormat, pair: &[u8]) -> Result<Header, LineError> {
        let (key, value) = match split_once(pair, &format.key_separator) {
            Some((key, value)) => (key, Some(value)),
            None if self.ignores_errors => (pair, None),
            None => {
                return Err(LineError(format!(
                    "the header {} has no headers.key.separator {:?}",
                    shown(pair),
                    format.key_separator
                )));
            }
        };
        if self.is_null(key) {
            let text = shown(key);
            return Err(LineError(format!(
                "the key of a header is the null.marker {text}, and a key cannot be null"
            )));
        }
        let Ok(key) = std::str::from_utf8(key) else {
            let text = shown(key);
            return Err(LineError(format!(
                "the key of a header is not UTF-8: {text}"
            )));
        };
        Ok(match value.filter(|value| !self.is_null(value)) {
            Some(value) => Header::copied(key, value),
            None => Header::null(key.to_owned()),
        })
    }

    fn is_null(&self, part: &[u8]) -> bool {
        let marker = self.null_marker.as_ref();
        marker.is_some_and(|marker| marker.as_bytes() == part)
    }
}

fn split_once<'a>(text: &'a [u8], separator: &str) -> Option<(&'a [u8], &'a [u8])> {
    let separator = separator.as_bytes();
    let at = text
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

fn split<'a>(mut text: &'a [u8], separator: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some((part, rest)) = split_once(text, separator) {
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

/// The longest quotation of a line in an error, in characters.
const MAX_SHOWN: usize = 60;

fn shown(text: &[u8]) -> String {
    // No character has more than four bytes.
    let start = &text[..text.len().min(4 * (MAX_SHOWN + 1))];
    let text = String::from_utf8_lossy(start);
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests;
