//! How application threads ask the sender for requests.

use super::request::RequestHandler;
use crate::producer::wake::SenderWaker;
use crate::sync::{Mutex, Rank};

/// Requests that the sender has not taken over yet. What comes of one is for its handler to tell, by a
/// [`Latch`](crate::producer::waiting::Latch) that it shares with the call that made it.
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

    /// Asks for a request. It comes back if the sender has ended, which will tell nobody any more.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the calls of a transactional producer will")
    )]
    pub(crate) fn push(
        &self,
        handler: Box<dyn RequestHandler>,
        waker: &SenderWaker,
    ) -> Result<(), Box<dyn RequestHandler>> {
        {
            let mut inbox = self.0.lock();
            if inbox.is_closed {
                return Err(handler);
            }
            inbox.requests.push(handler);
        }
        waker.wake();
        Ok(())
    }

    pub(super) fn take(&self) -> Vec<Box<dyn RequestHandler>> {
        std::mem::take(&mut self.0.lock().requests)
    }

    /// Lets nothing more in; what was in it is taken.
    pub(super) fn close(&self) -> Vec<Box<dyn RequestHandler>> {
        let mut inbox = self.0.lock();
        inbox.is_closed = true;
        std::mem::take(&mut inbox.requests)
    }
}
