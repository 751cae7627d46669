//! A batch's records as columns of ranges over one buffer, for decoders that work on a whole batch at a time.

use bytes::Bytes;

use super::{BatchError, BatchHeader, Compression, HEADER_BYTES, Headers, TimestampType, reader::RawRecord};

/// A run of bytes in [`RecordRanges::data`], or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    start: u32,
    end: u32,
}

impl ByteRange {
    /// No bytes at all (which differs from an empty run).
    pub const NULL: ByteRange = ByteRange { start: u32::MAX, end: 0 };

    /// Whether this is null.
    #[inline]
    pub fn is_null(self) -> bool {
        self.start > self.end
    }

    /// The bytes in `data`, `None` for null.
    #[inline]
    pub fn of(self, data: &[u8]) -> Option<&[u8]> {
        data.get(self.start as usize..self.end as usize)
    }

    /// Length in bytes; 0 for null.
    #[inline]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// The columns of one batch. All have one entry a record. Reuse one between batches: it keeps its memory.
#[derive(Debug, Default)]
pub struct RecordRanges {
    /// The (decompressed) records, which the ranges point into.
    pub data: Bytes,
    /// Offset of the batch's first record.
    pub base_offset: i64,
    /// Offsets less `base_offset`.
    pub offset_deltas: Vec<u32>,
    /// Times, ms since 1970.
    pub timestamps_ms: Vec<i64>,
    /// Keys; null where the record has none.
    pub keys: Vec<ByteRange>,
    /// Values; null for tombstones.
    pub values: Vec<ByteRange>,
    /// Encoded headers; null where the record has none. See [`RecordRanges::headers_of`].
    pub headers: Vec<ByteRange>,
    /// Header counts; empty when no record has headers.
    header_counts: Vec<u32>,
}

impl RecordRanges {
    /// Records held.
    pub fn len(&self) -> usize {
        self.offset_deltas.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.offset_deltas.is_empty()
    }

    /// Key of a record.
    #[inline]
    pub fn key(&self, index: usize) -> Option<&[u8]> {
        self.keys.get(index)?.of(&self.data)
    }

    /// Value of a record.
    #[inline]
    pub fn value(&self, index: usize) -> Option<&[u8]> {
        self.values.get(index)?.of(&self.data)
    }

    /// Whether any record has headers.
    pub fn has_headers(&self) -> bool {
        !self.header_counts.is_empty()
    }

    /// Headers of a record.
    pub fn headers_of(&self, index: usize) -> Headers<'_> {
        let bytes = self.headers.get(index).and_then(|range| range.of(&self.data)).unwrap_or_default();
        Headers::decode(bytes, self.header_counts.get(index).copied().unwrap_or(0))
    }

    /// Forget the records, keep the memory.
    pub fn clear(&mut self) {
        self.data = Bytes::new();
        self.offset_deltas.clear();
        self.timestamps_ms.clear();
        self.keys.clear();
        self.values.clear();
        self.headers.clear();
        self.header_counts.clear();
    }
}

/// Decode `batch` (whole, checksum verified before, as a log hands it out) into `out`, replacing what was there. The
/// data is a slice of `batch` when that is not compressed. Control batches give no records. After an error `out` is
/// empty.
pub fn decode_ranges(batch: &Bytes, out: &mut RecordRanges) -> Result<BatchHeader, BatchError> {
    out.clear();
    let header = BatchHeader::parse(batch)?;
    out.base_offset = header.base_offset;
    if header.is_control() {
        return Ok(header);
    }
    let body = batch.get(HEADER_BYTES..header.length).unwrap_or_default();
    let data = match header.compression()? {
        Compression::None => batch.slice(HEADER_BYTES..header.length),
        codec => Bytes::from(codec.decompress(body)?),
    };
    let decoded = decode(&header, &data, out);
    if decoded.is_err() {
        out.clear();
    } else {
        out.data = data;
    }
    decoded.map(|()| header)
}

/// A place in a batch's data; those are below 2^31.
#[inline]
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn decode(header: &BatchHeader, data: &[u8], out: &mut RecordRanges) -> Result<(), BatchError> {
    // Ranges count in 32 bits; a batch's length and the limit on decompression keep within them.
    let base = data.as_ptr() as usize;
    let range = |bytes: &[u8]| {
        let start = (bytes.as_ptr() as usize).wrapping_sub(base);
        ByteRange { start: narrow(start), end: narrow(start + bytes.len()) }
    };
    // A record takes seven bytes at least, so a count that lies does not reserve memory.
    let count = header.record_count;
    let reserve = usize::try_from(count).unwrap_or(usize::MAX).min(data.len() / 7 + 1);
    out.offset_deltas.reserve(reserve);
    out.timestamps_ms.reserve(reserve);
    out.keys.reserve(reserve);
    out.values.reserve(reserve);
    out.headers.reserve(reserve);
    let append_time = header.timestamp_type() == TimestampType::LogAppendTime;
    let mut at = 0;
    for index in 0..count {
        let record = RawRecord::read(data, &mut at).map_err(|what| BatchError::Record { index, what })?;
        let in_batch =
            u32::try_from(record.offset_delta).ok().filter(|_| record.offset_delta <= header.last_offset_delta);
        let delta = in_batch.ok_or(BatchError::Record { index, what: "its offset is outside the batch" })?;
        let time = header.base_timestamp.wrapping_add(record.time_delta);
        out.offset_deltas.push(delta);
        out.timestamps_ms.push(if append_time { header.max_timestamp } else { time });
        out.keys.push(record.key.map_or(ByteRange::NULL, range));
        out.values.push(record.value.map_or(ByteRange::NULL, range));
        if record.headers.remaining() == 0 {
            out.headers.push(ByteRange::NULL);
        } else {
            out.header_counts.resize(out.headers.len(), 0);
            out.header_counts.push(record.headers.remaining());
            out.headers.push(range(record.headers.raw()));
        }
    }
    Ok(())
}
