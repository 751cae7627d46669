//! Any bytes are a record batch or an error, by every way in, and all ways agree.

use std::path::Path;

use bytes::Bytes;
use fuzz::{Damage, Room, kind_of};
use recordlog::batch::{
    Batch, BatchBuilder, Compression, RecordRanges, batch_length, check, decode_ranges, retain, without_records,
};

/// Where a batch's checksum stands, and what it is of.
const CRC_AT: std::ops::Range<usize> = 17..21;

/// Bytes that a batch of the seeds' size may grow to.
const BYTES_MAX: usize = 8_000;

/// The input with a length and a checksum that fit, so that what is behind them is looked at.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let length = i32::try_from(bytes.len()).unwrap() - 12;
    if length > 9 {
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[CRC_AT.end..]);
        bytes[CRC_AT].copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

fn read(bytes: &[u8]) -> String {
    let _ = batch_length(bytes);
    let owned = Bytes::copy_from_slice(bytes);
    let mut ranges = RecordRanges::default();
    let columns = decode_ranges(&owned, &mut ranges);
    let checked = check(bytes);
    let records = Batch::parse_verified(bytes).and_then(|batch| {
        let records = batch.records().collect::<Result<Vec<_>, _>>()?;
        for record in &records {
            for header in record.headers {
                let _ = header;
            }
        }
        Ok((batch.header().is_control(), records.len()))
    });
    if let (Ok(checked), Ok((control, count))) = (&checked, &records) {
        assert_eq!(checked.header.record_count as usize, *count, "a checked batch has as many records as it says");
        assert!(columns.is_ok(), "a checked batch is decoded: {columns:?}");
        assert!(*control || ranges.len() == *count, "both readers find the same");
        let kept = retain(&owned, |record| record.offset % 2 == 0);
        assert!(kept.is_ok(), "a checked batch can be cleaned");
        let _ = without_records(&checked.header, bytes);
    }
    match (&checked, &records, &columns) {
        (Err(e), ..) => format!("checked: {}", kind_of(&e.to_string())),
        (_, Err(e), _) => format!("read: {}", kind_of(&e.to_string())),
        (.., Err(e)) => format!("columns: {}", kind_of(&e.to_string())),
        (Ok(c), Ok((control, count)), _) => format!("ok {count} {control} {}", c.has_null_key),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut out = vec![];
    for codec in codecs {
        for count in [1_usize, 3, 40] {
            let mut builder = BatchBuilder::new();
            for i in 0..count {
                let (key, value) = (format!("key{i}"), format!("{{\"V\": {i}, \"W\": \"some text\"}}"));
                let headers: &[(&str, Option<&[u8]>)] =
                    if i % 2 == 0 { &[] } else { &[("h", Some(b"x")), ("g", None)] };
                let value = (i % 5 != 3).then_some(value.as_bytes());
                builder.push((i % 7 != 1).then_some(key.as_bytes()), value, 1_000 + i as i64, headers).unwrap();
            }
            out.push(builder.finish(codec).unwrap().to_vec());
        }
    }
    out
}

fn room(name: &'static str) -> Room<'static> {
    Room {
        name,
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name),
        seeds: seeds(),
        damage: Damage { words: &[], nests: &[], bytes_max: BYTES_MAX },
        inputs: 20_000,
    }
}

#[test]
fn record_batches() {
    room("record_batches").run(|input| {
        read(input);
        read(&sealed(input))
    });
}
