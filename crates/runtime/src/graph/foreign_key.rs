//! A foreign-key join as nodes: there, and back again.
//!
//! Where partitions run by themselves the results of one key come from several of them in any order; then each left row
//! carries how new it is, and where results live only the newest counts.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use catalog::Source;
use formats::FormatSpec;
use operators::{ForeignKeyJoin, ForeignKeySpec, KeepNewest, NumberVersions, Operator};
use planner::{
    expr::{columns_used, remap},
    plan::{BoundExpr, NullKeys, Plan, PlanNode},
};
use types::{Error, Result};

use super::{Builder, NodeId, NodeKind, split, used};

/// Where the left rows of a join live.
struct Home<'a> {
    key: &'a [BoundExpr],
    format: &'a FormatSpec,
    source: Option<&'a Source>,
    partitions: u32,
}

impl Builder<'_> {
    /// The left rows move to the partitions of what they point to, meet it there, and the results move back.
    pub(super) fn foreign_key_join(
        &mut self,
        plan: &Plan,
        old: bool,
        needed: &BTreeSet<usize>,
        depth: u32,
    ) -> Result<NodeId> {
        let PlanNode::ForeignKeyJoin {
            left,
            right,
            kind,
            left_key,
            left_key_format,
            left_source,
            foreign_key,
            right_key,
            right_key_format,
            right_source,
            residual,
        } = &plan.node
        else {
            return Err(Error::internal("not a foreign-key join"));
        };
        if left.windowed.is_some() || right.windowed.is_some() {
            return Err(Error::unsupported("a foreign-key join of windowed tables"));
        }
        let mut needed = needed.clone();
        needed.extend(residual.iter().flat_map(columns_used));
        let [mut l, mut r] = split(&needed, left.fields.columns.len(), right.fields.columns.len());
        l.extend(used(left_key));
        l.extend(used(foreign_key));
        r.extend(used(right_key));
        let left_at = self.node(left, true, &l, depth + 2)?;
        let mut right_at = self.node(right, false, &r, depth + 1)?;
        let partitions = |builder: &Self, at: NodeId| builder.nodes.get(at).map_or(1, |n| n.partitions);
        let (home, place) = (partitions(self, left_at), partitions(self, right_at));
        let by_registry = formats::format(&right_key_format.name)?.uses_registry();
        if by_registry {
            // Equal keys differ by the id of their schema: both sides move, written alike.
            let schema = right.fields.to_arrow();
            right_at =
                self.exchange(schema, right_at, right_key, right_key_format, NullKeys::Keep, place, depth + 1)?;
        }
        let (left_at, left_schema) = match self.in_tasks {
            true => self.versioned(left_at, left.fields.to_arrow()),
            false => (left_at, left.fields.to_arrow()),
        };
        let nulls = NullKeys::KeepUnmatched;
        let left_at =
            self.exchange(left_schema.clone(), left_at, foreign_key, right_key_format, nulls, place, depth + 1)?;
        if !by_registry {
            self.written_like(left_at, right_source.as_deref());
        }
        let (width, added) = (left.fields.columns.len(), left_schema.fields().len() - left.fields.columns.len());
        let behind_left = |at: usize| if at < width { at } else { at + added };
        let spec = ForeignKeySpec {
            left: left_schema.clone(),
            right: right.fields.to_arrow(),
            left_key: left_key.clone(),
            foreign_key: foreign_key.clone(),
            right_key: right_key.clone(),
            kind: *kind,
            residual: residual.as_ref().map(|condition| remap(condition, &behind_left)),
        };
        let pairs: Vec<_> = foreign_key.iter().zip(right_key).map(|(l, r)| format!("{l} = {r}")).collect();
        let and = residual.as_ref().map_or(String::new(), |r| format!(" AND {r}"));
        let label = format!("ForeignKeyJoin {kind:?} on {}{and}", pairs.join(" AND "));
        let make = move || Box::new(ForeignKeyJoin::new(spec.clone())) as Box<dyn Operator>;
        let at = self.operator(Arc::new(make), vec![left_at, right_at], plan, false, label);
        let right_schema = right.fields.to_arrow();
        let fields = left_schema.fields().iter().chain(right_schema.fields()).cloned().collect::<Vec<_>>();
        if let Some(node) = self.nodes.get_mut(at).filter(|_| added > 0) {
            node.schema = Arc::new(Schema::new(fields));
        }
        let home = Home { key: left_key, format: left_key_format, source: left_source.as_deref(), partitions: home };
        self.bring_home(at, plan, (added > 0).then_some(width), &home, (old, depth))
    }

    /// The results, which node `at` makes, move to where their keys live; `version`: the column that says how new they
    /// are.
    fn bring_home(
        &mut self,
        at: NodeId,
        plan: &Plan,
        version: Option<usize>,
        home: &Home<'_>,
        (old, depth): (bool, u32),
    ) -> Result<NodeId> {
        let schema = self.nodes.get(at).map_or_else(|| plan.fields.to_arrow(), |node| node.schema.clone());
        let at = self.exchange(schema.clone(), at, home.key, home.format, NullKeys::Keep, home.partitions, depth)?;
        self.written_like(at, home.source);
        let position = |expr: &BoundExpr| columns_used(expr).into_iter().next();
        let key: Vec<usize> = home.key.iter().filter_map(position).collect();
        let at = match version {
            None => at,
            Some(version) => self.newest(at, schema, (key.clone(), version), plan),
        };
        if !old {
            return Ok(at);
        }
        // What a result was before may have been made in another partition: it is remembered where results live.
        Ok(self.keep(at, key, true, None))
    }

    /// Rows that know how new they are: a last column says it.
    fn versioned(&mut self, input: NodeId, schema: SchemaRef) -> (NodeId, SchemaRef) {
        let version = Field::new("VERSION", DataType::Int64, true);
        let fields = schema.fields().iter().cloned().chain([Arc::new(version)]).collect::<Vec<_>>();
        let widened: SchemaRef = Arc::new(Schema::new(fields));
        let make = || Box::new(NumberVersions::new()) as Box<dyn Operator>;
        let at = self.push(NodeKind::Operator(Arc::new(make)), vec![input], widened.clone(), "Version".into());
        if let Some(node) = self.nodes.get_mut(at) {
            node.stateful = false;
        }
        (at, widened)
    }

    /// Of rows by the key columns `key` that come from several partitions, those that no newer one has overtaken, without
    /// the column `version` that says how new they are.
    fn newest(&mut self, input: NodeId, schema: SchemaRef, (key, version): (Vec<usize>, usize), plan: &Plan) -> NodeId {
        let names: Vec<_> = key.iter().filter_map(|k| schema.fields().get(*k)).map(|f| f.name().clone()).collect();
        let label = format!("Newest by {}", names.join(", "));
        let make = move || Box::new(KeepNewest::new(schema.clone(), key.clone(), version)) as Box<dyn Operator>;
        self.operator(Arc::new(make), vec![input], plan, false, label)
    }
}
