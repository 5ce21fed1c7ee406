//! Fault injection: methods that start and end faults of the network, the brokers, names and TLS.
//!
//! A fault that names a node, topic or partition that does not exist does nothing. A lasting fault is ended by a method
//! of its own, or with all others by [`World::heal`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::places::{AddressAnswer, PORT, SimNodePlaces};
use super::{CLUSTER_ID, World};
use crate::testing::sim::SimNode;
use crate::testing::sim::log::TopicSettings;
use crate::testing::sim::names::WrongAddresses;
use crate::testing::sim::network::Directions;
#[cfg(feature = "tls-no-provider")]
use crate::testing::sim::tls::TlsTrouble;
use crate::testing::{Api, KafkaRelease, MetadataSnapshot, Rule};

/// Addresses without a host: the first refuses connections, the second never responds.
const NOBODY: [[u8; 4]; 2] = [[10, 255, 0, 1], [10, 255, 0, 2]];

/// Number of a rule in the brokers' script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleNumber(u64);

/// Network faults.
impl World {
    /// Adds this latency in milliseconds to everything sent to and from a node; 0 removes it.
    pub fn slow_down(&self, node: i32, ms: u64) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.slow_down(address, Duration::from_millis(ms));
        }
    }

    /// Resets the connections to a node.
    pub fn cut(&self, node: i32) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.cut(address);
        }
    }

    /// Holds back everything on the present connections to a node, up (to it) or down, until [`speak`](Self::speak).
    pub fn silence(&self, node: i32, up: bool, down: bool) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.silence(address, Directions { up, down });
        }
    }

    /// Ends a silence: what was held back arrives.
    pub fn speak(&self, node: i32) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.speak(address);
        }
    }

    /// Resets the connections to a node, and refuses new ones.
    pub fn refuse(&self, node: i32) {
        let answers = self.changed.lock().places.set_refuses(node, true);
        self.publish_addresses(answers);
        self.cut(node);
    }

    /// Accepts new connections again.
    pub fn accept(&self, node: i32) {
        let answers = self.changed.lock().places.set_refuses(node, false);
        self.publish_addresses(answers);
    }

    /// Holds back everything on the present connections to a node, and leaves new connection attempts without a
    /// response.
    pub fn black_hole(&self, node: i32) {
        let answers = self.changed.lock().places.set_black_hole(node, true);
        self.publish_addresses(answers);
        self.silence(node, true, true);
    }

    /// Ends a black hole: the connections continue.
    pub fn end_black_hole(&self, node: i32) {
        let answers = self.changed.lock().places.set_black_hole(node, false);
        self.publish_addresses(answers);
        self.speak(node);
    }

    fn publish_addresses(&self, answers: Vec<AddressAnswer>) {
        for (address, answer) in answers {
            self.network.answer(address, answer);
        }
    }
}

/// TLS faults.
#[cfg(feature = "tls-no-provider")]
impl World {
    /// Starts a TLS fault of a node. Its connections are reset, since a broker restarts with a new TLS setup.
    pub fn trouble_tls(&self, node: i32, trouble: TlsTrouble) {
        if self.carrier.with_tls(node, |tls| tls.begin(node, trouble)) {
            self.cut(node);
        }
    }

    /// Ends a TLS fault, for new connections.
    pub fn mend_tls(&self, node: i32, trouble: TlsTrouble) {
        self.carrier.with_tls(node, |tls| tls.end(node, trouble));
    }
}

/// Broker faults.
impl World {
    /// Takes a node down: its connections end, and other replicas become leaders of its partitions.
    pub fn take_down(&self, node: i32) {
        let answers = self.changed.lock().places.set_down(node, true);
        self.publish_addresses(answers);
        self.carrier.with(|cluster| cluster.node_down(node));
        #[cfg(feature = "tls-no-provider")]
        self.carrier.with_tls(node, |tls| tls.restart(node));
        for address in self.look(|places| places.addresses(node)) {
            self.network.end_peers(address);
        }
    }

    /// Brings a node up again.
    pub fn bring_up(&self, node: i32) {
        let answers = self.changed.lock().places.set_down(node, false);
        self.publish_addresses(answers);
        self.carrier.with(|cluster| cluster.node_up(node));
    }

    /// Hangs a node: it keeps its connections, and processes nothing.
    pub fn hang(&self, node: i32) {
        self.carrier.with(|cluster| cluster.hang(node));
    }

    /// Resumes a hung node, which then processes what has arrived meanwhile.
    pub fn resume(&self, node: i32) {
        if self.carrier.with(|cluster| cluster.resume(node)) {
            for address in self.look(|places| places.addresses(node)) {
                self.network.call_peers(address);
            }
        }
    }

