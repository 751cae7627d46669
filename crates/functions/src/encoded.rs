//! One value as bytes: what states keep of values of any type, and how elements are compared and told apart.
//!
//! The encoding orders as the values do (byte by byte; NULL first), two values are equal exactly when their bytes are,
//! and a value ends where its bytes say so, hence values concatenate. DOUBLE orders as a total order: -0.0 before 0.0,
//! NaN last and equal to itself. Strings order by code point. One encoding for all of that is worth more than the few
//! bytes that a denser one would save: sets, multisets, sorted lists and stored states all share it.
//!
//! A column is opened once per batch into a [`Reader`]; a [`Builder`] makes a column of encoded values again and takes
//! any bytes: what does not fit is an error.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, BinaryBuilder, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array,
        Float64Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StringBuilder, StructArray,
        Time32MillisecondArray, TimestampMillisecondArray, cast::AsArray, new_empty_array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Field, Fields, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
        TimeUnit, TimestampMillisecondType,
    },
};
use types::{Error, Result};

/// Leads a NULL.
const NULL: u8 = 0;
/// Leads a value.
pub(crate) const VALUE: u8 = 1;
/// Leads each element of an array or map.
pub(crate) const MORE: u8 = 1;
/// Ends an array or map.
pub(crate) const END: u8 = 0;
/// Within text: a zero byte is `ESCAPE`, `ESCAPED`; the end is `ESCAPE`, `END`.
const ESCAPE: u8 = 0;
const ESCAPED: u8 = 0xff;

/// A column opened for encoding.
pub struct Reader<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Bool(&'a BooleanArray),
    I32(&'a [i32]),
    I64(&'a [i64]),
    F64(&'a [f64]),
    I128(&'a [i128]),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    List(&'a [i32], Box<Reader<'a>>),
    Map(&'a [i32], Box<Reader<'a>>, Box<Reader<'a>>),
    Struct(Vec<Reader<'a>>),
}

impl<'a> Reader<'a> {
    /// Open `array`; an error for Arrow types that no SQL type has.
    pub fn new(array: &'a dyn Array) -> Result<Reader<'a>> {
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int32 => Values::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Date32 => Values::I32(array.as_primitive::<Date32Type>().values()),
            DataType::Time32(TimeUnit::Millisecond) => {
                Values::I32(array.as_primitive::<Time32MillisecondType>().values())
            }
            DataType::Int64 => Values::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Values::I64(array.as_primitive::<TimestampMillisecondType>().values())
            }
            DataType::Float64 => Values::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, _) => Values::I128(array.as_primitive::<Decimal128Type>().values()),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Binary => Values::Bytes(array.as_binary()),
            DataType::List(_) => {
                let list: &ListArray = array.as_list();
                Values::List(list.value_offsets(), Box::new(Reader::new(list.values().as_ref())?))
            }
            DataType::Map(_, _) => {
                let map: &MapArray = array.as_map();
                let keys = Reader::new(map.keys().as_ref())?;
                let values = Reader::new(map.values().as_ref())?;
                Values::Map(map.value_offsets(), Box::new(keys), Box::new(values))
            }
            DataType::Struct(_) => {
                let fields: &StructArray = array.as_struct();
                Values::Struct(fields.columns().iter().map(|c| Reader::new(c.as_ref())).collect::<Result<_>>()?)
            }
            other => return Err(Error::internal(format!("no SQL type has values of {other}"))),
        };
        Ok(Reader { nulls: array.nulls(), values })
    }

    /// Whether the value at `row` is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        matches!(self.values, Values::Null) || self.nulls.is_some_and(|n| n.is_null(row))
    }

    /// Append the value at `row`; a map's entries in the order in which they stand.
    #[inline]
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        self.write_as(row, false, out);
    }

    /// Append the value at `row` such that maps of the same entries give the same bytes.
    #[inline]
    pub fn write_canonical(&self, row: usize, out: &mut Vec<u8>) {
        self.write_as(row, true, out);
    }

    fn write_as(&self, row: usize, canonical: bool, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.push(NULL);
            return;
        }
        out.push(VALUE);
        match &self.values {
            Values::Null => {}
            Values::Bool(v) => out.push(u8::from(v.value(row))),
            Values::I32(v) => out.extend_from_slice(&i32_bytes(at(v, row))),
            Values::I64(v) => out.extend_from_slice(&i64_bytes(at(v, row))),
            Values::F64(v) => out.extend_from_slice(&i64_bytes(f64_order(at(v, row)))),
            Values::I128(v) => out.extend_from_slice(&(at(v, row) ^ i128::MIN).to_be_bytes()),
            Values::Text(v) => write_text(v.value(row).as_bytes(), out),
            Values::Bytes(v) => write_text(v.value(row), out),
            Values::List(offsets, elements) => {
                for element in range(offsets, row) {
                    out.push(MORE);
                    elements.write_as(element, canonical, out);
                }
                out.push(END);
            }
            Values::Map(offsets, keys, values) => write_map(range(offsets, row), keys, values, canonical, out),
            Values::Struct(fields) => {
                for field in fields {
                    field.write_as(row, canonical, out);
                }
            }
        }
    }
}

fn write_map(entries: std::ops::Range<usize>, keys: &Reader, values: &Reader, canonical: bool, out: &mut Vec<u8>) {
    if canonical {
        let mut sorted: Vec<Vec<u8>> = entries
            .map(|entry| {
                let mut bytes = vec![MORE];
                keys.write_as(entry, true, &mut bytes);
                values.write_as(entry, true, &mut bytes);
                bytes
            })
            .collect();
        sorted.sort_unstable();
        sorted.iter().for_each(|bytes| out.extend_from_slice(bytes));
    } else {
        for entry in entries {
            out.push(MORE);
            keys.write_as(entry, false, out);
            values.write_as(entry, false, out);
        }
    }
    out.push(END);
}

/// The element at `row`; arrays' own lengths guarantee that there is one.
#[inline]
fn at<T: Copy + Default>(values: &[T], row: usize) -> T {
    values.get(row).copied().unwrap_or_default()
}

#[inline]
fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let offset = |i: usize| offsets.get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    offset(row)..offset(row + 1)
}

