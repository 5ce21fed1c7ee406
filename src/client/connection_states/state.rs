//! The state machine of one connection: its states, and what they have in common.

use std::sync::Arc;

/// State of the connection to a node.
///
/// ```text
///  Disconnected ─▶ Resolving ─▶ Connecting ─▶ Authenticating ─▶ CheckingApiVersions ─▶ Ready
///    ▲   ▲            │             │               │                  │                │
///    │   └────────────┴─────────────┴───────────────┴──────────────────┴────────────────┘
///    └── AuthenticationFailed (counts as disconnected, keeps the reason)
///
///  Ready ─▶ AuthenticatingAgain ─▶ Ready
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectionState {
    Disconnected,
    /// The host name is being resolved (DNS look-up).
    Resolving,
    /// The TCP connection is being established.
    Connecting,
    /// TCP is connected; the TLS handshake and SASL authentication run. Skipped with `PLAINTEXT`.
    Authenticating,
    /// Authenticated; the ApiVersions response is outstanding.
    CheckingApiVersions,
    /// Requests may be sent.
    Ready,
    /// SASL re-authentication of a ready connection (KIP-368): no requests until it is done.
    AuthenticatingAgain,
    /// TLS or SASL authentication failed, with this reason.
    AuthenticationFailed(Arc<str>),
}

impl ConnectionState {
    pub(super) fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected | Self::AuthenticationFailed(_))
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(
            self,
            Self::Authenticating
                | Self::CheckingApiVersions
                | Self::Ready
                | Self::AuthenticatingAgain
        )
    }

    /// Whether the connection is being set up or re-authenticated. Meanwhile the connection setup timeout runs.
    pub(super) fn is_preparing(&self) -> bool {
        matches!(
            self,
            Self::Resolving
                | Self::Connecting
                | Self::Authenticating
                | Self::CheckingApiVersions
                | Self::AuthenticatingAgain
        )
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Resolving => "resolving the host name",
            Self::Connecting => "connecting",
            Self::Authenticating => "authenticating",
            Self::CheckingApiVersions => "checking API versions",
            Self::Ready => "ready",
            Self::AuthenticatingAgain => "authenticating again",
            Self::AuthenticationFailed(_) => "authentication failed",
        }
    }
}
