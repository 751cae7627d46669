use types::Result;

use super::*;
use crate::{plan::Bounds, testing::World};

fn world() -> World {
    let mut world = World::after(
        "CREATE TABLE tb (v INT, k BIGINT PRIMARY KEY) WITH (kafka_topic = 't', value_format = 'JSON');\
         CREATE TABLE two (k1 STRING PRIMARY KEY, k2 INT PRIMARY KEY, v INT) WITH (kafka_topic = 't', format = 'JSON');\
         CREATE TABLE win (k STRING PRIMARY KEY, n BIGINT) WITH (kafka_topic = 't', value_format = 'JSON', \
           window_type = 'tumbling', window_size = '1 second');\
         CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');\
         CREATE TABLE raw (k INT PRIMARY KEY, v INT) WITH (kafka_topic = 't', value_format = 'JSON');",
    );
    for name in ["TB", "TWO", "WIN"] {
        world.materialize(name);
    }
    world
}

fn planned(world: &World, sql: &str) -> Result<Option<PullPlan>> {
    let statements = syntax::parse(sql, None)?;
    let Some(syntax::ast::StatementKind::Query(query)) = statements.first().map(|s| &s.kind) else {
        panic!("{sql} is no query")
    };
    plan_pull(query, &world.catalog, world, &Parameters::default())
}

fn plan(sql: &str) -> PullPlan {
    planned(&world(), sql)
        .unwrap_or_else(|e| panic!("{}", e.render(sql)))
        .unwrap_or_else(|| panic!("{sql} is no lookup"))
}

fn rows(columns: &[ArrayRef]) -> String {
    let rows = columns.first().map_or(0, |c| c.len());
    let cell = |row: usize| move |c: &ArrayRef| crate::expr::text::element(c.as_ref(), row);
    let row = |row: usize| columns.iter().map(cell(row)).collect::<Vec<_>>().join(",");
    (0..rows).map(row).collect::<Vec<_>>().join("; ")
}

fn keys_text(range: &KeyRange) -> String {
    let side = |bound: &Option<(ArrayRef, bool)>, strict: &str| match bound {
        Some((value, inclusive)) => {
            format!("{strict}{}{}", if *inclusive { "=" } else { "" }, rows(std::slice::from_ref(value)))
        }
        None => String::new(),
    };
    match range {
        KeyRange::All => "all".into(),
        KeyRange::Points(columns) => rows(columns),
        KeyRange::PointExprs(rows) => format!("{} keys of parameters", rows.len()),
        KeyRange::Range { prefix, from, to } => format!("[{}]{}{}", rows(prefix), side(from, ">"), side(to, "<")),
    }
}

#[test]
fn a_key_that_says_all_is_not_checked_again() {
    let check = |sql: &str, want: bool| assert_eq!(is_exact(&plan(sql)), want, "{sql}");
    check("SELECT * FROM tb WHERE k = 1;", true);
    check("SELECT v FROM tb WHERE 1 = k;", true);
    check("SELECT * FROM two WHERE k2 = 1 AND k1 = 'a';", true);
    check("SELECT * FROM two WHERE k1 = 'a';", false);
    check("SELECT * FROM tb WHERE k = 1 AND v = 2;", false);
    check("SELECT * FROM tb WHERE k = 1 AND k = 2;", false);
    check("SELECT * FROM tb WHERE k IN (1, 2);", false);
    check("SELECT * FROM tb WHERE k = v;", false);
    check("SELECT * FROM win WHERE k = 'a';", false);
    check("SELECT * FROM tb;", false);
}

#[test]
fn a_beginning_of_a_key_is_a_range() {
    check_keys("two: k1 LIKE 'ab%'", "[]>='ab'<'ac'");
    check_keys("two: k1 LIKE '%b'", "all");
    check_keys("two: k1 NOT LIKE 'ab%'", "all");
}

#[track_caller]
fn check_keys(condition: &str, expect: &str) {
    let (table, rest) = condition.split_once(':').expect("table: condition");
    let sql = format!("SELECT * FROM {table} WHERE {rest};");
    assert_eq!(keys_text(&plan(&sql).keys), expect, "{sql}");
}