fn i32_bytes(value: i32) -> [u8; 4] {
    (value ^ i32::MIN).to_be_bytes()
}

fn i64_bytes(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

/// A number that orders as the DOUBLE does: -0.0 before 0.0, every NaN the same and last.
#[inline]
pub fn f64_order(value: f64) -> i64 {
    let value = if value.is_nan() { f64::NAN.abs() } else { value };
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63) & i64::MAX)
}

/// The DOUBLE of which [`f64_order`] gave `order`.
#[inline]
pub fn f64_of_order(order: i64) -> f64 {
    f64::from_bits((order ^ ((order >> 63) & i64::MAX)).cast_unsigned())
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(zero) = rest.iter().position(|b| *b == ESCAPE) {
        let (head, tail) = rest.split_at(zero);
        out.extend_from_slice(head);
        out.extend_from_slice(&[ESCAPE, ESCAPED]);
        rest = tail.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[ESCAPE, END]);
}

/// Encoded values of a whole column, one after the other.
#[derive(Debug, Default)]
pub struct Rows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows {
    /// Encode all of `array` so that equal values have equal bytes.
    pub fn of(array: &dyn Array) -> Result<Rows> {
        let reader = Reader::new(array)?;
        let mut rows = Rows { bytes: Vec::with_capacity(array.len() * 9), ends: Vec::with_capacity(array.len()) };
        for row in 0..array.len() {
            reader.write_canonical(row, &mut rows.bytes);
            rows.ends.push(rows.bytes.len());
        }
        Ok(rows)
    }

    /// The bytes of value `row`; empty if there is none.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends.get(row - 1).copied().unwrap_or(0) };
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Whether the value is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.get(row).first() == Some(&NULL)
    }
}

/// Append a BIGINT.
pub(crate) fn write_bigint(value: i64, out: &mut Vec<u8>) {
    out.push(VALUE);
    out.extend_from_slice(&i64_bytes(value));
}

/// The encoding of NULL.
pub const NULL_BYTES: &[u8] = &[NULL];

/// The error for stored bytes that are not what was written.
pub(crate) fn corrupt(what: &str) -> Error {
    Error::corrupt(format!("a stored state is damaged: {what}"))
}

