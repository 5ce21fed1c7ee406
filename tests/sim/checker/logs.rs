//! Contents of the brokers' logs, as reported by events.

use std::collections::BTreeMap;

use crate::events::RecordId;

/// A topic, as an index into the list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicId(pub(crate) usize);

/// The log of a partition. A recreated topic has other logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogId {
    pub(crate) topic: TopicId,
    pub(crate) incarnation: u64,
    pub(crate) partition: i32,
}

/// A written batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) log: LogId,
    pub(crate) base_offset: i64,
    pub(crate) records: Vec<RecordId>,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    pub(crate) digest: u64,
    /// Whether the batch belongs to a transaction.
    pub(crate) transactional: bool,
    /// Number of the event that reported the write.
    pub(crate) written: u64,
    /// The offset from which on records of the batch are lost; `None` if the batch is complete.
    gone_from: Option<i64>,
}

impl Batch {
    /// Whether some records of the batch are lost.
    pub(crate) fn is_cut(&self) -> bool {
        self.gone_from.is_some()
    }

    pub(crate) fn holds(&self, offset: i64) -> bool {
        self.gone_from.is_none_or(|from| offset < from)
    }

    fn end(&self) -> i64 {
        self.base_offset + self.records.len() as i64
    }
}

/// A copy of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) batch: usize,
    pub(crate) offset: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Batches that are not entirely lost, in order.
    pub(crate) batches: Vec<usize>,
    pub(crate) end: i64,
    /// Transaction markers, in order.
    markers: Vec<Marker>,
    /// Whether the log has lost records.
    is_cut: bool,
}

/// A transaction marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) offset: i64,
    pub(crate) producer_id: i64,
    pub(crate) committed: bool,
    /// Number of the event that reported the write.
    pub(crate) written: u64,
}

/// State of a batch for `read_committed` consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not transactional.
    Plain,
    /// Its transaction has no marker yet.
    Open,
    Ended(Marker),
}

impl Fate {
    pub(crate) fn is_visible(self) -> bool {
        match self {
            Self::Plain => true,
            Self::Open => false,
            Self::Ended(marker) => marker.committed,
        }
    }
}

/// All logs that have ever existed.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pub(crate) batches: Vec<Batch>,
    logs: BTreeMap<LogId, Log>,
}

impl Logs {
    pub(crate) fn get(&self, log: LogId) -> Option<&Log> {
        self.logs.get(&log)
    }

    pub(crate) fn is_there(&self, copy: Stored) -> bool {
        self.batches[copy.batch].holds(copy.offset)
    }

    pub(super) fn mark(&mut self, log: LogId, marker: Marker) {
        let log = self.logs.entry(log).or_default();
        log.end = marker.offset + 1;
        log.markers.push(marker);
    }

    /// State of a batch for `read_committed` consumers.
    pub(crate) fn fate(&self, batch: &Batch) -> Fate {
        if !batch.transactional {
            return Fate::Plain;
        }
        let markers = self
            .logs
            .get(&batch.log)
            .map_or(&[][..], |log| &log.markers);
        let is_its_own = |marker: &&Marker| {
            marker.producer_id == batch.producer_id && marker.offset > batch.base_offset
        };
        markers
            .iter()
            .find(is_its_own)
            .map_or(Fate::Open, |marker| Fate::Ended(*marker))
    }

    /// Whether a log has lost records, or was deleted.
    pub(crate) fn has_lost(&self, log: LogId) -> bool {
        self.logs.get(&log).is_some_and(|log| log.is_cut)
    }

    /// Adds a batch, and returns its index among all batches.
    pub(super) fn append(&mut self, mut batch: Batch) -> usize {
        batch.gone_from = None;
        let place = self.batches.len();
        let log = self.logs.entry(batch.log).or_default();
        log.batches.push(place);
        log.end = batch.end();
        self.batches.push(batch);
        place
    }

    pub(super) fn truncate(&mut self, id: LogId, from: i64) {
        let Some(log) = self.logs.get_mut(&id) else {
            return;
        };
        log.is_cut = true;
        log.markers.retain(|marker| marker.offset < from);
        for place in &log.batches {
            let batch = &mut self.batches[*place];
            if batch.end() > from {
                batch.gone_from = Some(from.min(batch.gone_from.unwrap_or(from)));
            }
        }
        let batches = &self.batches;
        log.batches
            .retain(|place| batches[*place].holds(batches[*place].base_offset));
        log.end = log.end.min(from);
    }

