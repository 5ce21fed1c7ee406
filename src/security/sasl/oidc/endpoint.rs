//! The request of a token from a token endpoint, and its retries.

use std::sync::Arc;
use std::time::Duration;

use super::ENDPOINT;
use super::claims::{self, TokenResponse};
use crate::clock::{Clock, Deadline};
use crate::config::Password;
use crate::security::http::{
    HttpClient, HttpError, HttpErrorKind, HttpMethod, HttpRequest, pause_unless,
};
use crate::security::sasl::dependencies::Wake;
use crate::util::foreign_text::printable_within;
use crate::util::wipe::SecretBytes;

/// Longest error of an endpoint that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 256;

/// Statuses of errors that another attempt would have too. Those that are not listed are retried, as in Kafka.
const PERMANENT: [u16; 17] = [
    400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 501, 505,
];

/// The back-off between the attempts of one fetch. Later fetches are scheduled by the login.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retries {
    /// The first pause, `sasl.login.retry.backoff.ms`. Each further pause is twice as long.
    pub(super) first: Duration,
    /// No attempt begins later than this after the first, `sasl.login.retry.backoff.max.ms`.
    pub(super) within: Duration,
}

/// A token endpoint, with the credentials for it.
///
/// # Kafka
/// `HttpAccessTokenRetriever`, with its `Retry`.
pub(super) struct TokenEndpoint {
    pub(super) client: HttpClient,
    pub(super) url: String,
    /// The URL for error texts, without its query.
    pub(super) shown: String,
    /// The header `Authorization`.
    pub(super) authorization: Password,
    /// The body of requests.
    pub(super) form: String,
    /// The client secret in each form in which an endpoint could repeat it.
    pub(super) secrets: Vec<Password>,
    pub(super) retries: Retries,
    pub(super) clock: Arc<dyn Clock>,
    /// Is closed when the producer is.
    pub(super) wake: Arc<Wake>,
}

impl TokenEndpoint {
    /// Requests a token, with retries after transient errors.
    ///
    /// # Blocking
    /// As long as the retries and the limits of the client allow.
    pub(super) fn fetch(&self) -> Result<TokenResponse, String> {
        let end = Deadline::after(self.clock.now(), self.retries.within);
        let mut pause = self.retries.first;
        loop {
            if self.wake.is_closed() {
                return Err("the producer was closed".to_owned());
            }
            let error = match self.attempt() {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let next = end.remaining_or(self.clock.now(), pause);
            if !error.is_transient || next.is_zero() {
                return Err(format!("{}: {}", self.name(), error.text));
            }
            pause_unless(next, || self.wake.is_closed());
            pause = pause.saturating_mul(2);
        }
    }

    /// The endpoint for error texts.
    pub(super) fn name(&self) -> String {
        format!("the token endpoint {} ({ENDPOINT})", self.shown)
    }

    fn attempt(&self) -> Result<TokenResponse, HttpError> {
        let sent = self.client.send(&HttpRequest {
            method: HttpMethod::Post,
            url: &self.url,
            headers: &[
                ("Authorization", self.authorization.expose()),
                ("Accept", "application/json"),
                ("Cache-Control", "no-cache"),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ],
            body: self.form.as_bytes(),
        });
        let response = sent.map_err(|mut error| {
            error.text.push_str(match error.kind {
                HttpErrorKind::NotTls => ". The server does not speak TLS: check the URL",
                HttpErrorKind::Handshake if !error.is_transient => {
                    ". Check the ssl.* options of sasl.jaas.config"
                }
                _ => "",
            });
            error
        })?;
        let body = SecretBytes::new(response.body);
        match response.status {
            200 | 201 => claims::token_response(body.expose()).map_err(HttpError::permanent),
            status => Err(self.refusal(status, body.expose())),
        }
    }

    /// The error of a response that has no token.
    fn refusal(&self, status: u16, body: &[u8]) -> HttpError {
        let said = claims::error_response(body).map(|said| {
            let hidden = self
                .secrets
                .iter()
                .fold(said, |said, secret| secret.hidden_in(&said).into_owned());
            printable_within(&hidden, MAX_ERROR_BYTES).into_owned()
        });
        let said = said.map_or_else(String::new, |said| format!(": {said}"));
        let hint = match status {
            300..=399 => ". Redirects are not followed: set the key to the URL that it leads to",
            401 => ". Check the client id and the client secret",
            404 | 405 => ". Check the URL",
            _ => "",
        };
        HttpError {
            is_transient: !(300..400).contains(&status) && !PERMANENT.contains(&status),
            ..HttpError::permanent(format!(
                "it responded with HTTP status {status}{said}{hint}"
            ))
        }
    }
}

/// The form that requests a token.
///
/// # Kafka
/// `HttpAccessTokenRetriever#formatRequestBody`.
pub(super) fn form(scope: Option<&str>) -> String {
    let mut form = "grant_type=client_credentials".to_owned();
    if let Some(scope) = scope {
        form.push_str("&scope=");
        form.push_str(&form_encoded(scope));
    }
    form
}

/// A text in the encoding of forms (`application/x-www-form-urlencoded`).
///
/// # Kafka
/// `java.net.URLEncoder`.
pub(super) fn form_encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                encoded.push('%');
                encoded.extend(digits.map(char::from));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: HttpAccessTokenRetrieverTest#testFormatRequestBody, #testFormatRequestBodyWithEscaped
    #[test]
    fn a_form_has_the_grant_and_the_encoded_scope() {
        assert_eq!(form(None), "grant_type=client_credentials");
        for (scope, encoded) in [
            ("kafka", "kafka"),
            ("earth is great!", "earth+is+great%21"),
            ("what on earth?!?!?", "what+on+earth%3F%21%3F%21%3F"),
            ("api://a-b_c*/.default", "api%3A%2F%2Fa-b_c*%2F.default"),
            ("ä~", "%C3%A4%7E"),
        ] {
            let expected = format!("grant_type=client_credentials&scope={encoded}");
            assert_eq!(form(Some(scope)), expected);
        }
    }
}
