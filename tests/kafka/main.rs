//! Tests with real Apache Kafka brokers. See `README.md` in this folder for how to run them.
// These tests drive other programs in real time: they read clocks, sleep between polls, use plain locks, and print the
// output of a test runner.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout
)]

mod check_tool;
mod cluster;
mod console_tool;
// Not every function of the harness is used at present.
#[allow(dead_code, unused_imports)]
mod harness;
#[path = "../cli/lines.rs"]
mod lines;
mod perf_tool;
// The results of records, which the tests compare with the log.
mod ledger;
mod matrix;
mod parts;
mod producer;
mod published;
mod runner;
mod sasl;
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
mod security;
mod self_test;
mod shared;
mod transactions;
mod vectors;
mod verifiable_tool;
mod workload;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os(self_test::OWNER_ROLE).is_some() {
        return self_test::own_a_cluster_until_killed();
    }
    if let Ok(servers) = std::env::var(transactions::application::ROLE) {
        return transactions::application::run(&servers);
    }
    #[cfg(feature = "gssapi")]
    #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
    if let Some(folder) = std::env::var_os(security::gssapi::ROLE) {
        return security::gssapi::run(&folder);
    }
    let tests = [
        self_test::TESTS,
        self_test::replicas::TESTS,
        vectors::TESTS,
        producer::million::TESTS,
        producer::partitions::TESTS,
        producer::faults::TESTS,
        producer::idle::TESTS,
        producer::oversize::TESTS,
        producer::late_write::TESTS,
        producer::metrics::TESTS,
        producer::reporters::TESTS,
        sasl::TESTS,
        perf_tool::TESTS,
        check_tool::TESTS,
        verifiable_tool::TESTS,
        console_tool::TESTS,
        cluster::killed::TESTS,
        cluster::paused::TESTS,
        cluster::rolling::TESTS,
        cluster::outage::TESTS,
        cluster::impatient::TESTS,
        cluster::moved::TESTS,
        cluster::recreated::TESTS,
        cluster::hung::TESTS,
        cluster::upgraded::TESTS,
        cluster::verified::TESTS,
        matrix::TESTS,
        transactions::basics::TESTS,
        transactions::fencing::TESTS,
        transactions::rights::TESTS,
        transactions::crashes::TESTS,
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        security::records::TESTS,
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        security::failures::TESTS,
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        security::java_stores::TESTS,
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        security::reload::TESTS,
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        security::vendors::TESTS,
        #[cfg(feature = "gssapi")]
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        security::gssapi::TESTS,
    ]
    .concat();
    let finish = || {
        shared::stop();
        cluster::stop();
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        security::stop();
    };
    let publish = || {
        let was_any = matrix::publish()?;
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        let was_any = was_any | security::publish()?;
        if was_any {
            Ok(())
        } else {
            Err("no table comes of the tests that were run".into())
        }
    };
    runner::main(&tests, finish, publish)
}
