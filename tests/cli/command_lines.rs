//! Command lines of all tools: help, refused ones, and control characters in them.

use crate::support::{self, Ended};

/// A tool, and its exit code for an invalid command line.
pub(crate) const TOOLS: [(&str, i32); 4] = [
    (env!("CARGO_BIN_EXE_kafka-check"), 2),
    (env!("CARGO_BIN_EXE_kafka-console-producer"), 1),
    (env!("CARGO_BIN_EXE_kafka-producer-perf-test"), 1),
    (env!("CARGO_BIN_EXE_kafka-verifiable-producer"), 1),
];

/// Runs a tool whose help must be printed, with these options in it.
#[track_caller]
pub(crate) fn assert_help(program: &str, arguments: &[&str], options: &[&str]) {
    let ended = support::run(program, arguments);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    for option in options {
        assert!(ended.stdout.contains(option), "{option}: {ended:?}");
    }
}

/// Whether the usage is printed before an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// For a command line that cannot be parsed.
    Shown,
    /// For a command line whose meaning is the problem: a value, or a file that is named.
    NotShown,
}

/// Runs a tool that must refuse its arguments with an error that has these words.
#[track_caller]
pub(crate) fn assert_refused(
    program: &str,
    arguments: &[&str],
    (code, usage): (i32, Usage),
    words: &str,
) {
    let ended = support::run(program, arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    let shows_usage = ended.stderr.starts_with("usage: ");
    assert_eq!(shows_usage, usage == Usage::Shown, "{ended:?}");
    assert_eq!(ended.stdout, "", "{arguments:?}");
    assert!(ended.stderr.lines().any(is_error), "{ended:?}");
}

/// Whether a line is the error of a tool, as in `kafka-check: error: …`.
fn is_error(line: &str) -> bool {
    let named = line.strip_prefix("kafka-");
    named.is_some_and(|rest| rest.contains(": error: "))
}

/// No character may control the terminal.
#[track_caller]
pub(crate) fn assert_printable(ended: &Ended) {
    let hidden = |c: char| c.is_control() && c != '\n';
    assert!(!ended.stdout.contains(hidden), "{ended:?}");
    assert!(!ended.stderr.contains(hidden), "{ended:?}");
}

#[test]
fn help_and_usage_fit_into_80_columns() {
    for (program, code) in TOOLS {
        let help = support::run(program, &["--help"]);
        assert_eq!(help.code, Some(0), "{help:?}");
        let refused = support::run(program, &["--no-such-option"]);
        assert_eq!(refused.code, Some(code), "{refused:?}");
        let usage = refused.stderr.lines().filter(|line| !is_error(line));
        let lines: Vec<_> = help.stdout.lines().chain(usage).collect();
        assert!(lines.len() > 10, "{program}");
        for line in lines {
            assert!(line.chars().count() <= 80, "{program}: {line}");
            assert_eq!(line, line.trim_end(), "{program}");
        }
    }
}

#[test]
fn an_empty_topic_is_refused() {
    for (program, code) in TOOLS {
        let words = "argument --topic: it is empty";
        assert_refused(program, &["--topic", ""], (code, Usage::Shown), words);
    }
}

#[test]
fn control_characters_of_the_command_line_are_escaped() {
    for (program, code) in TOOLS {
        let ended = support::run(program, &["--no-such\u{1b}[31m-option"]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_printable(&ended);
        assert!(ended.stderr.contains("\\u{1b}"), "{ended:?}");
    }
}
