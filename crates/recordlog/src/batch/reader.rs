//! Reading a batch record by record, borrowing keys, values and headers from its bytes.

use std::borrow::Cow;

use super::{
    BatchError, BatchHeader, Compression, HEADER_BYTES, TimestampType,
    varint::{int, long},
};

/// A batch with its records decompressed.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    header: BatchHeader,
    records: Cow<'a, [u8]>,
}

/// A record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: i64,
    /// The producer's or the log's time, ms since 1970.
    pub timestamp_ms: i64,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, decoded when iterated.
    pub headers: Headers<'a>,
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name, by convention UTF-8. Names may repeat.
    pub name: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

/// A record's headers; iterating decodes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
}

/// The records of a batch. After an error it ends.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    index: u32,
    count: u32,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    append_time_ms: Option<i64>,
}

impl<'a> Batch<'a> {
    /// Read the batch at the beginning of `bytes`: checks length, magic, counts and checksum, and decompresses.
    pub fn parse(bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        header.verify(bytes)?;
        Batch::with_header(header, bytes)
    }

    /// Like [`Batch::parse`] for bytes whose checksum was verified before, such as those read from a log.
    pub fn parse_verified(bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        Batch::with_header(BatchHeader::parse(bytes)?, bytes)
    }

    fn with_header(header: BatchHeader, bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        let body = bytes.get(HEADER_BYTES..header.length).unwrap_or_default();
        let records = match header.compression()? {
            Compression::None => Cow::Borrowed(body),
            codec => Cow::Owned(codec.decompress(body)?),
        };
        Ok(Batch { header, records })
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records' bytes, decompressed.
    pub fn record_bytes(&self) -> &[u8] {
        &self.records
    }

    /// The records in order.
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.header, &self.records)
    }
}

impl<'a> Records<'a> {
    /// The records that `header` describes in (decompressed) `bytes`.
    pub(super) fn new(header: &BatchHeader, bytes: &'a [u8]) -> Records<'a> {
        let append_time = header.timestamp_type() == TimestampType::LogAppendTime;
        Records {
            bytes,
            at: 0,
            index: 0,
            count: header.record_count,
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_time_ms: append_time.then_some(header.max_timestamp),
        }
    }

    /// Bytes not yet read; none after the last record of a sound batch.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, &'static str> {
        let raw = RawRecord::read(self.bytes, &mut self.at)?;
        if raw.offset_delta < 0 || raw.offset_delta > self.last_offset_delta {
            return Err("its offset is outside the batch");
        }
        Ok(Record {
            offset: self.base_offset.wrapping_add(i64::from(raw.offset_delta)),
            timestamp_ms: self.append_time_ms.unwrap_or_else(|| self.base_timestamp.wrapping_add(raw.time_delta)),
            key: raw.key,
            value: raw.value,
            headers: raw.headers,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        let index = self.index;
        self.index += 1;
        match self.read() {
            Ok(record) => Some(Ok(record)),
            Err(what) => {
                self.index = self.count;
                Some(Err(BatchError::Record { index, what }))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Each record takes a byte at least, so a count that lies does not reserve memory.
        let most = usize::try_from(self.count - self.index).unwrap_or(usize::MAX).min(self.bytes_left() + 1);
        (0, Some(most))
    }
}

/// A record as it is written.
pub(super) struct RawRecord<'a> {
    pub time_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

impl<'a> RawRecord<'a> {
    /// Read the record at `*at` and step over it.
    #[inline]
    pub(super) fn read(bytes: &'a [u8], at: &mut usize) -> Result<RawRecord<'a>, &'static str> {
        let body = body(bytes, at)?;
        // The first byte, attributes, has no use yet.
        let mut pos = 1;
        let time_delta = long(body, &mut pos).ok_or("its timestamp is cut off")?;
        let offset_delta = int(body, &mut pos).ok_or("its offset is cut off")?;
        let key = field(body, &mut pos).ok_or("its key is cut off")?;
        let value = field(body, &mut pos).ok_or("its value is cut off")?;
        let count = int(body, &mut pos).ok_or("its headers are cut off")?;
        let left = u32::try_from(count).map_err(|_| "its header count is negative")?;
        if left == 0 && pos != body.len() {
            return Err("bytes are left over after it");
        }
        Ok(RawRecord { time_delta, offset_delta, key, value, headers: Headers { bytes: body, at: pos, left } })
    }
}

/// The body of the record at `*at`, stepping over it.
#[inline]
pub(super) fn body<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], &'static str> {
    let length = int(bytes, at).ok_or("its length is cut off")?;
    let length = usize::try_from(length).map_err(|_| "its length is negative")?;
    let body = bytes.get(*at..).and_then(|rest| rest.get(..length)).ok_or("it ends after the batch")?;
    *at += length;
    Ok(body)
}

/// A nullable run of bytes with its length before it; the outer `None` when cut off.
#[inline]
fn field<'a>(body: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = int(body, at)?;
    if length < 0 {
        return Some(None);
    }
    let length = usize::try_from(length).ok()?;
    let bytes = body.get(*at..)?.get(..length)?;
    *at += length;
    Some(Some(bytes))
}

impl<'a> Headers<'a> {
    /// How many headers are still to come, as the record says.
    pub fn remaining(&self) -> u32 {
        self.left
    }

    /// The encoded headers after their count, as [`Headers::decode`] takes them.
    pub(super) fn raw(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Headers from their encoding: `count` of them in `bytes`.
    pub(super) fn decode(bytes: &'a [u8], count: u32) -> Headers<'a> {
        Headers { bytes, at: 0, left: count }
    }

    /// The value of the last header named `name`.
    pub fn last(self, name: &str) -> Option<Header<'a>> {
        self.filter_map(Result::ok).filter(|header| header.name == name.as_bytes()).last()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let name = field(self.bytes, &mut self.at).flatten();
        let header = name.and_then(|name| Some(Header { name, value: field(self.bytes, &mut self.at)? }));
        if header.is_none() {
            self.left = 0;
        }
        Some(header.ok_or(BatchError::Record { index: 0, what: "its headers are cut off" }))
    }
}
