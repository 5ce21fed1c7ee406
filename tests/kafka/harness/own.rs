//! Clients and tools of the brokers' own version. The other modules use clients and tools of the default version.

use std::sync::MutexGuard;

use super::cluster::{Cluster, lock, segments, with_servers};
use super::dump::{DumpReport, RecordCount};
use super::helper::{Call, Helper, ReadRecord};
use super::{DEFAULT_VERSION, Result};

impl Cluster {
    /// As [`Self::read_back`], by the consumer of the brokers' version.
    pub(crate) fn read_back_with_own_consumer(
        &self,
        topic: &str,
        see: impl FnMut(ReadRecord<'_>),
    ) -> Result<()> {
        let call = self.call("read").text(topic).text("read_uncommitted");
        self.explained(self.own_helper().each_record(&call, see))
    }

    /// As [`Self::fill_with_java`], by the producer of the brokers' version.
    pub(crate) fn fill_with_own_producer(
        &self,
        configs: &[(&str, &str)],
        topic: &str,
        count: u64,
        size: usize,
    ) -> Result<()> {
        let servers = self.bootstrap_servers();
        let call = Call::new("fill")
            .map(&with_servers(&servers, configs))
            .text(topic)
            .number(&count)
            .number(&size);
        self.explained(self.own_helper().run(&call))
    }

    /// As [`Self::dump_log_segments`], with the tool of the brokers' version. The tool runs twice, because old versions
    /// print either batches or records.
    pub(crate) fn dump_with_own_tool(&self, topic: &str) -> Result<DumpReport> {
        let mut report = DumpReport::default();
        let mut count = RecordCount::default();
        for index in 0..self.broker_count() {
            for (partition, files) in segments(&self.broker(index).data_folder(), topic)? {
                let call = Call::new("dump").text("--files").text(&files);
                let batches = self
                    .own_helper()
                    .each_line(&call, |line| report.see(index, partition, line));
                self.explained(batches)?;
                let call = call.text("--deep-iteration");
                let records = self.own_helper().each_line(&call, |line| count.see(line));
                self.explained(records)?;
            }
        }
        report.records = count.records();
        Ok(report)
    }

    fn own_helper(&self) -> MutexGuard<'_, Helper> {
        if self.version() == DEFAULT_VERSION {
            self.helper()
        } else {
            lock(&self.own_helper)
        }
    }
}
