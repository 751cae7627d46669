//! Joins: which kind two sides make, what they are joined by, who has to move, and what the result is keyed by.

use std::sync::Arc;

use catalog::{KeyWindow, SourceKind};
use formats::FormatSpec;
use syntax::ast::{Expr, ExprKind, Join, JoinKind};
use types::{Error, ErrorKind, Result, Span, SqlType};

use super::{
    Env, copartition, filter,
    input::{FromSource, Input, KeyColumn, KeyName, KeyOrigin, Partitioning, column},
    on::{self, Equality, On},
    relation, residual,
    residual::Residual,
    resolve,
    resolve::resolve,
    select,
    text::{self, Style},
    walk,
};
use crate::{
    expr::{Scope, ScopeColumn},
    plan::{BoundExpr, FieldDef, Fields, Plan, PlanNode},
};

/// Plan a join.
pub(super) fn plan(env: &Env<'_>, join: &Join) -> Result<Input> {
    let left = relation::plan(env, &join.left)?;
    let right = relation::plan(env, &join.right)?;
    check_aliases(&left, &right, join.span)?;
    let scope = both(&left, &right);
    check_qualifiers(&join.on, &scope)?;
    let condition = resolve(&join.on, &scope, "JOIN ON", &[])?;
    let mut on = on::analyze(env, &condition, &left, &right)?;
    check_formats(&left, &right, join.span)?;
    let rest = residual::of(&mut on, &left, &right);
    let residual = Residual::new(env, join, &scope, rest, (left.plan.kind, right.plan.kind))?;
    let outer = residual.outer.clone();
    let joined = match (left.plan.kind, right.plan.kind) {
        (SourceKind::Stream, SourceKind::Stream) => stream_stream(env, join, left, right, on, outer)?,
        (SourceKind::Stream, SourceKind::Table) => stream_table(env, join, left, right, on, outer)?,
        (SourceKind::Table, SourceKind::Table) => table_table(env, join, left, right, on, outer)?,
        (SourceKind::Table, SourceKind::Stream) => return Err(table_stream(join, &left, &right, &on)),
    };
    match residual.inner {
        Some(rest) => filter::apply(env, joined, &rest, "JOIN ON"),
        None => Ok(joined),
    }
}

fn check_aliases(left: &Input, right: &Input, span: Span) -> Result<()> {
    let twice = right.sources.iter().find(|r| left.source(&r.alias).is_some());
    match twice {
        Some(source) => {
            let message =
                format!("joins need different names for multiple occurrences of the same source: {}", source.alias);
            Err(Error::new(ErrorKind::User, "42712", message)
                .at(span)
                .with_hint("give each an alias: FROM a x JOIN a y"))
        }
        None => Ok(()),
    }
}

/// A source that is not there is told before columns that could be of several sources.
fn check_qualifiers(on: &Expr, scope: &Scope) -> Result<()> {
    let mut found = None;
    walk::visit(on, &mut |e| {
        if let ExprKind::Column { qualifier: Some(qualifier), .. } = &e.kind
            && !scope
                .columns
                .iter()
                .any(|c| c.qualifier.as_ref() == Some(&qualifier.value) || c.name == qualifier.value)
        {
            found = found.take().or_else(|| resolve(e, scope, "JOIN ON", &[]).err());
        }
        found.is_none()
    });
    found.map_or(Ok(()), Err)
}

