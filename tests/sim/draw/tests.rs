//! Tests of the generator: every drawn value is legal, and every possible kind of value is drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_producer::ProducerConfig;

use super::configuration::{CODECS, Facts, KEYS, PARTITIONERS};
use super::dice::Dice;
use super::faults::{CODES, Class};
use super::load::{LEAST_SIZE, RECORDS};
use super::network::{self, RELEASES};
use super::{scenario, transactions};
use crate::scenario::{Act, Api, Begins, Behaviour, Fault, How, Moment, Op, Scenario};

/// The configurations of a seed, with their facts.
fn configurations(seed: u64) -> Vec<(BTreeMap<String, String>, Facts)> {
    let network = network::network(&mut Dice::new(seed, "network"));
    let mut brokers = network::brokers(&mut Dice::new(seed, "brokers"));
    brokers.tls = network::tls(&mut Dice::new(seed, "tls"), false);
    super::configurations(seed, &network, &brokers)
}

fn checked(seed: u64, config: &BTreeMap<String, String>) -> ProducerConfig {
    let mut all = config.clone();
    all.insert("bootstrap.servers".to_owned(), "localhost:9092".to_owned());
    all.insert("client.id".to_owned(), "0".to_owned());
    ProducerConfig::from_map(all)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{config:#?}"))
}

#[test]
fn every_configuration_of_ten_thousand_seeds_is_accepted() {
    for seed in 0..10_000 {
        for (config, _) in configurations(seed) {
            checked(seed, &config);
        }
    }
    for seed in 0..2_000 {
        let wishes = super::Wishes {
            transactions: true,
            ..super::Wishes::default()
        };
        for producer in super::scenario_with(seed, wishes).producers {
            checked(seed, &producer.config);
        }
    }
    let of_scenario = scenario(17).producers.into_iter().map(|one| one.config);
    let alone = configurations(17).into_iter().map(|(config, _)| config);
    assert!(
        of_scenario.eq(alone),
        "configurations drawn alone differ from those of the scenario"
    );
}

/// Attempts that cannot succeed are repeated until a time-out ends them, and each attempt takes several events.
#[test]
fn hopeless_configurations_time_out_soon() {
    let mut hopeless = 0;
    for seed in 0..10_000 {
        for (config, facts) in configurations(seed) {
            let checked = checked(seed, &config);
            let soon = |most: u64| {
                let most = Duration::from_secs(most);
                checked.delivery_timeout() <= most && checked.max_block() <= most
            };
            let pauses = checked.retry_backoff() > Duration::from_secs(60);
            if facts.hopeless || pauses {
                assert!(soon(10), "seed {seed}: {config:#?}");
            }
            if !facts.patient {
                assert!(soon(30), "seed {seed}: {config:#?}");
            }
            hopeless += u32::from(facts.hopeless);
        }
    }
    // Hopeless configurations are rare, but not absent.
    assert!((100..1_500).contains(&hopeless), "{hopeless} of them");
}

#[test]
fn a_seed_draws_the_same_scenario_each_time() {
    for seed in [0, 1, 17, u64::MAX] {
        assert_eq!(scenario(seed), scenario(seed));
    }
    assert_ne!(scenario(1).producers, scenario(2).producers);
}

#[test]
fn every_seed_sends_enough_records_and_nearly_all_go_to_existing_partitions() {
    let (mut records, mut astray) = (0, 0);
    for seed in 0..1_000 {
        let scenario = scenario(seed);
        let (sent, elsewhere) = records_of(&scenario);
        assert!(sent >= RECORDS, "seed {seed}: {sent} records");
        assert!(sent <= 3_000, "seed {seed}: {sent} records");
        records += sent;
        astray += elsewhere;
    }
    let percent = astray * 100 / records;
    assert!(percent <= 3, "{percent} % go astray");
}

/// Number of all records, and of those for topics or partitions that do not exist at the start.
fn records_of(scenario: &Scenario) -> (u32, u32) {
    let (mut all, mut astray) = (0, 0);
    for thread in scenario.producers.iter().flat_map(|one| &one.threads) {
        for op in &thread.ops {
            let Op::Send(burst) = op else { continue };
            assert!(burst.count > 0);
            assert!(burst.size >= LEAST_SIZE);
            all += burst.count;
            let topic = scenario
                .topics
                .iter()
                .find(|topic| topic.name == burst.topic);
            let partitions = topic.map_or(0, |topic| i32::from(topic.partitions));
            if burst.partition.unwrap_or(0) >= partitions {
                astray += burst.count;
            }
        }
    }
    (all, astray)
}

/// Counts of each thing that can be drawn.
#[derive(Default)]
struct Met(BTreeMap<String, u32>);

impl Met {
    fn expect(&mut self, what: impl Into<String>) {
        self.0.entry(what.into()).or_default();
    }

    fn see(&mut self, what: impl Into<String>) {
        let what = what.into();
        let Some(count) = self.0.get_mut(&what) else {
            panic!("{what} was drawn, but is not in the list of things that can be drawn");
        };
        *count += 1;
    }
}

#[test]
fn everything_that_can_be_drawn_occurs_in_a_thousand_seeds() {
    let mut met = Met::default();
    expect_all(&mut met);
    // Rare features of transactions are searched in scenarios whose producers are all transactional.
    let wishes = super::Wishes {
        transactions: true,
        ..super::Wishes::default()
    };
    for seed in 0..1_000 {
        see_all(&mut met, &scenario(seed));
        see_all(&mut met, &super::scenario_with(seed, wishes));
    }
    let missing: Vec<_> = met.0.iter().filter(|(_, count)| **count == 0).collect();
    assert!(missing.is_empty(), "never drawn: {missing:?}");
}

const FAULTS: [&str; 29] = [
    "Slow",
    "Cut",
    "Silence",
    "Refuse",
    "BlackHole",
    "Down",
    "Hang",
    "MoveLeader",
    "StaleMetadata",
    "EpochsGoBack",
    "Rebuild",
    "MoveBrokers",
    "DeleteTopic",
    "RecreateTopic",
    "GrowTopic",
    "Truncate",
    "ForgetProducers",
    "LowerLimit",
    "Error",
    "Lose",
    "Late",
    "Throttle",
    "Versions",
    "NamesFail",
    "WrongAddresses",
    "WallClock",
    "MoveCoordinator",
    "LoadCoordinators",
    "DelayMarkers",
];

/// Names that occur only in builds with TLS.
const OF_TLS: [&str; 8] = [
    "fault WrongCertificate",
    "fault NoTls",
    "fault CutHandshake",
    "TLS",
    "TLS and SASL",
    "TLS 1.2",
    "TLS 1.3",
    "certificates of clients",
];

const ACTS: [&str; 11] = [
    "Fails",
    "Panics",
    "TakesMs",
    "Sends",
    "TrySends",
    "Flushes",
    "Closes",
    "AsksForPartitions",
    "DropsFutures",
    "Gets",
    "ReadsMetrics",
];

const OPS: [&str; 13] = [
    "Send",
    "Flush",
    "Close",
    "PartitionsFor",
    "Sleep",
    "Get",
    "Await",
    "PollOnce",
    "DropFutures",
    "DropProducer",
    "Transaction",
    "Stray",
    "AwaitTransaction",
];

const ACTORS: [&str; 8] = [
    "key serializer",
    "value serializer",
    "partitioner",
    "interceptor",
    "cluster listener",
    "metrics reporter",
    "callback",
    "logger",
];

fn expect_all(met: &mut Met) {
    for fault in FAULTS {
        met.expect(format!("fault {fault}"));
    }
    for actor in ACTORS {
        for act in ACTS {
            met.expect(format!("{actor} {act}"));
        }
    }
    for op in OPS {
        met.expect(format!("op {op}"));
    }
    for call in ["Flush", "Close", "Get"] {
        for timeout in ["absent", "zero", "other", "the largest"] {
            met.expect(format!("{call} timeout {timeout}"));
        }
    }
    for (api, class, codes) in CODES.into_iter().chain(transactions::CODES) {
        for code in codes {
            met.expect(format!("{api:?} {class:?} {code}"));
        }
    }
    met.expect("error for ever");
    met.expect("error after applying");
    for api in [
        Api::Produce,
        Api::Metadata,
        Api::ApiVersions,
        Api::InitProducerId,
        Api::FindCoordinator,
        Api::AddPartitionsToTxn,
        Api::AddOffsetsToTxn,
        Api::TxnOffsetCommit,
        Api::EndTxn,
    ] {
        met.expect(format!("lost {api:?}"));
        met.expect(format!("old versions {api:?}"));
        met.expect(format!("no {api:?}"));
        met.expect(format!("late {api:?}"));
        met.expect(format!("throttled {api:?}"));
    }
    for moment in ["BeforeRequest", "AfterApplied", "WithinAnswer"] {
        met.expect(format!("{moment} closes"));
        met.expect(format!("{moment} silent"));
    }
    for key in &KEYS {
        met.expect(format!("{} default", key.name));
        met.expect(format!("{}={}", key.name, key.least));
        met.expect(format!("{}={}", key.name, key.most));
    }
    for codec in CODECS {
        met.expect(format!("compression.type={codec}"));
    }
    for partitioner in PARTITIONERS {
        met.expect(format!("partitioner.class={partitioner}"));
    }
    for value in ["all", "-1", "0", "1"] {
        met.expect(format!("acks={value}"));
    }
    for value in ["true", "false"] {
        met.expect(format!("enable.idempotence={value}"));
    }
    for value in ["none", "rebootstrap"] {
        met.expect(format!("metadata.recovery.strategy={value}"));
    }
    for release in RELEASES {
        met.expect(format!("release {release}"));
    }
    for what in [
        "how Send",
        "how TrySend",
        "1 producer",
        "2 producers",
        "3 producers",
        "4 producers",
        "5 producers",
        "6 producers",
        "7 producers",
        "a transactional id",
        "a short transaction.timeout.ms",
        "a transaction.timeout.ms of 1",
        "a transaction.timeout.ms that is too long",
        "built later",
        "built after another",
        "transactions are verified",
        "1 thread",
        "2 threads",
        "3 threads",
        "4 threads",
        "by name",
        "by address",
        "topic of log append time",
        "limited topic",
        "topic made by sending",
        "name empty",
        "name dots",
        "name blank",
        "name long",
        "name longest",
        "no faults",
        "20 faults",
        "12 partitions",
        "more than 12 topics",
        "keys",
        "headers",
        "timestamps",
        "all lines",
        "packing that takes its time",
        "callback",
        "PLAIN",
        "OAUTHBEARER",
        "SASL re-authentication",
    ] {
        met.expect(what);
    }
    for stage in transactions::STAGES {
        met.expect(format!("a crash at {stage:?}"));
    }
    for call in ["Init", "Begin", "SendOffsets", "Commit", "Abort"] {
        met.expect(format!("transactional call {call}"));
        met.expect(format!("stray call {call}"));
    }
    if cfg!(feature = "sasl-scram") {
        met.expect("SCRAM-SHA-256");
        met.expect("SCRAM-SHA-512");
    }
    if cfg!(feature = "tls") {
        for what in OF_TLS {
            met.expect(what);
        }
    }
}

fn first_word(what: &impl std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    let end = text
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(text.len());
    text[..end].to_owned()
}

fn see_all(met: &mut Met, scenario: &Scenario) {
    see_world(met, scenario);
    for timed in &scenario.faults {
        see_fault(met, &timed.fault, timed.for_ms);
    }
    see_behaviour(met, "logger", Some(&scenario.logger));
    if scenario.logs_all {
        met.see("all lines");
    }
    if scenario.packing_us > 0 {
        met.see("packing that takes its time");
    }
    match scenario.producers.len() {
        1 => met.see("1 producer"),
        count => met.see(format!("{count} producers")),
    }
    for producer in &scenario.producers {
        see_config(met, &producer.config);
        let plugins = &producer.plugins;
        see_behaviour(met, "key serializer", plugins.key_serializer.as_ref());
        see_behaviour(met, "value serializer", plugins.value_serializer.as_ref());
        see_behaviour(met, "partitioner", plugins.partitioner.as_ref());
        see_behaviour(met, "interceptor", plugins.interceptor.as_ref());
        see_behaviour(met, "cluster listener", plugins.cluster_listener.as_ref());
        see_behaviour(met, "metrics reporter", plugins.metrics_reporter.as_ref());
        match producer.threads.len() {
            1 => met.see("1 thread"),
            count => met.see(format!("{count} threads")),
        }
        match producer.begins {
            Begins::First => {}
            Begins::AtMs(_) => met.see("built later"),
            Begins::After { .. } => met.see("built after another"),
        }
        if let Some(crash) = producer.crashes {
            met.see(format!("a crash at {:?}", crash.stage));
        }
        for op in producer.threads.iter().flat_map(|thread| &thread.ops) {
            see_op(met, op);
        }
    }
}

fn see_world(met: &mut Met, scenario: &Scenario) {
    let brokers = &scenario.brokers;
    met.see(format!("release {}", brokers.release));
    met.see(if brokers.by_name {
        "by name"
    } else {
        "by address"
    });
    if brokers.verify_transactions {
        met.see("transactions are verified");
    }
    if let Some(sasl) = &brokers.sasl {
        met.see(sasl.mechanism.clone());
        if sasl.session_ms.is_some() {
            met.see("SASL re-authentication");
        }
    }
    if let Some(tls) = &brokers.tls {
        met.see(if brokers.sasl.is_some() {
            "TLS and SASL"
        } else {
            "TLS"
        });
        met.see(if tls.protocols == "TLSv1.2" {
            "TLS 1.2"
        } else {
            "TLS 1.3"
        });
        if tls.client_certificates {
            met.see("certificates of clients");
        }
    }
    match scenario.faults.len() {
        0 => met.see("no faults"),
        20.. => met.see("20 faults"),
        _ => {}
    }
    if scenario.topics.len() > 12 {
        met.see("more than 12 topics");
    }
    for topic in &scenario.topics {
        if topic.log_append_time {
            met.see("topic of log append time");
        }
        if topic.max_message_bytes.is_some() {
            met.see("limited topic");
        }
        if topic.partitions == 12 {
            met.see("12 partitions");
        }
        if topic.name.len() == 249 {
            met.see("name longest");
        }
        if topic.partitions == 0 && brokers.auto_create_topics {
            met.see("topic made by sending");
        }
    }
}

fn see_config(met: &mut Met, config: &BTreeMap<String, String>) {
    for key in &KEYS {
        match config
            .get(key.name)
            .map(|value| value.parse::<i64>().expect("a number"))
        {
            None => met.see(format!("{} default", key.name)),
            Some(value) if value == key.least || value == key.most => {
                met.see(format!("{}={value}", key.name));
            }
            Some(_) => {}
        }
    }
    if config.contains_key("transactional.id") {
        met.see("a transactional id");
    }
    let timeout = config.get("transaction.timeout.ms");
    match timeout.map(|value| value.parse::<u64>().expect("a number")) {
        Some(1) => met.see("a transaction.timeout.ms of 1"),
        Some(2..=5_000) => met.see("a short transaction.timeout.ms"),
        Some(900_001..) => met.see("a transaction.timeout.ms that is too long"),
        _ => {}
    }
    let texts: BTreeSet<&str> = [
        "compression.type",
        "partitioner.class",
        "acks",
        "enable.idempotence",
        "metadata.recovery.strategy",
    ]
    .into();
    for (key, value) in config {
        if texts.contains(&**key) {
            met.see(format!("{key}={value}"));
        }
    }
}

fn see_op(met: &mut Met, op: &Op) {
    let name = first_word(op);
    met.see(format!("op {name}"));
    match op {
        Op::Send(burst) => {
            met.see(match burst.how {
                How::Send => "how Send",
                How::TrySend => "how TrySend",
            });
            match &*burst.topic {
                "" => met.see("name empty"),
                "." | ".." => met.see("name dots"),
                name if name.contains(' ') => met.see("name blank"),
                name if name.len() > 249 => met.see("name long"),
                _ => {}
            }
            if burst.keys > 0 {
                met.see("keys");
            }
            if burst.headers > 0 {
                met.see("headers");
            }
            if burst.stamped {
                met.see("timestamps");
            }
            if burst.callback.is_some() {
                met.see("callback");
            }
            see_behaviour(met, "callback", burst.callback.as_ref());
        }
        Op::Transaction { call, .. } => {
            met.see(format!("transactional call {}", first_word(call)));
        }
        Op::Stray { call } => met.see(format!("stray call {}", first_word(call))),
        Op::Flush { timeout_ms } | Op::Close { timeout_ms } | Op::Get { timeout_ms, .. } => {
            met.see(match timeout_ms {
                None => format!("{name} timeout absent"),
                Some(0) => format!("{name} timeout zero"),
                Some(u64::MAX) => format!("{name} timeout the largest"),
                Some(_) => format!("{name} timeout other"),
            });
        }
        _ => {}
    }
}

fn see_behaviour(met: &mut Met, actor: &str, behaviour: Option<&Behaviour>) {
    for every in behaviour.iter().flat_map(|behaviour| &behaviour.acts) {
        assert!(every.every > 0);
        met.see(format!("{actor} {}", first_word(&every.act)));
        if let (Act::Sends(_) | Act::TrySends(_), false) =
            (&every.act, matches!(actor, "callback" | "logger"))
        {
            assert!(
                every.every >= 24,
                "records sent by user code cause ever more records"
            );
        }
    }
}

fn see_fault(met: &mut Met, fault: &Fault, for_ms: Option<u64>) {
    met.see(format!("fault {}", first_word(fault)));
    match fault {
        Fault::Error {
            request,
            code,
            times,
            after_applying,
            ..
        } => {
            let class = class_of(*request, *code);
            met.see(format!("{request:?} {class:?} {code}"));
            if times.is_none() && for_ms.is_none() {
                met.see("error for ever");
            }
            if *after_applying {
                met.see("error after applying");
            }
        }
        Fault::Lose {
            request,
            moment,
            closes,
            ..
        } => {
            met.see(format!("lost {request:?}"));
            let moment = match moment {
                Moment::BeforeRequest => "BeforeRequest",
                Moment::AfterApplied => "AfterApplied",
                Moment::WithinAnswer { .. } => "WithinAnswer",
            };
            met.see(format!(
                "{moment} {}",
                if *closes { "closes" } else { "silent" }
            ));
        }
        Fault::Versions { request, up_to, .. } => match up_to {
            Some(_) => met.see(format!("old versions {request:?}")),
            None => met.see(format!("no {request:?}")),
        },
        Fault::Late {
            request: Some(request),
            ..
        } => met.see(format!("late {request:?}")),
        Fault::Throttle {
            request: Some(request),
            ..
        } => met.see(format!("throttled {request:?}")),
        _ => {}
    }
}

fn class_of(api: Api, code: i16) -> Class {
    let row = CODES
        .iter()
        .chain(&transactions::CODES)
        .find(|(of, _, codes)| *of == api && codes.contains(&code));
    row.expect("a code of the table").1
}
