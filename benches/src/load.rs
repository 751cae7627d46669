//! The events in the topics of a data directory, written once and used by every run.
//!
//! Records arrive in order of event time over both topics, in batches of about a thousand to a partition, as producers
//! under load write them.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use host::Host;
use recordlog::{
    Append, Commit, CommitTicket, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression},
    embedded::{EmbeddedLog, Settings},
    partitioner::partition_for_key,
};

use crate::{
    Outcome,
    generator::{BLOCK_AUCTIONS, BLOCK_BIDS, Site},
};

/// Partitions of each topic.
pub const PARTITIONS: u32 = 4;
/// The topic of bids.
pub const BIDS: &str = "bids";
/// The topic of auctions.
pub const AUCTIONS: &str = "auctions";

/// Blocks that are committed at once.
const COMMIT_BLOCKS: u64 = 64;
/// A file that says that a directory has everything.
const LOADED: &str = "loaded";
/// Commits without an answer yet.
const COMMITS_IN_FLIGHT: usize = 8;

/// Topics with all events in them.
#[derive(Debug, Clone)]
pub struct Data {
    /// The server's data directory.
    pub dir: PathBuf,
    /// What is in it.
    pub site: Site,
}

impl Data {
    /// The log itself, while no server has it open.
    pub fn open_log(&self) -> Outcome<Arc<EmbeddedLog>> {
        Ok(EmbeddedLog::open(Host::real(), self.dir.join("log"), Settings::default())?)
    }
}

/// A topic's batches of one commit.
pub(crate) struct Batches {
    topic: Arc<str>,
    builders: Vec<BatchBuilder>,
    key: String,
    value: String,
}

impl Batches {
    /// None yet.
    pub fn new(topic: &str) -> Batches {
        let builders = (0..PARTITIONS).map(|_| BatchBuilder::new()).collect();
        Batches { topic: topic.into(), builders, key: String::new(), value: String::new() }
    }

    /// The partition of a key.
    pub fn partition_of(key: &str) -> u32 {
        partition_for_key(key.as_bytes(), PARTITIONS)
    }

    /// Add a record, whose key and value are written to two empty strings.
    pub fn push(&mut self, time_ms: i64, write: impl FnOnce(&mut String, &mut String)) -> Outcome<()> {
        self.key.clear();
        self.value.clear();
        write(&mut self.key, &mut self.value);
        push(&mut self.builders, time_ms, self.key.as_bytes(), self.value.as_bytes())
    }

    /// Add a record of a key and a value.
    pub fn push_bytes(&mut self, time_ms: i64, key: &[u8], value: &[u8]) -> Outcome<()> {
        push(&mut self.builders, time_ms, key, value)
    }

    /// What was added since this was asked last.
    pub fn appends(&mut self) -> Outcome<Vec<Append>> {
        let mut appends = vec![];
        for (p, builder) in (0..).zip(&mut self.builders) {
            if !builder.is_empty() {
                let batches = builder.finish(Compression::None)?.into();
                appends.push(Append { partition: TopicPartition::new(self.topic.clone(), p), batches });
            }
        }
        Ok(appends)
    }
}

fn push(builders: &mut [BatchBuilder], time_ms: i64, key: &[u8], value: &[u8]) -> Outcome<()> {
    let partition = partition_for_key(key, PARTITIONS);
    let builder = builders.get_mut(partition as usize).ok_or("a partition beyond the last")?;
    Ok(builder.push(Some(key), Some(value), time_ms, &[])?)
}

/// Appends to the topics of a log, some commits at a time on their way.
pub(crate) struct Loader {
    log: Arc<dyn RecordLog>,
    /// The same, where a directory is to be let go of.
    own: Option<Arc<EmbeddedLog>>,
    waiting: VecDeque<CommitTicket>,
}

