//! Broker faults: injected at random, and ended after a random time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use kafka_producer::ErrorCode;
use kafka_producer::testing::{AndThen, Api, Rule, RuleHandle, TestCluster};

use crate::ledger::{PARTITIONS, TOPICS};
use crate::world::World;

/// The reason why a broker does not respond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    Stopped,
    Hanging,
}

/// Injects faults into the brokers.
struct FaultInjector<'w> {
    world: &'w World,
    dice: Rng,
    outages: BTreeMap<i32, (Outage, Instant)>,
    rules: Vec<(RuleHandle, Instant)>,
    /// Partition count of the topic `few`, to which partitions are added.
    partitions: usize,
}

/// Maximum number of partitions of the topic `few`.
const MAX_PARTITIONS: usize = 12;

/// Injects faults until `until`, and then ends all of them.
pub(crate) fn inject_faults(world: &World, seed: u64, until: Instant) {
    let mut injector = FaultInjector {
        world,
        dice: Rng::with_seed(!seed),
        outages: BTreeMap::new(),
        rules: Vec::new(),
        partitions: PARTITIONS[1],
    };
    while Instant::now() < until {
        let now = Instant::now();
        injector.end_faults(|ends| ends <= now);
        injector.inject();
        // Sometimes the pause is long, so that the faults end and the producers recover.
        let longest = if injector.dice.u8(..16) == 0 {
            1000
        } else {
            80
        };
        std::thread::sleep(Duration::from_millis(injector.dice.u64(1..longest)));
    }
    injector.end_faults(|_| true);
    world.cluster.clear_script();
    world.log_fault("all faults have ended".to_owned());
}

impl FaultInjector<'_> {
    fn cluster(&self) -> &TestCluster {
        &self.world.cluster
    }

    fn inject(&mut self) {
        let nodes: Vec<_> = self.cluster().node_ids().collect();
        let node = nodes[self.dice.usize(..nodes.len())];
        let ends = Instant::now() + Duration::from_millis(self.dice.u64(10..600));
        match self.dice.u8(..20) {
            0 if !self.outages.contains_key(&node) => {
                self.log_fault("stop", &format!("node {node}"));
                self.cluster().stop_node(node);
                self.outages.insert(node, (Outage::Stopped, ends));
            }
            1 if !self.outages.contains_key(&node) => {
                self.log_fault("hang", &format!("node {node}"));
                self.cluster().hang_node(node);
                self.outages.insert(node, (Outage::Hanging, ends));
            }
            2 | 3 => {
                self.log_fault("disconnect", &format!("node {node}"));
                self.cluster().disconnect_clients(node);
            }
            4 | 5 => {
                let topic = TOPICS[self.dice.usize(..TOPICS.len())];
                self.log_fault("move a leader", &format!("of {topic} to node {node}"));
                // The move is refused if the partition does not exist or the node is down.
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
                if grown <= MAX_PARTITIONS {
                    self.log_fault("grow", &format!("topic few to {grown} partitions"));
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
        self.log_fault(name, &format!("{rule:?}"));
        let rule = self.cluster().script(rule).unwrap();
        self.rules.push((rule, ends));
    }

    fn log_fault(&self, name: &'static str, details: &str) {
        self.world.count("fault", name);
        self.world.log_fault(format!("{name}: {details}"));
    }

    fn end_faults(&mut self, is_due: impl Fn(Instant) -> bool) {
        let cluster = &self.world.cluster;
        self.outages.retain(|&node, &mut (outage, ends)| {
            if is_due(ends) {
                self.world
                    .log_fault(format!("end of {outage:?}: node {node}"));
                match outage {
                    Outage::Stopped => cluster.start_node(node).unwrap(),
                    Outage::Hanging => assert!(cluster.resume_node(node)),
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
