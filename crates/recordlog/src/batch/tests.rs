//! The codec against known bytes, against itself, and against damaged bytes.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

use super::*;

type Owned = (Option<Vec<u8>>, Option<Vec<u8>>, i64, Vec<(String, Option<Vec<u8>>)>);

fn build(records: &[Owned], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (key, value, time, headers) in records {
        let headers: Vec<(&str, Option<&[u8]>)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        builder.push(key.as_deref(), value.as_deref(), *time, &headers).unwrap();
    }
    builder.finish(compression).unwrap()
}

fn owned(record: Record<'_>) -> Owned {
    let headers = record.headers.map(|header| {
        let header = header.unwrap();
        (String::from_utf8(header.name.to_vec()).unwrap(), header.value.map(<[u8]>::to_vec))
    });
    (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), record.timestamp_ms, headers.collect())
}

/// Whatever is written is read back the same, record by record and as columns.
fn check_round_trip(records: &[Owned], compression: Compression) {
    let bytes = build(records, compression);
    let checked = check(&bytes).unwrap();
    assert_eq!(checked.header.record_count as usize, records.len());
    assert_eq!(checked.header.length, bytes.len());
    assert_eq!(checked.has_null_key, records.iter().any(|record| record.0.is_none()));
    assert_eq!(checked.has_tombstone, records.iter().any(|record| record.1.is_none()));
    let mut placed = bytes.to_vec();
    set_log_fields(&mut placed, 1000, 7);
    let batch = Batch::parse(&placed).unwrap();
    assert_eq!(batch.header().leader_epoch, 7);
    let mut ranges = RecordRanges::default();
    decode_ranges(&Bytes::from(placed.clone()), &mut ranges).unwrap();
    assert_eq!(ranges.len(), records.len());
    for (index, (expect, record)) in records.iter().zip(batch.records()).enumerate() {
        let record = record.unwrap();
        assert_eq!(record.offset, 1000 + index as i64);
        assert_eq!(&owned(record), expect);
        let as_columns = Record {
            offset: ranges.base_offset + i64::from(ranges.offset_deltas[index]),
            timestamp_ms: ranges.timestamps_ms[index],
            key: ranges.key(index),
            value: ranges.value(index),
            headers: ranges.headers_of(index),
        };
        assert_eq!(&owned(as_columns), expect);
    }
    assert_eq!(batch.records().count(), records.len());
}

fn record(key: &str, value: &str, time: i64) -> Owned {
    (Some(key.into()), Some(value.into()), time, vec![])
}

#[test]
fn offsets_may_be_left_out_within_a_batch() {
    let mut builder = BatchBuilder::new();
    assert!(builder.leave_out(1).is_err(), "there is no record to leave them out behind");
    builder.set_base_offset(500);
    for gap in [0, 3, 1_000_000] {
        if gap > 0 {
            builder.leave_out(gap).unwrap();
        }
        builder.push(None, Some(b"v"), 7, &[]).unwrap();
    }
    assert!(builder.leave_out(u64::from(u32::MAX)).is_err());
    let bytes = builder.finish(Compression::None).unwrap();
    let batch = Batch::parse(&bytes).unwrap();
    let offsets: Vec<i64> = batch.records().map(|record| record.unwrap().offset).collect();
    assert_eq!(offsets, [500, 504, 1_000_505]);
    assert_eq!(batch.header().next_offset(), 1_000_506);
    builder.push(None, None, 8, &[]).unwrap();
    assert_eq!(Batch::parse(&builder.finish(Compression::None).unwrap()).unwrap().header().record_count, 1);
}

#[test]
fn known_bytes() {
    let bytes = build(&[record("k", "vv", 1_000)], Compression::None);
    let expect: &[u8] = &[
        0, 0, 0, 0, 0, 0, 0, 0, // base offset
        0, 0, 0, 59, // length
        255, 255, 255, 255, // leader epoch
        2,   // magic
    ];
    assert_eq!(&bytes[..17], expect);
    let expect: &[u8] = &[
        0, 0, // attributes
        0, 0, 0, 0, // last offset delta
        0, 0, 0, 0, 0, 0, 3, 232, // base timestamp
        0, 0, 0, 0, 0, 0, 3, 232, // max timestamp
        255, 255, 255, 255, 255, 255, 255, 255, // producer id
        255, 255, // producer epoch
        255, 255, 255, 255, // base sequence
        0, 0, 0, 1, // record count
        18, 0, 0, 0, 2, b'k', 4, b'v', b'v', 0, // the record, 9 bytes after its length
    ];
    assert_eq!(&bytes[21..], expect);
    assert_eq!(bytes[17..21], crc32c::crc32c(expect).to_be_bytes());
}

#[test]
fn codecs_make_repetition_small() {
    let records: Vec<Owned> = (0..500).map(|i| record("key", "the same value again", i)).collect();
    let plain = build(&records, Compression::None).len();
    for codec in Compression::ALL {
        check_round_trip(&records, codec);
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
        if codec != Compression::None {
            assert!(build(&records, codec).len() < plain / 3, "{}", codec.name());
        }
    }
}

#[test]
fn snappy_without_framing_is_read() {
    let records = b"some records, some records";
    let raw = snap::raw::Encoder::new().compress_vec(records).unwrap();
    assert_eq!(Compression::Snappy.decompress(&raw).unwrap(), records);
}

#[test]
fn output_is_bounded() {
    let zeros = vec![0; 1 << 20];
    for codec in Compression::ALL {
        let mut bytes = Vec::new();
        codec.compress(&zeros, &mut bytes).unwrap();
        let error = codec.decompress_bounded(&bytes, zeros.len() - 1).unwrap_err();
        assert_eq!(error, BatchError::TooLarge { max: zeros.len() - 1 }, "{}", codec.name());
        assert_eq!(codec.decompress_bounded(&bytes, zeros.len()).unwrap(), zeros);
    }
}

