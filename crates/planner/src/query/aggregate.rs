//! GROUP BY, aggregates, WINDOW and HAVING.
//!
//! A select list over groups is made of group expressions, aggregate calls and window bounds. Each of these becomes a
//! column of the Aggregate node; what is written around them is evaluated over those columns.

use std::sync::Arc;

use catalog::{KeyWindow, SourceKind};
use syntax::ast::{Emit, Expr, ExprKind, Literal, Select, Window, WindowKind};
use types::{Error, Result, Span, SqlType};

use super::{
    COMPUTED, Env, Mode, calls, filter,
    input::{Input, KeyColumn, KeyName, KeyOrigin, Partitioning, column},
    partition, resolve,
    resolve::resolve,
    select,
    select_list::Item,
    text::{self, Style},
    walk,
};
use crate::{
    expr::{Scope, ScopeColumn},
    plan::{AggregateCall, FieldDef, Fields, NullKeys, Plan, PlanNode, WindowSpec},
};

/// For how long late rows are taken unless GRACE PERIOD or EMIT FINAL says so: this less the window's size.
const DEFAULT_GRACE_MS: i64 = 24 * 60 * 60 * 1000;

/// Whether `expr` calls an aggregate function.
pub(super) fn contains(expr: &Expr) -> bool {
    walk::any(expr, &mut is_call)
}

/// Whether `expr` is a call of an aggregate function.
pub(super) fn is_call(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { name, .. } if functions::aggregate::lookup(&name.value).is_some())
}

/// `input` grouped, and `items` over the groups.
pub(super) fn apply(
    env: &Env<'_>,
    select: &Select,
    emit: Option<Emit>,
    input: Input,
    items: Vec<Item>,
    mode: &Mode,
) -> Result<(Input, Vec<Item>)> {
    check_clauses(select, emit, &items, mode)?;
    let groups = group_expressions(select, &input)?;
    let style = if input.is_single() { Style::Short } else { Style::Qualified };
    let mut over = OverGroups::new(&groups, select.window.is_some(), style);
    let (items, strangers) = rewrite_items(&mut over, items)?;
    let having = match &select.having {
        Some(having) => Some(rewrite_having(&mut over, having, &input)?),
        None => None,
    };
    check_functions(env, &strangers, &input)?;
    if over.calls.is_empty() {
        let error = Error::invalid("GROUP BY requires aggregate functions in either the SELECT or HAVING clause");
        let at = select.group_by.first().map_or(select.span, |g| g.span);
        return Err(error.at(at).with_hint("add COUNT(*)"));
    }
    check_grouped(&strangers)?;
    let mut grouped = grouped(env, select, emit, input, &groups, &over.calls)?;
    if let Some(having) = having {
        let predicate = env.bind_condition(&having, &grouped.scope, "HAVING")?;
        grouped.plan = filter::over(grouped.plan, predicate);
    }
    Ok((grouped, items))
}

/// The groups of `input`, with `calls` over each.
pub(super) fn grouped(
    env: &Env<'_>,
    select: &Select,
    emit: Option<Emit>,
    input: Input,
    groups: &[Expr],
    calls: &[Expr],
) -> Result<Input> {
    let calls = calls::bind_all(env, &input, calls, select.window.as_ref())?;
    let key = group_keys(env, &input, groups)?;
    let window = select.window.as_ref().map(|w| window_spec(w, emit)).transpose()?;
    let (emit_final, idle_ms) = match emit {
        Some(Emit::Final { idle_ms }) => (true, idle_ms),
        _ => (false, None),
    };
    let how = How { window, emit_final, idle_ms, null_keys: select.null_groups };
    Ok(node(exchanged(env, input, key, how.null_keys), calls, how))
}

/// How groups are made.
#[derive(Clone, Copy)]
struct How {
    window: Option<WindowSpec>,
    emit_final: bool,
    idle_ms: Option<i64>,
    null_keys: bool,
}

