//! A mock producer: a real producer without brokers, controlled by the test.

mod builder;
mod client;
mod clock;
mod cluster;
mod record;
mod stage;
mod state;

use std::fmt;
use std::sync::Arc;

use self::client::Mocked;
use self::stage::Stage;
use crate::error::{
    CloseError, FlushError, MetadataError, ProduceErrorKind, SendError, TransactionCall,
    TransactionError, TransactionFailure,
};
use crate::producer::call_errors::CallErrors;
use crate::producer::sender::SenderControl;
use crate::producer::transaction::{
    TransactionManagerState as TransactionState, TransactionTally, closed,
};

pub use self::builder::MockProducerBuilder;
pub use self::record::MockRecord;
pub use self::state::GroupOffsets;

/// Controls a [`KafkaProducer`](crate::KafkaProducer) that has neither sockets nor threads, and records what was sent:
/// for unit tests of code that uses a producer.
///
/// The producer is a real one: serializers, partitioner, interceptors, limits, callbacks, futures and transaction
/// states are those of every producer. Only the brokers are mocked. So the code under test keeps its types, and gets
/// the same errors as in production.
///
/// ```
/// use kafka_producer::testing::MockProducer;
/// use kafka_producer::{ErrorCode, KafkaProducer, ProducerRecord, SendError};
///
/// /// The code under test.
/// struct Orders {
///     producer: KafkaProducer<str, str>,
/// }
///
/// impl Orders {
///     fn paid(&self, order: &str) -> Result<bool, SendError> {
///         let future = self.producer.send(ProducerRecord::keyed("orders", order, "paid"))?;
///         Ok(future.get().is_ok())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (producer, mock) = MockProducer::builder().topic("orders", 12).build()?;
/// let orders = Orders { producer };
/// assert!(orders.paid("17")?);
/// assert_eq!(mock.history().len(), 1);
/// assert_eq!(mock.history()[0].key_str(), Some("17"));
///
/// // From now on records stay incomplete until the test completes them.
/// mock.set_auto_complete(false);
/// let future = orders.producer.send(ProducerRecord::keyed("orders", "18", "paid"))?;
/// assert!(!future.is_done());
/// assert!(mock.error_next(ErrorCode::NotEnoughReplicas));
/// assert_eq!(future.get().unwrap_err().code(), Some(ErrorCode::NotEnoughReplicas));
/// # Ok(())
/// # }
/// ```
///
/// # Completing
/// By default the mock completes every record before `send` returns: its callback has been called and its future is
/// done. With [`auto_complete(false)`](MockProducerBuilder::auto_complete) each record stays incomplete until
/// [`complete_next`](Self::complete_next) or [`error_next`](Self::error_next) is called, or until an operation
/// completes all records: `flush`, `close`, or the end of a transaction. `send` never waits. A record that fails with
/// `error_next` is not retried, whatever the error.
///
/// # Threads
/// There is no sender thread. Its work, callbacks included, is done by the thread that sends a record or completes it.
/// So callbacks can run inside `send`: a lock that a callback takes must not be held by the caller of `send`. If
/// several threads use the producer at the same time, one of them does the work for all, so that a record may complete
/// a moment after its `send` has returned. All methods of the mock wait until that work is done.
///
/// # Kafka
/// `org.apache.kafka.clients.producer.MockProducer`. Differs: it controls a producer instead of being one; a
/// transactional producer accepts records inside transactions only, as with real brokers, and an error makes the
/// transaction fail as with real brokers; `close` completes incomplete records successfully, and `close_timeout` with
/// zero fails them; [`clear`](Self::clear) keeps incomplete records.
#[derive(Clone)]
pub struct MockProducer {
    mocked: Arc<Mocked>,
    stage: Arc<Stage>,
    control: Arc<SenderControl>,
    call_errors: Arc<CallErrors>,
}

impl MockProducer {
    /// A builder of a producer and its controller.
    pub fn builder() -> MockProducerBuilder {
        MockProducerBuilder::new()
    }

