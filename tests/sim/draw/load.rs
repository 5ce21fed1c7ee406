//! Generator of the application's load: bursts of records during the faults and some time after them, and calls of
//! every kind between the bursts.

use super::configuration::Facts;
use super::dice::Dice;
use super::plugins::Plugins;
use super::topics::Topics;
use crate::scenario::{Burst, How, Network, Op, Thread};

/// Minimum number of records of a seed.
pub(crate) const RECORDS: u32 = 500;

/// Minimum size of a value: the record's number and a few bytes.
pub(crate) const LEAST_SIZE: u32 = 12;

/// Total time that a thread waits for topics that do not exist.
const PATIENCE_MS: u64 = 5_000;

/// Number of records of each producer. A producer that can deliver hardly any record gets a small share, unless all
/// producers are like that.
pub(super) fn shares(dice: &mut Dice, facts: &[Facts]) -> Vec<u32> {
    let total = if dice.percent(5) {
        dice.within(900..=1_800)
    } else {
        dice.within(u64::from(RECORDS)..=800)
    };
    let good = facts.iter().any(|facts| !facts.hopeless);
    let weights: Vec<u64> = facts
        .iter()
        .map(|facts| {
            if facts.hopeless && good {
                2
            } else {
                dice.within(10..=40)
            }
        })
        .collect();
    divide(total as u32, &weights)
}

/// Divides the total by weights, rounded up.
fn divide(total: u32, weights: &[u64]) -> Vec<u32> {
    let sum: u64 = weights.iter().sum();
    weights
        .iter()
        .map(|weight| (u64::from(total) * weight).div_ceil(sum) as u32)
        .collect()
}

pub(super) struct Load<'a> {
    pub(super) facts: &'a Facts,
    pub(super) network: &'a Network,
    pub(super) topics: &'a Topics,
    pub(super) plugins: &'a Plugins,
    /// Brokers before 0.11 have no headers.
    pub(super) has_headers: bool,
    pub(super) heal_at_ms: u64,
}

/// Habits of the threads of one producer.
struct Habits {
    calls: Vec<Between>,
    /// How often there is a call between two bursts, in percent.
    calls_percent: u32,
    burst: (u64, u64),
    /// Whether bursts may use `try_send`.
    tries: bool,
    keys: bool,
    headers: bool,
    stamps: bool,
    partitions: bool,
    /// How often a burst has a callback, in percent.
    callbacks: u32,
    pauses: bool,
    /// How often a burst has large records, in percent.
    large: u32,
    /// How often records to a missing topic or partition precede a burst, in percent.
    astray: u32,
    end: End,
}

#[derive(Clone, Copy)]
enum Between {
    Flush,
    Get,
    Await,
    PollOnce,
    Drop,
    Partitions,
}

/// How the application ends with a producer.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The last thread closes it.
    Closed,
    /// All threads drop their handles.
    Dropped,
    /// Any thread may close it while the others are in calls.
    Raced,
    /// It is left open.
    Left,
}

