//! A minimal reader and writer of DER.

use rustls::pki_types::CertificateDer;

/// Reads the tag and the content of the next value; `None` if the value is truncated or malformed.
pub(super) fn take<'d>(rest: &mut &'d [u8]) -> Option<(u8, &'d [u8])> {
    let (&tag, bytes) = rest.split_first()?;
    let (&first, mut bytes) = bytes.split_first()?;
    let len = if first < 0x80 {
        usize::from(first)
    } else {
        let count = usize::from(first & 0x7f);
        // Lengths of more than four bytes exceed every input here.
        if !(1..=4).contains(&count) || bytes.len() < count {
            return None;
        }
        let (length, after) = bytes.split_at(count);
        bytes = after;
        length
            .iter()
            .fold(0, |len, byte| (len << 8) | usize::from(*byte))
    };
    if bytes.len() < len {
        return None;
    }
    let (content, after) = bytes.split_at(len);
    *rest = after;
    Some((tag, content))
}

/// Reads the content of the next value; `None` if it has another tag, or is truncated or malformed.
pub(super) fn expect<'d>(rest: &mut &'d [u8], wanted: u8) -> Option<&'d [u8]> {
    take(rest).and_then(|(tag, content)| (tag == wanted).then_some(content))
}

/// The fields of a certificate from its issuer on: issuer, validity, subject, and so on.
pub(super) fn from_issuer<'d>(certificate: &'d CertificateDer<'_>) -> Option<&'d [u8]> {
    let mut rest: &[u8] = certificate;
    let mut signed = expect(&mut rest, SEQUENCE)?;
    let mut fields = expect(&mut signed, SEQUENCE)?;
    // Skip the optional version, then serial number and algorithm.
    let (first, _) = take(&mut fields)?;
    for _ in 0..if first == explicit(0) { 2 } else { 1 } {
        take(&mut fields)?;
    }
    Some(fields)
}

/// Encodes a value with this tag and content.
pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    // The content comes from files that are far below 4 GiB.
    let length = (content.len() as u32).to_be_bytes();
    if content.len() < 0x80 {
        out.push(length[3]);
    } else {
        let skipped = length.iter().take_while(|byte| **byte == 0).count();
        out.push(0x80 | (length.len() - skipped) as u8);
        out.extend_from_slice(&length[skipped..]);
    }
    out.extend_from_slice(content);
    out
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;

/// The tag of an explicitly tagged value, `[number]`.
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values_are_decoded_and_truncated_ones_rejected() {
        for len in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; len];
            let value = tagged(OCTETS, &content);
            let mut rest = &value[..];
            assert_eq!(take(&mut rest), Some((OCTETS, &content[..])));
            assert!(rest.is_empty());
            for end in [0, 1, 2, value.len() - 1] {
                let mut cut = &value[..end.min(value.len() - 1)];
                assert_eq!(take(&mut cut), None, "{len} cut at {end}");
            }
        }
        for hostile in [
            &[0x30, 0x80][..],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(take(&mut &hostile[..]), None);
        }
    }
}
