//! The output as text, for terminals of 80 columns.

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use crate::facts::CheckFacts;
use crate::finding::{CheckProblem, CheckStep, StepResult};

const WIDTH: usize = 80;
/// Width of the name of a step.
const NAME: usize = 16;
/// The column of the facts of a step: name, result and time come before it.
const FACTS: usize = 2 + NAME + 1 + 7 + 1 + 8 + 2;
/// Indentation of a problem.
const PROBLEM: usize = 4;
/// Indentation of the reasons and keys of a problem, after the word `likely` or `change`.
const REASON: usize = PROBLEM + 8;

/// Formats steps.
pub(crate) struct TextOutput {
    /// The heading of the last step.
    last: Option<Heading>,
    /// Reasons and keys that were printed, so that they are printed once.
    printed: Vec<String>,
    is_coloured: bool,
}

/// The heading of a group of steps, and the section and target of those steps.
#[derive(Clone, PartialEq, Eq)]
struct Heading {
    section: &'static str,
    target: String,
    /// True for a section with one step, which is printed without a heading.
    is_alone: bool,
}

impl TextOutput {
    pub(crate) fn new() -> Self {
        Self {
            last: None,
            printed: Vec::new(),
            is_coloured: cfg!(unix)
                && stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    pub(crate) fn step(&mut self, step: &CheckStep) -> String {
        // A section with one step has the name of that step, and no heading.
        let is_alone = step.target.is_empty() && step.section == step.name;
        let mut text = self.heading(step, is_alone);
        let indent = if is_alone { 0 } else { 2 };
        let width = 2 + NAME - indent;
        let took = step.took.map_or_else(String::new, time);
        let mut name = &*step.name;
        if name.chars().count() > width {
            // A long name has a line of its own.
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:indent$}{name}", "");
            name = "";
        }
        let result = self.coloured(step.result);
        let mut line = format!("{:indent$}{name:width$} {result} {took:>8}  ", "");
        let mut facts = wrapped(&step.detail, WIDTH - FACTS);
        facts.extend(step.more.iter().flat_map(|it| wrapped(it, WIDTH - FACTS)));
        for (at, fact) in facts.iter().enumerate() {
            if at > 0 {
                let _ = write!(line, "\n{:FACTS$}", "");
            }
            line.push_str(fact);
        }
        text.push_str(line.trim_end());
        text.push('\n');
        for problem in &step.problems {
            let is_marked = problem.is_warning && step.has_failed();
            self.problem(problem, if is_marked { "warning: " } else { "" }, &mut text);
        }
        text
    }

    /// The heading, if the step is the first of its section or target.
    fn heading(&mut self, step: &CheckStep, is_alone: bool) -> String {
        let heading = Heading {
            section: step.section,
            target: step.target.clone(),
            is_alone,
        };
        let last = self.last.replace(heading.clone());
        let gap = match last {
            None => "",
            Some(last) if last == heading => return String::new(),
            Some(last) if last.is_alone && is_alone => "",
            Some(_) => "\n",
        };
        if is_alone {
            return gap.to_owned();
        }
        format!(
            "{gap}{}\n",
            format!("{} {}", step.section, step.target).trim_end()
        )
    }

    fn problem(&mut self, problem: &CheckProblem, mark: &str, text: &mut String) {
        indented(&format!("{mark}{}", problem.text), PROBLEM, "", text);
        let mut reasons = String::new();
        for (at, likely) in problem.likely.iter().enumerate() {
            indented(
                likely,
                REASON,
                if at == 0 { "likely" } else { "or" },
                &mut reasons,
            );
        }
        for (at, change) in problem.change.iter().enumerate() {
            let place = change.side.name();
            let hint = match &*change.hint {
                "" => String::new(),
                hint => format!(": {hint}"),
            };
            let line = format!("{} ({place}){hint}", change.key);
            indented(
                &line,
                REASON,
                if at == 0 { "change" } else { "" },
                &mut reasons,
            );
        }
        if reasons.is_empty() {
            return;
        }
        if self.printed.contains(&reasons) {
            indented("as above", REASON, "likely", text);
            return;
        }
        text.push_str(&reasons);
        self.printed.push(reasons);
    }

    /// The last lines.
    pub(crate) fn end(facts: &CheckFacts) -> String {
        let failed = facts.count(StepResult::Failed);
        let warnings = facts.count(StepResult::Warning);
        let with_warnings = match warnings {
            0 => String::new(),
            1 => ", 1 step with a warning".to_owned(),
            many => format!(", {many} steps with warnings"),
        };
        match failed {
            0 => format!("\nAll is well{with_warnings}.\n"),
            1 => format!("\n1 step failed{with_warnings}.\n"),
            many => format!("\n{many} steps failed{with_warnings}.\n"),
        }
    }

    fn coloured(&self, result: StepResult) -> String {
        let padded = format!("{:7}", result.name());
        let colour = match result {
            StepResult::Failed => "31;1",
            StepResult::Warning => "33",
            StepResult::Ok | StepResult::Skipped => return padded,
        };
        if !self.is_coloured {
            return padded;
        }
        format!("\u{1b}[{colour}m{padded}\u{1b}[0m")
    }
}

/// Appends a text in lines from column `indent`, with a word before the first.
fn indented(text: &str, indent: usize, word: &str, into: &mut String) {
    for (at, line) in wrapped(text, WIDTH - indent).iter().enumerate() {
        let before = if at == 0 && !word.is_empty() {
            format!("{:PROBLEM$}{word}", "")
        } else {
            String::new()
        };
        let _ = writeln!(into, "{before:indent$}{line}");
    }
}

/// Breaks a text into lines between its words. A word that is longer than a line stays whole, so that it can be copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut length = 0;
    for word in text.split(' ') {
        let more = word.chars().count();
        match lines.last_mut() {
            Some(line) if length + 1 + more <= width => {
                line.push(' ');
                line.push_str(word);
                length += 1 + more;
            }
            _ => {
                lines.push(word.to_owned());
                length = more;
            }
        }
    }
    lines
}

fn time(took: Duration) -> String {
    let millis = took.as_secs_f64() * 1e3;
    if millis < 100.0 {
        format!("{millis:.1} ms")
    } else if millis < 10_000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_not_broken_and_keep_their_blanks() {
        assert_eq!(wrapped("a b  c", 10), ["a b  c"]);
        assert_eq!(wrapped("aaa bbb cc", 7), ["aaa bbb", "cc"]);
        assert_eq!(wrapped("aaaaaaaaaa b", 7), ["aaaaaaaaaa", "b"]);
        assert_eq!(wrapped("", 7), [""]);
    }

    #[test]
    fn times_have_a_unit_that_fits_them() {
        for (micros, text) in [
            (40, "0.0 ms"),
            (1_240, "1.2 ms"),
            (523_400, "523 ms"),
            (12_340_000, "12.3 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
    }
}