#[track_caller]
fn check_output(sql: &str, expect: &str) {
    let plan = plan(sql);
    let column = |c: &FieldDef| format!("{} {}{}", quote_ident(&c.name), c.ty, if c.key { " KEY" } else { "" });
    let shown: Vec<String> = plan.output.columns.iter().map(column).collect();
    assert_eq!(shown.join(", "), expect, "{sql}");
    assert_eq!(plan.exprs.len(), plan.output.columns.len());
}

#[track_caller]
fn check_error(sql: &str, message: &str) {
    match planned(&world(), sql) {
        Err(error) => assert!(error.message().contains(message), "{}", error.render(sql)),
        Ok(_) => panic!("{sql} is fine"),
    }
}

#[test]
fn keys_follow_from_the_condition() {
    check_keys("tb: k = 5", "5");
    check_keys("tb: 5.0 = k", "5");
    check_keys("tb: k = 5.5", "");
    check_keys("tb: k IN (1, 2, 1)", "1; 2");
    check_keys("tb: k = 1 OR k = 2 OR k = 3", "1; 2; 3");
    check_keys("tb: k = 1 AND k = 2", "");
    check_keys("tb: (k = 10 OR k = 50) AND k IN (50, 1, 10)", "10; 50");
    check_keys("tb: k = 1 AND v > 2", "1");
    check_keys("tb: k = 1 OR v > 2", "all");
    check_keys("tb: k > 1 AND k <= 7", "[]>1<=7");
    check_keys("tb: k BETWEEN 1 AND 3", "[]>=1<=3");
    check_keys("tb: k <> 1", "all");
    check_keys("tb: k + 1 = 2", "all");
    check_keys("tb: k = v", "all");
    check_keys("tb: NOT k = 1", "all");
    check_keys("two: k1 = 'a' AND k2 = 1", "'a',1");
    check_keys("two: k1 IN ('a', 'b') AND k2 IN (1, 2)", "'a',1; 'a',2; 'b',1; 'b',2");
    check_keys("two: k1 = 'a'", "['a']");
    check_keys("two: k1 = 'a' AND k2 > 3", "['a']>3");
    check_keys("two: k2 = 1", "all");
    check_keys("two: k2 = 5000000000 AND k1 = 'a'", "");
    check_keys("s: k = 1", "all");
}

#[test]
fn windows_have_bounds() {
    let plan = plan("SELECT * FROM win WHERE k = 'a' AND 100 <= windowstart AND windowend < '1970-01-01T00:00:16';");
    assert_eq!(keys_text(&plan.keys), "'a'");
    assert_eq!(plan.window_start, Bounds { from: Some(100), to: None });
    assert_eq!(plan.window_end, Bounds { from: None, to: Some(15_999) });
}

#[test]
fn output() {
    check_output("SELECT * FROM tb;", "`K` BIGINT KEY, `V` INTEGER");
    check_output("SELECT * FROM win;", "`K` STRING KEY, `WINDOWSTART` BIGINT KEY, `WINDOWEND` BIGINT KEY, `N` BIGINT");
    check_output(
        "SELECT v * 2, k AS x, rowtime, v + 1 FROM tb;",
        "`KSQL_COL_0` INTEGER, `X` BIGINT KEY, `ROWTIME` BIGINT, `KSQL_COL_1` INTEGER",
    );
    check_output("SELECT t.* FROM tb t LIMIT 3;", "`K` BIGINT KEY, `V` INTEGER");
    check_output("SELECT STRUCT(a := v)->a, v AS b FROM s;", "`A` INTEGER, `B` INTEGER");
    check_output("SELECT * FROM s;", "`K` INTEGER, `V` INTEGER");
    assert_eq!(plan("SELECT * FROM tb LIMIT 3;").limit, Some(3));
}

#[test]
fn the_rest_is_for_datafusion() {
    for sql in [
        "SELECT v, COUNT(*) FROM tb GROUP BY v;",
        "SELECT COUNT(*) FROM tb;",
        "SELECT DISTINCT v FROM tb;",
        "SELECT * FROM raw;",
        "SELECT date_trunc('day', rowtime) FROM tb;",
        "SELECT * FROM tb ORDER BY v;",
        "SELECT a.v FROM tb a JOIN tb b ON a.k = b.k;",
    ] {
        assert!(planned(&world(), sql).is_ok_and(|p| p.is_none()), "{sql}");
    }
}

