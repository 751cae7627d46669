//! Any statement that can be read is planned or refused with a place in its text; plans of queries can be explained.

use std::path::Path;

use fuzz::{Damage, Room, kind_of};
use syntax::ast::{Statement, StatementKind};
use types::Error;

use super::{bench::Bench, explain, stages};
use crate::{
    expr::Parameters,
    insert::{plan_delete, plan_insert_values},
    plan::{Planned, TopicShape},
    pull::plan_pull,
};

/// What is there before an input: streams and tables of several formats, keys and windows.
const WORLD: &str = "
    CREATE STREAM s (id INT KEY, x INT, y BIGINT, name STRING, tags ARRAY<STRING>, m MAP<STRING, INT>,
        st STRUCT<a INT, b STRUCT<c STRING, d ARRAY<INT>>>, price DECIMAL(9, 2), at TIMESTAMP, raw BYTES, day DATE, tm TIME,
        ok BOOLEAN, f DOUBLE) WITH (kafka_topic = 's', value_format = 'JSON', timestamp = 'y');
    CREATE STREAM r (id INT KEY, x INT, name STRING) WITH (kafka_topic = 'r', value_format = 'AVRO');
    CREATE STREAM keyless (x INT, name STRING) WITH (kafka_topic = 'keyless', value_format = 'DELIMITED');
    CREATE STREAM wide (a STRING KEY, b INT KEY, v DOUBLE, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS)
        WITH (kafka_topic = 'wide', format = 'JSON', partitions = 2);
    CREATE TABLE t (id INT PRIMARY KEY, x INT, name STRING, other INT) WITH (kafka_topic = 't', value_format = 'JSON');
    CREATE TABLE u (id INT PRIMARY KEY, x INT, name STRING) WITH (kafka_topic = 'u', value_format = 'PROTOBUF');
    CREATE STREAM windowed (k STRING KEY, v INT) WITH (kafka_topic = 'w', value_format = 'JSON', window_type = 'TUMBLING',
        window_size = '10 SECONDS');
    CREATE TABLE counts AS SELECT name, COUNT(*) AS n, SUM(x) AS total FROM s GROUP BY name;
    CREATE TABLE hopping AS SELECT id, COUNT(*) AS n FROM s WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 20 SECONDS) GROUP BY id;
    CREATE TABLE sessions AS SELECT id, LATEST_BY_OFFSET(name) AS l FROM s WINDOW SESSION (5 SECONDS) GROUP BY id;
    CREATE TYPE address AS STRUCT<street STRING, number INT>;
    CREATE VIEW v AS SELECT id, x + 1 AS x1 FROM s WHERE x > 0;
";

