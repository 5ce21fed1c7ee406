//! The loop: takes a payload, looks at the clock, sends, keeps the rate.

use std::hint::black_box;

use kafka_producer::{KafkaProducer, ProducerRecord, SendError};

use crate::clock::Clock;
use crate::payload::Payloads;
use crate::stats::Stats;
use crate::throttle::Throttle;

pub(crate) type Producer = KafkaProducer<[u8], [u8]>;
type Record<'a> = ProducerRecord<'a, [u8], [u8]>;

/// Where records go: a producer, or nowhere when the loop itself is measured.
pub(crate) trait Outlet {
    fn send(&self, record: Record<'_>, sent_at: u64, bytes: usize) -> Result<(), SendError>;
}

pub(crate) struct ToProducer<'p> {
    pub(crate) producer: &'p Producer,
    pub(crate) stats: &'static Stats,
}

impl Outlet for ToProducer<'_> {
    #[inline]
    fn send(&self, record: Record<'_>, sent_at: u64, bytes: usize) -> Result<(), SendError> {
        let stats = self.stats;
        let sent = self.producer.send_with_callback(record, move |outcome| {
            stats.completed(sent_at, bytes, outcome.err());
        });
        // The callback tells all that the future would.
        sent.map(drop)
    }
}

/// Leaves out the call of `send`, and nothing else.
pub(crate) struct Nowhere;

impl Outlet for Nowhere {
    #[inline]
    fn send(&self, record: Record<'_>, sent_at: u64, bytes: usize) -> Result<(), SendError> {
        black_box((&record, sent_at, bytes));
        Ok(())
    }
}

pub(crate) struct Load<'a> {
    pub(crate) topic: &'a str,
    pub(crate) records: u64,
    pub(crate) throttle: Throttle,
    pub(crate) clock: Clock,
}

impl Load<'_> {
    /// Not inlined, so that profiles show the loop by its name.
    #[inline(never)]
    pub(crate) fn send(
        &self,
        outlet: &impl Outlet,
        payloads: &mut Payloads,
    ) -> Result<(), SendError> {
        for sent in 1..=self.records {
            let payload = payloads.next();
            let record = ProducerRecord::new(self.topic, payload);
            let sent_at = self.clock.now();
            outlet.send(record, sent_at, payload.len())?;
            self.throttle.pace(sent, sent_at, self.clock);
        }
        Ok(())
    }
}
