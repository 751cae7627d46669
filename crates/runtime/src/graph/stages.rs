//! Stages of a graph: what of it hangs together without an exchange, and so can run partition by partition.

use std::collections::BTreeMap;

use super::{ExchangeNode, Graph, Node, NodeId, NodeKind};

impl Graph {
    /// How many stages there are.
    pub fn stages(&self) -> u32 {
        self.nodes.iter().map(|n| n.stage + 1).max().unwrap_or(0)
    }

    /// How many partitions a stage has.
    pub fn stage_partitions(&self, stage: u32) -> u32 {
        self.nodes.iter().filter(|n| n.stage == stage).map(|n| n.partitions).max().unwrap_or(0)
    }

    /// The exchanges: their places, and what they are.
    pub fn exchanges(&self) -> impl Iterator<Item = (NodeId, &Node, &ExchangeNode)> {
        self.nodes.iter().enumerate().filter_map(|(at, node)| match &node.kind {
            NodeKind::Exchange(spec) => Some((at, node, spec)),
            _ => None,
        })
    }

    /// Whether a task of that stage reads one topic alone, whose order is all the order there is.
    pub fn has_one_reader(&self, stage: u32) -> bool {
        let reads = |node: &&Node| matches!(node.kind, NodeKind::Source(_) | NodeKind::Exchange(_));
        self.nodes.iter().filter(|node| node.stage == stage).filter(reads).count() == 1
    }
}

/// The stage of each node. Each but the last has one node whose rows go through an exchange; stages are numbered in the
/// order of these nodes, so that they come after those that they read.
pub(super) fn stages(nodes: &[Node]) -> Vec<u32> {
    let mut first: Vec<usize> = (0..nodes.len()).collect();
    for (at, node) in nodes.iter().enumerate() {
        if matches!(node.kind, NodeKind::Exchange(_)) {
            continue;
        }
        let joined: Vec<usize> = node.inputs.iter().filter_map(|i| first.get(*i).copied()).collect();
        let Some(least) = joined.iter().min().copied() else { continue };
        for stage in &mut first {
            if joined.contains(stage) || *stage == at {
                *stage = least;
            }
        }
    }
    let mut last = BTreeMap::new();
    for (at, stage) in first.iter().enumerate() {
        last.insert(*stage, at);
    }
    let mut order: Vec<(usize, usize)> = last.into_iter().map(|(stage, last)| (last, stage)).collect();
    order.sort_unstable();
    let number = |stage: &usize| order.iter().position(|(_, of)| of == stage).unwrap_or(0);
    first.iter().map(|stage| u32::try_from(number(stage)).unwrap_or(u32::MAX)).collect()
}
