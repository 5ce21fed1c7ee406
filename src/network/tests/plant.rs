//! Bugs that can be planted in a run.

/// A planted bug of the poller or of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    Nothing,
    /// The poller loses one event in twenty.
    EventForgotten,
    /// The transport treats a stream as drained that is not.
    ReadinessForgotten,
    /// The transport does not report buffered input.
    InputForgotten,
    /// The transport does not report pending writes.
    FlushForgotten,
    /// The transport reports a complete flush although the stream was full.
    RoomForgotten,
}
