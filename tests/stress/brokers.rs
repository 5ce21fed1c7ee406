//! What goes wrong with the brokers, and is put right again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use kafka_producer::ErrorCode;
use kafka_producer::testing::{AndThen, Api, Rule, RuleHandle, TestCluster};

use crate::ledger::{PARTITIONS, TOPICS};
use crate::world::World;

/// A broker that is gone, or stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Down {
    Stopped,
    Hanging,
}

struct Trouble<'w> {
    world: &'w World,
    dice: Rng,
    down: BTreeMap<i32, (Down, Instant)>,
    rules: Vec<(RuleHandle, Instant)>,
    /// Of the topic that grows.
    partitions: usize,
}

const MOST_PARTITIONS: usize = 12;

/// Until then; all is well again afterwards.
pub(crate) fn cause_trouble(world: &World, seed: u64, until: Instant) {
    let mut trouble = Trouble {
        world,
        dice: Rng::with_seed(!seed),
        down: BTreeMap::new(),
        rules: Vec::new(),
        partitions: PARTITIONS[1],
    };
    while Instant::now() < until {
        let now = Instant::now();
        trouble.put_right(|at| at <= now);
        trouble.cause();
        // Now and then all is well for a while.
        let longest = if trouble.dice.u8(..16) == 0 { 1000 } else { 80 };
        std::thread::sleep(Duration::from_millis(trouble.dice.u64(1..longest)));
    }
    trouble.put_right(|_| true);
    world.cluster.clear_script();
    world.trouble("all is well".to_owned());
}

impl Trouble<'_> {
    fn cluster(&self) -> &TestCluster {
        &self.world.cluster
    }

    fn cause(&mut self) {
        let nodes: Vec<_> = self.cluster().node_ids().collect();
        let node = nodes[self.dice.usize(..nodes.len())];
        let ends = Instant::now() + Duration::from_millis(self.dice.u64(10..600));
        match self.dice.u8(..20) {
            0 if !self.down.contains_key(&node) => {
                self.note("stop", &format!("node {node}"));
                self.cluster().stop_node(node);
                self.down.insert(node, (Down::Stopped, ends));
            }
            1 if !self.down.contains_key(&node) => {
                self.note("hang", &format!("node {node}"));
                self.cluster().hang_node(node);
                self.down.insert(node, (Down::Hanging, ends));
            }
            2 | 3 => {
                self.note("disconnect", &format!("node {node}"));
                self.cluster().disconnect_clients(node);
            }
            4 | 5 => {
                let topic = TOPICS[self.dice.usize(..TOPICS.len())];
                self.note("move a leader", &format!("of {topic} to node {node}"));
                // One of a partition that is not there, or to a node that is down, is refused.
                let partition = self.dice.i32(0..12);
                let _ = self.cluster().move_leader(topic, partition, node);
            }
            6 => {
                let before = self.cluster().metadata_snapshot();
                let rule = Rule::on(Api::Metadata).node(node).answer_as_of(&before);
                self.script("old metadata", rule, ends);
            }
            7 => {
                let grown = self.partitions + 1;
                if grown <= MOST_PARTITIONS {
                    self.note("grow", &format!("few to {grown} partitions"));
                    self.cluster().add_partitions("few", grown).unwrap();
                    self.partitions = grown;
                }
            }
            _ => {
                let (name, rule) = self.rule();
                let times = self.dice.u64(1..4);
                self.script(name, rule.node(node).times(times), ends);
            }
        }
    }

    fn rule(&mut self) -> (&'static str, Rule) {
        let dice = &mut self.dice;
        let produce = || Rule::on(Api::Produce);
        let after = [AndThen::Close, AndThen::Silence][dice.usize(..2)];
        let time = Duration::from_millis(dice.u64(1..400));
        match dice.u8(..16) {
            0 => ("close before", produce().close()),
            1 => ("close after", produce().close().after_applying()),
            2 => ("silent before", produce().never_answer()),
            3 => ("silent after", produce().never_answer().after_applying()),
            4 | 5 => ("cut answer", produce().cut_answer(dice.usize(..60), after)),
            6 => ("delay", produce().delay(time)),
            7 => ("throttle", produce().throttle(time)),
            8 => ("close anything", Rule::on_any().close()),
            9 => (
                "cut anything",
                Rule::on_any().cut_answer(dice.usize(..20), after),
            ),
            10 => {
                let codes = [
                    ErrorCode::CoordinatorLoadInProgress,
                    ErrorCode::NotCoordinator,
                ];
                let rule = Rule::on(Api::InitProducerId);
                (
                    "no producer id",
                    rule.fail(codes[dice.usize(..codes.len())]),
                )
            }
            11 => {
                let codes = [
                    ErrorCode::LeaderNotAvailable,
                    ErrorCode::UnknownTopicOrPartition,
                ];
                let rule = Rule::on(Api::Metadata);
                (
                    "metadata error",
                    rule.fail(codes[dice.usize(..codes.len())]),
                )
            }
            12 => {
                let rule = produce().fail(ErrorCode::NotEnoughReplicasAfterAppend);
                ("error after", rule.after_applying())
            }
            13 | 14 => ("too large", produce().fail(ErrorCode::MessageTooLarge)),
            _ => {
                let codes = [
                    ErrorCode::NotLeaderOrFollower,
                    ErrorCode::NotEnoughReplicas,
                    ErrorCode::KafkaStorageError,
                    ErrorCode::UnknownTopicOrPartition,
                    ErrorCode::TopicAuthorizationFailed,
                    ErrorCode::InvalidRecord,
                ];
                (
                    "error before",
                    produce().fail(codes[dice.usize(..codes.len())]),
                )
            }
        }
    }

    fn script(&mut self, name: &'static str, rule: Rule, ends: Instant) {
        self.note(name, &format!("{rule:?}"));
        let rule = self.cluster().script(rule).unwrap();
        self.rules.push((rule, ends));
    }

    fn note(&self, what: &'static str, about: &str) {
        self.world.count("trouble", what);
        self.world.trouble(format!("{what}: {about}"));
    }

    fn put_right(&mut self, is_due: impl Fn(Instant) -> bool) {
        let cluster = &self.world.cluster;
        self.down.retain(|&node, &mut (down, ends)| {
            if is_due(ends) {
                self.world.trouble(format!("{down:?} no more: node {node}"));
                match down {
                    Down::Stopped => cluster.start_node(node).unwrap(),
                    Down::Hanging => assert!(cluster.resume_node(node)),
                }
            }
            !is_due(ends)
        });
        self.rules.retain(|(rule, ends)| {
            if is_due(*ends) {
                rule.remove();
            }
            !is_due(*ends)
        });
    }
}
