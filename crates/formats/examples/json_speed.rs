//! Nanoseconds per record of JSON's decoder (7 and 3 columns) and encoder (4 columns), on generated bids.
//!
//! `cargo run --release -p formats --example json_speed`

use std::{hint::black_box, time::Instant};

use formats::{EncodedRows, FormatSpec, Part, format};
use types::{Column, Result, SqlType};

const RECORDS: usize = 98_304;
const BATCH_ROWS: usize = 8_192;
const ROUNDS: usize = 31;

fn main() -> Result<()> {
    // One after the other in memory, as a log's batches have them.
    let (mut bytes, mut ends) = (Vec::new(), vec![0]);
    for i in 0..RECORDS {
        bytes.extend_from_slice(&bid(i));
        ends.push(bytes.len());
    }
    println!("{RECORDS} records of {} bytes, batches of {BATCH_ROWS}", bytes.len() / RECORDS);
    let rows: Vec<Option<&[u8]>> = ends.windows(2).map(|w| bytes.get(*w.first()?..*w.last()?)).collect();
    let columns = bid_columns();
    let decode = |name: &str, wanted: &[usize]| -> Result<()> {
        let spec = FormatSpec::default();
        let mut decoder = format("JSON")?.decoder(Part::Value, &columns, wanted, &spec)?;
        let mut errors = Vec::new();
        report(name, |start, end| {
            let batch = rows.get(start..end).unwrap_or_default();
            black_box(decoder.decode(black_box(batch), &mut errors));
        });
        assert!(errors.is_empty(), "{errors:?}");
        Ok(())
    };
    decode("decode 7 of 7 columns", &[0, 1, 2, 3, 4, 5, 6])?;
    decode("decode 3 of 7 columns", &[0, 2, 5])?;
    decode("decode 0 of 7 columns", &[])?;

    let four = [0, 1, 2, 3];
    let spec = FormatSpec::default();
    let mut decoder = format("JSON")?.decoder(Part::Value, &columns, &four, &spec)?;
    let arrays = decoder.decode(&rows, &mut Vec::new());
    let written: Vec<Column> = four.iter().filter_map(|i| columns.get(*i).cloned()).collect();
    let mut encoder = format("JSON")?.encoder(Part::Value, &written, &spec)?;
    let (mut out, mut errors) = (EncodedRows::default(), Vec::new());
    report("encode 4 columns", |start, end| {
        let batch: Vec<_> = arrays.iter().map(|a| a.slice(start, end - start)).collect();
        out.clear();
        encoder.encode(black_box(&batch), end - start, None, &mut out, &mut errors);
    });
    assert!(errors.is_empty(), "{errors:?}");
    Ok(())
}

/// Print the mean over all batches of each batch's best time: the machine may have other things to do.
fn report(name: &str, mut batch: impl FnMut(usize, usize)) {
    let mut total = 0.0;
    for start in (0..RECORDS).step_by(BATCH_ROWS) {
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            let clock = Instant::now();
            batch(start, RECORDS.min(start + BATCH_ROWS));
            best = best.min(clock.elapsed().as_secs_f64());
        }
        total += best;
    }
    println!("{name:24} {:6.1} ns/record", total * 1e9 / RECORDS as f64);
}

fn bid_columns() -> Vec<Column> {
    [
        ("AUCTION", SqlType::BigInt),
        ("BIDDER", SqlType::BigInt),
        ("PRICE", SqlType::BigInt),
        ("CHANNEL", SqlType::String),
        ("URL", SqlType::String),
        ("DATETIME", SqlType::Timestamp),
        ("EXTRA", SqlType::String),
    ]
    .map(|(name, ty)| Column::value(name, ty))
    .to_vec()
}

/// A record like those of an auction house's bids.
fn bid(i: usize) -> Vec<u8> {
    // Multiplicative scatter, so that numbers have different lengths.
    let scatter = i.wrapping_mul(2_654_435_761) % 1_000_003;
    let url =
        format!("https://www.nexmark.com/auction/{:x}/item.htm?query=1&channel_id={}", scatter * 7919, scatter * 31);
    let extra = "qwertyuiopasdfghjklzxcvbnm".repeat(2);
    let extra = extra.get(..30 + scatter % 20).unwrap_or_default();
    format!(
        "{{\"auction\":{},\"bidder\":{},\"price\":{},\"channel\":\"channel-{}\",\"url\":\"{url}\",\
         \"dateTime\":{},\"extra\":\"{extra}\"}}",
        1_000 + scatter,
        scatter % 5_000,
        scatter * 13,
        scatter % 10_000,
        1_700_000_000_000u64 + i as u64,
    )
    .into_bytes()
}
