//! A harness that runs real Apache Kafka brokers on loopback ports, for tests and for interactive use.
//!
//! [`Cluster::start`] starts a coordinator (ZooKeeper, or a controller for brokers from 4.0 on) and any number of
//! brokers, each in its own JVM, so that one can be killed, paused or restarted while the others continue. The jars are
//! downloaded with Maven once and kept in the build folder, see [`install`].
//!
//! No JVM outlives the process that started it, not even if that process is killed with SIGKILL: every JVM exits when
//! its standard input ends, and has its own process group, so that the kernel resumes a paused JVM when its owner is
//! gone.
//!
//! A [`Helper`] JVM executes the operations for which Kafka's own code should be used (topics, reading back, dumping
//! segments, partitions of keys). Every wait has a deadline, and an error contains the last lines of the logs.

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
mod transactions;

use std::fmt::{Debug, Display, Formatter};

pub(crate) use broker::{Broker, Upgrade};
pub(crate) use cluster::{Cluster, PartitionState};
pub(crate) use dump::{DumpReport, DumpedBatch};
pub(crate) use helper::{Header, JavaRecord, ReadRecord, TimestampType, Transaction, Written};
pub(crate) use helper::{Helper, Isolation, KeyPartition};
pub(crate) use install::missing_tools;
pub(crate) use options::ClusterOptions;
pub(crate) use ports::free_port;
pub(crate) use process::is_running;
pub(crate) use tool::run_tool;
pub(crate) use transactions::TransactionView;

/// The default version of Kafka.
pub(crate) const DEFAULT_VERSION: &str = "3.0.0";

/// An error of the harness, as text for the output of a test.
pub(crate) struct Failure(String);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Prefixes the message with the operation that failed.
    pub(crate) fn during(self, what: impl Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }

    /// Appends details on lines of their own.
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

/// The same as `Display`, because a test that returns this error prints its `Debug`.
impl Debug for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Adds the operation to an I/O error.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {error}", what())))
    }
}
