//! `partitions_for` as a state machine: returns a topic's partition metadata, and waits for it if necessary.

use std::sync::Arc;

use super::core::Core;
use super::topic_lookup::{TopicLookup, TopicLookupError};
use super::waiting::{BlockingCall, Check, Step, Stopwatch};
use crate::client::metadata::{FatalMetadataError, TopicError};
use crate::error::{MetadataError, Misuse};
use crate::types::PartitionInfo;

/// A blocking `partitions_for` call.
pub(crate) struct PartitionsFor<'c> {
    core: &'c Core,
    topic: Arc<str>,
    lookup: TopicLookup<'c>,
    /// Measures the wait against `max.block.ms`.
    time: Stopwatch,
}

impl<'c> PartitionsFor<'c> {
    pub(crate) fn new(core: &'c Core, topic: &str) -> Self {
        Self {
            core,
            topic: topic.into(),
            lookup: TopicLookup::new(core),
            time: Stopwatch::new(Some(core.config.max_block())),
        }
    }

    /// The partitions, or `None` if they are not known yet.
    fn look(&mut self) -> Result<Option<Vec<PartitionInfo>>, TopicLookupError> {
        if self.lookup.is_awaited(&self.topic, &self.time)? {
            return Ok(None);
        }
        // Checked in each step: a producer that was closed meanwhile must not register the topic.
        if !self.core.control.is_running() {
            return Err(TopicLookupError::Closed);
        }
        let (core, topic) = (self.core, &*self.topic);
        let known = || {
            let cluster = core.metadata.cluster();
            cluster.partition_count(topic)?;
            Some(cluster.partitions(topic).to_vec())
        };
        self.lookup.ask(topic, None, known)
    }

    fn error(&self, error: TopicLookupError) -> MetadataError {
        let topic = Arc::clone(&self.topic);
        match error {
            TopicLookupError::Name(_) | TopicLookupError::Refused(TopicError::Invalid) => {
                MetadataError::InvalidTopic(topic)
            }
            TopicLookupError::Refused(TopicError::Unauthorized) => {
                MetadataError::TopicAuthorization(topic)
            }
            TopicLookupError::Fatal(FatalMetadataError::Authentication(why)) => {
                MetadataError::Authentication(why)
            }
            TopicLookupError::Fatal(FatalMetadataError::UnsupportedVersion(why)) => {
                MetadataError::UnsupportedVersion(why)
            }
            TopicLookupError::Closed => match self.core.control.failure() {
                Some(failure) => MetadataError::ProducerFailed(failure.clone()),
                None => MetadataError::Closed,
            },
            TopicLookupError::TimedOut(state) => {
                let waited = self.core.config.max_block();
                // A broker's answer is more useful than the fact that time ran out.
                if state.is_missing(None) {
                    MetadataError::UnknownTopic { topic, waited }
                } else {
                    MetadataError::TimedOut {
                        topic,
                        waited,
                        tried: state.to_string().into(),
                        code: state.last_code,
                    }
                }
            }
        }
    }
}

impl BlockingCall for PartitionsFor<'_> {
    type Output = Result<Vec<PartitionInfo>, MetadataError>;

    const CHECK: Check = Check::BeforeWaiting;

    fn step(&mut self) -> Step<'_, Self::Output> {
        let core = self.core;
        self.time.stop(&*core.clock);
        match self.look() {
            Ok(Some(partitions)) => Step::Done(Ok(partitions)),
            Ok(None) => {
                self.time.start(&*core.clock);
                Step::Wait(self.lookup.wait(&self.time))
            }
            Err(error) => Step::Done(Err(self.error(error))),
        }
    }

    fn refuse(&mut self, why: Misuse) -> Self::Output {
        Err(MetadataError::Misuse(why))
    }
}