/// Statements besides those of the tests and pages.
const MORE: &[&str] = &[
    "SELECT s.id, r.x, t.name FROM s JOIN r WITHIN (1 HOUR, 2 HOURS) GRACE PERIOD 1 DAY ON s.id = r.id LEFT JOIN t ON s.id = t.id \
     WHERE s.x > 1 EMIT CHANGES LIMIT 3;",
    "CREATE TABLE o AS SELECT t.id, u.name, t.x + u.x AS z FROM t LEFT JOIN u ON t.other = u.id WHERE t.x IS NOT NULL;",
    "CREATE TABLE o WITH (value_format = 'AVRO', partitions = 3) AS SELECT id, name, COUNT(*) FILTER (WHERE x > 0), TOPK(x, 3), \
     COLLECT_LIST(st->b->d[1]), HISTOGRAM(name) FROM s WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 1 DAY, GRACE PERIOD 5 MINUTES) \
     GROUP BY id, name HAVING COUNT(*) > 1 EMIT FINAL;",
    "CREATE STREAM o AS SELECT *, EXPLODE(tags) AS tag, AS_VALUE(id) AS i FROM s PARTITION BY UCASE(name);",
    "INSERT INTO r SELECT id, x, name FROM s WHERE name LIKE 'a%' OR x IN (1, 2) AND NOT ok EMIT CHANGES;",
    "CREATE STREAM o AS SELECT TRANSFORM(m, (k, v) => UCASE(k), (k, v) => v * 2), REDUCE(tags, '', (a, b) => a + b), \
     CASE WHEN x BETWEEN 1 AND 5 THEN CAST(price AS STRING) ELSE FORMAT_TIMESTAMP(at, 'yyyy') END FROM s;",
    "SELECT * FROM counts WHERE name = 'a' AND n > 3;",
    "SELECT id, n, WINDOWSTART FROM hopping WHERE id IN (1, 2) AND WINDOWSTART >= '2020-01-01' AND WINDOWEND < 9 LIMIT 2;",
    "SELECT * FROM wide WHERE a = $1 AND b BETWEEN $2 AND $3;",
    "INSERT INTO s (id, x, st, m, tags, price, at) VALUES (1, 2, STRUCT(a := 1, b := STRUCT(c := 'x')), MAP('k' := 1), \
     ARRAY['a'], 1.25, '2020-01-01T00:00:00');",
    "DELETE FROM t WHERE id = 5;",
    "CREATE OR REPLACE TABLE counts AS SELECT name, COUNT(*) AS n, SUM(x) AS total, MAX(y) AS last FROM s GROUP BY name;",
    "CREATE STREAM o AS WITH c AS (SELECT id, x FROM s) SELECT * FROM c UNION ALL SELECT id, x FROM r;",
    "CREATE STREAM o AS SELECT q.id, COUNT_DISTINCT(q.x) FROM (SELECT DISTINCT id, x FROM s) q GROUP BY q.id;",
    "ALTER STREAM r ADD COLUMN z address, ADD COLUMN zz MAP<STRING, ARRAY<DECIMAL(38, 10)>>;",
    "SELECT * FROM v EMIT CHANGES; SELECT * FROM sessions WHERE id = 1;",
    "CREATE STREAM a WITH (kafka_topic = 'r', value_format = 'AVRO'); CREATE STREAM b AS SELECT * FROM a a1 JOIN a a2 WITHIN 1 DAY \
     ON a1.id = a2.id;",
];

const WORDS: &[&str] = &[
    "s",
    "r",
    "t",
    "u",
    "wide",
    "keyless",
    "windowed",
    "counts",
    "hopping",
    "sessions",
    "v",
    "id",
    "x",
    "y",
    "name",
    "tags",
    "m",
    "st",
    "st->a",
    "st->b->d[1]",
    "price",
    "at",
    "raw",
    "day",
    "tm",
    "ok",
    "f",
    "h",
    "ROWTIME",
    "ROWKEY",
    "WINDOWSTART",
    "WINDOWEND",
    "ROWPARTITION",
    "ROWOFFSET",
    "*",
    "s.*",
    "NULL",
    "'a'",
    "1.5",
    "'2020-01-01'",
    "TRUE",
    "$1",
    "COUNT(*)",
    "SUM(x)",
    "MIN(price)",
    "TOPK(x, 2)",
    "COLLECT_SET(name)",
    "EXPLODE(tags)",
    "AS_VALUE(id)",
    "CAST(x AS STRING)",
    "JSON_RECORDS('{}')",
    "FILTER(tags, t => t = 'a')",
    "WITHIN 1 DAY",
    "LEFT JOIN",
    "FULL OUTER JOIN",
    "JOIN t ON s.id = t.id",
    "GROUP BY id",
    "GROUP BY name, x",
    "PARTITION BY NULL",
    "HAVING COUNT(*) > 1",
    "WINDOW SESSION (1 SECOND)",
    "WINDOW TUMBLING (SIZE 1 DAY)",
    "EMIT CHANGES",
    "EMIT FINAL",
    "LIMIT 1",
    "UNION ALL",
    "DISTINCT",
    "OR REPLACE",
    "IF NOT EXISTS",
    "SOURCE",
    "STREAM",
    "TABLE",
    "INT",
    "DECIMAL(39, 1)",
    "ARRAY<address>",
    "STRUCT<>",
    "PRIMARY KEY",
    "KEY",
    "HEADERS",
    "HEADER('a')",
    "format = 'KAFKA'",
    "value_format = 'PROTOBUF'",
    "wrap_single_value = false",
    "timestamp = 'at'",
    "timestamp_format = 'yyyy'",
    "value_schema_id = 1",
    "window_type = 'SESSION'",
    "key_format = 'NONE'",
];

