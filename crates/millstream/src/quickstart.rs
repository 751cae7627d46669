//! `quickstart`: real events, two queries, live results, and a server to connect to.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use engine::{Engine, EngineConfig, Outcome, Session};
use futures::StreamExt;
use recordlog::{
    Append, Commit, TopicPartition,
    batch::{BatchBuilder, Compression},
    partitioner::partition_for_key,
};
use tokio_util::sync::CancellationToken;

use crate::{
    CommandResult, block_on,
    kafka::{self, KafkaConfig, Listen},
    machine,
    server::{listen_pg, serve_pg},
    signals::StopSignals,
    table::Table,
};

const TOPIC: &str = "machine";

const SETUP: &str = "
CREATE STREAM IF NOT EXISTS machine (metric VARCHAR KEY, kind VARCHAR, value DOUBLE, unit VARCHAR)
  WITH (kafka_topic = 'machine', value_format = 'JSON', partitions = 2);

CREATE TABLE IF NOT EXISTS metric_10s AS
  SELECT metric, COUNT(*) AS samples, AVG(value) AS mean, MAX(value) AS top
  FROM machine WINDOW TUMBLING (SIZE 10 SECONDS)
  GROUP BY metric EMIT CHANGES;

CREATE TABLE IF NOT EXISTS metric_now AS
  SELECT metric, LATEST_BY_OFFSET(value) AS value, COUNT(*) AS samples
  FROM machine GROUP BY metric EMIT CHANGES;
";

/// Shown again and again.
const SHOWN: &str =
    "SELECT metric, value, samples FROM metric_now WHERE metric IN ('cpu.user', 'cpu.ctxt', 'memory.memavailable');";

/// How often the machine is read, and results shown.
const READ_EVERY: Duration = Duration::from_millis(150);
const SHOW_EVERY: Duration = Duration::from_secs(3);

/// Run until a signal says stop.
pub fn run(data: PathBuf, pg: SocketAddr, kafka_at: Option<Listen>) -> CommandResult {
    block_on(async move {
        let mut signals = StopSignals::listen()?;
        let kafka_settings = KafkaConfig::default().settings(false);
        let kafka_listener = match kafka_at {
            Some(at) => kafka::listen(at, &kafka_settings).await?,
            // Who looks around does not mind which port it is; a Kafka that runs here already has its own.
            None => match kafka::listen(Listen::default(), &kafka_settings).await {
                Ok(listener) => listener,
                Err(_) => kafka::listen(Listen::any_port(), &kafka_settings).await?,
            },
        };
        let config = EngineConfig { data_dir: Some(data.clone()), ..EngineConfig::default() };
        let engine = Engine::open(config).await.map_err(|e| format!("{}: {e}", data.display()))?;
        let stop = CancellationToken::new();
        let (pg, server) = serve_pg(&engine, listen_pg(pg, false).await?, false, &stop)?;
        let kafka = match kafka_listener {
            Some(listener) => Some(kafka::serve(&engine, listener, kafka_settings, &stop).await?),
            None => None,
        };
        let mut session = engine.session();
        println!("{}", SETUP.trim());
        execute(&mut session, SETUP, false).await?;
        println!(
            "\nConnect with:  psql -h {} -p {}\nTry:           SELECT * FROM metric_10s WHERE metric = 'cpu.user';",
            pg.ip(),
            pg.port()
        );
        println!("               SELECT * FROM machine EMIT CHANGES LIMIT 5;");
        if let Some((at, _)) = &kafka {
            println!("With Kafka's tools: kcat -b {at} -t {TOPIC} -C -o end");
        }
        println!("Ctrl-C stops; data stays in {}.\n", data.display());
        let mut reading = tokio::time::interval(READ_EVERY);
        let mut showing = tokio::time::interval_at(tokio::time::Instant::now() + SHOW_EVERY, SHOW_EVERY);
        loop {
            tokio::select! {
                _ = reading.tick() => feed(&engine).await?,
                _ = showing.tick() => execute(&mut session, SHOWN, true).await?,
                () = signals.stop() => break,
            }
        }
        println!("\nstopping");
        stop.cancel();
        let _ = server.await;
        if let Some((_, serving)) = kafka {
            let _ = serving.await;
        }
        engine.shutdown().await;
        Ok(())
    })
}

/// One reading of the machine into the topic.
async fn feed(engine: &Arc<Engine>) -> CommandResult {
    let log = engine.log();
    let topic = log.topic(TOPIC).map_err(|e| e.to_string())?.ok_or("the topic machine is gone")?;
    let partitions = topic.config.partitions;
    let now = engine.host().clock.now_ms();
    let mut builders: Vec<BatchBuilder> = (0..partitions).map(|_| BatchBuilder::new()).collect();
    for reading in machine::read() {
        let value = serde_json::json!({ "kind": reading.kind, "value": reading.value, "unit": reading.unit });
        let at = partition_for_key(reading.metric.as_bytes(), partitions) as usize;
        if let Some(builder) = builders.get_mut(at) {
            let pushed = builder.push(Some(reading.metric.as_bytes()), Some(value.to_string().as_bytes()), now, &[]);
            pushed.map_err(|e| format!("an event cannot be written: {e}"))?;
        }
    }
    let mut appends = vec![];
    for (partition, mut builder) in (0..partitions).zip(builders) {
        if !builder.is_empty() {
            let batches = builder.finish(Compression::None).map_err(|e| format!("an event cannot be written: {e}"))?;
            appends.push(Append { partition: TopicPartition::new(TOPIC, partition), batches: batches.into() });
        }
    }
    let committed = log.commit(Commit::of(appends)).await.map_err(|_| "the log is closed")?;
    committed.map(|_| ()).map_err(|e| e.to_string())
}

/// Run statements; `show` prints their rows.
async fn execute(session: &mut Session, text: &str, show: bool) -> CommandResult {
    for statement in session.parse(text).map_err(|e| e.render(text))? {
        let prepared = session.prepare(&statement).await.map_err(|e| e.render(text))?;
        let outcome = session.execute(&prepared, &[]).await.map_err(|e| e.render(text))?;
        if let Outcome::Rows(mut rows) = outcome {
            let mut table = Table::new(rows.columns.iter().map(|c| c.name.to_lowercase()).collect());
            while let Some(batch) = rows.batches.next().await {
                let batch = batch.map_err(|e| e.render(text))?;
                for row in 0..batch.num_rows() {
                    let cell = |c: &arrow::array::ArrayRef| arrow::util::display::array_value_to_string(c, row).ok();
                    table.push(batch.columns().iter().map(cell).collect());
                }
            }
            if show {
                table.finish(&mut std::io::stdout()).map_err(|e| format!("output: {e}"))?;
            }
        }
    }
    Ok(())
}
