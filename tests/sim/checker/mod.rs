//! Says whether what happened in a run was right: from the scenario, its events, and glances at how all stands.
//!
//! `Facts` put together what the events tell. Each rule is a small struct that looks at the facts and the present
//! event, and has tests of its own that show it passing and catching. What a rule lets pass by design is said where it
//! does so, and is as narrow as events can tell.

mod acknowledged;
mod callbacks;
mod facts;
mod faults;
mod glance;
mod logs;
mod not_written;
mod once;
mod order;
mod outcomes;
mod sequences;
mod settings;
#[cfg(test)]
mod story;
mod stuck;

use std::collections::BTreeMap;
use std::time::Duration;

use self::facts::Facts;
pub(crate) use self::glance::{Glance, Life, ProducerGlance};
use crate::events::Event;
use crate::scenario::Scenario;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// What is wrong is said so often for each rule; what follows tells nothing new.
const VIOLATIONS_OF_A_RULE: u32 = 5;

/// What has been found to be wrong.
#[derive(Debug, Default)]
pub(crate) struct Found {
    violations: Vec<Violation>,
    by_rule: BTreeMap<&'static str, u32>,
}

impl Found {
    fn add(&mut self, rule: &'static str, at: Duration, text: String) {
        let count = self.by_rule.entry(rule).or_default();
        *count += 1;
        if *count <= VIOLATIONS_OF_A_RULE {
            self.violations.push(Violation { rule, at, text });
        }
    }
}

/// One thing that has to be so. Facts hold the present event and the present glance already.
trait Rule {
    fn see(&mut self, _facts: &Facts, _event: &Event, _found: &mut Found) {}

    fn step(&mut self, _facts: &Facts, _glance: &Glance, _found: &mut Found) {}

    /// Everything is over.
    fn end(&mut self, _facts: &Facts, _last: &Glance, _found: &mut Found) {}
}

/// All rules over one run.
pub(crate) struct Checker {
    facts: Facts,
    rules: Vec<Box<dyn Rule>>,
    found: Found,
}

impl Checker {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self::of(scenario, rules(scenario))
    }

    fn of(scenario: &Scenario, rules: Vec<Box<dyn Rule>>) -> Self {
        Self {
            facts: Facts::new(scenario),
            rules,
            found: Found::default(),
        }
    }

    pub(crate) fn see(&mut self, event: &Event) {
        self.facts.see(event);
        for rule in &mut self.rules {
            rule.see(&self.facts, event, &mut self.found);
        }
    }

    pub(crate) fn step(&mut self, glance: &Glance) {
        self.facts.step(glance);
        for rule in &mut self.rules {
            rule.step(&self.facts, glance, &mut self.found);
        }
    }

    /// The run is over; `last` is how all stands after it, with everything told.
    pub(crate) fn end(mut self, last: &Glance) -> Vec<Violation> {
        self.step(last);
        for rule in &mut self.rules {
            rule.end(&self.facts, last, &mut self.found);
        }
        self.found.violations
    }

    /// What has been found so far, for who wants to stop at the first.
    pub(crate) fn found(&self) -> &[Violation] {
        &self.found.violations
    }
}

fn rules(_scenario: &Scenario) -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(acknowledged::Acknowledged),
        Box::new(once::Once),
        Box::new(once::TakenForAnother),
        Box::new(order::Order::default()),
        Box::new(sequences::Gapless::default()),
        Box::new(sequences::SameBytes::default()),
        Box::new(sequences::OwnId),
        Box::new(not_written::NotWritten),
        Box::new(callbacks::Callbacks),
        Box::new(outcomes::Outcomes),
        Box::new(stuck::Stuck),
    ]
}