const NESTS: &[(&str, &str)] = &[
    ("(", ")"),
    ("ABS(", ")"),
    ("ARRAY[", "]"),
    ("STRUCT(a := ", ")"),
    ("MAP('k' := ", ")"),
    ("ARRAY<", ">"),
    ("STRUCT<a ", ">"),
    ("CASE WHEN ok THEN ", " ELSE NULL END"),
    ("CAST(", " AS STRING)"),
    ("TRANSFORM(tags, t => ", ")"),
    ("(SELECT * FROM ", ") q"),
    ("NOT ", ""),
    ("x + ", ""),
    ("ok AND ", ""),
    ("ok OR ", ""),
    ("", "[1]"),
    ("", " JOIN t ON s.id = t.id"),
    ("", " UNION ALL SELECT * FROM s"),
];

/// Plans what statements of an input say, one after another in its own copy of the world.
fn plan(world: &Bench, text: &str) -> String {
    // What an error says of a statement is tested where statements are read.
    let Ok(statements) = syntax::parse(text, None) else { return "unread".to_owned() };
    let mut bench = Bench {
        catalog: world.catalog.clone(),
        topics: world.topics.clone(),
        registry: world.registry.clone(),
        ..Bench::default()
    };
    let mut answer = String::new();
    for statement in statements.iter().take(STATEMENTS_MAX) {
        match one(&mut bench, statement) {
            Ok(kind) => answer.push_str(&kind),
            Err(error) => {
                if let Some(span) = error.span() {
                    let inside = statement.text.len();
                    assert!(
                        span.start <= span.end && span.end as usize <= inside.max(text.len()),
                        "{error} at {span:?}"
                    );
                }
                assert!(!error.render(text).is_empty());
                answer.push_str(&kind_of(error.message()));
                break;
            }
        }
    }
    answer
}

/// Statements of an input that are planned.
const STATEMENTS_MAX: usize = 8;

fn one(bench: &mut Bench, statement: &Statement) -> Result<String, Error> {
    match &statement.kind {
        StatementKind::InsertValues { target, columns, rows, tombstones } => {
            plan_insert_values(target, columns, rows, *tombstones, &bench.catalog)?;
            return Ok("rows ".to_owned());
        }
        StatementKind::Delete { target, condition } => {
            plan_delete(target, condition.as_ref(), &bench.catalog)?;
            return Ok("delete".to_owned());
        }
        StatementKind::Query(query) if query.emit.is_none() => {
            let plan = plan_pull(query, &bench.catalog, bench, &Parameters::default())?;
            return Ok(format!("pull {}", plan.is_some()));
        }
        _ => {}
    }
    let planned = bench.run(statement)?;
    let plan = match &planned {
        Some(Planned::CreateAsSelect { plan, .. } | Planned::InsertSelect { plan, .. } | Planned::Push(plan)) => plan,
        _ => return Ok("done ".to_owned()),
    };
    let _ = stages(plan);
    Ok(kind_of(&explain(plan)))
}

#[test]
fn statements() {
    let mut world = Bench::default();
    for statement in syntax::parse(WORLD, None).expect("statements") {
        world.run(&statement).unwrap_or_else(|e| panic!("{}", e.render(&statement.text)));
    }
    world.topics.insert("free".to_owned(), TopicShape { partitions: 3, replicas: 1 });
    let own = MORE.iter().map(|text| (*text).to_owned());
    let examples = fuzz::examples().into_iter().map(|e| format!("CREATE STREAM o AS SELECT {e} AS e FROM s;"));
    let room = Room {
        name: "plans",
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/plans"),
        seeds: own.chain(examples).chain(fuzz::statements()).map(String::into_bytes).collect(),
        damage: Damage { words: WORDS, nests: NESTS, bytes_max: 20_000 },
        inputs: 3_000,
    };
    room.run(|input| plan(&world, &String::from_utf8_lossy(input)));
}
