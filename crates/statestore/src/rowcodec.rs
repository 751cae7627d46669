//! Columns ⇄ rows of bytes, in an encoding of our own that stays readable across versions of Arrow.
//!
//! Two modes. *Ordered* rows compare as bytes like the values compare column by column (NULL first), so they serve as
//! keys, prefixes and ranges. *Compact* rows need no order and keep strings as length and bytes.
//!
//! Every value begins with a byte: 0 for NULL, 1 for a value. Ordered: integers big-endian with the sign bit flipped;
//! doubles by IEEE total order; text and bytes with 0x00 escaped as 0x00 0xFF and ended by 0x00 0x00; lists as
//! elements each after 0x01, ended by 0x00. Compact: integers little-endian; text and bytes after a varint length;
//! lists after a varint count. Structs are their fields; maps are lists of (key, value).

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, BinaryBuilder, BooleanArray, BooleanBuilder, Date32Array, Decimal128Array,
        Float64Array, Int32Array, Int64Array, ListArray, MapArray, PrimitiveBuilder, StringArray, StringBuilder,
        StructArray, Time32MillisecondArray, TimestampMillisecondArray, UInt64Array, new_null_array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Fields, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
        TimeUnit, TimestampMillisecondType, UInt64Type,
    },
};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Compare like the values.
    Ordered,
    /// Small and quick.
    Compact,
}

/// Bytes that are no row of the columns asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The row ends too early or goes on too long.
    #[error("stored row of {0} bytes does not fit its columns")]
    Malformed(usize),
    /// No column of this type can be stored.
    #[error("columns of type {0} cannot be stored")]
    Unsupported(String),
}

/// Columns, ready to be written row by row.
pub struct RowEncoder<'a> {
    columns: Vec<Reader<'a>>,
    mode: Mode,
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U64(&'a [u64]),
    F64(&'a [f64]),
    I128(&'a [i128]),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    List(&'a [i32], Box<Reader<'a>>),
    Struct(Vec<Reader<'a>>),
}

struct Reader<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

fn reader(array: &ArrayRef) -> Result<Reader<'_>, CodecError> {
    macro_rules! cast {
        ($t:ty) => {
            array.as_any().downcast_ref::<$t>().ok_or_else(|| CodecError::Unsupported(array.data_type().to_string()))?
        };
    }
    let values = match array.data_type() {
        DataType::Boolean => Values::Boolean(cast!(BooleanArray)),
        DataType::Int32 => Values::I32(cast!(Int32Array).values()),
        DataType::Date32 => Values::I32(cast!(Date32Array).values()),
        DataType::Time32(TimeUnit::Millisecond) => Values::I32(cast!(Time32MillisecondArray).values()),
        DataType::Int64 => Values::I64(cast!(Int64Array).values()),
        DataType::UInt64 => Values::U64(cast!(UInt64Array).values()),
        DataType::Timestamp(TimeUnit::Millisecond, None) => Values::I64(cast!(TimestampMillisecondArray).values()),
        DataType::Float64 => Values::F64(cast!(Float64Array).values()),
        DataType::Decimal128(_, _) => Values::I128(cast!(Decimal128Array).values()),
        DataType::Utf8 => Values::Text(cast!(StringArray)),
        DataType::Binary => Values::Bytes(cast!(BinaryArray)),
        DataType::List(_) => {
            let list = cast!(ListArray);
            Values::List(list.value_offsets(), Box::new(reader(list.values())?))
        }
        DataType::Map(_, _) => {
            let map = cast!(MapArray);
            let entries = map.entries();
            let fields = entries.columns().iter().map(reader).collect::<Result<Vec<_>, _>>()?;
            let row = Reader { nulls: None, values: Values::Struct(fields) };
            Values::List(map.value_offsets(), Box::new(row))
        }
        DataType::Struct(_) => {
            let fields = cast!(StructArray).columns().iter().map(reader).collect::<Result<Vec<_>, _>>()?;
            Values::Struct(fields)
        }
        other => return Err(CodecError::Unsupported(other.to_string())),
    };
    Ok(Reader { nulls: array.nulls(), values })
}

impl<'a> RowEncoder<'a> {
    /// Over `columns`, all of one length.
    pub fn new(columns: &'a [ArrayRef], mode: Mode) -> Result<RowEncoder<'a>, CodecError> {
        Ok(RowEncoder { columns: columns.iter().map(reader).collect::<Result<_, _>>()?, mode })
    }

    /// Append row `row` to `out`. `row` is below the columns' length.
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        for column in &self.columns {
            match self.mode {
                Mode::Ordered => column.ordered(row, out),
                Mode::Compact => column.compact(row, out),
            }
        }
    }

    /// Whether a column is NULL in row `row`.
    pub fn any_null(&self, row: usize) -> bool {
        self.columns.iter().any(|c| c.nulls.is_some_and(|n| n.is_null(row)))
    }
}

fn varint(mut n: usize, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.contains(&0) {
        for b in bytes {
            out.push(*b);
            if *b == 0 {
                out.push(0xff);
            }
        }
    } else {
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&[0, 0]);
}

fn order_f64(v: f64) -> u64 {
    let bits = v.to_bits();
    if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) }
}

