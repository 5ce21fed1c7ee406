//! A broker's answer to a request as data, to be carried out by the transport.

use std::time::Duration;

use crate::protocol::Frame;
use crate::testing::script::AndThen;

/// A broker's answer to a request, with its timing.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Delay of the answer. Answers to later requests on the same connection come after it.
    pub(crate) delay: Duration,
    pub(crate) answer: Answer,
    /// How long the broker reads nothing from a throttled connection afterwards (KIP-219).
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

/// A broker's answer to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Sends a response.
    Reply(Frame),
    /// Sends a part of a response, and then closes or stalls.
    Part {
        frame: Frame,
        bytes: usize,
        then: AndThen,
    },
    /// No response, since the producer asked for none (acks=0).
    Silence,
    /// Closes the connection.
    Close,
    /// Stalls: sends nothing more on this connection, and discards what arrives.
    Stall,
    /// The node hangs and has not processed the request: handle it again when the node is resumed.
    Hang,
}

impl Answer {
    /// No response: a closed or a stalled connection.
    pub(crate) fn none(then: AndThen) -> Self {
        match then {
            AndThen::Close => Self::Close,
            AndThen::Silence => Self::Stall,
        }
    }
}
