//! The inbox of transactional requests from application threads.

use super::request::RequestHandler;
#[cfg(test)]
use crate::producer::wake::SenderWaker;
use crate::sync::{Mutex, Rank};

/// Requests that the sender has not taken yet. A handler sets the result of its request by a
/// [`Latch`](crate::producer::waiting::Latch) shared with the waiting call.
#[derive(Debug)]
pub(crate) struct RequestInbox(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    requests: Vec<Box<dyn RequestHandler>>,
    is_closed: bool,
}

impl RequestInbox {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Rank::LEAF, Inbox::default()))
    }

    /// Pushes a request and wakes the sender. Returns the request if the sender has ended.
    #[cfg(test)]
    pub(crate) fn push(
        &self,
        handler: Box<dyn RequestHandler>,
        waker: &SenderWaker,
    ) -> Result<(), Box<dyn RequestHandler>> {
        self.push_unwoken(handler)?;
        waker.wake();
        Ok(())
    }

    /// Pushes a request; the caller wakes the sender later.
    pub(super) fn push_unwoken(
        &self,
        handler: Box<dyn RequestHandler>,
    ) -> Result<(), Box<dyn RequestHandler>> {
        let mut inbox = self.0.lock();
        // Checked under the lock of `close`: a handler is either taken over or handed back, never lost.
        if inbox.is_closed {
            return Err(handler);
        }
        inbox.requests.push(handler);
        Ok(())
    }

    pub(super) fn take(&self) -> Vec<Box<dyn RequestHandler>> {
        std::mem::take(&mut self.0.lock().requests)
    }

    /// Closes the inbox for later requests, and takes the earlier ones.
    pub(super) fn close(&self) -> Vec<Box<dyn RequestHandler>> {
        let mut inbox = self.0.lock();
        inbox.is_closed = true;
        std::mem::take(&mut inbox.requests)
    }
}