impl Loader {
    /// For a directory that no server has open, with these topics, which are made where they are missing.
    pub async fn open(data: &Data, topics: &[&str]) -> Outcome<Loader> {
        let log = data.open_log()?;
        Ok(Loader { own: Some(log.clone()), ..Loader::of(log, topics).await? })
    }

    /// For any log, with these topics, which are made where they are missing.
    pub async fn of(log: Arc<dyn RecordLog>, topics: &[&str]) -> Outcome<Loader> {
        for topic in topics {
            if log.topic(topic)?.is_none() {
                log.create_topic(topic, TopicConfig::with_partitions(PARTITIONS).with("retention.ms", "-1")).await?;
            }
        }
        Ok(Loader { log, own: None, waiting: VecDeque::new() })
    }

    /// Commit what the batches hold, in their order.
    pub async fn commit(&mut self, batches: &mut [&mut Batches]) -> Outcome<()> {
        let mut appends = vec![];
        for batches in batches {
            appends.extend(batches.appends()?);
        }
        self.waiting.push_back(self.log.commit(Commit::of(appends)));
        if self.waiting.len() > COMMITS_IN_FLIGHT
            && let Some(ticket) = self.waiting.pop_front()
        {
            ticket.await??;
        }
        Ok(())
    }

    /// Wait until everything is durable, and let go of the directory.
    pub async fn finish(self) -> Outcome<()> {
        for ticket in self.waiting {
            ticket.await??;
        }
        Ok(self.own.map_or(Ok(()), |log| log.close())?)
    }
}

impl Data {
    /// Whether everything was loaded before; else what is there is removed.
    pub(crate) fn is_loaded(&self) -> Outcome<bool> {
        if self.dir.join(LOADED).exists() {
            return Ok(true);
        }
        if self.dir.exists() {
            std::fs::remove_dir_all(&self.dir)?;
        }
        std::fs::create_dir_all(&self.dir)?;
        Ok(false)
    }

    /// Everything is loaded.
    pub(crate) fn set_loaded(&self) -> Outcome<()> {
        Ok(std::fs::write(self.dir.join(LOADED), b"")?)
    }
}

/// The data directory with that many bids below `dir`, loaded unless it is there.
///
/// # Errors
/// The disk's.
pub async fn data(dir: &Path, bids: u64) -> Outcome<Data> {
    let data = Data { dir: dir.join(format!("data-{bids}")), site: Site { bids } };
    if data.is_loaded()? {
        return Ok(data);
    }
    let started = Instant::now();
    fill(&data).await?;
    data.set_loaded()?;
    let (records, seconds) = (data.site.bids + data.site.auctions(), started.elapsed().as_secs_f64());
    println!("loaded {records} records in {seconds:.1} s ({:.2} M/s)\n", records as f64 / seconds / 1e6);
    Ok(data)
}

/// Append all events to the topics, which are made where they are missing.
///
/// # Errors
/// The disk's.
pub async fn fill(data: &Data) -> Outcome<()> {
    let mut loader = Loader::open(data, &[AUCTIONS, BIDS]).await?;
    let (mut auctions, mut bids) = (Batches::new(AUCTIONS), Batches::new(BIDS));
    let (site, mut block) = (data.site, 0);
    while block < site.blocks() {
        let end = (block + COMMIT_BLOCKS).min(site.blocks());
        for n in block * BLOCK_AUCTIONS..(end * BLOCK_AUCTIONS).min(site.auctions()) {
            let auction = site.auction(n);
            auctions.push(auction.time_ms, |key, value| {
                auction.write_key(key);
                auction.write_value(value);
            })?;
        }
        for n in block * BLOCK_BIDS..(end * BLOCK_BIDS).min(site.bids) {
            let bid = site.bid(n);
            bids.push(bid.time_ms, |key, value| {
                bid.write_key(key);
                bid.write_value(value);
            })?;
        }
        loader.commit(&mut [&mut auctions, &mut bids]).await?;
        block = end;
    }
    loader.finish().await
}
