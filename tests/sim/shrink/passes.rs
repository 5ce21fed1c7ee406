//! Passes of shrinking, in the order in which they are tried: those that remove most come first.

use super::Shrinker;
use crate::scenario::{
    Act, Begins, Behaviour, Burst, Fault, How, Network, Op, Plugins, Producer, Scenario, Thread,
    TransactionOp,
};
use std::cmp::Ordering;

pub(super) fn all<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    participants(shrinker);
    shrinker.fewer(0, |scenario| &mut scenario.faults);
    operations(shrinker);
    user_code(shrinker);
    surroundings(shrinker);
    configuration(shrinker);
    topics(shrinker);
    bursts(shrinker);
    times(shrinker);
    faults(shrinker);
}

fn participants<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    for number in (0..shrinker.best.producers.len()).rev() {
        if shrinker.best.producers.len() > 1 {
            shrinker.change(|scenario| leave_out(scenario, number));
        }
    }
    for number in 0..shrinker.best.producers.len() {
        shrinker.change(|scenario| scenario.producers[number].crashes = None);
        shrinker.change(|scenario| scenario.producers[number].begins = Begins::First);
        for (least, get, set) in NUMBERS_OF_PRODUCERS {
            shrinker.lower(
                least,
                |scenario| get(&scenario.producers[number]),
                |scenario, n| set(&mut scenario.producers[number], n),
            );
        }
    }
    for producer in 0..shrinker.best.producers.len() {
        shrinker.fewer(1, |scenario| &mut scenario.producers[producer].threads);
    }
}

/// Removes a producer. A producer that was to start after the removed one starts when the removed one would have.
fn leave_out(scenario: &mut Scenario, gone: usize) {
    let begins = scenario.producers.remove(gone).begins;
    for producer in &mut scenario.producers {
        if let Begins::After {
            producer: before, ..
        } = &mut producer.begins
        {
            match (*before).cmp(&gone) {
                Ordering::Less => {}
                Ordering::Greater => *before -= 1,
                Ordering::Equal => producer.begins = begins,
            }
        }
    }
}

type NumberOfProducer = (u64, fn(&Producer) -> u64, fn(&mut Producer, u64));

/// Numbers of a producer: when it starts, and when it crashes.
const NUMBERS_OF_PRODUCERS: [NumberOfProducer; 3] = [
    (
        0,
        |producer| match producer.begins {
            Begins::First => 0,
            Begins::AtMs(ms) | Begins::After { ms, .. } => ms,
        },
        |producer, n| {
            if let Begins::AtMs(ms) | Begins::After { ms, .. } = &mut producer.begins {
                *ms = n;
            }
        },
    ),
    (
        1,
        |producer| producer.crashes.map_or(0, |crash| crash.nth.into()),
        |producer, n| {
            if let Some(crash) = &mut producer.crashes {
                crash.nth = n as u32;
            }
        },
    ),
    (
        0,
        |producer| producer.crashes.map_or(0, |crash| crash.steps.into()),
        |producer, n| {
            if let Some(crash) = &mut producer.crashes {
                crash.steps = n as u32;
            }
        },
    ),
];

/// All threads, as pairs of producer index and thread index.
fn threads(scenario: &Scenario) -> Vec<(usize, usize)> {
    let producers = scenario.producers.iter().enumerate();
    producers
        .flat_map(|(number, producer)| {
            (0..producer.threads.len()).map(move |place| (number, place))
        })
        .collect()
}

fn operations<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    // First the counts of all bursts are divided at once: most operations of a scenario are records of bursts.
    for part in [64, 8, 2] {
        while shrinker.change(|scenario| {
            for burst in all_bursts(scenario) {
                burst.count = burst.count.div_ceil(part);
            }
        }) {}
    }
    for (producer, thread) in threads(&shrinker.best) {
        shrinker.fewer(0, |scenario| {
            &mut scenario.producers[producer].threads[thread].ops
        });
    }
}

fn all_bursts(scenario: &mut Scenario) -> impl Iterator<Item = &mut Burst> {
    all_ops(scenario).filter_map(|op| match op {
        Op::Send(burst) => Some(burst),
        _ => None,
    })
}

fn all_ops(scenario: &mut Scenario) -> impl Iterator<Item = &mut Op> {
    scenario
        .producers
        .iter_mut()
        .flat_map(|producer| &mut producer.threads)
        .flat_map(|thread: &mut Thread| &mut thread.ops)
}