/// The first `N` bytes of `input`, which moves on.
pub(crate) fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = input.split_first_chunk::<N>().ok_or_else(|| corrupt("it ends too early"))?;
    *input = tail;
    Ok(*head)
}

/// Append `value` in as few groups of seven bits as it needs, low ones first.
pub(crate) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Read what [`write_varint`] wrote.
pub(crate) fn read_varint(input: &mut &[u8]) -> Result<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take::<1>(input)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(corrupt("a length is too large"))
}

/// Makes a column of encoded values.
pub struct Builder {
    ty: DataType,
    nulls: BooleanBufferBuilder,
    values: Built,
}

enum Built {
    Null,
    Bool(BooleanBufferBuilder),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    List(Vec<i32>, Box<Builder>),
    Map(Vec<i32>, Box<Builder>, Box<Builder>),
    Struct(Vec<Builder>),
}

impl Builder {
    /// For a column of type `ty`; an error for Arrow types that no SQL type has.
    pub fn new(ty: &DataType) -> Result<Builder> {
        let values = match ty {
            DataType::Null => Built::Null,
            DataType::Boolean => Built::Bool(BooleanBufferBuilder::new(0)),
            DataType::Int32 | DataType::Date32 | DataType::Time32(TimeUnit::Millisecond) => Built::I32(Vec::new()),
            DataType::Int64 | DataType::Timestamp(TimeUnit::Millisecond, _) => Built::I64(Vec::new()),
            DataType::Float64 => Built::F64(Vec::new()),
            DataType::Decimal128(_, _) => Built::I128(Vec::new()),
            DataType::Utf8 => Built::Text(StringBuilder::new()),
            DataType::Binary => Built::Bytes(BinaryBuilder::new()),
            DataType::List(element) => Built::List(vec![0], Box::new(Builder::new(element.data_type())?)),
            DataType::Map(entries, _) => {
                let (key, value) = map_fields(entries)?;
                let key = Builder::new(key.data_type())?;
                Built::Map(vec![0], Box::new(key), Box::new(Builder::new(value.data_type())?))
            }
            DataType::Struct(fields) => {
                Built::Struct(fields.iter().map(|f| Builder::new(f.data_type())).collect::<Result<_>>()?)
            }
            other => return Err(Error::internal(format!("no SQL type has values of {other}"))),
        };
        Ok(Builder { ty: ty.clone(), nulls: BooleanBufferBuilder::new(0), values })
    }

    /// For a column of NULLs.
    pub(crate) fn nothing() -> Builder {
        Builder { ty: DataType::Null, nulls: BooleanBufferBuilder::new(0), values: Built::Null }
    }

    /// Values so far.
    pub fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Append NULL.
    pub fn push_null(&mut self) {
        self.nulls.append(false);
        match &mut self.values {
            Built::Null => {}
            Built::Bool(v) => v.append(false),
            Built::I32(v) => v.push(0),
            Built::I64(v) => v.push(0),
            Built::F64(v) => v.push(0.0),
            Built::I128(v) => v.push(0),
            Built::Text(v) => v.append_value(""),
            Built::Bytes(v) => v.append_value(b""),
            Built::List(offsets, _) | Built::Map(offsets, _, _) => {
                let last = offsets.last().copied().unwrap_or(0);
                offsets.push(last);
            }
            Built::Struct(fields) => fields.iter_mut().for_each(Builder::push_null),
        }
    }

