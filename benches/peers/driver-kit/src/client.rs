//! The interface that a driver implements.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::protocol::{About, Mode, Setup};
use crate::share::{Record, Share};
use crate::tally::Ticket;

/// Why a client does not take part.
#[derive(Debug)]
pub enum Refusal {
    /// The client does not support the setup. The reason is a sentence for the table.
    Unable(String),
    /// The client supports the setup, but failed.
    Failed(String),
}

impl Refusal {
    /// A failure with the text of this error.
    pub fn failed(error: impl ToString) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A producer client, shared by all sending threads.
///
/// Topic, partition and the other settings are in the [`Setup`]; an implementation stores the ones it needs.
pub trait Client: Send + Sync + Sized + 'static {
    /// Creates the producer, and fetches the topic's metadata.
    ///
    /// # Errors
    /// If the client does not support the setup, or fails.
    fn start(setup: &Setup) -> Result<(Self, About), Refusal>;

    /// Sends one record. Its result is reported by [`Ticket::acked`] or [`Ticket::failed`], from any thread.
    /// Blocks, or polls as the client's users do, while the buffer of the client is full.
    ///
    /// # Errors
    /// If the client rejects the record; its ticket must not be used then.
    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String>;

    /// Sends one record without a ticket (`"callback": false`), in the cheapest way that still lets
    /// [`flush`](Self::flush) wait for every record.
    ///
    /// # Errors
    /// If the client rejects the record.
    fn send_quietly(&self, record: Record<'_>) -> Result<(), String>;

    /// Sends one record and waits until it is acknowledged, as a user of this client would.
    ///
    /// # Errors
    /// If the record fails.
    fn send_and_wait(&self, record: Record<'_>) -> Result<(), String>;

    /// Sends the open batches, and waits until every sent record is complete. Must return by `until`, if it is
    /// set; a client that cannot do that returns at once, and the kit waits for the tickets itself.
    ///
    /// # Errors
    /// After [`send_quietly`](Self::send_quietly): if not all records are known to be acknowledged. The
    /// incomplete records of the round then count as failed.
    fn flush(&self, until: Option<Instant>) -> Result<(), String>;

    /// Whether the client supports [`Setup::transactional`].
    const HAS_TRANSACTIONS: bool = false;

    /// Called before the records of a group: begins a transaction, if groups are transactions.
    ///
    /// # Errors
    /// If the transaction cannot be begun.
    fn begin_group(&self) -> Result<(), String> {
        Ok(())
    }

    /// Called after the records of a group: commits, if groups are transactions, and flushes otherwise.
    ///
    /// # Errors
    /// If not all records are known to be acknowledged or committed.
    fn end_group(&self) -> Result<(), String> {
        self.flush(None)
    }

    /// Called by a sending thread while it waits for the next record of a paced round. A client that needs to
    /// be polled is polled here, for `time` at most.
    fn idle(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Sends one thread's records of a round. A client that needs its own loop, for example in an async
    /// runtime, overrides this method and iterates over [`Share::turns`].
    fn share(&self, share: &Share) {
        self.one_after_the_other(share);
    }

    /// The default loop of a sending thread, which calls the methods above.
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

    /// Sleeps until the record is due instead of spinning: with 100 µs between records the cost of spinning would
    /// dominate the measurement.
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

    /// Counters of the client that only grow, by name, such as the iterations of its loop.
    fn counters(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    /// Closes the producer.
    fn close(&self) {}
}
