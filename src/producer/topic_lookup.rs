//! Wait for a topic's metadata: adds the topic to the metadata, requests an update and waits for it.

use std::sync::Arc;

use super::core::Core;
use super::metadata::{AwaitedUpdate, TopicState, UpdateCheck, WaitStart};
use super::waiting::{Stopwatch, Wait};
use crate::client::metadata::{FatalMetadataError, TopicError};
use crate::clock::Instant;
use crate::metrics::tables::CallSensor;
use crate::planted::planted;
use crate::types::PartitionId;
use crate::types::topic_name::{self, TopicNameFault};

/// A wait for the metadata of a topic, or of one of its partitions. Part of each call that needs metadata.
///
/// It does not store the topic's name, which would be copied for every record although few records wait.
///
/// # Kafka
/// `KafkaProducer#waitOnMetadata`.
pub(crate) struct TopicLookup<'c> {
    core: &'c Core,
    /// Start of the wait; errors from before it are ignored.
    start: Option<WaitStart>,
    /// The metadata update that is being waited for.
    awaited: Option<AwaitedUpdate<'c>>,
    /// Start of the current wait, for the metrics.
    waits_since: Option<Instant>,
}

/// Why a topic's metadata is not available.
#[derive(Debug)]
pub(crate) enum TopicLookupError {
    /// The topic name is invalid.
    Name(TopicNameFault),
    /// The producer is closed.
    Closed,
    /// The brokers refuse the topic.
    Refused(TopicError),
    /// A fatal error: no metadata request can succeed.
    Fatal(FatalMetadataError),
    /// `max.block.ms` expired; with the state of the topic at that time.
    TimedOut(TopicState),
}

impl<'c> TopicLookup<'c> {
    pub(crate) fn new(core: &'c Core) -> Self {
        Self {
            core,
            start: None,
            awaited: None,
            waits_since: None,
        }
    }

    /// Whether a requested update is still pending. To be called at the beginning of a step: after `false` the caller
    /// looks the topic up again.
    pub(crate) fn is_awaited(
        &mut self,
        topic: &str,
        time: &Stopwatch,
    ) -> Result<bool, TopicLookupError> {
        if self.awaited.is_none() {
            return Ok(false);
        }
        // Checked before the metadata: metadata that arrives in between is used and not reported as missing.
        let timed_out = time
            .is_over(&*self.core.clock)
            .then(|| self.timed_out(topic));
        let Some(awaited) = &self.awaited else {
            return Ok(false);
        };
        let outcome = match awaited.look() {
            UpdateCheck::Newer => {
                self.awaited = None;
                Ok(false)
            }
            UpdateCheck::Closed => Err(TopicLookupError::Closed),
            UpdateCheck::Fatal(fatal) => Err(TopicLookupError::Fatal(fatal)),
            // The timeout counts only without a newer update: an update that arrived just before the timeout is used.
            UpdateCheck::Same => match timed_out {
                Some(error) => Err(error),
                None => return Ok(true),
            },
        };
        self.record_wait();
        outcome
    }

    /// Records the duration of the wait in the `metadata-wait-time` metrics.
    #[cold]
    fn record_wait(&mut self) {
        if let Some(since) = self.waits_since.take() {
            let now = self.core.clock.now();
            let sensors = &self.core.sensors;
            sensors.called(CallSensor::MetadataWait, now - since, now);
        }
    }

    /// Adds the topic to the metadata, then calls `look` again, because a response may have arrived since the caller's
    /// last look. If `look` finds nothing, requests an update for the topic, or for its partition `wanted`, and returns
    /// `None` (KP-36 to KP-42).
    pub(crate) fn ask<T>(
        &mut self,
        topic: &str,
        wanted: Option<PartitionId>,
        look: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, TopicLookupError> {
        topic_name::check(topic).map_err(TopicLookupError::Name)?;
        let core = self.core;
        let start = self.start();
        // Only errors since the wait began count: an ACL may have been granted since an older refusal.
        if let Some(error) = core.metadata.topic_error(topic, start) {
            return Err(TopicLookupError::Refused(error));
        }
        let added = core.metadata.add_topic(&Arc::from(topic), core.clock.now());
        // Only a request that was not pending changes when the sender has to send one. Calls that are refused at once
        // (`try_send`, `max.block.ms=0`) may come in a loop, and must not keep the sender busy.
        if added.is_new {
            core.waker.wake();
        }
        // Between the first look and `add_topic` a response may have named the topic.
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        let asked = core.metadata.request_update_for_topic(topic, wanted);
        if asked.is_new {
            core.waker.wake();
        }
        // A response that came between `add_topic` and this request was not seen by the check above.
        let version = if planted!(WaitsPastAnswer) {
            asked.version
        } else {
            asked.version.min(added.version)
        };
        self.waits_since = Some(core.clock.now());
        self.awaited = Some(Arc::as_ref(&core.metadata).update_after(version, start));
        Ok(None)
    }

    /// The event and the deadline to wait for, after [`ask`](Self::ask) has found nothing.
    pub(crate) fn wait(&self, time: &Stopwatch) -> Wait<'_> {
        let Some(event) = &self.awaited else {
            debug_assert!(false, "it was not asked for");
            return Wait::NOTHING;
        };
        Wait {
            event,
            until: time.deadline(),
        }
    }

    /// The topic's metadata error so far, without waiting. `Ok` with the state of the topic if there is no error.
    pub(crate) fn error_so_far(&mut self, topic: &str) -> Result<TopicState, TopicLookupError> {
        let (core, start) = (self.core, self.start());
        #[cfg(test)]
        held_up::before_state();
        let state = core.metadata.topic_state(topic, start, core.clock.now());
        if let Some(error) = state.refused() {
            return Err(TopicLookupError::Refused(error));
        }
        match state.fatal() {
            Some(fatal) => Err(TopicLookupError::Fatal(fatal)),
            None => Ok(state),
        }
    }

    fn timed_out(&mut self, topic: &str) -> TopicLookupError {
        match self.error_so_far(topic) {
            Ok(state) => TopicLookupError::TimedOut(state),
            Err(error) => error,
        }
    }

    /// Start of the wait; begins it if necessary.
    fn start(&mut self) -> WaitStart {
        let begin = || self.core.metadata.begin_wait();
        *self.start.get_or_insert_with(begin)
    }
}

/// Test hook: runs code before the state of a topic is read, to force a race.
#[cfg(test)]
pub(crate) mod held_up {
    use std::cell::RefCell;

    type Meanwhile = Box<dyn FnOnce()>;

    thread_local! {
        static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
    }

    /// Runs `meanwhile` the next time that this thread is about to read a topic's state.
    pub(crate) fn once(meanwhile: impl FnOnce() + 'static) {
        MEANWHILE.set(Some(Box::new(meanwhile)));
    }

    pub(super) fn before_state() {
        if let Some(meanwhile) = MEANWHILE.take() {
            meanwhile();
        }
    }
}
