//! State that is kept warm is what a task goes on with.

use std::time::{Duration, Instant};

use super::{
    super::process::{PATIENCE, Server},
    Cluster, Member, block_on, connect, rows, until_rows,
};

const ROWS: i64 = 600;

const QUERY: &str = "SET 'auto.offset.reset' = 'earliest';
    CREATE TABLE counts WITH (kafka_topic = 'counts$run') AS SELECT n, COUNT(*) AS rows_in FROM src GROUP BY n EMIT CHANGES;";

/// Tasks of the last stage in some state, with all that `wanted` says of them.
async fn tasks(member: &Member, wanted: &str) -> Vec<String> {
    let text = format!("SELECT partition FROM system.tasks WHERE stage = 1 AND {wanted};");
    rows(&connect(member.address).await, &text).await.expect("is read")
}

async fn until_tasks(member: &Member, wanted: &str, partitions: &[String]) {
    let began = Instant::now();
    loop {
        let found = tasks(member, wanted).await;
        if found == partitions {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{wanted}: {found:?}, not {partitions:?}\n{}", member.server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn who_takes_over_goes_on_from_a_warm_copy() {
    block_on(async {
        let cluster = Cluster::start();
        let config = cluster.data.path().join("warm.toml");
        std::fs::write(&config, "[kafka_cluster]\nstandby_replicas = 1\n").expect("is written");
        let arguments = ["--config", config.to_str().expect("a path of text")];
        let start = || cluster.member_with("warm", &arguments);
        let (gone, stays) = (start(), start());
        let client = connect(stays.address).await;
        client.batch_execute(&cluster.named(super::SOURCES)).await.expect("the stream is created");
        client.batch_execute(&cluster.named(QUERY)).await.expect("the query is created");
        let values: Vec<String> = (0..ROWS).map(|n| format!("('k', {n})")).collect();
        client
            .batch_execute(&format!("INSERT INTO src (k, n) VALUES {};", values.join(", ")))
            .await
            .expect("is written");
        let count = async |server: &Server| {
            until_rows(stays.address, "SELECT COUNT(*) FROM counts;", &[ROWS.to_string()], server).await;
        };
        count(&stays.server).await;
        // Both have some, and each follows what the other has to its end.
        let began = Instant::now();
        let moving = loop {
            let (here, there) = (tasks(&stays, "state = 'RUNNING'").await, tasks(&gone, "state = 'RUNNING'").await);
            if !here.is_empty() && !there.is_empty() && here.len() + there.len() == 3 {
                break there;
            }
            assert!(began.elapsed() < PATIENCE, "{here:?} {there:?}\n{}", stays.server.log());
        };
        until_tasks(&stays, "state = 'STANDBY' AND lag = 0", &moving).await;
        gone.server.kill();
        until_tasks(&stays, "state = 'RUNNING'", &["0".to_owned(), "1".to_owned(), "2".to_owned()]).await;
        count(&stays.server).await;
        // What it has from before it was given when the processes joined.
        let mut read = tasks(&stays, "restored > 0").await;
        read.retain(|task| moving.contains(task));
        assert_eq!(read, Vec::<String>::new(), "all of it was there already");
        // One that follows nothing reads all of it.
        let late = cluster.member("warm");
        let began = Instant::now();
        while tasks(&late, "restored > 0").await.is_empty() {
            assert!(began.elapsed() < PATIENCE, "{}", late.server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