    /// Append the value that `input` begins with; `input` moves behind it. After an error the builder is of no use.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<()> {
        match take::<1>(input)? {
            [NULL] => {
                self.push_null();
                return Ok(());
            }
            [VALUE] => {}
            _ => return Err(corrupt("no value begins here")),
        }
        match &mut self.values {
            Built::Null => return Err(corrupt("a value where only NULL can be")),
            Built::Bool(v) => v.append(match take::<1>(input)? {
                [0] => false,
                [1] => true,
                _ => return Err(corrupt("neither true nor false")),
            }),
            Built::I32(v) => v.push(i32::from_be_bytes(take(input)?) ^ i32::MIN),
            Built::I64(v) => v.push(i64::from_be_bytes(take(input)?) ^ i64::MIN),
            Built::F64(v) => v.push(f64_of_order(i64::from_be_bytes(take(input)?) ^ i64::MIN)),
            Built::I128(v) => v.push(i128::from_be_bytes(take(input)?) ^ i128::MIN),
            Built::Text(v) => {
                let text = read_text(input)?;
                v.append_value(std::str::from_utf8(&text).map_err(|_| corrupt("text is not UTF-8"))?);
            }
            Built::Bytes(v) => v.append_value(read_text(input)?),
            Built::List(offsets, elements) => {
                while more(input)? {
                    elements.push(input)?;
                }
                offsets.push(offset(elements.len())?);
            }
            Built::Map(offsets, keys, values) => {
                while more(input)? {
                    if input.first() == Some(&NULL) {
                        return Err(corrupt("a map's key is NULL"));
                    }
                    keys.push(input)?;
                    values.push(input)?;
                }
                offsets.push(offset(keys.len())?);
            }
            Built::Struct(fields) => {
                for field in fields {
                    field.push(input)?;
                }
            }
        }
        self.nulls.append(true);
        Ok(())
    }

    /// The column; the builder is empty again.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        let length = self.nulls.len();
        let valid = self.nulls.finish();
        let nulls = Some(NullBuffer::new(valid)).filter(|n| n.null_count() > 0);
        let wrong = |e: arrow::error::ArrowError| Error::internal(format!("building a column: {e}"));
        Ok(match (&mut self.values, &self.ty) {
            (Built::Null, ty) => arrow::array::new_null_array(ty, length),
            (Built::Bool(v), _) => Arc::new(BooleanArray::new(v.finish(), nulls)),
            (Built::I32(v), DataType::Date32) => Arc::new(Date32Array::new(std::mem::take(v).into(), nulls)),
            (Built::I32(v), DataType::Time32(_)) => {
                Arc::new(Time32MillisecondArray::new(std::mem::take(v).into(), nulls))
            }
            (Built::I32(v), _) => Arc::new(Int32Array::new(std::mem::take(v).into(), nulls)),
            (Built::I64(v), DataType::Timestamp(_, zone)) => Arc::new(
                TimestampMillisecondArray::new(std::mem::take(v).into(), nulls).with_timezone_opt(zone.clone()),
            ),
            (Built::I64(v), _) => Arc::new(Int64Array::new(std::mem::take(v).into(), nulls)),
            (Built::F64(v), _) => Arc::new(Float64Array::new(std::mem::take(v).into(), nulls)),
            (Built::I128(v), ty) => {
                Arc::new(Decimal128Array::new(std::mem::take(v).into(), nulls).with_data_type(ty.clone()))
            }
            (Built::Text(v), _) => {
                let (offsets, bytes, _) = v.finish().into_parts();
                Arc::new(StringArray::try_new(offsets, bytes, nulls).map_err(wrong)?)
            }
            (Built::Bytes(v), _) => {
                let (offsets, bytes, _) = v.finish().into_parts();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls).map_err(wrong)?)
            }
            (Built::List(offsets, elements), DataType::List(field)) => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, elements.finish()?, nulls).map_err(wrong)?)
            }
            (Built::Map(offsets, keys, values), DataType::Map(entries, sorted)) => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let (key, value) = map_fields(entries)?;
                let fields = Fields::from(vec![Arc::clone(key), Arc::clone(value)]);
                let columns = vec![keys.finish()?, values.finish()?];
                let pairs = StructArray::try_new(fields, columns, None).map_err(wrong)?;
                Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted).map_err(wrong)?)
            }
            (Built::Struct(_), DataType::Struct(fields)) if fields.is_empty() => {
                Arc::new(StructArray::new_empty_fields(length, nulls))
            }
            (Built::Struct(columns), DataType::Struct(fields)) => {
                let columns = columns.iter_mut().map(Builder::finish).collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(fields.clone(), columns, nulls).map_err(wrong)?)
            }
            (_, ty) => new_empty_array(ty),
        })
    }
}

/// The fields of a map's entries.
pub(crate) fn map_fields(entries: &Field) -> Result<(&Arc<Field>, &Arc<Field>)> {
    match entries.data_type() {
        DataType::Struct(fields) => match fields.as_ref() {
            [key, value] => Ok((key, value)),
            _ => Err(Error::internal("a map's entries are a key and a value")),
        },
        _ => Err(Error::internal("a map's entries are a key and a value")),
    }
}

