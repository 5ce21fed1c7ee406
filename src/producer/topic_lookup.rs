//! A topic that a call needs and that is not known yet: asked for, and waited for.

use std::sync::Arc;

use super::core::Core;
use super::metadata::{AwaitedUpdate, Lookout, TopicState, WaitStart};
use super::waiting::{Stopwatch, Wait};
use crate::client::metadata::{FatalMetadataError, TopicError};
use crate::planted::planted;
use crate::types::PartitionId;
use crate::types::topic_name::{self, TopicNameFault};

/// A topic, or a partition of it, on its way to be known. Shared by all calls that need one.
///
/// It holds no name: that would be copied for every record, and hardly any needs this.
pub(crate) struct TopicLookup<'c> {
    core: &'c Core,
    /// Where it began: when the topic was first asked for.
    start: Option<WaitStart>,
    /// What was asked for and has not come.
    awaited: Option<AwaitedUpdate<'c>>,
}

/// What keeps a topic from being known.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// No topic can have this name.
    Name(TopicNameFault),
    /// The producer is closed.
    Closed,
    /// The brokers refuse the topic.
    Refused(TopicError),
    /// No metadata can be had at all.
    Fatal(FatalMetadataError),
    /// `max.block.ms` passed, and so things stood then.
    TimedOut(TopicState),
}

impl<'c> TopicLookup<'c> {
    pub(crate) fn new(core: &'c Core) -> Self {
        Self {
            core,
            start: None,
            awaited: None,
        }
    }

    /// Whether metadata that was asked for has not come. To be asked at the beginning of a step: what is
    /// known is worth another look after a no.
    pub(crate) fn is_awaited(&mut self, topic: &str, time: &Stopwatch) -> Result<bool, Obstacle> {
        let Some(awaited) = &self.awaited else {
            return Ok(false);
        };
        match awaited.look() {
            Lookout::Newer => {
                self.awaited = None;
                Ok(false)
            }
            Lookout::Closed => Err(Obstacle::Closed),
            Lookout::Fatal(fatal) => Err(Obstacle::Fatal(fatal)),
            Lookout::Same if time.is_over(&*self.core.clock) => Err(self.timed_out(topic)),
            Lookout::Same => Ok(true),
        }
    }

    /// Keeps track of the topic, and asks the brokers for it, or for the partition `wanted` of it, unless `look`
    /// finds it: it may have become known since it was last looked for (KP-36 to KP-42).
    pub(crate) fn ask<T>(
        &mut self,
        topic: &str,
        wanted: Option<PartitionId>,
        look: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, Obstacle> {
        topic_name::check(topic).map_err(Obstacle::Name)?;
        let core = self.core;
        let start = self.start();
        if let Some(error) = core.metadata.topic_error(topic, start) {
            return Err(Obstacle::Refused(error));
        }
        let added = core.metadata.add_topic(&Arc::from(topic), core.clock.now());
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        let asked = core.metadata.request_update_for_topic(topic, wanted);
        core.waker.wake();
        // What came between the two was not seen by that look.
        let version = if planted!(WaitsPastAnswer) {
            asked
        } else {
            asked.min(added)
        };
        self.awaited = Some(Arc::as_ref(&core.metadata).update_after(version, start));
        Ok(None)
    }

    /// What to wait for after a [look](Self::ask) that found nothing.
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

    /// What keeps the topic from being known, as far as that is known without waiting; and how things stand.
    pub(crate) fn obstacle_so_far(&mut self, topic: &str) -> Result<TopicState, Obstacle> {
        let (core, start) = (self.core, self.start());
        let state = core.metadata.topic_state(topic, start, core.clock.now());
        if let Some(error) = state.refused() {
            return Err(Obstacle::Refused(error));
        }
        match state.fatal() {
            Some(fatal) => Err(Obstacle::Fatal(fatal)),
            None => Ok(state),
        }
    }

    fn timed_out(&mut self, topic: &str) -> Obstacle {
        match self.obstacle_so_far(topic) {
            Ok(state) => Obstacle::TimedOut(state),
            Err(obstacle) => obstacle,
        }
    }

    /// Where it began, which is now if it has not.
    fn start(&mut self) -> WaitStart {
        let begin = || self.core.metadata.begin_wait();
        *self.start.get_or_insert_with(begin)
    }
}
