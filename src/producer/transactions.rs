//! Transactional API of the producer: `init_transactions`, `begin_transaction`, `send_offsets_to_transaction`,
//! `commit_transaction`, `abort_transaction`.

use std::sync::Arc;
use std::time::Duration;

use super::accumulator::TransactionNumber;
use super::kafka_producer::KafkaProducer;
use super::operation_call::{OperationCall, refused, transactions_of};
use super::record::RecordData;
use super::transaction::{OffsetsToCommit, Operation, TransactionEnd};
use crate::error::{TransactionCall, TransactionError, TransactionErrorKind, TransactionFailure};
use crate::metrics::tables::CallSensor;
use crate::types::{ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition};
use crate::util::log::warn;

/// # Transactions
///
/// With a `transactional.id` records are sent in transactions: a consumer with `isolation.level=read_committed` sees
/// either all records of a transaction, if it is committed, or none of them. Offsets of a consumer group can be
/// committed with a transaction, so that a program that reads records, processes them and writes the results does so
/// exactly once, whatever fails.
///
/// ```no_run
/// # use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ProducerConfig::builder()
///     .bootstrap_servers(["localhost:9092"])
///     .transactional_id("orders-1")
///     .build()?;
/// let producer = KafkaProducer::<str, str>::new(config)?;
/// producer.init_transactions()?;
/// producer.run_transaction(|transaction| {
///     transaction.send(ProducerRecord::keyed("orders", "17", "paid"))?;
///     transaction.send(ProducerRecord::keyed("bills", "17", "12.50"))
/// })?;
/// # Ok(())
/// # }
/// ```
impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    fn run_call(
        &self,
        operation: Operation,
        timeout: Option<Duration>,
    ) -> Result<(), TransactionError> {
        self.run_call_of(None, operation, timeout)
    }

    /// As `run_call`, but fails if `of` is given and is not the newest transaction.
    fn run_call_of(
        &self,
        of: Option<TransactionNumber>,
        operation: Operation,
        timeout: Option<Duration>,
    ) -> Result<(), TransactionError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| match operation {
            Operation::Init => &set.init_transactions,
            Operation::SendOffsets(_) => &set.send_offsets_to_transaction,
            Operation::Commit => &set.commit_transaction,
            Operation::Abort => &set.abort_transaction,
        })?;
        let sensor = match operation {
            Operation::Init => CallSensor::TransactionInit,
            Operation::SendOffsets(_) => CallSensor::TransactionSendOffsets,
            Operation::Commit => CallSensor::TransactionCommit,
            Operation::Abort => CallSensor::TransactionAbort,
        };
        let mut call = OperationCall::new(&self.core, operation, timeout).of(of);
        self.core
            .timed(sensor, || self.core.driver().run(&mut call))
    }

    /// The error of a call about the transaction with this number, which also says whether the transaction may be
    /// committed.
    pub(super) fn error_of(
        &self,
        of: TransactionNumber,
        error: TransactionError,
    ) -> TransactionError {
        error.map(|failure| refused(&self.core, Some(of), failure))
    }

    /// Commits or aborts the transaction with this number.
    pub(super) fn end_transaction(
        &self,
        of: TransactionNumber,
        commits: bool,
    ) -> Result<(), TransactionError> {
        let operation = if commits {
            Operation::Commit
        } else {
            Operation::Abort
        };
        self.run_call_of(Some(of), operation, None)
    }

    /// The outcome of the transaction with this number, or `None` if it has not ended. Fails if another transaction has
    /// begun since.
    pub(super) fn end_of(
        &self,
        of: TransactionNumber,
    ) -> Result<Option<TransactionEnd>, TransactionFailure> {
        match &self.core.transactions {
            Some(transactions) => transactions.end_of(of),
            None => Ok(None),
        }
    }

    /// Initializes transactions: to be called once, before any other transactional call. An open transaction of an
    /// earlier producer with the same `transactional.id` is completed first, and that producer is fenced if it still
    /// runs.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// // Brokers that start at the same time as the program may need longer than `max.block.ms`.
    /// while let Err(error) = producer.init_transactions() {
    ///     if !error.is_retriable() {
    ///         return Err(error.into());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`](TransactionErrorKind::TimedOut): call it again. [`Fatal`](TransactionErrorKind::Fatal) if the
    /// brokers refuse the id, the timeout (`transaction.timeout.ms`) or the client.
    ///
    /// # Blocking
    /// Up to `max.block.ms`.
    ///
    /// # Kafka
    /// `KafkaProducer#initTransactions`.
    pub fn init_transactions(&self) -> Result<(), TransactionError> {
        self.run_call(Operation::Init, None)
    }

    /// As [`init_transactions`](Self::init_transactions), with a limit on the wait: `timeout`.
    ///
    /// # Errors
    /// As [`init_transactions`](Self::init_transactions).
    pub fn init_transactions_timeout(&self, timeout: Duration) -> Result<(), TransactionError> {
        self.run_call(Operation::Init, Some(timeout))
    }

    /// Begins a transaction: records that are sent from now on, by whatever thread, are part of it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// producer.init_transactions()?; // once
    /// producer.begin_transaction()?;
    /// producer.send(ProducerRecord::keyed("orders", "17", "paid"))?;
    /// producer.commit_transaction()?;
    /// assert_eq!(mock.commit_count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WrongState`](TransactionErrorKind::WrongState) if a transaction is open, or the producer is not ready.
    /// [`Abortable`](TransactionErrorKind::Abortable) if the previous transaction failed and was not aborted.
    ///
    /// # Blocking
    /// Never. No request is sent before the transaction's first record.
    ///
    /// # Kafka
    /// `KafkaProducer#beginTransaction`.
    pub fn begin_transaction(&self) -> Result<(), TransactionError> {
        self.begin_numbered().map(drop)
    }

    pub(super) fn begin_numbered(&self) -> Result<TransactionNumber, TransactionError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| &set.begin_transaction)?;
        let begun = self.core.timed(CallSensor::TransactionBegin, || {
            transactions_of(&self.core, None).and_then(|(_, transactions)| transactions.begin())
        });
        begun.map_err(|failure| TransactionError::new(TransactionCall::BeginTransaction, failure))
    }

    /// Commits offsets of a consumer group with the transaction: they are visible to the group when the transaction is
    /// committed, and never if it is aborted. Each offset is that of the next record to be read. `group` may be the
    /// name of the group (`"my-group"`); better is the consumer's own [`ConsumerGroupMetadata`].
    ///
    /// Calls of several threads are carried out one after the other, in the order in which they were begun. After a
    /// timeout, a call with the same offsets sends nothing: it waits for the result of the call that timed out, unless
    /// other offsets of the group were sent meanwhile. A call with other offsets is carried out after the call that timed
    /// out. While a hundred calls have no result yet, a further one waits for the oldest of them before it is begun.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// use kafka_producer::{OffsetAndMetadata, ProducerRecord, TopicPartition};
    ///
    /// # producer.init_transactions()?;
    /// producer.begin_transaction()?;
    /// producer.send(ProducerRecord::keyed("orders", "17", "paid"))?;
    /// // The record was made from the one at offset 41.
    /// let next = (TopicPartition::new("payments", 0), OffsetAndMetadata::new(42));
    /// producer.send_offsets_to_transaction([next], "billing-group")?;
    /// producer.commit_transaction()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`](TransactionErrorKind::TimedOut): call it again with the same offsets, or end the transaction. If the
    /// text says that it was not begun, a commit would not include the offsets: then call it again, or abort.
    /// [`Abortable`](TransactionErrorKind::Abortable) if the consumer is no longer a member of the group's current
    /// generation, access to the group is refused, or an offset's metadata is larger than the brokers allow.
    /// [`InvalidOffsets`](TransactionErrorKind::InvalidOffsets) if no broker would accept the offsets; the transaction
    /// is not changed then.
    ///
    /// # Blocking
    /// Up to `max.block.ms`.
    ///
    /// # Kafka
    /// `KafkaProducer#sendOffsetsToTransaction` (KIP-98, KIP-447).
    pub fn send_offsets_to_transaction(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        group: impl Into<ConsumerGroupMetadata>,
    ) -> Result<(), TransactionError> {
        self.send_offsets_within(None, offsets, group.into(), None)
    }

    /// As [`send_offsets_to_transaction`](Self::send_offsets_to_transaction), with a limit on the wait: `timeout`.
    ///
    /// # Errors
    /// As [`send_offsets_to_transaction`](Self::send_offsets_to_transaction).
    pub fn send_offsets_to_transaction_timeout(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        group: impl Into<ConsumerGroupMetadata>,
        timeout: Duration,
    ) -> Result<(), TransactionError> {
        self.send_offsets_within(None, offsets, group.into(), Some(timeout))
    }

    pub(super) fn send_offsets_within(
        &self,
        of: Option<TransactionNumber>,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        group: ConsumerGroupMetadata,
        timeout: Option<Duration>,
    ) -> Result<(), TransactionError> {
        let operation = self.offsets_operation(of, offsets, group)?;
        self.run_call_of(of, operation, timeout)
    }

    fn offsets_operation(
        &self,
        of: Option<TransactionNumber>,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        group: ConsumerGroupMetadata,
    ) -> Result<Operation, TransactionError> {
        let offsets = OffsetsToCommit::new(group, offsets);
        // Checked before the transaction is touched: offsets that no broker accepts leave it usable.
        match offsets.fault() {
            None => Ok(Operation::SendOffsets(Arc::new(offsets))),
            Some(fault) => {
                let kind = TransactionErrorKind::InvalidOffsets;
                let failure = TransactionFailure::new(kind, None, fault);
                Err(TransactionError::new(
                    TransactionCall::SendOffsetsToTransaction,
                    refused(&self.core, of, failure),
                ))
            }
        }
    }

    /// Commits the transaction: flushes its batches, waits until all are acknowledged, then ends it. Records that other
    /// threads send meanwhile are refused.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// # producer.init_transactions()?;
    /// # producer.begin_transaction()?;
    /// loop {
    ///     match producer.commit_transaction() {
    ///         Ok(()) => break,
    ///         Err(error) if error.is_retriable() => eprintln!("{error}"), // the next call resumes waiting
    ///         Err(error) if error.is_abortable() => {
    ///             while let Err(error) = producer.abort_transaction() {
    ///                 if !error.is_retriable() {
    ///                     return Err(error.into());
    ///                 }
    ///             }
    ///             break; // repeat the records in another transaction
    ///         }
    ///         // After a fatal error (`is_fatal`) the producer can only be closed. Any other is a mistake in the
    ///         // program, such as a commit without a transaction.
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// }
    /// # assert_eq!(mock.commit_count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`](TransactionErrorKind::TimedOut): the transaction may be committed or not; call it again.
    /// [`Abortable`](TransactionErrorKind::Abortable) if a record of the transaction was not written, or offsets were
    /// refused: nothing of the transaction is visible; abort it.
    ///
    /// # Blocking
    /// Up to `max.block.ms`.
    ///
    /// # Kafka
    /// `KafkaProducer#commitTransaction`.
    pub fn commit_transaction(&self) -> Result<(), TransactionError> {
        self.run_call(Operation::Commit, None)
    }

    /// As [`commit_transaction`](Self::commit_transaction), with a limit on the wait: `timeout`.
    ///
    /// # Errors
    /// As [`commit_transaction`](Self::commit_transaction).
    pub fn commit_transaction_timeout(&self, timeout: Duration) -> Result<(), TransactionError> {
        self.run_call(Operation::Commit, Some(timeout))
    }

    /// Aborts the transaction: consumers with `isolation.level=read_committed` see nothing of it. Queued records fail
    /// with [`TransactionAborted`](crate::ProduceErrorKind::TransactionAborted).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// # producer.init_transactions()?;
    /// producer.begin_transaction()?;
    /// producer.send(ProducerRecord::keyed("orders", "17", "paid"))?;
    /// producer.abort_transaction()?;
    /// assert!(mock.history().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`](TransactionErrorKind::TimedOut): call it again.
    ///
    /// # Blocking
    /// Up to `max.block.ms`.
    ///
    /// # Kafka
    /// `KafkaProducer#abortTransaction`.
    pub fn abort_transaction(&self) -> Result<(), TransactionError> {
        self.run_call(Operation::Abort, None)
    }

    /// As [`abort_transaction`](Self::abort_transaction), with a limit on the wait: `timeout`.
    ///
    /// # Errors
    /// As [`abort_transaction`](Self::abort_transaction).
    pub fn abort_transaction_timeout(&self, timeout: Duration) -> Result<(), TransactionError> {
        self.run_call(Operation::Abort, Some(timeout))
    }

    pub(super) fn note_failed_abort(&self, error: &TransactionError) {
        warn!(
            self.core.instance.log(),
            "a transaction was dropped and could not be aborted: {error}"
        );
    }

    /// Makes the transaction with this number abortable, because its guard is gone and could not end it: nothing may
    /// commit it now. No effect if the transaction is being ended or has ended. Never blocks.
    pub(super) fn fail_unended(&self, of: TransactionNumber, error: &TransactionError) {
        if let Some(transactions) = &self.core.transactions {
            let kind = TransactionErrorKind::Abortable;
            let message =
                format!("call abort_transaction, because its guard could not end it: {error}");
            transactions.make_abortable(of, &TransactionFailure::new(kind, None, message));
            // The sender drops the queued records.
            self.core.waker.wake();
        }
    }

    /// A transactional call as a state machine, for callers that step it themselves.
    #[cfg(any(test, all(feature = "testing", feature = "_internals")))]
    pub(crate) fn transaction_call(
        &self,
        operation: Operation,
        timeout: Option<Duration>,
    ) -> OperationCall<'_> {
        OperationCall::new(&self.core, operation, timeout)
    }
}
