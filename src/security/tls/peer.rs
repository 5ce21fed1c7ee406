//! Reads names and dates of a broker's certificate.

use std::time::Duration;

use rustls::client::ClientConnection;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::date;
use super::der::{SEQUENCE, expect, from_issuer, take};
use crate::security::BrokerCertificate;
use crate::util::foreign_text::printable_within;

/// The longest name that is shown, in bytes.
const MAX_NAME_BYTES: usize = 256;

const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
/// UTF-16, big-endian.
const BMP_STRING: u8 = 0x1e;

/// The certificate of the broker; `None` before the handshake is done, or if it cannot be parsed.
pub(super) fn broker_certificate(
    tls: &ClientConnection,
    now: Option<UnixTime>,
) -> Option<BrokerCertificate> {
    let certificate = tls.peer_certificates()?.first()?;
    let (issuer, subject) = issuer_and_subject(certificate)?;
    let (_, until) = date::validity(certificate);
    let left = |until: u64| Some(Duration::from_secs(until.saturating_sub(now?.as_secs())));
    Some(BrokerCertificate {
        subject,
        issuer,
        valid_until: until.map(date::format_utc),
        valid_for: until.and_then(left),
    })
}

fn issuer_and_subject(certificate: &CertificateDer<'_>) -> Option<(String, String)> {
    let mut fields = from_issuer(certificate)?;
    let issuer = expect(&mut fields, SEQUENCE)?;
    // The validity.
    expect(&mut fields, SEQUENCE)?;
    let subject = expect(&mut fields, SEQUENCE)?;
    Some((text(issuer)?, text(subject)?))
}

/// A distinguished name, as `CN=kafka-1, O=Example`. Attributes without a common short name are left
/// out, as are values that cannot be decoded.
fn text(mut name: &[u8]) -> Option<String> {
    let mut shown: Vec<String> = Vec::new();
    while !name.is_empty() {
        let mut set = expect(&mut name, SET)?;
        while !set.is_empty() {
            let mut attribute = expect(&mut set, SEQUENCE)?;
            let kind = expect(&mut attribute, OBJECT_IDENTIFIER)?;
            let (tag, value) = take(&mut attribute)?;
            if let (Some(short), Some(value)) = (short_name(kind), decoded(tag, value)) {
                shown.push(format!("{short}={value}"));
            }
        }
    }
    // The most specific attribute first, as in RFC 4514.
    shown.reverse();
    Some(printable_within(&shown.join(", "), MAX_NAME_BYTES).into_owned())
}

/// The text of a value; `None` if it is malformed, or a string of another type (`TeletexString`, `UniversalString`).
fn decoded(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => {
            std::str::from_utf8(value).ok().map(str::to_owned)
        }
        BMP_STRING if value.len() % 2 == 0 => {
            let units = value.chunks_exact(2);
            let units: Vec<u16> = units.map(|it| u16::from_be_bytes([it[0], it[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// The short name of an attribute, by its object identifier (2.5.4.x).
fn short_name(identifier: &[u8]) -> Option<&'static str> {
    match identifier {
        [0x55, 4, 3] => Some("CN"),
        [0x55, 4, 6] => Some("C"),
        [0x55, 4, 7] => Some("L"),
        [0x55, 4, 8] => Some("ST"),
        [0x55, 4, 10] => Some("O"),
        [0x55, 4, 11] => Some("OU"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::der::tagged;
    use super::*;

    fn attribute(kind: &[u8], value: &str) -> Vec<u8> {
        attribute_of(kind, UTF8_STRING, value.as_bytes())
    }

    fn attribute_of(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let identifier = tagged(OBJECT_IDENTIFIER, kind);
        let value = tagged(tag, value);
        tagged(SET, &tagged(SEQUENCE, &[identifier, value].concat()))
    }

    #[test]
    fn a_name_is_shown_by_its_common_attributes_and_on_one_line() {
        let name = [
            attribute(&[0x55, 4, 10], "Example"),
            attribute(&[0x2a, 3], "unknown"),
            attribute(&[0x55, 4, 3], "kafka\n1"),
        ]
        .concat();
        assert_eq!(text(&name).unwrap(), "CN=kafka\\n1, O=Example");
        assert_eq!(text(&[]).unwrap(), "");
        assert_eq!(text(&name[..name.len() - 1]), None);
        let long = attribute(&[0x55, 4, 3], &"x".repeat(2000));
        assert!(text(&long).unwrap().len() < 300);
    }

    #[test]
    fn a_value_is_decoded_by_its_type_or_left_out() {
        for (tag, value, shown) in [
            (UTF8_STRING, "b\u{fc}".as_bytes(), "CN=b\u{fc}"),
            (PRINTABLE_STRING, b"broker", "CN=broker"),
            (BMP_STRING, &[0, 0x62, 0, 0xfc], "CN=b\u{fc}"),
            (BMP_STRING, &[0, 0x62, 0], ""),
            (UTF8_STRING, &[0xfc], ""),
            (0x1c, &[0, 0, 0, 0x62], ""),
        ] {
            let name = attribute_of(&[0x55, 4, 3], tag, value);
            assert_eq!(text(&name).as_deref(), Some(shown), "{tag} {value:?}");
        }
    }

    #[test]
    fn a_malformed_certificate_has_no_names() {
        for hostile in [&[][..], &[0x30], &[0x30, 2, 0x30, 0], b"\xff"] {
            assert_eq!(issuer_and_subject(&CertificateDer::from(hostile)), None);
        }
    }
}
