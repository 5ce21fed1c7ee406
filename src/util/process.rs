//! Fork detection by process id: after a `fork`, the producer's copy in the child has no sender thread, and must fail
//! instead of waiting for it.

use std::sync::atomic::{AtomicI64, Ordering};

/// The id of the process in which a producer was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether this process is a fork of the one in which the producer was built. The check is a system call, so it is
    /// not made for each record: only when a batch is opened, at most once a millisecond ([`RecentlyAsked`]), when a
    /// wait takes long, and when a task begins to wait.
    pub(crate) fn is_forked(self) -> bool {
        self != Self::current()
    }

    /// Another process id, as a forked child sees it.
    #[cfg(test)]
    pub(crate) fn other() -> Self {
        Self(std::process::id().wrapping_add(1))
    }
}

/// Rate limit of [`is_forked`](Process::is_forked): the millisecond of the last negative answer. If a batch is opened
/// for each record, the check would otherwise be a third of all system calls. A forked child does nothing within the
/// same millisecond: the fork itself takes as long.
#[derive(Debug)]
pub(crate) struct RecentlyAsked(AtomicI64);

impl RecentlyAsked {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Calls `ask`, unless it returned false in this millisecond already.
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
    fn the_fork_check_runs_once_in_a_millisecond_until_it_finds_a_fork() {
        let recently = RecentlyAsked::new();
        assert!(!recently.or_ask(7, || false));
        assert!(!recently.or_ask(7, || unreachable!("asked before")));
        assert!(recently.or_ask(8, || true));
        assert!(recently.or_ask(8, || true), "it stays one");
    }
}
