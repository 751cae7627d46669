//! Plan → graph of operators, cut into segments.
//!
//! A segment is what one thread can run for one partition without waiting for other partitions. A new segment begins
//! at a source, behind an exchange, and before an operator that must know stream time over all partitions.

mod foreign_key;
mod stages;

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, SchemaRef};
use catalog::{KeyWindow, Source, SourceKind};
use formats::FormatSpec;
use operators::{
    Aggregate, AggregateSpec, Distinct, Expiry, Filter, FlatMap, Operator, Project, SessionAggregate, StreamStreamJoin,
    StreamStreamSpec, StreamTableJoin, TableTableJoin,
};
use planner::{
    expr::{as_column, columns_used, is_deterministic},
    plan::{BoundExpr, NullKeys, Plan, PlanNode, QueryPlan, Start, WindowSpec},
};
use recordlog::TopicPartition;
use syntax::ast::WindowKind;
use types::{Error, Result};

use crate::journal::reader_name;

/// Place of a node in the graph; a node's inputs come before it.
pub(crate) type NodeId = usize;

/// Numbers of nodes that keep a source's rows begin here; those of operators with state begin at 0.
const KEPT_SOURCES_FIRST: usize = 1 << 14;

type Factory = Arc<dyn Fn() -> Box<dyn Operator> + Send + Sync>;

pub(crate) enum NodeKind {
    Source(SourceNode),
    Exchange(ExchangeNode),
    Operator(Factory),
    /// A table's rows are kept for readers.
    Keep {
        key: Vec<usize>,
        old_values: bool,
        expiry: Option<Expiry>,
        /// `None`: it has a changelog of its own.
        follows: Option<Follows>,
    },
    Union,
}

/// Rows that follow from the groups of an aggregation: they are computed again where the groups are read back, and
/// need no changelog.
#[derive(Clone)]
pub(crate) struct Follows {
    /// The aggregation.
    pub from: NodeId,
    /// What its rows go through, in order.
    pub steps: Vec<NodeId>,
}

pub(crate) struct SourceNode {
    pub source: Arc<Source>,
    pub start: Start,
    /// Which columns of the source's schema somebody needs.
    pub wanted: Vec<usize>,
    /// Which of the columns behind them (ROWTIME …) somebody needs, by position.
    pub wanted_hidden: BTreeSet<usize>,
    /// Of a stream: what the filter that reads it asks for. Rows that it would drop in silence need not be given.
    pub condition: Option<BoundExpr>,
}

pub(crate) struct ExchangeNode {
    pub by: Vec<BoundExpr>,
    pub types: Vec<(String, types::SqlType)>,
    /// What the key's columns are called where it is written: the same on both sides of a join, since a format may write
    /// the names.
    pub names: Vec<String>,
    pub key_format: FormatSpec,
    pub nulls: NullKeys,
    /// The topic whose keys the new keys are to be written like.
    pub like_topic: Option<String>,
    /// How far to shift the number of a row among the rows of one cause: outer exchanges count coarser.
    pub sub_shift: u32,
}

pub(crate) struct Node {
    pub kind: NodeKind,
    pub inputs: Vec<NodeId>,
    pub schema: SchemaRef,
    pub partitions: u32,
    pub segment: usize,
    /// Whether it needs stream time over all partitions.
    pub timed: bool,
    /// Of an operator: whether it keeps state.
    pub stateful: bool,
    /// The node whose stream time it goes by.
    pub time_from: Option<NodeId>,
    /// EMIT FINAL … IDLE TIMEOUT: after how long without records its windows close, ms.
    pub idle_ms: Option<i64>,
    pub label: String,
    /// Its number among the sources, the exchanges, or the operators with state: what progress and state are stored
    /// under, so that a query may get another filter or select list and keep both.
    pub number: usize,
    /// The stage that it belongs to: what hangs together without an exchange, which is part of the stage behind it.
    pub stage: u32,
}