    /// Makes another node the leader of a partition.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) {
        self.carrier.with(|cluster| {
            if cluster.is_alive(to) {
                let _ = cluster.move_leader(topic, partition, to);
            }
        });
    }

    /// Leaves a partition without a leader, until [`elect_leader`](Self::elect_leader).
    pub fn lose_leader(&self, topic: &str, partition: i32) {
        let done = self
            .carrier
            .with(|cluster| cluster.lose_leader(topic, partition));
        if done.is_ok() {
            let mut changed = self.changed.lock();
            changed.leaderless.insert((topic.to_owned(), partition));
        }
    }

    /// Elects a leader for a partition without one.
    pub fn elect_leader(&self, topic: &str, partition: i32) {
        self.carrier.with(|cluster| {
            let _ = cluster.elect_leader(topic, partition);
        });
    }

    /// Freezes the metadata that a node reports, until the rule is removed.
    pub fn tell_stale_metadata(&self, node: i32) -> Option<RuleNumber> {
        let picture = self.carrier.with(|cluster| cluster.metadata_picture());
        let snapshot = MetadataSnapshot(Arc::new(picture));
        self.script(Rule::on(Api::Metadata).node(node).answer_as_of(&snapshot))
    }

    /// Sets whether metadata reports lower leader epochs than the real ones.
    pub fn epochs_go_back(&self, yes: bool) {
        self.carrier.with(|cluster| cluster.epochs_go_back(yes));
    }

    /// Replaces the cluster at the same addresses by another one. It has another id, and empty topics of the same names
    /// and partition counts.
    pub fn rebuild(&self) {
        let number = {
            let mut changed = self.changed.lock();
            changed.clusters += 1;
            changed.clusters
        };
        self.carrier
            .with(|cluster| cluster.rebuild(format!("{CLUSTER_ID}-{number}").into()));
        for address in self.look(SimNodePlaces::all_addresses) {
            self.network.end_peers(address);
        }
    }

    /// Moves all brokers to other addresses, and to other names if they have any; the name of the bootstrap server
    /// follows. The old addresses are unreachable until [`come_back`](Self::come_back).
    pub fn move_brokers(&self) {
        let before = self.look(SimNodePlaces::all_addresses);
        let moved = self.changed.lock().places.move_all();
        for address in before {
            self.network.end_peers(address);
        }
        for (node, address) in moved {
            self.network.listen(address, self.carrier.accept(node));
            let host = self.look(|places| places.host(node));
            self.carrier
                .with(|cluster| cluster.move_node(node, SimNode::new(&host, PORT)));
            let answers = self.look(|places| places.answers(node));
            self.publish_addresses(answers);
        }
        self.publish_addresses_of_names();
    }

    /// Makes moved brokers reachable at their old addresses, too.
    pub fn come_back(&self) {
        self.changed.lock().places.come_back();
        for node in self.look(SimNodePlaces::nodes) {
            let answers = self.look(|places| places.answers(node));
            self.publish_addresses(answers);
        }
    }

    /// Deletes a topic with all its records.
    pub fn delete_topic(&self, topic: &str) {
        let was = self.carrier.with(|cluster| {
            let there = cluster.topic(topic).ok()?;
            let was = (there.partitions.len(), there.settings);
            cluster.delete_topic(topic).ok()?;
            Some(was)
        });
        if let Some((partitions, settings)) = was {
            let mut changed = self.changed.lock();
            let own = changed.settings.get(topic).copied().unwrap_or(settings);
            changed.deleted.insert(topic.to_owned(), (partitions, own));
        }
    }

    /// Recreates a deleted topic, unless a topic of that name exists.
    pub fn restore_topic(&self, topic: &str) {
        let was = self.changed.lock().deleted.remove(topic);
        if let Some((partitions, settings)) = was {
            self.carrier.with(|cluster| {
                let _ = cluster.create_topic(topic, partitions, settings);
            });
            self.apply_limits(topic);
        }
    }

    /// Recreates a topic with this many partitions.
    pub fn recreate_topic(&self, topic: &str, partitions: u16) {
        self.carrier.with(|cluster| {
            let Ok(there) = cluster.topic(topic) else {
                return;
            };
            let settings = there.settings;
            if partitions > 0 && cluster.delete_topic(topic).is_ok() {
                let _ = cluster.create_topic(topic, usize::from(partitions), settings);
            }
        });
    }

    /// Adds partitions to a topic until there are `to`.
    pub fn grow_topic(&self, topic: &str, to: u16) {
        self.carrier.with(|cluster| {
            let _ = cluster.add_partitions(topic, usize::from(to));
        });
    }

    /// Removes the last records of a partition, as after an unclean leader election.
    pub fn truncate(&self, topic: &str, partition: i32, records: u32) {
        self.carrier.with(|cluster| {
            let _ = cluster.truncate(topic, partition, u64::from(records));
        });
    }

    /// Makes the brokers lose the producer state of a partition.
    pub fn forget_producers(&self, topic: &str, partition: i32) {
        self.carrier.with(|cluster| {
            let _ = cluster.forget_producers(topic, partition);
        });
    }

    /// Lowers a topic's batch size limit to this many bytes, unless it is lower already, until
    /// [`lift_limit`](Self::lift_limit).
    pub fn lower_limit(&self, topic: &str, bytes: u32) {
        let mut changed = self.changed.lock();
        let limits = changed.limits.entry(topic.to_owned());
        limits.or_default().push(bytes);
        drop(changed);
        self.apply_limits(topic);
    }

    /// Ends one of the lowered limits; other lowered limits stay in force.
    pub fn lift_limit(&self, topic: &str, bytes: u32) {
        let mut changed = self.changed.lock();
        if let Some(limits) = changed.limits.get_mut(topic) {
            if let Some(place) = limits.iter().position(|limit| *limit == bytes) {
                limits.swap_remove(place);
            }
        }
        drop(changed);
        self.apply_limits(topic);
    }

    /// Sets the limit of the topic, if it exists, to the lowest of its original limit and the lowered limits in force.
    fn apply_limits(&self, topic: &str) {
        let there = self
            .carrier
            .with(|cluster| cluster.topic(topic).ok().map(|topic| topic.settings));
        let Some(there) = there else {
            return;
        };
        let mut changed = self.changed.lock();
        let lowest = changed.limits.get(topic).and_then(|it| it.iter().min());
        let own = changed.settings.get(topic).copied().unwrap_or(there);
        let settings = if let Some(limit) = lowest.copied() {
            changed.settings.insert(topic.to_owned(), own);
            TopicSettings {
                max_message_bytes: own.max_message_bytes.min(limit as usize),
                ..own
            }
        } else {
            changed.settings.remove(topic);
            own
        };
        drop(changed);
        self.carrier.with(|cluster| {
            let _ = cluster.set_settings(topic, settings);
        });
    }
}