fn unorder_f64(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits ^ (1 << 63) } else { !bits })
}

#[allow(clippy::indexing_slicing)]
impl Reader<'_> {
    fn list_range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
        offsets[row].max(0).cast_unsigned() as usize..offsets[row + 1].max(0).cast_unsigned() as usize
    }

    fn ordered(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_some_and(|n| n.is_null(row)) {
            out.push(0);
            return;
        }
        out.push(1);
        match &self.values {
            Values::Boolean(a) => out.push(u8::from(a.value(row))),
            Values::I32(v) => out.extend_from_slice(&(v[row].cast_unsigned() ^ (1 << 31)).to_be_bytes()),
            Values::I64(v) => out.extend_from_slice(&(v[row].cast_unsigned() ^ (1 << 63)).to_be_bytes()),
            Values::U64(v) => out.extend_from_slice(&v[row].to_be_bytes()),
            Values::F64(v) => out.extend_from_slice(&order_f64(v[row]).to_be_bytes()),
            Values::I128(v) => out.extend_from_slice(&(v[row].cast_unsigned() ^ (1 << 127)).to_be_bytes()),
            Values::Text(a) => escaped(a.value(row).as_bytes(), out),
            Values::Bytes(a) => escaped(a.value(row), out),
            Values::List(offsets, child) => {
                for i in Self::list_range(offsets, row) {
                    out.push(1);
                    child.ordered(i, out);
                }
                out.push(0);
            }
            Values::Struct(fields) => fields.iter().for_each(|f| f.ordered(row, out)),
        }
    }

    fn compact(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_some_and(|n| n.is_null(row)) {
            out.push(0);
            return;
        }
        out.push(1);
        match &self.values {
            Values::Boolean(a) => out.push(u8::from(a.value(row))),
            Values::I32(v) => out.extend_from_slice(&v[row].to_le_bytes()),
            Values::I64(v) => out.extend_from_slice(&v[row].to_le_bytes()),
            Values::U64(v) => out.extend_from_slice(&v[row].to_le_bytes()),
            Values::F64(v) => out.extend_from_slice(&v[row].to_le_bytes()),
            Values::I128(v) => out.extend_from_slice(&v[row].to_le_bytes()),
            Values::Text(a) => {
                let text = a.value(row).as_bytes();
                varint(text.len(), out);
                out.extend_from_slice(text);
            }
            Values::Bytes(a) => {
                varint(a.value(row).len(), out);
                out.extend_from_slice(a.value(row));
            }
            Values::List(offsets, child) => {
                let range = Self::list_range(offsets, row);
                varint(range.len(), out);
                range.for_each(|i| child.compact(i, out));
            }
            Values::Struct(fields) => fields.iter().for_each(|f| f.compact(row, out)),
        }
    }
}

/// Rows of bytes, to be read into columns.
pub struct RowDecoder {
    columns: Vec<Builder>,
    mode: Mode,
    rows: usize,
    /// Columns behind the last one that is wanted are not looked at.
    partial: bool,
}

enum Sink {
    Boolean(BooleanBuilder),
    I32(PrimitiveBuilder<Int32Type>),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time32MillisecondType>),
    I64(PrimitiveBuilder<Int64Type>),
    U64(PrimitiveBuilder<UInt64Type>),
    Timestamp(PrimitiveBuilder<TimestampMillisecondType>),
    F64(PrimitiveBuilder<Float64Type>),
    I128(PrimitiveBuilder<Decimal128Type>),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    List {
        offsets: Vec<i32>,
        nulls: Vec<bool>,
        child: Box<Builder>,
        length: i32,
    },
    Struct {
        fields: Fields,
        nulls: Vec<bool>,
        children: Vec<Builder>,
    },
    /// Passed over.
    Skip,
}

