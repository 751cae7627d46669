//! What the engine reaches, measured from outside: the server as users run it, on data that was there before.
//!
//! A run loads an auction site's events into the topics of a data directory, starts the server's binary on it, sends a
//! workload's statements over the Postgres wire, and waits for the commit that says that everything was read. The
//! output is then read back from the log and compared with what the generator says it must be: a figure for a wrong
//! answer is worth nothing.

pub mod generator;
pub mod growth;
pub mod idle;
mod inside;
pub mod large;
pub mod latency;
pub mod load;
pub mod lookups;
pub mod nexmark;
pub mod peer;
pub mod report;
pub mod server;
pub mod startup;
pub mod verify;
pub mod workloads;
pub mod zipf;

use std::path::PathBuf;

/// Anything that keeps a run from its end, as text for who started it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The usual result.
pub type Outcome<T> = Result<T, Failure>;

/// What to run, and on what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's binary.
    pub server: PathBuf,
    /// Where data directories are made; the topics of a run are kept there for the next one.
    pub dir: PathBuf,
    /// Bids; a twentieth as many auctions come with them.
    pub bids: u64,
    /// Runs of each workload.
    pub runs: usize,
    /// Names of workloads and Nexmark queries; empty: all.
    pub workloads: Vec<String>,
    /// Records of the latency measurement; 0: none.
    pub latency_records: u64,
    /// Queries of the start-up measurement; 0: none.
    pub startup_queries: usize,
    /// Queries over one topic that are compared with one; 0: none.
    pub growth_queries: u64,
    /// Streams of the measurement of what is idle; 0: none.
    pub idle_streams: usize,
    /// Queries over the first of them.
    pub idle_queries: usize,
    /// Keys of the measurement of state that does not fit; 0: none.
    pub state_keys: u64,
    /// What of it may be in memory, bytes.
    pub state_limit_bytes: u64,
    /// Lookups of each kind while W2 runs; 0: none.
    pub lookups: u64,
    /// Rows of the table that they look at; `pgbench -i` makes 100,000 for each unit of its scale.
    pub accounts: u64,
    /// pgbench, to make them instead of clients of this process.
    pub pgbench: Option<PathBuf>,
    /// Port of a PostgreSQL server that pgbench has filled, to be looked at in the same run.
    pub postgres: Option<u16>,
    /// Events of the Nexmark queries; 0: none.
    pub nexmark_events: u64,
    /// Brokers of a cluster on which the Nexmark queries are to run; `None`: on the embedded log.
    pub kafka_bootstrap: Option<String>,
}

impl Settings {
    /// Whether a workload is to be run.
    fn wants(&self, name: &str) -> bool {
        self.workloads.is_empty() || self.workloads.iter().any(|w| w == name)
    }

    /// Everything once, on little: to see that it works.
    pub fn quick(server: PathBuf, dir: PathBuf) -> Settings {
        Settings {
            server,
            dir,
            bids: 20_000,
            runs: 1,
            workloads: vec![],
            latency_records: 200,
            startup_queries: 5,
            growth_queries: 4,
            idle_streams: 20,
            idle_queries: 4,
            lookups: 40,
            accounts: 1_000,
            pgbench: None,
            postgres: None,
            state_keys: 20_000,
            state_limit_bytes: 1 << 20,
            nexmark_events: 20_000,
            kafka_bootstrap: None,
        }
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    format!("no workload {name}; there are {}", known.collect::<Vec<_>>().join(", ")).into()
}

/// Run what `settings` ask for, printing a table as it grows.
///
/// # Errors
/// A server that does not answer, a statement that fails, an output that is wrong.
pub fn run(settings: &Settings) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        report::machine(&settings.dir)?;
        let known = || workloads::WORKLOADS.iter().map(|w| w.name).chain(nexmark::names());
        if let Some(name) = settings.workloads.iter().find(|name| !known().any(|k| k == name.as_str())) {
            return Err(unknown(name, known()));
        }
        let chosen: Vec<_> = workloads::WORKLOADS.iter().filter(|w| settings.wants(w.name)).collect();
        if settings.runs > 0 && !chosen.is_empty() {
            let data = load::data(&settings.dir, settings.bids).await?;
            report::head();
            for workload in chosen {
                let mut all = Vec::with_capacity(settings.runs);
                for _ in 0..settings.runs {
                    let measured = workloads::measure(workload, settings, &data).await?;
                    report::line(workload.name, workload.title, &measured);
                    all.push(measured);
                }
                report::median(workload.name, &all);
            }
        }
        if settings.startup_queries > 0 {
            startup::measure(settings).await?;
        }
        if settings.growth_queries > 0 {
            growth::measure(settings).await?;
        }
        if settings.idle_streams > 0 {
            idle::measure(settings).await?;
        }
        if settings.state_keys > 0 {
            large::measure(settings).await?;
        }
        if settings.lookups > 0 {
            lookups::measure(settings).await?;
        }
        if settings.nexmark_events > 0 {
            nexmark::measure(settings).await?;
        }
        if settings.latency_records > 0 {
            latency::measure(settings).await?;
        }
        Ok(())
    })
}
