//! Generator of transactional applications: which producers are transactional, their calls, their successors, and the
//! faults of transactions.

use std::collections::BTreeMap;

use super::Weather;
use super::configuration::Facts;
use super::dice::Dice;
use super::faults::Class;
use super::load::timeout;
use super::topics::Topics;
use crate::scenario::{
    Api, Begins, Brokers, Crash, Fault, Moment, Op, Thread, TimedFault, TransactionOp, TxnStage,
};

/// Limit on the number of producers: more producers find no further bugs.
const PRODUCERS: usize = 7;

pub(super) const STAGES: [TxnStage; 6] = [
    TxnStage::Initializing,
    TxnStage::Begun,
    TxnStage::SendingOffsets,
    TxnStage::Committing,
    TxnStage::Aborting,
    TxnStage::Between,
];

/// An application: the producers with one transactional id.
#[derive(Debug, Clone)]
pub(super) struct Application {
    pub(super) id: String,
    pub(super) group: String,
    pub(super) begins: Begins,
    pub(super) crashes: Option<Crash>,
    timeout_ms: u64,
}

/// Releases with transactions, oldest first.
const RELEASES: [&str; 5] = ["V0_11", "V1_1", "V2_1", "V2_4", "V3_0"];

type Configuration = (BTreeMap<String, String>, Facts);

/// Nearly always chooses a release with transactions.
pub(super) fn brokers(dice: &mut Dice, brokers: &mut Brokers) {
    if brokers.release.starts_with("V0_10") && dice.percent(92) {
        (*dice.pick(&RELEASES)).clone_into(&mut brokers.release);
    }
    // The last epoch is reserved for the coordinator, which fences with it.
    brokers.first_epoch = brokers.first_epoch.min(i16::MAX - 2);
    // Verification came with 3.6; here it is an option of 3.0.
    brokers.verify_transactions = brokers.release == "V3_0" && dice.percent(40);
}

/// Makes producers that can deliver records transactional: all of them, or with `all` = false only some. Adds
/// successors and competitors with the same transactional id.
pub(super) fn applications(
    dice: &mut Dice,
    all: bool,
    heal_at_ms: u64,
    configs: &mut Vec<Configuration>,
) -> Vec<Option<Application>> {
    let mut applications: Vec<Option<Application>> = configs
        .iter_mut()
        .enumerate()
        .map(|(number, (config, facts))| {
            let is_one = !facts.hopeless && (all || number == 0 || dice.percent(50));
            is_one.then(|| make(dice, number, config, facts))
        })
        .collect();
    for number in 0..configs.len() {
        let mut before = number;
        let followers = dice.weighted(&[(30, 0), (30, 1), (22, 2), (18, 3)]);
        for _ in 0..followers {
            let Some(application) = applications[before].clone() else {
                break;
            };
            if configs.len() == PRODUCERS {
                break;
            }
            let after = |dice: &mut Dice| Begins::After {
                producer: before,
                ms: dice.spread(0..=2_000),
            };
            let begins = match dice.within(0..=99) {
                0..=59 => {
                    let crash = Crash {
                        stage: *dice.pick(&STAGES),
                        nth: dice.spread(1..=5) as u32,
                        steps: dice.spread(0..=400) as u32,
                    };
                    if let Some(before) = &mut applications[before] {
                        before.crashes = Some(crash);
                    }
                    after(dice)
                }
                60..=79 => Begins::AtMs(dice.within(0..=heal_at_ms)),
                _ => after(dice),
            };
            before = configs.len();
            configs.push(configs[number].clone());
            applications.push(Some(Application {
                begins,
                crashes: None,
                ..application
            }));
        }
    }
    applications
}

fn make(
    dice: &mut Dice,
    number: usize,
    config: &mut BTreeMap<String, String>,
    facts: &mut Facts,
) -> Application {
    // Settings that transactions require.
    for key in ["acks", "enable.idempotence"] {
        config.remove(key);
    }
    facts.all_acks = true;
    for (key, legal) in [
        ("max.in.flight.requests.per.connection", 1..=5),
        ("retries", 1..=i64::MAX),
    ] {
        let value = config.get(key).and_then(|value| value.parse().ok());
        if value.is_some_and(|value: i64| !legal.contains(&value)) {
            config.remove(key);
        }
    }
    let id = format!("app-{number}");
    config.insert("transactional.id".to_owned(), id.clone());
    let timeout_ms = match dice.within(0..=99) {
        0..=29 => None,
        30..=64 => Some(dice.spread(200..=5_000)),
        65..=94 => Some(dice.spread(5_000..=900_000)),
        95..=96 => Some(1),
        _ => Some(i32::MAX as u64),
    };
    if let Some(ms) = timeout_ms {
        config.insert("transaction.timeout.ms".to_owned(), ms.to_string());
    }
    Application {
        id,
        group: format!("group-{number}"),
        begins: Begins::First,
        crashes: None,
        timeout_ms: timeout_ms.unwrap_or(60_000),
    }
}

