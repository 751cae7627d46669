//! Any script runs or is refused, statement by statement, with rows in every type under it: no statement panics, waits
//! without an end, or takes memory without a bound.

use std::{path::Path, sync::Arc, time::Duration};

use engine::{Cut, Engine, EngineConfig, Outcome, Session};
use futures::StreamExt;
use fuzz::{Damage, Room, kind_of};
use syntax::ast::Statement;

/// What is there before an input.
const WORLD: &str = "
    CREATE STREAM s (id INT KEY, x INT, y BIGINT, f DOUBLE, n DECIMAL(9, 2), name STRING, raw BYTES, day DATE, tm TIME,
        at TIMESTAMP, ok BOOLEAN, tags ARRAY<STRING>, m MAP<STRING, INT>, st STRUCT<a INT, b ARRAY<DOUBLE>>)
        WITH (kafka_topic = 's', value_format = 'JSON', partitions = 2);
    CREATE TABLE t (id INT PRIMARY KEY, x INT, name STRING) WITH (kafka_topic = 't', value_format = 'AVRO', partitions = 2);
    CREATE TABLE counts AS SELECT id, COUNT(*) AS c, SUM(x) AS total, MAX(n) AS top FROM s GROUP BY id;
    CREATE TABLE windows AS SELECT name, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY name;
    INSERT INTO s (rowtime, id, x, y, f, n, name, raw, day, tm, at, ok, tags, m, st) VALUES (1000, 1, 7, -5000000000, 0.5, 12.34,
        'ann', 'AP8=', '2024-02-29', '23:59:59', '2024-02-29T12:00:00', TRUE, ARRAY['a', 'b'], MAP('k' := 1),
        STRUCT(a := 1, b := ARRAY[1.5, NULL]));
    INSERT INTO s (rowtime, id, x, name) VALUES (2000, 2, 2147483647, '');
    INSERT INTO s (rowtime, id, y, f, tags) VALUES (30000, 1, 9223372036854775807, -1e308, ARRAY[]);
    INSERT INTO t (rowtime, id, x, name) VALUES (1500, 1, 3, 'x');
";

/// Scripts besides those of the tests and pages.
const MORE: &[&str] = &[
    "SELECT * FROM counts WHERE id = 1; SELECT * FROM windows WHERE name = 'ann' AND WINDOWSTART > 0;",
    "SELECT s.id, COUNT(*), SUM(f), MIN(name) FROM s JOIN t ON s.id = t.id GROUP BY s.id ORDER BY 1 DESC LIMIT 5;",
    "CREATE STREAM o AS SELECT s.id, LPAD(s.name, 10, '*'), s.n * 2, t.x / s.x, tags[1], st->b[2], m['k'] FROM s LEFT JOIN t ON \
     s.id = t.id; INSERT INTO s (id, x) VALUES (3, 0); DROP STREAM o DELETE TOPIC;",
    "SELECT id, x FROM s EMIT CHANGES LIMIT 2;",
    "DESCRIBE s EXTENDED; SHOW QUERIES; EXPLAIN SELECT * FROM counts; SHOW TOPICS EXTENDED; LIST FUNCTIONS; SHOW PROPERTIES;",
    "PRINT 's' FROM BEGINNING LIMIT 2; PRINT 't' FROM BEGINNING INTERVAL 2 LIMIT 1;",
    "DEFINE v = 'x'; CREATE STREAM ${v} AS SELECT * FROM s WHERE ${v} > 1; PAUSE ALL; RESUME ALL; TERMINATE ALL;",
    "INSERT INTO t (id, x) VALUES (1, NULL), (2, CAST('5' AS INT)); DELETE FROM t WHERE id = 1; SELECT * FROM t WHERE x > 0;",
    "SELECT *, row_number() OVER (PARTITION BY id ORDER BY y) FROM s; SELECT avg(x), stddev(f) FROM s WHERE at > '2000-01-01';",
    "CREATE TABLE g AS SELECT ok, COLLECT_LIST(name), TOPK(n, 2), HISTOGRAM(name), EARLIEST_BY_OFFSET(x, 2), COUNT_DISTINCT(day) \
     FROM s GROUP BY ok EMIT FINAL; SELECT * FROM g;",
    "SET 'auto.offset.reset' = 'earliest'; SELECT EXPLODE(tags), GENERATE_SERIES(1, 5) AS g FROM s EMIT CHANGES LIMIT 3; UNSET 'x';",
    "ASSERT TOPIC 's' TIMEOUT 1 SECONDS; ASSERT NOT EXISTS SCHEMA SUBJECT 'a-value'; ASSERT SCHEMA SUBJECT 't-value' ID 1;",
    "SELECT * FROM system.queries; SELECT name, kind FROM system.sources ORDER BY name;",
];

