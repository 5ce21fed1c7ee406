//! Where nodes are to be found, and whether they are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::testing::sim::network::Answers;
use crate::types::NodeId;

pub(super) const PORT: u16 = 9092;
/// The name of all brokers together.
pub(super) const BOOTSTRAP_NAME: &str = "kafka.sim";

/// One node.
#[derive(Debug, Default)]
struct SimNodePlace {
    /// Where it is or was, the present address last.
    addresses: Vec<SocketAddr>,
    is_down: bool,
    refuses: bool,
    is_black_hole: bool,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct SimNodePlaces {
    by_node: BTreeMap<NodeId, SimNodePlace>,
    /// Where nodes were and are not any more.
    left: BTreeSet<SocketAddr>,
    moves: u8,
    by_name: bool,
}

/// What a node says at an address.
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

    /// Where a node is and was; nowhere if there is none of this number.
    pub(super) fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        let place = self.by_node.get(&node);
        place.map_or_else(Vec::new, |place| place.addresses.clone())
    }

    pub(super) fn all_addresses(&self) -> Vec<SocketAddr> {
        let places = self.by_node.values();
        places.flat_map(|place| place.addresses.clone()).collect()
    }

    /// Where all nodes are now.
    pub(super) fn present(&self) -> Vec<SocketAddr> {
        let places = self.by_node.values();
        places
            .filter_map(|place| place.addresses.last().copied())
            .collect()
    }

    /// By what name or address a node is told of.
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

    /// What a node says at each of its addresses.
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
        // Where nobody is any more, the machine may still be there to say so.
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

    /// All nodes leave where they are; gives where each is now.
    pub(super) fn move_all(&mut self) -> Vec<(NodeId, SocketAddr)> {
        // Addresses are numbered by it.
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

    /// Nodes are to be found where they were as well.
    pub(super) fn come_back(&mut self) {
        self.left.clear();
    }

    /// The names by which a node was ever told of, and to which address each leads.
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