fn check_clauses(select: &Select, emit: Option<Emit>, items: &[Item], mode: &Mode) -> Result<()> {
    if let Some(partition) = select.partition_by.first() {
        let error = Error::invalid("GROUP BY and PARTITION BY cannot stand together").at(partition.span);
        return Err(error.with_hint("the key of groups is what GROUP BY names"));
    }
    select::check_emit_final(select, emit)?;
    if select.group_by.is_empty() && !matches!(mode, Mode::Push) {
        let called = items.iter().find(|i| contains(&i.expr));
        let (what, at) = called.map_or(("an aggregate function", select.span), |i| (i.text.as_str(), i.span));
        let message =
            format!("a query whose result is stored cannot use the aggregate function {what} without GROUP BY");
        return Err(Error::invalid(message).at(at).with_hint("add GROUP BY: its columns are the key of the result"));
    }
    Ok(())
}

/// GROUP BY's expressions, resolved; a constant if there are none, so that all rows are one group.
fn group_expressions(select: &Select, input: &Input) -> Result<Vec<Expr>> {
    if select.group_by.is_empty() {
        let one = Expr { kind: ExprKind::Literal(Literal::Integer("1".to_owned())), span: select.span };
        return Ok(vec![one]);
    }
    let mut groups: Vec<Expr> = Vec::with_capacity(select.group_by.len());
    for expr in &select.group_by {
        select::check_no_aggregates(expr, "GROUP BY")?;
        let group = resolve(expr, &input.scope, "GROUP BY", &[])?;
        let identity = text::identity(&group);
        if !groups.iter().any(|g| text::identity(g) == identity) {
            groups.push(group);
        }
    }
    Ok(groups)
}

/// Rewrites expressions so that they read groups and aggregates instead of rows.
pub(super) struct OverGroups {
    /// Group expressions: what identifies them, and how they are shown.
    groups: Vec<(String, String)>,
    windowed: bool,
    style: Style,
    /// Calls, each once.
    calls: Vec<Expr>,
    identities: Vec<String>,
}

impl OverGroups {
    pub fn new(groups: &[Expr], windowed: bool, style: Style) -> OverGroups {
        let groups = groups.iter().map(|g| (text::identity(g), text::write(g, style))).collect();
        OverGroups { groups, windowed, style, calls: Vec::new(), identities: Vec::new() }
    }

    /// `expr` over groups; `false` besides if it reads a column of single rows.
    pub fn rewrite(&mut self, expr: &Expr) -> Result<(Expr, bool)> {
        let mut whole = true;
        let rewritten = walk::rewrite(expr, &mut |e, params| {
            let identity = text::identity(e);
            if let Some((_, shown)) = self.groups.iter().find(|(g, _)| *g == identity) {
                return Ok(Some(resolve::named(Some(COMPUTED), shown, e.span)));
            }
            if is_call(e) {
                return Ok(Some(self.call(e, identity)?));
            }
            if let ExprKind::Column { qualifier, name } = &e.kind {
                let parameter = qualifier.is_none() && params.contains(&name.value);
                let bound = self.windowed && qualifier.is_none() && resolve::is_window_bound(&name.value);
                whole &= parameter || bound;
            }
            Ok(None)
        })?;
        Ok((rewritten, whole))
    }

    fn call(&mut self, call: &Expr, identity: String) -> Result<Expr> {
        check_not_nested(call)?;
        if !self.identities.contains(&identity) {
            self.identities.push(identity);
            self.calls.push(call.clone());
        }
        Ok(resolve::named(Some(COMPUTED), &text::write(call, self.style), call.span))
    }
}

fn check_not_nested(call: &Expr) -> Result<()> {
    let ExprKind::Call { args, filter, .. } = &call.kind else { return Ok(()) };
    if args.iter().chain(filter.as_deref()).any(contains) {
        let message = format!("Aggregate functions can not be nested: {}", text::write(call, Style::Short));
        return Err(Error::invalid(message).at(call.span));
    }
    let bound = |e: &Expr| matches!(resolve::as_column(e), Some((None, name)) if resolve::is_window_bound(name));
    let mut found = None;
    for part in args.iter().chain(filter.as_deref()) {
        walk::visit(part, &mut |e| {
            if bound(e) {
                found = found
                    .take()
                    .or_else(|| resolve::as_column(e).map(|(_, name)| resolve::window_bound_error(name).at(e.span)));
            }
            true
        });
    }
    found.map_or(Ok(()), Err)
}

