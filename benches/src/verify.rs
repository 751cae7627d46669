//! What a workload's output must be, computed from the generator and compared record by record or group by group.

use std::{collections::HashMap, sync::Arc};

use recordlog::{
    RecordLog, StoredBatch, TopicPartition,
    batch::{RecordRanges, decode_ranges},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Outcome,
    generator::{Auction, FIRST_AUCTION, PRICE_THRESHOLD, Site},
    load::Data,
};

/// Bytes that one look at a partition reads.
const READ_BYTES: usize = 8 << 20;
/// W2's windows, ms.
const WINDOW_MS: i64 = 10_000;
/// How far apart W5's bids and auctions may be, ms.
const WITHIN_MS: i64 = 10_000;
/// How far a DOUBLE may be from what it should be, relatively.
const TOLERANCE: f64 = 1e-9;

/// A topic's batches, as the log holds them.
pub struct Output {
    partitions: Vec<Vec<StoredBatch>>,
}

impl Output {
    /// Read a topic from the beginning, with the server stopped.
    ///
    /// # Errors
    /// There is no such topic, or it cannot be read.
    pub fn read(data: &Data, topic: &str) -> Outcome<Output> {
        let log = data.open_log()?;
        let output = Output::of(&*log, topic)?;
        log.close()?;
        Ok(output)
    }

    /// The same of any log.
    ///
    /// # Errors
    /// As [`Output::read`].
    pub fn of(log: &dyn RecordLog, topic: &str) -> Outcome<Output> {
        let count = log.topic(topic)?.ok_or_else(|| format!("there is no topic {topic}"))?.config.partitions;
        let partitions = (0..count).map(|p| batches(log, topic, p)).collect::<Outcome<_>>()?;
        Ok(Output { partitions })
    }

