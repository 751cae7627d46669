//! A plan as an indented tree: what EXPLAIN shows before anything runs.

use catalog::{KeyWindow, Source, SourceKind};
use formats::FormatSpec;
use syntax::ast::{JoinKind, WindowKind};

use crate::{
    expr::{as_column, expr_text, name_text, qualified_text},
    plan::{BoundExpr, NullKeys, Plan, PlanNode, QueryPlan, SinkSpec, Start, WindowSpec},
};

/// The tree of `plan`: one node a line, its inputs below it, indented.
///
/// ```text
/// Sink table T: topic T, key [ID BIGINT] KAFKA, value [N BIGINT] JSON
///   Project [ID, COUNT(*) AS N]
///     Aggregate by [S.ID]: COUNT(*)
///       Source stream S: topic s, key KAFKA, value JSON
/// ```
pub fn explain(plan: &QueryPlan) -> String {
    let mut out = String::new();
    line(&mut out, 0, &goal_text(plan));
    node(&mut out, 1, &plan.root);
    out
}

/// Where the rows go.
pub(super) fn goal_text(plan: &QueryPlan) -> String {
    let Some(sink) = &plan.sink else {
        let columns = plan.output.iter().filter_map(|at| plan.root.fields.columns.get(*at));
        let columns: Vec<String> = columns.map(|c| format!("{} {}", name_text(&c.name), c.ty)).collect();
        let limit = plan.limit.map(|n| format!(", limit {n}")).unwrap_or_default();
        return format!("Client [{}]{limit}", columns.join(", "));
    };
    sink_text(plan, sink)
}

fn line(out: &mut String, depth: usize, text: &str) {
    out.push_str(&"  ".repeat(depth));
    out.push_str(text);
    out.push('\n');
}

fn sink_text(plan: &QueryPlan, sink: &SinkSpec) -> String {
    let source = &sink.source;
    let columns = |at: &[usize]| {
        let fields = at.iter().filter_map(|at| plan.root.fields.columns.get(*at));
        fields.map(|c| format!("{} {}", name_text(&c.name), c.ty)).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "Sink {} {}: topic {}, key [{}] {}, value [{}] {}",
        kind(source.kind),
        name_text(&source.name),
        source.topic,
        columns(&sink.key),
        format_text(&source.key_format),
        columns(&sink.value),
        format_text(&source.value_format)
    );
    if let Some(window) = source.windowed {
        text.push_str(&format!(", {}", key_window(window)));
    }
    if let Some((at, _)) = &sink.timestamp {
        text.push_str(&format!(", timestamp {}", columns(&[*at])));
    }
    if let Some(n) = sink.partitions {
        text.push_str(&format!(", {n} partitions"));
    }
    text
}

fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "stream",
        SourceKind::Table => "table",
    }
}

fn format_text(spec: &FormatSpec) -> String {
    let delimiter = spec.delimiter.as_ref().map(|d| format!("('{d}')")).unwrap_or_default();
    let wrap = match spec.wrap_single {
        Some(true) => " wrapped",
        Some(false) => " unwrapped",
        None => "",
    };
    format!("{}{delimiter}{wrap}", spec.name)
}

fn key_window(window: KeyWindow) -> String {
    match window {
        KeyWindow::Session => "session windows".to_owned(),
        KeyWindow::Time { hopping, size_ms } => {
            let what = if hopping { "hopping" } else { "tumbling" };
            let size = size_ms.map(|ms| format!(" of {ms} ms")).unwrap_or_default();
            format!("{what} windows{size}")
        }
    }
}

fn list(exprs: &[BoundExpr]) -> String {
    exprs.iter().map(expr_text).collect::<Vec<_>>().join(", ")
}

/// The keys of one side of a join: columns with their source, since the other side may have their names too.
fn keys(side: &Plan, exprs: &[BoundExpr]) -> String {
    exprs.iter().map(|e| key(side, e)).collect::<Vec<_>>().join(", ")
}

fn key(side: &Plan, expr: &BoundExpr) -> String {
    match as_column(expr).and_then(|at| side.fields.columns.get(at)) {
        Some(field) if field.qualifier.is_some() => qualified_text(field.qualifier.as_deref(), &field.name),
        _ => expr_text(expr),
    }
}

fn equality(left: (&Plan, &[BoundExpr]), right: (&Plan, &[BoundExpr])) -> String {
    format!("[{}] = [{}]", keys(left.0, left.1), keys(right.0, right.1))
}

fn node(out: &mut String, depth: usize, plan: &Plan) {
    line(out, depth, &node_text(plan));
    for input in plan.inputs() {
        node(out, depth + 1, input);
    }
}

