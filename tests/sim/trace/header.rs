//! Header of a trace: the scenario in a few lines.

use std::fmt::Write as _;

use super::words;
use crate::scenario::{Begins, Op, Producer, Scenario, Thread};

pub(crate) fn header(scenario: &Scenario) -> String {
    let mut text = String::new();
    summary(scenario, &mut text);
    world(scenario, &mut text);
    for (number, producer) in scenario.producers.iter().enumerate() {
        one_producer(number, producer, &mut text);
    }
    if scenario.packing_us > 0 {
        let what = format!("up to {} µs a step", scenario.packing_us);
        line(&mut text, "packing", &what);
    }
    if scenario.logs_all {
        line(&mut text, "logger", "takes all levels");
    }
    if !scenario.logger.acts.is_empty() {
        line(&mut text, "logger", &words::behaviour(&scenario.logger));
    }
    for (number, timed) in scenario.faults.iter().enumerate() {
        let title = if number == 0 { "faults" } else { "" };
        let what = format!(
            "{:>9} ms  {}{}",
            timed.at_ms,
            words::fault(&timed.fault),
            words::for_how_long(timed)
        );
        line(&mut text, title, &what);
    }
    line(
        &mut text,
        if scenario.faults.is_empty() {
            "faults"
        } else {
            ""
        },
        &format!("{:>9} ms  healing", scenario.heal_at_ms),
    );
    text
}

fn line(text: &mut String, title: &str, what: &str) {
    let _ = writeln!(text, "{title:<12}{what}");
}

/// Number of records that the threads of a scenario send (without those that user code sends).
pub(crate) fn records(scenario: &Scenario) -> u64 {
    let threads = scenario.producers.iter().flat_map(|one| &one.threads);
    threads.map(records_of).sum()
}

fn records_of(thread: &Thread) -> u64 {
    thread
        .ops
        .iter()
        .map(|op| match op {
            Op::Send(burst) => u64::from(burst.count),
            _ => 0,
        })
        .sum()
}

fn summary(scenario: &Scenario, text: &mut String) {
    let threads: usize = scenario.producers.iter().map(|one| one.threads.len()).sum();
    let counts = [
        words::count(scenario.producers.len() as u64, "producer", "producers"),
        words::count(threads as u64, "thread", "threads"),
        words::count(records(scenario), "record", "records"),
        words::count(scenario.faults.len() as u64, "fault", "faults"),
    ];
    line(
        text,
        &format!("seed {}  ", scenario.seed),
        &counts.join(", "),
    );
}

fn world(scenario: &Scenario, text: &mut String) {
    let network = &scenario.network;
    let mut what = format!(
        "connect {} µs, latency {} µs, buffers of {} bytes",
        network.connect_us, network.latency_us, network.capacity
    );
    for (is_so, word) in [
        (network.splits, ", splits"),
        (network.short_read_drains, ", short reads drain"),
    ] {
        if is_so {
            what += word;
        }
    }
    for (percent, word) in [
        (network.spurious_percent, "spurious"),
        (network.at_once_percent, "at once"),
    ] {
        if percent > 0 {
            what += &format!(", {percent} % {word}");
        }
    }
    line(text, "network", &what);

    let brokers = &scenario.brokers;
    let mut what = format!(
        "{} of {}, {}, by {}",
        brokers.nodes,
        brokers.release,
        words::count(u64::from(brokers.replication), "replica", "replicas"),
        if brokers.by_name { "name" } else { "address" }
    );
    if brokers.auto_create_topics {
        what += ", auto-created topics";
    }
    if brokers.first_epoch != 0 {
        what += &format!(", producer ids begin with epoch {}", brokers.first_epoch);
    }
    if brokers.verify_transactions {
        what += ", verify transactions";
    }
    if let Some(tls) = &brokers.tls {
        what += &format!(", {}", tls.protocols);
        if tls.client_certificates {
            what += " with client certificates";
        }
    }
    if let Some(sasl) = &brokers.sasl {
        what += &format!(", SASL {}", sasl.mechanism);
        if let Some(ms) = sasl.session_ms {
            what += &format!(" every {ms} ms");
        }
    }
    line(text, "brokers", &what);

    let topics: Vec<String> = scenario
        .topics
        .iter()
        .map(|topic| {
            let mut what = match topic.partitions {
                0 => format!("{} (missing)", words::topic(&topic.name)),
                partitions => format!("{} ({partitions})", words::topic(&topic.name)),
            };
            if let Some(bytes) = topic.max_message_bytes {
                what += &format!(" up to {bytes} bytes");
            }
            if topic.log_append_time {
                what += " log append time";
            }
            what
        })
        .collect();
    line(text, "topics", &topics.join(", "));
}