    /// Call `each` with key and value of every record, partition by partition.
    pub(crate) fn each(&self, mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>) -> Outcome<()>) -> Outcome<u64> {
        let (mut ranges, mut count) = (RecordRanges::default(), 0);
        for batch in self.partitions.iter().flatten() {
            decode_ranges(&batch.bytes, &mut ranges)?;
            for i in 0..ranges.len() {
                each(ranges.key(i), ranges.value(i))?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// As [`Output::each`], where every record has both.
    fn records(&self, mut each: impl FnMut(&[u8], &[u8]) -> Outcome<()>) -> Outcome<u64> {
        self.each(|key, value| each(key.ok_or("a record without a key")?, value.ok_or("a record without a value")?))
    }
}

/// A filter of [`crate::growth`]: the bids of those bidders.
///
/// # Errors
/// There are more or fewer.
pub fn filtered(output: &Output, site: Site, (bidders, own): (u64, u64)) -> Outcome<()> {
    let want = (0..site.bids).filter(|n| site.bid(*n).bidder % bidders == own).count() as u64;
    let got = output.records(|_, _| Ok(()))?;
    if got == want { Ok(()) } else { Err(format!("{got} records instead of {want}").into()) }
}

/// A count of [`crate::growth`]: every one of those bidders' bids is counted in one window.
///
/// # Errors
/// There are more or fewer.
pub fn counted(output: &Output, site: Site, (bidders, own): (u64, u64)) -> Outcome<()> {
    let want = (0..site.bids).filter(|n| site.bid(*n).bidder % bidders == own).count() as u64;
    let mut last: std::collections::HashMap<Vec<u8>, u64> = std::collections::HashMap::new();
    output.records(|key, value| {
        let value: serde_json::Value = serde_json::from_slice(value)?;
        let count = value.get("N").and_then(serde_json::Value::as_u64).ok_or("a record without a count")?;
        last.insert(key.to_vec(), count);
        Ok(())
    })?;
    let got: u64 = last.values().sum();
    if got == want { Ok(()) } else { Err(format!("{got} bids are counted instead of {want}").into()) }
}

fn batches(log: &dyn RecordLog, topic: &str, p: u32) -> Outcome<Vec<StoredBatch>> {
    let partition = TopicPartition::new(Arc::from(topic), p);
    let (mut all, ends) = (vec![], log.offsets(&partition)?);
    let mut next = ends.start;
    while next < ends.end {
        let read = log.read(&partition, next, READ_BYTES)?;
        match read.last() {
            Some(last) => next = last.next_offset,
            // What is left are marks of transactions. Where records were, they are missed by who looks at them.
            None => break,
        }
        all.extend(read);
    }
    Ok(all)
}

fn parse<T: DeserializeOwned>(value: &[u8]) -> Outcome<T> {
    serde_json::from_slice(value).map_err(|e| format!("{}: {e}", String::from_utf8_lossy(value)).into())
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} {found:?} instead of {expected:?}").into())
}

/// A bid that no output record has accounted for yet: which auction, who, how much.
type BidKey = (u64, u64, u64);

/// How many times each bid that counts must be in the output.
fn expected_bids(site: Site, counts: impl Fn(&crate::generator::Bid) -> bool) -> HashMap<BidKey, u32> {
    let mut expected: HashMap<BidKey, u32> = HashMap::new();
    for bid in (0..site.bids).map(|n| site.bid(n)).filter(counts) {
        *expected.entry((FIRST_AUCTION + bid.auction, bid.bidder, bid.price)).or_default() += 1;
    }
    expected
}

fn take(expected: &mut HashMap<BidKey, u32>, bid: BidKey) -> Outcome<()> {
    match expected.get_mut(&bid) {
        Some(left) if *left > 0 => {
            *left -= 1;
            Ok(())
        }
        _ => Err(format!("a bid (auction, bidder, price) {bid:?} too many").into()),
    }
}

fn none_left(expected: &HashMap<BidKey, u32>) -> Outcome<()> {
    let left: u64 = expected.values().map(|n| u64::from(*n)).sum();
    equal("missing bids:", left, 0)
}

/// W1: every bid above the threshold once, its price converted.
///
/// # Errors
/// What differs.
pub fn w1(output: &Output, site: Site) -> Outcome<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Row {
        auction: u64,
        bidder: u64,
        price_eur: serde_json::Number,
        channel: String,
    }
    let passing = |bid: &crate::generator::Bid| bid.price > PRICE_THRESHOLD;
    let mut expected: HashMap<(u64, u64, String), u32> = HashMap::new();
    for bid in (0..site.bids).map(|n| site.bid(n)).filter(passing) {
        *expected.entry((FIRST_AUCTION + bid.auction, bid.bidder, thousandths(bid.price * 908))).or_default() += 1;
    }
    output.records(|key, value| {
        let row: Row = parse(value)?;
        equal("key", key, row.auction.to_string().as_bytes())?;
        if !row.channel.starts_with("channel-") {
            return Err(format!("channel {}", row.channel).into());
        }
        match expected.get_mut(&(row.auction, row.bidder, row.price_eur.to_string())) {
            Some(left) if *left > 0 => *left -= 1,
            _ => return Err(format!("a record too many: {}", String::from_utf8_lossy(value)).into()),
        }
        Ok(())
    })?;
    equal("missing records:", expected.values().map(|n| u64::from(*n)).sum(), 0)
}

/// A number of thousandths, as a DECIMAL of scale 3 prints.
fn thousandths(n: u64) -> String {
    format!("{}.{:03}", n / 1_000, n % 1_000)
}

/// What a group of W2 or W3 holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Group {
    count: u64,
    total: u64,
    top: u64,
}

impl Group {
    fn add(&mut self, price: u64) {
        self.count += 1;
        self.total += price;
        self.top = self.top.max(price);
    }
}

