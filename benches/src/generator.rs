//! An auction site's events, the same for the same number.
//!
//! Blocks of 64 events (one person, three auctions, 60 bids) advance event time by 10,000 events a second from a fixed
//! instant on; a bid is stamped a second later than its place, so that its auction precedes it. Prices are
//! log-uniform, bidders uniform over a million; half of the bids go to the last hundred auctions, half to the last ten
//! thousand. Every event follows from its number alone, so that a check needs nothing but the number of bids.

use std::fmt::Write;

/// Event time of the first event, ms since 1970.
pub const BASE_MS: i64 = 1_700_000_000_000;
/// The first auction's id.
pub const FIRST_AUCTION: u64 = 1_000;
/// W1's threshold: about half of the prices lie above it.
pub const PRICE_THRESHOLD: u64 = 100_000;

const BIDDERS: u64 = 1_000_000;
const EVENTS_PER_MS: u64 = 10;
const BLOCK_EVENTS: u64 = 64;
/// Auctions of a block.
pub const BLOCK_AUCTIONS: u64 = 3;
/// Bids of a block.
pub const BLOCK_BIDS: u64 = 60;
/// How much later than its place a bid is stamped.
const BID_DELAY_MS: i64 = 1_000;
const FILLER: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// How many events there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Bids.
    pub bids: u64,
}

/// A bid's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bid {
    /// Its auction, counted from 0.
    pub auction: u64,
    /// Who bids.
    pub bidder: u64,
    /// How much.
    pub price: u64,
    /// Event time, ms.
    pub time_ms: i64,
    random: (u64, u64),
}

/// An auction's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auction {
    /// Its place, from 0.
    pub number: u64,
    /// Which of 5,000 items.
    pub item: u64,
    /// Who sells.
    pub seller: u64,
    /// One of ten, from 10.
    pub category: u64,
    /// Event time, ms.
    pub time_ms: i64,
    random: u64,
}

/// SplitMix64's finalizer: well mixed bits of a number.
pub(crate) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn place_ms(event: u64) -> i64 {
    BASE_MS + (event / EVENTS_PER_MS).cast_signed()
}

fn filler(from: u64, length: u64) -> &'static str {
    let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    FILLER.get(at(from)..at(from + length)).unwrap_or(FILLER)
}

impl Site {
    /// Auctions.
    pub fn auctions(self) -> u64 {
        self.bids / 20
    }

    fn persons(self) -> u64 {
        (self.bids / 60).max(1)
    }

    /// Blocks that hold all bids.
    pub fn blocks(self) -> u64 {
        self.bids.div_ceil(BLOCK_BIDS)
    }

    /// Bid number `n`, from 0.
    pub fn bid(self, n: u64) -> Bid {
        let (block, random) = (n / BLOCK_BIDS, (mix(n), mix(!n)));
        let last = (block * BLOCK_AUCTIONS + BLOCK_AUCTIONS - 1).min(self.auctions().saturating_sub(1));
        let back = random.1 % if random.0 & 1 == 0 { 100 } else { 10_000 };
        let fraction = (random.1 >> 11) as f64 / (1u64 << 53) as f64;
        Bid {
            auction: last - back % (last + 1),
            bidder: (random.0 >> 1) % BIDDERS,
            price: (100.0 * 10f64.powf(6.0 * fraction)) as u64,
            time_ms: place_ms(block * BLOCK_EVENTS + 1 + BLOCK_AUCTIONS + n % BLOCK_BIDS) + BID_DELAY_MS,
            random,
        }
    }

    /// Auction number `number`, from 0.
    pub fn auction(self, number: u64) -> Auction {
        let random = mix(number ^ 0x2222);
        let (block, place) = (number / BLOCK_AUCTIONS, number % BLOCK_AUCTIONS);
        Auction {
            number,
            item: random % 5_000,
            seller: (random >> 3) % self.persons(),
            category: 10 + (random >> 13) % 10,
            time_ms: place_ms(block * BLOCK_EVENTS + 1 + place),
            random,
        }
    }
}

impl Bid {
    /// The record's key.
    pub fn write_key(&self, out: &mut String) {
        write_number(FIRST_AUCTION + self.auction, out);
    }

    /// The record's value, about 225 bytes.
    pub fn write_value(&self, out: &mut String) {
        let (a, b) = self.random;
        let channel = (b >> 7) % 10_000;
        out.push_str("{\"auction\":");
        write_number(FIRST_AUCTION + self.auction, out);
        out.push_str(",\"bidder\":");
        write_number(self.bidder, out);
        out.push_str(",\"price\":");
        write_number(self.price, out);
        out.push_str(",\"channel\":\"channel-");
        write_number(channel, out);
        out.push_str("\",\"url\":\"http://auctions.example/");
        out.push_str(filler(b % 26, 10));
        out.push_str("/item.htm?query=1&channel_id=");
        write_number(channel, out);
        out.push_str("\",\"dateTime\":");
        write_number(self.time_ms.unsigned_abs(), out);
        out.push_str(",\"extra\":\"");
        out.push_str(filler((a >> 9) % 20, 40));
        out.push_str("\"}");
    }
}

impl Auction {
    /// The record's key.
    pub fn write_key(&self, out: &mut String) {
        write_number(FIRST_AUCTION + self.number, out);
    }

    /// The record's value.
    pub fn write_value(&self, out: &mut String) {
        let (random, time) = (self.random, self.time_ms);
        let (first, reserve) = (100 + (random >> 5) % 10_000, 5_000 + (random >> 9) % 100_000);
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "{{\"id\":{},\"itemName\":\"{}\",\"initialBid\":{first},\"reserve\":{reserve},\"dateTime\":{time},\
             \"expires\":{},\"seller\":{},\"category\":{}}}",
            FIRST_AUCTION + self.number,
            self.item_name(),
            time + 20_000,
            self.seller,
            self.category,
        );
    }

    /// What is sold.
    pub fn item_name(&self) -> String {
        format!("item {} of many", self.item)
    }
}

fn write_number(n: u64, out: &mut String) {
    let _ = write!(out, "{n}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_follow_from_their_numbers() {
        let site = Site { bids: 100_000 };
        let mut above = 0;
        for n in 0..site.bids {
            let bid = site.bid(n);
            assert!(bid.auction < site.auctions() && site.auction(bid.auction).time_ms < bid.time_ms);
            above += u64::from(bid.price > PRICE_THRESHOLD);
        }
        assert!((45_000..55_000).contains(&above), "{above}");
        let mut value = String::new();
        site.bid(7).write_value(&mut value);
        let parsed: serde_json::Value = serde_json::from_str(&value).expect("is JSON");
        assert_eq!(parsed["price"].as_u64(), Some(site.bid(7).price));
        value.clear();
        site.auction(7).write_value(&mut value);
        let parsed: serde_json::Value = serde_json::from_str(&value).expect("is JSON");
        assert_eq!(parsed["itemName"].as_str(), Some(site.auction(7).item_name().as_str()));
    }
}