type Plugin = for<'a> fn(&'a mut Plugins) -> &'a mut Option<Behaviour>;

const PLUGINS: [Plugin; 6] = [
    |plugins| &mut plugins.key_serializer,
    |plugins| &mut plugins.value_serializer,
    |plugins| &mut plugins.partitioner,
    |plugins| &mut plugins.interceptor,
    |plugins| &mut plugins.cluster_listener,
    |plugins| &mut plugins.metrics_reporter,
];

fn user_code<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    shrinker.fewer(0, |scenario| &mut scenario.logger.acts);
    shrinker.change(|scenario| scenario.logs_all = false);
    shrinker.change(|scenario| scenario.packing_us = 0);
    shrinker.change(|scenario| all_bursts(scenario).for_each(|burst| burst.callback = None));
    shrinker.change(|scenario| {
        for burst in all_bursts(scenario) {
            if let Some(callback) = &mut burst.callback {
                callback.acts.clear();
            }
        }
    });
    for number in 0..shrinker.best.producers.len() {
        shrinker.change(|scenario| scenario.producers[number].plugins = Plugins::default());
        for plugin in PLUGINS {
            let plugin_of = |scenario: &mut Scenario| -> Option<Behaviour> {
                plugin(&mut scenario.producers[number].plugins).take()
            };
            shrinker.change(|scenario| {
                plugin_of(scenario);
            });
            let acts = plugin(&mut shrinker.best.producers[number].plugins)
                .as_ref()
                .map_or(0, |behaviour| behaviour.acts.len());
            for act in (0..acts).rev() {
                shrinker.change(|scenario| {
                    if let Some(behaviour) = plugin(&mut scenario.producers[number].plugins) {
                        behaviour.acts.remove(act);
                    }
                });
            }
        }
    }
}

fn surroundings<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    let plain = Network {
        connect_us: 100,
        latency_us: 100,
        capacity: 1 << 20,
        splits: false,
        short_read_drains: false,
        spurious_percent: 0,
        at_once_percent: 0,
    };
    let whole = plain.clone();
    if !shrinker.change(|scenario| scenario.network = whole) {
        shrinker.change(|scenario| scenario.network.connect_us = plain.connect_us);
        shrinker.change(|scenario| scenario.network.latency_us = plain.latency_us);
        shrinker.change(|scenario| scenario.network.capacity = plain.capacity);
        shrinker.change(|scenario| scenario.network.splits = false);
        shrinker.change(|scenario| scenario.network.short_read_drains = false);
        shrinker.change(|scenario| scenario.network.spurious_percent = 0);
        shrinker.change(|scenario| scenario.network.at_once_percent = 0);
    }
    shrinker.change(|scenario| {
        scenario.brokers.nodes = 1;
        scenario.brokers.replication = 1;
    });
    shrinker.lower(
        1,
        |scenario| scenario.brokers.nodes.into(),
        |scenario, nodes| {
            scenario.brokers.nodes = nodes as u8;
            scenario.brokers.replication = scenario.brokers.replication.min(nodes as u8);
        },
    );
    shrinker.change(|scenario| scenario.brokers.replication = 1);
    shrinker.change(|scenario| "V3_0".clone_into(&mut scenario.brokers.release));
    shrinker.change(|scenario| scenario.brokers.auto_create_topics = false);
    shrinker.change(|scenario| scenario.brokers.by_name = false);
    shrinker.change(|scenario| scenario.brokers.first_epoch = 0);
    shrinker.change(|scenario| scenario.brokers.verify_transactions = false);
    shrinker.change(|scenario| scenario.brokers.tls = None);
    shrinker.change(|scenario| {
        if let Some(tls) = &mut scenario.brokers.tls {
            tls.client_certificates = false;
        }
    });
    shrinker.change(|scenario| scenario.brokers.sasl = None);
    shrinker.change(|scenario| {
        if let Some(sasl) = &mut scenario.brokers.sasl {
            sasl.session_ms = None;
        }
    });
}

/// Resets configuration keys to their defaults: first all of them at once, then half of them, down to single keys.
fn configuration<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    for number in 0..shrinker.best.producers.len() {
        let config = |scenario: &Scenario| scenario.producers[number].config.clone();
        let mut piece = config(&shrinker.best).len();
        while piece > 0 {
            let keys: Vec<String> = config(&shrinker.best).into_keys().collect();
            for keys in keys.chunks(piece) {
                shrinker.change(|scenario| {
                    let config = &mut scenario.producers[number].config;
                    config.retain(|key, _| !keys.contains(key));
                });
            }
            piece /= 2;
        }
    }
}

