//! Writing a batch: one buffer, records encoded straight into it, the checksum once at the end.

use bytes::Bytes;

use super::{
    BatchError, BatchHeader, Checked, Compression, HEADER_BYTES, LOG_OVERHEAD_BYTES, Record,
    header::{
        ATTRIBUTES_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, CONTROL_BIT, LAST_OFFSET_DELTA_AT, MAX_TIMESTAMP_AT,
        PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORD_COUNT_AT, TRANSACTIONAL_BIT, put, seal,
    },
    varint::{self, VARINT_BYTES_MAX, VARLONG_BYTES_MAX},
};

/// Largest batch and largest key or value, bytes: the format counts in 32 signed bits.
const BYTES_MAX: usize = i32::MAX as usize - HEADER_BYTES;
/// Most records in a batch.
const RECORDS_MAX: u32 = i32::MAX.unsigned_abs();
/// Length, attributes, timestamp, offset and key length of a record.
const PREFIX_BYTES_MAX: usize = VARINT_BYTES_MAX + 1 + VARLONG_BYTES_MAX + 2 * VARINT_BYTES_MAX;
/// What a record without headers takes besides its key and value, at most.
pub const RECORD_OVERHEAD_BYTES_MAX: usize = PREFIX_BYTES_MAX + VARINT_BYTES_MAX + 1;
/// Capacity of the first buffer.
const FIRST_CAPACITY_BYTES: usize = 1024;
/// Bytes left free before a batch, for what a log writes there: so it need not copy what this process has built.
pub const ROOM_BYTES: usize = 16;

/// A batch that a [`BatchBuilder`] made: known to be sound, with room before it.
#[derive(Debug, Clone)]
pub struct BuiltBatch {
    /// [`ROOM_BYTES`] of room, then the batch.
    pub(crate) buffer: Vec<u8>,
    pub(crate) checked: Checked,
}

impl BuiltBatch {
    /// The batch.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(ROOM_BYTES..).unwrap_or_default()
    }
}

/// Builds one batch after another. Offsets count from 0; the log gives them their place.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Room, the header's place, and the records so far.
    buffer: Vec<u8>,
    count: u32,
    /// The next record's offset, counted from the batch's first.
    next_delta: u32,
    base_offset: i64,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    attributes: i16,
    has_null_key: bool,
    has_tombstone: bool,
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder::new()
    }
}

impl BatchBuilder {
    /// A builder without records.
    pub fn new() -> BatchBuilder {
        BatchBuilder::with_capacity(FIRST_CAPACITY_BYTES)
    }

    /// A builder with room for `bytes` of records.
    pub fn with_capacity(bytes: usize) -> BatchBuilder {
        let mut builder = BatchBuilder {
            buffer: Vec::new(),
            count: 0,
            next_delta: 0,
            base_offset: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            attributes: 0,
            has_null_key: false,
            has_tombstone: false,
        };
        builder.restart(bytes.min(BYTES_MAX) + HEADER_BYTES + ROOM_BYTES);
        builder
    }

    fn restart(&mut self, capacity: usize) {
        self.buffer = Vec::with_capacity(capacity);
        self.buffer.resize(ROOM_BYTES + HEADER_BYTES, 0);
        (self.count, self.next_delta) = (0, 0);
        (self.has_null_key, self.has_tombstone) = (false, false);
    }

    /// Records so far.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that the batch takes so far, uncompressed.
    pub fn bytes(&self) -> usize {
        self.buffer.len() - ROOM_BYTES
    }