struct Builder {
    ty: DataType,
    sink: Sink,
}

fn builder(ty: &DataType) -> Result<Builder, CodecError> {
    let unsupported = || CodecError::Unsupported(ty.to_string());
    let sink = match ty {
        DataType::Boolean => Sink::Boolean(BooleanBuilder::new()),
        DataType::Int32 => Sink::I32(PrimitiveBuilder::new()),
        DataType::Date32 => Sink::Date(PrimitiveBuilder::new()),
        DataType::Time32(TimeUnit::Millisecond) => Sink::Time(PrimitiveBuilder::new()),
        DataType::Int64 => Sink::I64(PrimitiveBuilder::new()),
        DataType::UInt64 => Sink::U64(PrimitiveBuilder::new()),
        DataType::Timestamp(TimeUnit::Millisecond, None) => Sink::Timestamp(PrimitiveBuilder::new()),
        DataType::Float64 => Sink::F64(PrimitiveBuilder::new()),
        DataType::Decimal128(_, _) => Sink::I128(PrimitiveBuilder::new().with_data_type(ty.clone())),
        DataType::Utf8 => Sink::Text(StringBuilder::new()),
        DataType::Binary => Sink::Bytes(BinaryBuilder::new()),
        DataType::List(item) => {
            Sink::List { offsets: vec![0], nulls: vec![], child: Box::new(builder(item.data_type())?), length: 0 }
        }
        DataType::Map(entries, _) => {
            Sink::List { offsets: vec![0], nulls: vec![], child: Box::new(builder(entries.data_type())?), length: 0 }
        }
        DataType::Struct(fields) => Sink::Struct {
            fields: fields.clone(),
            nulls: vec![],
            children: fields.iter().map(|f| builder(f.data_type())).collect::<Result<_, _>>()?,
        },
        _ => return Err(unsupported()),
    };
    Ok(Builder { ty: ty.clone(), sink })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    mode: Mode,
}

impl<'a> Cursor<'a> {
    fn malformed(&self) -> CodecError {
        CodecError::Malformed(self.bytes.len())
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], CodecError> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or_else(|| self.malformed())?;
        self.bytes = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let malformed = self.malformed();
        self.take(N)?.try_into().map_err(|_| malformed)
    }

    fn i32(&mut self) -> Result<i32, CodecError> {
        let bytes = self.array()?;
        Ok(match self.mode {
            Mode::Ordered => (u32::from_be_bytes(bytes) ^ (1 << 31)).cast_signed(),
            Mode::Compact => i32::from_le_bytes(bytes),
        })
    }

    fn i64(&mut self) -> Result<i64, CodecError> {
        let bytes = self.array()?;
        Ok(match self.mode {
            Mode::Ordered => (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed(),
            Mode::Compact => i64::from_le_bytes(bytes),
        })
    }

    fn u64(&mut self) -> Result<u64, CodecError> {
        let bytes = self.array()?;
        Ok(match self.mode {
            Mode::Ordered => u64::from_be_bytes(bytes),
            Mode::Compact => u64::from_le_bytes(bytes),
        })
    }

    fn f64(&mut self) -> Result<f64, CodecError> {
        let bytes = self.array()?;
        Ok(match self.mode {
            Mode::Ordered => unorder_f64(u64::from_be_bytes(bytes)),
            Mode::Compact => f64::from_le_bytes(bytes),
        })
    }

    fn i128(&mut self) -> Result<i128, CodecError> {
        let bytes = self.array()?;
        Ok(match self.mode {
            Mode::Ordered => (u128::from_be_bytes(bytes) ^ (1 << 127)).cast_signed(),
            Mode::Compact => i128::from_le_bytes(bytes),
        })
    }

    fn varint(&mut self) -> Result<usize, CodecError> {
        let mut n = 0usize;
        for shift in (0..63).step_by(7) {
            let b = self.byte()?;
            n |= usize::from(b & 0x7f) << shift;
            if b & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(self.malformed())
    }

    /// Text or bytes; `unescaped` is room for those that had to be put together.
    fn bytes<'b>(&mut self, unescaped: &'b mut Vec<u8>) -> Result<&'b [u8], CodecError>
    where
        'a: 'b,
    {
        match self.mode {
            Mode::Compact => {
                let n = self.varint()?;
                self.take(n)
            }
            Mode::Ordered => {
                unescaped.clear();
                let malformed = self.malformed();
                loop {
                    let end = self.bytes.iter().position(|b| *b == 0).ok_or_else(|| malformed.clone())?;
                    let part = self.take(end)?;
                    self.byte()?;
                    match self.byte()? {
                        0 if unescaped.is_empty() => return Ok(part),
                        0 => {
                            unescaped.extend_from_slice(part);
                            return Ok(unescaped);
                        }
                        0xff => {
                            unescaped.extend_from_slice(part);
                            unescaped.push(0);
                        }
                        _ => return Err(malformed),
                    }
                }
            }
        }
    }
}