/// Operations of the threads: the first begins and ends transactions, the others mostly wait for an open transaction
/// before they send.
pub(super) fn threads(
    dice: &mut Dice,
    application: &Application,
    topics: &Topics,
    threads: Vec<Thread>,
) -> Vec<Thread> {
    let each = threads.into_iter().enumerate();
    let ops = each.map(|(number, thread)| {
        if number == 0 {
            first_thread(dice, application, topics, thread.ops)
        } else {
            other_thread(dice, thread.ops)
        }
    });
    ops.map(|ops| Thread { ops }).collect()
}

fn other_thread(dice: &mut Dice, ops: Vec<Op>) -> Vec<Op> {
    let mut all = Vec::new();
    for op in ops {
        if matches!(op, Op::Send(_)) && dice.percent(85) {
            all.push(Op::AwaitTransaction {
                ms: dice.spread(1..=3_000),
            });
        }
        all.push(op);
    }
    all
}

fn first_thread(
    dice: &mut Dice,
    application: &Application,
    topics: &Topics,
    ops: Vec<Op>,
) -> Vec<Op> {
    let habits = Habits {
        untimed: dice.within(20..=90) as u32,
        aborts: dice.within(5..=60) as u32,
        offsets: if dice.percent(70) {
            dice.within(10..=80) as u32
        } else {
            0
        },
        dawdles: if dice.percent(40) { 15 } else { 0 },
        strays: if dice.percent(40) { 12 } else { 0 },
        most: dice.spread(1..=8),
    };
    let mut all = vec![habits.call(dice, TransactionOp::Init)];
    // Number of bursts before the end of the open transaction; `None` if no transaction is open.
    let mut left = None;
    for op in ops {
        let is_end = matches!(op, Op::Close { .. } | Op::DropProducer);
        if is_end && left.is_some() && dice.percent(70) {
            habits.end(dice, application, topics, &mut all);
            left = None;
        }
        let is_burst = matches!(op, Op::Send(_));
        if is_burst && left.is_none() {
            all.push(habits.call(dice, TransactionOp::Begin));
            left = Some(dice.spread(1..=habits.most));
        }
        all.push(op);
        if dice.percent(habits.strays) {
            Habits::stray(dice, application, topics, &mut all);
        }
        if is_burst {
            left = left.map(|left| left - 1);
        }
        if left == Some(0) {
            habits.end(dice, application, topics, &mut all);
            left = None;
        }
    }
    if left.is_some() {
        habits.end(dice, application, topics, &mut all);
    }
    all
}

/// Habits of an application with transactions. All values but `most` are probabilities in percent.
struct Habits {
    /// A call has no time-out.
    untimed: u32,
    /// A transaction is aborted, not committed.
    aborts: u32,
    /// A transaction commits offsets.
    offsets: u32,
    /// The application pauses before it ends a transaction, possibly longer than `transaction.timeout.ms`.
    dawdles: u32,
    /// An operation is followed by a transactional call that the state does not allow.
    strays: u32,
    /// Maximum number of bursts in a transaction.
    most: u64,
}

impl Habits {
    fn call(&self, dice: &mut Dice, call: TransactionOp) -> Op {
        Op::Transaction {
            call,
            timeout_ms: timeout(dice, self.untimed),
        }
    }

    fn end(&self, dice: &mut Dice, application: &Application, topics: &Topics, ops: &mut Vec<Op>) {
        if dice.percent(self.offsets) {
            for _ in 0..dice.spread(1..=3) {
                let offsets = offsets(dice, application, topics);
                ops.push(self.call(dice, offsets));
            }
        }
        if dice.percent(self.dawdles) {
            ops.push(Op::Sleep {
                ms: dice.spread(1..=application.timeout_ms.min(4_000) * 2),
            });
        }
        let end = if dice.percent(self.aborts) {
            TransactionOp::Abort
        } else {
            TransactionOp::Commit
        };
        ops.push(self.call(dice, end));
    }

