//! Real Apache Kafka brokers for tests and for people, on loopback ports.
//!
//! [`Cluster::start`] brings up a coordinator (ZooKeeper, or a controller for brokers from 4.0 on) and
//! any number of brokers, each a JVM of its own, so that one can be killed, paused or restarted while
//! the rest goes on. The jars come from Maven once and stay in the build folder, see [`install`].
//!
//! Nothing outlives the process that started it, not even after kill -9: every JVM halts when its
//! standard input ends, and lives in a process group of its own, so that the system wakes a paused one
//! when its owner is gone.
//!
//! What only Kafka's own code should do (topics, reading back, dumping segments, partitions of keys) is
//! done by a [`Helper`] JVM. Every wait has a deadline, and a failure quotes the end of the logs.

mod broker;
mod cluster;
mod dump;
mod helper;
mod install;
mod options;
mod own;
mod ports;
mod process;
mod replicas;
mod startup;
mod tool;

use std::fmt::{Debug, Display, Formatter};

pub(crate) use broker::{Broker, Upgrade};
pub(crate) use cluster::{Cluster, PartitionState};
pub(crate) use dump::{DumpReport, DumpedBatch};
pub(crate) use helper::{Header, JavaRecord, ReadRecord, TimestampType, Transaction, Written};
pub(crate) use helper::{Helper, Isolation, KeyPartition};
pub(crate) use install::missing_tools;
pub(crate) use options::ClusterOptions;
pub(crate) use process::is_running;
pub(crate) use tool::run_tool;

/// The version of Kafka that tests run against unless they ask for another.
pub(crate) const DEFAULT_VERSION: &str = "3.0.0";

/// Why the harness could not do what was asked, in words for the reader of a test's output.
pub(crate) struct Failure(String);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same failure with what was being done in front.
    pub(crate) fn during(self, what: impl Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }

    /// The same failure with more to read below it.
    pub(crate) fn with_details(self, details: &str) -> Self {
        if details.is_empty() {
            self
        } else {
            Self(format!("{}\n{details}", self.0))
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// As `Display`: a test that ends with this error shows it by `Debug`.
impl Debug for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Says what was being done when an I/O error came.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {error}", what())))
    }
}
