//! Sends the lines of standard input to a topic: the counterpart of Kafka's `kafka-console-producer`, with its options
//! and their defaults.
//!
//! ```text
//! printf 'a\tfirst\nb\tsecond\n' |
//!     kafka-console-producer --topic test --bootstrap-server 127.0.0.1:9092 --property parse.key=true
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program of its own: it measures real time, and its locks are not ranked with those of the library"
)]

#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/arguments.rs"]
mod arguments;
mod config;
mod console;
mod ending;
mod flags;
mod line_format;
mod line_outcomes;
mod line_parser;
mod line_reader;
mod line_sender;
#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/logger.rs"]
mod logger;
mod nearest;
mod options;
mod run;
#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/signals.rs"]
mod signals;
#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/streams.rs"]
mod streams;
mod usage;

use std::process::ExitCode;

use options::ConsoleProducerCommand;
use signals::EndingSignals;

fn main() -> ExitCode {
    logger::install_with(console::report);
    // As in Kafka's tool, a call without arguments is a mistake: the exit code is 1.
    if std::env::args_os().len() < 2 {
        streams::print_errors(usage::HELP);
        return ExitCode::FAILURE;
    }
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(ConsoleProducerCommand::Run(options)) => options,
        Ok(ConsoleProducerCommand::Help) => return streams::show(usage::HELP),
        Ok(ConsoleProducerCommand::Version) => {
            return streams::show(&format!("{} {}", usage::NAME, env!("CARGO_PKG_VERSION")));
        }
        Err(error) => return failed(Some(usage::USAGE), &error),
    };
    // Before any other thread is started, so that all threads inherit the mask.
    let ended =
        EndingSignals::receive(&ending::SIGNALS).and_then(|signals| run::run(&options, signals));
    ended.unwrap_or_else(|error| failed(None, error.as_ref()))
}

fn failed(usage: Option<&str>, error: &dyn std::error::Error) -> ExitCode {
    streams::print_failure(usage, error);
    ExitCode::FAILURE
}