    fn stray(dice: &mut Dice, application: &Application, topics: &Topics, ops: &mut Vec<Op>) {
        let call = match dice.within(0..=4) {
            0 => TransactionOp::Init,
            1 => TransactionOp::Begin,
            2 => offsets(dice, application, topics),
            3 => TransactionOp::Commit,
            _ => TransactionOp::Abort,
        };
        ops.push(Op::Stray { call });
    }
}

fn offsets(dice: &mut Dice, application: &Application, topics: &Topics) -> TransactionOp {
    let partitions = (0..dice.spread(1..=4)).map(|_| {
        let (topic, partitions) = topics.existing(dice);
        let partition = dice.within(0..=u64::from(partitions) - 1) as i32;
        (topic.to_owned(), partition)
    });
    let mut partitions: Vec<_> = partitions.collect();
    partitions.sort();
    partitions.dedup();
    TransactionOp::SendOffsets {
        group: application.group.clone(),
        partitions,
    }
}

/// Error codes of transactional requests, by request and class.
pub(crate) const CODES: [(Api, Class, &[i16]); 22] = [
    (Api::InitProducerId, Class::Ambiguous, &[51]),
    (Api::InitProducerId, Class::EndsProducer, &[90, 47]),
    (Api::FindCoordinator, Class::Retriable, &[14, 15, 7]),
    (Api::FindCoordinator, Class::Authorization, &[53, 30]),
    (Api::FindCoordinator, Class::Server, &[-1]),
    (Api::AddPartitionsToTxn, Class::Retriable, &[51, 3]),
    (Api::AddPartitionsToTxn, Class::Ambiguous, &[14, 15, 16, 7]),
    (Api::AddPartitionsToTxn, Class::Refused, &[29, 55]),
    (Api::AddPartitionsToTxn, Class::Sequence, &[120, 49]),
    (
        Api::AddPartitionsToTxn,
        Class::EndsProducer,
        &[90, 47, 53, 48],
    ),
    (Api::AddOffsetsToTxn, Class::Retriable, &[51]),
    (Api::AddOffsetsToTxn, Class::Ambiguous, &[14, 15, 16, 7]),
    (Api::AddOffsetsToTxn, Class::Sequence, &[120, 49]),
    (Api::AddOffsetsToTxn, Class::EndsProducer, &[90, 47, 53, 48]),
    (Api::TxnOffsetCommit, Class::Retriable, &[14, 3]),
    (Api::TxnOffsetCommit, Class::Ambiguous, &[15, 16, 7]),
    (Api::TxnOffsetCommit, Class::Refused, &[30, 25, 22, 82]),
    (Api::TxnOffsetCommit, Class::EndsProducer, &[47, 90]),
    (Api::EndTxn, Class::Retriable, &[51]),
    (Api::EndTxn, Class::Ambiguous, &[14, 15, 16, 7]),
    (Api::EndTxn, Class::Sequence, &[120, 49]),
    (Api::EndTxn, Class::EndsProducer, &[90, 47, 53, 48]),
];

pub(super) struct Faults<'a> {
    pub(super) weather: Weather,
    pub(super) heal_at_ms: u64,
    pub(super) brokers: &'a Brokers,
    pub(super) applications: &'a [Option<Application>],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Move,
    Load,
    Delay,
    Error,
    Lose,
    Late,
    Throttle,
    Versions,
}

const KINDS: [(u32, Kind); 8] = [
    (24, Kind::Move),
    (6, Kind::Load),
    (8, Kind::Delay),
    (24, Kind::Error),
    (24, Kind::Lose),
    (6, Kind::Late),
    (4, Kind::Throttle),
    (4, Kind::Versions),
];

