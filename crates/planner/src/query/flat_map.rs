//! Table functions in the select list.
//!
//! All calls of one select list are evaluated side by side for a row; each becomes a column of the node, which the
//! expression around the call reads.

use catalog::SourceKind;
use functions::ArgType;
use syntax::ast::{Expr, ExprKind};
use types::{Error, Result};

use super::{
    COMPUTED, Env,
    input::Input,
    resolve,
    select_list::Item,
    text::{self, Style},
    walk,
};
use crate::{
    expr::ScopeColumn,
    plan::{FieldDef, Plan, PlanNode, TableCall},
};

/// `items` with the calls of table functions replaced by columns, and `input` with those columns.
pub(super) fn apply(env: &Env<'_>, input: Input, items: Vec<Item>) -> Result<(Input, Vec<Item>)> {
    let mut calls: Vec<Expr> = Vec::new();
    let mut replaced = Vec::with_capacity(items.len());
    for item in items {
        let expr = walk::rewrite(&item.expr, &mut |e, params| {
            if !is_table_call(e) {
                return Ok(None);
            }
            if !params.is_empty() {
                return Err(Error::unsupported("a table function inside of a lambda").at(e.span));
            }
            check_not_nested(e)?;
            let shown = text::identity(e);
            if !calls.iter().any(|c| text::identity(c) == shown) {
                calls.push(e.clone());
            }
            Ok(Some(resolve::named(Some(COMPUTED), &shown, e.span)))
        })?;
        replaced.push(Item { expr, ..item });
    }
    let Some(first) = calls.first() else { return Ok((input, replaced)) };
    if input.plan.kind == SourceKind::Table {
        let error = Error::unsupported("table functions cannot be applied to a table, only to a stream");
        return Err(error.at(first.span));
    }
    Ok((node(env, input, &calls)?, replaced))
}

fn node(env: &Env<'_>, input: Input, calls: &[Expr]) -> Result<Input> {
    let mut fields = input.plan.fields.clone();
    let mut scope = input.scope.clone();
    let mut bound = Vec::with_capacity(calls.len());
    for call in calls {
        let name = text::identity(call);
        let table_call = bind(env, &input, call)?;
        let ty = table_call.bound.return_type.clone();
        let position = fields.columns.len();
        let qualifier = Some(COMPUTED.to_owned());
        scope.columns.push(ScopeColumn { qualifier, name, ty: ty.clone(), position, hidden: true });
        let name = table_call.text.clone();
        fields.columns.push(FieldDef { qualifier: None, name, ty, key: false, hidden: true });
        bound.push(table_call);
    }
    let (kind, windowed) = (input.plan.kind, input.plan.windowed);
    let node = PlanNode::FlatMap { input: Box::new(input.plan), calls: bound };
    Ok(Input { plan: Plan { node, fields, kind, windowed }, scope, ..input })
}

fn bind(env: &Env<'_>, input: &Input, call: &Expr) -> Result<TableCall> {
    let ExprKind::Call { name, args, .. } = &call.kind else {
        return Err(Error::internal("a table function's call is no call").at(call.span));
    };
    let Some(function) = functions::table::lookup(&name.value) else {
        return Err(Error::internal(format!("{} is no table function", name.value)).at(call.span));
    };
    let typed = args.iter().map(|a| env.bind(a, &input.scope, "SELECT")).collect::<Result<Vec<_>>>()?;
    let types: Vec<ArgType> = typed.iter().map(|t| ArgType::Value(t.ty.clone())).collect();
    let bound = function.bind(&types).map_err(|e| e.at(call.span))?;
    let casts = typed.into_iter().zip(&bound.arg_types).zip(args);
    let args = casts.map(|((typed, ty), arg)| env.cast(typed, ty, arg.span)).collect::<Result<Vec<_>>>()?;
    Ok(TableCall { text: text::write(call, Style::Short), bound, args })
}

fn is_table_call(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { name, .. } if functions::table::lookup(&name.value).is_some())
}

fn check_not_nested(call: &Expr) -> Result<()> {
    let ExprKind::Call { args, .. } = &call.kind else { return Ok(()) };
    if args.iter().any(|a| walk::any(a, &mut is_table_call)) {
        return Err(Error::invalid("Table functions cannot be nested").at(call.span));
    }
    Ok(())
}
