//! An engine on a simulated disk, and statements on it.

mod unnumbered;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use engine::{Engine, EngineConfig, Outcome, QueryReport};
use futures::StreamExt;
use host::Simulation;
use recordlog::{
    Append, Commit, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression},
    embedded::{EmbeddedLog, Settings},
};

/// Longest that anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// Queries that run by themselves, over a log that reads everything from its disk.
pub async fn open(sim: &Simulation, config: EngineConfig) -> Arc<Engine> {
    let log = log(sim, &config);
    Engine::open_on(config, log.clone(), Some(log), sim.host.clone()).await.expect("the engine opens")
}

/// As [`open`]; the log gives no numbers to what arrives.
pub async fn open_unnumbered(sim: &Simulation, config: EngineConfig) -> Arc<Engine> {
    let log = Arc::new(unnumbered::Unnumbered(log(sim, &config)));
    Engine::open_on(config, log, None, sim.host.clone()).await.expect("the engine opens")
}

fn log(sim: &Simulation, config: &EngineConfig) -> Arc<EmbeddedLog> {
    let settings =
        Settings { tail_bytes_max: 0, tail_partition_bytes_max: 0, threads: !config.manual, ..Settings::default() };
    EmbeddedLog::open(sim.host.clone(), "/log", settings).expect("the log opens")
}

/// Statements, carried out one after another; rows as lines of cells with spaces between. An error ends it.
pub async fn run(engine: &Arc<Engine>, text: &str) -> Result<Vec<String>, String> {
    let mut session = engine.session();
    let mut lines = vec![];
    for statement in session.parse(text).map_err(|e| e.render(text))? {
        let prepared = session.prepare(&statement).await.map_err(|e| e.render(text))?;
        let outcome = session.execute(&prepared, &[]).await.map_err(|e| e.to_string())?;
        let Outcome::Rows(mut rows) = outcome else { continue };
        let options = FormatOptions::default().with_null("null");
        while let Some(batch) = rows.batches.next().await {
            let batch = batch.map_err(|e| e.to_string())?;
            let columns: Vec<_> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = columns.iter().map(|c| c.value(row).to_string()).collect();
                lines.push(cells.join(" "));
            }
        }
    }
    lines.sort();
    Ok(lines)
}

/// Wait until the query's report is as wanted.
pub async fn until(engine: &Arc<Engine>, id: &str, wanted: impl Fn(&QueryReport) -> bool) -> QueryReport {
    let mut last = None;
    let found = async {
        loop {
            last = engine.reports().into_iter().find(|r| r.id == id);
            if let Some(report) = last.clone().filter(&wanted) {
                return report;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("{id} does not come to what is wanted: {last:?}"))
}

/// Wait until a statement gives these rows.
pub async fn until_rows(engine: &Arc<Engine>, text: &str, wanted: &[&str]) {
    let mut last = Ok(vec![]);
    let found = async {
        loop {
            last = run(engine, text).await;
            if last.as_ref().is_ok_and(|rows| rows == wanted) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    assert!(found.is_ok(), "{text} gives {last:?}, not {wanted:?}; queries: {:#?}", engine.reports());
}

pub async fn create_topic(engine: &Engine, name: &str, partitions: u32, settings: &[(&str, &str)]) {
    let settings: BTreeMap<String, String> = settings.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    engine.log().create_topic(name, TopicConfig { partitions, replicas: 1, settings }).await.expect("a new topic");
}

/// Records as one batch.
pub fn batch(records: &[(Option<&[u8]>, Option<&[u8]>, i64)]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (key, value, time) in records {
        builder.push(*key, *value, *time, &[]).unwrap();
    }
    builder.finish(Compression::None).unwrap()
}

/// Write batches, durably.
pub async fn write(engine: &Engine, appends: Vec<(&str, u32, Bytes)>) {
    let append = |(topic, partition, batches): (&str, u32, Bytes)| Append {
        partition: TopicPartition::new(topic, partition),
        batches: batches.into(),
    };
    let ticket = engine.log().commit(Commit::of(appends.into_iter().map(append).collect()));
    ticket.await.unwrap().expect("written");
}

/// The segment files of a topic.
pub fn files_of(sim: &Simulation, engine: &Engine, topic: &str) -> Vec<PathBuf> {
    let id = format!("{:032x}", engine.log().topic(topic).expect("is asked").expect("a topic").id);
    let belongs = |path: &PathBuf| {
        let text = path.to_string_lossy();
        text.contains(&id) && text.ends_with(".log")
    };
    sim.disk.files().into_iter().filter(belongs).collect()
}
