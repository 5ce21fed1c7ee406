//! Checks whether a producer with a given configuration can reach its cluster, step by step, and names the key to
//! change where it cannot.
//!
//! ```text
//! kafka-check --bootstrap-server 127.0.0.1:9092 --topic orders --send
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `options` | the command line |
//! | `check` | the order of the steps |
//! | `settings`, `broker`, `brokers`, `topics`, `record` | the steps |
//! | `construction` | whether a producer can be built from the configuration, and send records |
//! | `resolution` | name resolution with a time limit |
//! | `finding` | the result of a step: problems, their likely reasons, the keys to change |
//! | `advice`, `keys` | likely reasons and keys, by stage and kind of failure |
//! | `releases` | the release of Kafka that a broker's API versions belong to |
//! | `output`, `text`, `document` | the output, as text while the steps run, or as one JSON document |
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program: it measures real time, and has threads and a lock of its own"
)]

mod advice;
#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/arguments.rs"]
mod arguments;
mod broker;
mod brokers;
mod check;
mod concurrent;
mod config_failures;
mod construction;
mod document;
mod facts;
mod finding;
#[path = "../common/json.rs"]
mod json;
mod keys;
mod options;
mod output;
mod record;
mod releases;
mod resolution;
mod settings;
#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/streams.rs"]
mod streams;
mod text;
mod topics;
mod warnings;

use std::process::ExitCode;

use options::CheckCommand;
use output::CheckOutput;

/// The exit code if a step failed.
const FAILED: u8 = 1;
/// The exit code for an invalid command line.
const INVALID_USAGE: u8 = 2;

fn main() -> ExitCode {
    warnings::install();
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(CheckCommand::Run(options)) => options,
        Ok(CheckCommand::Help) => return streams::show(options::HELP),
        Ok(CheckCommand::Version) => return streams::show(options::VERSION),
        Err(error) => {
            streams::print_failure(Some(options::USAGE), &error);
            return ExitCode::from(INVALID_USAGE);
        }
    };
    let mut output = CheckOutput::new(options.json);
    check::run(&options, &mut output);
    if output.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}