fn topics<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    // Redirects all operations, acts and faults of one topic to the first topic.
    for number in (1..shrinker.best.topics.len()).rev() {
        shrinker.change(|scenario| {
            let gone = scenario.topics.remove(number).name;
            let first = scenario.topics[0].name.clone();
            rename(scenario, &gone, &first);
        });
    }
    shrinker.fewer(0, |scenario| &mut scenario.topics);
    for number in 0..shrinker.best.topics.len() {
        shrinker.change(|scenario| scenario.topics[number].log_append_time = false);
        shrinker.change(|scenario| scenario.topics[number].max_message_bytes = None);
        if shrinker.best.topics[number].partitions > 0 {
            shrinker.lower(
                1,
                |scenario| scenario.topics[number].partitions.into(),
                |scenario, partitions| scenario.topics[number].partitions = partitions as u16,
            );
        }
    }
}

/// Replaces a topic's name wherever it occurs.
fn rename(scenario: &mut Scenario, from: &str, to: &str) {
    let change = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    let in_behaviour = |behaviour: &mut Behaviour| {
        for every in &mut behaviour.acts {
            if let Act::Sends(topic) | Act::TrySends(topic) | Act::AsksForPartitions(topic) =
                &mut every.act
            {
                change(topic);
            }
        }
    };
    in_behaviour(&mut scenario.logger);
    for Producer { plugins, .. } in &mut scenario.producers {
        for plugin in PLUGINS {
            plugin(plugins).iter_mut().for_each(in_behaviour);
        }
    }
    for op in all_ops(scenario) {
        match op {
            Op::Send(burst) => {
                change(&mut burst.topic);
                burst.callback.iter_mut().for_each(in_behaviour);
            }
            Op::PartitionsFor { topic } => change(topic),
            Op::Transaction { call, .. } | Op::Stray { call } => {
                if let TransactionOp::SendOffsets { partitions, .. } = call {
                    for (topic, _) in partitions {
                        change(topic);
                    }
                }
            }
            _ => {}
        }
    }
    for timed in &mut scenario.faults {
        match &mut timed.fault {
            Fault::MoveLeader { topic, .. }
            | Fault::DeleteTopic { topic }
            | Fault::RecreateTopic { topic, .. }
            | Fault::GrowTopic { topic, .. }
            | Fault::Truncate { topic, .. }
            | Fault::ForgetProducers { topic, .. }
            | Fault::LowerLimit { topic, .. }
            | Fault::Error {
                topic: Some(topic), ..
            } => change(topic),
            _ => {}
        }
    }
}

fn bursts<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    shrinker.change(|scenario| {
        for burst in all_bursts(scenario) {
            plain(burst);
        }
    });
    for (producer, thread) in threads(&shrinker.best) {
        for op in 0..shrinker.best.producers[producer].threads[thread].ops.len() {
            one_burst(shrinker, producer, thread, op);
        }
    }
}

fn plain(burst: &mut Burst) {
    burst.partition = None;
    burst.keys = 0;
    burst.headers = 0;
    burst.stamped = false;
    burst.size = 12;
    burst.how = How::Send;
    burst.callback = None;
    burst.pause_us = 0;
}