    pub(super) fn remove(&mut self, topic: TopicId, incarnation: u64) {
        let gone = self.logs.iter_mut().filter(|(id, _)| {
            let id: &LogId = id;
            id.topic == topic && id.incarnation == incarnation
        });
        for (_, log) in gone {
            log.is_cut = true;
            for place in std::mem::take(&mut log.batches) {
                self.batches[place].gone_from = Some(i64::MIN);
            }
        }
    }
}

impl Batch {
    #[allow(clippy::too_many_arguments, reason = "an event's fields")]
    pub(super) fn new(
        log: LogId,
        base_offset: i64,
        records: &[RecordId],
        producer: (i64, i16, i32),
        transactional: bool,
        digest: u64,
        written: u64,
    ) -> Self {
        let (producer_id, epoch, sequence) = producer;
        Self {
            log,
            base_offset,
            records: records.to_vec(),
            producer_id,
            epoch,
            sequence,
            digest,
            transactional,
            written,
            gone_from: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId {
        topic: TopicId(0),
        incarnation: 3,
        partition: 1,
    };

    fn batch(base_offset: i64, records: &[u64]) -> Batch {
        let records: Vec<_> = records.iter().copied().map(RecordId).collect();
        Batch::new(LOG, base_offset, &records, (-1, -1, -1), false, 0, 0)
    }

    #[test]
    fn a_transactional_batch_is_visible_if_the_next_marker_of_its_producer_commits() {
        let mut logs = Logs::default();
        let of = |producer_id: i64, base_offset: i64, transactional: bool| {
            let producer = (producer_id, 0, 0);
            Batch::new(
                LOG,
                base_offset,
                &[RecordId(0)],
                producer,
                transactional,
                0,
                0,
            )
        };
        let batches = [
            of(7, 0, true),
            of(8, 1, true),
            of(7, 2, false),
            of(7, 5, true),
        ];
        let marker = |offset: i64, producer_id: i64, committed: bool| Marker {
            offset,
            producer_id,
            committed,
            written: 0,
        };
        let seen = |logs: &Logs| {
            batches
                .each_ref()
                .map(|batch| logs.fate(batch).is_visible())
        };
        assert_eq!(seen(&logs), [false, false, true, false]);
        logs.mark(LOG, marker(3, 7, true));
        logs.mark(LOG, marker(4, 8, false));
        assert_eq!(seen(&logs), [true, false, true, false]);
        logs.mark(LOG, marker(6, 7, false));
        assert_eq!(seen(&logs), [true, false, true, false]);
        assert_eq!(logs.fate(&batches[3]), Fate::Ended(marker(6, 7, false)));
        assert!(!logs.has_lost(LOG));
        logs.truncate(LOG, 3);
        assert_eq!(logs.fate(&batches[0]), Fate::Open);
        assert!(logs.has_lost(LOG));
    }

    #[test]
    fn truncated_records_and_deleted_topics_are_gone() {
        let mut logs = Logs::default();
        let first = logs.append(batch(0, &[0, 1]));
        let second = logs.append(batch(2, &[2, 3]));
        logs.truncate(LOG, 3);
        let there = |logs: &Logs| {
            [(first, 0), (first, 1), (second, 2), (second, 3)]
                .map(|(batch, offset)| logs.is_there(Stored { batch, offset }))
        };
        assert_eq!(there(&logs), [true, true, true, false]);
        assert!(logs.batches[second].is_cut() && !logs.batches[first].is_cut());
        assert_eq!(logs.get(LOG).map(|log| log.end), Some(3));
        logs.truncate(LOG, 2);
        assert_eq!(logs.get(LOG).map(|log| log.batches.len()), Some(1));
        logs.remove(TopicId(0), 4);
        assert_eq!(there(&logs), [true, true, false, false]);
        logs.remove(TopicId(0), 3);
        assert_eq!(there(&logs), [false; 4]);
    }
}