/// The KAFKA format names no columns, so ksqlDB keeps it out of joins.
fn check_formats(left: &Input, right: &Input, span: Span) -> Result<()> {
    let kafka = |s: &&FromSource| s.source.as_ref().is_some_and(|s| s.value_format.name == "KAFKA");
    let names: Vec<&str> = left.sources.iter().chain(&right.sources).filter(kafka).map(|s| s.alias.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message =
        format!("Source(s) {} are using the 'KAFKA' value format. This format does not support JOIN", names.join(", "));
    Err(Error::unsupported(message).at(span).with_hint("copy the source to another VALUE_FORMAT first"))
}

fn both(left: &Input, right: &Input) -> Scope {
    let width = left.plan.fields.columns.len();
    let moved = right.scope.columns.iter().map(|c| ScopeColumn { position: c.position + width, ..c.clone() });
    Scope { columns: left.scope.columns.iter().cloned().chain(moved).collect() }
}

fn stream_stream(
    env: &Env<'_>,
    join: &Join,
    left: Input,
    right: Input,
    on: On,
    residual: Option<BoundExpr>,
) -> Result<Input> {
    let Some(within) = join.within else {
        let error = Error::invalid("Stream-stream joins must have a WITHIN clause specified. None was provided");
        return Err(error.at(join.span).with_hint("write WITHIN 1 HOUR, say, before ON"));
    };
    let pair = Pair::new(env, join, left, right, on.equalities)?;
    let Pair { left, right, left_key, right_key, .. } = &pair;
    let node = PlanNode::StreamStreamJoin {
        left: Box::new(left.plan.clone()),
        right: Box::new(right.plan.clone()),
        kind: join.kind,
        left_key: left_key.clone(),
        right_key: right_key.clone(),
        before_ms: within.before_ms,
        after_ms: within.after_ms,
        grace_ms: within.grace_ms,
        residual,
    };
    Ok(pair.keyed(join.kind, node, SourceKind::Stream))
}

fn stream_table(
    env: &Env<'_>,
    join: &Join,
    left: Input,
    right: Input,
    mut on: On,
    residual: Option<BoundExpr>,
) -> Result<Input> {
    check_no_within(join, "stream-table")?;
    if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
        let message = format!("{} of a stream with a table is not supported", kind_name(join.kind));
        let hint = "only the stream's rows make results: INNER and LEFT joins can do that";
        return Err(Error::unsupported(message).at(join.span).with_hint(hint));
    }
    need_key(&mut on, &right, join, "stream-table joins require to join on the table's primary key")?;
    let pair = Pair::new(env, join, left, right, on.equalities)?;
    let node = PlanNode::StreamTableJoin {
        left: Box::new(pair.left.plan.clone()),
        right: Box::new(pair.right.plan.clone()),
        kind: join.kind,
        left_key: pair.left_key.clone(),
        right_key: pair.right_key.clone(),
        residual,
    };
    Ok(pair.keyed_by_left(node))
}

fn table_table(
    env: &Env<'_>,
    join: &Join,
    left: Input,
    right: Input,
    mut on: On,
    residual: Option<BoundExpr>,
) -> Result<Input> {
    check_no_within(join, "table-table")?;
    need_key(&mut on, &right, join, "table-table joins require to join on the primary key of the right input table")?;
    if !is_key(&on.equalities, &left) {
        return foreign_key(join, left, right, &on, residual);
    }
    let pair = Pair::new(env, join, left, right, on.equalities)?;
    let node = PlanNode::TableTableJoin {
        left: Box::new(pair.left.plan.clone()),
        right: Box::new(pair.right.plan.clone()),
        kind: join.kind,
        left_key: pair.left_key.clone(),
        right_key: pair.right_key.clone(),
        residual,
    };
    Ok(pair.keyed(join.kind, node, SourceKind::Table))
}

fn foreign_key(join: &Join, left: Input, right: Input, on: &On, residual: Option<BoundExpr>) -> Result<Input> {
    if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
        let message = format!("{} on a foreign key is not supported", kind_name(join.kind));
        return Err(Error::unsupported(message).at(join.span));
    }
    check_windows(&left, &right, join.span)?;
    if left.key.is_empty() || right.key.is_empty() {
        return Err(Error::internal("a table has no key").at(join.span));
    }
    let placed_like = |side: &Input| match &side.partitioning {
        Partitioning::Like(source) => Some(Arc::clone(source)),
        Partitioning::Widest => None,
    };
    let node = PlanNode::ForeignKeyJoin {
        left: Box::new(left.plan.clone()),
        right: Box::new(right.plan.clone()),
        kind: join.kind,
        left_key: left.key.iter().map(|k| Arc::clone(&k.value)).collect(),
        left_key_format: left.key_format.clone(),
        left_source: placed_like(&left),
        foreign_key: on.equalities.iter().map(|e| Arc::clone(&e.left_bound.expr)).collect(),
        right_key: right.key.iter().map(|k| Arc::clone(&k.value)).collect(),
        right_key_format: right.key_format.clone(),
        right_source: placed_like(&right),
        residual,
    };
    let scope = both(&left, &right);
    let mut fields = left.plan.fields.clone();
    fields.columns.extend(right.plan.fields.columns.iter().map(|c| FieldDef { key: false, ..c.clone() }));
    let qualified = |k: KeyColumn| {
        let names = k.names.into_iter().map(|n| KeyName { text: text::write(&n.expr, Style::Qualified), ..n });
        KeyColumn { names: names.collect(), ..k }
    };
    Ok(Input {
        plan: Plan { node, fields, kind: SourceKind::Table, windowed: left.plan.windowed },
        scope,
        sources: left.sources.into_iter().chain(right.sources).collect(),
        key: left.key.into_iter().map(qualified).collect(),
        key_origin: KeyOrigin::ForeignKeyJoin,
        null_keys: left.null_keys,
        key_format: left.key_format,
        partitioning: left.partitioning,
        first: left.first,
    })
}

