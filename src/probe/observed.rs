//! Selector of a probe: records whether TCP was connected, and the reason for which the connection was closed. The
//! network client keeps the text of the reason only.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::network::endpoint::Endpoint;
use crate::network::selectable::{
    CloseReason, ConnectionId, PollEvents, Selectable, SendRefused, WakeUp,
};
use crate::network::tls_facts::TlsFacts;
use crate::protocol::Frame;

/// A selector with one connection, whose end is recorded.
#[derive(Debug)]
pub(crate) struct ObservedSelector<S> {
    pub(super) inner: S,
    is_established: bool,
    close_reason: Option<CloseReason>,
}

impl<S> ObservedSelector<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            is_established: false,
            close_reason: None,
        }
    }

    /// Whether TCP was connected, also if the connection was closed later.
    pub(super) fn is_established(&self) -> bool {
        self.is_established
    }

    /// The reason for which the connection was closed; `None` if it is open, or was closed by the client.
    pub(super) fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }

    fn record(&mut self, events: &PollEvents) {
        self.is_established |= !events.authenticating.is_empty() || !events.connected.is_empty();
        if let Some(disconnected) = events.disconnected.last() {
            // A connection that is established and closed in one poll is in no other list.
            self.is_established |= !matches!(disconnected.reason, CloseReason::ConnectFailed(_));
            self.close_reason = Some(disconnected.reason.clone());
        }
    }
}

impl<S: Selectable> Selectable for ObservedSelector<S> {
    fn connect(&mut self, id: ConnectionId, endpoint: Endpoint) -> Result<(), CloseReason> {
        let result = self.inner.connect(id, endpoint);
        self.close_reason = result.as_ref().err().cloned();
        result
    }

    fn close(&mut self, id: ConnectionId) {
        self.inner.close(id);
    }

    fn is_channel_ready(&self, id: ConnectionId) -> bool {
        self.inner.is_channel_ready(id)
    }

    fn has_unread_input(&self, id: ConnectionId) -> bool {
        self.inner.has_unread_input(id)
    }

    fn waits_for(&self, id: ConnectionId) -> Option<&'static str> {
        self.inner.waits_for(id)
    }

    fn tls_facts(&self, id: ConnectionId) -> Option<TlsFacts> {
        self.inner.tls_facts(id)
    }

    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused> {
        self.inner.send(id, frame)
    }

    fn take_completed_send(&mut self, id: ConnectionId) -> bool {
        self.inner.take_completed_send(id)
    }

    fn is_send_untouched(&self, id: ConnectionId) -> bool {
        self.inner.is_send_untouched(id)
    }

    fn withdraw_send(&mut self, id: ConnectionId) -> bool {
        self.inner.withdraw_send(id)
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()> {
        let result = self.inner.poll(timeout, events);
        self.record(events);
        result
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.inner.wake_up()
    }

    fn close_all(&mut self) {
        self.inner.close_all();
    }
}
