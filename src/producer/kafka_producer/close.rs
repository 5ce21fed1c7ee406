//! Closing the producer and its plug-ins, by a call or by dropping it.

use std::sync::Arc;
use std::time::Duration;

use super::KafkaProducer;
use crate::error::{CloseError, Misuse};
use crate::producer::close::{Close, ClosePlugins};
use crate::producer::record::RecordData;
use crate::sync::atomic::Ordering;
use crate::util::log::{info, warn};

/// Close timeout of a dropped producer.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Closes the producer: sends all queued records, then stops the sender thread. New records are refused.
    ///
    /// May be called more than once, and while other threads send.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use kafka_producer::ProducerRecord;
    ///
    /// let future = producer.send(ProducerRecord::new("orders", "tea"))?;
    /// if let Err(error) = producer.close() {
    ///     eprintln!("not everything was delivered: {error}");
    /// }
    /// assert!(future.is_done());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Undelivered records or an open transaction, or the failure of a plug-in; the producer is closed all the same.
    /// Inside a callback of the same producer the call is refused and nothing is closed.
    ///
    /// # Blocking
    /// Until every record is acknowledged or has failed; `delivery.timeout.ms` limits the wait.
    ///
    /// # Kafka
    /// `KafkaProducer#close`.
    pub fn close(&self) -> Result<(), CloseError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| &set.close)?;
        self.close_within(None)
    }

    /// As [`close`](Self::close), but aborts the records that are not delivered when `timeout` expires; zero aborts
    /// them at once. The errors of their futures say whether they may have been written.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// use std::time::Duration;
    /// use kafka_producer::CloseError;
    ///
    /// match producer.close_timeout(Duration::from_secs(20)) {
    ///     Ok(()) => {}
    ///     Err(CloseError::Undelivered { records, .. }) => eprintln!("{records} records were not delivered"),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`close`](Self::close), and [`CloseError::Undelivered`] with the number of aborted records.
    ///
    /// # Blocking
    /// Up to `timeout`, then up to 10 s for a running callback or the compression of a batch. Then for as long as your
    /// code takes: the `close` methods of interceptors, metrics reporters, serializers and the partitioner, on
    /// whichever thread they run, and the destructors of thread-locals that callbacks have used on the producer's
    /// thread.
    pub fn close_timeout(&self, timeout: Duration) -> Result<(), CloseError> {
        #[cfg(feature = "testing")]
        self.core.check_call(|set| &set.close)?;
        self.close_within(Some(timeout))
    }

    fn close_within(&self, timeout: Option<Duration>) -> Result<(), CloseError> {
        let closed = self.core.driver().run(&mut self.close_call(timeout));
        if matches!(closed, Err(CloseError::Undelivered { .. })) {
            self.returned_undelivered.store(true, Ordering::Release);
        }
        // A refused call must not join: inside a callback this is the sender thread itself.
        if !matches!(closed, Err(CloseError::Misuse(_))) {
            self.thread.join_if_ended();
        }
        closed
    }

    /// [`close`](Self::close), or with a timeout [`close_timeout`](Self::close_timeout), as steps.
    pub(crate) fn close_call(&self, timeout: Option<Duration>) -> Close<'_> {
        let plugins = ClosePlugins {
            close: Box::new(|| self.close_plugins()),
            closed: &self.plugins_closed,
        };
        Close::new(&self.core, &self.thread, timeout, plugins)
    }

    /// Closes interceptors, metrics reporters, serializers and partitioner, once; returns the first failure (KP-54).
    fn close_plugins(&self) -> Result<(), Arc<str>> {
        if !self.begins_to_close_plugins() {
            return Ok(());
        }
        // No further listener is called: the sender thread may still run, in user code that does not return.
        self.core.metadata.close_listeners();
        // The latch is set after the last plug-in: concurrent `close` calls wait for it.
        let closed = self.plugins.close();
        self.plugins_closed.set(());
        closed
    }

    /// Whether this call is the first to close the plug-ins.
    fn begins_to_close_plugins(&self) -> bool {
        if self.plugins_closing.swap(true, Ordering::AcqRel) {
            return false;
        }
        info!(self.core.instance.log(), "closed");
        true
    }
}

/// Closes the producer if it was not closed: sends queued records for up to 10 s, then aborts the remaining records and
/// logs a warning. Call [`close`](KafkaProducer::close) to wait longer and to get the result.
///
/// # Blocking
/// Up to 10 s, then up to 10 s for a running callback. Inside a callback, or any other code that the producer's thread
/// runs, the drop does not wait: the remaining records fail, and that thread closes the plug-ins after the callbacks of
/// these records. After a fork the drop does not wait either.
impl<K: ?Sized + RecordData, V: ?Sized + RecordData> Drop for KafkaProducer<K, V> {
    fn drop(&mut self) {
        let was_told = self.returned_undelivered.load(Ordering::Acquire);
        match self.close_within(Some(DROP_TIMEOUT)) {
            // In a forked child the sender thread does not exist, and the parent's connections must not be touched.
            Ok(()) | Err(CloseError::Misuse(Misuse::Forked)) => {}
            Err(CloseError::Misuse(Misuse::InsideCallback)) => {
                warn!(
                    self.core.instance.log(),
                    "a producer was dropped inside one of its callbacks; its remaining records fail"
                );
                // `close` was refused before it did anything, so do its non-blocking part here.
                self.core.refuse_new_records();
                if self.begins_to_close_plugins() {
                    // The sender thread may still call interceptors for the batches that it aborts. So the sender
                    // thread closes the plug-ins, after the last of these calls.
                    let action = (self.closing)(&mut self.plugins);
                    self.thread.at_end(self.core.instance.log(), action);
                }
                self.thread.abandon();
            }
            // The earlier call has returned it, unless that call gave up while a callback was running.
            Err(CloseError::Undelivered { .. }) if was_told => {}
            Err(error) => warn!(
                self.core.instance.log(),
                "a producer was dropped without being closed: {error}"
            ),
        }
        // Destructors of plug-ins are user code: run here, with panics contained, not as fields of `self`.
        self.plugins.take().drop_contained();
    }
}
