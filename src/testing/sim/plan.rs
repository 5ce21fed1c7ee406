//! What a broker does about a request, as data: whoever carries its bytes carries it out.

use std::time::Duration;

use crate::protocol::Frame;
use crate::testing::script::AndThen;

/// What a broker does about a request, and when.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How much later; what it does about the requests behind it on the same connection comes later
    /// still.
    pub(crate) delay: Duration,
    pub(crate) answer: Answer,
    /// For how long a throttling broker reads nothing more from the connection afterwards (KIP-219).
    #[cfg_attr(
        not(any(test, feature = "_internals")),
        expect(dead_code, reason = "only brokers on the simulated network do so")
    )]
    pub(crate) pause: Duration,
}

impl Plan {
    pub(super) fn at_once(answer: Answer) -> Self {
        Self {
            delay: Duration::ZERO,
            answer,
            pause: Duration::ZERO,
        }
    }
}

/// What a broker does about a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It sends this.
    Reply(Frame),
    /// It sends so many bytes of this, and then does something else.
    Part {
        frame: Frame,
        bytes: usize,
        then: AndThen,
    },
    /// It says nothing: the producer asked for no acknowledgement.
    Silence,
    /// It closes the connection.
    Close,
    /// It says nothing on this connection any more, nor does it look at what comes.
    Stall,
    /// It hangs, and has not looked at the request: ask again when it has been resumed.
    Hang,
}

impl Answer {
    /// No answer, of either sort.
    pub(crate) fn none(then: AndThen) -> Self {
        match then {
            AndThen::Close => Self::Close,
            AndThen::Silence => Self::Stall,
        }
    }
}
