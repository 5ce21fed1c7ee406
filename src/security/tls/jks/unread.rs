//! Reads the values of a JKS store one after another.

use super::super::open_error::{OpenError, Opened};

/// The part of a store that is not yet parsed.
pub(super) struct Unread<'s> {
    pub(super) bytes: &'s [u8],
    /// The number of the current entry, from 1; 0 is the header.
    pub(super) entry: u32,
}

impl<'s> Unread<'s> {
    fn take(&mut self, count: usize) -> Opened<&'s [u8]> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else {
            return Err(self.problem("is truncated"));
        };
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Opened<[u8; N]> {
        let Some((taken, rest)) = self.bytes.split_first_chunk() else {
            return Err(self.problem("is truncated"));
        };
        self.bytes = rest;
        Ok(*taken)
    }

    pub(super) fn number(&mut self) -> Opened<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn data(&mut self) -> Opened<&'s [u8]> {
        let count = self.number()?;
        self.take(count as usize)
    }

    pub(super) fn text(&mut self) -> Opened<String> {
        let count = u16::from_be_bytes(self.array()?);
        let bytes = self.take(count.into())?;
        modified_utf8(bytes).ok_or_else(|| self.problem("contains a malformed text"))
    }

    pub(super) fn certificate(&mut self, has_type: bool) -> Opened<&'s [u8]> {
        // Java's names of the only type that TLS uses; version 1 has no other.
        if has_type && !matches!(&*self.text()?, "X.509" | "X509") {
            return Err(self.problem("contains a certificate of another type than X.509"));
        }
        self.data()
    }

    pub(super) fn problem(&self, what: &str) -> OpenError {
        OpenError::Unreadable(match self.entry {
            0 => format!("its header {what}"),
            entry => format!("its entry {entry} {what}"),
        })
    }
}

/// Decodes modified UTF-8: UTF-16 of which each unit has one to three bytes. Lone surrogates are replaced.
///
/// # Kafka
/// `DataInputStream#readUTF`
fn modified_utf8(bytes: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().map(|byte| u16::from(*byte));
    while let Some(first) = bytes.next() {
        let mut next = || bytes.next().filter(|byte| byte & 0xc0 == 0x80);
        units.push(match first {
            0..0x80 => first,
            0xc0..0xe0 => ((first & 0x1f) << 6) | (next()? & 0x3f),
            0xe0..0xf0 => ((first & 0x0f) << 12) | ((next()? & 0x3f) << 6) | (next()? & 0x3f),
            _ => return None,
        });
    }
    Some(String::from_utf16_lossy(&units))
}
