//! The operators of a query's graph, in each partition that runs here.

use std::sync::atomic::Ordering;

use operators::Materialize;
use types::Result;

use super::{Query, TableView, segment::Task, tier::each_part};
use crate::{
    graph::{NodeId, NodeKind},
    route::Router,
};

impl Query {
    pub(super) fn build(&mut self) -> Result<()> {
        let mut all = Vec::with_capacity(self.graph.segments.len());
        for segment in &self.graph.segments {
            let own = if self.runs(segment.stage) { self.own_partitions(segment.partitions) } else { 0..0 };
            let mut tasks: Vec<Task> = own.map(Task::of).collect();
            for at in &segment.nodes {
                tasks.iter_mut().try_for_each(|task| self.build_node(*at, task))?;
            }
            all.push(tasks);
        }
        for (at, operator) in all.iter_mut().filter_map(|tasks| tasks.first_mut()).flat_map(|t| &mut t.operators) {
            if each_part(&mut **operator, &mut |_, _| {}) {
                self.pageable.insert(*at);
                if let Some(stats) = self.stats.nodes.get(*at) {
                    stats.may_leave.store(true, Ordering::Relaxed);
                }
            }
        }
        self.view = self.view_of(&mut all);
        self.tasks = all;
        Ok(())
    }

    /// What node `at` is in one partition.
    fn build_node(&self, at: NodeId, task: &mut Task) -> Result<()> {
        let Some(node) = self.graph.nodes.get(at) else { return Ok(()) };
        match &node.kind {
            NodeKind::Operator(make) => {
                task.operators.insert(at, make());
            }
            NodeKind::Keep { key, old_values, expiry, follows } => {
                let keep = Materialize::new(node.schema.clone(), key.clone(), *old_values, *expiry);
                let keep = if follows.is_some() { keep.following() } else { keep };
                if at == self.graph.root {
                    task.view = Some(keep.view());
                }
                task.operators.insert(at, Box::new(keep));
            }
            NodeKind::Source(_) | NodeKind::Exchange(_) | NodeKind::Union => {}
        }
        // Exchanges that read this node are routed where its rows are made.
        let registry = self.options.registry.as_ref();
        let to_topics = self.options.share.is_some();
        for (exchange, reader, spec) in self.graph.exchanges() {
            if reader.inputs.contains(&at) {
                task.routers.insert(exchange, Router::new(spec, node.schema.clone(), registry, to_topics)?);
            }
        }
        Ok(())
    }

    /// The rows that are kept for readers.
    fn view_of(&self, tasks: &mut [Vec<Task>]) -> Option<TableView> {
        let root = self.graph.nodes.get(self.graph.root)?;
        let NodeKind::Keep { key, .. } = &root.kind else { return None };
        let own = tasks.get_mut(root.segment)?;
        let views: Vec<_> = own.iter_mut().filter_map(|task| Some((task.partition, task.view.take()?))).collect();
        let (numbers, partitions): (Vec<_>, Vec<_>) = views.into_iter().unzip();
        let (schema, key) = (root.schema.clone(), key.clone());
        let view = TableView { partitions, numbers, of: root.partitions, together: true, schema, key };
        (!view.partitions.is_empty()).then_some(view)
    }
}
