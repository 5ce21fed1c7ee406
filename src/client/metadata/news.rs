//! Log lines of a metadata update. A logger is user code, which must not run under a lock: the lines are collected
//! while the metadata is locked, and written after it is unlocked.

use std::sync::Arc;

use crate::util::log::{self, Level, LogContext};

use crate::clock::Instant;
use crate::clock::log_limit::LogLimit;
use crate::error::ErrorCode;
use crate::sync::assert_unlocked;
use crate::types::PartitionId;

/// Maximum number of topics or partitions named in one line.
const NAMED_AT_MOST: usize = 10;
/// Maximum number of lines of one level per update: a response can be long.
const LINES_AT_MOST: usize = 50;
const LEVELS: usize = Level::Trace as usize + 1;

/// Collected log lines, and the topics and partitions whose state changed.
#[derive(Debug, Default)]
#[must_use = "the lines must be written to the log"]
pub(crate) struct MetadataNews {
    lines: Vec<(Level, String)>,
    /// Number of lines per level, suppressed ones included.
    counts: [usize; LEVELS],
    failing: FirstFew<(Arc<str>, &'static str)>,
    recovered: FirstFew<Arc<str>>,
    missing_listeners: FirstFew<(Arc<str>, PartitionId)>,
    /// Partitions whose leader epoch decreased, with the old and the new epoch.
    went_back: FirstFew<(Arc<str>, PartitionId, i32, i32)>,
}

/// The first few of many items, and how many there were.
#[derive(Debug)]
struct FirstFew<T> {
    first: Vec<T>,
    count: usize,
}

impl<T> Default for FirstFew<T> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            count: 0,
        }
    }
}

impl<T> FirstFew<T> {
    fn add(&mut self, one: T) {
        self.count += 1;
        if self.first.len() < NAMED_AT_MOST {
            self.first.push(one);
        }
    }
}

impl<T> FirstFew<T> {
    fn limit(&mut self, may_log: &mut dyn FnMut() -> Option<()>) {
        if self.count > 0 && may_log().is_none() {
            *self = Self::default();
        }
    }
}

impl MetadataNews {
    /// Adds a line. It is not formatted if its level is off. Only the static maximum is checked, not the logger, which
    /// is user code.
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

    /// Adds a topic whose error code is new: in the last response it had another code or none.
    pub(super) fn topic_fails(&mut self, topic: &Arc<str>, code: ErrorCode) {
        self.failing.add((Arc::clone(topic), code.name()));
    }

    /// Adds a topic that has no error any more.
    pub(super) fn topic_recovered(&mut self, topic: &Arc<str>) {
        self.recovered.add(Arc::clone(topic));
    }

    /// Adds a partition whose leader has no listener that matches the one this client is connected to.
    pub(super) fn listener_is_missing(&mut self, topic: &Arc<str>, partition: PartitionId) {
        self.missing_listeners.add((Arc::clone(topic), partition));
    }

    /// Adds a partition whose lower leader epoch was accepted.
    pub(super) fn epoch_went_back(
        &mut self,
        topic: &Arc<str>,
        partition: PartitionId,
        from: i32,
        to: i32,
    ) {
        self.went_back.add((Arc::clone(topic), partition, from, to));
    }

    /// Keeps only the lines for which `keep` returns true.
    pub(crate) fn retain_lines(&mut self, mut keep: impl FnMut(Level, &str) -> bool) {
        self.lines.retain(|(level, line)| keep(*level, line));
    }

    /// Applies a rate limit to the lines of level info and above; all debug lines are kept.
    pub(crate) fn limit(&mut self, limit: &mut LogLimit, now: Instant) {
        let mut suppressed = None;
        let mut may_log = || {
            let left_out = limit.admit(now)?;
            if left_out.is_any() {
                // The line about suppressed lines counts too: admit the current line again.
                suppressed = Some(left_out);
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
        self.missing_listeners.limit(&mut may_log);
        self.failing.limit(&mut may_log);
        self.recovered.limit(&mut may_log);
        if let Some(suppressed) = suppressed {
            let line = format!("Too many log lines about metadata{suppressed}");
            self.lines.push((Level::Warn, line));
        }
    }

    /// Writes all lines to the log.
    pub(crate) fn write(self, log: &LogContext) {
        // The logger is user code: it may call the producer, and would deadlock.
        assert_unlocked();
        for (level, line) in &self.lines {
            log::log!(*level, log, "{line}");
        }
        for level in Level::iter() {
            let left_out = self.counts[level as usize].saturating_sub(LINES_AT_MOST);
            if left_out > 0 {
                log::log!(level, log, "{left_out} more lines of this kind");
            }
        }
        let Self {
            failing,
            recovered,
            missing_listeners,
            went_back,
            ..
        } = &self;
        if went_back.count > 0 {
            log::warn!(
                log,
                "The leader epochs of {} partitions have been lower than before in every response for {} s, as after a cluster was restored from a backup: they are accepted now, including (topic, partition, from, to) {:?}",
                went_back.count,
                super::epochs::STALE_EPOCH_ACCEPTED_AFTER.as_secs(),
                went_back.first
            );
        }
        if missing_listeners.count > 0 {
            log::warn!(
                log,
                "{} partitions have leader brokers without a matching listener, including {:?}",
                missing_listeners.count,
                missing_listeners.first
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
        if recovered.count > 0 {
            log::info!(
                log,
                "{} topics are available now, including {:?}",
                recovered.count,
                recovered.first
            );
        }
    }

    #[cfg(test)]
    pub(crate) fn failing(&self) -> Vec<(&str, &'static str)> {
        let first = self.failing.first.iter();
        first.map(|(topic, code)| (&**topic, *code)).collect()
    }

    #[cfg(test)]
    pub(crate) fn recovered(&self) -> Vec<&str> {
        self.recovered.first.iter().map(|topic| &**topic).collect()
    }

    #[cfg(test)]
    pub(crate) fn went_back(&self) -> Vec<(&str, PartitionId, i32, i32)> {
        let first = self.went_back.first.iter();
        first
            .map(|(topic, partition, from, to)| (&**topic, *partition, *from, *to))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn missing_listeners(&self) -> usize {
        self.missing_listeners.count
    }

    #[cfg(test)]
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.lines.iter().map(|(_, line)| &**line).collect()
    }
}