#[test]
fn flags_times_and_marks() {
    let mut builder = BatchBuilder::new();
    builder.set_producer(9, 2, 100);
    builder.set_transactional(true);
    builder.push(Some(b"k"), None, 50, &[]).unwrap();
    builder.push(Some(b"k"), None, 40, &[]).unwrap();
    let mut bytes = builder.finish(Compression::None).unwrap().to_vec();
    let header = *Batch::parse(&bytes).unwrap().header();
    assert!(header.is_transactional() && !header.is_control());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (9, 2, 100));
    assert_eq!((header.base_timestamp, header.max_timestamp), (50, 50));

    stamp_append_time(&mut bytes, 777);
    let batch = Batch::parse(&bytes).unwrap();
    assert_eq!(batch.header().timestamp_type(), TimestampType::LogAppendTime);
    assert!(batch.records().all(|record| record.unwrap().timestamp_ms == 777));

    builder.set_control(true);
    builder.push(Some(&[0, 0, 0, 1]), Some(&[0; 6]), 60, &[]).unwrap();
    let control = builder.finish(Compression::None).unwrap();
    assert!(Batch::parse(&control).unwrap().header().is_control());
    let mut ranges = RecordRanges::default();
    decode_ranges(&control, &mut ranges).unwrap();
    assert!(ranges.is_empty());
    assert!(builder.is_empty() && builder.finish(Compression::None).unwrap().is_empty());
}

#[test]
fn refusals() {
    let good = build(&[record("a", "1", 1), record("b", "2", 2)], Compression::None);
    let check_error = |change: &dyn Fn(&mut Vec<u8>), expect: &str| {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        let error = check(&bytes).unwrap_err().to_string();
        assert!(error.contains(expect), "{error:?} does not say {expect:?}");
    };
    let reseal = |bytes: &mut Vec<u8>| header::seal(bytes);
    check_error(&|b| b.truncate(60), "where the batch takes 7");
    check_error(&|b| b.truncate(10), "10 bytes where the batch takes 61");
    check_error(&|b| b[16] = 1, "magic 1");
    check_error(&|b| b[70] ^= 1, "checksum");
    check_error(&|b| b[60] = 3, "record count");
    check_error(&|b| (b[60], b[26]) = (0, 1), "checksum");
    let check_sealed = |change: &dyn Fn(&mut Vec<u8>), expect: &str| {
        check_error(
            &|b| {
                change(b);
                reseal(b);
            },
            expect,
        );
    };
    check_sealed(&|b| b[60] = 0, "record count in the header is not possible: 0");
    check_sealed(&|b| b[60] = 1, "last offset delta");
    check_sealed(&|b| b[26] = 5, "last offset delta");
    check_sealed(&|b| b[22] = 5, "codec 5");
    check_sealed(&|b| b[22] = 4, "zstd");
    check_sealed(&|b| b[64] = 2, "record 0: its offset does not follow");
    check_sealed(&|b| b[61] = 3, "record 0: its length is negative");
    check_sealed(&|b| b[61] = 100, "record 0: it ends after the batch");
    check_sealed(&|b| b[65] = 60, "record 0: its key is cut off");
}

#[test]
fn a_builder_refuses_what_the_format_cannot_say() {
    let mut builder = BatchBuilder::new();
    builder.push(None, Some(b"v"), 0, &[]).unwrap();
    let large = vec![0; 1 << 31];
    assert!(matches!(builder.push(None, Some(&large), 0, &[]), Err(BatchError::OverLimit { .. })));
    assert_eq!(builder.len(), 1);
}

fn any_record() -> impl Strategy<Value = Owned> {
    let bytes = || option::of(vec(any::<u8>(), 0..40));
    let headers = vec(("[a-z]{0,5}", option::of(vec(any::<u8>(), 0..10))), 0..3);
    (bytes(), bytes(), prop_oneof![0_i64..2_000_000_000_000, any::<i64>()], headers)
}

fn any_codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

proptest! {
    #[test]
    fn round_trip(records in vec(any_record(), 1..30), codec in any_codec()) {
        check_round_trip(&records, codec);
    }

    #[test]
    fn damage_is_an_error_never_a_panic(
        records in vec(any_record(), 1..8),
        codec in any_codec(),
        flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        cut in option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = build(&records, codec).to_vec();
        for (index, byte) in flips {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let _ = check(&bytes);
        // Without the checksum's protection the decoders stand alone.
        if let Ok(batch) = Batch::parse_verified(&bytes) {
            let read = batch.records().filter_map(Result::ok).flat_map(|record| record.headers).count();
            prop_assert!(read <= bytes.len().max(1) * 1000);
        }
        let mut ranges = RecordRanges::default();
        let _ = decode_ranges(&Bytes::from(bytes), &mut ranges);
        for index in 0..ranges.len() {
            let _ = (ranges.key(index), ranges.value(index), ranges.headers_of(index).count());
        }
    }

    #[test]
    fn any_bytes_are_an_error_never_a_panic(mut bytes in vec(any::<u8>(), 0..200), codec in any_codec()) {
        let _ = check(&bytes);
        let _ = codec.decompress(&bytes);
        if bytes.len() > 17 {
            bytes[16] = 2;
            let length = (bytes.len() - LOG_OVERHEAD_BYTES) as u32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            let _ = Batch::parse_verified(&bytes).map(|batch| batch.records().count());
        }
    }
}
