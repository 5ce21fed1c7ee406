//! Environment variables, the clock, small files, and services by HTTP, for the sources of credentials. Tests replace
//! them.

use std::env::{self, VarError};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

use crate::clock::{Clock, Timestamp};
use crate::config::Password;
use crate::security::http::{
    HttpClient, HttpErrorKind, HttpLimits, HttpRequest, HttpResponse, HttpTls, Url,
};
use crate::security::sasl::dependencies::{SaslDependencies, Wake};
use crate::sync::{Mutex, OnceLock, Rank};
use crate::util::foreign_text::printable_within;
use crate::util::log::LogContext;
use crate::util::wipe::wipe;

/// Reads an environment variable, as [`env::var`] does.
pub(super) type Variables = Arc<dyn Fn(&str) -> Result<String, VarError> + Send + Sync>;

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
    encrypted: OnceLock<HttpClient>,
    /// The last variable that was read and is not text.
    malformed: Mutex<Option<String>>,
    wake: Arc<Wake>,
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
            malformed: Mutex::new(Rank::LEAF, None),
            wake: Arc::clone(&dependencies.wake),
            crypto_provider,
        }
    }

    /// An environment variable; `None` if it is not set, blank, or [malformed](Self::take_malformed).
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = match (self.variables)(name) {
            Ok(value) => value,
            Err(VarError::NotPresent) => return None,
            Err(VarError::NotUnicode(_)) => {
                *self.malformed.lock() = Some(name.to_owned());
                return None;
            }
        };
        let is_blank = value.trim().is_empty();
        (!is_blank).then(|| value.trim().to_owned())
    }

    /// The name of a variable that was read since the last call and is not UTF-8. It counts as an error: without the
    /// variable the search could find another identity.
    pub(super) fn take_malformed(&self) -> Option<String> {
        self.malformed.lock().take()
    }

    /// Whether the producer was closed, so that nobody needs log lines any more.
    pub(super) fn is_closed(&self) -> bool {
        self.wake.is_closed()
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
    /// Why there is no answer, with the URL, but without its path, which may contain a secret.
    /// # Blocking
    /// Up to ten seconds.
    pub(super) fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, String> {
        self.send_with_advice(request, "")
    }

    /// As [`send`](Self::send). The advice is appended to the error of a time-out.
    pub(super) fn send_with_advice(
        &self,
        request: &HttpRequest<'_>,
        on_time_out: &str,
    ) -> Result<HttpResponse, String> {
        let url = Url::parse(request.url)?;
        let client = if url.is_https {
            self.encrypted_client()?
        } else {
            &self.plain
        };
        client.send(request).map_err(|error| {
            let advice = match error.kind {
                HttpErrorKind::TimedOut => on_time_out,
                HttpErrorKind::NotTls => ". The server does not speak TLS: check the URL",
                _ => "",
            };
            let text = error.text;
            reason(&format!("no answer from {}: {text}{advice}", url.origin()))
        })
    }

    /// The client with TLS. A failure is not kept: the next token may find the files that were missing.
    fn encrypted_client(&self) -> Result<&HttpClient, String> {
        if let Some(client) = self.encrypted.get() {
            return Ok(client);
        }
        let tls = HttpTls::of_system(self.crypto_provider.clone(), &self.clock, &self.log);
        let tls = tls.map_err(|error| reason(&format!("TLS cannot be used: {error}")))?;
        let client = HttpClient::new(FAR, tls, &self.clock);
        Ok(self.encrypted.get_or_init(|| client))
    }
}

/// The environment of this process, which is read for each token, as by AWS' SDKs.
pub(super) fn variables_of_process() -> Variables {
    Arc::new(|name: &str| env::var(name))
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
