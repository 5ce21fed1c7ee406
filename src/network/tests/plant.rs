//! The bugs that are put into a run.

/// A bug that is put below or above the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    Nothing,
    /// Of twenty events, the poller loses one.
    EventForgotten,
    /// The transport takes a stream for emptied that is not.
    ReadinessForgotten,
    /// It does not say that it has input left inside.
    InputForgotten,
    /// It does not say that it has to be flushed.
    FlushForgotten,
    /// It says that it has been flushed when the stream was full.
    RoomForgotten,
}