/// Scripted responses.
impl World {
    /// Adds a rule to the script, behind the present ones. `None` if the rule can have no effect, or names a node that
    /// does not exist.
    pub fn script(&self, rule: Rule) -> Option<RuleNumber> {
        rule.check().ok()?;
        let (node, is_about_versions) = (rule.scope.node, rule.versions.is_some());
        let number = self.carrier.with(|cluster| {
            if node.is_some_and(|node| !cluster.has_node(node)) {
                return None;
            }
            Some(RuleNumber(cluster.script().add(rule).0))
        })?;
        if is_about_versions {
            self.changed.lock().versions.insert(number, node);
        }
        Some(number)
    }

    /// Removes a rule. If that changes the versions that a node supports, its connections are reset as by a restart,
    /// since clients ask for versions once on each connection.
    pub fn unscript(&self, rule: RuleNumber) {
        self.carrier.with(|cluster| cluster.script().remove(rule.0));
        let was_about_versions = self.changed.lock().versions.remove(&rule);
        let Some(node) = was_about_versions else {
            return;
        };
        let concerned = node.map_or_else(|| self.look(SimNodePlaces::nodes), |node| vec![node]);
        for node in concerned {
            self.cut(node);
        }
    }
}

/// Name look-ups.
impl World {
    /// Sets whether look-ups of names fail.
    pub fn names_fail(&self, yes: bool) {
        self.names.fail(yes);
    }

    /// Makes names resolve to unreachable addresses, in addition to the right ones or instead of them.
    pub fn resolve_names_wrongly(&self, instead: bool) {
        self.names.set_wrong_addresses(Some(WrongAddresses {
            addresses: nobody().into(),
            instead,
        }));
    }

    /// Makes names resolve correctly again.
    pub fn resolve_names_correctly(&self) {
        self.names.set_wrong_addresses(None);
    }
}

fn nobody() -> [IpAddr; 2] {
    NOBODY.map(IpAddr::from)
}

/// The unreachable address that never responds.
pub(super) fn silent_address() -> SocketAddr {
    SocketAddr::new(nobody()[1], PORT)
}

impl World {
    /// Ends all faults: all nodes are up and reachable at all addresses that they ever had, every partition has a
    /// leader, limits, names and metadata are right, deleted topics exist again. Lost data stays lost.
    pub fn heal(&self) {
        self.names_fail(false);
        self.load_coordinators_for(0);
        self.delay_markers(0);
        self.resolve_names_correctly();
        self.epochs_go_back(false);
        self.come_back();
        for node in self.look(SimNodePlaces::nodes) {
            self.accept(node);
            self.bring_up(node);
            self.resume(node);
            self.slow_down(node, 0);
            self.end_black_hole(node);
            #[cfg(feature = "tls-no-provider")]
            self.carrier.with_tls(node, |tls| tls.heal(node));
        }
        let (settings, deleted, leaderless, versions) = {
            let mut changed = self.changed.lock();
            changed.limits.clear();
            let settings: Vec<_> = changed.settings.keys().cloned().collect();
            let deleted: Vec<_> = changed.deleted.keys().cloned().collect();
            let versions: Vec<_> = changed.versions.keys().copied().collect();
            let leaderless = std::mem::take(&mut changed.leaderless);
            (settings, deleted, leaderless, versions)
        };
        for rule in versions {
            self.unscript(rule);
        }
        for topic in settings {
            self.apply_limits(&topic);
        }
        for topic in deleted {
            self.restore_topic(&topic);
        }
        for (topic, partition) in leaderless {
            self.elect_leader(&topic, partition);
        }
        let tells_topic_ids = self.release >= KafkaRelease::V3_0;
        self.carrier.with(|cluster| {
            cluster.script().clear();
            if !tells_topic_ids {
                cluster.raise_epochs();
            }
        });
        self.publish_addresses_of_names();
    }
}
