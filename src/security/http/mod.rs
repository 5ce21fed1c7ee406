//! A blocking HTTP/1.1 client for token endpoints and credential services: one request on a connection of its own.
//!
//! Deadlines bound the connection and the rest of each request, and limits bound the head and the body of its response.
//! Redirects are not followed, because the server that is named in one would get the credentials. Proxies are not used.
//!
//! No crate has this: `ureq` logs each byte at level trace, secrets included, and enables the logging of rustls, by
//! which the logger, which is user code, would run in the middle of a poll.
//!
//! | file | what is in it |
//! |---|---|
//! | `url` | the parser of URLs |
//! | `connection` | name look-up, TCP and TLS, with a deadline |
//! | `response` | the reader of responses |
//!
//! # Threads
//! A helper thread, never the sender thread: everything here blocks.

mod connection;
mod response;
mod url;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

#[allow(unused_imports, reason = "each of its users needs a part")]
pub(crate) use self::connection::pause_unless;
use self::connection::{HttpConnection, LookUps};
pub(crate) use self::url::Url;
use super::background::Background;
use super::tls::TlsClient;
use crate::clock::{Clock, Deadline};
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::util::log::LogContext;
use crate::util::wipe::SecretBytes;

/// The value of the header `User-Agent`.
const USER_AGENT: &str = concat!("kafka-producer/", env!("CARGO_PKG_VERSION"));

/// Limits of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpLimits {
    /// Time for the name look-up, the TCP connection and the TLS handshake.
    pub(crate) connect: Duration,
    /// Time for the request and its response, from the moment at which the connection is open.
    pub(crate) response: Duration,
    /// Longest body of a response, in bytes.
    pub(crate) body_bytes: usize,
}

/// The kind of connections of a client, which has to match the scheme of its URLs.
#[derive(Debug, Clone)]
pub(crate) enum HttpTls {
    /// TLS: only `https` URLs are requested.
    Tls(TlsClient),
    /// Plain text: only `http` URLs are requested.
    Plain,
}

impl HttpTls {
    /// TLS with the trust store of the operating system.
    ///
    /// # Errors
    /// See [`with_options`](Self::with_options).
    /// # Blocking
    /// Reads files.
    pub(crate) fn of_system(
        provider: Option<Arc<CryptoProvider>>,
        clock: &Arc<dyn Clock>,
        log: &LogContext,
    ) -> Result<Self, ConfigError> {
        Self::with_options([], provider, clock, log)
    }

