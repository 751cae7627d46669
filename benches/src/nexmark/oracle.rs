//! What each query must give: loops over the events, in the order of arrival.

use std::collections::{BTreeMap, HashMap, HashSet};

use nexmark::event::{Auction, Bid, Person};
use serde_json::{Value, json};

use super::events::{Events, SIDE_ROWS, side_value};

/// Windows of q5, q7 and q8, and the gap of q11's sessions, ms.
const WINDOW_MS: u64 = 10_000;
/// q5's advance, ms.
const ADVANCE_MS: u64 = 2_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// A price in another currency.
fn converted(price: usize) -> f64 {
    price as f64 * 908.0 / 1000.0
}

fn of_bids(events: &Events, row: impl Fn(&Bid) -> Option<Value>) -> Vec<Value> {
    events.bids.iter().filter_map(row).collect()
}

/// Groups of bids, each in order of arrival.
fn grouped<K: Ord>(events: &Events, key: impl Fn(&Bid) -> K) -> BTreeMap<K, Vec<&Bid>> {
    let mut groups: BTreeMap<K, Vec<&Bid>> = BTreeMap::new();
    for bid in &events.bids {
        groups.entry(key(bid)).or_default().push(bid);
    }
    groups
}

fn prices(bids: &[&Bid]) -> Vec<usize> {
    bids.iter().map(|b| b.price).collect()
}

fn different<T: std::hash::Hash + Eq>(bids: &[&Bid], what: impl Fn(&Bid) -> T) -> usize {
    bids.iter().map(|b| what(b)).collect::<HashSet<_>>().len()
}

/// The first of the bids with the highest price.
fn highest<'a>(bids: &[&'a Bid]) -> Option<&'a Bid> {
    bids.iter().copied().reduce(|best, bid| if bid.price > best.price { bid } else { best })
}

/// Bids with their auctions, where the auction came first.
fn with_auctions(events: &Events) -> impl Iterator<Item = (&Bid, &Auction)> {
    let places: HashMap<usize, usize> = events.auctions.iter().enumerate().map(|(at, a)| (a.id, at)).collect();
    events.bids.iter().zip(&events.auctions_before).filter_map(move |(bid, before)| {
        let place = places.get(&bid.auction).filter(|place| *place < before)?;
        Some((bid, events.auctions.get(*place)?))
    })
}

/// The bids of each auction while it was open.
fn in_time(events: &Events) -> BTreeMap<usize, (&Auction, Vec<&Bid>)> {
    let mut all: BTreeMap<usize, (&Auction, Vec<&Bid>)> = BTreeMap::new();
    for (bid, auction) in with_auctions(events) {
        if (auction.date_time..=auction.expires).contains(&bid.date_time) {
            all.entry(auction.id).or_insert_with(|| (auction, vec![])).1.push(bid);
        }
    }
    all
}

pub(super) fn q0(events: &Events) -> Vec<Value> {
    let row = |b: &Bid| json!({"AUCTION": b.auction, "BIDDER": b.bidder, "PRICE": b.price, "DATE_TIME": b.date_time, "EXTRA": b.extra});
    of_bids(events, |b| Some(row(b)))
}

pub(super) fn q1(events: &Events) -> Vec<Value> {
    let row = |b: &Bid| json!({"AUCTION": b.auction, "BIDDER": b.bidder, "PRICE": converted(b.price), "DATE_TIME": b.date_time, "EXTRA": b.extra});
    of_bids(events, |b| Some(row(b)))
}

pub(super) fn q2(events: &Events) -> Vec<Value> {
    of_bids(events, |b| (b.auction % 123 == 0).then(|| json!({"AUCTION": b.auction, "PRICE": b.price})))
}

pub(super) fn q3(events: &Events) -> Vec<Value> {
    let persons: HashMap<usize, &Person> = events.persons.iter().map(|p| (p.id, p)).collect();
    let near = |p: &&Person| ["or", "id", "ca"].contains(&p.state.as_str());
    let row = |a: &Auction| {
        let p = persons.get(&a.seller).copied().filter(near)?;
        (a.category == 10).then(|| json!({"NAME": p.name, "CITY": p.city, "STATE": p.state, "ID": a.id}))
    };
    events.auctions.iter().filter_map(row).collect()
}

