//! A batch without some of its records, as compaction leaves it: what stays keeps its offset, its time and its bytes.

use bytes::Bytes;

use super::{
    Batch, BatchError, BatchHeader, Compression, HEADER_BYTES, LOG_OVERHEAD_BYTES, Record, TimestampType,
    header::{ATTRIBUTES_AT, COMPRESSION_BITS, MAX_TIMESTAMP_AT, RECORD_COUNT_AT, put, seal},
};

/// What is left of a batch.
#[derive(Debug, Clone)]
pub enum Retained {
    /// All of it.
    All,
    /// Nothing.
    Nothing,
    /// Some records: the batch with those, and how many went. It takes as many offsets as before.
    Some(Bytes, u32),
}

/// Take the records out of `bytes` (one whole batch, checksum verified before) that `keep` does not want.
pub fn retain(bytes: &[u8], mut keep: impl FnMut(&Record<'_>) -> bool) -> Result<Retained, BatchError> {
    let batch = Batch::parse_verified(bytes)?;
    let header = *batch.header();
    let data = batch.record_bytes();
    let mut kept = Vec::new();
    let mut kept_count = 0_u32;
    let mut max_time = i64::MIN;
    let mut records = batch.records();
    loop {
        let start = data.len() - records.bytes_left();
        let Some(record) = records.next() else { break };
        let record = record?;
        if keep(&record) {
            let end = data.len() - records.bytes_left();
            kept.extend_from_slice(data.get(start..end).unwrap_or_default());
            kept_count += 1;
            max_time = max_time.max(record.timestamp_ms);
        }
    }
    if kept_count == header.record_count {
        return Ok(Retained::All);
    }
    if kept_count == 0 {
        return Ok(Retained::Nothing);
    }
    let rewritten = rewrite(bytes, &header, &kept, kept_count, max_time)?;
    Ok(Retained::Some(rewritten, header.record_count - kept_count))
}

/// The batch with its place and its times but without any record.
pub fn without_records(header: &BatchHeader, bytes: &[u8]) -> Bytes {
    let mut batch = bytes.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    let length = HEADER_BYTES - LOG_OVERHEAD_BYTES;
    put(&mut batch, 8, u32::try_from(length).unwrap_or(0).to_be_bytes());
    put(&mut batch, ATTRIBUTES_AT, (header.attributes & !COMPRESSION_BITS).to_be_bytes());
    put(&mut batch, RECORD_COUNT_AT, 0_u32.to_be_bytes());
    seal(&mut batch);
    Bytes::from(batch)
}

/// The same records compressed otherwise, in a sound batch.
pub fn compressed(bytes: &[u8], codec: Compression) -> Result<Bytes, BatchError> {
    let batch = Batch::parse_verified(bytes)?;
    let mut header = *batch.header();
    header.attributes = (header.attributes & !COMPRESSION_BITS) | codec.code();
    rewrite(bytes, &header, batch.record_bytes(), header.record_count, header.max_timestamp)
}

fn rewrite(bytes: &[u8], header: &BatchHeader, records: &[u8], count: u32, max_time: i64) -> Result<Bytes, BatchError> {
    let mut batch = bytes.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    header.compression()?.compress(records, &mut batch)?;
    let length = i32::try_from(batch.len() - LOG_OVERHEAD_BYTES);
    let length = length.map_err(|_| BatchError::OverLimit { what: "batch", bytes: batch.len() })?;
    put(&mut batch, 8, length.to_be_bytes());
    put(&mut batch, ATTRIBUTES_AT, header.attributes.to_be_bytes());
    put(&mut batch, RECORD_COUNT_AT, count.to_be_bytes());
    if header.timestamp_type() == TimestampType::CreateTime {
        put(&mut batch, MAX_TIMESTAMP_AT, max_time.to_be_bytes());
    }
    seal(&mut batch);
    Ok(Bytes::from(batch))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::batch::{BatchBuilder, Compression, set_log_fields};

    fn check(compression: Compression, keep: &[i64]) {
        let mut builder = BatchBuilder::new();
        for i in 0..5_i64 {
            builder.push(Some(b"key"), Some(&[b'v'; 30]), 100 - i, &[("h", Some(b"x"))]).unwrap();
        }
        let mut bytes = builder.finish(compression).unwrap().to_vec();
        set_log_fields(&mut bytes, 50, 0);
        let Retained::Some(left, removed) = retain(&bytes, |record| keep.contains(&record.offset)).unwrap() else {
            panic!("some are left");
        };
        assert_eq!(removed as usize, 5 - keep.len());
        let batch = Batch::parse(&left).unwrap();
        let found: Vec<(i64, i64)> = batch.records().map(|r| r.unwrap()).map(|r| (r.offset, r.timestamp_ms)).collect();
        let expect: Vec<(i64, i64)> = keep.iter().map(|offset| (*offset, 150 - offset)).collect();
        assert_eq!(found, expect);
        assert_eq!((batch.header().base_offset, batch.header().next_offset()), (50, 55));
        assert_eq!(batch.header().max_timestamp, expect[0].1);
        assert!(batch.records().all(|r| r.unwrap().headers.last("h").unwrap().value == Some(b"x")));
    }

    #[test]
    fn what_stays_keeps_offset_time_and_bytes() {
        for codec in Compression::ALL {
            check(codec, &[50, 53]);
            check(codec, &[54]);
            check(codec, &[51, 52, 53, 54]);
        }
    }

    #[test]
    fn all_or_nothing() {
        let mut builder = BatchBuilder::new();
        builder.push(None, None, 1, &[]).unwrap();
        let bytes = builder.finish(Compression::None).unwrap();
        assert!(matches!(retain(&bytes, |_| true), Ok(Retained::All)));
        assert!(matches!(retain(&bytes, |_| false), Ok(Retained::Nothing)));
    }
}
