//! What a driver supplies.

use std::time::{Duration, Instant};

use crate::protocol::{About, Setup};
use crate::share::Share;
use crate::tally::Ticket;

/// One record to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its key, if the scenario has keys.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: &'a [u8],
}

/// Why a client does not take part.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot do what is asked: the reason in a sentence, for the table.
    Unable(String),
    /// It should, but something went wrong.
    Failed(String),
}

/// A producer client, shared by all sending threads.
///
/// Topic, partition and the other settings are in the [`Setup`]; keep what is needed of them.
pub trait Client: Send + Sync + Sized + 'static {
    /// Makes the producer and fetches the topic's metadata.
    ///
    /// # Errors
    /// When the client cannot do what is asked, or something went wrong.
    fn start(setup: &Setup) -> Result<(Self, About), Refusal>;

    /// Hands one record over, so that its end is told by [`Ticket::acked`] or [`Ticket::failed`], from
    /// whatever thread. Blocks, or polls as the client's users do, while the client is full.
    ///
    /// # Errors
    /// When the record was not taken; its ticket must not be used then.
    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String>;

    /// As [`send`](Self::send), in the cheapest way that still lets [`flush`](Self::flush) know that every
    /// record ended (`"callback": false`).
    ///
    /// # Errors
    /// When the record was not taken.
    fn send_quietly(&self, record: Record<'_>) -> Result<(), String>;

    /// Sends one record and waits until it is acknowledged, as a user of this client would.
    ///
    /// # Errors
    /// When it was not.
    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String>;

    /// Sends what is still in batches and waits until every record that was handed over has ended. With
    /// `until` it must return by then; a client that cannot promise that returns at once (the kit then waits
    /// for the tickets itself).
    ///
    /// # Errors
    /// After quiet sends: when not all of them are known to be acknowledged. The round's records then count
    /// as failed.
    fn flush(&self, until: Option<Instant>) -> Result<(), String>;

    /// Lets a sending thread wait for the next record of a paced round. A client that needs to be polled
    /// does that here, for no longer than `time`.
    fn idle(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Sends one thread's records of a round: the loop around the methods above. A client that wants its own
    /// loop (inside of an async runtime, say) overrides it and walks over [`Share::turns`].
    fn share(&self, share: &Share) {
        share.run(self);
    }

    /// Closes the producer.
    fn close(&self) {}
}
