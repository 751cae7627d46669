//! One segment of the graph: its partitions, each from its inputs to what other segments and the sink take.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use host::Host;
use operators::{ChangeBatch, Operator, Picked, Report, StepContext, TimeLine, merge_sorted};
use parking_lot::RwLock;
use rayon::prelude::*;
use statestore::View;
use types::{Error, Result};

use super::{Query, fetch::Fetched, idle::Steps, nanos};
use crate::{
    graph::{Graph, Node, NodeId, NodeKind},
    route::{Routed, Router, gather},
    stats::QueryStats,
};

/// One partition of a segment.
#[derive(Default)]
pub(super) struct Task {
    pub partition: u32,
    pub operators: BTreeMap<NodeId, Box<dyn Operator>>,
    pub routers: BTreeMap<NodeId, Router>,
    /// The longest batch of what changed last: the next ones are about as long.
    pub changelog_length: usize,
    /// The rows that it keeps for readers, until the query has them.
    pub view: Option<Arc<RwLock<View>>>,
}

impl Task {
    /// An empty one of that partition.
    pub fn of(partition: u32) -> Task {
        Task { partition, ..Task::default() }
    }
}

/// What a task's run gives.
#[derive(Default)]
pub(super) struct TaskOutput {
    /// Rows that other segments (or the sink) take.
    pub rows: BTreeMap<NodeId, ChangeBatch>,
    /// Rows for exchanges, by exchange.
    routed: BTreeMap<NodeId, Routed>,
    pub reports: Vec<Report>,
}

/// What segments left for those after them: by node, its partitions that run here.
#[derive(Default)]
pub(super) struct Outputs {
    pub rows: BTreeMap<NodeId, Vec<ChangeBatch>>,
    pub routed: BTreeMap<NodeId, Vec<Routed>>,
    pub times: BTreeMap<NodeId, TimeLine>,
}

impl Query {
    /// How stream time advances for the operators of a segment that go by it.
    pub(super) fn set_times(&self, at: usize, steps: &Steps, outputs: &mut Outputs) {
        let Some(segment) = self.graph.segments.get(at) else { return };
        for node in segment.nodes.iter().filter(|n| self.graph.nodes.get(**n).is_some_and(|n| n.timed)) {
            let inputs = self.graph.nodes.get(*node).map(|n| n.inputs.as_slice()).unwrap_or_default();
            let batches = |input| outputs.rows.get(input).into_iter().flatten().map(|b| (&b.seq, &b.rowtime)).collect();
            let rows: Vec<Vec<_>> = inputs.iter().map(batches).collect();
            let mut line = TimeLine::of_inputs(self.times.get(node).copied(), &rows);
            steps.get(node).into_iter().flatten().for_each(|(seq, time)| line.advance(*seq, *time));
            outputs.times.insert(*node, line);
        }
    }

    pub(super) fn run_segment(
        &mut self,
        at: usize,
        (fetched, steps): (&[Fetched], &Steps),
        outputs: &mut Outputs,
        reports: &mut Vec<Report>,
        parallel: bool,
    ) -> Result<()> {
        self.set_times(at, steps, outputs);
        let run = Run {
            graph: &self.graph,
            segment: at,
            outputs,
            fetched,
            stats: &self.stats,
            host: &self.host,
            caching: self.options.caching,
            epoch: self.epoch,
            first: self.first_partition(),
        };
        let Some(tasks) = self.tasks.get_mut(at) else { return Ok(()) };
        let results: Vec<Result<TaskOutput>> = if parallel && tasks.len() > 1 {
            self.pool.install(|| tasks.par_iter_mut().map(|task| run.task(task)).collect())
        } else {
            tasks.iter_mut().map(|task| run.task(task)).collect()
        };
        for result in results {
            let output = result?;
            reports.extend(output.reports);
            for (node, batch) in output.rows {
                outputs.rows.entry(node).or_default().push(batch);
            }
            for (exchange, routed) in output.routed {
                outputs.routed.entry(exchange).or_default().push(routed);
            }
        }
        Ok(())
    }
}