#[test]
fn errors() {
    check_error("SELECT * FROM nope;", "NOPE does not exist");
    check_error(
        "SELECT rowpartition FROM s;",
        "Pull queries don't support the following columns in SELECT clauses: `ROWPARTITION`",
    );
    check_error("SELECT v FROM tb WHERE rowoffset < 3;", "in WHERE clauses: `ROWOFFSET`");
    check_error("SELECT * FROM tb WHERE windowstart = 10;", "WHERE column 'WINDOWSTART' cannot be resolved");
    check_error("SELECT * FROM tb WHERE k = '10';", "Cannot compare TB.K (BIGINT) to '10' (STRING) with =");
    check_error(
        "SELECT * FROM tb WHERE k IN ('10', 8);",
        "'10' can not be converted to the type of the key column: K BIGINT KEY",
    );
    check_error("SELECT * FROM tb WHERE k = NULL;", "Comparison with NULL not supported");
    check_error("SELECT v, v FROM tb;", "Duplicate value columns found in schema: `V` INTEGER");
    check_error("SELECT explode(ARRAY[1]) FROM tb;", "EXPLODE is a table function");
}

#[test]
fn scans_can_be_forbidden() {
    let mut world = world();
    world.properties.insert("ksql.query.pull.table.scan.enabled".into(), "false".into());
    let check = |condition: &str, expect: Option<&str>| {
        let (table, rest) = condition.split_once(':').expect("table: condition");
        let error = planned(&world, &format!("SELECT * FROM {table} WHERE {rest};")).err();
        match (error, expect) {
            (None, None) => {}
            (Some(error), Some(expect)) => assert!(error.message().contains(expect), "{condition}: {error}"),
            (error, _) => panic!("{condition} gives {error:?}"),
        }
    };
    check("tb: k = 1", None);
    check("tb: k < 12", None);
    check("tb: k IN (1, 2) AND v > 1", None);
    check("tb: v = 100", Some("WHERE clause missing key column for disjunct"));
    check("tb: k <> 100", Some("compares no key column with a value by ="));
    check("tb: k + 10 = 20", Some("compares no key column with a value by ="));
    check("tb: k = v", Some("compares no key column with a value by ="));
    check("tb: k = 10 AND k IN (1, 10)", Some("cannot be combined with other comparisons"));
    check("tb: k >= 11 AND k <= 13", Some("cannot be combined with other comparisons"));
    check("tb: k <= 11 OR k >= 13", Some("Query requires table scan to be enabled"));
    check("two: k1 = 'a'", Some("Multi-column sources must specify every key in the WHERE clause"));
    check("two: k1 = 'a' AND k2 > 3", Some("Query requires table scan to be enabled"));
    check("win: k <= 'a'", Some("Query requires table scan to be enabled"));
    check("win: windowstart > 1", Some("WHERE clause missing key column for disjunct"));
}

#[test]
fn parameters_become_keys() {
    let world = world();
    let sql = "SELECT v FROM two WHERE k1 = $1 AND k2 = $2;";
    let statements = syntax::parse(sql, None).expect("sql");
    let Some(syntax::ast::StatementKind::Query(query)) = statements.first().map(|s| &s.kind) else {
        panic!("no query")
    };
    let parameters = Parameters::default();
    let plan = plan_pull(query, &world.catalog, &world, &parameters).expect("a plan").expect("a lookup");
    assert_eq!(parameters.types(), [SqlType::String, SqlType::Int]);
    assert_eq!(keys_text(&plan.keys), "1 keys of parameters");
    let values: Vec<ArrayRef> =
        vec![Arc::new(arrow::array::StringArray::from(vec!["a"])), Arc::new(arrow::array::Int32Array::from(vec![7]))];
    let ready = bind_parameters(&plan, &values).expect("values");
    assert_eq!(keys_text(&ready.keys), "'a',7");
}