pub(super) fn q4(events: &Events) -> Vec<Value> {
    let mut finals: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (auction, bids) in in_time(events).into_values() {
        finals.entry(auction.category).or_default().extend(highest(&bids).map(|b| b.price));
    }
    let mean = |all: &[usize]| all.iter().sum::<usize>() as f64 / all.len() as f64;
    finals.iter().map(|(category, all)| json!({"OF_CATEGORY": category, "AVERAGE": mean(all)})).collect()
}

pub(super) fn q5(events: &Events) -> Vec<Value> {
    let mut counts: BTreeMap<(usize, u64), u64> = BTreeMap::new();
    for bid in &events.bids {
        let last = bid.date_time - bid.date_time % ADVANCE_MS;
        for back in 0..WINDOW_MS / ADVANCE_MS {
            *counts.entry((bid.auction, last - back * ADVANCE_MS)).or_default() += 1;
        }
    }
    let row = |((auction, since), n): (&(usize, u64), &u64)| json!({"OF_AUCTION": auction, "NUM": n, "SINCE": since});
    counts.iter().map(row).collect()
}

pub(super) fn q7(events: &Events) -> Vec<Value> {
    let windows = grouped(events, |b| b.date_time / WINDOW_MS);
    let best = windows.values().filter_map(|bids| highest(bids));
    best.map(|b| json!({"PRICE": b.price, "AUCTION": b.auction, "BIDDER": b.bidder})).collect()
}

pub(super) fn q8(events: &Events) -> Vec<Value> {
    let persons: HashMap<usize, &Person> = events.persons.iter().map(|p| (p.id, p)).collect();
    let row = |a: &Auction| {
        let p = persons.get(&a.seller).copied()?;
        let window = p.date_time / WINDOW_MS;
        (window == a.date_time / WINDOW_MS).then(|| json!({"ID": p.id, "NAME": p.name, "IN_WINDOW": window}))
    };
    events.auctions.iter().filter_map(row).collect()
}

pub(super) fn q9(events: &Events) -> Vec<Value> {
    let best = in_time(events).into_iter().filter_map(|(id, (_, bids))| Some((id, highest(&bids)?)));
    best.map(|(id, b)| json!({"OF_AUCTION": id, "BIDDER": b.bidder, "PRICE": b.price})).collect()
}

pub(super) fn q11(events: &Events) -> Vec<Value> {
    let mut rows = vec![];
    for (bidder, bids) in grouped(events, |b| b.bidder) {
        let mut times: Vec<u64> = bids.iter().map(|b| b.date_time).collect();
        times.sort_unstable();
        for session in times.chunk_by(|a, b| b - a <= WINDOW_MS) {
            let (since, until) = (session.first(), session.last());
            rows.push(json!({"WHO": bidder, "BIDS": session.len(), "SINCE": since, "UNTIL": until}));
        }
    }
    rows
}

pub(super) fn q13(events: &Events) -> Vec<Value> {
    let value = |b: &Bid| side_value(b.auction as u64 % SIDE_ROWS);
    of_bids(events, |b| {
        Some(
            json!({"AUCTION": b.auction, "BIDDER": b.bidder, "PRICE": b.price, "DATE_TIME": b.date_time, "VALUE": value(b)}),
        )
    })
}

pub(super) fn q14(events: &Events) -> Vec<Value> {
    of_bids(events, |b| {
        let price = converted(b.price);
        let kind = match (b.date_time / HOUR_MS) % 24 {
            8..=18 => "dayTime",
            0..=6 | 20..=23 => "nightTime",
            _ => "otherTime",
        };
        let count = b.extra.matches('c').count();
        (price > 1_000_000.0 && price < 50_000_000.0).then(|| {
            json!({"AUCTION": b.auction, "BIDDER": b.bidder, "PRICE": price, "BID_TIME_TYPE": kind,
                   "DATE_TIME": b.date_time, "EXTRA": b.extra, "C_COUNTS": count})
        })
    })
}

fn low(bids: &[&Bid]) -> usize {
    bids.iter().filter(|b| b.price < 10_000).count()
}

