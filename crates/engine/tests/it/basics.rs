//! Statements in, rows out, on an engine in memory driven by hand.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use engine::{Cut, Engine, EngineConfig, Outcome, Session};
use futures::StreamExt;

async fn engine() -> Arc<Engine> {
    Engine::open(EngineConfig { manual: true, ..EngineConfig::default() }).await.expect("opens")
}

/// Each statement, and then what comes of it in the queries.
async fn run(session: &mut Session, text: &str) -> String {
    let engine = session.engine().clone();
    let mut out = String::new();
    for statement in text.split_inclusive(';') {
        out.push_str(&run_as_it_is(session, statement).await);
        engine.drive(Cut::All).await.expect("drives");
    }
    out
}

async fn run_as_it_is(session: &mut Session, text: &str) -> String {
    let mut out = String::new();
    let statements = match session.parse(text) {
        Ok(statements) => statements,
        Err(e) => return e.render(text),
    };
    for statement in statements {
        let prepared = session.prepare(&statement).await.expect("prepares");
        match session.execute(&prepared, &[]).await {
            Ok(Outcome::Done { tag, .. }) => out.push_str(&format!("{tag}\n")),
            Ok(Outcome::Rows(mut rows)) => {
                let mut all = vec![];
                while let Some(batch) = rows.batches.next().await {
                    match batch {
                        Ok(batch) => all.push(batch),
                        Err(e) => return e.render(text),
                    }
                }
                out.push_str(&pretty_format_batches(&all).expect("prints").to_string());
                out.push('\n');
            }
            Err(e) => return e.render(text),
        }
    }
    out
}

const SETUP: &str = "
    CREATE STREAM clicks (user_id VARCHAR KEY, page VARCHAR, ms BIGINT)
      WITH (kafka_topic = 'clicks', value_format = 'JSON', partitions = 3);
    CREATE TABLE per_user AS SELECT user_id, COUNT(*) AS n, SUM(ms) AS total, MAX(page) AS last FROM clicks
      GROUP BY user_id EMIT CHANGES;
    CREATE TABLE per_page AS SELECT page, COUNT(*) AS n FROM clicks WINDOW TUMBLING (SIZE 10 SECONDS)
      GROUP BY page EMIT CHANGES;
    INSERT INTO clicks (rowtime, user_id, page, ms) VALUES (1000, 'ann', '/a', 10), (2000, 'bob', '/a', 20), (12000, 'ann', '/b', 5);
