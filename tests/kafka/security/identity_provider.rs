//! An identity provider (OIDC) of the tests' own: a token endpoint, in plain text and with TLS, and the public key with
//! which brokers verify its tokens.

use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SignatureScheme};

use super::certificates::{Authority, crypto, token_key};
use super::http_server::{HttpServer, ReceivedRequest, response};
use super::rig::USER;

pub(super) const CLIENT_ID: &str = "billing";
pub(super) const CLIENT_SECRET: &str = "b1lling-s3cret";
pub(super) const SCOPE: &str = "kafka";
pub(super) const ISSUER: &str = "https://issuer.test";
pub(super) const AUDIENCE: &str = "brokers";
/// Base64 of `CLIENT_ID:CLIENT_SECRET`.
const CREDENTIALS: &str = "YmlsbGluZzpiMWxsaW5nLXMzY3JldA==";
const KEY_ID: &str = "test-key";
/// Lifetime of a token in seconds.
const LIFETIME: u64 = 300;

/// The identity provider, which serves until the process ends.
pub(super) struct IdentityProvider {
    plain: HttpServer,
    secure: HttpServer,
}

impl IdentityProvider {
    /// An identity provider whose certificate this authority issues.
    pub(super) fn start(authority: &Authority) -> Self {
        let identity = authority.issue(&["127.0.0.1"]);
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
        let config = ServerConfig::builder_with_provider(crypto())
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(
                chain.expect("the certificate is PEM"),
                key.expect("the key is PEM"),
            )
            .expect("the key belongs to the certificate");
        Self {
            plain: HttpServer::start(respond),
            secure: HttpServer::start_tls(Arc::new(config), respond),
        }
    }

    /// The URL of the token endpoint.
    pub(super) fn token_url(&self, is_secure: bool) -> String {
        if is_secure {
            format!("https://127.0.0.1:{}/token", self.secure.port)
        } else {
            self.plain.url("/token")
        }
    }

    /// The URL of the public key, for brokers.
    pub(super) fn keys_url(&self) -> String {
        self.plain.url("/keys")
    }
}

fn respond(_: usize, request: &ReceivedRequest, stream: &mut dyn Write) {
    let credentials = format!("Authorization: Basic {CREDENTIALS}");
    let form = format!("grant_type=client_credentials&scope={SCOPE}");
    let (status, body) = if request.head.starts_with("GET /keys ") {
        ("200 OK", keys())
    } else if !request.head.starts_with("POST /token ") {
        ("404 Not Found", String::new())
    } else if !request.head.contains(&credentials) {
        (
            "401 Unauthorized",
            r#"{"error":"invalid_client"}"#.to_owned(),
        )
    } else if request.body != form {
        ("400 Bad Request", r#"{"error":"invalid_scope"}"#.to_owned())
    } else {
        let token = token();
        let body = format!(
            "{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":{LIFETIME}}}"
        );
        ("200 OK", body)
    };
    // The client may have gone.
    let _ = stream.write_all(&response(status, &body));
}

/// The public key as a JSON Web Key Set (RFC 7517).
fn keys() -> String {
    let (_, point) = token_key();
    // An uncompressed point: a byte, then both coordinates.
    let (x, y) = point[1..].split_at(32);
    format!(
        "{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"{KEY_ID}\",\
         \"x\":\"{}\",\"y\":\"{}\"}}]}}",
        encode_url(x),
        encode_url(y)
    )
}

/// A signed token (RFC 7515).
fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("the clock is after 1970").as_secs();
    let header = format!("{{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"{KEY_ID}\"}}");
    let claims = format!(
        "{{\"iss\":\"{ISSUER}\",\"aud\":\"{AUDIENCE}\",\"sub\":\"{USER}\",\"scope\":\"{SCOPE}\",\"iat\":{now},\"exp\":{}}}",
        now + LIFETIME
    );
    let signed = format!(
        "{}.{}",
        encode_url(header.as_bytes()),
        encode_url(claims.as_bytes())
    );
    let (key, _) = token_key();
    let signer = key
        .choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256])
        .expect("it is a key for P-256");
    let signature = signer.sign(signed.as_bytes()).expect("the key can sign");
    format!("{signed}.{}", encode_url(&fixed_size(&signature)))
}

/// Base64 with the URL-safe alphabet, without padding (RFC 4648, section 5).
fn encode_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 4];
        three[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(three);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// A signature in DER as the two numbers of 32 bytes that a token has (RFC 7518, section 3.4).
fn fixed_size(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut numbers = Vec::with_capacity(64);
    for _ in 0..2 {
        let (number, behind) = rest[2..].split_at(usize::from(rest[1]));
        rest = behind;
        // DER has a zero before a number whose first bit is set, and no other zeros in front.
        let digits = &number[number.len().saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - digits.len()));
        numbers.extend_from_slice(digits);
    }
    numbers
}
