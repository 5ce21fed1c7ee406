//! A sender whose steps somebody else takes, on a thread that does other things between them.

use super::{Completion, Sender, Sleep};
use crate::client::kafka_client::KafkaClient;
use crate::producer::callback_scope;
use crate::producer::instance::Instance;
use crate::util::panic;

/// A sender that is stepped: what [`Sender::run`] does on a thread of its own, in parts.
///
/// A step is taken in two parts: all that comes before the poll, and the poll with what it brings. Between them others
/// may run, as they may before a thread has begun to wait. A poll that found nothing, while nothing is due, is taken
/// again: the sender has been waiting all the time then.
pub(crate) struct SteppedSender<C> {
    sender: Option<Sender<C>>,
    instance: Instance,
    /// Set between the parts of a step.
    sleep: Option<Sleep>,
}

/// What a part of a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// The poll comes next.
    Begun,
    /// The poll waits: another is to be taken when the network says so.
    Waits,
    /// The step is over.
    Done,
    /// The sender has ended.
    Ended,
}

impl<C: KafkaClient<Completion>> SteppedSender<C> {
    pub(crate) fn new(sender: Sender<C>, instance: Instance) -> Self {
        Self {
            sender: Some(sender),
            instance,
            sleep: None,
        }
    }

    /// Takes the next part of a step. `is_waiting` says, after a poll, whether that would have gone on waiting.
    pub(crate) fn step(&mut self, is_waiting: impl FnOnce() -> bool) -> Stepped {
        let Some(sender) = &mut self.sender else {
            return Stepped::Ended;
        };
        // As on its own thread: whatever of the user's runs now must not wait for the sender.
        let scope = callback_scope::enter_sender(self.instance.id());
        let sleep = &mut self.sleep;
        let stepped = panic::contain(|| sender.part_of_step(sleep, is_waiting));
        let stepped = stepped.unwrap_or_else(|reason| {
            sender.end_after_panic(&reason);
            Stepped::Ended
        });
        if stepped == Stepped::Ended {
            sender.close_client();
            let gone = panic::contain(|| self.sender = None);
            debug_assert!(gone.is_ok(), "what the user's drop does is contained");
        }
        drop(scope);
        stepped
    }

    /// What the parts hold, by name: nothing may grow for ever.
    pub(crate) fn sizes(&self) -> Vec<(&'static str, usize)> {
        self.sender.as_ref().map(Sender::sizes).unwrap_or_default()
    }
}

impl<C: KafkaClient<Completion>> Sender<C> {
    fn part_of_step(
        &mut self,
        sleep: &mut Option<Sleep>,
        is_waiting: impl FnOnce() -> bool,
    ) -> Stepped {
        let Some(begun) = *sleep else {
            if !self.goes_on() {
                self.end();
                return Stepped::Ended;
            }
            *sleep = Some(self.begin_step());
            return Stepped::Begun;
        };
        self.poll(begun);
        if begun != Sleep::No && self.scratch.responses.is_empty() && is_waiting() {
            return Stepped::Waits;
        }
        *sleep = None;
        self.end_step();
        Stepped::Done
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("batches in flight", self.in_flight.live_count()),
            ("responses", self.scratch.responses.len()),
        ]
    }
}
