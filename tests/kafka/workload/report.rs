//! The report of a workload: a line for each fault, and the guarantees.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_producer::ProducerSnapshot;

use super::Mark;
use crate::ledger::{Findings, Id, Ledger, RecordResult};

/// Minimum time between attempts of a record: `retry.backoff.ms`, 100 ms by default.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// The report of a workload.
pub(crate) struct Report {
    pub(super) name: &'static str,
    pub(super) ledger: Arc<Ledger>,
    pub(crate) findings: Findings,
    /// Log truncations of brokers: partition, and first truncated offset.
    pub(super) truncations: Vec<(i32, i64)>,
    pub(super) marks: Vec<Mark>,
    pub(super) after: ProducerSnapshot,
}

impl Report {
    /// The time from each fault to the next.
    fn periods(&self) -> Vec<Range<Instant>> {
        let end = Instant::now();
        let ends = self.marks.iter().skip(1).map(|mark| mark.began);
        self.marks
            .iter()
            .map(|mark| mark.began)
            .zip(ends.chain([end]))
            .map(|(from, to)| from..to)
            .collect()
    }

    /// Prints a line for the total, and one for each fault with the results until the next.
    pub(super) fn print(&self) {
        let tally = self.ledger.tally();
        let findings = &self.findings;
        println!(
            "    {}: {} acknowledged, {} not written, {} maybe written ({} of them were); {} lost, {} \
             duplicates, {} out of order; {} records in {} batches sent again",
            self.name,
            tally.acknowledged,
            tally.not_written,
            tally.maybe_written,
            findings.maybe_found,
            findings.lost.len(),
            findings.duplicates.len(),
            findings.late.len(),
            self.after.records_retried,
            self.after.batches_retried,
        );
        let afters = self.marks.iter().skip(1).map(|mark| mark.before);
        for ((mark, after), period) in self
            .marks
            .iter()
            .zip(afters.chain([self.after]))
            .zip(self.periods())
        {
            let failed = self.ledger.tally_during(&period);
            let during = |ids: &[Id]| {
                let is_in_period = |id: &&Id| {
                    self.ledger
                        .outcome(**id)
                        .is_some_and(|o| period.contains(&o.at))
                };
                ids.iter().filter(is_in_period).count()
            };
            println!(
                "      {}: {} open; {} records in {} batches sent again, {} failed, {} lost, {} \
                 duplicates; slowest {:.2?}{}",
                mark.label,
                mark.open,
                after.records_retried - mark.before.records_retried,
                after.batches_retried - mark.before.batches_retried,
                failed.not_written + failed.maybe_written,
                during(&findings.lost),
                during(&findings.duplicates),
                self.ledger.slowest(&period),
                mark.recovered
                    .map(|time| format!(", all partitions back after {time:.2?}"))
                    .unwrap_or_default(),
            );
        }
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub(super) fn assert_resolved_within(&self, limit: Duration) {
        for id in self.ledger.sent() {
            let took = self.ledger.took(id);
            assert!(
                took.is_some_and(|took| took <= limit),
                "{}: {id:?} was resolved after {took:?}, not within {limit:?}",
                self.name
            );
        }
    }

    /// Asserts that batches were retried: the faults had an effect.
    pub(crate) fn assert_was_felt(&self) {
        assert!(
            self.after.batches_retried > 0,
            "{}: nothing was sent again",
            self.name
        );
    }

    /// Asserts that no record has failed.
    pub(crate) fn assert_none_failed(&self) {
        let tally = self.ledger.tally();
        assert_eq!(
            (tally.not_written, tally.maybe_written),
            (0, 0),
            "{}: {tally:?}",
            self.name
        );
    }

    /// The guarantee of acks=all without idempotence and with one request in flight: no record is lost or out of order,
    /// and duplicates come only from retries.
    pub(crate) fn assert_keeps_what_acks_all_promises(&self) {
        let findings = &self.findings;
        findings.assert_none_lost();
        let (misplaced, late) = (&findings.misplaced, &findings.late);
        assert!(
            misplaced.is_empty(),
            "not at their acknowledged offsets: {}",
            findings.name(misplaced)
        );
        assert!(late.is_empty(), "out of order: {}", findings.name(late));
        self.assert_duplicates_were_sent_again();
    }

    fn assert_duplicates_were_sent_again(&self) {
        let findings = &self.findings;
        let twice = rest(&findings.duplicates, |id| self.was_retried(id));
        assert!(
            twice.is_empty(),
            "twice, and not sent again: {}",
            findings.name(&twice)
        );
        assert!(
            findings.duplicates.len() as u64 <= self.after.records_retried,
            "more duplicates than records sent again"
        );
    }

    fn was_retried(&self, id: &Id) -> bool {
        self.ledger
            .took(*id)
            .is_some_and(|took| took >= RETRY_BACKOFF)
    }

    /// The guarantee of acks=1 without idempotence.
    ///
    /// A leader acknowledges before its followers have the record. When another replica becomes the leader, the old
    /// leader truncates its log to the end of the new leader's log, and acknowledged records beyond that end are lost.
    /// This applies to a killed leader, to a paused one that acknowledges the requests in its sockets before it is
    /// informed that it was replaced, and also to a controlled shutdown, since the leader keeps acknowledging until it
    /// is informed. A record that was retried may be duplicated, and be after later ones. No other record is lost,
    /// duplicated or out of order.
    pub(crate) fn assert_keeps_what_acks_1_promises(&self) {
        let findings = &self.findings;
        let was_truncated = |id: &Id| match self.ledger.outcome(*id).map(|outcome| outcome.result) {
            Some(RecordResult::Acknowledged {
                partition,
                offset: Some(offset),
            }) => self
                .truncations
                .iter()
                .any(|(cut, from)| *cut == partition && *from <= offset),
            _ => false,
        };
        let lost = rest(&findings.lost, was_truncated);
        assert!(
            lost.is_empty(),
            "lost, though no broker truncated them: {}",
            findings.name(&lost)
        );
        let misplaced = rest(&findings.misplaced, was_truncated);
        assert!(
            misplaced.is_empty(),
            "not at their acknowledged offsets: {}",
            findings.name(&misplaced)
        );
        self.assert_duplicates_were_sent_again();
        let late = rest(&findings.late, |id| self.was_retried(id));
        assert!(
            late.is_empty(),
            "out of order, and not sent again: {}",
            findings.name(&late)
        );
    }
}

/// The records that are not excused.
fn rest(ids: &[Id], is_excused: impl Fn(&Id) -> bool) -> Vec<Id> {
    ids.iter().filter(|id| !is_excused(id)).copied().collect()
}
