//! RAII guard of a transaction: dropping it aborts the transaction unless it was committed.

use std::fmt;

use super::accumulator::TransactionNumber;
use super::kafka_producer::KafkaProducer;
use super::record::{ProducerRecord, RecordData};
use super::thunks::NoCallback;
use super::transaction::TransactionEnd;
use crate::error::{
    SendError, TransactionCall, TransactionError, TransactionErrorKind, TransactionFailure,
};
use crate::types::{ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition};

/// RAII guard of an open transaction: aborts it when dropped without a commit, that is, on an early return, an error or
/// a panic.
///
/// Records that the producer's other methods send meanwhile are part of the transaction as well: a producer has one
/// transaction at a time. A transaction that those methods end is over for this guard, too: the guard does not act on a
/// later transaction.
///
/// ```
/// use kafka_producer::{KafkaProducer, OffsetAndMetadata, ProducerRecord, TopicPartition};
///
/// /// Writes bills, and commits the position after the order that they were made from.
/// fn bill(producer: &KafkaProducer<str, str>, order: i64) -> Result<(), Box<dyn std::error::Error>> {
///     let transaction = producer.transaction()?;
///     transaction.send(ProducerRecord::keyed("bills", "7", "12.50"))?;
///     let position = (TopicPartition::new("orders", 0), OffsetAndMetadata::new(order + 1));
///     transaction.send_offsets([position], "billing-group")?;
///     transaction.commit()?; // without it, the drop aborts the transaction
///     Ok(())
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mock = kafka_producer::testing::MockProducer::builder().transactional_id("billing-1");
/// let (producer, mock) = mock.build()?;
/// producer.init_transactions()?;
/// bill(&producer, 17)?;
/// assert_eq!((mock.commit_count(), mock.history().len()), (1, 1));
/// # Ok(())
/// # }
/// ```
///
/// # Blocking
/// Dropping it aborts the transaction, which takes up to `max.block.ms`, also while a panic unwinds. The drop does not
/// panic.
///
/// A guard cannot end its transaction inside a callback, where no call may wait. If it is dropped there, the
/// transaction can only be aborted, as after a failed record: all other calls fail until the program calls
/// [`abort_transaction`](KafkaProducer::abort_transaction), which their errors name. The same applies to
/// [`commit`](Self::commit) and [`abort`](Self::abort) inside a callback. After any other abort that fails in a drop,
/// the error of the next transactional call names the remedy.
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction<'p, K: ?Sized + RecordData, V: ?Sized + RecordData> {
    producer: &'p KafkaProducer<K, V>,
    number: TransactionNumber,
    is_over: bool,
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Begins a transaction, and returns a guard that aborts it unless it is [committed](Transaction::commit).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// # producer.init_transactions()?;
    /// let transaction = producer.transaction()?;
    /// transaction.send(ProducerRecord::keyed("orders", "17", "paid"))?; // an early return aborts the transaction
    /// transaction.commit()?;
    /// assert_eq!(mock.commit_count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`begin_transaction`](Self::begin_transaction).
    ///
    /// # Blocking
    /// Never.
    pub fn transaction(&self) -> Result<Transaction<'_, K, V>, TransactionError> {
        let number = self.begin_numbered()?;
        Ok(Transaction {
            producer: self,
            number,
            is_over: false,
        })
    }

    /// Runs `work` in a transaction: committed if it succeeds, aborted if it returns an error or panics.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// use kafka_producer::{ProducerRecord, SendError};
    ///
    /// # producer.init_transactions()?;
    /// let sent = producer.run_transaction(|transaction| {
    ///     let orders = [("17", "paid"), ("18", "open")];
    ///     for (key, state) in orders {
    ///         transaction.send(ProducerRecord::keyed("orders", key, state))?;
    ///     }
    ///     Ok::<_, SendError>(orders.len())
    /// })?;
    /// assert_eq!((sent, mock.commit_count()), (2, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of `work`, or the reason why the transaction could not be begun or committed. A transaction that could
    /// not be committed has been aborted, if it could be aborted.
    ///
    /// # Blocking
    /// For as long as `work` takes, then up to `max.block.ms` to end the transaction, and as long again if it cannot be
    /// committed and must be aborted.
    pub fn run_transaction<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_, K, V>) -> Result<T, E>,
    ) -> Result<T, TransactionRunError<E>> {
        let transaction = self
            .transaction()
            .map_err(TransactionRunError::Transaction)?;
        // If `work` panics, the guard's drop aborts the transaction while the panic unwinds.
        match work(&transaction) {
            Ok(done) => match transaction.commit_unless_ended() {
                Ok(()) => Ok(done),
                Err(error) => Err(TransactionRunError::Transaction(error)),
            },
            Err(error) => {
                // The error of `work` comes first: the abort must not hide why the transaction failed.
                let aborted = transaction.abort();
                Err(TransactionRunError::Work {
                    error,
                    abort_error: aborted.err(),
                })
            }
        }
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> Transaction<'_, K, V> {
    /// Sends a record as part of the transaction. The record is committed or aborted with the transaction. To get the
    /// record's offset, send it with the [`producer`](Self::producer).
    ///
    /// # Errors
    /// As [`KafkaProducer::send`]: a record that is refused for any reason, also inside a callback, or that fails
    /// later, keeps the transaction from being committed. If the transaction has ended, or is being ended, the record
    /// is refused with [`SendError::Transaction`], and becomes part of no other transaction.
    ///
    /// # Blocking
    /// As [`KafkaProducer::send`].
    pub fn send(&self, record: ProducerRecord<'_, K, V>) -> Result<(), SendError> {
        let none = None::<&mut NoCallback>;
        let sent = self.producer.send_calling(self.number, record, none);
        sent.map(drop).map_err(|error| match error {
            SendError::Transaction(error) => {
                SendError::Transaction(self.producer.error_of(self.number, error))
            }
            other => other,
        })
    }

    /// Commits offsets of a consumer group with the transaction.
    ///
    /// # Errors
    /// As [`KafkaProducer::send_offsets_to_transaction`].
    ///
    /// # Blocking
    /// Up to `max.block.ms`.
    pub fn send_offsets(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        group: impl Into<ConsumerGroupMetadata>,
    ) -> Result<(), TransactionError> {
        let of = Some(self.number);
        self.producer
            .send_offsets_within(of, offsets, group.into(), None)
    }

    /// The producer whose transaction it is.
    pub fn producer(&self) -> &KafkaProducer<K, V> {
        self.producer
    }

    /// Commits the transaction. A transaction that cannot be committed is aborted, if it can be aborted.
    ///
    /// # Errors
    /// As [`KafkaProducer::commit_transaction`]; after [`TimedOut`](crate::TransactionErrorKind::TimedOut) call that
    /// method to learn the outcome.
    ///
    /// # Blocking
    /// Up to `max.block.ms`, and as long again if it must be aborted.
    pub fn commit(mut self) -> Result<(), TransactionError> {
        self.try_commit()
    }

    /// Aborts the transaction.
    ///
    /// # Errors
    /// As [`KafkaProducer::abort_transaction`].
    ///
    /// # Blocking
    /// Up to `max.block.ms`.
    pub fn abort(mut self) -> Result<(), TransactionError> {
        // Set before the call: a failed abort is returned here, and the drop must not try again.
        self.is_over = true;
        let aborted = self.producer.end_transaction(self.number, false);
        aborted.inspect_err(|error| self.producer.fail_unended(self.number, error))
    }

    /// As [`commit`](Self::commit), but accepts that the producer's own methods have ended the transaction, or do so
    /// concurrently.
    fn commit_unless_ended(mut self) -> Result<(), TransactionError> {
        if let Some(outcome) = self.ended_by_others() {
            self.is_over = true;
            return outcome;
        }
        // `WrongState`: another thread may have ended the transaction between the check above and this call.
        match self.try_commit() {
            Err(error) if error.kind() == TransactionErrorKind::WrongState => {
                self.ended_by_others().unwrap_or(Err(error))
            }
            committed => committed,
        }
    }

    fn try_commit(&mut self) -> Result<(), TransactionError> {
        let committed = self.producer.end_transaction(self.number, true);
        // After these errors the transaction is open, and the drop aborts it.
        self.is_over = match &committed {
            Ok(()) => true,
            Err(error) => !matches!(
                error.kind(),
                TransactionErrorKind::Abortable | TransactionErrorKind::Misuse(_)
            ),
        };
        committed
    }

    /// The outcome, if the producer's own methods have ended the transaction.
    fn ended_by_others(&self) -> Option<Result<(), TransactionError>> {
        let failure = match self.producer.end_of(self.number) {
            Ok(None) => return None,
            Ok(Some(TransactionEnd::Committed)) => return Some(Ok(())),
            Ok(Some(TransactionEnd::Aborted)) => TransactionFailure::wrong_state(
                "the transaction was aborted by a method of the producer, not of this guard",
            ),
            // A later transaction has begun.
            Err(failure) => failure,
        };
        let call = TransactionCall::CommitTransaction;
        Some(Err(TransactionError::new(call, failure)))
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> Drop for Transaction<'_, K, V> {
    fn drop(&mut self) {
        // Aborted by number: a transaction that was begun after this one must not be aborted.
        if self.is_over || !matches!(self.producer.end_of(self.number), Ok(None)) {
            return;
        }
        if let Err(error) = self.producer.end_transaction(self.number, false) {
            // Logged only if no other call has ended the transaction meanwhile.
            if matches!(self.producer.end_of(self.number), Ok(None)) {
                self.producer.note_failed_abort(&error);
                self.producer.fail_unended(self.number, &error);
            }
        }
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> fmt::Debug for Transaction<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// Why [`run_transaction`](KafkaProducer::run_transaction) failed.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "it is the work or the transaction that fails"
)]
pub enum TransactionRunError<E> {
    /// The work returned an error, and the transaction was aborted, unless `abort_error` is set.
    Work {
        /// The error that `work` returned.
        error: E,
        /// Why the transaction could not be aborted; `None` if it was aborted.
        abort_error: Option<TransactionError>,
    },
    /// The transaction could not be begun or committed.
    Transaction(TransactionError),
}

impl<E: fmt::Display> fmt::Display for TransactionRunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work {
                error,
                abort_error: None,
            } => write!(f, "the transaction was aborted: {error}"),
            Self::Work {
                error,
                abort_error: Some(abort),
            } => write!(
                f,
                "{error}; and the transaction could not be aborted: {abort}"
            ),
            Self::Transaction(error) => error.fmt(f),
        }
    }
}

/// The text includes the error of `work`, so `source` does not return it. Therefore `E` need not implement
/// [`Error`](std::error::Error), and may be `Box<dyn Error>`, which does not implement it.
impl<E: fmt::Debug + fmt::Display> std::error::Error for TransactionRunError<E> {}
