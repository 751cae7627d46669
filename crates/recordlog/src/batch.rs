//! Kafka's record batch, format v2: read without copying, written by hand.
//!
//! A batch is 61 bytes of header and a run of records, the run perhaps compressed. Everything that the engine reads
//! or writes passes through here, so the codec borrows, keeps to one buffer, and offers columns of ranges
//! ([`decode_ranges`]) to decoders that work on whole batches. It is total: any bytes give a batch or a
//! [`BatchError`], never a panic and never more memory than [`DECOMPRESSED_BYTES_MAX`].
//!
//! Layout (big endian): base offset i64, length of what follows i32, leader epoch i32, magic i8 (2), CRC-32C of what
//! follows u32, attributes i16, last offset delta i32, base timestamp i64, max timestamp i64, producer id i64, epoch
//! i16, base sequence i32, record count i32, records.

mod builder;
mod columns;
mod compression;
mod header;
mod reader;
mod retain;
mod validate;
mod varint;

pub use builder::{BatchBuilder, BuiltBatch, RECORD_OVERHEAD_BYTES_MAX, ROOM_BYTES};
pub use columns::{ByteRange, RecordRanges, decode_ranges};
pub use compression::{Compression, DECOMPRESSED_BYTES_MAX};
pub use header::{
    BatchHeader, HEADER_BYTES, LOG_OVERHEAD_BYTES, TimestampType, set_log_fields, stamp_append_time, stamp_producer,
};
pub use reader::{Batch, Header, Headers, Record, Records};
pub use retain::{Retained, compressed, retain, without_records};
pub use validate::{Checked, check};

/// Why bytes are not a sound batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end inside the batch, or its length is none.
    #[error("{have} bytes where the batch takes {need}")]
    Truncated {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// Not format v2.
    #[error("magic {0}, only 2 is supported")]
    Magic(i8),
    /// The checksum does not fit the bytes.
    #[error("checksum is {found:08x}, the batch says {stored:08x}")]
    Checksum {
        /// As the header says.
        stored: u32,
        /// Of the bytes.
        found: u32,
    },
    /// A count or delta in the header that cannot be.
    #[error("{0} in the header is not possible: {1}")]
    Field(&'static str, i64),
    /// A codec that does not exist.
    #[error("compression codec {0} does not exist")]
    Codec(i16),
    /// The records do not decompress.
    #[error("records do not decompress as {codec}: {what}")]
    Decompress {
        /// The codec's name.
        codec: &'static str,
        /// The decoder's words.
        what: String,
    },
    /// The records decompress to more than is allowed.
    #[error("records decompress to more than {max} bytes")]
    TooLarge {
        /// Allowed.
        max: usize,
    },
    /// A record that contradicts itself or the header.
    #[error("record {index}: {what}")]
    Record {
        /// From 0, within the batch.
        index: u32,
        /// What does not fit.
        what: &'static str,
    },
    /// A key, value or whole batch over the format's limit.
    #[error("{what} of {bytes} bytes is over the format's limit")]
    OverLimit {
        /// Which.
        what: &'static str,
        /// How large.
        bytes: usize,
    },
}

/// What a batch's first bytes say about its length: bytes from its start to its end, if that many bytes of `bytes`
/// are enough to tell.
pub fn batch_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(8..LOG_OVERHEAD_BYTES)?.try_into().map(i32::from_be_bytes).ok()?;
    usize::try_from(length).ok().map(|length| length + LOG_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests;
