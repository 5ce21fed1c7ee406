//! Generator of faults: their kinds, times and durations.

use super::Weather;
use super::configuration::Facts;
use super::dice::Dice;
use super::topics::Topics;
use crate::scenario::{Api, Brokers, Fault, InsteadOfTls, Moment, TimedFault, WrongCertificate};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Slow,
    Cut,
    Silence,
    Refuse,
    BlackHole,
    Down,
    Hang,
    MoveLeader,
    StaleMetadata,
    EpochsGoBack,
    Rebuild,
    MoveBrokers,
    DeleteTopic,
    RecreateTopic,
    GrowTopic,
    Truncate,
    ForgetProducers,
    LowerLimit,
    Error,
    Lose,
    Late,
    Throttle,
    Versions,
    NamesFail,
    WrongAddresses,
    WallClock,
}

/// All kinds, with their relative frequency.
const KINDS: [(u32, Kind); 26] = [
    (6, Kind::Slow),
    (10, Kind::Cut),
    (6, Kind::Silence),
    (5, Kind::Refuse),
    (4, Kind::BlackHole),
    (8, Kind::Down),
    (6, Kind::Hang),
    (10, Kind::MoveLeader),
    (4, Kind::StaleMetadata),
    (4, Kind::EpochsGoBack),
    (2, Kind::Rebuild),
    (3, Kind::MoveBrokers),
    (3, Kind::DeleteTopic),
    (4, Kind::RecreateTopic),
    (4, Kind::GrowTopic),
    (4, Kind::Truncate),
    (4, Kind::ForgetProducers),
    (4, Kind::LowerLimit),
    (25, Kind::Error),
    (14, Kind::Lose),
    (6, Kind::Late),
    (5, Kind::Throttle),
    (5, Kind::Versions),
    (3, Kind::NamesFail),
    (3, Kind::WrongAddresses),
    (3, Kind::WallClock),
];

/// Class of an error code, by its meaning to a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A retry may succeed.
    Retriable,
    /// The metadata is stale.
    Stale,
    /// The batch may have been written.
    Ambiguous,
    TooLarge,
    /// The record or its topic is refused.
    Refused,
    /// Errors of single records, in response versions that have them.
    PerRecord,
    Authorization,
    /// Producer id, epoch or sequence number differ from the broker's state.
    Sequence,
    /// Fatal to the producer.
    EndsProducer,
    /// An internal error of the broker.
    Server,
    /// A code that Kafka does not have.
    Unknown,
}

pub(crate) const CODES: [(Api, Class, &[i16]); 21] = [
    (Api::Produce, Class::Retriable, &[2, 19, 89]),
    (Api::Produce, Class::Stale, &[3, 5, 6, 9, 13, 74, 75, 56]),
    (Api::Produce, Class::Ambiguous, &[7, 20]),
    (Api::Produce, Class::TooLarge, &[10, 18]),
    (Api::Produce, Class::Refused, &[17, 21, 32, 42, 43, 44, 76]),
    (Api::Produce, Class::PerRecord, &[87]),
    (Api::Produce, Class::Authorization, &[29]),
    (Api::Produce, Class::Sequence, &[45, 46, 47, 59]),
    (Api::Produce, Class::EndsProducer, &[31, 35, 90]),
    (Api::Produce, Class::Server, &[-1]),
    (Api::Produce, Class::Unknown, &[9_999, -7, i16::MIN]),
    (Api::Metadata, Class::Stale, &[3, 5]),
    (Api::Metadata, Class::Refused, &[17]),
    (Api::Metadata, Class::Authorization, &[29]),
    (Api::Metadata, Class::Unknown, &[9_999]),
    (Api::ApiVersions, Class::Server, &[-1, 42]),
    (Api::ApiVersions, Class::EndsProducer, &[35]),
    (Api::InitProducerId, Class::Retriable, &[14, 15, 16, 7]),
    (Api::InitProducerId, Class::Authorization, &[31, 53]),
    (Api::InitProducerId, Class::Server, &[-1]),
    (Api::InitProducerId, Class::Unknown, &[9_999]),
];

pub(super) struct Faults<'a> {
    pub(super) weather: Weather,
    pub(super) heal_at_ms: u64,
    pub(super) brokers: &'a Brokers,
    pub(super) topics: &'a Topics,
    pub(super) facts: &'a [Facts],
}

