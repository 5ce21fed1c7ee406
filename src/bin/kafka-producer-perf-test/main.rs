//! Measures the throughput and latency of a producer: the counterpart of Kafka's `kafka-producer-perf-test`, with its
//! options, output and exit codes.
//!
//! ```text
//! kafka-producer-perf-test --topic test --num-records 1000000 --record-size 100 --throughput -1 \
//!     --producer-props bootstrap.servers=127.0.0.1:9092 acks=1
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark: it reads real time, sleeps to keep a rate, and has locks of its own"
)]

#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/arguments.rs"]
mod arguments;
#[path = "../common/clock.rs"]
mod clock;
mod console;
mod cpu_clock;
mod failures;
mod html;
mod interrupt;
mod load;
#[path = "../common/logger.rs"]
mod logger;
mod machine;
mod options;
mod payload;
mod report;
mod resources;
mod run;
mod same_file;
mod shared_run;
#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/signals.rs"]
mod signals;
mod stats;
#[allow(
    dead_code,
    reason = "shared by the tools; this one does not use all of it"
)]
#[path = "../common/streams.rs"]
mod streams;
mod summary;
#[path = "../common/throttle.rs"]
mod throttle;
mod timeline;
mod transactions;
mod usage;

use std::process::ExitCode;

use options::PerfTestCommand;

fn main() -> ExitCode {
    logger::install();
    if std::env::args_os().len() < 2 {
        return streams::show(usage::HELP);
    }
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(PerfTestCommand::Run(options)) => options,
        Ok(PerfTestCommand::Help) => return streams::show(usage::HELP),
        Ok(PerfTestCommand::Version) => {
            return streams::show(&format!("{} {}", usage::NAME, env!("CARGO_PKG_VERSION")));
        }
        Err(error) => {
            streams::print_failure(Some(usage::USAGE), &error);
            return ExitCode::FAILURE;
        }
    };
    let code = run::run(&options).unwrap_or_else(|error| {
        streams::print_failure(None, error.as_ref());
        ExitCode::FAILURE
    });
    streams::exit_code(code)
}
