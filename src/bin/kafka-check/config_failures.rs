//! The problems of an invalid configuration.

use kafka_producer::{ConfigError, ConfigProblem};

use crate::finding::{CheckProblem, KeySide};

/// All problems of the error.
pub(crate) fn failures(error: &ConfigError) -> Vec<CheckProblem> {
    let failure = |problem: &ConfigProblem| {
        let mut shown = CheckProblem::failure(problem.problem());
        if let (Some(key), Some(value)) = (problem.key(), problem.value()) {
            if !problem.is_conflict() {
                shown.text = format!("{key}={value:?}: {}", problem.problem());
            }
        } else if problem.key().is_some() && !problem.is_conflict() {
            let keys: Vec<_> = problem.keys().collect();
            shown.text = format!("{}: {}", keys.join(", "), problem.problem());
        }
        let mut hint = problem.remedy();
        for key in problem.keys() {
            shown = shown.change(key, KeySide::Client, hint);
            // The remedy is for all keys together.
            hint = "";
        }
        if problem.key().is_none() {
            shown.text = format!("{}. {}", shown.text, problem.remedy());
        }
        shown
    };
    error.problems().iter().map(failure).collect()
}
