//! Continuous SELECT → [`QueryPlan`]: CREATE … AS SELECT, INSERT INTO … SELECT, push queries.
//!
//! A query is planned clause by clause (`select`), each turning the [`input::Input`] of the clauses below it into that
//! of the next: a plan node, the names of its columns, and what keys and partitions its rows. Names are resolved
//! before anything is bound, so that expressions can be compared as ksqlDB compares them (`text`). At the end, columns
//! that nobody reads are taken out (`prune`).

mod aggregate;
mod calls;
mod copartition;
mod create;
mod distinct;
mod explain;
mod filter;
mod flat_map;
mod input;
mod insert;
mod join;
mod key;
mod on;
mod partition;
mod prune;
mod relation;
mod residual;
mod resolve;
mod select;
mod select_list;
mod sink;
pub mod stages;
mod text;
mod union;
mod upgrade;
mod walk;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod conformance_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod tests;

use std::{cell::RefCell, sync::Arc};

use arrow::array::ArrayRef;
use catalog::{Catalog, SourceKind};
use formats::{FormatSpec, Part};
use syntax::ast::{Expr, ExprKind, Ident, Query};
use types::{Column, Error, Result, Span, SqlType};

pub use create::plan_create_as_select;
pub use explain::explain;
pub use insert::plan_insert_select;
pub use stages::stages;

use crate::{
    expr::{self, Bound, Context, Scope, ScopeColumn},
    plan::{BoundExpr, QueryPlan, Surroundings},
    properties::{default_format, is_on},
};
use input::KeyColumn;

/// How deep subqueries and views may stand in each other.
const DEPTH_MAX: usize = 16;

/// The source of columns that are computed below (aggregates, table functions); no identifier can be this.
const COMPUTED: &str = "\u{0}";

/// What a result is for.
#[derive(Debug, Clone)]
enum Mode {
    /// A topic: the key must be selected, names must be free.
    Persistent {
        /// The stream or table.
        name: String,
        /// Which of the two.
        kind: SourceKind,
    },
    /// A client.
    Push,
    /// The FROM of another query.
    Derived,
}

/// What queries are planned against.
#[derive(Clone)]
struct Env<'a> {
    catalog: &'a Catalog,
    world: &'a dyn Surroundings,
    /// WITH queries in reach, innermost last.
    ctes: Vec<(String, Arc<Query>)>,
    /// Names of the sources read so far, each once; shared by all parts of a query.
    reads: &'a RefCell<Vec<String>>,
    depth: usize,
}