";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_looked_up_in_an_aggregate() {
    let engine = engine().await;
    let mut session = engine.session();
    let tags = run(&mut session, SETUP).await;
    assert_eq!(tags, "CREATE STREAM\nCREATE TABLE\nCREATE TABLE\nINSERT 0 3\n");
    let rows = run(&mut session, "SELECT * FROM per_user WHERE user_id = 'ann';").await;
    assert!(rows.contains("| ann     | 2 | 15    | /b   |"), "{rows}");
    let rows =
        run(&mut session, "SELECT page, windowstart, n FROM per_page WHERE page = '/a' AND windowstart >= 0;").await;
    assert!(rows.contains("| /a   | 0           | 2 |"), "{rows}");
    let rows = run(&mut session, "SELECT user_id, n FROM per_user ORDER BY n DESC LIMIT 1;").await;
    assert!(rows.contains("| ann     | 2 |"), "{rows}");
    let rows = run(&mut session, "SELECT COUNT(*) AS c FROM clicks WHERE page = '/a';").await;
    assert!(rows.contains("| 2 |"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_gets_a_caret_and_a_suggestion() {
    let engine = engine().await;
    let mut session = engine.session();
    run(&mut session, SETUP).await;
    let error = run(&mut session, "SELECT * FROM per_usr WHERE user_id = 'ann';").await;
    assert!(error.contains("PER_USER") && error.contains('^'), "{error}");
    let shown = run(
        &mut session,
        "SHOW QUERIES; SHOW TABLES; DESCRIBE per_user; EXPLAIN SELECT * FROM per_user WHERE user_id = 'x';",
    )
    .await;
    assert!(shown.contains("Lookup of 1 key(s)"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = EngineConfig { data_dir: Some(dir.path().to_path_buf()), manual: true, ..EngineConfig::default() };
    {
        let engine = Engine::open(config.clone()).await.expect("opens");
        let mut session = engine.session();
        run(&mut session, SETUP).await;
        engine.shutdown().await;
    }
    let engine = Engine::open(config).await.expect("opens again");
    let mut session = engine.session();
    let rows = run(&mut session, "SELECT * FROM per_user WHERE user_id = 'ann';").await;
    assert!(rows.contains("| ann     | 2 | 15    | /b   |"), "{rows}");
    run(&mut session, "INSERT INTO clicks (rowtime, user_id, page, ms) VALUES (13000, 'ann', '/c', 1);").await;
    let rows = run(&mut session, "SELECT n, total FROM per_user WHERE user_id = 'ann';").await;
    assert!(rows.contains("| 3 | 16    |"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alter_system_reaches_every_session_and_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let properties = [("a".to_owned(), "configured".to_owned())].into();
    let config =
        EngineConfig { data_dir: Some(dir.path().to_path_buf()), manual: true, properties, ..EngineConfig::default() };
    let shown = |rows: &str, value: &str| assert!(rows.contains(&format!("| {value}")), "{value}: {rows}");
    {
        let engine = Engine::open(config.clone()).await.expect("opens");
        let (mut first, mut second) = (engine.session(), engine.session());
        shown(&run(&mut second, "SHOW a;").await, "configured");
        assert_eq!(run(&mut first, "ALTER SYSTEM 'a' = 'altered';").await, "ALTER SYSTEM\n");
        shown(&run(&mut second, "SHOW a;").await, "altered");
        run(&mut second, "SET 'a' = 'own'; ALTER SYSTEM 'a' = 'again';").await;
        shown(&run(&mut second, "SHOW a;").await, "own");
        run(&mut second, "UNSET 'a';").await;
        shown(&run(&mut second, "SHOW a;").await, "again");
        engine.shutdown().await;
    }
    let engine = Engine::open(config).await.expect("opens again");
    shown(&run(&mut engine.session(), "SHOW a;").await, "again");
}

/// One call asks for more memory than there may be: an error, not the end of the process.
#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_far_longer_than_their_arguments_are_bounded() {
    let engine = engine().await;
    let mut session = engine.session();
    run(&mut session, SETUP).await;
    for call in [
        "REPEAT('x', 10000000000)",
        "REPEAT(page, 1000000000)",
        "ARRAY_REPEAT(ms, 1000000000)",
        "ARRAY_RESIZE(MAKE_ARRAY(ms), 1000000000)",
    ] {
        let error = run(&mut session, &format!("SELECT {call} AS r FROM clicks ORDER BY 1;")).await;
        assert!(error.contains("would make"), "{call}: {error}");
    }
    let error = run(&mut session, "SELECT RANGE(0, 100000000000) AS r FROM clicks ORDER BY 1;").await;
    assert!(error.to_lowercase().contains("range"), "{error}");
    let rows = run(&mut session, "SELECT REPEAT(page, 3) AS r FROM clicks ORDER BY 1 LIMIT 1;").await;
    assert!(rows.contains("| /a/a/a |"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_are_stored_and_shown() {
    let engine = engine().await;
    let mut session = engine.session();
    let create = "CREATE SINK CONNECTOR files WITH ('connector.class' = 'FileStreamSink', 'tasks.max' = '2');";
    assert_eq!(run(&mut session, create).await, "CREATE CONNECTOR\n");
    let shown = run(&mut session, "SHOW CONNECTORS;").await;
    assert!(shown.contains("| FILES     | SINK | FileStreamSink | NOT RUNNING |"), "{shown}");
    let shown = run(&mut session, "DESCRIBE CONNECTOR files;").await;
    assert!(shown.contains("| tasks.max       | 2 "), "{shown}");
    let error = run(&mut session, "DESCRIBE CONNECTOR nothing;").await;
    assert!(error.contains("connector NOTHING does not exist"), "{error}");
    run(&mut session, "DROP CONNECTOR files;").await;
    assert!(!run(&mut session, "SHOW CONNECTORS;").await.contains("FILES"));
}

/// An assertion waits for what it names, as long as it may.
#[tokio::test(flavor = "multi_thread")]
async fn assertions_wait() {
    let engine = Engine::open(EngineConfig::default()).await.expect("opens");
    let (mut asserting, mut creating) = (engine.session(), engine.session());
    let asserted = tokio::spawn(async move {
        run_as_it_is(&mut asserting, "ASSERT TOPIC later WITH (partitions = 3) TIMEOUT 60 SECONDS;").await
    });
    tokio::time::sleep(std::time::Duration::from_millis(120)).await;
    let create = "CREATE STREAM s (a INT) WITH (kafka_topic = 'later', value_format = 'JSON', partitions = 3);";
    run_as_it_is(&mut creating, create).await;
    assert!(asserted.await.expect("no panic").contains("| later | true"));
    let error = run_as_it_is(&mut creating, "ASSERT TOPIC never TIMEOUT 1 MILLISECONDS;").await;
    assert!(error.contains("topic never does not exist"), "{error}");
}

/// What a query that ends gives, with what the client is told of failing rows behind it.
async fn ask(session: &mut Session, text: &str) -> String {
    let statement = session.parse(text).expect("parses").remove(0);
    let prepared = session.prepare(&statement).await.expect("prepares");
    let Ok(Outcome::Rows(rows)) = session.execute(&prepared, &[]).await else { panic!("{text}") };
    let (warnings, schema) = (rows.warnings.clone(), rows.schema.clone());
    let batches: Vec<_> = rows.batches.map(|b| b.unwrap_or_else(|e| panic!("{text}: {e}"))).collect().await;
    let one = arrow::compute::concat_batches(&schema, &batches).expect("one schema");
    let mut out = pretty_format_batches(&[one]).expect("prints").to_string();
    let data: Vec<String> = out.lines().skip(3).filter(|l| !l.starts_with('+')).map(str::to_string).collect();
    out = data.iter().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n");
    warnings.take().iter().for_each(|w| out.push_str(&format!("\nwarning: {w}")));
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_end_mix_datafusion_with_our_functions() {
    let engine = engine().await;
    let mut session = engine.session();
    run(&mut session, SETUP).await;
    for (query, want) in [
        (
            "SELECT LCASE(user_id) AS u, SUM(ms) AS total FROM clicks GROUP BY user_id ORDER BY u;",
            "| ann | 15 |\n| bob | 20 |",
        ),
        ("SELECT COUNT(*) AS c FROM per_user;", "| 2 |"),
        ("SELECT COUNT(*) AS c FROM clicks WHERE rowpartition IN (0, 1, 2) AND rowoffset < 100;", "| 3 |"),
        ("SELECT COLLECT_SET(page) AS pages FROM clicks WHERE user_id = 'bob';", "| [/a] |"),
        (
            "SELECT c.user_id, t.n FROM clicks c JOIN per_user t ON c.user_id = t.user_id WHERE c.page = '/b';",
            "| ann | 2 |",
        ),
        (
            "SELECT user_id, n FROM per_user WHERE user_id IN ('ann', 'nobody') UNION ALL SELECT 'x', 1 ORDER BY 1;",
            "| ann | 2 |\n| x | 1 |",
        ),
        ("SELECT page, windowstart, n FROM per_page WHERE page = '/a' ORDER BY windowstart LIMIT 1;", "| /a | 0 | 2 |"),
        ("SELECT MAX(n) AS m FROM per_user WHERE user_id LIKE 'a%';", "| 2 |"),
        ("SELECT * FROM per_user ORDER BY user_id LIMIT 1;", "| ann | 2 | 15 | /b |"),
        (
            "WITH u AS (SELECT user_id, n FROM per_user) SELECT COUNT(*) AS c FROM u a JOIN u b ON a.user_id = b.user_id;",
            "| 2 |",
        ),
        (
            "SELECT s.name, q.state, COUNT(*) AS columns FROM system.sources s JOIN system.columns c ON c.source = s.name
             LEFT JOIN system.queries q ON q.sink = s.name WHERE s.name = 'PER_USER' GROUP BY s.name, q.state;",
            "| PER_USER | RUNNING | 4 |",
        ),
        (
            "SELECT COUNT(PARSE_DATE(page, 'yyyy')) AS dates FROM clicks;",
            "| 0 |\nwarning: PARSE_DATE failed for 3 rows: ",
        ),
        (
            "SELECT n, PARSE_DATE(last, 'yyyy') AS d FROM per_user WHERE user_id = 'bob';",
            "| 1 | |\nwarning: an expression failed for 1 row: ",
        ),
    ] {
        let got = ask(&mut session, query).await;
        assert!(got.starts_with(want) && (want.contains("warning") || got == want), "{query}\n{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_when_its_own_writes_may_be_missing() {
    let engine = Engine::open(EngineConfig::default()).await.expect("opens");
    let mut session = engine.session();
    run_as_it_is(&mut session, SETUP).await;
    let queries = ask(&mut session, "SELECT id FROM system.queries WHERE sink = 'PER_USER';").await;
    let id = queries.trim_matches(['|', ' ']).to_owned();
    for lookup in ["SELECT n FROM per_user WHERE user_id = 'ann';", "SELECT SUM(n) AS n FROM per_user;"] {
        let before = ask(&mut session, lookup).await;
        assert!(!before.contains("warning"), "{before}");
        run_as_it_is(
            &mut session,
            &format!("PAUSE {id}; INSERT INTO clicks (user_id, page, ms) VALUES ('ann', '/c', 1);"),
        )
        .await;
        let told = format!("{before}\nwarning: rows may lack what this session has written: query {id} is paused");
        assert_eq!(ask(&mut session, lookup).await, told);
        run_as_it_is(&mut session, &format!("RESUME {id};")).await;
        let after = ask(&mut session, lookup).await;
        assert!(after != before && !after.contains("warning"), "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_what_is_read_and_each_stage() {
    let engine = engine().await;
    let mut session = engine.session();
    run(&mut session, SETUP).await;
    for (statement, parts) in [
        ("EXPLAIN SELECT COUNT(*) FROM per_user;", &["StateScan: PER_USER, scan, columns=[]"][..]),
        ("EXPLAIN SELECT SUM(n) FROM per_user WHERE user_id = 'ann';", &["lookup of 1 key(s), columns=[USER_ID, N]"]),
        ("EXPLAIN SELECT SUM(n) FROM per_user WHERE user_id LIKE 'a%';", &["range scan of 1 range(s)"]),
        ("EXPLAIN SELECT SUM(n) FROM per_page WHERE page = '/a' AND windowstart > 5;", &["range scan of 1 range(s)"]),
        (
            "EXPLAIN SELECT MAX(ms) FROM clicks WHERE rowpartition = 1;",
            &["TopicScan: CLICKS, topic clicks", "columns=[MS, ROWPARTITION]"],
        ),
        (
            "EXPLAIN SELECT page, COUNT(*) AS n FROM clicks WHERE ms > 1 GROUP BY page EMIT CHANGES;",
            &[
                "Stage 1",
                "FilterExec: ",
                "Exchange by",
                "Stage 2",
                "ProjectionExec: ",
                "FromStage 1",
                "Source stream CLICKS",
            ],
        ),
        (
            "EXPLAIN ANALYZE CTAS_PER_PAGE_1;",
            &[
                "Stage 1: rows in 3, out 3",
                "lag 0 records",
                "Stage 2: rows in 3",
                "State: topic _millstream-CTAS_PER_PAGE_1-changelog",
                "Records in 3",
                "Epochs 1: mean ",
                "Read clicks partition 0 up to offset ",
                "Lost rows: undecodable 0",
            ],
        ),
    ] {
        let got = run(&mut session, statement).await;
        parts.iter().for_each(|part| assert!(got.contains(part), "{statement}: no {part} in\n{got}"));
    }
}
