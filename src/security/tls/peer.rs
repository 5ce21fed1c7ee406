//! Reads names and dates of a broker's certificate.

use std::time::Duration;

use rustls::client::ClientConnection;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::date;
use super::der::{SEQUENCE, expect, explicit, take};
use crate::security::BrokerCertificate;
use crate::util::foreign_text::printable_within;

/// The longest name that is shown, in bytes.
const MAX_NAME_BYTES: usize = 256;

const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The certificate of the broker; `None` before the handshake is done, or if it cannot be parsed.
pub(super) fn broker_certificate(
    tls: &ClientConnection,
    now: Option<UnixTime>,
) -> Option<BrokerCertificate> {
    let certificate = tls.peer_certificates()?.first()?;
    let (issuer, subject) = names(certificate)?;
    let until = date::valid_until(certificate);
    let left = |until: u64| Some(Duration::from_secs(until.saturating_sub(now?.as_secs())));
    Some(BrokerCertificate {
        subject,
        issuer,
        valid_until: until.map(date::format_utc),
        valid_for: until.and_then(left),
    })
}

/// Issuer and subject of a certificate.
fn names(certificate: &CertificateDer<'_>) -> Option<(String, String)> {
    let mut rest: &[u8] = certificate;
    let mut signed = expect(&mut rest, SEQUENCE)?;
    let mut facts = expect(&mut signed, SEQUENCE)?;
    // Skip the optional version, then serial number and algorithm.
    let (first, _) = take(&mut facts)?;
    for _ in 0..if first == explicit(0) { 2 } else { 1 } {
        take(&mut facts)?;
    }
    let issuer = expect(&mut facts, SEQUENCE)?;
    expect(&mut facts, SEQUENCE)?;
    let subject = expect(&mut facts, SEQUENCE)?;
    Some((text(issuer)?, text(subject)?))
}

/// A distinguished name, as `CN=kafka-1, O=Example`. Attributes without a common short name are left out.
fn text(mut name: &[u8]) -> Option<String> {
    let mut shown: Vec<String> = Vec::new();
    while !name.is_empty() {
        let mut set = expect(&mut name, SET)?;
        while !set.is_empty() {
            let mut attribute = expect(&mut set, SEQUENCE)?;
            let kind = expect(&mut attribute, OBJECT_IDENTIFIER)?;
            let (_, value) = take(&mut attribute)?;
            if let Some(short) = short_name(kind) {
                shown.push(format!("{short}={}", String::from_utf8_lossy(value)));
            }
        }
    }
    // The most specific attribute first, as in RFC 4514.
    shown.reverse();
    Some(printable_within(&shown.join(", "), MAX_NAME_BYTES).into_owned())
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
        let identifier = tagged(OBJECT_IDENTIFIER, kind);
        let value = tagged(0x0c, value.as_bytes());
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
    fn a_malformed_certificate_has_no_names() {
        for hostile in [&[][..], &[0x30], &[0x30, 2, 0x30, 0], b"\xff"] {
            assert_eq!(names(&CertificateDer::from(hostile)), None);
        }
    }
}