/// The items over groups, and those that read columns of single rows.
fn rewrite_items(over: &mut OverGroups, items: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>)> {
    let mut rewritten = Vec::with_capacity(items.len());
    let mut strangers = Vec::new();
    for item in items {
        let (expr, whole) = over.rewrite(&item.expr)?;
        if !whole {
            strangers.push(item.clone());
        }
        rewritten.push(Item { expr, ..item });
    }
    Ok((rewritten, strangers))
}

/// A function that nobody knows may have been meant as an aggregate.
fn check_functions(env: &Env<'_>, strangers: &[Item], input: &Input) -> Result<()> {
    for item in strangers.iter().filter(|i| !contains(&i.expr)) {
        match env.bind(&item.expr, &input.scope, "SELECT") {
            Err(error) if error.sqlstate() == "42883" => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn check_grouped(strangers: &[Item]) -> Result<()> {
    let Some(first) = strangers.first() else { return Ok(()) };
    let names: Vec<&str> = strangers.iter().map(|i| i.text.as_str()).collect();
    let message = format!("Non-aggregate SELECT expression(s) not part of GROUP BY: {}", names.join(", "));
    let hint = "either add the column(s) to the GROUP BY or remove them from the SELECT";
    Err(Error::new(types::ErrorKind::User, "42803", message).at(first.span).with_hint(hint))
}

fn rewrite_having(over: &mut OverGroups, having: &Expr, input: &Input) -> Result<Expr> {
    let resolved = resolve(having, &input.scope, "HAVING", &[])?;
    let (rewritten, whole) = over.rewrite(&resolved)?;
    if !whole {
        let text = text::write(&resolved, Style::Short);
        let message = format!("Non-aggregate HAVING expression not part of GROUP BY: {text}");
        let hint = "conditions on single rows belong into WHERE";
        return Err(Error::new(types::ErrorKind::User, "42803", message).at(having.span).with_hint(hint));
    }
    Ok(rewritten)
}

/// The group expressions as the key that rows are exchanged by.
fn group_keys(env: &Env<'_>, input: &Input, groups: &[Expr]) -> Result<Vec<KeyColumn>> {
    let key = groups.iter().map(|group| {
        let bound = env.bind(group, &input.scope, "GROUP BY")?;
        let Some(ty) = bound.ty else {
            return Err(Error::type_mismatch("GROUP BY NULL has no type").at(group.span).with_hint("use CAST"));
        };
        let style = if input.is_single() { Style::Short } else { Style::Qualified };
        let names = vec![KeyName { expr: group.clone(), text: text::write(group, style) }];
        Ok(KeyColumn { names, value: bound.expr, ty, synthetic: false })
    });
    key.collect()
}

/// `input` with rows of one group in one partition, keyed by the group.
fn exchanged(env: &Env<'_>, input: Input, key: Vec<KeyColumn>, null_keys: bool) -> Input {
    // Rows without a key are wherever their producers put them.
    if partition::same_key(&input.key, &key) && (!null_keys || input.null_keys) {
        return Input { key, ..input };
    }
    let key_format = env.exchange_format(&key, &input.key_format);
    let node = PlanNode::Exchange {
        by: key.iter().map(|k| Arc::clone(&k.value)).collect(),
        key_format: key_format.clone(),
        partitions_like: None,
        nulls: if null_keys { NullKeys::Group } else { NullKeys::Drop },
        input: Box::new(input.plan.clone()),
    };
    Input { plan: Plan { node, ..input.plan }, key, key_format, partitioning: Partitioning::Widest, ..input }
}

fn node(input: Input, calls: Vec<AggregateCall>, how: How) -> Input {
    let How { window, emit_final, idle_ms, null_keys } = how;
    let mut fields = Fields::default();
    let mut scope = Scope::default();
    let mut push = |shown: &str, computed: bool, ty: &SqlType, key: bool, hidden: bool| {
        let (position, name) = (fields.columns.len(), shown.to_owned());
        let qualifier = computed.then(|| COMPUTED.to_owned());
        scope.columns.push(ScopeColumn { qualifier, name: name.clone(), ty: ty.clone(), position, hidden });
        fields.columns.push(FieldDef { qualifier: None, name, ty: ty.clone(), key, hidden });
    };
    for key in &input.key {
        push(key.names.first().map_or("", |n| n.text.as_str()), true, &key.ty, true, false);
    }
    for call in &calls {
        push(&call.text, true, &call.bound.return_type, false, false);
    }
    if window.is_some() {
        push("WINDOWSTART", false, &SqlType::BigInt, false, true);
        push("WINDOWEND", false, &SqlType::BigInt, false, true);
    }
    let grouped = input.key.iter().enumerate().map(|(at, key)| {
        let text = key.names.first().map(|n| n.text.clone()).unwrap_or_default();
        let expr = resolve::named(Some(COMPUTED), &text, Span::default());
        KeyColumn {
            names: vec![KeyName { expr, text }],
            value: column(&fields, at),
            ty: key.ty.clone(),
            synthetic: false,
        }
    });
    let grouped: Vec<KeyColumn> = grouped.collect();
    let Input { plan, sources, key, key_format, partitioning, first, .. } = input;
    let node = PlanNode::Aggregate {
        group_by: key.iter().map(|k| Arc::clone(&k.value)).collect(),
        aggregates: calls,
        window,
        emit_final,
        idle_ms,
        keep_null_keys: null_keys,
        input: Box::new(plan),
    };
    let plan = Plan { node, fields, kind: SourceKind::Table, windowed: window.map(|w| key_window(w.kind)) };
    let key_origin = KeyOrigin::Group;
    Input { plan, scope, sources, key: grouped, key_origin, null_keys, key_format, partitioning, first }
}

fn key_window(kind: WindowKind) -> KeyWindow {
    match kind {
        WindowKind::Tumbling { size_ms } => KeyWindow::Time { hopping: false, size_ms: Some(size_ms) },
        WindowKind::Hopping { size_ms, .. } => KeyWindow::Time { hopping: true, size_ms: Some(size_ms) },
        WindowKind::Session { .. } => KeyWindow::Session,
    }
}

/// WINDOW with its defaults.
fn window_spec(window: &Window, emit: Option<Emit>) -> Result<WindowSpec> {
    let size_ms = match window.kind {
        WindowKind::Tumbling { size_ms } | WindowKind::Hopping { size_ms, .. } => size_ms,
        WindowKind::Session { gap_ms } => gap_ms,
    };
    if size_ms <= 0 {
        return Err(Error::invalid("a window must be longer than nothing").at(window.span));
    }
    if let WindowKind::Hopping { advance_ms, .. } = window.kind
        && (advance_ms <= 0 || advance_ms > size_ms)
    {
        let message = format!("a hopping window advances by 1 to its size, {size_ms} ms; found {advance_ms} ms");
        return Err(Error::invalid(message).at(window.span));
    }
    let default_ms = match emit {
        // Whoever waits for final results does not want to wait a day: they come when the window ends.
        Some(Emit::Final { .. }) => 0,
        _ => DEFAULT_GRACE_MS.saturating_sub(size_ms).max(0),
    };
    let grace_ms = window.grace_ms.unwrap_or(default_ms);
    if grace_ms < 0 {
        return Err(Error::invalid("GRACE PERIOD cannot be negative").at(window.span));
    }
    let needed = size_ms.saturating_add(grace_ms);
    match window.retention_ms {
        Some(retention) if retention < needed && window.grace_ms.is_some() => {
            let message =
                format!("RETENTION ({retention} ms) is shorter than the window and its GRACE PERIOD ({needed} ms)");
            Err(Error::invalid(message).at(window.span))
        }
        asked => Ok(WindowSpec { kind: window.kind, grace_ms, retention_ms: asked.unwrap_or(needed).max(needed) }),
    }
}