impl Load<'_> {
    pub(super) fn threads(&self, dice: &mut Dice, records: u32) -> Vec<Thread> {
        let count = dice.weighted(&[(45, 1), (30, 2), (15, 3), (10, 4)]);
        let weights: Vec<u64> = (0..count).map(|_| dice.within(10..=40)).collect();
        let habits = habits(dice);
        let shares = divide(records, &weights);
        let last = shares.len() - 1;
        shares
            .into_iter()
            .enumerate()
            .map(|(number, records)| self.thread(dice, &habits, records, number == last))
            .collect()
    }

    fn thread(&self, dice: &mut Dice, habits: &Habits, records: u32, last: bool) -> Thread {
        // Some of the load comes after the healing.
        let busy_ms = self.heal_at_ms * dice.within(40..=140) / 100;
        let bursts = self.bursts(dice, habits, records, busy_ms);
        let hurries = dice.percent(8);
        let sleep_ms = busy_ms * 3 / 2 / bursts.len() as u64;
        let mut patience_ms = PATIENCE_MS;
        let mut ops = Vec::new();
        if dice.percent(30) {
            ops.push(Op::Sleep {
                ms: dice.within(0..=self.heal_at_ms / 4),
            });
        }
        for burst in bursts {
            if dice.percent(habits.astray) {
                self.stray(dice, &mut patience_ms, &mut ops);
            }
            ops.push(Op::Send(burst));
            if !habits.calls.is_empty() && dice.percent(habits.calls_percent) {
                let call = *dice.pick(&habits.calls);
                self.between(dice, call, &mut ops);
            }
            if !hurries && dice.percent(80) {
                ops.push(Op::Sleep {
                    ms: dice.within(0..=sleep_ms),
                });
            }
        }
        self.end(dice, habits.end, last, &mut ops);
        Thread { ops }
    }

    fn bursts(&self, dice: &mut Dice, habits: &Habits, records: u32, busy_ms: u64) -> Vec<Burst> {
        let mut bursts = Vec::new();
        let mut left = records;
        while left > 0 {
            let count = (dice.spread(habits.burst.0..=habits.burst.1) as u32).min(left);
            left -= count;
            let large = dice.percent(habits.large);
            // Three large records suffice to reach a limit.
            if large && count > 3 {
                left += count - 3;
            }
            let count = if large { count.min(3) } else { count };
            let longest_us = busy_ms * 1000 / 4 / u64::from(count);
            let (topic, partitions) = self.topics.existing(dice);
            bursts.push(Burst {
                topic: topic.to_owned(),
                partition: (habits.partitions && dice.percent(50))
                    .then(|| dice.within(0..=u64::from(partitions) - 1) as i32),
                keys: if habits.keys && dice.percent(70) {
                    dice.spread(1..=60) as u32
                } else {
                    0
                },
                headers: if habits.headers && self.has_headers && dice.percent(50) {
                    dice.spread(1..=12) as u8
                } else {
                    0
                },
                stamped: habits.stamps && dice.percent(50),
                count,
                size: if large {
                    self.large(dice, topic)
                } else {
                    small(dice)
                },
                how: if habits.tries && dice.percent(60) {
                    How::TrySend
                } else {
                    How::Send
                },
                callback: dice
                    .percent(habits.callbacks)
                    .then(|| self.plugins.callback(dice)),
                pause_us: if habits.pauses && dice.percent(60) {
                    dice.spread(10..=40_000).min(longest_us)
                } else {
                    0
                },
            });
        }
        bursts
    }

    /// A size near one of the limits that apply, or of half a limit.
    fn large(&self, dice: &mut Dice, topic: &str) -> u32 {
        let limits = [
            self.facts.batch_size,
            self.facts.max_request_size,
            self.facts.buffer_memory,
            u64::from(self.topics.limit(topic).unwrap_or(1 << 20)),
        ];
        // Larger records take thousands of network events without finding more.
        let most = match self.network.capacity as u64 {
            capacity if self.network.splits => (capacity * 8).min(8 << 10),
            capacity => capacity.saturating_mul(32).min(1 << 20),
        };
        let limit = *dice.pick(&limits);
        let around = match dice.within(0..=3) {
            0 => limit,
            // A little below the limit: with the overhead of its batch and request the record may exceed it.
            1 => limit.saturating_sub(dice.within(0..=120)),
            2 => limit.saturating_add(dice.within(1..=20)),
            _ => limit / 2,
        };
        let around = if dice.percent(95) {
            around.min(64 << 10)
        } else {
            around
        };
        around.min(most).max(u64::from(LEAST_SIZE)) as u32
    }

    /// A few records to a topic or partition that does not exist. A thread waits for each record up to `max.block.ms`,
    /// and for all of them together at most [`PATIENCE_MS`].
    fn stray(&self, dice: &mut Dice, patience_ms: &mut u64, ops: &mut Vec<Op>) {
        if let (Some(topic), true) = (self.topics.illegal(dice), dice.percent(50)) {
            ops.push(stray(dice, topic, None, 1..=3));
            return;
        }
        let each_ms = self.facts.max_block_ms.max(1);
        let most = *patience_ms / each_ms;
        if most == 0 {
            return;
        }
        let count = dice.within(1..=most.min(4));
        *patience_ms -= count * each_ms;
        let count = count..=count;
        let (existing, partitions) = self.topics.existing(dice);
        if self.topics.missing().is_empty() || dice.percent(30) {
            let partition = i32::from(partitions) + dice.spread(0..=1_000) as i32;
            ops.push(stray(dice, existing.to_owned(), Some(partition), count));
        } else {
            let topic = dice.pick(self.topics.missing()).clone();
            ops.push(stray(dice, topic, None, count));
        }
    }

    fn between(&self, dice: &mut Dice, call: Between, ops: &mut Vec<Op>) {
        match call {
            Between::Flush => ops.push(Op::Flush {
                timeout_ms: timeout(dice, 30),
            }),
            Between::Get => {
                let timeout_ms = timeout(dice, 40);
                self.flush_first(timeout_ms, ops);
                ops.push(Op::Get {
                    count: dice.spread(1..=100) as u32,
                    timeout_ms,
                });
            }
            Between::Await => {
                self.flush_first(None, ops);
                ops.push(Op::Await {
                    count: dice.spread(1..=100) as u32,
                });
            }
            Between::PollOnce => ops.push(Op::PollOnce {
                count: dice.spread(1..=40) as u32,
            }),
            Between::Drop => ops.push(Op::DropFutures {
                count: dice.spread(1..=100) as u32,
            }),
            Between::Partitions => {
                let topic = match self.topics.missing().first() {
                    Some(missing) if self.facts.max_block_ms < 1_000 && dice.percent(10) => {
                        missing.clone()
                    }
                    _ => match self.topics.illegal(dice) {
                        Some(illegal) if dice.percent(30) => illegal,
                        _ => self.topics.existing(dice).0.to_owned(),
                    },
                };
                ops.push(Op::PartitionsFor { topic });
            }
        }
    }

    /// A flush before a wait: a batch that lingers for ever would otherwise not be sent, and the wait would never end.
    fn flush_first(&self, timeout_ms: Option<u64>, ops: &mut Vec<Op>) {
        if self.facts.lingers_for_ever && timeout_ms.is_none_or(|ms| ms > 60_000) {
            ops.push(Op::Flush { timeout_ms: None });
        }
    }

    fn end(&self, dice: &mut Dice, end: End, last: bool, ops: &mut Vec<Op>) {
        let closes = match end {
            End::Closed => last,
            End::Raced => dice.percent(60),
            End::Dropped | End::Left => false,
        };
        // Gives the other threads time to finish before the producer is closed.
        if closes && end == End::Closed {
            ops.push(Op::Sleep {
                ms: self.heal_at_ms,
            });
        }
        if dice.percent(50) {
            ops.push(Op::Flush {
                timeout_ms: timeout(dice, 80),
            });
        }
        let all = u32::MAX;
        match dice.within(0..=9) {
            0 => ops.push(Op::DropFutures { count: all }),
            1..=4 => {
                self.flush_first(None, ops);
                ops.push(Op::Get {
                    count: all,
                    timeout_ms: None,
                });
            }
            5..=7 => {
                self.flush_first(None, ops);
                ops.push(Op::Await { count: all });
            }
            _ => {}
        }
        if closes {
            ops.push(Op::Close {
                timeout_ms: timeout(dice, 60),
            });
            if dice.percent(15) {
                let topic = self.topics.existing(dice).0.to_owned();
                ops.push(stray(dice, topic, None, 1..=3));
            }
            // After the close all records sent before are complete, so a wait without timeout ends.
            if dice.percent(50) {
                ops.push(Op::Get {
                    count: all,
                    timeout_ms: None,
                });
            }
        }
        if end == End::Dropped || dice.percent(20) {
            ops.push(Op::DropProducer);
            if dice.percent(30) {
                ops.push(Op::Await { count: all });
            }
        }
    }
}