    /// TLS with these `ssl.*` keys, which have the same meaning as those of the producer.
    ///
    /// # Errors
    /// The invalid key, and how to correct it.
    /// # Blocking
    /// Reads files.
    /// # Kafka
    /// `JaasOptionsUtils#createSSLSocketFactory`.
    pub(crate) fn with_options<'o>(
        options: impl IntoIterator<Item = (&'o str, &'o str)>,
        provider: Option<Arc<CryptoProvider>>,
        clock: &Arc<dyn Clock>,
        log: &LogContext,
    ) -> Result<Self, ConfigError> {
        // A configuration of its own, with a client id so that no number of the generated ones is used.
        let mut builder = ProducerConfig::builder()
            .client_id("http")
            .set("security.protocol", "SSL");
        for (key, value) in options {
            builder = builder.set(key, value);
        }
        let config = builder.build()?;
        // Its files are not read again: nothing polls it.
        let background = Background {
            run: Arc::new(|_| Err(std::io::ErrorKind::Unsupported.into())),
            wake: Arc::default(),
        };
        let tls = TlsClient::from_config(&config, provider, clock, log, background)?;
        // With a misspelled key the trust would be another one than the configuration says.
        match config
            .unused_keys()
            .iter()
            .find(|key| key.starts_with("ssl."))
        {
            Some(key) => Err(ConfigError::invalid(
                *key,
                None,
                "there is no such key",
                "Correct its name, or leave it out",
            )),
            None => Ok(Self::Tls(tls)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpMethod {
    Get,
    Post,
    Put,
}

impl HttpMethod {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A request. It does not implement `Debug`, because headers and body contain secrets.
pub(crate) struct HttpRequest<'a> {
    pub(crate) method: HttpMethod,
    pub(crate) url: &'a str,
    /// Headers in addition to `Host`, `User-Agent`, `Accept-Encoding`, `Connection` and `Content-Length`.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// A response with any status. It does not implement `Debug`, because the body may contain secrets.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The kind of an error, for the advice of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpErrorKind {
    /// A time-out of the connection, the request or the response.
    TimedOut,
    /// The server does not speak TLS.
    NotTls,
    /// The TLS handshake failed for another reason, such as the certificate.
    Handshake,
    Other,
}

/// Why there is no response. The text names neither the URL nor a configuration key: the caller adds both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpError {
    pub(crate) text: String,
    pub(crate) kind: HttpErrorKind,
    /// True if another attempt may succeed.
    pub(crate) is_transient: bool,
}

impl HttpError {
    /// An error that another attempt may not have.
    pub(crate) fn transient(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: HttpErrorKind::Other,
            is_transient: true,
        }
    }

    /// An error that another attempt would have too.
    pub(crate) fn permanent(text: impl Into<String>) -> Self {
        Self {
            is_transient: false,
            ..Self::transient(text)
        }
    }
}

/// The client, shared by all requests with the same limits and the same trust.
#[derive(Debug)]
pub(crate) struct HttpClient {
    limits: HttpLimits,
    tls: HttpTls,
    clock: Arc<dyn Clock>,
    look_ups: LookUps,
}

impl HttpClient {
    pub(crate) fn new(limits: HttpLimits, tls: HttpTls, clock: &Arc<dyn Clock>) -> Self {
        Self {
            limits,
            tls,
            clock: Arc::clone(clock),
            look_ups: LookUps::default(),
        }
    }

    /// Sends a request and returns its response, whatever its status is.
    ///
    /// # Errors
    /// If there is no complete response within the limits.
    /// # Blocking
    /// Up to [`HttpLimits::connect`] and [`HttpLimits::response`] together.
    pub(crate) fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
        let url = Url::parse(request.url).map_err(HttpError::permanent)?;
        let message = message_of(request, &url)?;
        let connected = Deadline::after(self.clock.now(), self.limits.connect);
        let tls = match (&self.tls, url.is_https) {
            (HttpTls::Tls(tls), true) => Some(tls),
            (HttpTls::Plain, false) => None,
            (HttpTls::Tls(_), false) => {
                return Err(HttpError::permanent(
                    "http:// is plain text, which is not allowed here",
                ));
            }
            (HttpTls::Plain, true) => {
                return Err(HttpError::permanent(
                    "https:// needs TLS, which is off here",
                ));
            }
        };
        let addresses = self.look_ups.addresses_of(&url, &self.clock, connected)?;
        let mut connection = HttpConnection::open(&url, &addresses, tls, &self.clock, connected)?;
        connection.extend_to(Deadline::after(self.clock.now(), self.limits.response));
        let sent = connection
            .write_all(message.expose())
            .and_then(|()| connection.flush());
        // A server that refuses a request early may close its side before it has read all of it: what it responded
        // tells more than the failed write.
        match (
            response::read(&mut connection, self.limits.body_bytes),
            sent,
        ) {
            (Ok(response), _) => Ok(response),
            (Err(_), Err(error)) => Err(connection::failure("the request was not sent", &error)),
            (Err(error), Ok(())) => Err(error),
        }
    }
}

/// Entry point of a fuzz target: reads a response with a body of up to `limit` bytes.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) fn read_response(mut bytes: &[u8], limit: usize) -> Result<HttpResponse, HttpError> {
    response::read(&mut bytes, limit)
}

/// The bytes of a request.
fn message_of(request: &HttpRequest<'_>, url: &Url) -> Result<SecretBytes, HttpError> {
    let length = request.body.len().to_string();
    let mut headers = vec![
        ("Host", url.authority.as_str()),
        ("User-Agent", USER_AGENT),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ];
    if request.method != HttpMethod::Get {
        headers.push(("Content-Length", length.as_str()));
    }
    headers.extend_from_slice(request.headers);
    for (name, value) in &headers {
        // A line break in a value would begin another header.
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if !is_name || !value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
            return Err(HttpError::permanent(
                "a header of the request has characters that HTTP cannot transmit",
            ));
        }
    }
    let parts = [
        request.method.name(),
        " ",
        url.target.as_str(),
        " HTTP/1.1\r\n",
    ];
    let fields = headers.iter().flat_map(|(n, v)| [*n, ": ", *v, "\r\n"]);
    let text: Vec<&str> = parts.into_iter().chain(fields).chain(["\r\n"]).collect();
    // Allocated at its final size: a reallocation would free a copy of the secrets without wiping it.
    let size = text.iter().map(|part| part.len()).sum::<usize>() + request.body.len();
    let mut message = Vec::with_capacity(size);
    for part in text {
        message.extend_from_slice(part.as_bytes());
    }
    message.extend_from_slice(request.body);
    Ok(SecretBytes::new(message))
}

#[cfg(test)]
pub(crate) mod tests;
