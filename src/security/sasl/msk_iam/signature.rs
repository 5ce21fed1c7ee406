//! AWS Signature Version 4: the signature of a request, in its query (a presigned URL) or in a header.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::aws_credentials::AwsCredentials;
use super::aws_time::amz_date;
use crate::clock::Timestamp;
use crate::util::wipe::SecretBytes;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs the requests to one service in one region, at one time.
pub(super) struct RequestSigner<'a> {
    credentials: &'a AwsCredentials,
    region: &'a str,
    service: &'static str,
    date: String,
}

impl<'a> RequestSigner<'a> {
    pub(super) fn new(
        credentials: &'a AwsCredentials,
        region: &'a str,
        service: &'static str,
        time: Timestamp,
    ) -> Self {
        Self {
            credentials,
            region,
            service,
            date: amz_date(time),
        }
    }

    /// The value of `X-Amz-Date`.
    pub(super) fn date(&self) -> &str {
        &self.date
    }

    /// The value of `X-Amz-Credential`: the access key's id, and the scope of the signature.
    pub(super) fn credential(&self) -> String {
        format!("{}/{}", self.credentials.access_key_id, self.scope())
    }

    fn day(&self) -> &str {
        &self.date[.."20240229".len()]
    }

    fn scope(&self) -> String {
        let (day, region, service) = (self.day(), self.region, self.service);
        format!("{day}/{region}/{service}/aws4_request")
    }

    /// The signature of a canonical request, in hexadecimal digits.
    pub(super) fn signature(&self, canonical_request: &str) -> String {
        let hash = hex(&Sha256::digest(canonical_request.as_bytes()));
        let to_sign = format!("{ALGORITHM}\n{}\n{}\n{hash}", self.date, self.scope());
        let secret = self.credentials.secret_access_key.expose();
        let mut key = Vec::with_capacity("AWS4".len() + secret.len());
        key.extend_from_slice(b"AWS4");
        key.extend_from_slice(secret.as_bytes());
        let mut key = SecretBytes::new(key);
        for part in [self.day(), self.region, self.service, "aws4_request"] {
            key = hmac(&key, part);
        }
        hex(hmac(&key, &to_sign).expose())
    }
}

/// The hash of a request's body.
pub(super) fn body_hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn hmac(key: &SecretBytes, message: &str) -> SecretBytes {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose())
        .expect("HMAC takes keys of any length");
    let code = mac.chain_update(message.as_bytes()).finalize();
    SecretBytes::new(code.into_bytes().to_vec())
}

/// Appends a name or a value of a query: all bytes but letters, digits, `-`, `.`, `_` and `~` are percent-encoded.
pub(super) fn push_encoded(text: &mut String, value: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// A query, or the body of a form: `name=value` with `&` in between, percent-encoded.
pub(super) fn query<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        push_encoded(&mut text, name);
        text.push('=');
        push_encoded(&mut text, value);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_percent_encoded_as_signatures_need_it() {
        assert_eq!(
            query([("a b", "c/d=e&f"), ("g", "~h-i_j.k"), ("l", "ü+*")]),
            "a%20b=c%2Fd%3De%26f&g=~h-i_j.k&l=%C3%BC%2B%2A"
        );
    }

    /// The example of AWS' documentation of the signing key and the string to sign.
    #[test]
    fn the_documented_example_has_its_signature() {
        let credentials = AwsCredentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            None,
            None,
        )
        .unwrap();
        let time = Timestamp::from_millis(1_440_938_160_000);
        let signer = RequestSigner::new(&credentials, "us-east-1", "iam", time);
        assert_eq!(signer.date(), "20150830T123600Z");
        let request = "GET\n/\nAction=ListUsers&Version=2010-05-08\n\
            content-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\n\
            x-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n\
            e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            signer.signature(request),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }
}