fn habits(dice: &mut Dice) -> Habits {
    const CALLS: [Between; 6] = [
        Between::Flush,
        Between::Get,
        Between::Await,
        Between::PollOnce,
        Between::Drop,
        Between::Partitions,
    ];
    Habits {
        calls: dice.some_of(&CALLS, 50),
        calls_percent: dice.within(5..=70) as u32,
        burst: dice.weighted(&[(25, (1, 6)), (50, (4, 50)), (25, (20, 250))]),
        tries: dice.percent(40),
        keys: dice.percent(60),
        headers: dice.percent(30),
        stamps: dice.percent(25),
        partitions: dice.percent(30),
        callbacks: *dice.pick(&[0, 30, 100]),
        pauses: dice.percent(60),
        large: if dice.percent(50) {
            dice.within(1..=15) as u32
        } else {
            0
        },
        astray: if dice.percent(40) {
            dice.within(2..=12) as u32
        } else {
            0
        },
        end: dice.weighted(&[
            (35, End::Closed),
            (30, End::Dropped),
            (20, End::Raced),
            (15, End::Left),
        ]),
    }
}

fn small(dice: &mut Dice) -> u32 {
    let most = if dice.percent(10) { 2_000 } else { 200 };
    dice.spread(u64::from(LEAST_SIZE)..=most) as u32
}

fn stray(
    dice: &mut Dice,
    topic: String,
    partition: Option<i32>,
    count: std::ops::RangeInclusive<u64>,
) -> Op {
    Op::Send(Burst {
        topic,
        partition,
        keys: 0,
        headers: 0,
        stamped: false,
        count: dice.within(count) as u32,
        size: small(dice),
        how: if dice.percent(30) {
            How::TrySend
        } else {
            How::Send
        },
        callback: dice.percent(30).then(Default::default),
        pause_us: 0,
    })
}

/// A time-out in milliseconds: `None` in `none` percent of the cases, otherwise a usual one, now and then zero or the
/// largest.
pub(super) fn timeout(dice: &mut Dice, none: u32) -> Option<u64> {
    if dice.percent(none) {
        return None;
    }
    Some(match dice.within(0..=19) {
        0 | 1 => 0,
        2 => u64::MAX,
        _ => dice.spread(1..=8_000),
    })
}
