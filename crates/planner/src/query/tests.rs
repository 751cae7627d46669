//! Plans as EXPLAIN shows them, and errors as a terminal shows them.

mod compositions;
mod groups;
mod inserts;
mod joins;
mod partitions;
mod projects;
mod replacements;
mod windows;

use super::{bench::Bench, explain};
use crate::plan::Planned;

const SETUP: &str = "
    CREATE STREAM s (id INT KEY, v BIGINT, name STRING, tags ARRAY<STRING>)
        WITH (kafka_topic = 's', value_format = 'JSON');
    CREATE STREAM r (id INT KEY, w BIGINT, k INT) WITH (kafka_topic = 'r', value_format = 'JSON');
    CREATE TABLE t (id INT PRIMARY KEY, w BIGINT, o INT) WITH (kafka_topic = 't', value_format = 'JSON');
    CREATE TABLE u (id INT PRIMARY KEY, x BIGINT) WITH (kafka_topic = 'u', value_format = 'JSON');
";

/// What a statement, after others, comes to: its tree, or its error.
fn outcome(setup: &str, statement: &str) -> String {
    let mut bench = Bench::default();
    for one in syntax::parse(&format!("{SETUP}{setup}"), None).expect("the setup is SQL") {
        bench.run(&one).unwrap_or_else(|e| panic!("{}\n{}", one.text, e.render(&one.text)));
    }
    let parsed = match syntax::parse(statement, None) {
        Ok(parsed) => parsed,
        Err(error) => return error.render(statement),
    };
    let mut out = String::new();
    for one in &parsed {
        match bench.run(one) {
            Ok(Some(
                Planned::CreateAsSelect { plan, .. } | Planned::InsertSelect { plan, .. } | Planned::Push(plan),
            )) => {
                out = explain(&plan);
            }
            Ok(Some(Planned::Nothing(why))) => out = why,
            Ok(_) => out = String::new(),
            Err(error) => return error.render(statement),
        }
    }
    out
}

/// The lines of a text, without what they are indented by together.
fn lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let indent = lines.iter().map(|l| l.len() - l.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|l| l.get(indent..).unwrap_or_default().trim_end().to_owned()).collect()
}

fn check_after(setup: &str, statement: &str, expect: &str) {
    let (got, expect) = (lines(&outcome(setup, statement)), lines(expect));
    assert!(got == expect, "{statement}\n--- got\n{}\n--- expected\n{}", got.join("\n"), expect.join("\n"));
}

fn check(statement: &str, expect: &str) {
    check_after("", statement, expect);
}
