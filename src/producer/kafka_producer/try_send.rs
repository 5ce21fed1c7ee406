//! Sending records without waiting: `try_send`.

use super::KafkaProducer;
use crate::error::{ProduceError, TrySendReason};
use crate::producer::accumulator::{AnyTransaction, TransactionNumber};
use crate::producer::future::{CallbackFuture, FutureRecordMetadata};
use crate::producer::quick_send::send_quickly;
use crate::producer::record::{ProducerRecord, RecordData};
use crate::producer::record_metadata::RecordMetadata;
use crate::producer::send_attempt::SendProgress;
use crate::producer::send_errors::make_transaction_abortable;
use crate::producer::thunks::{AnyCallback, NoCallback, UntakenCallback};
use crate::producer::try_send::{TrySendError, as_produce_error};

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Non-blocking [`send`](Self::send): a record that cannot be appended at once is returned.
    ///
    /// The metadata of an unknown topic is requested, so that a later attempt may succeed. If the last response of the
    /// brokers was that the topic or partition does not exist, or that access is refused, the error has this reason;
    /// the metadata is requested again all the same.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// let (mut sent, mut later) = (Vec::new(), Vec::new());
    /// match producer.try_send(ProducerRecord::keyed("orders", "7", "tea")) {
    ///     Ok(future) => sent.push(future), // its result is there later
    ///     Err(error) if error.reason().would_block() => later.push(error.into_record()),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # assert_eq!((sent.len(), later.len()), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The record, as it was before interceptors, and the reason of the refusal. After a fork, as with
    /// [`send`](Self::send), a record that needs a new batch is returned with
    /// [`Misuse::Forked`](crate::Misuse::Forked), and the future of an accepted record returns that error.
    ///
    /// A reason that [would block](TrySendReason::would_block) does not affect an open transaction, since the record is
    /// not lost. Any other reason keeps the transaction from being committed, as with [`send`](Self::send).
    ///
    /// # Blocking
    /// Never.
    #[allow(
        clippy::result_large_err,
        reason = "the error gives the record back to the caller"
    )]
    pub fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, K, V>,
    ) -> Result<FutureRecordMetadata, TrySendError<'a, K, V>> {
        self.try_send_calling(record, None::<&mut NoCallback>)
    }

    /// As [`try_send`](Self::try_send), and calls `callback` once with the metadata or error of an accepted record.
    ///
    /// ```
    /// # let (producer, mock) = kafka_producer::testing::MockProducer::builder().topic("orders", 1).build().unwrap();
    /// use std::sync::mpsc;
    ///
    /// use kafka_producer::ProducerRecord;
    ///
    /// let (responder, response) = mpsc::channel();
    /// let respond = move |outcome: Result<&_, &_>| {
    ///     let _ = responder.send(if outcome.is_ok() { 200 } else { 503 });
    /// };
    /// # let producer: kafka_producer::KafkaProducer<str, str> = producer;
    /// if let Err(refused) = producer.try_send_with_callback(ProducerRecord::new("orders", "1"), respond) {
    ///     // The callback comes back with the record, and what it owns can be used.
    ///     let (_record, _respond) = refused.into_parts();
    /// }
    /// assert_eq!(response.recv(), Ok(200));
    /// ```
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send); the callback is returned with the record, and is not called.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Threads
    /// The callback runs on the producer's thread.
    #[allow(
        clippy::result_large_err,
        reason = "the error gives the record back to the caller"
    )]
    pub fn try_send_with_callback<'a, C>(
        &self,
        record: ProducerRecord<'a, K, V>,
        callback: C,
    ) -> Result<CallbackFuture, TrySendError<'a, K, V, C>>
    where
        C: FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static,
    {
        let mut untaken = Some(callback);
        match self.try_send_calling(record, Some(&mut untaken)) {
            Ok(future) => Ok(CallbackFuture::new(future)),
            Err(refused) => {
                let callback = untaken.expect("only a batch takes the callback, with the record");
                Err(refused.with_callback(callback))
            }
        }
    }

    #[inline]
    #[allow(
        clippy::result_large_err,
        reason = "the error gives the record back to the caller"
    )]
    fn try_send_calling<'a, C: UntakenCallback + 'static>(
        &self,
        record: ProducerRecord<'a, K, V>,
        mut callback: Option<&mut C>,
    ) -> Result<FutureRecordMetadata, TrySendError<'a, K, V>> {
        let refused = |record, reason| TrySendError {
            record,
            reason,
            callback: (),
        };
        #[cfg(feature = "testing")]
        if let Err(error) = self.check_set_error(self.transaction_number()) {
            return Err(refused(record, TrySendReason::Call(error)));
        }
        let interceptors = &self.plugins.interceptors;
        if interceptors.is_empty() {
            // Fast path: no interceptor can change the record, so the record need not be cloned.
            let (core, plugins) = (&self.core, &self.plugins);
            let callback = callback.as_deref_mut();
            let quick = send_quickly(core, plugins, AnyTransaction, &record, callback);
            if let Some(appended) = quick {
                return Ok(FutureRecordMetadata::pending(appended));
            }
        }
        let callback = callback.map(|callback| callback as &mut AnyCallback);
        let of = self.transaction_number();
        let outcome = match self.check_depth(of) {
            Err(error) => Err(TrySendReason::Call(error)),
            // Interceptors get a copy: a refused record is returned as it was given.
            Ok(()) => match interceptors.on_send_of_copy(&record) {
                Some(changed) => self.try_once(of, &changed, callback),
                None => self.try_once(of, &record, callback),
            },
        };
        outcome.map_err(|reason| refused(record, reason))
    }

    fn try_once(
        &self,
        of: TransactionNumber,
        record: &ProducerRecord<'_, K, V>,
        callback: Option<&mut AnyCallback>,
    ) -> Result<FutureRecordMetadata, TrySendReason> {
        let attempt = self.send_call_of(of, record, record.headers.clone(), callback);
        let mut attempt = attempt.without_waiting();
        let not_taken = match attempt.advance() {
            Ok(SendProgress::Appended(future)) => return Ok(future),
            Ok(SendProgress::NeedsTopic) => attempt
                .known_topic_error()
                .ok_or(TrySendReason::TopicNotKnown),
            Ok(SendProgress::NeedsMemory) => Err(TrySendReason::MemoryFull),
            Err(refusal) => Ok(refusal),
        };
        // Only a refusal affects the transaction. A record that cannot be accepted now is not lost: the caller gets it
        // back.
        let reason = not_taken.map_or_else(
            |not_now| not_now,
            |refusal| {
                make_transaction_abortable(&self.core, of, &refusal);
                attempt.counted(refusal).into()
            },
        );
        let interceptors = &self.plugins.interceptors;
        if !interceptors.is_empty() {
            let error = as_produce_error(&reason, &record.topic);
            interceptors.on_send_error(&record.topic, attempt.partition(), &error);
        }
        Err(reason)
    }
}