/// W2: the last record of each auction and window holds its count, sum and maximum.
///
/// # Errors
/// What differs.
pub fn w2(output: &Output, site: Site) -> Outcome<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Row {
        cnt: u64,
        total: u64,
        top: u64,
    }
    let mut expected: HashMap<(u64, i64), Group> = HashMap::new();
    for bid in (0..site.bids).map(|n| site.bid(n)) {
        let start = bid.time_ms - bid.time_ms.rem_euclid(WINDOW_MS);
        expected.entry((FIRST_AUCTION + bid.auction, start)).or_default().add(bid.price);
    }
    let mut found: HashMap<(u64, i64), Group> = HashMap::new();
    output.records(|key, value| {
        let row: Row = parse(value)?;
        let (key, start) = key.split_last_chunk::<8>().ok_or("a key without a window")?;
        let auction: u64 = std::str::from_utf8(key)?.parse()?;
        let group = Group { count: row.cnt, total: row.total, top: row.top };
        found.insert((auction, i64::from_be_bytes(*start)), group);
        Ok(())
    })?;
    compare(&found, &expected)
}

/// W3: the last record of each bidder holds the count, the sum and the mean.
///
/// # Errors
/// What differs.
pub fn w3(output: &Output, site: Site) -> Outcome<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Row {
        cnt: u64,
        total: u64,
        mean: f64,
    }
    let mut expected: HashMap<u64, Group> = HashMap::new();
    for bid in (0..site.bids).map(|n| site.bid(n)) {
        let group = expected.entry(bid.bidder).or_default();
        group.add(bid.price);
        group.top = 0;
    }
    let mut found: HashMap<u64, Group> = HashMap::new();
    output.records(|key, value| {
        let row: Row = parse(value)?;
        let bidder = match std::str::from_utf8(key).ok().and_then(|k| k.parse().ok()) {
            Some(bidder) => bidder,
            // The format KAFKA writes a BIGINT as eight bytes.
            None => u64::from_be_bytes(key.try_into()?),
        };
        let mean = row.total as f64 / row.cnt as f64;
        if ((row.mean - mean) / mean).abs() > TOLERANCE {
            return Err(format!("mean {} instead of {mean}", row.mean).into());
        }
        found.insert(bidder, Group { count: row.cnt, total: row.total, top: 0 });
        Ok(())
    })?;
    compare(&found, &expected)
}

fn compare<K: std::hash::Hash + Eq + std::fmt::Debug>(
    found: &HashMap<K, Group>,
    expected: &HashMap<K, Group>,
) -> Outcome<()> {
    equal("groups:", found.len(), expected.len())?;
    for (key, group) in expected {
        equal(&format!("group {key:?}:"), found.get(key), Some(group))?;
    }
    Ok(())
}

/// What W4 and W5 write.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Joined {
    auction: u64,
    bidder: u64,
    price: u64,
    item_name: String,
    seller: u64,
    category: u64,
}

fn joined(output: &Output, site: Site, mut expected: HashMap<BidKey, u32>) -> Outcome<()> {
    output.records(|key, value| {
        let row: Joined = parse(value)?;
        equal("key", key, row.auction.to_string().as_bytes())?;
        let auction: Auction = site.auction(row.auction.wrapping_sub(FIRST_AUCTION));
        let right = (auction.item_name(), auction.seller, auction.category);
        equal("auction's columns", (row.item_name, row.seller, row.category), right)?;
        take(&mut expected, (row.auction, row.bidder, row.price))
    })?;
    none_left(&expected)
}

/// W4: every bid once, with the columns of its auction.
///
/// # Errors
/// What differs.
pub fn w4(output: &Output, site: Site) -> Outcome<()> {
    joined(output, site, expected_bids(site, |_| true))
}

/// W5: every bid within ten seconds of its auction once, with the auction's columns.
///
/// # Errors
/// What differs.
pub fn w5(output: &Output, site: Site) -> Outcome<()> {
    let within = |bid: &crate::generator::Bid| (bid.time_ms - site.auction(bid.auction).time_ms).abs() <= WITHIN_MS;
    joined(output, site, expected_bids(site, within))
}
