//! Nexmark's events, in three topics and in the order in which queries take them.

use nexmark::{
    EventGenerator,
    config::NexmarkConfig,
    event::{Auction, Bid, Event, Person},
};
use serde::Serialize;

use crate::{
    Outcome,
    generator::BASE_MS,
    load::{Batches, Loader},
};

/// Events that are committed at once.
const COMMIT_EVENTS: usize = 4_096;
/// Rows of the table that q13 joins with.
pub(super) const SIDE_ROWS: u64 = 10_000;

pub(super) const PERSONS: &str = "person";
pub(super) const AUCTIONS: &str = "auction";
pub(super) const BIDS: &str = "bid";
pub(super) const SIDE: &str = "side";

/// All topics.
pub(super) const TOPICS: [&str; 4] = [PERSONS, AUCTIONS, BIDS, SIDE];

/// Everything that happened, each kind in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub persons: Vec<Person>,
    pub auctions: Vec<Auction>,
    pub bids: Vec<Bid>,
    /// For each bid, how many auctions come before it.
    pub auctions_before: Vec<usize>,
}

impl Events {
    /// As they come where order is by time: of a bid and an auction of the same time the bid comes first, since queries
    /// name bids first.
    pub fn by_time(mut self) -> Events {
        let before = |bid: &Bid| self.auctions.partition_point(|auction| auction.date_time < bid.date_time);
        self.auctions_before = self.bids.iter().map(before).collect();
        self
    }

    /// Records of a topic.
    pub fn count(&self, topic: &str) -> u64 {
        let count = match topic {
            PERSONS => self.persons.len(),
            AUCTIONS => self.auctions.len(),
            BIDS => self.bids.len(),
            _ => return SIDE_ROWS,
        };
        count as u64
    }
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

/// Append `count` events to topics whose names begin with `prefix`.
///
/// # Errors
/// The log's.
pub(super) async fn fill(mut loader: Loader, prefix: &str, count: u64) -> Outcome<()> {
    let [mut persons, mut auctions, mut bids, mut side] = TOPICS.map(|topic| Batches::new(&format!("{prefix}{topic}")));
    for key in 0..SIDE_ROWS {
        // Before the first bid.
        side.push(BASE_MS - 1, |k, v| {
            k.push_str(&key.to_string());
            v.push_str(&format!("{{\"value\":\"{}\"}}", side_value(key)));
        })?;
    }
    loader.commit(&mut [&mut side]).await?;
    let count = usize::try_from(count)?;
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
