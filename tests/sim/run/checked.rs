//! A run watched by the checker and by the tallies.

use super::{Observer, run};
use crate::checker::{Checker, Glance, Moment, Violation};
use crate::events::Event;
use crate::runner::RunReport;
use crate::scenario::Scenario;
use crate::tallies::Tallies;

struct Checked<'r> {
    scenario: &'r Scenario,
    checker: Option<Checker>,
    tallies: Tallies,
    observer: &'r mut dyn FnMut(&Event),
    violations: Vec<Violation>,
}

impl Observer for Checked<'_> {
    fn see(&mut self, event: &Event) {
        if let Some(checker) = &mut self.checker {
            checker.see(event);
        }
        self.tallies.see(self.scenario, event);
        (self.observer)(event);
    }

    fn glance(&mut self, glance: &Glance) {
        self.tallies.step(glance);
        if glance.moment == Moment::End {
            if let Some(checker) = self.checker.take() {
                self.violations = checker.end(glance);
            }
        } else if let Some(checker) = &mut self.checker {
            checker.step(glance);
        }
    }
}

/// Runs a scenario and reports the violations.
pub(crate) fn checked(scenario: &Scenario, observer: &mut dyn FnMut(&Event)) -> RunReport {
    let mut checked = Checked {
        scenario,
        checker: Some(Checker::new(scenario)),
        tallies: Tallies::new(scenario),
        observer,
        violations: Vec::new(),
    };
    let simulated = run(scenario, &mut checked);
    let counts = checked.tallies.end();
    RunReport {
        violations: checked
            .violations
            .iter()
            .map(|it| format!("{}: at {:?}: {}", it.rule, it.at, it.text))
            .collect(),
        records: counts.records_offered,
        acknowledged: counts.records_acknowledged,
        simulated,
        tallies: counts.named().collect(),
    }
}
