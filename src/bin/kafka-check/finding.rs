//! The results of steps: problems, their likely reasons, and the keys to change.

use std::time::Duration;

use kafka_producer::probe;

/// A finished step.
#[derive(Debug, Clone)]
pub(crate) struct CheckStep {
    /// The section: `configuration`, `bootstrap`, `brokers`, `topics` or `records`.
    pub(crate) section: &'static str,
    /// The subject of the section's steps, such as an address; empty if the section has one subject only.
    pub(crate) target: String,
    /// The name of the step.
    pub(crate) name: String,
    pub(crate) result: StepResult,
    /// `None` for a step that was not run, or whose facts another step has fetched.
    pub(crate) took: Option<Duration>,
    /// Facts, for people.
    pub(crate) detail: String,
    /// Further facts, each on a line of its own.
    pub(crate) more: Vec<String>,
    pub(crate) problems: Vec<CheckProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StepResult {
    Ok,
    Skipped,
    Warning,
    Failed,
}

impl StepResult {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// Something that is wrong, or may become wrong.
#[derive(Debug, Clone)]
pub(crate) struct CheckProblem {
    /// True for a warning, which does not change the exit code.
    pub(crate) is_warning: bool,
    /// The problem in words.
    pub(crate) text: String,
    pub(crate) likely: Vec<String>,
    pub(crate) change: Vec<KeyToChange>,
}

/// A configuration key to change, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyToChange {
    pub(crate) key: String,
    pub(crate) side: KeySide,
    pub(crate) hint: String,
}

/// Where a key is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySide {
    Client,
    Broker,
    Topic,
}

impl KeySide {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Broker => "broker",
            Self::Topic => "topic",
        }
    }
}

impl KeyToChange {
    pub(crate) fn new(key: impl Into<String>, side: KeySide, hint: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            side,
            hint: hint.into(),
        }
    }
}

impl CheckProblem {
    pub(crate) fn failure(text: impl Into<String>) -> Self {
        Self {
            is_warning: false,
            text: text.into(),
            likely: Vec::new(),
            change: Vec::new(),
        }
    }

    pub(crate) fn warning(text: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            ..Self::failure(text)
        }
    }

    fn printable(&self) -> Self {
        let change = |change: &KeyToChange| {
            KeyToChange::new(shown(&change.key), change.side, shown(&change.hint))
        };
        Self {
            is_warning: self.is_warning,
            text: shown(&self.text),
            likely: all_shown(&self.likely),
            change: self.change.iter().map(change).collect(),
        }
    }

    pub(crate) fn likely(mut self, reason: impl Into<String>) -> Self {
        self.likely.push(reason.into());
        self
    }

    pub(crate) fn change(
        mut self,
        key: impl Into<String>,
        side: KeySide,
        hint: impl Into<String>,
    ) -> Self {
        self.change.push(KeyToChange::new(key, side, hint));
        self
    }
}

impl CheckStep {
    pub(crate) fn new(
        section: &'static str,
        target: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            section,
            target: target.into(),
            name: name.into(),
            result: StepResult::Ok,
            took: None,
            detail: String::new(),
            more: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(crate) fn took(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }

    pub(crate) fn skipped(mut self, why: impl Into<String>) -> Self {
        self.result = StepResult::Skipped;
        self.detail = why.into();
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(crate) fn problems(mut self, problems: impl IntoIterator<Item = CheckProblem>) -> Self {
        for problem in problems {
            let result = if problem.is_warning {
                StepResult::Warning
            } else {
                StepResult::Failed
            };
            self.result = self.result.max(result);
            self.problems.push(problem);
        }
        self
    }

    /// The step with control characters escaped in all texts: names of topics, for example, come from the command line.
    pub(crate) fn printable(&self) -> Self {
        Self {
            target: shown(&self.target),
            name: shown(&self.name),
            detail: shown(&self.detail),
            more: all_shown(&self.more),
            problems: self.problems.iter().map(CheckProblem::printable).collect(),
            ..self.clone()
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.result == StepResult::Failed
    }
}

fn shown(text: &str) -> String {
    probe::printable(text).into_owned()
}

fn all_shown(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| shown(text)).collect()
}
