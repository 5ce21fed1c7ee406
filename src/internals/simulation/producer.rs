//! A producer without a thread, on the network of a [`World`].

use std::sync::Arc;
use std::time::Duration;

use super::World;
use crate::clock::{Clock, Deadline};
use crate::error::ConstructError;
use crate::producer::builder::{ProducerBuilder, SenderOn, SteppedSeams};
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::lifecycle::Running;
use crate::producer::record::RecordData;
use crate::producer::sender::Stepped;
use crate::testing::sim::network::SimPoller;

/// The sender of a producer, stepped instead of run by its thread.
pub struct SimSender {
    world: World,
    sender: SenderOn<SimPoller>,
    /// `None` when it has ended.
    running: Option<Running>,
    poller: usize,
    is_polling: bool,
}

/// Result of a step of the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderStep {
    /// All work before the poll is done.
    Begun,
    /// It polled, and waits for events.
    Waits,
    /// It polled, and has processed the events.
    Done,
    /// It has ended, in this step or before.
    Ended,
}

/// Builds a producer without a thread.
///
/// # Errors
/// As [`ProducerBuilder::build`].
pub fn build<K, V>(
    builder: ProducerBuilder<K, V>,
    world: &World,
    seed: u64,
) -> Result<(KafkaProducer<K, V>, SimSender), ConstructError>
where
    K: ?Sized + RecordData + 'static,
    V: ?Sized + RecordData + 'static,
{
    let poller = world.network().stepped_poller();
    let number = poller.number();
    let (producer, sender, running) = builder.build_stepped(SteppedSeams {
        clock: Arc::clone(world.clock()) as Arc<dyn Clock>,
        seed,
        names: world.names(),
        poller,
    })?;
    let sender = SimSender {
        world: world.clone(),
        sender,
        running: Some(running),
        poller: number,
        is_polling: false,
    };
    Ok((producer, sender))
}

impl SimSender {
    /// Takes the next half of a step: the work before the poll, or the poll and the processing of its events.
    pub fn step(&mut self) -> SenderStep {
        let (network, poller) = (self.world.network(), self.poller);
        let stepped = self.sender.step(|| network.is_client_parked(poller));
        self.is_polling = stepped == Stepped::Waits;
        match stepped {
            Stepped::Begun => SenderStep::Begun,
            Stepped::Waits => SenderStep::Waits,
            Stepped::Done => SenderStep::Done,
            Stepped::Ended => {
                self.running = None;
                SenderStep::Ended
            }
        }
    }

    /// Whether the sender's thread would run now: it is not in a poll, or the poll has an event.
    pub fn is_due(&self) -> bool {
        let waits = self.is_polling && !self.world.network().is_client_due(self.poller);
        !self.has_ended() && !waits
    }

    /// The end of the current poll's time-out, if the sender is in a poll.
    pub fn waits_until(&self) -> Option<Duration> {
        let until = self.world.network().client_waits_until(self.poller);
        match until {
            Deadline::At(at) if self.is_polling => Some(self.world.elapsed_at(at)),
            _ => None,
        }
    }

    /// Whether the sender has ended.
    pub fn has_ended(&self) -> bool {
        self.running.is_none()
    }

    /// Sizes of internal collections by name, for tests that check that none of them grows for ever.
    pub fn sizes(&self) -> Vec<(&'static str, usize)> {
        self.sender.sizes()
    }
}

impl std::fmt::Debug for SimSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimSender")
            .field("poller", &self.poller)
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}