/// What tasks of a segment share.
pub(super) struct Run<'a> {
    pub graph: &'a Graph,
    pub segment: usize,
    pub outputs: &'a Outputs,
    pub fetched: &'a [Fetched],
    pub stats: &'a QueryStats,
    pub host: &'a Host,
    pub caching: bool,
    pub epoch: u64,
    /// The first partition that runs here.
    pub first: u32,
}

impl Run<'_> {
    /// Run one partition of the segment.
    pub fn task(&self, task: &mut Task) -> Result<TaskOutput> {
        let p = task.partition;
        let mut out = TaskOutput::default();
        let mut local: BTreeMap<NodeId, ChangeBatch> = BTreeMap::new();
        let none = TimeLine::default();
        let nodes = self.graph.segments.get(self.segment).map(|s| s.nodes.as_slice()).unwrap_or_default();
        for at in nodes {
            let Some(node) = self.graph.nodes.get(*at) else { continue };
            if p >= node.partitions {
                continue;
            }
            let (started, mut left_out) = (self.host.clock.monotonic(), 0);
            let batch = match &node.kind {
                NodeKind::Source(_) => {
                    let own = self.read(*at, p).ok_or_else(|| Error::internal("a reader is missing"))?;
                    left_out = own.left_out;
                    own.rows.clone()
                }
                NodeKind::Exchange(_) => match self.read(*at, p) {
                    Some(read) => read.rows.clone(),
                    None => {
                        let routed = self.outputs.routed.get(at).map(Vec::as_slice).unwrap_or_default();
                        gather(routed, p as usize, &node.schema)?
                    }
                },
                NodeKind::Union => {
                    let inputs = self.inputs(node, p, &mut local);
                    let pieces: Vec<Picked<'_>> = inputs.iter().map(|batch| Picked { batch, rows: None }).collect();
                    merge_sorted(&pieces)?.unwrap_or_else(|| ChangeBatch::empty(&node.schema))
                }
                NodeKind::Operator(_) | NodeKind::Keep { .. } => {
                    let inputs = self.inputs(node, p, &mut local);
                    let time = node.time_from.and_then(|t| self.outputs.times.get(&t)).unwrap_or(&none);
                    let reports = &mut out.reports;
                    let mut context = StepContext { epoch: self.epoch, caching: self.caching, time, reports };
                    let operator = task.operators.get_mut(at);
                    operator.ok_or_else(|| Error::internal("an operator is missing"))?.step(inputs, &mut context)?
                }
            };
            if let Some(stats) = self.stats.nodes.get(*at) {
                stats.rows.fetch_add((batch.len() + left_out) as u64, Ordering::Relaxed);
                stats.busy_ns.fetch_add(nanos(self.host.clock.monotonic().saturating_sub(started)), Ordering::Relaxed);
            }
            local.insert(*at, batch);
        }
        self.hand_over(task, local, &mut out)?;
        Ok(out)
    }

    /// What was read from the log of partition `p` of node `at`.
    fn read(&self, at: NodeId, p: u32) -> Option<&Fetched> {
        self.fetched.iter().find(|f| f.node == at && f.partition.partition == p)
    }

    fn inputs(&self, node: &Node, p: u32, local: &mut BTreeMap<NodeId, ChangeBatch>) -> Vec<ChangeBatch> {
        let input = |i: &NodeId| {
            let schema = self.graph.nodes.get(*i).map(|n| &n.schema);
            let place = (p - self.first) as usize;
            let found = local.remove(i).or_else(|| self.outputs.rows.get(i).and_then(|o| o.get(place)).cloned());
            found.or_else(|| schema.map(ChangeBatch::empty))
        };
        node.inputs.iter().filter_map(input).collect()
    }

    /// Give what other segments need: rows, or rows routed to where they go.
    fn hand_over(&self, task: &mut Task, mut local: BTreeMap<NodeId, ChangeBatch>, out: &mut TaskOutput) -> Result<()> {
        for (at, node, spec) in self.graph.exchanges() {
            let Some(batch) = node.inputs.first().and_then(|i| local.remove(i)) else { continue };
            let Some(router) = task.routers.get_mut(&at) else { continue };
            out.routed.insert(at, router.route(spec, batch, task.partition, node.partitions, &mut out.reports)?);
        }
        out.rows = local;
        Ok(())
    }
}
