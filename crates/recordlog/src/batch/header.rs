//! The fixed part of a batch: reading it, and the few fields that a log writes into a received batch.

use super::{BatchError, Compression, batch_length};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes before what a batch's length counts.
pub const LOG_OVERHEAD_BYTES: usize = 12;

/// Where the checksum stands; it covers everything after it.
pub(super) const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const LAST_OFFSET_DELTA_AT: usize = 23;
pub(super) const BASE_TIMESTAMP_AT: usize = 27;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;
pub(super) const PRODUCER_ID_AT: usize = 43;
pub(super) const PRODUCER_EPOCH_AT: usize = 51;
pub(super) const BASE_SEQUENCE_AT: usize = 53;
pub(super) const RECORD_COUNT_AT: usize = 57;

pub(super) const COMPRESSION_BITS: i16 = 7;
pub(super) const APPEND_TIME_BIT: i16 = 1 << 3;
pub(super) const TRANSACTIONAL_BIT: i16 = 1 << 4;
pub(super) const CONTROL_BIT: i16 = 1 << 5;

/// Whose clock a batch's timestamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's, record by record.
    CreateTime,
    /// The log's, one for the batch.
    LogAppendTime,
}

/// A batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (of the first there was, if compaction removed some).
    pub base_offset: i64,
    /// The whole batch, bytes.
    pub length: usize,
    /// The leader's epoch; the log's own business.
    pub leader_epoch: i32,
    /// CRC-32C of everything after it.
    pub crc: u32,
    /// Codec, kind of timestamps, transactional, control.
    pub attributes: i16,
    /// From the first offset to the last, at least 0.
    pub last_offset_delta: i32,
    /// What the records' timestamps count from, ms.
    pub base_timestamp: i64,
    /// Largest timestamp of the records, or the append time, ms.
    pub max_timestamp: i64,
    /// The idempotent producer, -1 for none.
    pub producer_id: i64,
    /// Its epoch, -1 for none.
    pub producer_epoch: i16,
    /// Its number for the first record, -1 for none.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: u32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl BatchHeader {
    /// Read the header of the batch at the beginning of `bytes`, which must hold it whole. Checks the length, the
    /// magic and the counts, not the checksum.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let truncated = |need| BatchError::Truncated { need, have: bytes.len() };
        let length = batch_length(bytes).ok_or_else(|| truncated(HEADER_BYTES))?;
        if length < HEADER_BYTES || bytes.len() < length {
            return Err(truncated(length.max(HEADER_BYTES)));
        }
        BatchHeader::parse_fixed(bytes)
    }

    /// Read the header from bytes that may end before the records do.
    pub fn parse_fixed(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::fields(bytes);
        let header = header.ok_or(BatchError::Truncated { need: HEADER_BYTES, have: bytes.len() })?;
        let magic = bytes.get(16).map_or(0, |byte| byte.cast_signed());
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let count = array(bytes, RECORD_COUNT_AT).map_or(-1, i32::from_be_bytes);
        if count < 0 {
            return Err(BatchError::Field("record count", i64::from(count)));
        }
        if header.last_offset_delta < 0 {
            return Err(BatchError::Field("last offset delta", i64::from(header.last_offset_delta)));
        }
        if i64::from(count) > i64::from(header.last_offset_delta) + 1 {
            return Err(BatchError::Field("record count", i64::from(count)));
        }
        if header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1).is_none() {
            return Err(BatchError::Field("base offset", header.base_offset));
        }
        Ok(header)
    }

    fn fields(bytes: &[u8]) -> Option<BatchHeader> {
        let length = batch_length(bytes)?;
        Some(BatchHeader {
            base_offset: i64::from_be_bytes(array(bytes, 0)?),
            length,
            leader_epoch: i32::from_be_bytes(array(bytes, 12)?),
            crc: u32::from_be_bytes(array(bytes, CRC_AT)?),
            attributes: i16::from_be_bytes(array(bytes, ATTRIBUTES_AT)?),
            last_offset_delta: i32::from_be_bytes(array(bytes, LAST_OFFSET_DELTA_AT)?),
            base_timestamp: i64::from_be_bytes(array(bytes, BASE_TIMESTAMP_AT)?),
            max_timestamp: i64::from_be_bytes(array(bytes, MAX_TIMESTAMP_AT)?),
            producer_id: i64::from_be_bytes(array(bytes, PRODUCER_ID_AT)?),
            producer_epoch: i16::from_be_bytes(array(bytes, PRODUCER_EPOCH_AT)?),
            base_sequence: i32::from_be_bytes(array(bytes, BASE_SEQUENCE_AT)?),
            record_count: u32::from_be_bytes(array(bytes, RECORD_COUNT_AT)?),
        })
    }

    /// Whether the checksum fits `bytes` (which begin with this batch and hold it whole).
    pub fn verify(&self, bytes: &[u8]) -> Result<(), BatchError> {
        let covered = bytes.get(ATTRIBUTES_AT..self.length);
        let covered = covered.ok_or(BatchError::Truncated { need: self.length, have: bytes.len() })?;
        let found = crc32c::crc32c(covered);
        if found == self.crc { Ok(()) } else { Err(BatchError::Checksum { stored: self.crc, found }) }
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_code(self.attributes & COMPRESSION_BITS)
    }

    /// Whose clock the timestamps are.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & APPEND_TIME_BIT == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the records belong to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the records are the log's own marks (end of a transaction) and none of the user's.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// One past the offset of the last record.
    pub fn next_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta) + 1)
    }

    /// How many offsets the batch takes.
    pub fn offset_count(&self) -> u32 {
        self.last_offset_delta.unsigned_abs() + 1
    }
}

pub(super) fn put<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = batch.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

/// Give a batch its place in a log. The checksum does not cover these fields.
pub fn set_log_fields(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    put(batch, 0, base_offset.to_be_bytes());
    put(batch, 12, leader_epoch.to_be_bytes());
}

/// Give a (sound, whole) batch the log's time for all its records, and the checksum that goes with it.
pub fn stamp_append_time(batch: &mut [u8], append_time_ms: i64) {
    let attributes = array(batch, ATTRIBUTES_AT).map_or(0, i16::from_be_bytes) | APPEND_TIME_BIT;
    put(batch, ATTRIBUTES_AT, attributes.to_be_bytes());
    put(batch, MAX_TIMESTAMP_AT, append_time_ms.to_be_bytes());
    seal(batch);
}

/// Make a (sound, whole) batch a producer's: `base_sequence` is the number of its first record in the partition. Gives it
/// the checksum that goes with it.
pub fn stamp_producer(batch: &mut [u8], producer: (i64, i16), base_sequence: i32, is_transactional: bool) {
    let attributes = array(batch, ATTRIBUTES_AT).map_or(0, i16::from_be_bytes) & !TRANSACTIONAL_BIT;
    let attributes = if is_transactional { attributes | TRANSACTIONAL_BIT } else { attributes };
    put(batch, ATTRIBUTES_AT, attributes.to_be_bytes());
    put(batch, PRODUCER_ID_AT, producer.0.to_be_bytes());
    put(batch, PRODUCER_EPOCH_AT, producer.1.to_be_bytes());
    put(batch, BASE_SEQUENCE_AT, base_sequence.to_be_bytes());
    seal(batch);
}

/// Compute and set the checksum of a batch that is otherwise complete.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    put(batch, CRC_AT, crc.to_be_bytes());
}
