//! What a log checks before it accepts a batch from outside.

use super::{Batch, BatchError, BatchHeader, Headers, reader::RawRecord};

/// What is known of a batch after its check.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// The header.
    pub header: BatchHeader,
    /// Whether a record has no key.
    pub has_null_key: bool,
    /// Whether a record has no value.
    pub has_tombstone: bool,
}

/// Check the batch at the beginning of `bytes` through and through: length, magic, checksum, codec, counts, and that
/// its records are whole and count their offsets 0, 1, 2, ….
pub fn check(bytes: &[u8]) -> Result<Checked, BatchError> {
    let batch = Batch::parse(bytes)?;
    let header = *batch.header();
    if header.record_count == 0 {
        return Err(BatchError::Field("record count", 0));
    }
    if header.record_count != header.offset_count() {
        return Err(BatchError::Field("last offset delta", i64::from(header.last_offset_delta)));
    }
    let data = batch.record_bytes();
    let mut checked = Checked { header, has_null_key: false, has_tombstone: false };
    let mut at = 0;
    for index in 0..header.record_count {
        let failed = |what| BatchError::Record { index, what };
        let record = RawRecord::read(data, &mut at).map_err(failed)?;
        if u32::try_from(record.offset_delta) != Ok(index) {
            return Err(failed("its offset does not follow the one before"));
        }
        if record.headers.remaining() > 0 {
            check_headers(record.headers).map_err(failed)?;
        }
        checked.has_null_key |= record.key.is_none();
        checked.has_tombstone |= record.value.is_none();
    }
    if at != data.len() {
        return Err(BatchError::Record { index: header.record_count, what: "bytes are left over after the last" });
    }
    Ok(checked)
}

fn check_headers(mut headers: Headers<'_>) -> Result<(), &'static str> {
    for header in headers.by_ref() {
        header.map_err(|_| "its headers are cut off")?;
    }
    if headers.raw().is_empty() { Ok(()) } else { Err("bytes are left over after it") }
}