impl Node {
    /// Of a kept table: what its rows follow from.
    pub fn follows(&self) -> Option<&Follows> {
        match &self.kind {
            NodeKind::Keep { follows, .. } => follows.as_ref(),
            _ => None,
        }
    }

    /// Whether it keeps state.
    pub fn is_stateful(&self) -> bool {
        matches!(self.kind, NodeKind::Keep { .. }) || matches!(self.kind, NodeKind::Operator(_)) && self.stateful
    }

    /// What the reader of a partition is called in progress, where the node is a source or an exchange.
    pub fn reader_name(&self, partition: &TopicPartition) -> String {
        match self.kind {
            NodeKind::Exchange(_) => reader_name(&format!("e{}", self.number), partition),
            _ => reader_name(&self.number.to_string(), partition),
        }
    }
}

/// Nodes that one thread runs for one partition, inputs first.
pub(crate) struct Segment {
    pub nodes: Vec<NodeId>,
    pub partitions: u32,
    pub stage: u32,
}

pub(crate) struct Graph {
    pub nodes: Vec<Node>,
    /// In an order in which they can run.
    pub segments: Vec<Segment>,
    pub root: NodeId,
    /// Whether records must be taken in order of arrival over all partitions.
    pub ordered: bool,
}

struct Builder<'a> {
    nodes: Vec<Node>,
    partitions_of: &'a dyn Fn(&Source) -> Result<u32>,
    widest: u32,
    /// Whether partitions run by themselves: then rows of a key that come from several may overtake each other.
    in_tasks: bool,
}

/// Lower the plan. `partitions_of` says how many partitions a source's topic has.
pub(crate) fn lower(plan: &QueryPlan, partitions_of: &dyn Fn(&Source) -> Result<u32>) -> Result<Graph> {
    lower_for(plan, partitions_of, false)
}

/// Lower the plan of a query that runs in tasks.
pub(crate) fn lower_tasks(plan: &QueryPlan, partitions_of: &dyn Fn(&Source) -> Result<u32>) -> Result<Graph> {
    lower_for(plan, partitions_of, true)
}

fn lower_for(plan: &QueryPlan, partitions_of: &dyn Fn(&Source) -> Result<u32>, in_tasks: bool) -> Result<Graph> {
    let mut builder = Builder { nodes: vec![], partitions_of, widest: 1, in_tasks };
    builder.widest = builder.widest_source(&plan.root)?;
    let all: BTreeSet<usize> = (0..plan.root.fields.columns.len()).collect();
    let mut root = builder.node(&plan.root, false, &all, 0)?;
    if let Some(sink) = plan.sink.as_ref().filter(|s| s.source.kind == SourceKind::Table) {
        let mut key = sink.key.clone();
        key.extend(sink.window.iter().flat_map(|(start, end)| [*start, *end]));
        let retention = retention(&plan.root);
        let expiry =
            sink.window.zip(retention).map(|((start, _), retention_ms)| Expiry { column: start, retention_ms });
        let follows = builder.follows(root, &plan.root, &key);
        root = builder.keep(root, key, false, expiry);
        if let Some(NodeKind::Keep { follows: place, .. }) = builder.nodes.get_mut(root).map(|n| &mut n.kind) {
            *place = follows;
        }
    } else if plan.sink.is_none()
        && let PlanNode::Source { source, materialize: true, .. } = &plan.root.node
        && source.kind == SourceKind::Table
        && !matches!(builder.nodes.get(root).map(|n| &n.kind), Some(NodeKind::Keep { .. }))
    {
        let key = key_positions(&plan.root);
        root = builder.keep(root, key, false, None);
    }
    let mut graph = builder.finish(root);
    graph.ordered |= plan.sink.as_ref().is_some_and(|sink| sink.rekeyed);
    Ok(graph)
}