fn one_producer(number: usize, producer: &Producer, text: &mut String) {
    let keys: Vec<String> = producer
        .config
        .iter()
        .map(|(key, value)| {
            let value = value.rsplit('.').next().unwrap_or(value);
            format!("{key}={value}")
        })
        .collect();
    let mut title = format!("producer {number}");
    for keys in keys.chunks(4) {
        line(text, &title, &keys.join(" "));
        title.clear();
    }
    if keys.is_empty() {
        line(text, &title, "with the defaults");
    }
    match producer.begins {
        Begins::First => {}
        Begins::AtMs(ms) => line(text, "", &format!("is built at {ms} ms")),
        Begins::After { producer, ms } => {
            let what =
                format!("is built {ms} ms after producer {producer} has crashed, failed or ended");
            line(text, "", &what);
        }
    }
    if let Some(crash) = producer.crashes {
        let what = format!(
            "crashes {} after stage {:?}, occurrence {}",
            words::count(crash.steps.into(), "step", "steps"),
            crash.stage,
            crash.nth
        );
        line(text, "", &what);
    }
    let plugins = &producer.plugins;
    for (name, plugin) in [
        ("key serializer", &plugins.key_serializer),
        ("value serializer", &plugins.value_serializer),
        ("partitioner", &plugins.partitioner),
        ("interceptor", &plugins.interceptor),
        ("cluster listener", &plugins.cluster_listener),
        ("metrics reporter", &plugins.metrics_reporter),
    ] {
        if let Some(behaviour) = plugin {
            line(
                text,
                "",
                &format!("{name}: {}", words::behaviour(behaviour)),
            );
        }
    }
    for (place, thread) in producer.threads.iter().enumerate() {
        line(
            text,
            &format!("  app {number}.{place}"),
            &one_thread(thread),
        );
    }
}

fn one_thread(thread: &Thread) -> String {
    type IsOne = fn(&Op) -> bool;
    let kinds: [(&str, IsOne); 13] = [
        ("burst", |op| matches!(op, Op::Send(_))),
        ("flush", |op| matches!(op, Op::Flush { .. })),
        ("get", |op| matches!(op, Op::Get { .. })),
        ("await", |op| matches!(op, Op::Await { .. })),
        ("poll", |op| matches!(op, Op::PollOnce { .. })),
        ("drop of futures", |op| matches!(op, Op::DropFutures { .. })),
        ("partitions_for", |op| {
            matches!(op, Op::PartitionsFor { .. })
        }),
        ("sleep", |op| matches!(op, Op::Sleep { .. })),
        ("close", |op| matches!(op, Op::Close { .. })),
        ("drop of the producer", |op| matches!(op, Op::DropProducer)),
        ("transactional call", |op| {
            matches!(op, Op::Transaction { .. })
        }),
        ("stray call", |op| matches!(op, Op::Stray { .. })),
        ("wait for a transaction", |op| {
            matches!(op, Op::AwaitTransaction { .. })
        }),
    ];
    let mut parts = vec![words::count(records_of(thread), "record", "records")];
    for (name, is_one) in kinds {
        match thread.ops.iter().filter(|op| is_one(op)).count() {
            0 => {}
            1 => parts.push(name.to_owned()),
            n => parts.push(format!("{n}× {name}")),
        }
    }
    parts.join(", ")
}