/// What a node does, in a line.
pub(super) fn node_text(plan: &Plan) -> String {
    match &plan.node {
        PlanNode::Source { source, start, .. } => source_text(source, start, plan),
        PlanNode::Filter { predicate, .. } => format!("Filter {}", expr_text(predicate)),
        PlanNode::Project { input, exprs } => format!("Project [{}]", projection(plan, input, exprs)),
        PlanNode::FlatMap { calls, .. } => {
            format!("FlatMap {}", calls.iter().map(|c| c.text.clone()).collect::<Vec<_>>().join(", "))
        }
        PlanNode::Exchange { by, key_format, partitions_like, nulls, .. } => {
            exchange_text(by, key_format, partitions_like.as_deref(), *nulls)
        }
        PlanNode::Aggregate { group_by, aggregates, window, emit_final, idle_ms, keep_null_keys, .. } => {
            let calls: Vec<String> = aggregates.iter().map(|c| c.text.clone()).collect();
            let window = window.map(|w| format!(", {}", window_text(w))).unwrap_or_default();
            let last = if *emit_final { ", final" } else { "" };
            let idle = idle_ms.map(|ms| format!(" or idle for {ms} ms")).unwrap_or_default();
            let nulls = if *keep_null_keys { " with NULL" } else { "" };
            format!("Aggregate by [{}]{nulls}: {}{window}{last}{idle}", list(group_by), calls.join(", "))
        }
        PlanNode::Distinct { .. } => "Distinct".to_owned(),
        PlanNode::StreamTableJoin { left, right, kind, left_key, right_key, residual } => {
            let keys = equality((left, left_key), (right, right_key));
            format!("StreamTableJoin {} {keys}{}", join(*kind), and(residual.as_ref()))
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
            let grace = grace_ms.map(|ms| format!(" grace {ms} ms")).unwrap_or_default();
            let (keys, and) = (equality((left, left_key), (right, right_key)), and(residual.as_ref()));
            format!("StreamStreamJoin {} {keys}{and} within -{before_ms}..{after_ms} ms{grace}", join(*kind))
        }
        PlanNode::TableTableJoin { left, right, kind, left_key, right_key, residual } => {
            let keys = equality((left, left_key), (right, right_key));
            format!("TableTableJoin {} {keys}{}", join(*kind), and(residual.as_ref()))
        }
        PlanNode::ForeignKeyJoin { left, right, kind, foreign_key, right_key, residual, .. } => {
            let (pointer, target) = (keys(left, foreign_key), keys(right, right_key));
            format!("ForeignKeyJoin {} {pointer} = {target}{}", join(*kind), and(residual.as_ref()))
        }
        PlanNode::UnionAll { .. } => "UnionAll".to_owned(),
    }
}

fn source_text(source: &Source, start: &Start, plan: &Plan) -> String {
    let alias = plan.fields.columns.first().and_then(|c| c.qualifier.as_deref());
    let alias = alias.filter(|a| *a != source.name && !a.is_empty()).map(|a| format!(" as {}", name_text(a)));
    let start = match start {
        Start::Default => String::new(),
        Start::Earliest => ", from the earliest".to_owned(),
        Start::Latest => ", from the latest".to_owned(),
        Start::Time(ms) => format!(", from time {ms}"),
        Start::Offsets(offsets) => {
            let offsets: Vec<String> =
                offsets.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
            format!(", from offsets {}", offsets.join(","))
        }
        Start::Snapshot => ", first as it stands".to_owned(),
    };
    let window = source.windowed.map(|w| format!(", {}", key_window(w))).unwrap_or_default();
    format!(
        "Source {} {}{}: topic {}, key {}, value {}{window}{start}",
        kind(source.kind),
        name_text(&source.name),
        alias.unwrap_or_default(),
        source.topic,
        format_text(&source.key_format),
        format_text(&source.value_format)
    )
}

fn projection(plan: &Plan, input: &Plan, exprs: &[BoundExpr]) -> String {
    let mut sources = input.fields.columns.iter().filter_map(|c| c.qualifier.as_deref());
    let first = sources.next();
    let joined = sources.any(|s| Some(s) != first);
    let one = |(field, expr): (&crate::plan::FieldDef, &BoundExpr)| {
        let read = as_column(expr).and_then(|at| input.fields.columns.get(at));
        let text = if joined { key(input, expr) } else { expr_text(expr) };
        let same = match read {
            Some(read) => read.name == field.name,
            None => text == field.name,
        };
        if same { text } else { format!("{text} AS {}", name_text(&field.name)) }
    };
    plan.fields.columns.iter().zip(exprs).map(one).collect::<Vec<_>>().join(", ")
}

fn exchange_text(by: &[BoundExpr], key_format: &FormatSpec, like: Option<&Source>, nulls: NullKeys) -> String {
    let like = like.map(|s| format!(" like {}", name_text(&s.name))).unwrap_or_default();
    let nulls = match nulls {
        NullKeys::Keep => ", keeping NULL",
        NullKeys::Drop => "",
        NullKeys::KeepUnmatched => ", keeping NULL unmatched",
        NullKeys::Group => ", with NULL",
    };
    format!("Exchange by [{}] {}{like}{nulls}", list(by), format_text(key_format))
}

/// What else has to hold for two rows to be partners.
fn and(residual: Option<&BoundExpr>) -> String {
    residual.map(|condition| format!(" and {}", expr_text(condition))).unwrap_or_default()
}

fn join(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Right => "right",
        JoinKind::Full => "full",
    }
}

fn window_text(window: WindowSpec) -> String {
    let kind = match window.kind {
        WindowKind::Tumbling { size_ms } => format!("tumbling {size_ms} ms"),
        WindowKind::Hopping { size_ms, advance_ms } => format!("hopping {size_ms} ms by {advance_ms} ms"),
        WindowKind::Session { gap_ms } => format!("session {gap_ms} ms"),
    };
    format!("{kind} grace {} ms retention {} ms", window.grace_ms, window.retention_ms)
}