impl Faults<'_> {
    pub(super) fn draw(&self, dice: &mut Dice) -> Vec<TimedFault> {
        if self.applications.iter().all(Option::is_none) {
            return Vec::new();
        }
        let count = match self.weather {
            Weather::Calm => dice.within(0..=1),
            Weather::Changing => dice.within(1..=6),
            Weather::Storm => dice.within(3..=14),
        };
        let kinds = dice.some_of(&KINDS, 60);
        let kinds = if kinds.is_empty() {
            KINDS.to_vec()
        } else {
            kinds
        };
        let longest_ms = 4_000.min(self.heal_at_ms);
        let mut faults = Vec::new();
        for _ in 0..count {
            let kind = dice.weighted(&kinds);
            let fault = self.fault(dice, kind);
            let at_ms = if dice.percent(15) {
                dice.within(0..=5)
            } else {
                dice.within(6..=self.heal_at_ms.saturating_sub(50))
            };
            let counted = match &fault {
                Fault::Error { times, .. } | Fault::Lose { times, .. } => times.is_some(),
                _ => false,
            };
            let lasts = kind != Kind::Move && !dice.percent(if counted { 50 } else { 6 });
            faults.push(TimedFault {
                at_ms,
                for_ms: lasts.then(|| dice.spread(5..=longest_ms)),
                fault,
            });
        }
        faults
    }

    fn fault(&self, dice: &mut Dice, kind: Kind) -> Fault {
        let request = api(dice);
        match kind {
            Kind::Move => {
                let there: Vec<_> = self.applications.iter().flatten().collect();
                let application = dice.pick(&there);
                let of_group = dice.percent(25);
                let key = if of_group {
                    &application.group
                } else {
                    &application.id
                };
                Fault::MoveCoordinator {
                    of_group,
                    key: key.clone(),
                    to: self.node(dice),
                }
            }
            Kind::Load => Fault::LoadCoordinators {
                ms: dice.spread(1..=2_000),
            },
            Kind::Delay => Fault::DelayMarkers {
                ms: dice.spread(1..=3_000),
            },
            Kind::Error => error(dice, request),
            Kind::Lose => Fault::Lose {
                request,
                moment: match dice.within(0..=4) {
                    0 | 1 => Moment::BeforeRequest,
                    2 | 3 => Moment::AfterApplied,
                    _ => Moment::WithinAnswer {
                        bytes: dice.spread(0..=60) as u32,
                    },
                },
                times: Some(dice.spread(1..=5)),
                closes: dice.percent(75),
            },
            Kind::Late => Fault::Late {
                request: Some(request),
                ms: dice.spread(1..=3_000),
            },
            Kind::Throttle => Fault::Throttle {
                request: Some(request),
                ms: dice.spread(1..=3_000),
            },
            Kind::Versions => Fault::Versions {
                node: self.node(dice),
                request,
                up_to: dice.percent(85).then(|| dice.within(0..=2) as i16),
            },
        }
    }

    fn node(&self, dice: &mut Dice) -> i32 {
        dice.within(0..=u64::from(self.brokers.nodes) - 1) as i32
    }
}

fn error(dice: &mut Dice, request: Api) -> Fault {
    let classes: Vec<_> = CODES
        .iter()
        .filter(|(api, ..)| *api == request)
        .map(|(_, class, codes)| {
            let weight = match class {
                Class::Ambiguous => 14,
                // These errors concern offsets only, and not all scenarios send offsets.
                Class::Refused if request == Api::TxnOffsetCommit => 40,
                Class::Retriable => 12,
                Class::EndsProducer | Class::Authorization => 4,
                _ => 5,
            };
            (weight, (*class, *codes))
        })
        .collect();
    let (class, codes) = dice.weighted(&classes);
    let code = *dice.pick(codes);
    let is_passing = matches!(class, Class::Ambiguous | Class::Retriable);
    // A coordinator that loses its log while it writes answers that it is not the coordinator, and its successor may
    // have the write. The transaction coordinator says that it loads if it gets the same log back meanwhile.
    let may_have_applied = match (request, code) {
        (Api::FindCoordinator, _) => false,
        (Api::AddPartitionsToTxn | Api::AddOffsetsToTxn | Api::EndTxn, 14) => true,
        (_, code) => matches!(code, 7 | 15 | 16),
    };
    let after_applying = may_have_applied && dice.percent(50);
    Fault::Error {
        request,
        topic: None,
        partition: None,
        code,
        times: dice
            .percent(if is_passing { 70 } else { 97 })
            .then(|| dice.spread(1..=if is_passing { 8 } else { 2 })),
        after_applying,
    }
}

fn api(dice: &mut Dice) -> Api {
    dice.weighted(&[
        (14, Api::InitProducerId),
        (10, Api::FindCoordinator),
        (24, Api::AddPartitionsToTxn),
        (12, Api::AddOffsetsToTxn),
        (18, Api::TxnOffsetCommit),
        (28, Api::EndTxn),
    ])
}
