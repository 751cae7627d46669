//! Aggregate calls: functions found, arguments bound, what a table or a session window forbids.

use arrow::array::ArrayRef;
use catalog::SourceKind;
use functions::{ArgType, BoundAggregate};
use syntax::ast::{Expr, ExprKind, Window, WindowKind};
use types::{Error, Result};

use super::{
    Env,
    input::Input,
    text::{self, Style},
};
use crate::plan::AggregateCall;

/// Functions over different values only, by the name of the function over all of them. MIN and MAX cannot tell.
const DISTINCT: [(&str, &str); 7] = [
    ("COLLECT_LIST", "COLLECT_SET"),
    ("COLLECT_SET", "COLLECT_SET"),
    ("COUNT", "COUNT_DISTINCT"),
    ("MAX", "MAX"),
    ("MIN", "MIN"),
    ("TOPK", "TOPKDISTINCT"),
    ("TOPKDISTINCT", "TOPKDISTINCT"),
];

/// Functions that ksqlDB keeps as STRUCTs between records, which DELIMITED cannot write. Here they could run over any
/// format; they are refused so that a script means the same on both.
const KEPT_AS_STRUCTS: [&str; 5] = ["AVG", "CORRELATION", "STDDEV_SAMP", "STDDEV_SAMPLE", "STDDEV_POP"];

/// Bind `calls` over `input`.
pub(super) fn bind_all(
    env: &Env<'_>,
    input: &Input,
    calls: &[Expr],
    window: Option<&Window>,
) -> Result<Vec<AggregateCall>> {
    let bound = calls.iter().map(|call| bind(env, input, call)).collect::<Result<Vec<_>>>()?;
    check_retracts(input, calls, &bound)?;
    check_kept(input, calls)?;
    if let Some(Window { kind: WindowKind::Session { .. }, span, .. }) = window
        && let Some(call) = bound.iter().find(|c| !c.bound.merges)
    {
        return Err(Error::unsupported(format!("{} cannot be used over session windows", call.text)).at(*span));
    }
    Ok(bound)
}

fn bind(env: &Env<'_>, input: &Input, call: &Expr) -> Result<AggregateCall> {
    let ExprKind::Call { name, distinct, args, filter, .. } = &call.kind else {
        return Err(Error::internal("an aggregate call is no call").at(call.span));
    };
    let name = name.value.to_uppercase();
    let name = if *distinct { over_distinct(&name, call)? } else { name };
    let Some(function) = functions::aggregate::lookup(&name) else {
        return Err(Error::undefined_function(format!("there is no aggregate function {name}")).at(call.span));
    };
    let typed = args.iter().map(|a| env.bind(a, &input.scope, "SELECT")).collect::<Result<Vec<_>>>()?;
    let types: Vec<ArgType> = typed.iter().map(|t| ArgType::Value(t.ty.clone())).collect();
    let literals = typed.iter().map(|t| env.constant(&t.expr)).collect::<Result<Vec<Option<ArrayRef>>>>()?;
    let bound: BoundAggregate = function.bind(&types, &literals).map_err(|e| e.at(call.span))?;
    let casts = typed.into_iter().zip(&bound.arg_types).zip(args);
    let args = casts.map(|((typed, ty), arg)| env.cast(typed, ty, arg.span)).collect::<Result<Vec<_>>>()?;
    let filter = filter.as_ref().map(|f| env.bind_condition(f, &input.scope, "FILTER")).transpose()?;
    let style = if input.is_single() { Style::Short } else { Style::Qualified };
    Ok(AggregateCall { text: text::write(call, style), bound, args, filter })
}

fn over_distinct(name: &str, call: &Expr) -> Result<String> {
    match DISTINCT.iter().find(|(all, _)| *all == name) {
        Some((_, distinct)) => Ok((*distinct).to_owned()),
        None => Err(Error::unsupported(format!("{name}(DISTINCT …)")).at(call.span)),
    }
}

/// Rows of tables are taken back when they change, which not every function can do.
fn check_retracts(input: &Input, calls: &[Expr], bound: &[AggregateCall]) -> Result<()> {
    if input.plan.kind != SourceKind::Table {
        return Ok(());
    }
    let stuck = calls.iter().zip(bound).filter(|(_, b)| !b.bound.retracts);
    let stuck: Vec<(&Expr, String)> = stuck.map(|(call, _)| (call, function_name(call))).collect();
    let Some((first, _)) = stuck.first() else { return Ok(()) };
    let names: Vec<&str> = stuck.iter().map(|(_, name)| name.as_str()).collect();
    let (functions, list) = match names.as_slice() {
        [one] => ("function", (*one).to_owned()),
        [init @ .., last] => ("functions", format!("{} and {last}", init.join(", "))),
        [] => ("functions", String::new()),
    };
    let message =
        format!("The aggregation {functions} {list} cannot be applied to a table source, only to a stream source");
    Err(Error::invalid(message).at(first.span))
}

fn check_kept(input: &Input, calls: &[Expr]) -> Result<()> {
    if input.first.value_format.name != "DELIMITED" {
        return Ok(());
    }
    match calls.iter().find(|c| KEPT_AS_STRUCTS.contains(&function_name(c).as_str())) {
        Some(call) => {
            let message = format!(
                "{} has an intermediate type that the value format DELIMITED of {} can not handle",
                function_name(call),
                input.first.name
            );
            let hint = "remove the function, or copy the source to another VALUE_FORMAT first";
            Err(Error::unsupported(message).at(call.span).with_hint(hint))
        }
        None => Ok(()),
    }
}

fn function_name(call: &Expr) -> String {
    match &call.kind {
        ExprKind::Call { name, .. } => name.value.to_uppercase(),
        _ => String::new(),
    }
}