fn table_stream(join: &Join, left: &Input, right: &Input, on: &On) -> Error {
    let first = on.equalities.first();
    let l = first.map_or_else(String::new, |e| on::source_name(&e.left, &left.sources));
    let r = first.map_or_else(String::new, |e| on::source_name(&e.right, &right.sources));
    let kind = match join.kind {
        JoinKind::Inner => "[INNER] JOIN",
        JoinKind::Left => "LEFT [OUTER] JOIN",
        JoinKind::Right => "RIGHT [OUTER] JOIN",
        JoinKind::Full => "FULL [OUTER] JOIN",
    };
    let message = format!(
        "Invalid join order: table-stream joins are not supported; only stream-table joins. Got {l} {kind} {r}"
    );
    Error::invalid(message).at(join.span).with_hint("write the stream first")
}

fn kind_name(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "INNER JOIN",
        JoinKind::Left => "LEFT OUTER JOIN",
        JoinKind::Right => "RIGHT OUTER JOIN",
        JoinKind::Full => "FULL OUTER JOIN",
    }
}

/// Bring the equalities into the order of `right`'s key, which must be all of their right sides; `rule` says so.
fn need_key(on: &mut On, right: &Input, join: &Join, rule: &str) -> Result<()> {
    if order_by_key(&mut on.equalities, right) {
        return Ok(());
    }
    if on.equalities.len() > 1 {
        let message =
            format!("Invalid join condition: joins on multiple conditions are not supported. Got {}", on.text);
        let hint = "join on one and put the others into WHERE";
        return Err(Error::unsupported(message).at(join.span).with_hint(hint));
    }
    let (got, span) = on.equalities.first().map_or(("", Span::default()), |e| (e.text.as_str(), e.span));
    Err(Error::invalid(format!("Invalid join condition: {rule}. Got {got}")).at(span))
}

fn check_no_within(join: &Join, what: &str) -> Result<()> {
    match join.within {
        Some(within) => {
            let message = format!("WITHIN is for joins of two streams; a {what} join is not windowed");
            Err(Error::invalid(message).at(within.span).with_hint("leave WITHIN away"))
        }
        None => Ok(()),
    }
}

/// Whether the right sides are the whole key of `right`; brings them into its order if they are.
fn order_by_key(equalities: &mut [Equality], right: &Input) -> bool {
    if equalities.len() != right.key.len() {
        return false;
    }
    let place = |e: &Equality| right.key.iter().position(|k| means(k, &e.right));
    let mut places: Vec<usize> = equalities.iter().filter_map(place).collect();
    places.sort_unstable();
    places.dedup();
    if places.len() != right.key.len() {
        return false;
    }
    equalities.sort_by_key(|e| place(e));
    true
}

/// Whether the left sides are the key of `left`, in its order.
fn is_key(equalities: &[Equality], left: &Input) -> bool {
    equalities.len() == left.key.len() && equalities.iter().zip(&left.key).all(|(e, k)| means(k, &e.left))
}

/// Whether `expr` is that column of a key.
pub(super) fn means(key: &KeyColumn, expr: &Expr) -> bool {
    let wanted = text::identity(expr);
    key.names.iter().any(|n| text::identity(&n.expr) == wanted)
}

