//! Parser of the output of Kafka's `DumpLogSegments`.

/// A batch in the log of one broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DumpedBatch {
    /// The broker whose replica this is.
    pub(crate) broker: usize,
    pub(crate) partition: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// Records in the batch; `None` for message formats v0 and v1.
    pub(crate) count: Option<i32>,
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) is_transactional: bool,
    pub(crate) is_control: bool,
    pub(crate) size: i32,
    pub(crate) magic: i8,
    /// Lower case: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub(crate) compression: String,
    /// Whether the checksum is valid.
    pub(crate) is_valid: bool,
}

/// The dump of a topic's segments.
#[derive(Clone, Debug, Default)]
pub(crate) struct DumpReport {
    pub(crate) batches: Vec<DumpedBatch>,
    /// Number of records of the deep iteration, control records included.
    pub(crate) records: u64,
    /// Lines of no known form, which are complaints of the tool.
    pub(crate) complaints: Vec<String>,
}

impl DumpReport {
    /// Whether every batch is valid and there are no complaints.
    pub(crate) fn is_valid(&self) -> bool {
        self.complaints.is_empty() && self.batches.iter().all(|batch| batch.is_valid)
    }

    /// The batches in one broker's log.
    pub(crate) fn of_broker(&self, broker: usize) -> impl Iterator<Item = &DumpedBatch> {
        self.batches
            .iter()
            .filter(move |batch| batch.broker == broker)
    }

    /// Parses a line about a broker's replica of a partition.
    pub(crate) fn see(&mut self, broker: usize, partition: i32, line: &str) {
        const HEADINGS: [&str; 3] = ["Dumping ", "Starting offset:", "Log starting offset:"];
        let line = line.trim();
        let is_heading = HEADINGS.iter().any(|heading| line.starts_with(heading));
        if line.is_empty() || is_heading {
        } else if line.starts_with('|') {
            self.records += 1;
        } else if let Some(batch) = parse_batch(line) {
            self.batches.push(DumpedBatch {
                broker,
                partition,
                ..batch
            });
        } else {
            self.complaints.push(line.to_owned());
        }
    }
}

/// Counts records in the output of a deep iteration, of any version of the tool.
#[derive(Default)]
pub(crate) struct RecordCount {
    marked: u64,
    plain: u64,
}

impl RecordCount {
    pub(crate) fn see(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with('|') {
            self.marked += 1;
        } else if parse_batch(line).is_some() {
            self.plain += 1;
        }
    }

    /// Later versions of the tool print a line for each batch, and lines that begin with `|` for its records. Older
    /// versions print lines for records only.
    pub(crate) fn records(&self) -> u64 {
        if self.marked > 0 {
            self.marked
        } else {
            self.plain
        }
    }
}

/// Parses a line about a batch, which is a sequence of `name: value`; `None` for any other line. Lines about formats v0
/// and v1 have fewer fields, and `offset` instead of `baseOffset` and `lastOffset`.
fn parse_batch(line: &str) -> Option<DumpedBatch> {
    let mut batch = DumpedBatch {
        last_offset: -1,
        base_sequence: -1,
        last_sequence: -1,
        producer_id: -1,
        producer_epoch: -1,
        ..DumpedBatch::default()
    };
    let mut seen = (false, false);
    let mut words = line.split_whitespace();
    while let Some(name) = words.next() {
        let value = words.next()?;
        match name.strip_suffix(':')? {
            "baseOffset" | "offset" => {
                batch.base_offset = value.parse().ok()?;
                seen.0 = true;
            }
            "lastOffset" => batch.last_offset = value.parse().ok()?,
            "count" => batch.count = Some(value.parse().ok()?),
            "baseSequence" => batch.base_sequence = value.parse().ok()?,
            "lastSequence" => batch.last_sequence = value.parse().ok()?,
            "producerId" => batch.producer_id = value.parse().ok()?,
            "producerEpoch" => batch.producer_epoch = value.parse().ok()?,
            "isTransactional" => batch.is_transactional = value.parse().ok()?,
            "isControl" => batch.is_control = value.parse().ok()?,
            "size" => batch.size = value.parse().ok()?,
            "magic" => batch.magic = value.parse().ok()?,
            "compresscodec" => batch.compression = value.to_lowercase(),
            "isvalid" => {
                batch.is_valid = value.parse().ok()?;
                seen.1 = true;
            }
            _ => {}
        }
    }
    (seen == (true, true)).then_some(batch)
}
