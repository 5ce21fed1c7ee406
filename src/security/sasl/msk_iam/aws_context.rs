//! Environment variables, the clock, small files, and services by HTTP, for the sources of credentials. Tests replace
//! them.

use std::env;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

use crate::clock::{Clock, Timestamp};
use crate::config::Password;
use crate::security::http::{HttpClient, HttpLimits, HttpRequest, HttpResponse, HttpTls, Url};
use crate::security::sasl::dependencies::SaslDependencies;
use crate::sync::OnceLock;
use crate::util::foreign_text::printable_within;
use crate::util::log::LogContext;
use crate::util::wipe::wipe;

/// Reads an environment variable.
pub(super) type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Longest answer of a service, in bytes. Credentials have some 3 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longest text of a reason, in bytes: a refusal of STS with two ARNs. The reasons of all sources become one error.
const MAX_REASON_BYTES: usize = 400;

/// Limits for services of the machine itself, which do not use TLS. Where there are none, nobody answers at all.
pub(super) const NEAR: HttpLimits = HttpLimits {
    connect: Duration::from_secs(1),
    response: Duration::from_secs(4),
    body_bytes: MAX_ANSWER_BYTES,
};
/// Limits for STS, and for other services by TLS.
const FAR: HttpLimits = HttpLimits {
    connect: Duration::from_secs(5),
    response: Duration::from_secs(5),
    body_bytes: MAX_ANSWER_BYTES,
};

pub(super) struct AwsContext {
    variables: Variables,
    clock: Arc<dyn Clock>,
    log: LogContext,
    plain: HttpClient,
    /// Created by the first request with TLS, since most sources need none.
    encrypted: OnceLock<Result<HttpClient, String>>,
    crypto_provider: Option<Arc<CryptoProvider>>,
}

impl AwsContext {
    pub(super) fn new(
        variables: Variables,
        near: HttpLimits,
        crypto_provider: Option<Arc<CryptoProvider>>,
        dependencies: &SaslDependencies,
    ) -> Self {
        Self {
            variables,
            clock: Arc::clone(&dependencies.clock),
            log: dependencies.log.clone(),
            plain: HttpClient::new(near, HttpTls::Plain, &dependencies.clock),
            encrypted: OnceLock::new(),
            crypto_provider,
        }
    }

    /// An environment variable; `None` if it is not set, or blank.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = (self.variables)(name)?;
        let is_blank = value.trim().is_empty();
        (!is_blank).then(|| value.trim().to_owned())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }

    pub(super) fn log(&self) -> &LogContext {
        &self.log
    }

    /// A path whose `~/` at the beginning is replaced by the home directory; `None` if there is no such directory.
    pub(super) fn expanded(&self, path: &str) -> Option<String> {
        let Some(rest) = path.strip_prefix("~/") else {
            return Some(path.to_owned());
        };
        let home = self
            .variable("HOME")
            .or_else(|| self.variable("USERPROFILE"));
        home.map(|home| format!("{}/{rest}", home.trim_end_matches('/')))
    }

    /// Sends a request, by TLS if its URL begins with `https`.
    ///
    /// # Errors
    /// Why there is no answer, with the URL, but without its query.
    /// # Blocking
    /// Up to ten seconds.
    pub(super) fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, String> {
        let url = Url::parse(request.url)?;
        let client = if url.is_https {
            let created = self.encrypted.get_or_init(|| self.encrypted_client());
            created.as_ref().map_err(Clone::clone)?
        } else {
            &self.plain
        };
        let answer = client.send(request);
        answer.map_err(|error| reason(&format!("no answer from {url}: {}", error.text)))
    }

    fn encrypted_client(&self) -> Result<HttpClient, String> {
        let tls = HttpTls::of_system(self.crypto_provider.clone(), &self.clock, &self.log);
        let tls = tls.map_err(|error| reason(&format!("TLS cannot be used: {error}")))?;
        Ok(HttpClient::new(FAR, tls, &self.clock))
    }
}

/// The environment of this process. It is read for each token, so that a program may set variables late.
pub(super) fn variables_of_process() -> Variables {
    Arc::new(|name: &str| env::var(name).ok())
}

/// The answer of a service as text; wiped when it is dropped.
///
/// # Errors
/// If it is not text.
pub(super) fn text_of(answer: HttpResponse) -> Result<Password, String> {
    match String::from_utf8(answer.body) {
        Ok(text) => Ok(Password::new(text)),
        Err(error) => {
            wipe(&mut error.into_bytes());
            Err("the answer is not UTF-8".to_owned())
        }
    }
}

/// Reads a small file as a whole; `None` if there is none.
///
/// # Errors
/// Why it cannot be read.
/// # Blocking
/// Reads a file.
pub(super) fn read_text(path: &str, max_bytes: u64) -> Result<Option<Password>, String> {
    let failed = |why: &dyn Display| Err(reason(&format!("{path} cannot be read: {why}")));
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return failed(&error),
    };
    // A pipe or device could block the reader for ever.
    if !facts.is_file() {
        return failed(&"it is not a regular file");
    }
    // Allocated at its final size: a reallocation would free a copy of the text without wiping it.
    let size = usize::try_from(facts.len().min(max_bytes)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size + 1);
    let read = File::open(path).and_then(|file| file.take(max_bytes + 1).read_to_end(&mut bytes));
    let is_too_long = bytes.len() as u64 > max_bytes;
    match (read, String::from_utf8(bytes)) {
        (Err(error), _) => failed(&error),
        (Ok(_), _) if is_too_long => failed(&format!("it has more than {max_bytes} bytes")),
        (Ok(_), Ok(text)) => Ok(Some(Password::new(text))),
        (Ok(_), Err(error)) => {
            wipe(&mut error.into_bytes());
            failed(&"it is not UTF-8")
        }
    }
}

/// A reason on one line, truncated.
pub(super) fn reason(text: &str) -> String {
    printable_within(text, MAX_REASON_BYTES).into_owned()
}
