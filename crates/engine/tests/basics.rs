//! Statements in, rows out, on an engine in memory driven by hand.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use engine::{Cut, Engine, EngineConfig, Outcome, Session};
use futures::StreamExt;

async fn engine() -> Arc<Engine> {
    Engine::open(EngineConfig { manual: true, ..EngineConfig::default() }).await.expect("opens")
}

async fn run(session: &mut Session, text: &str) -> String {
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
        session.engine().drive(Cut::All).await.expect("drives");
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
