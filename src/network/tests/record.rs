//! Records of the mock cipher: a kind, a length, and encrypted content.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const MASK: u8 = 0x5a;
const HEADER: usize = 3;

/// Longest content of a record, in bytes.
pub(super) const LARGEST: usize = 16_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Handshake: the number of rounds left, and whether the client is refused in the last round.
    Hello,
    Data,
    /// Requires a [`Kind::KeyTaken`] in return.
    NewKey,
    KeyTaken,
    /// The handshake has failed, for this reason.
    Alert,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Hello,
        Self::Data,
        Self::NewKey,
        Self::KeyTaken,
        Self::Alert,
    ];
}

pub(super) fn seal(out: &mut BytesMut, kind: Kind, plain: &[u8]) {
    out.put_u8(kind as u8);
    out.put_u16(u16::try_from(plain.len()).unwrap());
    out.extend(plain.iter().map(|byte| byte ^ MASK));
}

pub(super) fn has_whole(sealed: &[u8]) -> bool {
    match sealed {
        [_, high, low, rest @ ..] => rest.len() >= usize::from(u16::from_be_bytes([*high, *low])),
        _ => false,
    }
}

pub(super) fn open(sealed: &mut BytesMut) -> Option<(Kind, Bytes)> {
    if !has_whole(sealed) {
        return None;
    }
    let kind = Kind::ALL[usize::from(sealed[0])];
    let len = usize::from(u16::from_be_bytes([sealed[1], sealed[2]]));
    sealed.advance(HEADER);
    let plain = sealed
        .split_to(len)
        .iter()
        .map(|byte| byte ^ MASK)
        .collect();
    Some((kind, plain))
}