impl<'a> Env<'a> {
    fn new(catalog: &'a Catalog, world: &'a dyn Surroundings, reads: &'a RefCell<Vec<String>>) -> Env<'a> {
        Env { catalog, world, ctes: Vec::new(), reads, depth: 0 }
    }

    /// For a query inside of this one, which stands at `span`.
    fn deeper(&self, span: Span) -> Result<Env<'a>> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX {
            let message = format!("subqueries and views are nested more than {DEPTH_MAX} deep");
            return Err(Error::unsupported(message).at(span));
        }
        Ok(Env { depth, ..self.clone() })
    }

    /// With the WITH queries of a query.
    fn with_queries(&self, queries: &[(Ident, Query)]) -> Env<'a> {
        let mut env = self.clone();
        env.ctes.extend(queries.iter().map(|(name, query)| (name.value.clone(), Arc::new(query.clone()))));
        env
    }

    /// With only the first `n` of its WITH queries: those that the next one may name.
    fn with_ctes(&self, n: usize) -> Env<'a> {
        let mut env = self.clone();
        env.ctes.truncate(n);
        env
    }

    /// The WITH query of that name, and how many stand before it.
    fn cte(&self, name: &str) -> Option<(usize, Arc<Query>)> {
        let at = self.ctes.iter().rposition(|(n, _)| n == name)?;
        self.ctes.get(at).map(|(_, query)| (at, Arc::clone(query)))
    }

    fn note_read(&self, name: &str) {
        let mut reads = self.reads.borrow_mut();
        if !reads.iter().any(|r| r == name) {
            reads.push(name.to_owned());
        }
    }

    /// Bind a resolved expression.
    fn bind(&self, expr: &Expr, scope: &Scope, clause: &str) -> Result<Bound> {
        let shown = |e: &Expr| Ok(shown(e, scope));
        expr::bind(expr, scope, &Context::new(self.catalog, clause).with_intercept(&shown))
    }

    /// Bind a resolved condition.
    fn bind_condition(&self, expr: &Expr, scope: &Scope, clause: &str) -> Result<BoundExpr> {
        let shown = |e: &Expr| Ok(shown(e, scope));
        expr::bind_predicate(expr, scope, &Context::new(self.catalog, clause).with_intercept(&shown))
    }

    /// An argument as the type that a function takes it as.
    fn cast(&self, bound: Bound, to: &SqlType, span: Span) -> Result<BoundExpr> {
        if bound.ty.as_ref() == Some(to) {
            return Ok(bound.expr);
        }
        expr::cast(bound, to, true).map_err(|e| e.at(span))
    }

    /// The value of an expression that reads no column.
    fn constant(&self, expr: &BoundExpr) -> Result<Option<ArrayRef>> {
        expr::constant_or_reason(expr)
    }

    /// How to write the key of an exchange: as `wanted`, if that can be.
    fn exchange_format(&self, key: &[KeyColumn], wanted: &FormatSpec) -> FormatSpec {
        let types: Vec<SqlType> = key.iter().map(|k| k.ty.clone()).collect();
        self.exchange_format_of(&types, wanted)
    }

    /// As [`Env::exchange_format`], for key columns of those types.
    fn exchange_format_of(&self, types: &[SqlType], wanted: &FormatSpec) -> FormatSpec {
        let columns = types.iter().enumerate().map(|(at, ty)| Column::key(format!("K{at}"), ty.clone()));
        let columns: Vec<Column> = columns.collect();
        let writes = |spec: &FormatSpec| {
            let format = formats::format(&spec.name);
            spec.name != "NONE" && format.is_ok_and(|f| f.check(Part::Key, &columns, spec).is_ok())
        };
        let plain = |name: &str| FormatSpec { name: name.to_owned(), ..FormatSpec::default() };
        let default = plain(&default_key_format(self.world).unwrap_or_default());
        [wanted, &default].into_iter().find(|spec| writes(spec)).cloned().unwrap_or_else(|| plain("JSON"))
    }

    /// Whether a persistent query over one source may leave key columns out, or order them as it likes.
    fn keys_may_be_left_out(&self) -> bool {
        is_on(self.world, "ksql.new.query.planner.enabled", false)
    }

    /// Whether queries begin at the first record.
    fn starts_at_earliest(&self) -> bool {
        let set = ["auto.offset.reset", "ksql.streams.auto.offset.reset"].iter().find_map(|p| self.world.property(p));
        set.is_some_and(|v| v.trim().eq_ignore_ascii_case("earliest"))
    }
}

/// How keys are written where nobody says.
fn default_key_format(world: &dyn Surroundings) -> Result<String> {
    Ok(default_format("key", world)?.unwrap_or_else(|| "KAFKA".to_owned()))
}

/// How columns are shown in messages and EXPLAIN, where that is not how they are resolved: what was computed below as
/// what was computed, and those of the only source without its name.
fn shown(expr: &Expr, scope: &Scope) -> Option<Bound> {
    let ExprKind::Column { qualifier: Some(qualifier), name } = &expr.kind else { return None };
    let computed = qualifier.value == COMPUTED;
    if !computed && !only_source(scope.columns.iter().map(|c| c.qualifier.as_deref()), &qualifier.value) {
        return None;
    }
    let same = |c: &&ScopeColumn| c.qualifier.as_ref() == Some(&qualifier.value) && c.name == name.value;
    let column = scope.columns.iter().find(same)?;
    let text = if computed { column.name.clone() } else { expr::name_text(&column.name) };
    Some(Bound::column(&text, column.position, column.ty.clone()))
}

/// Whether no other source than `source` is among the qualifiers of columns.
fn only_source<'a>(mut qualifiers: impl Iterator<Item = Option<&'a str>>, source: &str) -> bool {
    qualifiers.all(|q| q.is_none_or(|q| q == source || q == COMPUTED))
}

/// Plan a push query: SELECT … EMIT CHANGES without a sink.
///
/// # Errors
/// What is wrong with the query, with its place in the statement.
pub fn plan_push(query: &Query, catalog: &Catalog, world: &dyn Surroundings) -> Result<QueryPlan> {
    let reads = RefCell::default();
    let env = Env::new(catalog, world, &reads);
    let selected = select::plan_query(&env, query, &Mode::Push)?;
    let root = prune::prune(selected.plan);
    let output = (0..selected.visible).collect();
    let limit = query.limit;
    let from_earliest = env.starts_at_earliest();
    Ok(QueryPlan { root, sink: None, limit, reads: reads.into_inner(), from_earliest, output })
}
