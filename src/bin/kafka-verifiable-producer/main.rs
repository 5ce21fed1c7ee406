//! Sends consecutive numbers and prints the result of each as a line of JSON: the counterpart of Kafka's
//! `kafka-verifiable-producer`, with its options, output and exit codes.
//!
//! ```text
//! kafka-verifiable-producer --topic test --bootstrap-server 127.0.0.1:9092 --max-messages 1000
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program for tests: it reads real time, sleeps to keep a rate, and has locks of its own"
)]

#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/arguments.rs"]
mod arguments;
#[path = "../common/clock.rs"]
mod clock;
mod ending;
mod events;
#[path = "../common/json.rs"]
mod json;
#[path = "../common/logger.rs"]
mod logger;
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
#[path = "../common/throttle.rs"]
mod throttle;

use std::process::ExitCode;

use options::VerifiableProducerCommand;
use signals::EndingSignals;

fn main() -> ExitCode {
    logger::install();
    // Before any other thread is started, so that all threads inherit the mask.
    let signals = match EndingSignals::receive(&ending::SIGNALS) {
        Ok(signals) => signals,
        Err(error) => return failed(None, error.as_ref()),
    };
    if std::env::args_os().len() < 2 {
        return streams::show(options::HELP);
    }
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(VerifiableProducerCommand::Run(options)) => options,
        Ok(VerifiableProducerCommand::Help) => return streams::show(options::HELP),
        Err(error) => return failed(Some(options::USAGE), &error),
    };
    let ended = run::run(&options, signals);
    streams::exit_code(ended.unwrap_or_else(|error| failed(None, error.as_ref())))
}

fn failed(usage: Option<&str>, error: &dyn std::error::Error) -> ExitCode {
    streams::print_failure(usage, error);
    ExitCode::FAILURE
}
