//! Rules: no request storms and no busy loop of the sender.

use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::{Facts, producer_of};
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind, ProducerIndex, Who};
use crate::scenario::{Fault, Scenario, TimedFault};

/// Token bucket: a rate per second, and a burst.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) rate: f64,
    /// Largest number of tokens that time adds up to: the burst.
    most: f64,
    /// Number of tokens left.
    now: f64,
    /// Time up to which tokens were added.
    filled: Duration,
    is_over: bool,
}

impl Bucket {
    pub(super) fn new(rate: f64, most: f64) -> Self {
        Self {
            rate,
            most,
            now: most,
            filled: Duration::ZERO,
            is_over: false,
        }
    }

    /// Takes one token. Returns true the first time that no token is left.
    pub(super) fn take(&mut self, at: Duration) -> bool {
        let passed = at.saturating_sub(self.filled).as_secs_f64();
        self.filled = self.filled.max(at);
        // Tokens earned beyond `most` are kept, but do not grow with time.
        if self.now < self.most {
            self.now = (self.now + passed * self.rate).min(self.most);
        }
        if self.now >= 1.0 {
            self.now -= 1.0;
            return false;
        }
        !std::mem::replace(&mut self.is_over, true)
    }

    pub(super) fn earn(&mut self, count: f64) {
        self.now += count;
    }
}

/// Counts what the application did that causes requests, each once.
#[derive(Debug, Default)]
struct Asked {
    records: u32,
    transactional_calls: u32,
}

impl Asked {
    /// Largest number of requests of this kind that were asked for:
    /// - Produce: three for each accepted record, for its batch and the pieces into which the batch may be split;
    /// - `AddPartitionsToTxn`: one for each accepted record, which may be the first of its partition in the transaction;
    /// - the others of transactions: one for each transactional call.
    fn requests(&self, api: &str) -> f64 {
        f64::from(match api {
            "Produce" => 3 * self.records,
            "AddPartitionsToTxn" => self.records,
            "AddOffsetsToTxn" | "TxnOffsetCommit" | "EndTxn" | "FindCoordinator"
            | "InitProducerId" => self.transactional_calls,
            _ => 0,
        })
    }
}

/// Limit on the requests of each kind that reach a broker, per simulated second, from all producers together (the event
/// of a request does not name the producer). By `docs/RELIABILITY.md`, "Extreme values", nothing is retried within 10
/// ms, even with back-offs of 0. Retries in each round trip would exceed the limits, which are for each producer:
/// - Metadata: 160 a second (100 retries, and up to 50 requests for new topics without a pause, with a margin).
/// - `ApiVersions`: 100 connections to an address as a bootstrap server, 100 as a node; twice as many if a broker
///   supports only old versions.
/// - `InitProducerId`: 100, and as many again for epoch bumps.
/// - Produce: 100 times the number of requests that may be retried at a time: two with idempotence, otherwise the
///   in-flight limit (2 to 50), times the number of partitions if `max.request.size` is small.
///
/// Requests that the application asks for are not limited, however fast it is: see [`Asked`].
///
/// Requests may arrive in a burst: a broker that hangs, or whose packets are delayed, gets all requests of that time at
/// once.
pub(super) struct Requests {
    produce: f64,
    producers: f64,
    /// Seconds during which requests may pile up.
    gathers: f64,
    asked: Asked,
    buckets: BTreeMap<(&'static str, i32), (Bucket, f64)>,
}

impl Requests {
    pub(super) fn of(scenario: &Scenario, facts: &Facts) -> Self {
        const SMALL: u64 = 65_536;
        let partitions: u64 = scenario
            .topics
            .iter()
            .map(|topic| u64::from(topic.partitions))
            .sum();
        let again = facts.producers.iter().map(|producer| {
            let settings = &producer.settings;
            let at_once = if settings.idempotent {
                2
            } else {
                settings.in_flight.clamp(2, 50)
            };
            let pieces = if settings.max_request_size < SMALL {
                partitions
            } else {
                1
            };
            100 * at_once * pieces.max(1)
        });
        let until_healed = |at: u64, lasts: Option<u64>| {
            lasts.unwrap_or_else(|| scenario.heal_at_ms.saturating_sub(at))
        };
        let gathers = scenario.faults.iter().map(|timed| match timed.fault {
            Fault::Hang { .. } | Fault::Silence { .. } | Fault::BlackHole { .. } => {
                until_healed(timed.at_ms, timed.for_ms)
            }
            Fault::Slow { ms, .. } | Fault::Late { ms, .. } => ms,
            _ => 0,
        });
        Self {
            produce: again.sum::<u64>() as f64,
            producers: scenario.producers.len().max(1) as f64,
            gathers: 1.0 + gathers.max().unwrap_or(0) as f64 / 1_000.0,
            asked: Asked::default(),
            buckets: BTreeMap::new(),
        }
    }