    /// Mark the coming batches as an idempotent producer's; `base_sequence` must be set again for each.
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.producer_id = producer_id;
        self.producer_epoch = producer_epoch;
        self.base_sequence = base_sequence;
    }

    /// Offset of the coming batches' first record, for batches that have their place already; it must be set again for
    /// each.
    pub fn set_base_offset(&mut self, base_offset: i64) {
        self.base_offset = base_offset;
    }

    /// Leave out `offsets` before the next record, such as those of records that are gone. Fails when the batch would
    /// span more than the format can say; it is then as it was.
    pub fn leave_out(&mut self, offsets: u64) -> Result<(), BatchError> {
        let span = u64::from(self.next_delta).saturating_add(offsets);
        match u32::try_from(span).ok().filter(|next| self.count > 0 && *next < RECORDS_MAX) {
            Some(next) => self.next_delta = next,
            None => return Err(BatchError::Field("last offset delta", i64::try_from(span).unwrap_or(i64::MAX))),
        }
        Ok(())
    }

    /// Mark the coming batches as part of a transaction, or not.
    pub fn set_transactional(&mut self, transactional: bool) {
        self.set_bit(TRANSACTIONAL_BIT, transactional);
    }

    /// Mark the coming batches as the log's own marks, or not.
    pub fn set_control(&mut self, control: bool) {
        self.set_bit(CONTROL_BIT, control);
    }

    fn set_bit(&mut self, bit: i16, on: bool) {
        self.attributes = if on { self.attributes | bit } else { self.attributes & !bit };
    }

    /// Add a record. The first one's timestamp is what the others' count from. Fails when the key, the value or the
    /// batch would be larger than the format can say; the batch is then as it was.
    #[inline]
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<(), BatchError> {
        let base = if self.count == 0 { timestamp_ms } else { self.base_timestamp };
        let time_delta = timestamp_ms.wrapping_sub(base);
        let key_length = key.map_or(0, <[u8]>::len);
        let value_length = value.map_or(0, <[u8]>::len);
        let headers_length = if headers.is_empty() { 1 } else { headers_length(headers) };
        let content = key_length.saturating_add(value_length).saturating_add(headers_length);
        let total = self.buffer.len().saturating_add(content).saturating_add(PREFIX_BYTES_MAX + VARINT_BYTES_MAX);
        if total > BYTES_MAX || self.next_delta >= RECORDS_MAX {
            return Err(BatchError::OverLimit { what: "batch", bytes: total });
        }
        // All lengths are below 2^31 from here on.
        let key_code = key.map_or(-1, |key| key.len() as i64);
        let value_code = value.map_or(-1, |value| value.len() as i64);
        let offset_delta = i64::from(self.next_delta);
        let length = 1
            + varint::length(time_delta)
            + varint::length(offset_delta)
            + varint::length(key_code)
            + varint::length(value_code)
            + content;
        let mut prefix = [0; PREFIX_BYTES_MAX];
        let mut at = varint::put(&mut prefix, 0, length as i64);
        at += 1;
        at = varint::put(&mut prefix, at, time_delta);
        at = varint::put(&mut prefix, at, offset_delta);
        at = varint::put(&mut prefix, at, key_code);
        // A copy of a fixed size needs no call; what is too much of it is taken back.
        let end = self.buffer.len() + at;
        self.buffer.extend_from_slice(&prefix);
        self.buffer.truncate(end);
        self.buffer.extend_from_slice(key.unwrap_or_default());
        put_varint(&mut self.buffer, value_code);
        self.buffer.extend_from_slice(value.unwrap_or_default());
        if headers.is_empty() {
            self.buffer.push(0);
        } else {
            put_headers(&mut self.buffer, headers);
        }
        self.max_timestamp = if self.count == 0 { timestamp_ms } else { self.max_timestamp.max(timestamp_ms) };
        self.base_timestamp = base;
        self.has_null_key |= key.is_none();
        self.has_tombstone |= value.is_none();
        self.count += 1;
        self.next_delta += 1;
        Ok(())
    }

    /// Add a record of another batch, as [`BatchBuilder::push`].
    pub fn push_record(&mut self, record: &Record<'_>) -> Result<(), BatchError> {
        let headers = record.headers.map(|header| header.map(|h| (String::from_utf8_lossy(h.name), h.value)));
        let headers = headers.collect::<Result<Vec<_>, _>>()?;
        let headers: Vec<(&str, Option<&[u8]>)> = headers.iter().map(|(name, value)| (&**name, *value)).collect();
        self.push(record.key, record.value, record.timestamp_ms, &headers)
    }

    /// The batch of the records so far; the builder is then empty and ready for the next. Empty when there are none.
    pub fn finish(&mut self, compression: Compression) -> Result<Bytes, BatchError> {
        if self.count == 0 {
            return Ok(Bytes::new());
        }
        Ok(Bytes::from(self.close(compression)?).slice(ROOM_BYTES..))
    }

    /// As [`BatchBuilder::finish`], for a log of this process, which need neither check nor copy it. `None` when there
    /// are no records.
    pub fn build(&mut self, compression: Compression) -> Result<Option<BuiltBatch>, BatchError> {
        if self.count == 0 {
            return Ok(None);
        }
        let (has_null_key, has_tombstone) = (self.has_null_key, self.has_tombstone);
        let buffer = self.close(compression)?;
        let header = BatchHeader::parse(buffer.get(ROOM_BYTES..).unwrap_or_default())?;
        Ok(Some(BuiltBatch { buffer, checked: Checked { header, has_null_key, has_tombstone } }))
    }

    /// Room and batch; the builder begins anew.
    fn close(&mut self, compression: Compression) -> Result<Vec<u8>, BatchError> {
        // The next one is about as long.
        let capacity = self.buffer.len() + self.buffer.len() / 16;
        let mut buffer = match compression {
            Compression::None => std::mem::take(&mut self.buffer),
            codec => {
                let mut compressed = Vec::with_capacity(self.buffer.len() / 2 + HEADER_BYTES + ROOM_BYTES);
                compressed.resize(ROOM_BYTES + HEADER_BYTES, 0);
                codec.compress(self.buffer.get(ROOM_BYTES + HEADER_BYTES..).unwrap_or_default(), &mut compressed)?;
                compressed
            }
        };
        let batch = buffer.get_mut(ROOM_BYTES..).unwrap_or_default();
        let length = i32::try_from(batch.len() - LOG_OVERHEAD_BYTES);
        let length = length.map_err(|_| BatchError::OverLimit { what: "batch", bytes: batch.len() })?;
        put(batch, 0, self.base_offset.to_be_bytes());
        put(batch, 8, length.to_be_bytes());
        put(batch, 12, (-1_i32).to_be_bytes());
        put(batch, 16, [2]);
        put(batch, ATTRIBUTES_AT, (self.attributes | compression.code()).to_be_bytes());
        put(batch, LAST_OFFSET_DELTA_AT, self.next_delta.saturating_sub(1).to_be_bytes());
        put(batch, BASE_TIMESTAMP_AT, self.base_timestamp.to_be_bytes());
        put(batch, MAX_TIMESTAMP_AT, self.max_timestamp.to_be_bytes());
        put(batch, PRODUCER_ID_AT, self.producer_id.to_be_bytes());
        put(batch, PRODUCER_EPOCH_AT, self.producer_epoch.to_be_bytes());
        put(batch, BASE_SEQUENCE_AT, self.base_sequence.to_be_bytes());
        put(batch, RECORD_COUNT_AT, self.count.to_be_bytes());
        seal(batch);
        self.restart(capacity);
        Ok(buffer)
    }
}

#[inline]
fn put_varint(buffer: &mut Vec<u8>, value: i64) {
    let mut bytes = [0; VARLONG_BYTES_MAX];
    let end = buffer.len() + varint::put(&mut bytes, 0, value);
    buffer.extend_from_slice(&bytes);
    buffer.truncate(end);
}

fn headers_length(headers: &[(&str, Option<&[u8]>)]) -> usize {
    let each = headers.iter().map(|(name, value)| {
        let value_length = value.map_or(0, <[u8]>::len);
        let value_code = value.map_or(-1, |value| value.len() as i64);
        varint::length(name.len() as i64) + varint::length(value_code) + name.len() + value_length
    });
    varint::length(headers.len() as i64).saturating_add(each.fold(0, usize::saturating_add))
}

fn put_headers(buffer: &mut Vec<u8>, headers: &[(&str, Option<&[u8]>)]) {
    put_varint(buffer, headers.len() as i64);
    for (name, value) in headers {
        put_varint(buffer, name.len() as i64);
        buffer.extend_from_slice(name.as_bytes());
        put_varint(buffer, value.map_or(-1, |value| value.len() as i64));
        buffer.extend_from_slice(value.unwrap_or_default());
    }
}
