//! A column of a batch, its Arrow array named once so that writing a cell is one match and no cast.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Decimal256Array, FixedSizeBinaryArray,
        FixedSizeListArray, GenericBinaryArray, GenericListArray, GenericStringArray, MapArray, PrimitiveArray,
        StringViewArray, StructArray,
    },
    compute::cast,
    datatypes::{
        DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
        DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
        Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
        IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType, Time32SecondType,
        Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
    util::display::{ArrayFormatter, FormatOptions},
};
use types::{Error, Result};

/// An interval as PostgreSQL has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Months.
    pub(crate) months: i32,
    /// Days.
    pub(crate) days: i32,
    /// Microseconds.
    pub(crate) micros: i64,
}

/// A value in a cell, without its type's Arrow encoding. Times are in microseconds.
pub(crate) enum Cell<'a> {
    /// boolean.
    Bool(bool),
    /// Any integer that fits.
    Int(i64),
    /// Integers above that.
    UInt(u64),
    /// real.
    Float(f32),
    /// double precision.
    Double(f64),
    /// `.0` × 10^-`.1`.
    Decimal(i128, i8),
    /// A decimal that fits nothing smaller, as text.
    BigDecimal(String),
    /// text.
    Text(&'a str),
    /// text that had to be made.
    OwnedText(String),
    /// bytea.
    Bytes(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i64),
    /// Since midnight.
    Time(i64),
    /// Since 1970-01-01T00:00:00Z; whether it has a time zone.
    Timestamp(i64, bool),
    /// interval.
    Interval(Interval),
    /// The elements at a range of the child.
    List(&'a Cells<'a>, std::ops::Range<usize>),
    /// Keys and values at a range.
    Map(&'a Cells<'a>, &'a Cells<'a>, std::ops::Range<usize>),
    /// Named fields at a row.
    Struct(&'a [(String, Cells<'a>)], usize),
}

/// A column.
pub(crate) struct Cells<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

type Primitive<'a, T> = &'a PrimitiveArray<T>;

