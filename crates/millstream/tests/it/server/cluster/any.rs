//! Whichever process is asked.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, error::ErrorPosition};

use super::{
    super::process::{PATIENCE, Server},
    Cluster, Member, ROWS, THIRDS, block_on, connect, create, halves, insert, rows, thirds, totals, until_rows,
};

/// What a statement is refused with: code, message, place.
async fn refusal(client: &Client, text: &str) -> (String, String, Option<ErrorPosition>) {
    let error = client.batch_execute(text).await.expect_err("is refused");
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
    (error.code().code().to_owned(), error.message().to_owned(), error.position().cloned())
}

/// Wait until each task of each query is open in one of the processes.
async fn until_all_are_open(clients: &[Client], log: &Server) {
    let began = Instant::now();
    let ids = rows(&clients[0], "SELECT id FROM system.queries;").await.expect("are shown");
    loop {
        let (mut tasks, mut open) = (0, 0);
        for client in clients {
            let opened = rows(client, "SELECT query_id FROM system.tasks WHERE lag IS NOT NULL;").await;
            open += opened.expect("are shown").len();
        }
        for id in &ids {
            let lines = rows(&clients[0], &format!("EXPLAIN {id};")).await.expect("is explained");
            tasks += lines.iter().filter(|line| line.starts_with("Task ")).count();
        }
        if open == tasks && tasks > 0 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{open} of {tasks} tasks are open\n{}", log.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn any_process_takes_any_statement() {
    block_on(async {
        let cluster = Cluster::start();
        let members = [cluster.member("any"), cluster.member("any"), cluster.member("any")];
        let clients =
            [connect(members[0].address).await, connect(members[1].address).await, connect(members[2].address).await];
        create(&cluster, &clients[0]).await;
        // Seen by who made it, whoever that is, and by the others a moment later.
        for (number, client) in clients.iter().enumerate() {
            let name = format!("copy{number}");
            let create =
                format!("CREATE STREAM {name} WITH (kafka_topic = '{name}$run') AS SELECT * FROM src EMIT CHANGES;");
            client.batch_execute(&cluster.named(&create)).await.expect("is created");
            client.batch_execute(&format!("DESCRIBE {name};")).await.expect("is there");
        }
        // Refused in the same words at the same place.
        for text in ["SELECT 1; CREATE STREAM again AS SELECT nothing FROM src EMIT CHANGES;", "DROP STREAM src;"] {
            let refusals =
                [refusal(&clients[0], text).await, refusal(&clients[1], text).await, refusal(&clients[2], text).await];
            assert!(refusals.iter().all(|other| *other == refusals[0]), "{refusals:?}");
        }
        // A session sees what it has written, wherever the rows are kept, unless tasks are on their way for too long.
        until_all_are_open(&clients, &members[0].server).await;
        for (number, client) in (0..).zip(&clients) {
            client.batch_execute(&insert(number * ROWS)).await.expect("is written");
            let count = (number + 1) * ROWS;
            let server = &members[0].server;
            for (text, wanted) in [
                ("SELECT * FROM totals;", totals(count)),
                ("SELECT * FROM by_half;", halves(count)),
                (THIRDS, thirds(count)),
            ] {
                assert_eq!(rows(client, text).await.expect("is read"), wanted, "{text}\n{}", server.log());
            }
        }
        let written = 3 * ROWS;
        for (Member { server, address }, number) in members.iter().zip(1..) {
            let limited = format!("SELECT k FROM totals LIMIT {number};");
            let first: Vec<String> = totals(written).iter().map(|row| row[..2].to_owned()).take(number).collect();
            until_rows(*address, &limited, &first, server).await;
            let range = "SELECT third FROM by_third WHERE third = 1;";
            until_rows(*address, range, &["1".to_owned()], server).await;
            let joined = "SELECT COUNT(*) AS n FROM totals t JOIN by_half h ON t.rows_in % 2 = h.half;";
            until_rows(*address, joined, &["7".to_owned()], server).await;
        }
        // Each task is with one of them, and all say so.
        for query in rows(&clients[0], "SHOW QUERIES;").await.expect("are shown") {
            assert!(query.contains(" PERSISTENT RUNNING "), "{query}");
            let explain = format!("EXPLAIN {};", query.split(' ').next().expect("an id"));
            let (mut here, mut tasks) = (0, vec![]);
            for client in &clients {
                let lines = rows(client, &explain).await.expect("is explained");
                tasks.push(lines.iter().filter(|line| line.starts_with("Task ")).count());
                here +=
                    lines.iter().filter(|line| line.starts_with("Task ") && line.contains(": here, RUNNING")).count();
            }
            assert!(tasks.iter().all(|count| *count == here && here > 0), "{query}: {tasks:?}, {here} here");
        }
        // Paused and resumed everywhere.
        clients[1].batch_execute("PAUSE ALL;").await.expect("is paused");
        clients[2].batch_execute(&insert(written)).await.expect("is written");
        for client in &clients {
            let states = rows(client, "SELECT DISTINCT state FROM system.queries;").await.expect("is read");
            assert!(states.iter().all(|state| state == "PAUSED"), "{states:?}");
        }
        clients[2].batch_execute("RESUME ALL;").await.expect("goes on");
        for Member { server, address } in &members {
            until_rows(*address, "SELECT * FROM totals;", &totals(written + ROWS), server).await;
        }
        // Replaced, then dropped, with what it kept.
        let replace = "SET 'auto.offset.reset' = 'earliest'; CREATE OR REPLACE TABLE by_half WITH (kafka_topic = 'by_half$run') AS
            SELECT n % 2 AS half, COUNT(*) AS rows_in FROM src WHERE n >= 0 GROUP BY n % 2 EMIT CHANGES;";
        clients[1].batch_execute(&cluster.named(replace)).await.expect("is replaced");
        for Member { server, address } in &members {
            until_rows(*address, "SELECT * FROM by_half;", &halves(written + ROWS), server).await;
        }
        clients[2].batch_execute("DROP TABLE by_half DELETE TOPIC;").await.expect("is dropped");
        clients[2]
            .batch_execute("CREATE TABLE by_half AS SELECT k, COUNT(*) AS rows_in FROM src GROUP BY k EMIT CHANGES;")
            .await
            .expect("the name is free");
        for Member { server, address } in &members {
            let counts: Vec<String> =
                totals(written + ROWS).iter().map(|row| row.rsplit_once(' ').expect("three").0.to_owned()).collect();
            until_rows(*address, "SELECT * FROM by_half;", &counts, server).await;
        }
    });
}

#[test]
fn what_cannot_be_is_told_at_start() {
    let check = |arguments: &[&str], words: &[&str]| {
        let (status, log) = Server::launch(arguments).wait();
        assert_eq!(status.code(), Some(1), "{arguments:?}: {log}");
        words.iter().for_each(|word| assert!(log.contains(word), "{arguments:?}: {log}"));
    };
    check(&["--kafka-bootstrap", "127.0.0.1:1"], &["127.0.0.1:1"]);
    check(&["--kafka-bootstrap", "127.0.0.1:1", "--kafka", "127.0.0.1:0"], &["--kafka 127.0.0.1:0", "leave it out"]);
    check(&["--service-id", "x"], &["--kafka-bootstrap"]);
}