/// The retention of the windows that the plan's rows are keyed by.
fn retention(plan: &Plan) -> Option<i64> {
    match &plan.node {
        PlanNode::Aggregate { window: Some(window), .. } => {
            let size = match window.kind {
                WindowKind::Tumbling { size_ms } | WindowKind::Hopping { size_ms, .. } => size_ms,
                WindowKind::Session { gap_ms } => gap_ms,
            };
            Some(window.retention_ms.max(size.saturating_add(window.grace_ms)))
        }
        PlanNode::Filter { input, .. } | PlanNode::Project { input, .. } | PlanNode::Distinct { input } => {
            retention(input)
        }
        _ => None,
    }
}

/// Positions of the key columns of a source node, windows included.
fn key_positions(plan: &Plan) -> Vec<usize> {
    let columns = plan.fields.columns.iter().enumerate();
    columns
        .filter(|(_, c)| c.key || (plan.windowed.is_some() && matches!(c.name.as_str(), "WINDOWSTART" | "WINDOWEND")))
        .map(|(i, _)| i)
        .collect()
}

fn used(exprs: &[BoundExpr]) -> BTreeSet<usize> {
    exprs.iter().flat_map(columns_used).collect()
}

fn split(needed: &BTreeSet<usize>, left: usize, right: usize) -> [BTreeSet<usize>; 2] {
    [
        needed.iter().filter(|c| **c < left).copied().collect(),
        needed.iter().filter(|c| (left..left + right).contains(*c)).map(|c| c - left).collect(),
    ]
}

fn types_of(exprs: &[BoundExpr], schema: &SchemaRef) -> Result<Vec<DataType>> {
    exprs.iter().map(|e| e.data_type(schema).map_err(|e| Error::internal(e.to_string()))).collect()
}