fn one_burst<F: FnMut(&Scenario) -> bool>(
    shrinker: &mut Shrinker<F>,
    producer: usize,
    thread: usize,
    op: usize,
) {
    let Op::Send(_) = &shrinker.best.producers[producer].threads[thread].ops[op] else {
        return;
    };
    let with = |scenario: &mut Scenario, change: &dyn Fn(&mut Burst)| {
        if let Op::Send(burst) = &mut scenario.producers[producer].threads[thread].ops[op] {
            change(burst);
        }
    };
    let get = |scenario: &Scenario, what: fn(&Burst) -> u64| match &scenario.producers[producer]
        .threads[thread]
        .ops[op]
    {
        Op::Send(burst) => what(burst),
        _ => 0,
    };
    shrinker.lower(
        1,
        |scenario| get(scenario, |burst| burst.count.into()),
        |scenario, count| with(scenario, &|burst| burst.count = count as u32),
    );
    if shrinker.change(|scenario| with(scenario, &plain)) {
        return;
    }
    shrinker.change(|scenario| with(scenario, &|burst| burst.partition = None));
    shrinker.change(|scenario| with(scenario, &|burst| burst.how = How::Send));
    shrinker.change(|scenario| with(scenario, &|burst| burst.headers = 0));
    shrinker.change(|scenario| with(scenario, &|burst| burst.stamped = false));
    if !shrinker.change(|scenario| with(scenario, &|burst| burst.callback = None)) {
        shrinker.change(|scenario| {
            with(scenario, &|burst| {
                burst.callback.iter_mut().for_each(|one| one.acts.clear());
            });
        });
    }
    shrinker.lower(
        0,
        |scenario| get(scenario, |burst| burst.keys.into()),
        |scenario, keys| with(scenario, &|burst| burst.keys = keys as u32),
    );
    shrinker.lower(
        12,
        |scenario| get(scenario, |burst| burst.size.into()),
        |scenario, size| with(scenario, &|burst| burst.size = size as u32),
    );
    shrinker.lower(
        0,
        |scenario| get(scenario, |burst| burst.pause_us),
        |scenario, pause| with(scenario, &|burst| burst.pause_us = pause),
    );
}

fn times<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    // Moves everything to an earlier time, in proportion.
    while shrinker.best.heal_at_ms > 10 && shrinker.change(sooner) {}
    shrinker.lower(
        1,
        |scenario| scenario.heal_at_ms,
        |scenario, ms| scenario.heal_at_ms = ms,
    );
    for (producer, thread) in threads(&shrinker.best) {
        for op in 0..shrinker.best.producers[producer].threads[thread].ops.len() {
            shrinker.lower(
                0,
                |scenario| match &scenario.producers[producer].threads[thread].ops[op] {
                    Op::Sleep { ms } => *ms,
                    Op::Get { count, .. }
                    | Op::Await { count }
                    | Op::PollOnce { count }
                    | Op::DropFutures { count } => (*count).into(),
                    _ => 0,
                },
                |scenario, n| match &mut scenario.producers[producer].threads[thread].ops[op] {
                    Op::Sleep { ms } => *ms = n,
                    Op::Get { count, .. }
                    | Op::Await { count }
                    | Op::PollOnce { count }
                    | Op::DropFutures { count } => {
                        *count = n as u32;
                    }
                    _ => {}
                },
            );
            shrinker.change(|scenario| {
                if let Op::Flush { timeout_ms }
                | Op::Close { timeout_ms }
                | Op::Transaction { timeout_ms, .. }
                | Op::Get { timeout_ms, .. } =
                    &mut scenario.producers[producer].threads[thread].ops[op]
                {
                    *timeout_ms = None;
                }
            });
        }
    }
}

fn sooner(scenario: &mut Scenario) {
    scenario.heal_at_ms /= 2;
    for timed in &mut scenario.faults {
        timed.at_ms /= 2;
        timed.for_ms = timed.for_ms.map(|ms| ms / 2);
    }
    for op in all_ops(scenario) {
        if let Op::Sleep { ms } | Op::AwaitTransaction { ms } = op {
            *ms /= 2;
        }
    }
    for producer in &mut scenario.producers {
        if let Begins::AtMs(ms) | Begins::After { ms, .. } = &mut producer.begins {
            *ms /= 2;
        }
    }
}

fn faults<F: FnMut(&Scenario) -> bool>(shrinker: &mut Shrinker<F>) {
    for number in 0..shrinker.best.faults.len() {
        shrinker.lower(
            0,
            |scenario| scenario.faults[number].at_ms,
            |scenario, ms| scenario.faults[number].at_ms = ms,
        );
        shrinker.lower(
            1,
            |scenario| scenario.faults[number].for_ms.unwrap_or(0),
            |scenario, ms| scenario.faults[number].for_ms = Some(ms),
        );
        shrinker.lower(
            1,
            |scenario| match &scenario.faults[number].fault {
                Fault::Error {
                    times: Some(times), ..
                }
                | Fault::Lose {
                    times: Some(times), ..
                } => *times,
                _ => 0,
            },
            |scenario, n| {
                if let Fault::Error { times, .. } | Fault::Lose { times, .. } =
                    &mut scenario.faults[number].fault
                {
                    *times = Some(n);
                }
            },
        );
    }
}