/// Pass over a value that is not NULL.
fn skip_value(ty: &DataType, cursor: &mut Cursor<'_>, room: &mut Vec<u8>) -> Result<(), CodecError> {
    let skip = |ty: &DataType, cursor: &mut Cursor<'_>| match cursor.byte()? {
        0 => Ok(()),
        1 => skip_value(ty, cursor, &mut Vec::new()),
        _ => Err(cursor.malformed()),
    };
    match ty {
        DataType::Boolean => cursor.take(1).map(|_| ()),
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) => cursor.take(4).map(|_| ()),
        DataType::Int64 | DataType::UInt64 | DataType::Timestamp(_, _) | DataType::Float64 => {
            cursor.take(8).map(|_| ())
        }
        DataType::Decimal128(_, _) => cursor.take(16).map(|_| ()),
        DataType::Utf8 | DataType::Binary => cursor.bytes(room).map(|_| ()),
        DataType::List(item) | DataType::Map(item, _) => match cursor.mode {
            Mode::Compact => (0..cursor.varint()?).try_for_each(|_| skip(item.data_type(), cursor)),
            Mode::Ordered => {
                while cursor.byte()? == 1 {
                    skip(item.data_type(), cursor)?;
                }
                Ok(())
            }
        },
        DataType::Struct(fields) => fields.iter().try_for_each(|f| skip(f.data_type(), cursor)),
        other => Err(CodecError::Unsupported(other.to_string())),
    }
}

