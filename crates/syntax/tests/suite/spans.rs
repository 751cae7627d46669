//! Spans point into the text that was given, even through variables.

use syntax::{
    ast::{Expr, ExprKind, QueryBody, SelectItem, StatementKind},
    parse, parse_expression, parse_schema,
};

#[test]
fn statements_and_queries_know_their_places() {
    let text = "-- first\nSHOW TOPICS ; CREATE STREAM s AS\n  SELECT é FROM t ; ";
    let statements = parse(text, None).expect("parses");
    let places: Vec<&str> = statements.iter().map(|s| s.span.of(text)).collect();
    assert_eq!(places, ["SHOW TOPICS", "CREATE STREAM s AS\n  SELECT é FROM t"]);
    match &statements[1].kind {
        StatementKind::CreateAsSelect(create) => {
            assert_eq!(create.query.span.of(text), "SELECT é FROM t");
            assert_eq!(create.query.text, "SELECT é FROM t");
            assert_eq!(create.name.span.of(text), "s");
        }
        other => panic!("{other:?}"),
    }
}

fn places(expr: &Expr, text: &str, out: &mut Vec<String>) {
    out.push(expr.span.of(text).to_owned());
    match &expr.kind {
        ExprKind::Binary { left, right, .. } => [left, right].iter().for_each(|e| places(e, text, out)),
        ExprKind::Call { args, .. } => args.iter().for_each(|e| places(e, text, out)),
        ExprKind::Unary { expr, .. } | ExprKind::Cast { expr, .. } => places(expr, text, out),
        _ => {}
    }
}

#[test]
fn expressions_know_their_places() {
    let text = "(a + b) * f(-c, d::int)";
    let mut got = Vec::new();
    places(&parse_expression(text).expect("parses"), text, &mut got);
    assert_eq!(got, [text, "(a + b)", "a", "b", "f(-c, d::int)", "-c", "c", "d::int", "d"]);
    let columns = parse_schema("ID BIGINT KEY, V STRUCT<`A` INTEGER>").expect("parses");
    assert_eq!(columns.iter().map(ToString::to_string).collect::<Vec<_>>(), ["`ID` BIGINT KEY", "V STRUCT<A INTEGER>"]);
    assert!(parse_schema(" ").expect("parses").is_empty());
}

#[test]
fn variables_do_not_move_what_follows() {
    let text = "SELECT ${long_name}, after FROM s";
    let statements = parse(text, Some(&|_| Some("x".to_owned()))).expect("parses");
    let StatementKind::Query(query) = &statements[0].kind else { panic!("a query") };
    let QueryBody::Select(select) = &query.body else { panic!("a select") };
    let got: Vec<&str> = select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::Expr { expr, .. } => expr.span.of(text),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(got, ["${long_name}", "after"]);
    let error = parse("SELECT ${v} FORM s", Some(&|_| Some("a b, c".to_owned()))).expect_err("misspelt");
    assert_eq!(error.span().expect("a place").of("SELECT ${v} FORM s"), "FORM");
}