    fn rate(&self, api: &str) -> f64 {
        match api {
            "Produce" => self.produce,
            "Metadata" => 160.0 * self.producers,
            "ApiVersions" => 400.0 * self.producers,
            _ => 200.0 * self.producers,
        }
    }
}

impl Rule for Requests {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        match (&event.kind, event.who) {
            (EventKind::RecordAccepted { .. }, _) => self.asked.records += 1,
            (EventKind::CallBegins { operation, .. }, _) if operation.is_transactional() => {
                self.asked.transactional_calls += 1;
            }
            (EventKind::Request { api, .. }, Who::Broker(node)) => {
                let rate = self.rate(api);
                let gathers = self.gathers;
                let new = || (Bucket::new(rate, rate * gathers + 50.0), 0.0);
                let (bucket, earned) = self.buckets.entry((api, node)).or_insert_with(new);
                let asked = self.asked.requests(api);
                bucket.earn(asked - *earned);
                *earned = asked;
                if bucket.take(event.at) {
                    let text = format!("more than {rate} {api} requests a second to broker {node}");
                    found.add("request storm", event.at, text);
                }
            }
            _ => {}
        }
    }
}

/// The sender does not spin: at one point in time it does not step repeatedly without any other event, and it takes at
/// most 2,000 steps a second without any other event. A wait of zero length counts as no wait.
///
/// With small network pieces, or with short reads and writes, some steps cause no event: twenty times as many are
/// allowed. A TLS handshake that the producer aborts causes no event either, and is retried after 10 ms at the
/// earliest: if handshakes can fail, [`STEPS_OF_A_HANDSHAKE`] more steps are allowed for each of 100 handshakes a
/// second with each node, as a bootstrap server and as a node.
pub(super) struct Spinning {
    at_once: u32,
    new: Bucket,
    producers: BTreeMap<ProducerIndex, Steps>,
}

struct Steps {
    at: Duration,
    in_row: u32,
    /// Sum of the producer's counts of requests, retries and completed records.
    progress: u64,
    bucket: Bucket,
}

const STEPS_AT_ONCE: u32 = 50;
const STEPS_OF_A_HANDSHAKE: u32 = 4;

impl Spinning {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let network = &scenario.network;
        let times = if network.splits || network.capacity < 65_536 {
            20
        } else {
            1
        };
        let can_fail = |timed: &TimedFault| {
            matches!(
                timed.fault,
                Fault::WrongCertificate { .. } | Fault::NoTls { .. } | Fault::CutHandshake { .. }
            )
        };
        let handshakes = if scenario.faults.iter().any(can_fail) {
            2 * u32::from(scenario.brokers.nodes) * 100
        } else {
            0
        };
        let rate = f64::from((2_000 + handshakes * STEPS_OF_A_HANDSHAKE) * times);
        Self {
            at_once: STEPS_AT_ONCE * times,
            new: Bucket::new(rate, rate),
            producers: BTreeMap::new(),
        }
    }
}

