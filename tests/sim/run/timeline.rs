//! Timeline of the faults: when each begins and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_producer::internals::simulation::World;

use crate::events::EventKind;
use crate::faults::{Ongoing, begin, end, settle};
use crate::scenario::{Scenario, TimedFault};

/// A point of the timeline. Of two points with the same time, an end comes before a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    End,
    Begin,
}

/// The scenario's faults in time order.
pub(crate) struct Timeline {
    faults: Vec<TimedFault>,
    to_come: BTreeSet<(Duration, Turn, usize)>,
    ongoing: BTreeMap<usize, Ongoing>,
    heal_at: Duration,
}

impl Timeline {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let begins = scenario.faults.iter().enumerate();
        let begins =
            begins.map(|(number, fault)| (Duration::from_millis(fault.at_ms), Turn::Begin, number));
        Self {
            faults: scenario.faults.clone(),
            to_come: begins.collect(),
            ongoing: BTreeMap::new(),
            heal_at: Duration::from_millis(scenario.heal_at_ms),
        }
    }

    /// The time of the next beginning or end.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.to_come.first().map(|(at, ..)| *at)
    }

    /// Begins and ends the faults that are due. Returns the events.
    pub(crate) fn turn(&mut self, now: Duration, world: &World) -> Vec<EventKind> {
        let mut news = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some((at, turn, fault)) = self.to_come.pop_first() else {
                break;
            };
            match turn {
                Turn::Begin => {
                    news.push(EventKind::FaultBegins { fault });
                    self.begin(fault, at, world);
                }
                Turn::End => {
                    if let Some(ongoing) = self.ongoing.remove(&fault) {
                        end(&ongoing, self.ongoing.values(), world);
                        settle(&self.faults[fault].fault, self.ongoing.values(), world);
                        news.push(EventKind::FaultEnds { fault });
                    }
                }
            }
        }
        news
    }

    fn begin(&mut self, number: usize, at: Duration, world: &World) {
        let fault = &self.faults[number];
        self.ongoing.insert(number, begin(&fault.fault, world));
        settle(&fault.fault, self.ongoing.values(), world);
        let lasts = fault.for_ms.map(Duration::from_millis);
        let end = lasts.map_or(self.heal_at, |lasts| (at + lasts).min(self.heal_at));
        self.to_come.insert((end, Turn::End, number));
    }

    /// Ends all faults.
    pub(crate) fn heal(&mut self, world: &World) -> Vec<EventKind> {
        self.to_come.clear();
        let mut news = Vec::new();
        for (fault, ongoing) in std::mem::take(&mut self.ongoing) {
            end(&ongoing, std::iter::empty(), world);
            settle(&self.faults[fault].fault, std::iter::empty(), world);
            news.push(EventKind::FaultEnds { fault });
        }
        world.heal();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::scenario;
    use crate::scenario::Fault;
    use crate::surroundings::world_of;

    #[test]
    fn a_shared_effect_lasts_until_both_faults_are_over() {
        let deletes = |at_ms, for_ms| TimedFault {
            at_ms,
            for_ms: Some(for_ms),
            fault: Fault::DeleteTopic { topic: "t".into() },
        };
        let scenario = scenario(&[], &[deletes(1, 5), deletes(2, 8)]);
        let world = world_of(&scenario);
        let mut timeline = Timeline::new(&scenario);
        for (ms, is_there) in [(0, true), (1, false), (2, false), (6, false), (10, true)] {
            timeline.turn(Duration::from_millis(ms), &world);
            let topics = world.topics();
            assert_eq!(
                topics.iter().any(|topic| topic.name == "t"),
                is_there,
                "{ms}"
            );
        }
    }
}