/// The bytes of a child's length as an offset.
pub(crate) fn offset(length: usize) -> Result<i32> {
    i32::try_from(length).map_err(|_| Error::unsupported("more than 2^31 elements in the arrays of one batch"))
}

fn more(input: &mut &[u8]) -> Result<bool> {
    match take::<1>(input)? {
        [MORE] => Ok(true),
        [END] => Ok(false),
        _ => Err(corrupt("neither an element nor the end")),
    }
}

fn read_text<'a>(input: &mut &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>> {
    let mut text: Option<Vec<u8>> = None;
    loop {
        let zero = input.iter().position(|b| *b == ESCAPE).ok_or_else(|| corrupt("text has no end"))?;
        let (head, tail) = input.split_at(zero);
        let mark = tail.get(1).copied();
        *input = tail.get(2..).unwrap_or_default();
        match (mark, &mut text) {
            (Some(ESCAPED), text) => {
                let text = text.get_or_insert_default();
                text.extend_from_slice(head);
                text.push(ESCAPE);
            }
            (Some(END), None) => return Ok(head.into()),
            (Some(END), Some(text)) => {
                text.extend_from_slice(head);
                return Ok(std::mem::take(text).into());
            }
            _ => return Err(corrupt("text has no end")),
        }
    }
}

/// Check that `input` begins with a value of type `ty`; gives its bytes and moves `input` behind them.
pub(crate) fn skip<'a>(ty: &DataType, input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let start = *input;
    skip_value(ty, input)?;
    start.get(..start.len() - input.len()).ok_or_else(|| corrupt("it ends too early"))
}

