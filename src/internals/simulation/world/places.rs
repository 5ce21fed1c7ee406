//! Addresses of the nodes, and how each address responds to connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::testing::sim::network::Answers;
use crate::types::NodeId;

pub(super) const PORT: u16 = 9092;
/// Host name of the bootstrap server, which resolves to all brokers.
pub(super) const BOOTSTRAP_NAME: &str = "kafka.sim";

/// Addresses and state of one node.
#[derive(Debug, Default)]
struct SimNodePlace {
    /// Present and former addresses, the present one last.
    addresses: Vec<SocketAddr>,
    is_down: bool,
    refuses: bool,
    is_black_hole: bool,
}

/// Addresses and states of all nodes.
#[derive(Debug)]
pub(super) struct SimNodePlaces {
    by_node: BTreeMap<NodeId, SimNodePlace>,
    /// Former addresses that are unreachable now.
    left: BTreeSet<SocketAddr>,
    moves: u8,
    by_name: bool,
}

/// How a node responds to connections at an address.
pub(super) type AddressAnswer = (SocketAddr, Answers);

impl SimNodePlaces {
    pub(super) fn new(nodes: i32, by_name: bool) -> Self {
        let mut places = Self {
            by_node: BTreeMap::new(),
            left: BTreeSet::new(),
            moves: 0,
            by_name,
        };
        for node in 0..nodes.max(1) {
            let addresses = vec![address(node, 0)];
            let place = SimNodePlace {
                addresses,
                ..SimNodePlace::default()
            };
            places.by_node.insert(node, place);
        }
        places
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.by_node.keys().copied().collect()
    }

    /// Present and former addresses of a node; empty if it does not exist.
    pub(super) fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        let place = self.by_node.get(&node);
        place.map_or_else(Vec::new, |place| place.addresses.clone())
    }

    pub(super) fn all_addresses(&self) -> Vec<SocketAddr> {
        let places = self.by_node.values();
        places.flat_map(|place| place.addresses.clone()).collect()
    }

    /// Present addresses of all nodes.
    pub(super) fn present(&self) -> Vec<SocketAddr> {
        let places = self.by_node.values();
        places
            .filter_map(|place| place.addresses.last().copied())
            .collect()
    }

    /// The host name or address that a node advertises.
    pub(super) fn host(&self, node: NodeId) -> String {
        if self.by_name {
            return name(node, self.moves);
        }
        address(node, self.moves).ip().to_string()
    }

    pub(super) fn set_down(&mut self, node: NodeId, yes: bool) -> Vec<AddressAnswer> {
        self.change(node, |place| place.is_down = yes)
    }

    pub(super) fn set_refuses(&mut self, node: NodeId, yes: bool) -> Vec<AddressAnswer> {
        self.change(node, |place| place.refuses = yes)
    }

    pub(super) fn set_black_hole(&mut self, node: NodeId, yes: bool) -> Vec<AddressAnswer> {
        self.change(node, |place| place.is_black_hole = yes)
    }

    fn change(&mut self, node: NodeId, how: impl FnOnce(&mut SimNodePlace)) -> Vec<AddressAnswer> {
        if let Some(place) = self.by_node.get_mut(&node) {
            how(place);
        }
        self.answers(node)
    }

    /// How a node responds at each of its addresses.
    pub(super) fn answers(&self, node: NodeId) -> Vec<AddressAnswer> {
        let Some(place) = self.by_node.get(&node) else {
            return Vec::new();
        };
        let here = match place {
            SimNodePlace {
                is_black_hole: true,
                ..
            } => Answers::Never,
            SimNodePlace { is_down: true, .. } | SimNodePlace { refuses: true, .. } => {
                Answers::Refuses
            }
            _ => Answers::Accepts,
        };
        // At a former address the host may still exist and refuse connections, or not respond at all.
        let elsewhere = if node % 2 == 0 {
            Answers::Refuses
        } else {
            Answers::Never
        };
        let answer = |address: &SocketAddr| {
            let is_left = self.left.contains(address);
            (*address, if is_left { elsewhere } else { here })
        };
        place.addresses.iter().map(answer).collect()
    }

    /// Moves all nodes to new addresses, and returns those.
    pub(super) fn move_all(&mut self) -> Vec<(NodeId, SocketAddr)> {
        // The number of the move is part of the addresses.
        self.moves = self.moves.saturating_add(1);
        let mut moved = Vec::new();
        for (node, place) in &mut self.by_node {
            self.left.extend(place.addresses.iter().copied());
            let to = address(*node, self.moves);
            self.left.remove(&to);
            place.addresses.retain(|address| *address != to);
            place.addresses.push(to);
            moved.push((*node, to));
        }
        moved
    }

    /// Makes nodes reachable at their former addresses, too.
    pub(super) fn come_back(&mut self) {
        self.left.clear();
    }

    /// All host names that nodes have ever advertised, with the addresses that they resolve to.
    pub(super) fn names(&self) -> Vec<(String, IpAddr)> {
        let moves = 0..=self.moves;
        let of_node = |node: &NodeId| {
            let node = *node;
            moves
                .clone()
                .map(move |moves| (name(node, moves), address(node, moves).ip()))
        };
        self.by_node.keys().flat_map(of_node).collect()
    }
}

fn address(node: NodeId, moves: u8) -> SocketAddr {
    let last = u8::try_from(node + 1).unwrap_or(u8::MAX);
    SocketAddr::new(IpAddr::from([10, moves, 0, last]), PORT)
}

fn name(node: NodeId, moves: u8) -> String {
    match moves {
        0 => format!("broker-{node}.sim"),
        moves => format!("broker-{node}-{moves}.sim"),
    }
}