impl Builder {
    fn push(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CodecError> {
        match cursor.byte()? {
            0 => {
                self.push_null();
                return Ok(());
            }
            1 => {}
            _ => return Err(cursor.malformed()),
        }
        let mut room = Vec::new();
        match &mut self.sink {
            Sink::Skip => skip_value(&self.ty, cursor, &mut room)?,
            Sink::Boolean(b) => b.append_value(cursor.byte()? != 0),
            Sink::I32(b) => b.append_value(cursor.i32()?),
            Sink::Date(b) => b.append_value(cursor.i32()?),
            Sink::Time(b) => b.append_value(cursor.i32()?),
            Sink::I64(b) => b.append_value(cursor.i64()?),
            Sink::U64(b) => b.append_value(cursor.u64()?),
            Sink::Timestamp(b) => b.append_value(cursor.i64()?),
            Sink::F64(b) => b.append_value(cursor.f64()?),
            Sink::I128(b) => b.append_value(cursor.i128()?),
            Sink::Text(b) => {
                let malformed = cursor.malformed();
                let bytes = cursor.bytes(&mut room)?;
                b.append_value(std::str::from_utf8(bytes).map_err(|_| malformed)?);
            }
            Sink::Bytes(b) => b.append_value(cursor.bytes(&mut room)?),
            Sink::List { offsets, nulls, child, length } => {
                let mut push = |child: &mut Builder, cursor: &mut Cursor<'_>| {
                    *length = length.checked_add(1).ok_or_else(|| cursor.malformed())?;
                    child.push(cursor)
                };
                match cursor.mode {
                    Mode::Compact => {
                        for _ in 0..cursor.varint()? {
                            push(child, cursor)?;
                        }
                    }
                    Mode::Ordered => {
                        while cursor.byte()? == 1 {
                            push(child, cursor)?;
                        }
                    }
                }
                offsets.push(*length);
                nulls.push(true);
            }
            Sink::Struct { nulls, children, .. } => {
                nulls.push(true);
                for child in children {
                    child.push(cursor)?;
                }
            }
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match &mut self.sink {
            Sink::Skip => {}
            Sink::Boolean(b) => b.append_null(),
            Sink::I32(b) => b.append_null(),
            Sink::Date(b) => b.append_null(),
            Sink::Time(b) => b.append_null(),
            Sink::I64(b) => b.append_null(),
            Sink::U64(b) => b.append_null(),
            Sink::Timestamp(b) => b.append_null(),
            Sink::F64(b) => b.append_null(),
            Sink::I128(b) => b.append_null(),
            Sink::Text(b) => b.append_null(),
            Sink::Bytes(b) => b.append_null(),
            Sink::List { offsets, nulls, length, .. } => {
                offsets.push(*length);
                nulls.push(false);
            }
            Sink::Struct { nulls, children, .. } => {
                nulls.push(false);
                children.iter_mut().for_each(Builder::push_null);
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, CodecError> {
        let lost = |e: arrow::error::ArrowError| CodecError::Unsupported(e.to_string());
        Ok(match &mut self.sink {
            Sink::Skip => new_null_array(&self.ty, 0),
            Sink::Boolean(b) => Arc::new(b.finish()),
            Sink::I32(b) => Arc::new(b.finish()),
            Sink::Date(b) => Arc::new(b.finish()),
            Sink::Time(b) => Arc::new(b.finish()),
            Sink::I64(b) => Arc::new(b.finish()),
            Sink::U64(b) => Arc::new(b.finish()),
            Sink::Timestamp(b) => Arc::new(b.finish()),
            Sink::F64(b) => Arc::new(b.finish()),
            Sink::I128(b) => Arc::new(b.finish()),
            Sink::Text(b) => Arc::new(b.finish()),
            Sink::Bytes(b) => Arc::new(b.finish()),
            Sink::List { offsets, nulls, child, length } => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let nulls = Some(NullBuffer::from(std::mem::take(nulls)));
                *length = 0;
                let values = child.finish()?;
                match &self.ty {
                    DataType::List(item) => {
                        Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls).map_err(lost)?)
                    }
                    DataType::Map(entries, sorted) => {
                        let rows = values.as_any().downcast_ref::<StructArray>();
                        let rows = rows.ok_or_else(|| CodecError::Unsupported(self.ty.to_string()))?;
                        let rows = match entries.data_type() {
                            DataType::Struct(f) => StructArray::try_new(f.clone(), rows.columns().to_vec(), None),
                            _ => Ok(rows.clone()),
                        };
                        let map = MapArray::try_new(entries.clone(), offsets, rows.map_err(lost)?, nulls, *sorted);
                        Arc::new(map.map_err(lost)?)
                    }
                    other => return Err(CodecError::Unsupported(other.to_string())),
                }
            }
            Sink::Struct { fields, nulls, children } => {
                let rows = nulls.len();
                let nulls = Some(NullBuffer::from(std::mem::take(nulls)));
                let columns = children.iter_mut().map(Builder::finish).collect::<Result<Vec<_>, _>>()?;
                if fields.is_empty() {
                    Arc::new(StructArray::new_empty_fields(rows, nulls))
                } else {
                    let unchecked = fields.iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Fields>();
                    Arc::new(StructArray::try_new(unchecked, columns, nulls).map_err(lost)?)
                }
            }
        })
    }
}

impl RowDecoder {
    /// For columns of these types.
    pub fn new(types: &[DataType], mode: Mode) -> Result<RowDecoder, CodecError> {
        let columns = types.iter().map(builder).collect::<Result<_, _>>()?;
        Ok(RowDecoder { columns, mode, rows: 0, partial: false })
    }

    /// For rows with columns of these types, of which only those at `wanted` are read; [`RowDecoder::finish`] gives
    /// them in the order of the rows, however `wanted` has them.
    pub fn projected(types: &[DataType], mode: Mode, wanted: &[usize]) -> Result<RowDecoder, CodecError> {
        let end = wanted.iter().max().map_or(0, |last| last + 1).min(types.len());
        let column = |(at, ty): (usize, &DataType)| match wanted.contains(&at) {
            true => builder(ty),
            false => Ok(Builder { ty: ty.clone(), sink: Sink::Skip }),
        };
        let columns = types.iter().take(end).enumerate().map(column).collect::<Result<_, _>>()?;
        Ok(RowDecoder { columns, mode, rows: 0, partial: end < types.len() })
    }