fn skip_value(ty: &DataType, input: &mut &[u8]) -> Result<()> {
    match take::<1>(input)? {
        [NULL] => return Ok(()),
        [VALUE] => {}
        _ => return Err(corrupt("no value begins here")),
    }
    match ty {
        DataType::Boolean => {
            if take::<1>(input)? > [1] {
                return Err(corrupt("neither true nor false"));
            }
        }
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) => drop(take::<4>(input)?),
        DataType::Int64 | DataType::Timestamp(_, _) | DataType::Float64 => drop(take::<8>(input)?),
        DataType::Decimal128(_, _) => drop(take::<16>(input)?),
        DataType::Utf8 => {
            std::str::from_utf8(&read_text(input)?).map_err(|_| corrupt("text is not UTF-8"))?;
        }
        DataType::Binary => drop(read_text(input)?),
        DataType::List(element) => {
            while more(input)? {
                skip_value(element.data_type(), input)?;
            }
        }
        DataType::Map(entries, _) => {
            let (key, value) = map_fields(entries)?;
            while more(input)? {
                if input.first() == Some(&NULL) {
                    return Err(corrupt("a map's key is NULL"));
                }
                skip_value(key.data_type(), input)?;
                skip_value(value.data_type(), input)?;
            }
        }
        DataType::Struct(fields) => {
            for field in fields {
                skip_value(field.data_type(), input)?;
            }
        }
        _ => return Err(corrupt("a value where only NULL can be")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::{Value, json};
    use types::SqlType;

    use super::*;
    use crate::{
        operator::compare_values,
        testing::{column, show, ty},
    };

    const TYPES: &[&str] = &[
        "BOOLEAN",
        "INTEGER",
        "BIGINT",
        "DOUBLE",
        "DECIMAL(10, 2)",
        "STRING",
        "BYTES",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "ARRAY<STRING>",
        "MAP<STRING, ARRAY<INTEGER>>",
        "STRUCT<A INTEGER, B ARRAY<MAP<STRING, BOOLEAN>>>",
    ];

    fn value(of: &SqlType) -> BoxedStrategy<Value> {
        let some = match of {
            SqlType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
            SqlType::Int | SqlType::Date | SqlType::Time => any::<i32>().prop_map(Value::from).boxed(),
            SqlType::BigInt | SqlType::Timestamp => any::<i64>().prop_map(Value::from).boxed(),
            SqlType::Double => any::<f64>().prop_map(|d| Value::from(format!("{d:?}"))).boxed(),
            SqlType::Decimal { .. } => (-99_999_i32..99_999).prop_map(|d| Value::from(format!("{d}.50"))).boxed(),
            SqlType::String | SqlType::Bytes => "[a\\x00b]{0,5}".prop_map(Value::from).boxed(),
            SqlType::Array(element) => vec(value(element), 0..4).prop_map(Value::from).boxed(),
            SqlType::Map(_, of) => vec(("[ab]{0,2}", value(of)), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect()))
                .boxed(),
            SqlType::Struct(fields) => {
                let names: Vec<String> = fields.iter().map(|f| f.name.clone()).collect();
                let values: Vec<BoxedStrategy<Value>> = fields.iter().map(|f| value(&f.ty)).collect();
                values.prop_map(move |values| Value::Object(names.iter().cloned().zip(values).collect())).boxed()
            }
        };
        prop_oneof![1 => Just(Value::Null), 6 => some].boxed()
    }

    fn values() -> impl Strategy<Value = (SqlType, Vec<Value>)> {
        prop::sample::select(TYPES).prop_flat_map(|name| {
            let ty = ty(name);
            vec(value(&ty), 1..8).prop_map(move |values| (ty.clone(), values))
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back((ty, values) in values(), skip_rows in 0_usize..3) {
            let array = column(&ty, &values);
            let skip_rows = skip_rows.min(array.len());
            let array = array.slice(skip_rows, array.len() - skip_rows);
            let reader = Reader::new(array.as_ref()).expect("a SQL type");
            let mut bytes = Vec::new();
            (0..array.len()).for_each(|row| reader.write(row, &mut bytes));
            let mut builder = Builder::new(&ty.to_arrow()).expect("a SQL type");
            let (mut input, mut skipped) = (bytes.as_slice(), bytes.as_slice());
            for _ in 0..array.len() {
                builder.push(&mut input).expect("an encoded value");
                skip(&ty.to_arrow(), &mut skipped).expect("an encoded value");
                prop_assert_eq!(input.len(), skipped.len());
            }
            prop_assert!(input.is_empty());
            let back = builder.finish().expect("a column");
            prop_assert_eq!(back.data_type(), array.data_type());
            for row in 0..array.len() {
                prop_assert_eq!(show(&back, row), show(&array, row));
            }
        }

        #[test]
        fn bytes_order_and_equal_as_values_do((ty, values) in values()) {
            let array = column(&ty, &values);
            let rows = Rows::of(array.as_ref()).expect("a SQL type");
            for i in 0..array.len() {
                for j in 0..array.len() {
                    prop_assert_eq!(rows.get(i) == rows.get(j), crate::operator::values_equal(&array, i, &array, j));
                    if let Some(order) = compare_values(&array, i, &array, j) {
                        prop_assert_eq!(rows.get(i).cmp(rows.get(j)), order);
                    }
                }
            }
        }

        #[test]
        fn any_bytes_decode_or_fail(name in prop::sample::select(TYPES), noise in vec(0_u8..4, 0..40)) {
            let arrow = ty(name).to_arrow();
            let mut builder = Builder::new(&arrow).expect("a SQL type");
            let (mut input, mut skipped) = (noise.as_slice(), noise.as_slice());
            let decoded = builder.push(&mut input);
            prop_assert_eq!(decoded.is_ok(), skip(&arrow, &mut skipped).is_ok());
            if decoded.is_ok() {
                prop_assert_eq!(builder.finish().expect("a column").len(), 1);
            }
        }

        #[test]
        fn numbers_come_back(number: u64, bytes in vec(any::<u8>(), 0..12)) {
            let mut out = Vec::new();
            write_varint(number, &mut out);
            prop_assert_eq!(read_varint(&mut out.as_slice()).ok(), Some(number));
            let _ = read_varint(&mut bytes.as_slice());
        }
    }

    #[test]
    fn maps_of_the_same_entries_are_equal() {
        let maps = column(&ty("MAP<STRING, INTEGER>"), &[json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1})]);
        let rows = Rows::of(maps.as_ref()).expect("a SQL type");
        assert_eq!(rows.get(0), rows.get(1));
    }
}