impl Rule for Spinning {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        let Some(producer) = producer_of(event.who) else {
            // An event of a broker or of the world is progress for every producer.
            for steps in self.producers.values_mut() {
                steps.in_row = 0;
                steps.bucket.earn(10.0);
            }
            return;
        };
        let steps = self.producers.entry(producer).or_insert_with(|| Steps {
            at: Duration::ZERO,
            in_row: 0,
            progress: 0,
            bucket: self.new.clone(),
        });
        let EventKind::SenderStep { waits, until } = event.kind else {
            steps.in_row = 0;
            steps.bucket.earn(10.0);
            return;
        };
        let waits = waits && until.is_none_or(|until| until > event.at);
        if waits || steps.at != event.at {
            steps.in_row = 0;
        }
        steps.at = event.at;
        steps.in_row += u32::from(!waits);
        if steps.in_row == self.at_once + 1 {
            let text =
                format!("the sender of producer {producer} steps repeatedly and nothing happens");
            found.add("spinning", event.at, text);
        }
        if steps.bucket.take(event.at) {
            let text = format!(
                "the sender of producer {producer} makes more than {} steps a second",
                steps.bucket.rate
            );
            found.add("spinning", event.at, text);
        }
    }

    fn step(&mut self, _: &Facts, glance: &Glance, _: &mut Found) {
        // A broker receives a request later than it was sent, so the counts of the producer show progress first.
        for (producer, steps) in &mut self.producers {
            let snapshot = glance.producers.get(*producer).and_then(|it| it.snapshot);
            let progress = snapshot.map_or(0, |it| {
                it.records_acknowledged
                    + it.records_failed
                    + it.produce_requests
                    + it.batches_retried
            });
            if steps.progress != progress {
                steps.progress = progress;
                steps.in_row = 0;
                steps.bucket.earn(10.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, fault, scenario};
    use crate::events::Call;
    use crate::scenario::WrongCertificate;

    fn request(api: &'static str) -> EventKind {
        EventKind::Request {
            api,
            version: 1,
            bytes: 10,
            fate: "NONE".into(),
        }
    }

    fn requests(faults: &[TimedFault], keys: &[(&str, &str)]) -> Story {
        let scenario = scenario(keys, faults);
        let rule = Requests::of(&scenario, &Facts::new(&scenario));
        Story::of(rule, &scenario)
    }

    #[test]
    fn retries_at_the_shortest_back_off_pass_and_retries_in_each_round_trip_do_not() {
        for (api, pause_us, expected) in [
            ("Metadata", 10_000, 0),
            ("Metadata", 200, 1),
            ("Produce", 10_000, 0),
            ("Produce", 200, 1),
            ("ApiVersions", 10_000, 0),
            ("ApiVersions", 200, 1),
            ("InitProducerId", 10_000, 0),
            ("InitProducerId", 200, 1),
        ] {
            let mut story = requests(&[], &[]);
            for number in 0..20_000 {
                story.at_us(number * pause_us).broker(request(api));
            }
            assert_eq!(story.found().len(), expected, "{api} every {pause_us} µs");
        }
    }

    #[test]
    fn each_record_may_have_a_request_of_its_own() {
        let mut story = requests(&[], &[]);
        for record in 0..5_000 {
            story.send(record, "t", 0);
        }
        for _ in 0..5_000 {
            story.broker(request("Produce"));
        }
        assert_eq!(story.found(), [""; 0]);
        for _ in 0..15_000 {
            story.broker(request("Produce"));
        }
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn an_application_may_run_more_than_200_transactions_a_second_and_none_of_their_requests_is_a_storm()
     {
        const APIS: [&str; 4] = [
            "AddPartitionsToTxn",
            "AddOffsetsToTxn",
            "TxnOffsetCommit",
            "EndTxn",
        ];
        let mut story = requests(&[], &[]);
        for number in 0..5_000 {
            story.at_us(number * 1_000).call(Call::BeginTransaction);
            story.send(number, "t", 0);
            story.call(Call::Commit { timeout: None });
            for api in APIS {
                story.broker(request(api));
            }
        }
        assert_eq!(story.found(), [""; 0]);
        for number in 0..20_000 {
            for api in APIS {
                story.at_us(5_000_000 + number * 200).broker(request(api));
            }
        }
        assert_eq!(story.found().len(), APIS.len());
    }

    #[test]
    fn a_broker_that_hung_may_process_all_requests_at_once() {
        let hang = fault(Fault::Hang { node: 0 });
        for (faults, expected) in [(&[hang][..], 0), (&[], 1)] {
            let mut story = requests(faults, &[]);
            for _ in 0..2_000 {
                story.broker(request("Metadata"));
            }
            assert_eq!(story.found().len(), expected);
        }
    }

    fn step(waits: bool, until_ms: Option<u64>) -> EventKind {
        EventKind::SenderStep {
            waits,
            until: until_ms.map(Duration::from_millis),
        }
    }

    #[test]
    fn a_busy_loop_of_the_sender_is_caught_once() {
        for (step, expected) in [
            (step(false, None), 1),
            (step(true, Some(0)), 1),
            (step(true, Some(1)), 0),
            (step(true, None), 0),
        ] {
            let mut story = Story::of(Spinning::of(&scenario(&[], &[])), &scenario(&[], &[]));
            for _ in 0..200 {
                story.sender(step.clone());
            }
            assert_eq!(story.found().len(), expected, "{step:?}");
        }
        let mut story = Story::of(Spinning::of(&scenario(&[], &[])), &scenario(&[], &[]));
        for _ in 0..200 {
            story.sender(step(false, None));
            story.broker(request("Produce"));
        }
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn a_sender_that_wakes_too_often_is_caught() {
        let refused = [fault(Fault::WrongCertificate {
            node: 0,
            wrong: WrongCertificate::Expired,
        })];
        for (faults, pause_us, expected) in [
            (&[][..], 2_000, 0),
            (&[], 300, 1),
            (&[], 100, 1),
            (&refused, 300, 0),
            (&refused, 100, 1),
        ] {
            let scenario = scenario(&[], faults);
            let mut story = Story::of(Spinning::of(&scenario), &scenario);
            for number in 0..10_000 {
                story.at_us(number * pause_us).sender(step(true, None));
            }
            let found = story.found().len().min(1);
            assert_eq!(found, expected, "{faults:?} {pause_us}");
        }
    }
}
