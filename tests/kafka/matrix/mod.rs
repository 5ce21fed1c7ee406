//! The matrix of Kafka versions and codecs: the consumer and the tools of each version must read the records that our
//! producer has written.
//!
//! To run all of them and update the table in the README:
//! `KAFKA_TESTS=required cargo test --test kafka -- matrix --publish`.

mod content;
mod own;
mod refusals;
mod releases;
mod run;
mod table;

use crate::harness::{Cluster, ClusterOptions, Failure};
use crate::runner::{TestResult, tests};

pub(crate) use releases::NEWEST;
pub(crate) use table::publish;

use releases::{CODECS, Release};
use table::Cell;

tests![
    kafka_0_10_2_2,
    kafka_0_11_0_3,
    kafka_1_1_1,
    kafka_2_4_1,
    kafka_2_8_2,
    kafka_3_0_0,
    kafka_3_9_2,
    kafka_4_4_0,
];

fn kafka_0_10_2_2() -> TestResult {
    every_codec("0.10.2.2")
}

fn kafka_0_11_0_3() -> TestResult {
    every_codec("0.11.0.3")
}

fn kafka_1_1_1() -> TestResult {
    every_codec("1.1.1")
}

fn kafka_2_4_1() -> TestResult {
    every_codec("2.4.1")
}

fn kafka_2_8_2() -> TestResult {
    every_codec("2.8.2")
}

fn kafka_3_0_0() -> TestResult {
    every_codec("3.0.0")
}

fn kafka_3_9_2() -> TestResult {
    every_codec("3.9.2")
}

fn kafka_4_4_0() -> TestResult {
    every_codec("4.4.0")
}

/// Runs every codec with one version. Continues after a codec that failed, so that the table is complete.
fn every_codec(version: &str) -> TestResult {
    let release = Release::of(version);
    let cluster = start(release).inspect_err(|failure| {
        for codec in CODECS {
            table::note(release, codec, &Err(Failure::new(failure.to_string())));
        }
    })?;
    own::is_understood(&cluster, release)?;
    let mut failures = Vec::new();
    for codec in CODECS {
        let cell = if release.takes(codec) {
            run::codec(&cluster, release, codec)
        } else {
            refusals::of_codec(&cluster, codec).map(|()| Cell::Refused)
        };
        table::note(release, codec, &cell);
        if let Err(failure) = cell {
            failures.push(
                failure
                    .during(format!("Kafka {version}, {codec}"))
                    .to_string(),
            );
        }
    }
    if !release.has_idempotence() {
        refusals::of_idempotence(&cluster)?;
    }
    if !release.has_headers() {
        refusals::of_headers(&cluster)?;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n").into())
    }
}

fn start(release: &Release) -> crate::harness::Result<Cluster> {
    let options = ClusterOptions::default()
        .version(release.version)
        .heap_mb(256)
        // The records have timestamps of years ago, so retention would delete them.
        .config("log.retention.ms", "-1");
    Cluster::start(options)
}