enum Kind<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int8(Primitive<'a, Int8Type>),
    Int16(Primitive<'a, Int16Type>),
    Int32(Primitive<'a, Int32Type>),
    Int64(Primitive<'a, Int64Type>),
    UInt8(Primitive<'a, UInt8Type>),
    UInt16(Primitive<'a, UInt16Type>),
    UInt32(Primitive<'a, UInt32Type>),
    UInt64(Primitive<'a, UInt64Type>),
    Float16(Primitive<'a, Float16Type>),
    Float32(Primitive<'a, Float32Type>),
    Float64(Primitive<'a, Float64Type>),
    Decimal32(Primitive<'a, Decimal32Type>, i8),
    Decimal64(Primitive<'a, Decimal64Type>, i8),
    Decimal128(Primitive<'a, Decimal128Type>, i8),
    Decimal256(&'a Decimal256Array),
    Utf8(&'a GenericStringArray<i32>),
    LargeUtf8(&'a GenericStringArray<i64>),
    Utf8View(&'a StringViewArray),
    Binary(&'a GenericBinaryArray<i32>),
    LargeBinary(&'a GenericBinaryArray<i64>),
    BinaryView(&'a BinaryViewArray),
    FixedSizeBinary(&'a FixedSizeBinaryArray),
    Date32(Primitive<'a, Date32Type>),
    Date64(Primitive<'a, Date64Type>),
    /// Integers of 32 bits that count so many microseconds each.
    Time32(TimeValues32<'a>, i64),
    /// Integers of 64 bits in a unit.
    Time64(TimeValues64<'a>, TimeUnit, TimeKind),
    IntervalYearMonth(Primitive<'a, IntervalYearMonthType>),
    IntervalDayTime(Primitive<'a, IntervalDayTimeType>),
    IntervalMonthDayNano(Primitive<'a, IntervalMonthDayNanoType>),
    List(&'a GenericListArray<i32>, Box<Cells<'a>>),
    LargeList(&'a GenericListArray<i64>, Box<Cells<'a>>),
    FixedSizeList(&'a FixedSizeListArray, Box<Cells<'a>>),
    Map(&'a MapArray, Box<(Cells<'a>, Cells<'a>)>),
    Struct(Vec<(String, Cells<'a>)>),
    Other(ArrayFormatter<'a>),
}

type TimeValues32<'a> = &'a [i32];
type TimeValues64<'a> = &'a [i64];

#[derive(Clone, Copy)]
enum TimeKind {
    OfDay,
    Timestamp { zoned: bool },
    Duration,
}

/// What [`Cells`] reads without a cast: dictionaries and run lengths are unfolded, the rest is as it was.
pub(crate) fn unfold(array: &ArrayRef) -> Result<ArrayRef> {
    let value = match array.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        DataType::RunEndEncoded(_, value) => value.data_type(),
        _ => return Ok(array.clone()),
    };
    cast(array, value).map_err(|e| Error::internal(format!("unfolding a column: {e}")))
}

impl<'a> Cells<'a> {
    /// The cells of `array`.
    pub(crate) fn new(array: &'a dyn Array) -> Result<Cells<'a>> {
        Ok(Cells { array, kind: Kind::of(array)? })
    }

    /// Whether the cell is NULL.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.array.is_null(row)
    }

    /// The value at `row`, which must be within the array; of no use where [`is_null`](Cells::is_null).
    pub(crate) fn get(&'a self, row: usize) -> Cell<'a> {
        match &self.kind {
            Kind::Null => Cell::Text(""),
            Kind::Bool(a) => Cell::Bool(a.value(row)),
            Kind::Int8(a) => Cell::Int(a.value(row).into()),
            Kind::Int16(a) => Cell::Int(a.value(row).into()),
            Kind::Int32(a) => Cell::Int(a.value(row).into()),
            Kind::Int64(a) => Cell::Int(a.value(row)),
            Kind::UInt8(a) => Cell::Int(a.value(row).into()),
            Kind::UInt16(a) => Cell::Int(a.value(row).into()),
            Kind::UInt32(a) => Cell::Int(a.value(row).into()),
            Kind::UInt64(a) => Cell::UInt(a.value(row)),
            Kind::Float16(a) => Cell::Float(a.value(row).to_f32()),
            Kind::Float32(a) => Cell::Float(a.value(row)),
            Kind::Float64(a) => Cell::Double(a.value(row)),
            Kind::Decimal32(a, scale) => Cell::Decimal(a.value(row).into(), *scale),
            Kind::Decimal64(a, scale) => Cell::Decimal(a.value(row).into(), *scale),
            Kind::Decimal128(a, scale) => Cell::Decimal(a.value(row), *scale),
            Kind::Decimal256(a) => Cell::BigDecimal(a.value_as_string(row)),
            Kind::Utf8(a) => Cell::Text(a.value(row)),
            Kind::LargeUtf8(a) => Cell::Text(a.value(row)),
            Kind::Utf8View(a) => Cell::Text(a.value(row)),
            Kind::Binary(a) => Cell::Bytes(a.value(row)),
            Kind::LargeBinary(a) => Cell::Bytes(a.value(row)),
            Kind::BinaryView(a) => Cell::Bytes(a.value(row)),
            Kind::FixedSizeBinary(a) => Cell::Bytes(a.value(row)),
            Kind::Date32(a) => Cell::Date(a.value(row).into()),
            Kind::Date64(a) => Cell::Date(a.value(row).div_euclid(86_400_000)),
            Kind::Time32(values, micros) => {
                Cell::Time(i64::from(values.get(row).copied().unwrap_or(0)).saturating_mul(*micros))
            }
            Kind::Time64(values, unit, kind) => {
                let micros = to_micros(values.get(row).copied().unwrap_or(0), *unit);
                match kind {
                    TimeKind::OfDay => Cell::Time(micros),
                    TimeKind::Timestamp { zoned } => Cell::Timestamp(micros, *zoned),
                    TimeKind::Duration => Cell::Interval(Interval { months: 0, days: 0, micros }),
                }
            }
            Kind::IntervalYearMonth(a) => Cell::Interval(Interval { months: a.value(row), days: 0, micros: 0 }),
            Kind::IntervalDayTime(a) => {
                let value = a.value(row);
                let micros = i64::from(value.milliseconds) * 1000;
                Cell::Interval(Interval { months: 0, days: value.days, micros })
            }
            Kind::IntervalMonthDayNano(a) => {
                let value = a.value(row);
                Cell::Interval(Interval {
                    months: value.months,
                    days: value.days,
                    micros: value.nanoseconds.div_euclid(1000),
                })
            }
            Kind::List(a, child) => {
                let offsets = a.value_offsets();
                Cell::List(child, range(offsets.get(row), offsets.get(row + 1)))
            }
            Kind::LargeList(a, child) => {
                let offsets = a.value_offsets();
                Cell::List(child, range(offsets.get(row), offsets.get(row + 1)))
            }
            Kind::FixedSizeList(a, child) => {
                let width = usize::try_from(a.value_length()).unwrap_or(0);
                let start = usize::try_from(a.value_offset(row)).unwrap_or(0);
                Cell::List(child, start..start + width)
            }
            Kind::Map(a, children) => {
                let offsets = a.value_offsets();
                Cell::Map(&children.0, &children.1, range(offsets.get(row), offsets.get(row + 1)))
            }
            Kind::Struct(fields) => Cell::Struct(fields, row),
            Kind::Other(formatter) => Cell::OwnedText(formatter.value(row).to_string()),
        }
    }
}

/// Microseconds of a time in `unit`; what is finer is cut off towards the past.
fn to_micros(value: i64, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => value.saturating_mul(1_000_000),
        TimeUnit::Millisecond => value.saturating_mul(1000),
        TimeUnit::Microsecond => value,
        TimeUnit::Nanosecond => value.div_euclid(1000),
    }
}

fn range<O: Copy + TryInto<usize>>(start: Option<&O>, end: Option<&O>) -> std::ops::Range<usize> {
    let at = |offset: Option<&O>| offset.and_then(|o| (*o).try_into().ok()).unwrap_or(0);
    at(start)..at(end)
}

impl<'a> Kind<'a> {
    fn of(array: &'a dyn Array) -> Result<Kind<'a>> {
        Ok(match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Bool(array.as_boolean()),
            DataType::Int8 => Kind::Int8(array.as_primitive()),
            DataType::Int16 => Kind::Int16(array.as_primitive()),
            DataType::Int32 => Kind::Int32(array.as_primitive()),
            DataType::Int64 => Kind::Int64(array.as_primitive()),
            DataType::UInt8 => Kind::UInt8(array.as_primitive()),
            DataType::UInt16 => Kind::UInt16(array.as_primitive()),
            DataType::UInt32 => Kind::UInt32(array.as_primitive()),
            DataType::UInt64 => Kind::UInt64(array.as_primitive()),
            DataType::Float16 => Kind::Float16(array.as_primitive()),
            DataType::Float32 => Kind::Float32(array.as_primitive()),
            DataType::Float64 => Kind::Float64(array.as_primitive()),
            DataType::Decimal32(_, scale) => Kind::Decimal32(array.as_primitive(), *scale),
            DataType::Decimal64(_, scale) => Kind::Decimal64(array.as_primitive(), *scale),
            DataType::Decimal128(_, scale) => Kind::Decimal128(array.as_primitive(), *scale),
            DataType::Decimal256(..) => Kind::Decimal256(array.as_primitive::<Decimal256Type>()),
            DataType::Utf8 => Kind::Utf8(array.as_string()),
            DataType::LargeUtf8 => Kind::LargeUtf8(array.as_string()),
            DataType::Utf8View => Kind::Utf8View(array.as_string_view()),
            DataType::Binary => Kind::Binary(array.as_binary()),
            DataType::LargeBinary => Kind::LargeBinary(array.as_binary()),
            DataType::BinaryView => Kind::BinaryView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Kind::FixedSizeBinary(array.as_fixed_size_binary()),
            DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Duration(_)
            | DataType::Interval(_) => Kind::of_time(array)?,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Kind::List(list, Box::new(Cells::new(list.values().as_ref())?))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Kind::LargeList(list, Box::new(Cells::new(list.values().as_ref())?))
            }
            DataType::FixedSizeList(..) => {
                let list = array.as_fixed_size_list();
                Kind::FixedSizeList(list, Box::new(Cells::new(list.values().as_ref())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let children = (Cells::new(map.keys().as_ref())?, Cells::new(map.values().as_ref())?);
                Kind::Map(map, Box::new(children))
            }
            DataType::Struct(fields) => Kind::fields(array.as_struct(), fields)?,
            _ => Kind::Other(ArrayFormatter::try_new(array, &DISPLAY).map_err(|e| Error::internal(e.to_string()))?),
        })
    }

    fn fields(array: &'a StructArray, fields: &arrow::datatypes::Fields) -> Result<Kind<'a>> {
        let cells = fields.iter().zip(array.columns());
        let cells = cells.map(|(field, column)| Ok((field.name().clone(), Cells::new(column.as_ref())?)));
        Ok(Kind::Struct(cells.collect::<Result<_>>()?))
    }

    fn of_time(array: &'a dyn Array) -> Result<Kind<'a>> {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let timestamp = |zoned| TimeKind::Timestamp { zoned };
        Ok(match array.data_type() {
            DataType::Date32 => Kind::Date32(array.as_primitive()),
            DataType::Date64 => Kind::Date64(array.as_primitive()),
            DataType::Time32(Second) => Kind::Time32(array.as_primitive::<Time32SecondType>().values(), 1_000_000),
            DataType::Time32(_) => Kind::Time32(array.as_primitive::<Time32MillisecondType>().values(), 1000),
            DataType::Time64(Nanosecond) => {
                Kind::Time64(array.as_primitive::<Time64NanosecondType>().values(), Nanosecond, TimeKind::OfDay)
            }
            DataType::Time64(unit) => {
                Kind::Time64(array.as_primitive::<Time64MicrosecondType>().values(), *unit, TimeKind::OfDay)
            }
            DataType::Timestamp(unit, zone) => {
                let values: TimeValues64<'a> = match unit {
                    Second => array.as_primitive::<TimestampSecondType>().values(),
                    Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                };
                Kind::Time64(values, *unit, timestamp(zone.is_some()))
            }
            DataType::Duration(unit) => {
                let values: TimeValues64<'a> = match unit {
                    Second => array.as_primitive::<DurationSecondType>().values(),
                    Millisecond => array.as_primitive::<DurationMillisecondType>().values(),
                    Microsecond => array.as_primitive::<DurationMicrosecondType>().values(),
                    Nanosecond => array.as_primitive::<DurationNanosecondType>().values(),
                };
                Kind::Time64(values, *unit, TimeKind::Duration)
            }
            DataType::Interval(IntervalUnit::YearMonth) => Kind::IntervalYearMonth(array.as_primitive()),
            DataType::Interval(IntervalUnit::DayTime) => Kind::IntervalDayTime(array.as_primitive()),
            DataType::Interval(_) => Kind::IntervalMonthDayNano(array.as_primitive()),
            other => return Err(Error::internal(format!("{other} is not a time"))),
        })
    }
}

static DISPLAY: FormatOptions<'static> = FormatOptions::new();
