//! Sends records in consecutive transactions of a given duration.

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use kafka_producer::{ProducerRecord, TransactionError};

use crate::load::{Outlet, ToProducer};

/// Begins a transaction with a record, and commits it with the first record that is sent after the duration. As in
/// Kafka's tool the duration is checked only when a record is sent.
pub(crate) struct InTransactions<'p> {
    outlet: ToProducer<'p>,
    /// In nanoseconds.
    duration: u64,
    /// The start of the open transaction, in nanoseconds of the run's clock; `None` if no transaction is open.
    began: Cell<Option<u64>>,
}

impl<'p> InTransactions<'p> {
    /// Initializes transactions.
    pub(crate) fn new(
        outlet: ToProducer<'p>,
        duration: Duration,
    ) -> Result<Self, TransactionError> {
        outlet.producer.init_transactions()?;
        Ok(Self {
            outlet,
            duration: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            began: Cell::new(None),
        })
    }

    /// Commits the open transaction.
    pub(crate) fn finish(&self) -> Result<(), TransactionError> {
        match self.began.take() {
            Some(_) => self.outlet.producer.commit_transaction(),
            None => Ok(()),
        }
    }
}

impl Outlet for InTransactions<'_> {
    fn send(
        &self,
        record: ProducerRecord<'_, [u8], [u8]>,
        sent_at: u64,
        bytes: usize,
    ) -> Result<(), Box<dyn Error>> {
        let began = if let Some(began) = self.began.get() {
            began
        } else {
            self.outlet.producer.begin_transaction()?;
            self.began.set(Some(sent_at));
            sent_at
        };
        self.outlet.send(record, sent_at, bytes)?;
        if sent_at.saturating_sub(began) >= self.duration {
            self.finish()?;
        }
        Ok(())
    }
}
