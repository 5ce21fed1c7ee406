//! The trait of GSS security contexts, and why a step of one fails.

use std::sync::Arc;

/// The result of a step of a context's establishment, with the token for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GssStep {
    /// The broker's response to the token is needed.
    Continue(Vec<u8>),
    /// The context is established on this side. The token may be empty.
    Established(Vec<u8>),
}

/// The client's security context with one broker.
pub(super) trait GssContext: Send {
    /// `gss_init_sec_context`: processes the broker's token, and returns the client's next one. The first step has no
    /// token of the broker.
    ///
    /// # Blocking
    /// The first step may ask a KDC.
    fn step(&mut self, token: Option<&[u8]>) -> Result<GssStep, GssFailure>;

    /// `gss_unwrap`: verifies a message of the broker, and returns its content.
    fn open_message(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure>;

    /// `gss_wrap`: a message for the broker with this content, signed and not encrypted.
    fn seal_message(&mut self, content: &[u8]) -> Result<Vec<u8>, GssFailure>;
}

/// Makes the context for the broker on a host.
///
/// # Blocking
/// It acquires credentials, for which it may ask a KDC.
pub(super) type OpenContext =
    Arc<dyn Fn(&str) -> Result<Box<dyn GssContext>, GssFailure> + Send + Sync>;

/// Whether another attempt may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GssFailureKind {
    /// It would fail the same way.
    Permanent,
    /// It may succeed: no KDC responds, for instance.
    Transient,
    /// There is no ticket, and nothing to get one with; or the ticket has expired. A wrong configuration if there has
    /// never been a ticket. Otherwise somebody replaces ticket or keytab at this moment, or late.
    NoCredentials,
}

/// Why a call of the Kerberos library failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GssFailure {
    pub(super) kind: GssFailureKind,
    /// The library's text.
    pub(super) text: String,
}
