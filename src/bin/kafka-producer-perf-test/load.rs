//! The send loop: payload, clock, send, throttle.

use std::error::Error;
use std::hint::black_box;

use kafka_producer::{KafkaProducer, ProducerRecord};

use crate::clock::RunClock;
use crate::interrupt::Interruption;
use crate::payload::Payloads;
use crate::stats::Stats;
use crate::throttle::Throttle;

pub(crate) type BytesProducer = KafkaProducer<[u8], [u8]>;
type Record<'a> = ProducerRecord<'a, [u8], [u8]>;

/// The destination of the loop's records: a producer, or none, to measure the loop itself.
pub(crate) trait Outlet {
    fn send(&self, record: Record<'_>, sent_at: u64, bytes: usize) -> Result<(), Box<dyn Error>>;
}

pub(crate) struct ToProducer<'p> {
    pub(crate) producer: &'p BytesProducer,
    pub(crate) stats: &'static Stats,
}

impl Outlet for ToProducer<'_> {
    #[inline]
    fn send(&self, record: Record<'_>, sent_at: u64, bytes: usize) -> Result<(), Box<dyn Error>> {
        let stats = self.stats;
        let sent = self.producer.send_with_callback(record, move |outcome| {
            stats.completed(sent_at, bytes, outcome.err());
        });
        // The future is dropped: the callback gets the same result.
        Ok(sent.map(drop)?)
    }
}

/// Discards the records, to measure the loop without the call of `send`.
pub(crate) struct Nowhere;

impl Outlet for Nowhere {
    #[inline]
    fn send(&self, record: Record<'_>, sent_at: u64, bytes: usize) -> Result<(), Box<dyn Error>> {
        black_box((&record, sent_at, bytes));
        Ok(())
    }
}

pub(crate) struct Load<'a> {
    pub(crate) topic: &'a str,
    pub(crate) records: u64,
    pub(crate) throttle: Throttle,
    pub(crate) clock: RunClock,
    /// Ends the loop before all records are sent.
    pub(crate) interruption: &'a Interruption,
}

impl Load<'_> {
    /// `inline(never)`, so that profiles show the loop by its name.
    #[inline(never)]
    pub(crate) fn send(
        &self,
        outlet: &impl Outlet,
        payloads: &mut Payloads,
    ) -> Result<(), Box<dyn Error>> {
        for sent in 1..=self.records {
            let payload = payloads.next();
            let record = ProducerRecord::new(self.topic, payload);
            let sent_at = self.clock.now();
            outlet.send(record, sent_at, payload.len())?;
            if self.interruption.is_set() {
                return Ok(());
            }
            let ends = || self.interruption.is_set();
            self.throttle.pace(sent, sent_at, self.clock, ends);
        }
        Ok(())
    }
}
