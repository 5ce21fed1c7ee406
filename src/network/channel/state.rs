//! State of a channel, and the newest state that a poll has reported.

use crate::network::selectable::{CloseReason, ConnectionId, PollEvents};

/// State of a channel.
///
/// ```text
///  Connecting ─▶ Handshaking ─▶ Authenticating ─▶ Ready ─▶ Closing
///                                     ▲             │
///                                     └── again ────┘
/// ```
/// The connection may close in every state. With `PLAINTEXT`, the second and the third state are left at once.
#[derive(Debug)]
pub(super) enum ChannelState {
    Connecting,
    /// TLS handshake.
    Handshaking,
    /// SASL authentication, the first one or a re-authentication.
    Authenticating,
    Ready,
    /// Writing or re-authentication failed. Frames that were received before are delivered first, then the disconnect
    /// is reported with this reason.
    Closing(CloseReason),
}

/// The newest state that a poll has reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportedState {
    Nothing,
    Authenticating,
    Connected,
    AuthenticatingAgain,
}

impl ReportedState {
    /// Whether a poll has reported the channel as ready.
    #[inline]
    pub(super) fn has_been_ready(self) -> bool {
        matches!(self, Self::Connected | Self::AuthenticatingAgain)
    }

    /// Whether a change of state must be reported without an event of the stream, because `send` started
    /// re-authentication between polls.
    #[inline]
    pub(super) fn is_behind(self, state: &ChannelState) -> bool {
        match self {
            Self::Connected => matches!(state, ChannelState::Authenticating),
            Self::AuthenticatingAgain => matches!(state, ChannelState::Ready),
            Self::Nothing | Self::Authenticating => false,
        }
    }

    /// Reports the state, if it is new since the last report. A re-authentication that started and completed between
    /// two polls is not reported.
    #[inline]
    pub(super) fn catch_up(
        &mut self,
        state: &ChannelState,
        id: ConnectionId,
        events: &mut PollEvents,
    ) {
        match (state, *self) {
            (ChannelState::Handshaking | ChannelState::Authenticating, Self::Nothing) => {
                *self = Self::Authenticating;
                events.authenticating.push(id);
            }
            (ChannelState::Ready, Self::Nothing | Self::Authenticating) => {
                *self = Self::Connected;
                events.connected.push(id);
            }
            (ChannelState::Authenticating, Self::Connected) => {
                *self = Self::AuthenticatingAgain;
                events.authenticating_again.push(id);
            }
            (ChannelState::Ready, Self::AuthenticatingAgain) => {
                *self = Self::Connected;
                events.authenticated_again.push(id);
            }
            _ => {}
        }
    }
}
