//! What a clause gets from the clauses below it: a plan, the names of its columns, and what keys and partitions it.

use std::sync::Arc;

use catalog::{KeyWindow, Source};
use datafusion::physical_expr::expressions::Column;
use formats::FormatSpec;
use syntax::ast::Expr;
use types::SqlType;

use super::only_source;
use crate::{
    expr::{Scope, name_text, qualified_text},
    plan::{BoundExpr, Fields, Plan},
};

/// A planned part of a query.
#[derive(Clone)]
pub(super) struct Input {
    /// The node.
    pub plan: Plan,
    /// How its columns are called.
    pub scope: Scope,
    /// What FROM names, from left to right.
    pub sources: Vec<FromSource>,
    /// What identifies (tables) or partitions (streams) its rows; empty: nothing does.
    pub key: Vec<KeyColumn>,
    /// Where the key comes from.
    pub key_origin: KeyOrigin,
    /// Whether key columns may be NULL: GROUP BY … INCLUDE NULLS.
    pub null_keys: bool,
    /// How the key is written where rows were last partitioned by it.
    pub key_format: FormatSpec,
    /// Where rows are.
    pub partitioning: Partitioning,
    /// The left-most source: formats and partitions are inherited from it.
    pub first: Arc<Source>,
}

/// One name in FROM.
#[derive(Debug, Clone)]
pub(super) struct FromSource {
    /// Its alias, or its name.
    pub alias: String,
    /// What its topic is called; none for subqueries.
    pub source: Option<Arc<Source>>,
    /// Key columns.
    pub keys: Vec<String>,
    /// The other columns that `*` means, in order.
    pub values: Vec<String>,
    /// Whether rows are keyed by window too.
    pub windowed: Option<KeyWindow>,
    /// Whether it is a table.
    pub table: bool,
}

/// A column of the key.
#[derive(Clone)]
pub(super) struct KeyColumn {
    /// The expressions that mean it in a projection, best first; never empty.
    pub names: Vec<KeyName>,
    /// Its value, over the input's columns.
    pub value: BoundExpr,
    /// Its type.
    pub ty: SqlType,
    /// Whether no source has it (its name is the first of `names`): then `*` adds it.
    pub synthetic: bool,
}

/// A name of a key column.
#[derive(Debug, Clone)]
pub(super) struct KeyName {
    /// As resolved over the input's scope.
    pub expr: Expr,
    /// As errors quote it.
    pub text: String,
}

/// Where a key comes from: errors about it say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyOrigin {
    /// The source's own.
    Source,
    /// ON, by value.
    Join,
    /// The left side of a foreign-key join.
    ForeignKeyJoin,
    /// GROUP BY.
    Group,
    /// PARTITION BY.
    Partition,
}

/// In which partition a row is.
#[derive(Debug, Clone)]
pub(super) enum Partitioning {
    /// Where the producer of that source's topic put it.
    Like(Arc<Source>),
    /// Where an exchange put it: as many partitions as the widest source of the query has.
    Widest,
}

/// Column `at` of a node.
pub(super) fn column(fields: &Fields, at: usize) -> BoundExpr {
    let text = fields.columns.get(at).map(|c| match &c.qualifier {
        Some(source) if !only_source(fields.columns.iter().map(|c| c.qualifier.as_deref()), source) => {
            qualified_text(Some(source), &c.name)
        }
        Some(_) => name_text(&c.name),
        // What was computed is called as it was written.
        None => c.name.clone(),
    });
    Arc::new(Column::new(text.as_deref().unwrap_or_default(), at))
}

impl Input {
    /// Whether FROM is one source alone.
    pub fn is_single(&self) -> bool {
        self.sources.len() == 1
    }

    /// The columns of WINDOWSTART and WINDOWEND, if rows are keyed by window.
    pub fn window_bounds(&self) -> Option<(usize, usize)> {
        self.plan.windowed?;
        let alias = self.sources.first().map(|s| s.alias.as_str());
        let find = |name: &str| {
            let of = |qualifier: Option<&str>| {
                let same = |c: &&crate::expr::ScopeColumn| c.name == name && c.qualifier.as_deref() == qualifier;
                self.scope.columns.iter().find(same).map(|c| c.position)
            };
            of(None).or_else(|| of(alias))
        };
        Some((find("WINDOWSTART")?, find("WINDOWEND")?))
    }

    /// The source of that alias.
    pub fn source(&self, alias: &str) -> Option<&FromSource> {
        self.sources.iter().find(|s| s.alias == alias)
    }
}
