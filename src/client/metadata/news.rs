//! What an update of the metadata has to say in the log. A logger is the user's code, and metadata is updated
//! under a lock: what is to be said is gathered there, and written when the lock is given up.

use std::sync::Arc;

use crate::util::log::{self, Level, LogContext};

use crate::clock::Instant;
use crate::clock::log_limit::LogLimit;
use crate::error::ErrorCode;
use crate::sync::assert_unlocked;
use crate::types::PartitionId;

/// As many partitions or topics are named in one line.
const NAMED_AT_MOST: usize = 10;
/// As many lines of one level are written: an answer can be long.
const LINES_AT_MOST: usize = 50;
const LEVELS: usize = Level::Trace as usize + 1;

/// Lines for the log, and topics whose state is another than before.
#[derive(Debug, Default)]
#[must_use = "what an update says belongs into the log"]
pub(crate) struct MetadataNews {
    lines: Vec<(Level, String)>,
    /// Lines of each level, those that were left out as well.
    counts: [usize; LEVELS],
    failing: Named<(Arc<str>, &'static str)>,
    settled: Named<Arc<str>>,
    unlisted: Named<(Arc<str>, PartitionId)>,
    /// From which leader epoch to which.
    went_back: Named<(Arc<str>, PartitionId, i32, i32)>,
}

/// Some of many.
#[derive(Debug)]
struct Named<T> {
    first: Vec<T>,
    count: usize,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            count: 0,
        }
    }
}

impl<T> Named<T> {
    fn add(&mut self, one: T) {
        self.count += 1;
        if self.first.len() < NAMED_AT_MOST {
            self.first.push(one);
        }
    }
}

impl<T> Named<T> {
    fn limit(&mut self, may_log: &mut dyn FnMut() -> Option<()>) {
        if self.count > 0 && may_log().is_none() {
            *self = Self::default();
        }
    }
}

impl MetadataNews {
    /// A line. It is not even made when nobody can want it; the logger itself is not asked here.
    pub(crate) fn note(&mut self, level: Level, line: impl FnOnce() -> String) {
        if level > log::max_level() {
            return;
        }
        let count = &mut self.counts[level as usize];
        *count += 1;
        if *count <= LINES_AT_MOST {
            self.lines.push((level, line()));
        }
    }

    /// The brokers answer for a topic with an error, which they did not when last asked.
    pub(super) fn topic_fails(&mut self, topic: &Arc<str>, code: ErrorCode) {
        self.failing.add((Arc::clone(topic), code.name()));
    }

    /// The brokers describe a topic for which they had an error when last asked.
    pub(super) fn topic_is_fine_again(&mut self, topic: &Arc<str>) {
        self.settled.add(Arc::clone(topic));
    }

    /// The leader of a partition has no address for clients such as this one, which was not so before.
    pub(super) fn leader_is_unlisted(&mut self, topic: &Arc<str>, partition: PartitionId) {
        self.unlisted.add((Arc::clone(topic), partition));
    }

    /// The leader epoch of a partition went back for good, and is believed now.
    pub(super) fn epoch_went_back(
        &mut self,
        topic: &Arc<str>,
        partition: PartitionId,
        from: i32,
        to: i32,
    ) {
        self.went_back.add((Arc::clone(topic), partition, from, to));
    }

    /// Leaves out lines of which `keep` says so.
    pub(crate) fn retain_lines(&mut self, mut keep: impl FnMut(Level, &str) -> bool) {
        self.lines.retain(|(level, line)| keep(*level, line));
    }

    /// Leaves out of what is for users' eyes as much as `limit` does not let through.
    pub(crate) fn limit(&mut self, limit: &mut LogLimit, now: Instant) {
        let mut unsaid = None;
        let mut may_log = || {
            let left_out = limit.admit(now)?;
            if left_out.is_any() {
                // The next line says it.
                unsaid = Some(left_out);
                limit.admit(now)?;
            }
            Some(())
        };
        self.lines
            .retain(|(level, _)| *level > Level::Info || may_log().is_some());
        for level in [Level::Error, Level::Warn, Level::Info] {
            let count = &mut self.counts[level as usize];
            if *count > LINES_AT_MOST && may_log().is_none() {
                *count = 0;
            }
        }
        self.went_back.limit(&mut may_log);
        self.unlisted.limit(&mut may_log);
        self.failing.limit(&mut may_log);
        self.settled.limit(&mut may_log);
        if let Some(unsaid) = unsaid {
            let line = format!("There is much to say of the metadata{unsaid}");
            self.lines.push((Level::Warn, line));
        }
    }

    /// Writes all of it.
    pub(crate) fn write(self, log: &LogContext) {
        assert_unlocked();
        for (level, line) in &self.lines {
            log::log!(*level, log, "{line}");
        }
        for level in Level::iter() {
            let left_out = self.counts[level as usize].saturating_sub(LINES_AT_MOST);
            if left_out > 0 {
                log::log!(level, log, "{left_out} more lines of the kind");
            }
        }
        let Self {
            failing,
            settled,
            unlisted,
            went_back,
            ..
        } = &self;
        if went_back.count > 0 {
            log::warn!(
                log,
                "The leader epochs of {} partitions are older than before in every answer since {} s, as after a cluster was restored from a backup: they are believed now, including (topic, partition, from, to) {:?}",
                went_back.count,
                super::epochs::BELIEVED_AFTER.as_secs(),
                went_back.first
            );
        }
        if unlisted.count > 0 {
            log::warn!(
                log,
                "{} partitions have leader brokers without a matching listener, including {:?}",
                unlisted.count,
                unlisted.first
            );
        }
        if failing.count > 0 {
            log::warn!(
                log,
                "Error while fetching metadata for {} topics, including {:?}",
                failing.count,
                failing.first
            );
        }
        if settled.count > 0 {
            log::info!(
                log,
                "{} topics can be used now, including {:?}",
                settled.count,
                settled.first
            );
        }
    }

    #[cfg(test)]
    pub(crate) fn failing(&self) -> Vec<(&str, &'static str)> {
        let first = self.failing.first.iter();
        first.map(|(topic, code)| (&**topic, *code)).collect()
    }

    #[cfg(test)]
    pub(crate) fn settled(&self) -> Vec<&str> {
        self.settled.first.iter().map(|topic| &**topic).collect()
    }

    #[cfg(test)]
    pub(crate) fn went_back(&self) -> Vec<(&str, PartitionId, i32, i32)> {
        let first = self.went_back.first.iter();
        first
            .map(|(topic, partition, from, to)| (&**topic, *partition, *from, *to))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn unlisted(&self) -> usize {
        self.unlisted.count
    }

    #[cfg(test)]
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.lines.iter().map(|(_, line)| &**line).collect()
    }
}