fn check_windows(left: &Input, right: &Input, span: Span) -> Result<()> {
    let name = |side: &Input| side.sources.first().map_or("", |s| s.alias.as_str()).to_owned();
    let (l, r) = (left.plan.windowed, right.plan.windowed);
    let session = |w: Option<KeyWindow>| matches!(w, Some(KeyWindow::Session));
    let (l_name, r_name) = (select::window_name(l), select::window_name(r));
    if l.is_some() != r.is_some() {
        let message = format!(
            "Can not join windowed source to non-windowed source: `{}` is {l_name} windowed, `{}` is {r_name} windowed",
            name(left),
            name(right)
        );
        return Err(Error::invalid(message).at(span));
    }
    if session(l) != session(r) {
        let message =
            format!("Incompatible windowed sources: `{}` is {l_name}, `{}` is {r_name}", name(left), name(right));
        let hint = "session windows can only be joined to session windows, time windows to time windows";
        return Err(Error::invalid(message).at(span).with_hint(hint));
    }
    Ok(())
}

/// Two sides, moved to where their keys meet.
struct Pair {
    left: Input,
    right: Input,
    left_key: Vec<BoundExpr>,
    right_key: Vec<BoundExpr>,
    key_format: FormatSpec,
    partitioning: Partitioning,
    /// For each equality: its type, and the names by which the result's key can be selected.
    keys: Vec<(SqlType, Vec<KeyName>)>,
}

impl Pair {
    fn new(env: &Env<'_>, join: &Join, left: Input, right: Input, equalities: Vec<Equality>) -> Result<Pair> {
        check_windows(&left, &right, join.span)?;
        let keyed = |equalities: &[Equality], side: &Input, expr: fn(&Equality) -> &Expr| {
            let matches = equalities.iter().zip(&side.key).all(|(e, k)| means(k, expr(e)));
            equalities.len() == side.key.len() && matches
        };
        let left_keyed = keyed(&equalities, &left, |e| &e.left);
        let right_keyed = keyed(&equalities, &right, |e| &e.right);
        let mut keys = Vec::with_capacity(equalities.len());
        for (at, equality) in equalities.iter().enumerate() {
            let mut names = names_of(&equality.left, left.key.get(at).filter(|_| left_keyed));
            names.extend(names_of(&equality.right, right.key.get(at).filter(|_| right_keyed)));
            let ty = equality.left_bound.ty.clone();
            let ty = ty.ok_or_else(|| Error::internal("a join key has no type").at(equality.span))?;
            check_no_maps(&ty, equality)?;
            keys.push((ty, names));
        }
        let value = |side: &Input, keyed: bool, at: usize, bound: &BoundExpr| match side.key.get(at) {
            Some(key) if keyed => Arc::clone(&key.value),
            _ => Arc::clone(bound),
        };
        let pairs = equalities.iter().enumerate();
        let left_key: Vec<_> = pairs.clone().map(|(at, e)| value(&left, left_keyed, at, &e.left_bound.expr)).collect();
        let right_key: Vec<_> = pairs.map(|(at, e)| value(&right, right_keyed, at, &e.right_bound.expr)).collect();
        let types: Vec<SqlType> = keys.iter().map(|(ty, _)| ty.clone()).collect();
        let sides = copartition::Sides { left, right, left_key, right_key, left_keyed, right_keyed };
        let met = copartition::meet(env, sides, &types, join.span)?;
        let mut pair = Pair {
            left: met.left,
            right: met.right,
            left_key: met.left_key,
            right_key: met.right_key,
            key_format: met.key_format,
            partitioning: met.partitioning,
            keys,
        };
        pair.add_windows();
        Ok(pair)
    }

    /// Windowed sides match window by window.
    fn add_windows(&mut self) {
        let session = matches!(self.left.plan.windowed, Some(KeyWindow::Session));
        let (Some(l), Some(r)) = (self.left.window_bounds(), self.right.window_bounds()) else { return };
        self.left_key.push(column(&self.left.plan.fields, l.0));
        self.right_key.push(column(&self.right.plan.fields, r.0));
        if session {
            self.left_key.push(column(&self.left.plan.fields, l.1));
            self.right_key.push(column(&self.right.plan.fields, r.1));
        }
    }

