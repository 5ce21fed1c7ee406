//! Which process this is: a producer that is used after a fork, in the child, has no sender thread
//! there, and must say so instead of waiting for one.

/// A process, told from its forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether this is not the process it was. A system call: asked when a batch is opened or a wait
    /// begins, not for every record.
    pub(crate) fn is_forked(self) -> bool {
        self != Self::current()
    }

    /// A process that this is not: what a fork looks like from inside.
    #[cfg(test)]
    pub(crate) fn other() -> Self {
        Self(std::process::id().wrapping_add(1))
    }
}