    /// Read one row; the bytes must hold exactly the columns.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let rest = self.push_prefix(bytes)?;
        if rest.is_empty() || self.partial { Ok(()) } else { Err(CodecError::Malformed(bytes.len())) }
    }

    /// Read one row from the front of `bytes`; gives back what follows it.
    pub fn push_prefix<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], CodecError> {
        let mut cursor = Cursor { bytes, mode: self.mode };
        for column in &mut self.columns {
            column.push(&mut cursor)?;
        }
        self.rows += 1;
        Ok(cursor.bytes)
    }

    /// A row of NULLs.
    pub fn push_null(&mut self) {
        self.columns.iter_mut().for_each(Builder::push_null);
        self.rows += 1;
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns that are read, and begin anew.
    pub fn finish(&mut self) -> Result<Vec<ArrayRef>, CodecError> {
        self.rows = 0;
        let read = self.columns.iter_mut().filter(|c| !matches!(c.sink, Sink::Skip));
        read.map(Builder::finish).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, ListBuilder};
    use proptest::prelude::*;

    use super::*;

    fn encode(columns: &[ArrayRef], mode: Mode) -> Vec<Vec<u8>> {
        let rows = columns.first().map_or(0, |c| c.len());
        let encoder = RowEncoder::new(columns, mode).unwrap();
        (0..rows)
            .map(|row| {
                let mut out = vec![];
                encoder.encode(row, &mut out);
                out
            })
            .collect()
    }

    fn check(columns: &[ArrayRef]) {
        for mode in [Mode::Ordered, Mode::Compact] {
            let rows = encode(columns, mode);
            let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
            let mut decoder = RowDecoder::new(&types, mode).unwrap();
            for row in &rows {
                decoder.push(row).unwrap();
            }
            for (got, want) in decoder.finish().unwrap().iter().zip(columns) {
                assert_eq!(got.to_data(), want.to_data(), "{mode:?}");
            }
            for (at, want) in columns.iter().enumerate() {
                let mut one = RowDecoder::projected(&types, mode, &[at]).unwrap();
                rows.iter().for_each(|row| one.push(row).unwrap());
                assert_eq!(one.finish().unwrap(), std::slice::from_ref(want), "{mode:?}, column {at} alone");
            }
        }
    }

    proptest! {
        #[test]
        fn round_trip_and_order(
            rows in prop::collection::vec((prop::option::of(any::<i64>()), prop::option::of("[a\\x00b]{0,4}"), prop::option::of(any::<f64>()), any::<Option<i128>>()), 1..20)
        ) {
            let a: ArrayRef = Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>());
            let b: ArrayRef = Arc::new(rows.iter().map(|r| r.1.clone()).collect::<StringArray>());
            let c: ArrayRef = Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>());
            let d: ArrayRef = Arc::new(rows.iter().map(|r| r.3).collect::<Decimal128Array>());
            check(&[a.clone(), b.clone(), c, d]);
            let keys = encode(&[b, a], Mode::Ordered);
            for (i, x) in rows.iter().enumerate() {
                for (j, y) in rows.iter().enumerate() {
                    prop_assert_eq!(keys[i].cmp(&keys[j]), (&x.1, x.0).cmp(&(&y.1, y.0)));
                }
            }
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let list = DataType::List(Arc::new(arrow::datatypes::Field::new("item", DataType::Utf8, true)));
            for mode in [Mode::Ordered, Mode::Compact] {
                let _ = RowDecoder::new(&[DataType::Int64, list.clone(), DataType::Boolean], mode).unwrap().push(&bytes);
            }
        }
    }

    #[test]
    fn nested() {
        let mut list = ListBuilder::new(StringBuilder::new());
        list.values().append_value("x");
        list.values().append_null();
        list.append(true);
        list.append(false);
        list.append(true);
        let list: ArrayRef = Arc::new(list.finish());
        check(&[list.clone(), Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))]);
        assert_eq!(list.as_list::<i32>().len(), 3);
    }
}
