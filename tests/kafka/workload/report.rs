//! What came of a workload: a line for each thing that was done to the brokers, and what must hold.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_producer::ProducerSnapshot;

use super::Mark;
use crate::ledger::{Fate, Findings, Id, Ledger};

/// What a record that is sent again waits at least: `retry.backoff.ms`, of 100 ms by default.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// What came of a workload.
pub(crate) struct Report {
    pub(super) name: &'static str,
    pub(super) ledger: Arc<Ledger>,
    pub(crate) findings: Findings,
    /// Where brokers cut off the ends of their logs: partition, and the first offset that went.
    pub(super) truncations: Vec<(i32, i64)>,
    pub(super) marks: Vec<Mark>,
    pub(super) after: ProducerSnapshot,
}

impl Report {
    /// The time from each mark to the next.
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

    /// A line for all of it, and one for each mark with what happened from it to the next.
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
                let told = |id: &&Id| {
                    self.ledger
                        .outcome(**id)
                        .is_some_and(|o| period.contains(&o.at))
                };
                ids.iter().filter(told).count()
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

    /// Batches were sent again: the faults were felt.
    pub(crate) fn assert_was_felt(&self) {
        assert!(
            self.after.batches_retried > 0,
            "{}: nothing was sent again",
            self.name
        );
    }

    /// No record has failed.
    pub(crate) fn assert_none_failed(&self) {
        let tally = self.ledger.tally();
        assert_eq!(
            (tally.not_written, tally.maybe_written),
            (0, 0),
            "{}: {tally:?}",
            self.name
        );
    }

    /// What holds for acks=all without idempotence and one request in flight: nothing is lost or out of
    /// order, and what is there twice was sent again.
    pub(crate) fn assert_keeps_what_acks_all_promises(&self) {
        let findings = &self.findings;
        findings.assert_none_lost();
        let (misplaced, late) = (&findings.misplaced, &findings.late);
        assert!(
            misplaced.is_empty(),
            "not where they were said to be: {}",
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

    /// What holds for acks=1 without idempotence.
    ///
    /// A leader acknowledges before its followers have the record. When another becomes the leader,
    /// the old one cuts its log off where the new one's ends, and what it had acknowledged beyond that
    /// is gone. That is so for a leader that was killed, for one that was paused and acknowledges what it
    /// finds in its sockets before it learns that it was replaced, and also for one that hands over in
    /// an orderly way, since it goes on acknowledging until it has been told. A record that was sent
    /// again may be there twice, and behind later ones. Nothing else is lost, there twice, or late.
    pub(crate) fn assert_keeps_what_acks_1_promises(&self) {
        let findings = &self.findings;
        let was_cut_off = |id: &Id| match self.ledger.outcome(*id).map(|outcome| outcome.fate) {
            Some(Fate::Acknowledged {
                partition,
                offset: Some(offset),
            }) => self
                .truncations
                .iter()
                .any(|(cut, from)| *cut == partition && *from <= offset),
            _ => false,
        };
        let lost = rest(&findings.lost, was_cut_off);
        assert!(
            lost.is_empty(),
            "lost though no broker cut it off: {}",
            findings.name(&lost)
        );
        let misplaced = rest(&findings.misplaced, was_cut_off);
        assert!(
            misplaced.is_empty(),
            "not where they were said to be: {}",
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

/// Those that have no excuse.
fn rest(ids: &[Id], is_excused: impl Fn(&Id) -> bool) -> Vec<Id> {
    ids.iter().filter(|id| !is_excused(id)).copied().collect()
}