pub(super) fn q15(events: &Events) -> Vec<Value> {
    let row = |bids: &Vec<&Bid>| {
        let high = bids.iter().filter(|b| b.price >= 1_000_000).count();
        json!({"TOTAL_BIDS": bids.len(), "LOW_BIDS": low(bids), "MIDDLE_BIDS": bids.len() - low(bids) - high,
               "HIGH_BIDS": high, "BIDDERS": different(bids, |b| b.bidder), "AUCTIONS": different(bids, |b| b.auction)})
    };
    grouped(events, |b| b.date_time / DAY_MS).values().map(row).collect()
}

pub(super) fn q16(events: &Events) -> Vec<Value> {
    let row = |((channel, _), bids): (&(&str, u64), &Vec<&Bid>)| {
        json!({"OF_CHANNEL": channel, "LATEST": bids.iter().map(|b| b.date_time).max(), "TOTAL_BIDS": bids.len(),
               "LOW_BIDS": low(bids), "BIDDERS": different(bids, |b| b.bidder),
               "AUCTIONS": different(bids, |b| b.auction)})
    };
    let mut groups: BTreeMap<(&str, u64), Vec<&Bid>> = BTreeMap::new();
    for bid in &events.bids {
        groups.entry((&bid.channel, bid.date_time / DAY_MS)).or_default().push(bid);
    }
    groups.iter().map(row).collect()
}

pub(super) fn q17(events: &Events) -> Vec<Value> {
    let row = |((auction, _), bids): (&(usize, u64), &Vec<&Bid>)| {
        let all = prices(bids);
        let sum: usize = all.iter().sum();
        json!({"OF_AUCTION": auction, "TOTAL_BIDS": all.len(), "MIN_PRICE": all.iter().min(),
               "MAX_PRICE": all.iter().max(), "AVG_PRICE": sum as f64 / all.len() as f64, "SUM_PRICE": sum})
    };
    grouped(events, |b| (b.auction, b.date_time / DAY_MS)).iter().map(row).collect()
}

pub(super) fn q18(events: &Events) -> Vec<Value> {
    let row = |((bidder, auction), bids): (&(usize, usize), &Vec<&Bid>)| {
        let last = bids.last();
        json!({"WHO": bidder, "FOR_AUCTION": auction, "PRICE": last.map(|b| b.price),
               "DATE_TIME": last.map(|b| b.date_time)})
    };
    grouped(events, |b| (b.bidder, b.auction)).iter().map(row).collect()
}

pub(super) fn q19(events: &Events) -> Vec<Value> {
    let row = |(auction, bids): (&usize, &Vec<&Bid>)| {
        let mut all = prices(bids);
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.truncate(10);
        json!({"OF_AUCTION": auction, "PRICES": all})
    };
    grouped(events, |b| b.auction).iter().map(row).collect()
}

pub(super) fn q20(events: &Events) -> Vec<Value> {
    let row = |(b, a): (&Bid, &Auction)| {
        json!({"AUCTION": b.auction, "BIDDER": b.bidder, "PRICE": b.price, "ITEM_NAME": a.item_name,
               "SELLER": a.seller, "CATEGORY": a.category})
    };
    with_auctions(events).filter(|(_, a)| a.category == 10).map(row).collect()
}

pub(super) fn q21(events: &Events) -> Vec<Value> {
    of_bids(events, |b| {
        let id = match b.channel.to_lowercase().as_str() {
            "apple" => "0",
            "google" => "1",
            "facebook" => "2",
            "baidu" => "3",
            _ => b.url.split_once("&channel_id=")?.1.split('&').next()?,
        };
        Some(
            json!({"AUCTION": b.auction, "BIDDER": b.bidder, "PRICE": b.price, "CHANNEL": b.channel, "CHANNEL_ID": id}),
        )
    })
}

pub(super) fn q22(events: &Events) -> Vec<Value> {
    of_bids(events, |b| {
        let mut folders = b.url.split('/').skip(3);
        let mut next = || folders.next();
        Some(json!({"AUCTION": b.auction, "BIDDER": b.bidder, "PRICE": b.price, "CHANNEL": b.channel,
                    "DIR1": next(), "DIR2": next(), "DIR3": next()}))
    })
}
