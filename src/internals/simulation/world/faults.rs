//! What goes wrong, and how it ends.
//!
//! What is named and is not there changes nothing. What lasts is ended by a call of its own, or by
//! [`World::heal`] with all the rest.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::places::{AddressAnswer, PORT, SimNodePlaces};
use super::{CLUSTER_ID, World};
use crate::testing::sim::SimNode;
use crate::testing::sim::log::TopicSettings;
use crate::testing::sim::names::Astray;
use crate::testing::sim::network::Directions;
#[cfg(feature = "tls-no-provider")]
use crate::testing::sim::tls::TlsTrouble;
use crate::testing::{Api, KafkaRelease, MetadataSnapshot, Rule};

/// Nobody is there: the first says so, of the second nothing is heard.
const NOBODY: [[u8; 4]; 2] = [[10, 255, 0, 1], [10, 255, 0, 2]];

/// A rule in the script of the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleNumber(u64);

/// The network.
impl World {
    /// All to and from a node takes so much longer; as usual with 0.
    pub fn slow_down(&self, node: i32, ms: u64) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.slow_down(address, Duration::from_millis(ms));
        }
    }

    /// The connections to a node break.
    pub fn cut(&self, node: i32) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.cut(address);
        }
    }

    /// On the present connections to a node nothing comes through any more, up (to it) or down, until
    /// [`speak`](Self::speak).
    pub fn silence(&self, node: i32, up: bool, down: bool) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.silence(address, Directions { up, down });
        }
    }

    /// What was held back comes through, late as it is.
    pub fn speak(&self, node: i32) {
        for address in self.look(|places| places.addresses(node)) {
            self.network.speak(address);
        }
    }

    /// The connections to a node break, and new ones are refused.
    pub fn refuse(&self, node: i32) {
        let answers = self.changed.lock().places.set_refuses(node, true);
        self.tell_answers(answers);
        self.cut(node);
    }

    /// New connections are taken again.
    pub fn accept(&self, node: i32) {
        let answers = self.changed.lock().places.set_refuses(node, false);
        self.tell_answers(answers);
    }

    /// Nothing comes through on the present connections to a node, nor on new ones, of which nothing is heard.
    pub fn black_hole(&self, node: i32) {
        let answers = self.changed.lock().places.set_black_hole(node, true);
        self.tell_answers(answers);
        self.silence(node, true, true);
    }

    /// The end of a black hole: what is under way goes on.
    pub fn end_black_hole(&self, node: i32) {
        let answers = self.changed.lock().places.set_black_hole(node, false);
        self.tell_answers(answers);
        self.speak(node);
    }

    fn tell_answers(&self, answers: Vec<AddressAnswer>) {
        for (address, answer) in answers {
            self.network.answer(address, answer);
        }
    }
}

/// TLS.
#[cfg(feature = "tls-no-provider")]
impl World {
    /// Something is wrong with the TLS of a node, which was started anew with it: its connections break.
    pub fn trouble_tls(&self, node: i32, trouble: TlsTrouble) {
        if self.carrier.with_tls(node, |tls| tls.begin(node, trouble)) {
            self.cut(node);
        }
    }

    /// It is mended, for new connections.
    pub fn mend_tls(&self, node: i32, trouble: TlsTrouble) {
        self.carrier.with_tls(node, |tls| tls.end(node, trouble));
    }
}

/// Brokers.
impl World {
    /// A node goes down: its connections end, its partitions go to others that hold a copy.
    pub fn take_down(&self, node: i32) {
        let answers = self.changed.lock().places.set_down(node, true);
        self.tell_answers(answers);
        self.carrier.with(|cluster| cluster.node_down(node));
        #[cfg(feature = "tls-no-provider")]
        self.carrier.with_tls(node, |tls| tls.restart(node));
        for address in self.look(|places| places.addresses(node)) {
            self.network.end_peers(address);
        }
    }

    /// A node comes up again.
    pub fn bring_up(&self, node: i32) {
        let answers = self.changed.lock().places.set_down(node, false);
        self.tell_answers(answers);
        self.carrier.with(|cluster| cluster.node_up(node));
    }

    /// A node hangs: it keeps its connections, and does nothing.
    pub fn hang(&self, node: i32) {
        self.carrier.with(|cluster| cluster.hang(node));
    }

    /// A node that hangs goes on, with what came meanwhile.
    pub fn resume(&self, node: i32) {
        if self.carrier.with(|cluster| cluster.resume(node)) {
            for address in self.look(|places| places.addresses(node)) {
                self.network.call_peers(address);
            }
        }
    }