    // ---- records

    /// Completes the oldest incomplete record successfully. Returns false if there is none.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::testing::MockProducer;
    /// use kafka_producer::{KafkaProducer, ProducerRecord};
    ///
    /// let builder = MockProducer::builder().auto_complete(false);
    /// let (producer, mock): (KafkaProducer<str, str>, _) = builder.build()?;
    /// let future = producer.send(ProducerRecord::new("orders", "tea"))?;
    /// assert!(!future.is_done());
    /// assert!(mock.complete_next());
    /// assert_eq!(future.get()?.offset(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn complete_next(&self) -> bool {
        self.end_next(None)
    }

    /// Completes the oldest incomplete record with an error. Returns false if there is none.
    ///
    /// An [`ErrorCode`](crate::ErrorCode) stands for a broker's response to the record's batch, and some codes leave open
    /// whether the batch was written: with `UnknownTopicOrPartition`, for example,
    /// [`may_be_written`](crate::ProduceError::may_be_written) is true. The error of a topic that was never found is the
    /// kind [`UnknownTopicOrPartition`](ProduceErrorKind::UnknownTopicOrPartition). With the kinds
    /// [`DeliveryTimeout`](ProduceErrorKind::DeliveryTimeout), [`Network`](ProduceErrorKind::Network) and
    /// [`Closed`](ProduceErrorKind::Closed) the record may have been written, too.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::testing::MockProducer;
    /// use kafka_producer::{ErrorCode, KafkaProducer, ProducerRecord};
    ///
    /// let builder = MockProducer::builder().auto_complete(false);
    /// let (producer, mock): (KafkaProducer<str, str>, _) = builder.build()?;
    /// let future = producer.send(ProducerRecord::new("orders", "tea"))?;
    /// assert!(mock.error_next(ErrorCode::TopicAuthorizationFailed));
    /// let error = future.get().unwrap_err();
    /// assert!(!error.may_be_written());
    /// # Ok(())
    /// # }
    /// ```
    pub fn error_next(&self, error: impl Into<ProduceErrorKind>) -> bool {
        self.end_next(Some(error.into()))
    }

    fn end_next(&self, failure: Option<ProduceErrorKind>) -> bool {
        self.stage.settle();
        let found = self.mocked.state.lock().decide_next(failure);
        self.stage.settle();
        found
    }

    /// Sets whether records complete as they are sent. With true all incomplete records complete now.
    pub fn set_auto_complete(&self, auto_complete: bool) {
        self.mocked.state.lock().auto_complete = auto_complete;
        self.stage.settle();
    }

    /// All records sent since [`clear`](Self::clear), in order: complete, failed and incomplete ones. Records of a
    /// transaction are added when it is committed.
    pub fn history(&self) -> Vec<MockRecord> {
        self.stage.settle();
        self.mocked.state.lock().history.clone()
    }

    /// The records of the transaction that was begun and neither committed nor aborted.
    pub fn uncommitted_records(&self) -> Vec<MockRecord> {
        self.stage.settle();
        self.mocked.state.lock().uncommitted.clone()
    }

    /// True if every record that was sent is complete.
    pub fn flushed(&self) -> bool {
        self.stage.settle();
        self.mocked.state.lock().is_flushed()
    }

    /// Whether the producer was closed, or has [failed](Self::fail_producer).
    pub fn closed(&self) -> bool {
        !self.control.is_running()
    }

    /// Clears the history of records and offsets. Incomplete records stay incomplete.
    pub fn clear(&self) {
        self.stage.settle();
        self.mocked.state.lock().clear();
    }

    // ---- transactions

    /// The offsets of consumer groups that transactions have committed since [`clear`](Self::clear), one entry for each
    /// transaction with offsets.
    pub fn consumer_group_offsets_history(&self) -> Vec<GroupOffsets> {
        self.stage.settle();
        self.mocked.state.lock().committed_offsets.clone()
    }

    /// The offsets of consumer groups in the open transaction.
    pub fn uncommitted_offsets(&self) -> GroupOffsets {
        self.stage.settle();
        self.mocked.state.lock().uncommitted_offsets.clone()
    }

    /// Whether offsets were sent in the current or last transaction.
    pub fn sent_offsets(&self) -> bool {
        let begun = self.tally().begun;
        let sent_in = self.mocked.state.lock().offsets_sent_in;
        sent_in.is_some_and(|transaction| transaction == begun)
    }

    /// Whether `init_transactions` has been called.
    pub fn transaction_initialized(&self) -> bool {
        self.tally().is_initialized
    }

    /// Whether a transaction was begun that was neither committed nor aborted.
    pub fn transaction_in_flight(&self) -> bool {
        self.tally().is_open()
    }

    /// Whether the last transaction was committed, and none was begun since.
    pub fn transaction_committed(&self) -> bool {
        let tally = self.tally();
        tally.committed > 0 && !tally.is_open() && tally.last_was_committed
    }

    /// Whether the last transaction was aborted, and none was begun since.
    pub fn transaction_aborted(&self) -> bool {
        let tally = self.tally();
        tally.aborted > 0 && !tally.is_open() && !tally.last_was_committed
    }

    /// How many transactions were committed.
    pub fn commit_count(&self) -> u64 {
        self.tally().committed
    }

    fn tally(&self) -> TransactionTally {
        self.stage.settle();
        let transactions = self.mocked.transactions();
        transactions.map_or_else(TransactionTally::default, |transactions| {
            transactions.tally()
        })
    }

    /// Fences the producer, as if another producer with the same `transactional.id` had been initialized: from now on
    /// its calls fail. An open transaction can be neither committed nor aborted any more: as with Java's mock producer,
    /// [`transaction_in_flight`](Self::transaction_in_flight) and [`uncommitted_records`](Self::uncommitted_records)
    /// still return it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let mock = MockProducer::builder().topic("orders", 3).transactional_id("orders-1");
    /// # let (producer, mock) = mock.build::<str, str>()?;
    /// producer.init_transactions()?;
    /// mock.fence_producer()?;
    /// let error = producer.begin_transaction().unwrap_err();
    /// assert!(error.is_fenced());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the producer is closed, not transactional or not initialized, or has failed before. Its state does not change
    /// then.
    pub fn fence_producer(&self) -> Result<(), TransactionError> {
        let refused = |failure| {
            Err(TransactionError::new(
                TransactionCall::FenceProducer,
                failure,
            ))
        };
        if self.closed() {
            return refused(closed());
        }
        let transactions = self.mocked.transactions();
        let Some(transactions) = transactions.filter(|_| self.tally().is_initialized) else {
            return refused(TransactionFailure::wrong_state(
                "the producer is not initialized for transactions",
            ));
        };
        if transactions.state() == TransactionState::FatalError {
            return refused(transactions.failure().unwrap_or_else(closed));
        }
        self.mocked.state.lock().is_to_be_fenced = true;
        self.stage.settle();
        Ok(())
    }

    // ---- failure of the producer

    /// Makes the producer fail for good, as a panic of its sender thread with this message would: its
    /// [`state`](crate::KafkaProducer::state) is [`Failed`](crate::LifecycleState::Failed), incomplete records fail
    /// with [`ProduceErrorKind::ProducerFailed`], and no more are taken ([`SendError::ProducerFailed`]). For tests of
    /// liveness probes, and of code that replaces a failed producer. Returns false if the producer was closed or has
    /// failed before; nothing changes then.
    ///
    /// ```
    /// use kafka_producer::testing::MockProducer;
    /// use kafka_producer::{KafkaProducer, LifecycleState};
    ///
    /// /// The code under test: the HTTP status of a liveness probe.
    /// fn liveness(producer: &KafkaProducer<str, str>) -> u16 {
    ///     match producer.state() {
    ///         LifecycleState::Failed(_) | LifecycleState::TransactionsFailed(_) => 503,
    ///         _ => 200,
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (producer, mock) = MockProducer::builder().build()?;
    /// assert_eq!(liveness(&producer), 200);
    /// assert!(mock.fail_producer("out of memory"));
    /// assert_eq!(liveness(&producer), 503);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Kafka
    /// No counterpart: Java's I/O thread logs an unexpected exception and goes on.
    pub fn fail_producer(&self, panic_message: impl Into<String>) -> bool {
        if self.closed() {
            return false;
        }
        self.mocked.state.lock().fails_with = Some(panic_message.into());
        self.stage.settle();
        true
    }

    // ---- errors of calls

    /// Makes `send` and `try_send` fail immediately with this error, until it is set to `None`. An open transaction can
    /// then only be aborted, as after any other refused record, unless the error is a [`SendError::Transaction`].
    ///
    /// ```
    /// use kafka_producer::testing::MockProducer;
    /// use kafka_producer::{ProducerRecord, SendError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (producer, mock) = MockProducer::builder().build::<str, str>()?;
    /// mock.set_send_error(SendError::Closed);
    /// assert!(producer.send(ProducerRecord::new("orders", "tea")).is_err());
    /// mock.set_send_error(None);
    /// assert!(producer.send(ProducerRecord::new("orders", "tea")).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_send_error(&self, error: impl Into<Option<SendError>>) {
        self.call_errors.set(|set| &mut set.send, error.into());
    }

    /// Makes `flush` fail immediately with this error, until it is set to `None`.
    pub fn set_flush_error(&self, error: impl Into<Option<FlushError>>) {
        self.call_errors.set(|set| &mut set.flush, error.into());
    }

    /// Makes `close` fail immediately with this error, until it is set to `None`. Dropping the producer closes it all
    /// the same.
    pub fn set_close_error(&self, error: impl Into<Option<CloseError>>) {
        self.call_errors.set(|set| &mut set.close, error.into());
    }

    /// Makes `partitions_for` fail immediately with this error, until it is set to `None`.
    pub fn set_partitions_for_error(&self, error: impl Into<Option<MetadataError>>) {
        self.call_errors
            .set(|set| &mut set.partitions_for, error.into());
    }

    /// Makes `init_transactions` fail immediately with this error, until it is set to `None`. Build the error with a
    /// [`TransactionErrorBuilder`](super::TransactionErrorBuilder).
    pub fn set_init_transactions_error(&self, error: impl Into<Option<TransactionError>>) {
        self.call_errors
            .set(|set| &mut set.init_transactions, error.into());
    }

    /// Makes `begin_transaction` fail immediately with this error, until it is set to `None`.
    pub fn set_begin_transaction_error(&self, error: impl Into<Option<TransactionError>>) {
        self.call_errors
            .set(|set| &mut set.begin_transaction, error.into());
    }

    /// Makes `send_offsets_to_transaction` fail immediately with this error, until it is set to `None`.
    pub fn set_send_offsets_to_transaction_error(
        &self,
        error: impl Into<Option<TransactionError>>,
    ) {
        self.call_errors
            .set(|set| &mut set.send_offsets_to_transaction, error.into());
    }

    /// Makes `commit_transaction` fail immediately with this error, until it is set to `None`. To test a transaction
    /// that really cannot be committed, fail one of its records instead.
    ///
    /// The error does not change the producer's state. After a real commit timeout the producer rejects other calls
    /// until the same call is retried, and after fencing it rejects all calls. After an error that is set here it does
    /// neither.
    pub fn set_commit_transaction_error(&self, error: impl Into<Option<TransactionError>>) {
        self.call_errors
            .set(|set| &mut set.commit_transaction, error.into());
    }

    /// Makes `abort_transaction` fail immediately with this error, until it is set to `None`.
    pub fn set_abort_transaction_error(&self, error: impl Into<Option<TransactionError>>) {
        self.call_errors
            .set(|set| &mut set.abort_transaction, error.into());
    }
}

impl fmt::Debug for MockProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockProducer")
            .field("closed", &self.closed())
            .finish_non_exhaustive()
    }
}