const WORDS: &[&str] = &[
    "s",
    "t",
    "counts",
    "windows",
    "id",
    "x",
    "y",
    "f",
    "n",
    "name",
    "raw",
    "day",
    "tm",
    "at",
    "ok",
    "tags",
    "m",
    "st",
    "ROWTIME",
    "NULL",
    "0",
    "-1",
    "2147483648",
    "1000000000",
    "'x'",
    "''",
    "'1e9'",
    "'yyyy-MM-dd'",
    "'2024-02-30'",
    "TRUE",
    "ARRAY[]",
    "ARRAY[1, NULL]",
    "MAP('a' := 1)",
    "STRUCT(a := 1)",
    "LPAD(name, 1000000000, 'x')",
    "REPEAT('x', 100000000)",
    "GENERATE_SERIES(1, 1000000000)",
    "REGEXP_EXTRACT('(a*)*b', name)",
    "SUBSTRING(name, -5, 3)",
    "SPLIT(name, '')",
    "CAST(y AS INT)",
    "CAST(f AS DECIMAL(3, 2))",
    "n * n * n * n",
    "y * y",
    "-y",
    "x % 0",
    "ROUND(f, 400)",
    "POWER(f, f)",
    "COUNT(*)",
    "SUM(y)",
    "SUM(n)",
    "AVG(f)",
    "MAX(tags)",
    "EMIT CHANGES",
    "LIMIT 3",
    "GROUP BY id",
    "WHERE",
    "FROM",
    "JOIN",
    "ON",
    "ORDER BY 1",
    "UNION ALL",
    "WITH RECURSIVE a AS (SELECT 1)",
    "INSERT INTO s",
    "VALUES",
    "SELECT",
    "CREATE",
    "DROP",
    "PARTITION BY",
    "PARSE_TIMESTAMP",
    "FORMAT_DATE",
    "DATEADD(DAYS, 999999999, day)",
    "TRANSFORM(tags, t => t + t)",
];

const NESTS: &[(&str, &str)] = &[
    ("(", ")"),
    ("ABS(", ")"),
    ("ARRAY[", "]"),
    ("CASE WHEN ok THEN ", " END"),
    ("CAST(", " AS STRING)"),
    ("CONCAT('x', ", ")"),
    ("(SELECT * FROM ", ") q"),
    ("NOT ", ""),
    ("x + ", ""),
    ("ok AND ", ""),
    ("name || ", ""),
    ("", " UNION ALL SELECT 1"),
    ("SELECT 1 IN (", ")"),
];

/// Statements of an input that run.
const STATEMENTS_MAX: usize = 12;
/// Rows of a result that are read.
const ROWS_MAX: usize = 10_000;
/// A statement that waits, waits so long: it may be a right to do (a LIMIT that is not reached).
const WAIT_MS: u64 = 100;

async fn run(text: &str) -> String {
    let config = EngineConfig { threads: 1, manual: true, ..EngineConfig::default() };
    let engine = Engine::open(config).await.expect("opens");
    let mut session = engine.session();
    script(&engine, &mut session, WORLD).await;
    let answer = script(&engine, &mut session, text).await;
    engine.shutdown().await;
    answer
}

async fn script(engine: &Arc<Engine>, session: &mut Session, text: &str) -> String {
    let statements = match session.parse(text) {
        Ok(statements) => statements,
        Err(error) => return kind_of(error.message()),
    };
    let mut answer = String::new();
    for statement in statements.iter().take(STATEMENTS_MAX) {
        let ran = tokio::time::timeout(Duration::from_millis(WAIT_MS), one(session, statement)).await;
        let kind = match ran {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                assert!(!error.render(text).is_empty());
                assert_ne!(error.kind(), types::ErrorKind::Internal, "{}", error.render(text));
                kind_of(error.message())
            }
            Err(_) => "waits".to_owned(),
        };
        answer.push_str(&kind.chars().take(60).collect::<String>());
        if let Err(error) = engine.drive(Cut::All).await {
            answer.push_str(&kind_of(error.message()));
        }
    }
    answer
}

/// What came of a statement: its tag, or how many rows there were.
async fn one(session: &mut Session, statement: &Statement) -> types::Result<String> {
    let prepared = session.prepare(statement).await?;
    let mut rows = match session.execute(&prepared, &[]).await? {
        Outcome::Done { tag, .. } => return Ok(tag),
        Outcome::Rows(rows) => rows,
    };
    let mut count = 0;
    while let Some(batch) = rows.batches.next().await {
        count += batch?.num_rows();
        if count >= ROWS_MAX || rows.live {
            break;
        }
    }
    Ok(format!("{} {}", rows.tag, count.min(3)))
}

#[test]
fn scripts() {
    let own = MORE.iter().map(|text| (*text).to_owned());
    let examples = fuzz::examples().into_iter().map(|e| format!("SELECT {e};"));
    let room = Room {
        name: "scripts",
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/scripts"),
        seeds: own.chain(examples).chain(fuzz::statements()).map(String::into_bytes).collect(),
        damage: Damage { words: WORDS, nests: NESTS, bytes_max: 8_000 },
        inputs: 150,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    room.run(|input| runtime.block_on(run(&String::from_utf8_lossy(input))));
}
