//! Which process this is: a producer that is used after a fork, in the child, has no sender thread
//! there, and must say so instead of waiting for one.

use std::sync::atomic::{AtomicI64, Ordering};

/// A process, told from its forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether this is not the process it was. A system call: asked when a batch is opened, though not twice
    /// in a millisecond ([`RecentlyAsked`]), when a wait takes long, and when a task
    /// begins to wait, not for every record.
    pub(crate) fn is_forked(self) -> bool {
        self != Self::current()
    }

    /// A process that this is not: what a fork looks like from inside.
    #[cfg(test)]
    pub(crate) fn other() -> Self {
        Self(std::process::id().wrapping_add(1))
    }
}

/// When it was last asked whether the process is a fork. Where a batch is opened for every record, asking each
/// time would be a third of all system calls; no fork of a process does anything in the millisecond that
/// it takes to make it.
#[derive(Debug)]
pub(crate) struct RecentlyAsked(AtomicI64);

impl RecentlyAsked {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// What `ask` says, which is not asked again in the millisecond in which it said no.
    pub(crate) fn or_ask(&self, now_ms: i64, ask: impl FnOnce() -> bool) -> bool {
        if self.0.load(Ordering::Relaxed) == now_ms {
            return false;
        }
        let forked = ask();
        if !forked {
            self.0.store(now_ms, Ordering::Relaxed);
        }
        forked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_is_asked_about_once_in_a_millisecond_until_it_is_found() {
        let recently = RecentlyAsked::new();
        assert!(!recently.or_ask(7, || false));
        assert!(!recently.or_ask(7, || unreachable!("asked before")));
        assert!(recently.or_ask(8, || true));
        assert!(recently.or_ask(8, || true), "it stays one");
    }
}
