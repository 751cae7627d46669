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
struct Batches {
    topic: &'static str,
    builders: Vec<BatchBuilder>,
    key: String,
    value: String,
}

impl Batches {
    fn new(topic: &'static str) -> Batches {
        let builders = (0..PARTITIONS).map(|_| BatchBuilder::new()).collect();
        Batches { topic, builders, key: String::new(), value: String::new() }
    }

    fn push(&mut self, time_ms: i64, write: impl FnOnce(&mut String, &mut String)) -> Outcome<()> {
        self.key.clear();
        self.value.clear();
        write(&mut self.key, &mut self.value);
        let key = self.key.as_bytes();
        let builder = self.builders.get_mut(partition_for_key(key, PARTITIONS) as usize);
        let builder = builder.ok_or("a partition beyond the last")?;
        Ok(builder.push(Some(key), Some(self.value.as_bytes()), time_ms, &[])?)
    }

    fn appends(&mut self) -> Outcome<Vec<Append>> {
        let mut appends = vec![];
        for (p, builder) in (0..).zip(&mut self.builders) {
            if !builder.is_empty() {
                let batches = builder.finish(Compression::None)?.into();
                appends.push(Append { partition: TopicPartition::new(self.topic, p), batches });
            }
        }
        Ok(appends)
    }
}

/// The data directory with that many bids below `dir`, loaded unless it is there.
///
/// # Errors
/// The disk's.
pub async fn data(dir: &Path, bids: u64) -> Outcome<Data> {
    let data = Data { dir: dir.join(format!("data-{bids}")), site: Site { bids } };
    let done = data.dir.join("loaded");
    if done.exists() {
        return Ok(data);
    }
    if data.dir.exists() {
        std::fs::remove_dir_all(&data.dir)?;
    }
    std::fs::create_dir_all(&data.dir)?;
    let started = Instant::now();
    fill(&data).await?;
    std::fs::write(done, b"")?;
    let (records, seconds) = (data.site.bids + data.site.auctions(), started.elapsed().as_secs_f64());
    println!("loaded {records} records in {seconds:.1} s ({:.2} M/s)\n", records as f64 / seconds / 1e6);
    Ok(data)
}

/// Append all events to the topics, which are made where they are missing.
///
/// # Errors
/// The disk's.
pub async fn fill(data: &Data) -> Outcome<()> {
    let log = data.open_log()?;
    for topic in [AUCTIONS, BIDS] {
        if log.topic(topic).is_none() {
            log.create_topic(topic, TopicConfig::with_partitions(PARTITIONS).with("retention.ms", "-1")).await?;
        }
    }
    let (mut auctions, mut bids) = (Batches::new(AUCTIONS), Batches::new(BIDS));
    let mut waiting: VecDeque<CommitTicket> = VecDeque::new();
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
        let mut appends = auctions.appends()?;
        appends.extend(bids.appends()?);
        waiting.push_back(log.commit(Commit { appends }));
        if waiting.len() > COMMITS_IN_FLIGHT
            && let Some(ticket) = waiting.pop_front()
        {
            ticket.await??;
        }
        block = end;
    }
    for ticket in waiting {
        ticket.await??;
    }
    log.close()?;
    Ok(())
}