impl Builder<'_> {
    fn widest_source(&self, plan: &Plan) -> Result<u32> {
        if let PlanNode::Source { source, .. } = &plan.node {
            return (self.partitions_of)(source);
        }
        plan.inputs().into_iter().try_fold(1, |widest, input| Ok(widest.max(self.widest_source(input)?)))
    }

    fn push(&mut self, kind: NodeKind, inputs: Vec<NodeId>, schema: SchemaRef, label: String) -> NodeId {
        let partitions = inputs.iter().filter_map(|i| self.nodes.get(*i)).map(|n| n.partitions).max().unwrap_or(1);
        let time_from = inputs.iter().filter_map(|i| self.nodes.get(*i)).find_map(|n| n.time_from);
        self.nodes.push(Node {
            kind,
            inputs,
            schema,
            partitions,
            segment: 0,
            timed: false,
            stateful: true,
            time_from,
            idle_ms: None,
            label,
            number: 0,
            stage: 0,
        });
        self.nodes.len() - 1
    }

    fn operator(&mut self, factory: Factory, inputs: Vec<NodeId>, plan: &Plan, timed: bool, label: String) -> NodeId {
        let at = self.push(NodeKind::Operator(factory), inputs, plan.fields.to_arrow(), label);
        if let Some(node) = self.nodes.get_mut(at)
            && timed
        {
            node.timed = true;
            node.time_from = Some(at);
        }
        at
    }

    fn stateless(&mut self, factory: Factory, input: NodeId, plan: &Plan, label: String) -> NodeId {
        let at = self.operator(factory, vec![input], plan, false, label);
        if let Some(node) = self.nodes.get_mut(at) {
            node.stateful = false;
        }
        at
    }

    fn keep(&mut self, input: NodeId, key: Vec<usize>, old_values: bool, expiry: Option<Expiry>) -> NodeId {
        let schema =
            self.nodes.get(input).map_or_else(|| Arc::new(arrow::datatypes::Schema::empty()), |n| n.schema.clone());
        let names: Vec<_> = key.iter().filter_map(|k| schema.fields().get(*k)).map(|f| f.name().clone()).collect();
        let label = format!("Materialize by {}", names.join(", "));
        self.push(NodeKind::Keep { key, old_values, expiry, follows: None }, vec![input], schema, label)
    }

    /// From which aggregation the rows of `plan`, which node `at` gives, follow group by group: there are no windows, what
    /// comes after it needs nothing but its rows, and each group has a key of its own.
    fn follows(&self, mut at: NodeId, mut plan: &Plan, key: &[usize]) -> Option<Follows> {
        let (mut key, mut steps) = (key.to_vec(), vec![]);
        loop {
            let input = match &plan.node {
                PlanNode::Project { input, exprs } if exprs.iter().all(is_deterministic) => {
                    key = key.iter().map(|k| as_column(exprs.get(*k)?)).collect::<Option<_>>()?;
                    input
                }
                PlanNode::Filter { input, predicate } if is_deterministic(predicate) => input,
                PlanNode::Aggregate { group_by, window: None, emit_final: false, .. } => {
                    steps.reverse();
                    return (0..group_by.len()).all(|k| key.contains(&k)).then_some(Follows { from: at, steps });
                }
                _ => return None,
            };
            steps.push(at);
            at = *self.nodes.get(at)?.inputs.first()?;
            plan = input;
        }
    }

    /// Lower `plan`, of which `needed` columns are used; `old`: its changes must carry old values. `depth`: exchanges
    /// above it.
    fn node(&mut self, plan: &Plan, old: bool, needed: &BTreeSet<usize>, depth: u32) -> Result<NodeId> {
        let table = plan.kind == SourceKind::Table;
        Ok(match &plan.node {
            PlanNode::Source { source, start, .. } => self.source(plan, source, start, old, needed)?,
            PlanNode::Filter { input, predicate } => {
                let mut below = needed.clone();
                below.extend(columns_used(predicate));
                let at = self.node(input, old || table, &below, depth)?;
                if let Some(NodeKind::Source(source)) = self.nodes.get_mut(at).map(|n| &mut n.kind)
                    && !table
                    && is_deterministic(predicate)
                {
                    source.condition = Some(predicate.clone());
                }
                let (predicate, schema) = (predicate.clone(), input.fields.to_arrow());
                let label = format!("Filter: {predicate}");
                let make = move || Box::new(Filter::new(predicate.clone(), schema.clone(), table)) as Box<dyn Operator>;
                self.stateless(Arc::new(make), at, plan, label)
            }
            PlanNode::Project { input, exprs } => {
                let at = self.node(input, old, &used(exprs), depth)?;
                let (exprs, schema) = (exprs.clone(), input.fields.to_arrow());
                let shown: Vec<_> =
                    exprs.iter().zip(&plan.fields.columns).map(|(e, c)| format!("{e} AS {}", c.name)).collect();
                let label = format!("Project: {}", shown.join(", "));
                let columns = input.fields.columns.iter().enumerate();
                let values: BTreeSet<usize> = columns.filter(|(_, c)| !c.key && !c.hidden).map(|(at, _)| at).collect();
                let make = move || Box::new(Project::new(exprs.clone(), schema.clone(), &values)) as Box<dyn Operator>;
                self.stateless(Arc::new(make), at, plan, label)
            }
            PlanNode::FlatMap { input, calls } => {
                let width = input.fields.columns.len();
                let mut below: BTreeSet<usize> = needed.iter().filter(|c| **c < width).copied().collect();
                below.extend(calls.iter().flat_map(|c| used(&c.args)));
                let at = self.node(input, old, &below, depth)?;
                let (calls, schema) = (calls.clone(), input.fields.to_arrow());
                let shown: Vec<_> = calls.iter().map(|c| c.text.clone()).collect();
                let label = format!("FlatMap: {}", shown.join(", "));
                let make = move || Box::new(FlatMap::new(calls.clone(), schema.clone())) as Box<dyn Operator>;
                self.stateless(Arc::new(make), at, plan, label)
            }
            PlanNode::Exchange { input, by, key_format, partitions_like, nulls } => {
                let mut below = needed.clone();
                below.extend(used(by));
                let at = self.node(input, old, &below, depth + 1)?;
                let partitions = match partitions_like {
                    Some(source) => (self.partitions_of)(source)?,
                    None => self.widest,
                };
                let at = self.exchange(plan.fields.to_arrow(), at, by, key_format, *nulls, partitions, depth)?;
                self.written_like(at, partitions_like.as_deref());
                at
            }
            PlanNode::Aggregate { .. } => self.aggregate(plan, old, depth)?,
            PlanNode::Distinct { input } => {
                let all = (0..input.fields.columns.len()).collect();
                let at = self.node(input, true, &all, depth)?;
                let schema = input.fields.to_arrow();
                let make = move || Box::new(Distinct::new(schema.clone())) as Box<dyn Operator>;
                self.stateless(Arc::new(make), at, plan, "Distinct".into())
            }
            PlanNode::UnionAll { inputs } => {
                let at = inputs.iter().map(|i| self.node(i, old, needed, depth)).collect::<Result<Vec<_>>>()?;
                self.push(NodeKind::Union, at, plan.fields.to_arrow(), "UnionAll".into())
            }
            _ => self.join(plan, old, needed, depth)?,
        })
    }

    fn source(
        &mut self,
        plan: &Plan,
        source: &Arc<Source>,
        start: &Start,
        old: bool,
        needed: &BTreeSet<usize>,
    ) -> Result<NodeId> {
        let width = source.schema.columns.len();
        let mut wanted: BTreeSet<usize> = needed.iter().filter(|c| **c < width).copied().collect();
        let mut wanted_hidden: BTreeSet<usize> = needed.iter().filter(|c| **c >= width).copied().collect();
        if source.kind == SourceKind::Table {
            let keys = plan.fields.columns.iter().enumerate().filter(|(_, c)| c.key && !c.hidden).map(|(i, _)| i);
            wanted.extend(keys.filter(|i| *i < width));
        }
        wanted.extend(source.timestamp.as_ref().and_then(|t| source.schema.find(&t.column)).map(|(i, _)| i));
        let keep = old && source.kind == SourceKind::Table;
        if keep {
            wanted_hidden.extend(key_positions(plan).into_iter().filter(|k| *k >= width));
        }
        let partitions = (self.partitions_of)(source)?;
        let names: Vec<_> =
            wanted.iter().filter_map(|c| source.schema.columns.get(*c)).map(|c| c.name.as_str()).collect();
        let label = format!(
            "Source: {} (topic {}, {} partitions, {} / {}), columns {}",
            source.name,
            source.topic,
            partitions,
            source.key_format.name,
            source.value_format.name,
            names.join(", ")
        );
        let node = SourceNode {
            source: source.clone(),
            start: start.clone(),
            wanted: wanted.into_iter().collect(),
            wanted_hidden,
            condition: None,
        };
        let at = self.push(NodeKind::Source(node), vec![], plan.fields.to_arrow(), label);
        if let Some(node) = self.nodes.get_mut(at) {
            node.partitions = partitions;
        }
        if keep {
            return Ok(self.keep(at, key_positions(plan), true, None));
        }
        Ok(at)
    }

    #[allow(clippy::too_many_arguments)]
    fn exchange(
        &mut self,
        schema: SchemaRef,
        input: NodeId,
        by: &[BoundExpr],
        key_format: &FormatSpec,
        nulls: NullKeys,
        partitions: u32,
        depth: u32,
    ) -> Result<NodeId> {
        let mut types = vec![];
        for (expr, ty) in by.iter().zip(types_of(by, &schema)?) {
            let sql =
                types::SqlType::from_arrow(&ty).ok_or_else(|| Error::internal(format!("no SQL type for {ty}")))?;
            types.push((expr.to_string(), sql));
        }
        let shown: Vec<_> = by.iter().map(ToString::to_string).collect();
        let label = format!("Exchange by {} ({} partitions, key {})", shown.join(", "), partitions, key_format.name);
        let node = ExchangeNode {
            by: by.to_vec(),
            names: (0..types.len()).map(|at| format!("K{at}")).collect(),
            types,
            key_format: key_format.clone(),
            nulls,
            like_topic: None,
            sub_shift: if depth == 0 { 0 } else { operators::SUB_BITS / 2 },
        };
        let at = self.push(NodeKind::Exchange(node), vec![input], schema, label);
        if let Some(node) = self.nodes.get_mut(at) {
            node.partitions = partitions;
        }
        Ok(at)
    }

    fn aggregate(&mut self, plan: &Plan, old: bool, depth: u32) -> Result<NodeId> {
        let PlanNode::Aggregate { input, group_by, aggregates, window, emit_final, idle_ms, keep_null_keys } =
            &plan.node
        else {
            return Err(Error::internal("not an aggregate"));
        };
        let from_table = input.kind == SourceKind::Table;
        let mut below = used(group_by);
        for call in aggregates {
            below.extend(used(&call.args));
            below.extend(call.filter.iter().flat_map(columns_used));
        }
        let at = self.node(input, from_table, &below, depth)?;
        let schema = input.fields.to_arrow();
        let spec = AggregateSpec {
            key_types: types_of(group_by, &schema)?,
            input: schema,
            group_by: group_by.clone(),
            calls: aggregates.clone(),
            window: *window,
            emit_final: *emit_final,
            keep_null_keys: *keep_null_keys,
            from_table,
            emit_old: old,
        };
        let keys: Vec<_> = group_by.iter().map(ToString::to_string).collect();
        let calls: Vec<_> = aggregates.iter().map(|c| c.text.clone()).collect();
        let window_text = window.as_ref().map_or(String::new(), |w| format!(", {}", window_label(w)));
        let emits = if *emit_final { ", emit final" } else { "" };
        let label = format!("Aggregate: {} by {}{window_text}{emits}", calls.join(", "), keys.join(", "));
        let factory: Factory = match window.map(|w| w.kind) {
            Some(WindowKind::Session { gap_ms }) => {
                Arc::new(move || Box::new(SessionAggregate::new(spec.clone(), gap_ms)))
            }
            _ => Arc::new(move || Box::new(Aggregate::new(spec.clone()))),
        };
        let at = self.operator(factory, vec![at], plan, window.is_some(), label);
        if let Some(node) = self.nodes.get_mut(at) {
            node.idle_ms = *idle_ms;
        }
        Ok(at)
    }

    fn join(&mut self, plan: &Plan, old: bool, needed: &BTreeSet<usize>, depth: u32) -> Result<NodeId> {
        let sides = |left: &Plan, right: &Plan, keys: [&[BoundExpr]; 2], residual: &Option<BoundExpr>| {
            let [left_key, right_key] = keys;
            let mut needed = needed.clone();
            needed.extend(residual.iter().flat_map(columns_used));
            let [mut l, mut r] = split(&needed, left.fields.columns.len(), right.fields.columns.len());
            l.extend(used(left_key));
            r.extend(used(right_key));
            (l, r)
        };
        let on = |left: &[BoundExpr], right: &[BoundExpr]| {
            let pairs: Vec<_> = left.iter().zip(right).map(|(l, r)| format!("{l} = {r}")).collect();
            pairs.join(" AND ")
        };
        let and = |residual: &Option<BoundExpr>| residual.as_ref().map_or(String::new(), |r| format!(" AND {r}"));
        match &plan.node {
            PlanNode::StreamTableJoin { left, right, kind, left_key, right_key, residual } => {
                let (l, r) = sides(left, right, [left_key, right_key], residual);
                let inputs = vec![self.node(left, false, &l, depth)?, self.node(right, false, &r, depth)?];
                let label = format!("StreamTableJoin {kind:?} on {}{}", on(left_key, right_key), and(residual));
                let schemas = [left.fields.to_arrow(), right.fields.to_arrow()];
                let (keys, kind, residual) = ([left_key.clone(), right_key.clone()], *kind, residual.clone());
                let asked: BTreeSet<usize> = residual.iter().flat_map(columns_used).collect();
                let wanted: Vec<bool> =
                    (0..plan.fields.columns.len()).map(|c| needed.contains(&c) || asked.contains(&c)).collect();
                let make = move || {
                    let join = StreamTableJoin::new(schemas.clone(), keys.clone(), kind, residual.clone());
                    Box::new(join.wanting(wanted.clone())) as Box<dyn Operator>
                };
                Ok(self.operator(Arc::new(make), inputs, plan, false, label))
            }
            PlanNode::StreamStreamJoin {
                left,
                right,
                kind,
                left_key,
                right_key,
                before_ms,
                after_ms,
                grace_ms,
                residual,
            } => {
                let (l, r) = sides(left, right, [left_key, right_key], residual);
                let inputs = vec![self.node(left, false, &l, depth)?, self.node(right, false, &r, depth)?];
                let label = format!(
                    "StreamStreamJoin {kind:?} on {}{} within ({before_ms} ms, {after_ms} ms){}",
                    on(left_key, right_key),
                    and(residual),
                    grace_ms.map_or(String::new(), |g| format!(" grace {g} ms"))
                );
                let spec = StreamStreamSpec {
                    key_types: types_of(left_key, &left.fields.to_arrow())?,
                    schemas: [left.fields.to_arrow(), right.fields.to_arrow()],
                    keys: [left_key.clone(), right_key.clone()],
                    kind: *kind,
                    before_ms: *before_ms,
                    after_ms: *after_ms,
                    grace_ms: *grace_ms,
                    residual: residual.clone(),
                    wanted: (0..plan.fields.columns.len()).map(|c| needed.contains(&c)).collect(),
                };
                let make = move || Box::new(StreamStreamJoin::new(spec.clone())) as Box<dyn Operator>;
                Ok(self.operator(Arc::new(make), inputs, plan, true, label))
            }
            PlanNode::TableTableJoin { left, right, kind, left_key, right_key, residual } => {
                let (l, r) = sides(left, right, [left_key, right_key], residual);
                let inputs = vec![self.node(left, false, &l, depth)?, self.node(right, false, &r, depth)?];
                let label = format!("TableTableJoin {kind:?} on {}{}", on(left_key, right_key), and(residual));
                let types = types_of(left_key, &left.fields.to_arrow())?;
                let schemas = [left.fields.to_arrow(), right.fields.to_arrow()];
                let (keys, kind, residual) = ([left_key.clone(), right_key.clone()], *kind, residual.clone());
                let make = move || {
                    let join = TableTableJoin::new(schemas.clone(), keys.clone(), types.clone(), kind, old);
                    Box::new(join.with_residual(residual.clone())) as Box<dyn Operator>
                };
                Ok(self.operator(Arc::new(make), inputs, plan, false, label))
            }
            PlanNode::ForeignKeyJoin { .. } => self.foreign_key_join(plan, old, needed, depth),
            _ => Err(Error::internal("not a join")),
        }
    }

    /// The keys of an exchange are written as those of the source's topic.
    fn written_like(&mut self, exchange: NodeId, source: Option<&Source>) {
        if let Some(NodeKind::Exchange(node)) = self.nodes.get_mut(exchange).map(|n| &mut n.kind) {
            node.like_topic = source.map(|s| s.topic.clone());
            let names: Vec<_> = source.into_iter().flat_map(|s| s.schema.key()).map(|c| c.name.clone()).collect();
            if names.len() == node.names.len() {
                node.names = names;
            }
        }
    }

    fn finish(mut self, root: NodeId) -> Graph {
        let stages = stages::stages(&self.nodes);
        // Segments: nodes that need nothing of other partitions join the segment of their inputs.
        let mut segment_of: Vec<usize> = (0..self.nodes.len()).collect();
        for at in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(at) else { continue };
            let begins = node.timed || matches!(node.kind, NodeKind::Source(_) | NodeKind::Exchange(_));
            if begins {
                continue;
            }
            let joined: BTreeSet<usize> = node.inputs.iter().filter_map(|i| segment_of.get(*i).copied()).collect();
            let Some(first) = joined.first().copied() else { continue };
            for segment in &mut segment_of {
                if joined.contains(segment) || *segment == at {
                    *segment = first;
                }
            }
        }
        let mut left: BTreeSet<usize> = segment_of.iter().copied().collect();
        let (mut segments, mut done, mut number) = (vec![], BTreeSet::new(), vec![0; self.nodes.len()]);
        while !left.is_empty() {
            let ready = left.iter().copied().find(|segment| {
                let own = (0..self.nodes.len()).filter(|n| segment_of.get(*n) == Some(segment));
                own.filter_map(|n| self.nodes.get(n))
                    .flat_map(|n| &n.inputs)
                    .all(|input| segment_of.get(*input).is_some_and(|s| s == segment || done.contains(s)))
            });
            let Some(segment) = ready else { break };
            left.remove(&segment);
            done.insert(segment);
            let nodes: Vec<NodeId> = (0..self.nodes.len()).filter(|n| segment_of.get(*n) == Some(&segment)).collect();
            let partitions = nodes.iter().filter_map(|n| self.nodes.get(*n)).map(|n| n.partitions).max().unwrap_or(1);
            for n in &nodes {
                if let Some(place) = number.get_mut(*n) {
                    *place = segments.len();
                }
            }
            let stage = nodes.first().and_then(|n| stages.get(*n)).copied().unwrap_or(0);
            segments.push(Segment { nodes, partitions, stage });
        }
        let mut ordered = false;
        let (mut sources, mut stateful, mut exchanges) = (0, 0, 0);
        let is_source = |n: &Node| matches!(n.kind, NodeKind::Source(_));
        let sources_at: Vec<bool> = self.nodes.iter().map(is_source).collect();
        for ((node, segment), stage) in self.nodes.iter_mut().zip(number).zip(stages) {
            (node.segment, node.stage) = (segment, stage);
            // Rows kept for their old values are numbered by their source: a filter that comes later brings such a node,
            // which must not take the number of one that is there.
            let of_source = matches!(node.kind, NodeKind::Keep { .. })
                && node.inputs.first().and_then(|i| sources_at.get(*i)).copied().unwrap_or(false);
            if of_source {
                node.number = KEPT_SOURCES_FIRST + sources - 1;
            } else if node.is_stateful() || is_source(node) {
                let counter = if node.is_stateful() { &mut stateful } else { &mut sources };
                node.number = *counter;
                *counter += 1;
            } else if matches!(node.kind, NodeKind::Exchange(_)) {
                node.number = exchanges;
                exchanges += 1;
            }
            ordered |= node.timed || node.inputs.len() > 1 || matches!(node.kind, NodeKind::Exchange(_));
        }
        Graph { nodes: self.nodes, segments, root, ordered }
    }
}

fn window_label(window: &WindowSpec) -> String {
    let kind = match window.kind {
        WindowKind::Tumbling { size_ms } => format!("tumbling {size_ms} ms"),
        WindowKind::Hopping { size_ms, advance_ms } => format!("hopping {size_ms} ms by {advance_ms} ms"),
        WindowKind::Session { gap_ms } => format!("session {gap_ms} ms"),
    };
    format!("{kind}, grace {} ms, retention {} ms", window.grace_ms, window.retention_ms)
}

/// How a source's keys end.
pub(crate) fn window_suffix_bytes(window: Option<KeyWindow>) -> usize {
    match window {
        None => 0,
        Some(KeyWindow::Time { .. }) => 8,
        Some(KeyWindow::Session) => 16,
    }
}
