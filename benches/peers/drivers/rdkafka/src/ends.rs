//! Handles the client's delivery reports.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use driver_kit::Ticket;
use rdkafka::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

/// Receives delivery reports. The opaque value of a record is the bits of its ticket, or the number of a waiter,
/// or [`NOBODY`].
#[derive(Default)]
pub struct Ends {
    waiting: Mutex<Waiting>,
    failures: Mutex<Failures>,
}

type Outcome = Result<(), String>;

#[derive(Default)]
struct Waiting {
    last: usize,
    senders: BTreeMap<usize, SyncSender<Outcome>>,
}

/// The opaque value of records without a waiter.
#[derive(Default)]
struct Failures {
    count: u64,
    first: Option<String>,
}

/// The opaque value of a record without ticket or waiter, whose failure only `flush` reports.
pub const NOBODY: usize = usize::MAX;

/// The first number of a waiter. The round number of a ticket is always lower.
const FIRST_WAITING: usize = 0xffff << 48;

#[inline]
pub fn opaque(ticket: Ticket) -> usize {
    ticket.to_bits() as usize
}

impl Ends {
    /// Registers a waiter for the report of one record.
    pub fn expect_one(&self) -> (usize, Receiver<Outcome>) {
        let (sender, receiver) = sync_channel(1);
        let mut waiting = lock(&self.waiting);
        waiting.last += 1;
        let opaque = FIRST_WAITING + waiting.last;
        waiting.senders.insert(opaque, sender);
        (opaque, receiver)
    }

    /// Removes the waiter of a record that the client rejected.
    pub fn forget(&self, opaque: usize) {
        lock(&self.waiting).senders.remove(&opaque);
    }

    /// The failures since the last call of records without ticket or waiter.
    pub fn take_failures(&self) -> Option<String> {
        let failures = std::mem::take(&mut *lock(&self.failures));
        let first = failures.first?;
        Some(format!("{} records failed: {first}", failures.count))
    }
}

impl ClientContext for Ends {}

impl ProducerContext for Ends {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        if opaque < FIRST_WAITING {
            let ticket = Ticket::from_bits(opaque as u64);
            match result {
                Ok(_) => ticket.acked(),
                Err((error, _)) => ticket.failed(error),
            }
            return;
        }
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.to_string()),
        };
        if opaque != NOBODY {
            if let Some(sender) = lock(&self.waiting).senders.remove(&opaque) {
                // The receiver is gone if the waiter has given up.
                let _ = sender.send(outcome);
            }
        } else if let Err(error) = outcome {
            let mut failures = lock(&self.failures);
            failures.count += 1;
            failures.first.get_or_insert(error);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