impl Faults<'_> {
    pub(super) fn draw(&self, dice: &mut Dice) -> Vec<TimedFault> {
        let (percent, count) = match self.weather {
            Weather::Calm => (15, dice.within(0..=2)),
            Weather::Changing => (30, dice.within(1..=8)),
            Weather::Storm => (dice.within(10..=70) as u32, dice.within(6..=24)),
        };
        let mut kinds: Vec<(u32, Kind)> = dice
            .some_of(&KINDS, percent)
            .into_iter()
            .filter(|(_, kind)| self.may_be(*kind))
            .collect();
        if kinds.is_empty() {
            kinds = vec![(1, Kind::Cut), (1, Kind::Error)];
        }
        let longest_ms = match self.weather {
            Weather::Calm => 500,
            Weather::Changing => 4_000,
            Weather::Storm => 8_000,
        };
        let mut faults = Vec::new();
        for _ in 0..count {
            let kind = dice.weighted(&kinds);
            self.add(dice, kind, longest_ms.min(self.heal_at_ms), &mut faults);
        }
        faults.sort_by_key(|fault| fault.at_ms);
        faults
    }

    /// Draws TLS faults, with random numbers of their own, so that the rest of a scenario does not depend on TLS.
    pub(super) fn draw_of_tls(&self, dice: &mut Dice) -> Vec<TimedFault> {
        if self.brokers.tls.is_none() || dice.percent(30) {
            return Vec::new();
        }
        let count = match self.weather {
            Weather::Calm => dice.within(0..=1),
            Weather::Changing => dice.within(1..=3),
            Weather::Storm => dice.within(2..=6),
        };
        let mut faults = Vec::new();
        for _ in 0..count {
            // Many connections are made only once, at the start.
            let at_ms = if dice.percent(35) {
                dice.within(0..=5)
            } else {
                dice.within(6..=self.heal_at_ms.saturating_sub(50))
            };
            let for_ms = (!dice.percent(10)).then(|| dice.spread(5..=4_000.min(self.heal_at_ms)));
            let fault = self.fault_of_tls(dice);
            let add = |fault| TimedFault {
                at_ms,
                for_ms,
                fault,
            };
            if dice.percent(35) {
                let nodes = 0..i32::from(self.brokers.nodes);
                faults.extend(nodes.map(|node| add(at_node(&fault, node))));
            } else {
                faults.push(add(fault));
            }
        }
        faults
    }

    fn fault_of_tls(&self, dice: &mut Dice) -> Fault {
        let node = self.node(dice);
        match dice.within(0..=9) {
            0..=3 => Fault::WrongCertificate {
                node,
                wrong: *dice.pick(&[
                    WrongCertificate::Expired,
                    WrongCertificate::OtherName,
                    WrongCertificate::OtherAuthority,
                ]),
            },
            4..=6 => Fault::NoTls {
                node,
                instead: *dice.pick(&[InsteadOfTls::Plain, InsteadOfTls::Web, InsteadOfTls::Noise]),
            },
            _ => Fault::CutHandshake {
                node,
                turn: dice.within(0..=1) as u8,
                permille: match dice.within(0..=4) {
                    0 => 0,
                    1 => 1000,
                    _ => dice.within(1..=999) as u16,
                },
                resets: dice.percent(50),
            },
        }
    }

    /// Whether a fault of this kind can have an effect and lets the scenario complete.
    fn may_be(&self, kind: Kind) -> bool {
        match kind {
            // With `metadata.recovery.strategy=none` the old addresses are retried for ever, and only time-outs end the
            // records.
            Kind::MoveBrokers => {
                self.brokers.by_name
                    && self
                        .facts
                        .iter()
                        .all(|facts| facts.rebootstraps || !facts.patient)
            }
            Kind::NamesFail => self.brokers.by_name,
            Kind::WrongAddresses => self.brokers.by_name && self.gives_up_connecting(),
            Kind::BlackHole => self.gives_up_connecting(),
            Kind::MoveLeader => self.brokers.nodes > 1,
            _ => true,
        }
    }

    fn gives_up_connecting(&self) -> bool {
        !self.facts.iter().any(|facts| facts.connects_for_ever)
    }

    fn is_patient(&self) -> bool {
        self.facts.iter().any(|facts| facts.patient)
    }

    fn add(&self, dice: &mut Dice, kind: Kind, longest_ms: u64, faults: &mut Vec<TimedFault>) {
        let fault = self.fault(dice, kind);
        // Requests that are sent once, at the start of a producer or a connection, need an early fault.
        let early = match &fault {
            Fault::Error { request, .. } | Fault::Lose { request, .. } => match request {
                Api::InitProducerId => 60,
                Api::ApiVersions => 30,
                _ => 5,
            },
            Fault::Versions { .. } => 40,
            Fault::NamesFail | Fault::WrongAddresses { .. } => 5,
            _ => 2,
        };
        let at_ms = if dice.percent(early) {
            dice.within(0..=5)
        } else {
            dice.within(6..=self.heal_at_ms.saturating_sub(50))
        };
        let is_moment = matches!(
            kind,
            Kind::Cut
                | Kind::MoveLeader
                | Kind::Rebuild
                | Kind::MoveBrokers
                | Kind::DeleteTopic
                | Kind::RecreateTopic
                | Kind::GrowTopic
                | Kind::Truncate
                | Kind::ForgetProducers
                | Kind::WallClock
        );
        let counted = match &fault {
            Fault::Error { times, .. } | Fault::Lose { times, .. } => times.is_some(),
            _ => false,
        };
        let for_ms = if is_moment || dice.percent(if counted { 50 } else { 6 }) {
            None
        } else {
            Some(dice.spread(5..=longest_ms))
        };
        if let Fault::DeleteTopic { topic } = &fault {
            // A producer with long time-outs would wait for the topic, so the topic is recreated.
            if self.is_patient() || dice.percent(70) {
                faults.push(TimedFault {
                    at_ms: at_ms + dice.spread(1..=longest_ms),
                    for_ms: None,
                    fault: Fault::RecreateTopic {
                        topic: topic.clone(),
                        partitions: self.partitions_again(dice, topic),
                    },
                });
            }
        }
        faults.push(TimedFault {
            at_ms,
            for_ms,
            fault,
        });
    }

    fn fault(&self, dice: &mut Dice, kind: Kind) -> Fault {
        match kind {
            Kind::Slow => Fault::Slow {
                node: self.node(dice),
                ms: dice.spread(1..=1_000),
            },
            Kind::Cut => Fault::Cut {
                node: self.node(dice),
            },
            Kind::Silence => {
                let (up, down) = *dice.pick(&[(true, true), (true, false), (false, true)]);
                Fault::Silence {
                    node: self.node(dice),
                    up,
                    down,
                }
            }
            Kind::Refuse => Fault::Refuse {
                node: self.node(dice),
            },
            Kind::BlackHole => Fault::BlackHole {
                node: self.node(dice),
            },
            Kind::Down => Fault::Down {
                node: self.node(dice),
            },
            Kind::Hang => Fault::Hang {
                node: self.node(dice),
            },
            Kind::MoveLeader => {
                let (topic, partition) = self.partition(dice);
                Fault::MoveLeader {
                    topic,
                    partition,
                    to: self.node(dice),
                }
            }
            Kind::StaleMetadata => Fault::StaleMetadata {
                node: self.node(dice),
            },
            Kind::EpochsGoBack => Fault::EpochsGoBack,
            Kind::Rebuild => Fault::Rebuild,
            Kind::MoveBrokers => Fault::MoveBrokers,
            Kind::DeleteTopic => Fault::DeleteTopic {
                topic: self.topics.existing(dice).0.to_owned(),
            },
            Kind::RecreateTopic => {
                let topic = match self.topics.missing() {
                    [] => self.topics.existing(dice).0,
                    missing if dice.percent(60) => dice.pick(missing),
                    _ => self.topics.existing(dice).0,
                };
                Fault::RecreateTopic {
                    topic: topic.to_owned(),
                    partitions: self.partitions_again(dice, topic),
                }
            }
            Kind::GrowTopic => {
                let (topic, partitions) = self.topics.existing(dice);
                Fault::GrowTopic {
                    topic: topic.to_owned(),
                    to: partitions + dice.within(1..=6) as u16,
                }
            }
            Kind::Truncate => {
                let (topic, partition) = self.partition(dice);
                Fault::Truncate {
                    topic,
                    partition,
                    records: dice.spread(1..=100) as u32,
                }
            }
            Kind::ForgetProducers => {
                let (topic, partition) = self.partition(dice);
                Fault::ForgetProducers { topic, partition }
            }
            Kind::LowerLimit => Fault::LowerLimit {
                topic: self.topics.existing(dice).0.to_owned(),
                bytes: dice.spread(150..=20_000) as u32,
            },
            Kind::Error => self.error(dice),
            Kind::Lose => Fault::Lose {
                request: api(dice),
                moment: match dice.within(0..=4) {
                    0 | 1 => Moment::BeforeRequest,
                    2 | 3 => Moment::AfterApplied,
                    _ => Moment::WithinAnswer {
                        bytes: dice.spread(0..=200) as u32,
                    },
                },
                times: times(dice, 85),
                closes: dice.percent(75),
            },
            Kind::Late => Fault::Late {
                request: some_api(dice),
                ms: dice.spread(1..=3_000),
            },
            Kind::Throttle => Fault::Throttle {
                request: some_api(dice),
                ms: dice.spread(1..=3_000),
            },
            Kind::Versions => {
                let request = api(dice);
                let up_to = match request {
                    Api::Produce if dice.percent(90) => Some(dice.within(3..=8) as i16),
                    Api::Metadata if dice.percent(70) => Some(dice.within(1..=9) as i16),
                    Api::ApiVersions if dice.percent(65) => Some(dice.within(0..=2) as i16),
                    Api::InitProducerId if dice.percent(70) => Some(dice.within(0..=3) as i16),
                    _ => None,
                };
                Fault::Versions {
                    node: self.node(dice),
                    request,
                    up_to,
                }
            }
            Kind::NamesFail => Fault::NamesFail,
            Kind::WrongAddresses => Fault::WrongAddresses {
                instead: dice.percent(50),
            },
            Kind::WallClock => {
                let by_ms = dice.spread(1..=30 * 86_400_000) as i64;
                Fault::WallClock {
                    by_ms: if dice.percent(50) { by_ms } else { -by_ms },
                }
            }
        }
    }

    fn error(&self, dice: &mut Dice) -> Fault {
        let request = api(dice);
        let classes: Vec<_> = CODES
            .iter()
            .filter(|(api, ..)| *api == request)
            .map(|(_, class, codes)| {
                let weight = match class {
                    Class::Retriable | Class::Stale | Class::Ambiguous => 12,
                    Class::EndsProducer => 2,
                    Class::Refused => 9,
                    // Fatal to the producer before it has sent anything.
                    _ if request == Api::InitProducerId => 2,
                    _ => 4,
                };
                (weight, (*class, *codes))
            })
            .collect();
        let (class, codes) = dice.weighted(&classes);
        let code = *dice.pick(codes);
        // Fatal errors of records or producers are mostly limited to a few requests; some last as long as the fault.
        let counted = match class {
            Class::Retriable | Class::Stale | Class::Ambiguous => 70,
            _ => 93,
        };
        let for_one = request == Api::Produce || request == Api::Metadata;
        let (topic, partition) = if for_one && dice.percent(70) {
            let (topic, partition) = self.partition(dice);
            let of_partition = request == Api::Produce && dice.percent(50);
            (Some(topic), of_partition.then_some(partition))
        } else {
            (None, None)
        };
        Fault::Error {
            request,
            topic,
            partition,
            code,
            times: times(dice, counted),
            after_applying: self.may_have_written(dice, request, code),
        }
    }

    /// Whether the write is applied before the error is returned. Real brokers do not apply a write and then return an
    /// error that means "not written", so this combination is excluded.
    fn may_have_written(&self, dice: &mut Dice, request: Api, code: i16) -> bool {
        if request != Api::Produce {
            return false;
        }
        match code {
            // Only a batch that was written can be a duplicate.
            46 => true,
            7 | 20 | 56 | -1 => dice.percent(50),
            3 | 5 | 6 | 9 | 13 | 74 | 75 => {
                self.facts.iter().all(|facts| facts.all_acks) && dice.percent(30)
            }
            _ => false,
        }
    }

    /// A node; now and then one that does not exist.
    fn node(&self, dice: &mut Dice) -> i32 {
        let one_too_many = u64::from(dice.percent(2));
        dice.within(0..=u64::from(self.brokers.nodes) - 1 + one_too_many) as i32
    }

    fn partition(&self, dice: &mut Dice) -> (String, i32) {
        let (topic, partitions) = self.topics.existing(dice);
        let partition = dice.within(0..=u64::from(partitions) - 1);
        (topic.to_owned(), partition as i32)
    }

    /// The partition count of a recreated topic: the same, more or fewer; not fewer if a producer would wait too long
    /// for a lost partition.
    fn partitions_again(&self, dice: &mut Dice, name: &str) -> u16 {
        let before = self.topics.partitions(name);
        match dice.within(0..=3) {
            0 | 1 if before > 0 => before,
            2 if self.is_patient() => before + 1,
            _ if self.is_patient() && before > 0 => before,
            _ => dice.within(1..=12) as u16,
        }
    }
}

/// The same fault for another node.
fn at_node(fault: &Fault, at: i32) -> Fault {
    let mut fault = fault.clone();
    if let Fault::WrongCertificate { node, .. }
    | Fault::NoTls { node, .. }
    | Fault::CutHandshake { node, .. } = &mut fault
    {
        *node = at;
    }
    fault
}

fn api(dice: &mut Dice) -> Api {
    dice.weighted(&[
        (66, Api::Produce),
        (14, Api::Metadata),
        (8, Api::ApiVersions),
        (12, Api::InitProducerId),
    ])
}

fn some_api(dice: &mut Dice) -> Option<Api> {
    if dice.percent(40) {
        None
    } else {
        Some(api(dice))
    }
}

fn times(dice: &mut Dice, counted: u32) -> Option<u64> {
    dice.percent(counted).then(|| dice.spread(1..=12))
}
