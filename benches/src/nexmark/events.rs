//! Nexmark's events, in three topics and in the order in which the log takes them.

use std::path::Path;

use nexmark::{
    EventGenerator,
    config::NexmarkConfig,
    event::{Auction, Bid, Event, Person},
};
use serde::Serialize;

use crate::{
    Outcome,
    generator::{BASE_MS, Site},
    load::{Batches, Data, Loader},
};

/// Events that are committed at once.
const COMMIT_EVENTS: usize = 4_096;
/// Rows of the table that q13 joins with.
pub(super) const SIDE_ROWS: u64 = 10_000;

pub(super) const PERSONS: &str = "person";
pub(super) const AUCTIONS: &str = "auction";
pub(super) const BIDS: &str = "bid";
pub(super) const SIDE: &str = "side";

/// Everything that happened, each kind in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub persons: Vec<Person>,
    pub auctions: Vec<Auction>,
    pub bids: Vec<Bid>,
    /// For each bid, how many auctions had arrived before it.
    pub auctions_before: Vec<usize>,
}

fn generator() -> EventGenerator {
    EventGenerator::new(NexmarkConfig { base_time: BASE_MS.unsigned_abs(), ..NexmarkConfig::default() })
}

/// The events of a commit, by kind.
fn split(events: &[Event]) -> (Vec<&Person>, Vec<&Auction>, Vec<&Bid>) {
    let mut split = (vec![], vec![], vec![]);
    for event in events {
        match event {
            Event::Person(person) => split.0.push(person),
            Event::Auction(auction) => split.1.push(auction),
            Event::Bid(bid) => split.2.push(bid),
        }
    }
    split
}

/// The value of q13's table for a key.
pub(super) fn side_value(key: u64) -> String {
    format!("side {key}")
}

/// The first `count` events.
pub(super) fn events(count: u64) -> Outcome<Events> {
    let mut all = Events::default();
    let mut generator = generator().take(usize::try_from(count)?);
    loop {
        let commit: Vec<Event> = generator.by_ref().take(COMMIT_EVENTS).collect();
        if commit.is_empty() {
            return Ok(all);
        }
        let (persons, auctions, mut bids) = split(&commit);
        all.persons.extend(persons.into_iter().cloned());
        all.auctions.extend(auctions.into_iter().cloned());
        // A commit's records arrive partition by partition.
        bids.sort_by_key(|bid| Batches::partition_of(&bid.auction.to_string()));
        all.auctions_before.extend(bids.iter().map(|_| all.auctions.len()));
        all.bids.extend(bids.into_iter().cloned());
    }
}

fn push<T: Serialize>(batches: &mut Batches, key: usize, time_ms: u64, event: &T) -> Outcome<()> {
    let json = serde_json::to_string(event)?;
    batches.push(time_ms.cast_signed(), |k, v| {
        k.push_str(&key.to_string());
        v.push_str(&json);
    })
}

/// The data directory with that many events below `dir`, loaded unless it is there.
///
/// # Errors
/// The disk's.
pub(super) async fn data(dir: &Path, count: u64) -> Outcome<Data> {
    let data = Data { dir: dir.join(format!("nexmark-{count}")), site: Site { bids: 0 } };
    if !data.is_loaded()? {
        fill(&data, usize::try_from(count)?).await?;
        data.set_loaded()?;
    }
    Ok(data)
}

async fn fill(data: &Data, count: usize) -> Outcome<()> {
    let mut loader = Loader::open(data, &[PERSONS, AUCTIONS, BIDS, SIDE]).await?;
    let mut side = Batches::new(SIDE);
    for key in 0..SIDE_ROWS {
        side.push(BASE_MS, |k, v| {
            k.push_str(&key.to_string());
            v.push_str(&format!("{{\"value\":\"{}\"}}", side_value(key)));
        })?;
    }
    loader.commit(&mut [&mut side]).await?;
    let (mut persons, mut auctions, mut bids) = (Batches::new(PERSONS), Batches::new(AUCTIONS), Batches::new(BIDS));
    let mut generator = generator().take(count);
    loop {
        let commit: Vec<Event> = generator.by_ref().take(COMMIT_EVENTS).collect();
        if commit.is_empty() {
            return loader.finish().await;
        }
        let split = split(&commit);
        split.0.iter().try_for_each(|e| push(&mut persons, e.id, e.date_time, e))?;
        split.1.iter().try_for_each(|e| push(&mut auctions, e.id, e.date_time, e))?;
        split.2.iter().try_for_each(|e| push(&mut bids, e.auction, e.date_time, e))?;
        loader.commit(&mut [&mut persons, &mut auctions, &mut bids]).await?;
    }
}