    /// The result of a join whose node gives the key as columns of its own.
    fn keyed(self, kind: JoinKind, node: PlanNode, result: SourceKind) -> Input {
        let windowed = self.left.plan.windowed;
        let mut scope = both(&self.left, &self.right);
        let sides = self.left.plan.fields.columns.iter().chain(&self.right.plan.fields.columns);
        let mut fields = Fields { columns: sides.map(|c| FieldDef { key: false, ..c.clone() }).collect() };
        let mut key = Vec::with_capacity(self.keys.len());
        for (ty, names) in &self.keys {
            let synthetic = kind == JoinKind::Full || names.is_empty();
            let position = fields.columns.len();
            let names = if synthetic {
                let name = synthetic_name(&scope);
                let expr = resolve::named(None, &name, Span::default());
                let column =
                    ScopeColumn { qualifier: None, name: name.clone(), ty: ty.clone(), position, hidden: false };
                scope.columns.push(column);
                vec![KeyName { expr, text: name }]
            } else {
                names.clone()
            };
            let name = names.first().map(|n| n.text.clone()).unwrap_or_default();
            fields.columns.push(FieldDef { qualifier: None, name, ty: ty.clone(), key: true, hidden: !synthetic });
            key.push(KeyColumn { names, value: column(&fields, position), ty: ty.clone(), synthetic });
        }
        for name in ["WINDOWSTART", "WINDOWEND"].iter().take(self.left_key.len().saturating_sub(self.keys.len())) {
            let position = fields.columns.len();
            let (name, ty) = ((*name).to_owned(), SqlType::BigInt);
            scope.columns.push(ScopeColumn {
                qualifier: None,
                name: name.clone(),
                ty: ty.clone(),
                position,
                hidden: true,
            });
            fields.columns.push(FieldDef { qualifier: None, name, ty, key: false, hidden: true });
        }
        let plan = Plan { node, fields, kind: result, windowed };
        self.input(plan, scope, key)
    }

    /// The result of a stream-table join: keyed by the stream's side.
    fn keyed_by_left(self, node: PlanNode) -> Input {
        let scope = both(&self.left, &self.right);
        let mut fields = self.left.plan.fields.clone();
        fields.columns.extend(self.right.plan.fields.columns.iter().map(|c| FieldDef { key: false, ..c.clone() }));
        let keys = self.keys.iter().zip(&self.left_key).map(|((ty, names), value)| KeyColumn {
            names: names.clone(),
            value: Arc::clone(value),
            ty: ty.clone(),
            synthetic: false,
        });
        let keys = keys.collect();
        let plan = Plan { node, fields, kind: SourceKind::Stream, windowed: self.left.plan.windowed };
        self.input(plan, scope, keys)
    }

    fn input(self, plan: Plan, scope: Scope, key: Vec<KeyColumn>) -> Input {
        Input {
            plan,
            scope,
            sources: self.left.sources.into_iter().chain(self.right.sources).collect(),
            key,
            key_origin: KeyOrigin::Join,
            null_keys: false,
            key_format: self.key_format,
            partitioning: self.partitioning,
            first: self.left.first,
        }
    }
}

/// Rows are brought together by the bytes of their keys, and those of equal maps may differ.
fn check_no_maps(ty: &SqlType, equality: &Equality) -> Result<()> {
    if !ty.has_map() {
        return Ok(());
    }
    let name = match resolve::as_column(&equality.left) {
        Some((Some(source), column)) => format!("{source}_{column}"),
        Some((None, column)) => column.to_owned(),
        None => text::write(&equality.left, Style::Qualified),
    };
    let message = format!(
        "Map keys, including types that contain maps, are not supported, because equal maps may be serialized \
         differently. Key column name: `{name}`. Column type: {ty}"
    );
    Err(Error::unsupported(message).at(equality.span))
}

/// The names that the key gets from one side: those of its key, if that is what it is joined by, or the column's.
fn names_of(expr: &Expr, key: Option<&KeyColumn>) -> Vec<KeyName> {
    let qualified = |expr: &Expr| KeyName { expr: expr.clone(), text: text::write(expr, Style::Qualified) };
    match key {
        Some(key) => {
            key.names.iter().map(|n| qualified(&n.expr)).filter(|n| resolve::as_column(&n.expr).is_some()).collect()
        }
        None if resolve::as_column(expr).is_some() => vec![qualified(expr)],
        None => Vec::new(),
    }
}

/// ROWKEY, or ROWKEY_n if the sources have that name already.
fn synthetic_name(scope: &Scope) -> String {
    let taken = |name: &str| scope.columns.iter().any(|c| c.name == name);
    let mut name = "ROWKEY".to_owned();
    let mut n = 0_usize;
    while taken(&name) {
        n += 1;
        name = format!("ROWKEY_{n}");
    }
    name
}
