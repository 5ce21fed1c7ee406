//! Activity of a channel, not yet recorded in the metrics.

use std::time::Duration;

use super::transport::CipherName;

/// The activity of a channel: the channel accumulates it, the selector records and resets it after each turn.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Whether the TCP connection was established.
    pub(super) connected: bool,
    /// Kind of the authentication that succeeded; `None` if none did.
    pub(super) authenticated: Option<Authenticated>,
    /// TLS cipher suite and version, set when the handshake is done.
    pub(super) cipher: Option<CipherName>,
    /// Bytes of request frames that the transport took.
    pub(super) bytes_written: usize,
    /// Bytes read, without those of the first authentication.
    pub(super) bytes_read: usize,
    /// Size in bytes of a request frame that was written in full.
    pub(super) request_bytes: Option<usize>,
    /// Size in bytes of a response frame that was received.
    pub(super) response_bytes: Option<usize>,
}

/// Kind of a successful authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authenticated {
    First,
    /// Re-authentication, with its latency.
    Again(Duration),
}

impl Activity {
    /// Whether there are events of the connection's setup, which are rare.
    pub(super) fn is_of_setup(&self) -> bool {
        self.connected || self.authenticated.is_some() || self.cipher.is_some()
    }

    pub(super) fn has_traffic(&self) -> bool {
        self.bytes_written > 0
            || self.bytes_read > 0
            || self.request_bytes.is_some()
            || self.response_bytes.is_some()
    }
}
