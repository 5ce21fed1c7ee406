//! What a driver supplies.

use std::time::{Duration, Instant};

use crate::protocol::{About, Mode, Setup};
use crate::share::{Record, Share};
use crate::tally::Ticket;

/// Why a client does not take part.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot do what is asked: the reason in a sentence, for the table.
    Unable(String),
    /// It should, but something went wrong.
    Failed(String),
}

impl Refusal {
    /// It should, but an error came.
    pub fn failed(error: impl ToString) -> Self {
        Self::Failed(error.to_string())
    }
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

    /// Whether [`Setup::transactional`] is heeded.
    const HAS_TRANSACTIONS: bool = false;

    /// Comes before the records of a group: begins a transaction, where groups are transactions.
    ///
    /// # Errors
    /// When none could be begun.
    fn begin_group(&self) -> Result<(), String> {
        Ok(())
    }

    /// Comes after the records of a group: commits, where groups are transactions, or else flushes.
    ///
    /// # Errors
    /// When not all is known to be acknowledged or committed.
    fn end_group(&self) -> Result<(), String> {
        self.flush(None)
    }

    /// Lets a sending thread wait for the next record of a paced round. A client that needs to be polled
    /// does that here, for no longer than `time`.
    fn idle(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Sends one thread's records of a round. A client that wants its own loop (inside of an async runtime,
    /// say) overrides it and walks over [`Share::turns`].
    fn share(&self, share: &Share) {
        self.one_after_the_other(share);
    }

    /// The usual loop of a sending thread, around the methods above.
    fn one_after_the_other(&self, share: &Share) {
        match share.mode() {
            Mode::Blast if share.callback() => {
                share.for_each(|turn| self.send(turn.record, turn.ticket));
            }
            Mode::Blast => share.for_each(|turn| self.send_quietly(turn.record)),
            Mode::OneByOne => share.for_each(|turn| {
                self.send_and_wait(turn.record)?;
                turn.ticket.acked();
                Ok(())
            }),
            Mode::Rate => share.for_each(|turn| {
                self.wait_until_due(turn.due);
                self.send(turn.record, turn.ticket)
            }),
            Mode::Groups => share.for_each_group(
                || self.begin_group(),
                |record| self.send_quietly(record),
                || self.end_group(),
            ),
        }
    }

    /// Sleeps, never spins: at a hundred microseconds between records spinning would be all that is measured.
    fn wait_until_due(&self, due: Option<Instant>) {
        let Some(due) = due else { return };
        loop {
            let early = due.saturating_duration_since(Instant::now());
            if early.is_zero() {
                return;
            }
            self.idle(early);
        }
    }

    /// Closes the producer.
    fn close(&self) {}
}