    /// Another node leads a partition.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) {
        self.carrier.with(|cluster| {
            if cluster.is_alive(to) {
                let _ = cluster.move_leader(topic, partition, to);
            }
        });
    }

    /// Nobody leads a partition, until [`elect_leader`](Self::elect_leader).
    pub fn lose_leader(&self, topic: &str, partition: i32) {
        let done = self
            .carrier
            .with(|cluster| cluster.lose_leader(topic, partition));
        if done.is_ok() {
            let mut changed = self.changed.lock();
            changed.leaderless.insert((topic.to_owned(), partition));
        }
    }

    /// A partition without leader gets one.
    pub fn elect_leader(&self, topic: &str, partition: i32) {
        self.carrier.with(|cluster| {
            let _ = cluster.elect_leader(topic, partition);
        });
    }

    /// What a node tells of the cluster is what is so now, until the rule is removed.
    pub fn tell_stale_metadata(&self, node: i32) -> Option<RuleNumber> {
        let picture = self.carrier.with(|cluster| cluster.metadata_picture());
        let snapshot = MetadataSnapshot(Arc::new(picture));
        self.script(Rule::on(Api::Metadata).node(node).answer_as_of(&snapshot))
    }

    /// Whether metadata tells of leader epochs that are lower than they are.
    pub fn epochs_go_back(&self, yes: bool) {
        self.carrier.with(|cluster| cluster.epochs_go_back(yes));
    }

    /// Another cluster answers under the same addresses: another id, topics of the same names and sizes, empty.
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

    /// All brokers move to other addresses, and have other names where they have any; the name of the bootstrap server
    /// leads there. Where they were, nobody is, until [`come_back`](Self::come_back).
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
            self.tell_answers(answers);
        }
        self.tell_names();
    }

    /// Brokers that moved are to be found where they were as well.
    pub fn come_back(&self) {
        self.changed.lock().places.come_back();
        for node in self.look(SimNodePlaces::nodes) {
            let answers = self.look(|places| places.answers(node));
            self.tell_answers(answers);
        }
    }

    /// A topic is deleted, with all its records.
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

    /// A topic that was deleted is made again, unless there is one of its name.
    pub fn restore_topic(&self, topic: &str) {
        let was = self.changed.lock().deleted.remove(topic);
        if let Some((partitions, settings)) = was {
            self.carrier.with(|cluster| {
                let _ = cluster.create_topic(topic, partitions, settings);
            });
            self.apply_limits(topic);
        }
    }

    /// A topic is deleted and made again with so many partitions, be they more or fewer.
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

    /// A topic gets more partitions, until there are `to`.
    pub fn grow_topic(&self, topic: &str, to: u16) {
        self.carrier.with(|cluster| {
            let _ = cluster.add_partitions(topic, usize::from(to));
        });
    }

    /// The last records of a partition are lost, as when a replica that is behind is elected.
    pub fn truncate(&self, topic: &str, partition: i32, records: u32) {
        self.carrier.with(|cluster| {
            let _ = cluster.truncate(topic, partition, u64::from(records));
        });
    }

    /// The brokers forget the producers of a partition.
    pub fn forget_producers(&self, topic: &str, partition: i32) {
        self.carrier.with(|cluster| {
            let _ = cluster.forget_producers(topic, partition);
        });
    }

    /// A topic takes batches of so many bytes and no more, if it does not take fewer anyway, until that is
    /// [lifted](Self::lift_limit).
    pub fn lower_limit(&self, topic: &str, bytes: u32) {
        let mut changed = self.changed.lock();
        let limits = changed.limits.entry(topic.to_owned());
        limits.or_default().push(bytes);
        drop(changed);
        self.apply_limits(topic);
    }

    /// One such limit is over; others that are in force stay.
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

    /// A topic, if it is there, takes batches as large as it does by itself, and no larger than any limit in force allows.
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

/// Answers.
impl World {
    /// What is to become of requests from now on, besides what was said before; none if the rule can mean nothing, or
    /// is about a node that there is none of.
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

    /// Takes a rule away. A node that speaks other versions from now on was started anew for that, as clients do not ask
    /// twice on a connection: its connections break.
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

/// Names.
impl World {
    /// Whether all look-ups of names fail.
    pub fn names_fail(&self, yes: bool) {
        self.names.fail(yes);
    }

    /// Names lead to addresses where nobody is: besides the right ones, or instead.
    pub fn lead_names_astray(&self, instead: bool) {
        self.names.lead_astray(Some(Astray {
            addresses: nobody().into(),
            instead,
        }));
    }

    /// Names lead where they should.
    pub fn lead_names_right(&self) {
        self.names.lead_astray(None);
    }
}

fn nobody() -> [IpAddr; 2] {
    NOBODY.map(IpAddr::from)
}

/// That of the two at which nothing is heard.
pub(super) fn silent_address() -> SocketAddr {
    SocketAddr::new(nobody()[1], PORT)
}

impl World {
    /// Every fault is over: all nodes are up and to be reached at all addresses that they ever had, every partition has
    /// a leader, limits, names and metadata are right, topics that were deleted are there again. What is lost is lost.
    pub fn heal(&self) {
        self.names_fail(false);
        self.load_coordinators_for(0);
        self.delay_markers(0);
        self.lead_names_right();
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
        self.tell_names();
    }
}
