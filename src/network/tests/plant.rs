//! Bugs that can be planted in a run.

/// A planted bug, below or above the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    Nothing,
    /// Of twenty events, the poller loses one.
    EventForgotten,
    /// The transport takes a stream for drained that is not.
    ReadinessForgotten,
    /// It does not report buffered input.
    InputForgotten,
    /// It does not report pending writes.
    FlushForgotten,
    /// It reports a complete flush although the stream was full.
    RoomForgotten,
}
