//! Comparison of the log with the results of the callbacks.

use std::sync::Arc;

use super::{Id, Ledger, RecordResult};
use crate::harness::ReadRecord;

/// Processes the records of a topic as they are read, in the order of each partition.
pub(crate) struct Reading {
    ledger: Arc<Ledger>,
    copies: Vec<u8>,
    /// For each record, whether a copy of it was at the acknowledged offset.
    in_place: Vec<bool>,
    /// For each partition, the last number of each thread.
    last: Vec<Vec<Option<usize>>>,
    next_offsets: Vec<i64>,
    late: Vec<Id>,
}

/// Differences between the log and the callbacks. The test decides whether its brokers and configuration allow them; a
/// difference that is never allowed has made [`Reading`] panic before.
pub(crate) struct Findings {
    ledger: Arc<Ledger>,
    copies: Vec<u8>,
    /// Records that are acknowledged, but not in the log.
    pub(crate) lost: Vec<Id>,
    /// Records that are in the log more than once; listed once for each additional copy.
    pub(crate) duplicates: Vec<Id>,
    /// Records that are acknowledged and in the log, but at another offset.
    pub(crate) misplaced: Vec<Id>,
    /// Records that are in the log after a later record of the same thread in the same partition.
    pub(crate) late: Vec<Id>,
    /// The number of maybe-written records that were written.
    pub(crate) maybe_found: usize,
}

impl Reading {
    pub(crate) fn new(ledger: &Arc<Ledger>) -> Self {
        let count = ledger.entries.len();
        Self {
            ledger: Arc::clone(ledger),
            copies: vec![0; count],
            in_place: vec![false; count],
            last: Vec::new(),
            next_offsets: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Processes the next record.
    pub(crate) fn see(&mut self, record: &ReadRecord<'_>) -> Id {
        let id = self.ledger.identity(record);
        let place = self.ledger.place(id);
        let outcome = self.ledger.outcome(id);
        let result = outcome.map(|outcome| outcome.result);
        assert!(result.is_some(), "{id:?} is in the log and has no result");
        assert_ne!(
            result,
            Some(RecordResult::NotWritten),
            "{id:?} is in the log: {record:?}"
        );
        let partition = record.partition as usize;
        self.check_offset(partition, record.offset);
        self.copies[place] = self.copies[place].saturating_add(1);
        if let Some(RecordResult::Acknowledged { partition, offset }) = result {
            let is_in_place = partition == record.partition
                && offset.is_none_or(|offset| offset == record.offset);
            self.in_place[place] |= is_in_place;
        }
        if self.copies[place] == 1 {
            self.check_order(partition, id);
        }
        id
    }

    fn check_offset(&mut self, partition: usize, offset: i64) {
        if self.next_offsets.len() <= partition {
            self.next_offsets.resize(partition + 1, 0);
        }
        let next = &mut self.next_offsets[partition];
        assert_eq!(
            offset, *next,
            "offsets of partition {partition} have no gap"
        );
        *next += 1;
    }

    fn check_order(&mut self, partition: usize, id: Id) {
        if self.last.len() <= partition {
            self.last.resize(partition + 1, Vec::new());
        }
        let threads = &mut self.last[partition];
        if threads.len() <= id.thread {
            threads.resize(id.thread + 1, None);
        }
        let last = &mut threads[id.thread];
        if last.is_some_and(|last| last > id.number) {
            self.late.push(id);
        } else {
            *last = Some(id.number);
        }
    }

    /// Completes the comparison.
    pub(crate) fn finish(self) -> Findings {
        let mut findings = Findings {
            ledger: Arc::clone(&self.ledger),
            copies: self.copies,
            lost: Vec::new(),
            duplicates: Vec::new(),
            misplaced: Vec::new(),
            late: self.late,
            maybe_found: 0,
        };
        for id in self.ledger.sent() {
            let place = self.ledger.place(id);
            let copies = findings.copies[place];
            let outcome = self.ledger.outcome(id);
            match outcome.map(|outcome| outcome.result) {
                Some(RecordResult::Acknowledged { .. }) if copies == 0 => findings.lost.push(id),
                Some(RecordResult::Acknowledged { .. }) if !self.in_place[place] => {
                    findings.misplaced.push(id);
                }
                Some(RecordResult::MaybeWritten) => findings.maybe_found += usize::from(copies > 0),
                Some(_) => {}
                None => panic!("{id:?} has no result"),
            }
            findings.duplicates.extend((1..copies).map(|_| id));
        }
        findings
    }
}

impl Findings {
    /// The number of copies of a record in the log.
    pub(crate) fn copies(&self, id: Id) -> usize {
        self.copies[self.ledger.place(id)].into()
    }

    /// Every acknowledged record is in the log once, at its acknowledged offset, and in order.
    pub(crate) fn assert_exactly_once(&self) {
        self.assert_none_lost();
        self.assert_once_and_in_order();
    }

    pub(crate) fn assert_none_lost(&self) {
        assert!(self.lost.is_empty(), "lost: {}", self.name(&self.lost));
    }

    /// Every record in the log is there once, at its acknowledged offset, and in order.
    pub(crate) fn assert_once_and_in_order(&self) {
        let (twice, misplaced, late) = (&self.duplicates, &self.misplaced, &self.late);
        assert!(twice.is_empty(), "more than once: {}", self.name(twice));
        assert!(
            misplaced.is_empty(),
            "not at their acknowledged offsets: {}",
            self.name(misplaced)
        );
        assert!(late.is_empty(), "out of order: {}", self.name(late));
    }

    /// The first few records of a list, with details.
    pub(crate) fn name(&self, ids: &[Id]) -> String {
        let first: Vec<String> = ids
            .iter()
            .take(5)
            .map(|id| {
                let result = self.ledger.outcome(*id).map(|outcome| outcome.result);
                let took = self.ledger.took(*id).unwrap_or_default();
                format!(
                    "{}:{} ({result:?} after {took:.2?}, {} times in the log)",
                    id.thread,
                    id.number,
                    self.copies(*id)
                )
            })
            .collect();
        format!(
            "{} records of {}: {}",
            ids.len(),
            self.ledger.topic(),
            first.join(", ")
        )
    }
}
