//! Base64 (RFC 4648), the encoding of SCRAM's salts, proofs and signatures, and of the parts of a token.
//!
//! Not constant-time: all values that are encoded or decoded here appear on the wire, so none is secret by itself.

#[cfg(any(feature = "sasl-scram", feature = "oidc", test))]
const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encodes with the standard alphabet and padding.
#[cfg(any(feature = "sasl-scram", feature = "oidc", test))]
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = encoded(bytes, STANDARD);
    while text.len() % 4 != 0 {
        text.push('=');
    }
    text
}

/// Encodes with the URL-safe alphabet and without padding.
pub(crate) fn encode_url(bytes: &[u8]) -> String {
    encoded(bytes, URL)
}

fn encoded(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .chain([&0; 2])
            .take(3)
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..=chunk.len() {
            let index = bits >> (18 - 6 * place) & 63;
            text.push(char::from(alphabet[index as usize]));
        }
    }
    text
}

/// Decodes a text with padding; `None` if it is not canonical base64.
#[cfg(any(feature = "sasl-scram", feature = "oidc", test))]
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() % 4 != 0 {
        return None;
    }
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('='));
    let digits = digits.unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in chunk {
            bits = bits << 6 | value(*digit)?;
        }
        bits <<= 6 * (4 - chunk.len());
        let [_, three @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(&three[..chunk.len() - 1]);
    }
    // Unused bits must be zero, so that only one text decodes to these bytes.
    Some(bytes).filter(|bytes| encode(bytes) == text)
}

/// Decodes a text in the URL-safe alphabet without padding; `None` if it is not canonical.
#[cfg(any(feature = "oidc", test))]
pub(crate) fn decode_url(text: &str) -> Option<Vec<u8>> {
    if text.contains(['+', '/', '=']) {
        return None;
    }
    let mut standard = text.replace('-', "+").replace('_', "/");
    while standard.len() % 4 != 0 {
        standard.push('=');
    }
    decode(&standard)
}

#[cfg(any(feature = "sasl-scram", feature = "oidc", test))]
fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn the_examples_of_the_rfc_round_trip() {
        let words = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let texts = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (word, text) in words.iter().zip(texts) {
            assert_eq!(encode(word.as_bytes()), text);
            assert_eq!(encode_url(word.as_bytes()), text.trim_end_matches('='));
            assert_eq!(decode(text).as_deref(), Some(word.as_bytes()));
        }
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
        assert_eq!(encode_url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn every_length_round_trips() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..bytes.len() {
            let text = encode(&bytes[..len]);
            assert_eq!(decode(&text).as_deref(), Some(&bytes[..len]));
            let text = encode_url(&bytes[..len]);
            assert_eq!(decode_url(&text).as_deref(), Some(&bytes[..len]));
        }
    }

    #[test]
    fn invalid_base64_is_rejected() {
        for text in [
            "Z", "Zg", "Zg=", "=", "====", "Zg===", "Zh==", "Zm9=", "Z=g=", "Zm8-", "Zm 8", "Zgé=",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
        for text in ["Z", "Zh", "Zg==", "Zm8+", "Zm8/", "Zg=", "Z=g", "Zgé"] {
            assert_eq!(decode_url(text), None, "{text}");
        }
    }
}
