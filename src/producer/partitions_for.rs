//! The partitions of a topic, asked for by the application.

use std::sync::Arc;

use super::core::Core;
use super::topic_lookup::{Obstacle, TopicLookup};
use super::waiting::{BlockingCall, Check, Step, Stopwatch};
use crate::client::metadata::{FatalMetadataError, TopicError};
use crate::error::{MetadataError, Misuse};
use crate::types::PartitionInfo;

/// `partitions_for` as steps.
pub(crate) struct PartitionsFor<'c> {
    core: &'c Core,
    topic: Arc<str>,
    lookup: TopicLookup<'c>,
    /// `max.block.ms`
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

    /// The partitions, if they are known.
    fn look(&mut self) -> Result<Option<Vec<PartitionInfo>>, Obstacle> {
        if self.lookup.is_awaited(&self.topic, &self.time)? {
            return Ok(None);
        }
        if !self.core.control.is_running() {
            return Err(Obstacle::Closed);
        }
        let (core, topic) = (self.core, &*self.topic);
        let known = || {
            let cluster = core.metadata.cluster();
            cluster.partition_count(topic)?;
            Some(cluster.partitions(topic).to_vec())
        };
        self.lookup.ask(topic, None, known)
    }

    fn error(&self, obstacle: Obstacle) -> MetadataError {
        let topic = Arc::clone(&self.topic);
        match obstacle {
            Obstacle::Name(_) | Obstacle::Refused(TopicError::Invalid) => {
                MetadataError::InvalidTopic(topic)
            }
            Obstacle::Refused(TopicError::Unauthorized) => MetadataError::TopicAuthorization(topic),
            Obstacle::Fatal(FatalMetadataError::Authentication(why)) => {
                MetadataError::Authentication(why)
            }
            Obstacle::Fatal(FatalMetadataError::UnsupportedVersion(why)) => {
                MetadataError::UnsupportedVersion(why)
            }
            Obstacle::Closed => match self.core.control.failure() {
                Some(why) => MetadataError::ProducerFailed(Arc::clone(why)),
                None => MetadataError::Closed,
            },
            Obstacle::TimedOut(state) => {
                let waited = self.core.config.max_block();
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
            Err(obstacle) => Step::Done(Err(self.error(obstacle))),
        }
    }

    fn refuse(&mut self, why: Misuse) -> Self::Output {
        Err(MetadataError::Misuse(why))
    }
}
