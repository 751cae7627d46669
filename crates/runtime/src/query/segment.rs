//! One segment of the graph: its partitions, each from its inputs to what other segments and the sink take.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use host::Host;
use operators::{ChangeBatch, Operator, Picked, Report, StepContext, TimeLine, merge_sorted};
use rayon::prelude::*;
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
    pub operators: BTreeMap<NodeId, Box<dyn Operator>>,
    pub routers: BTreeMap<NodeId, Router>,
}

/// What a task's run gives.
#[derive(Default)]
struct TaskOutput {
    /// Rows that other segments (or the sink) take.
    rows: BTreeMap<NodeId, ChangeBatch>,
    /// Rows for exchanges, by exchange.
    routed: BTreeMap<NodeId, Routed>,
    reports: Vec<Report>,
}

/// What segments left for those after them.
#[derive(Default)]
pub(super) struct Outputs {
    pub rows: BTreeMap<NodeId, Vec<ChangeBatch>>,
    routed: BTreeMap<NodeId, Vec<Routed>>,
    pub times: BTreeMap<NodeId, TimeLine>,
}

impl Query {
    pub(super) fn run_segment(
        &mut self,
        at: usize,
        (fetched, steps): (&[Fetched], &Steps),
        outputs: &mut Outputs,
        reports: &mut Vec<Report>,
        parallel: bool,
    ) -> Result<()> {
        let Some(segment) = self.graph.segments.get(at) else { return Ok(()) };
        for node in segment.nodes.iter().filter(|n| self.graph.nodes.get(**n).is_some_and(|n| n.timed)) {
            let inputs = self.graph.nodes.get(*node).map(|n| n.inputs.as_slice()).unwrap_or_default();
            let batches = |input| outputs.rows.get(input).into_iter().flatten().map(|b| (&b.seq, &b.rowtime)).collect();
            let rows: Vec<Vec<_>> = inputs.iter().map(batches).collect();
            let mut line = TimeLine::of_inputs(self.times.get(node).copied(), &rows);
            steps.get(node).into_iter().flatten().for_each(|(seq, time)| line.advance(*seq, *time));
            outputs.times.insert(*node, line);
        }
        let run = Run {
            graph: &self.graph,
            segment: at,
            outputs,
            fetched,
            stats: &self.stats,
            host: &self.host,
            caching: self.options.caching,
            epoch: self.epoch,
        };
        let Some(tasks) = self.tasks.get_mut(at) else { return Ok(()) };
        let results: Vec<Result<TaskOutput>> = if parallel && tasks.len() > 1 {
            self.pool.install(|| tasks.par_iter_mut().enumerate().map(|(p, task)| run.task(p, task)).collect())
        } else {
            tasks.iter_mut().enumerate().map(|(p, task)| run.task(p, task)).collect()
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
struct Run<'a> {
    graph: &'a Graph,
    segment: usize,
    outputs: &'a Outputs,
    fetched: &'a [Fetched],
    stats: &'a QueryStats,
    host: &'a Host,
    caching: bool,
    epoch: u64,
}

impl Run<'_> {
    /// Run partition `p` of the segment.
    fn task(&self, p: usize, task: &mut Task) -> Result<TaskOutput> {
        let mut out = TaskOutput::default();
        let mut local: BTreeMap<NodeId, ChangeBatch> = BTreeMap::new();
        let none = TimeLine::default();
        let nodes = self.graph.segments.get(self.segment).map(|s| s.nodes.as_slice()).unwrap_or_default();
        for at in nodes {
            let Some(node) = self.graph.nodes.get(*at) else { continue };
            if p >= node.partitions as usize {
                continue;
            }
            let started = self.host.clock.monotonic();
            let batch = match &node.kind {
                NodeKind::Source(_) => {
                    let own = self.fetched.iter().find(|f| f.node == *at && f.partition.partition as usize == p);
                    own.map(|f| f.rows.clone()).ok_or_else(|| Error::internal("a reader is missing"))?
                }
                NodeKind::Exchange(_) => {
                    gather(self.outputs.routed.get(at).map(Vec::as_slice).unwrap_or_default(), p, &node.schema)?
                }
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
                stats.rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
                stats.busy_ns.fetch_add(nanos(self.host.clock.monotonic().saturating_sub(started)), Ordering::Relaxed);
            }
            local.insert(*at, batch);
        }
        self.hand_over(p, task, local, &mut out)?;
        Ok(out)
    }

    fn inputs(&self, node: &Node, p: usize, local: &mut BTreeMap<NodeId, ChangeBatch>) -> Vec<ChangeBatch> {
        let input = |i: &NodeId| {
            let schema = self.graph.nodes.get(*i).map(|n| &n.schema);
            let found = local.remove(i).or_else(|| self.outputs.rows.get(i).and_then(|o| o.get(p)).cloned());
            found.or_else(|| schema.map(ChangeBatch::empty))
        };
        node.inputs.iter().filter_map(input).collect()
    }

    /// Give what other segments need: rows, or rows routed to where they go.
    fn hand_over(
        &self,
        p: usize,
        task: &mut Task,
        mut local: BTreeMap<NodeId, ChangeBatch>,
        out: &mut TaskOutput,
    ) -> Result<()> {
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let NodeKind::Exchange(spec) = &node.kind else { continue };
            let Some(batch) = node.inputs.first().and_then(|i| local.remove(i)) else { continue };
            let Some(router) = task.routers.get_mut(&at) else { continue };
            let from = u32::try_from(p).unwrap_or(0);
            out.routed.insert(at, router.route(spec, batch, from, node.partitions, &mut out.reports)?);
        }
        out.rows = local;
        Ok(())
    }
}
