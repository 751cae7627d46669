//! Columns that grow by committed cells.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanArray, BooleanBufferBuilder, ListArray, MapArray,
        NullBufferBuilder, PrimitiveArray, StringBuilder, StructArray, new_null_array,
    },
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{
        DataType, Date32Type, Decimal128Type, FieldRef, Fields, Float64Type, Int32Type, Int64Type,
        Time32MillisecondType, TimestampMillisecondType,
    },
};
use types::SqlType;

use crate::tape::{Cell, Source, Tape};

/// Values of a primitive type.
pub(crate) struct Values<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Values<T> {
    fn new() -> Values<T> {
        Values { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    fn push(&mut self, value: Option<T::Native>) {
        match value {
            Some(value) => {
                self.values.push(value);
                self.nulls.append_non_null();
            }
            None => {
                self.values.push(T::Native::default());
                self.nulls.append_null();
            }
        }
    }

    fn finish(&mut self) -> PrimitiveArray<T> {
        PrimitiveArray::new(ScalarBuffer::from(std::mem::take(&mut self.values)), self.nulls.finish())
    }
}

/// A growing column of one SQL type.
pub(crate) enum Sink {
    Boolean { values: BooleanBufferBuilder, nulls: NullBufferBuilder },
    Int(Values<Int32Type>),
    BigInt(Values<Int64Type>),
    Double(Values<Float64Type>),
    Decimal { values: Values<Decimal128Type>, precision: u8, scale: u8 },
    String(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Values<Date32Type>),
    Time(Values<Time32MillisecondType>),
    Timestamp(Values<TimestampMillisecondType>),
    List { offsets: Vec<i32>, nulls: NullBufferBuilder, field: FieldRef, items: Box<Sink>, count: usize },
    Map { offsets: Vec<i32>, nulls: NullBufferBuilder, field: FieldRef, entries: Box<(Sink, Sink)>, count: usize },
    Struct { nulls: NullBufferBuilder, fields: Fields, children: Vec<Sink>, len: usize },
}

impl Sink {
    /// An empty column.
    pub fn new(ty: &SqlType) -> Sink {
        match ty {
            SqlType::Boolean => {
                Sink::Boolean { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
            }
            SqlType::Int => Sink::Int(Values::new()),
            SqlType::BigInt => Sink::BigInt(Values::new()),
            SqlType::Double => Sink::Double(Values::new()),
            SqlType::Decimal { precision, scale } => {
                Sink::Decimal { values: Values::new(), precision: *precision, scale: *scale }
            }
            SqlType::String => Sink::String(StringBuilder::new()),
            SqlType::Bytes => Sink::Bytes(BinaryBuilder::new()),
            SqlType::Date => Sink::Date(Values::new()),
            SqlType::Time => Sink::Time(Values::new()),
            SqlType::Timestamp => Sink::Timestamp(Values::new()),
            SqlType::Array(_) | SqlType::Map(_, _) | SqlType::Struct(_) => Sink::nested(ty),
        }
    }

    fn nested(ty: &SqlType) -> Sink {
        let nulls = NullBufferBuilder::new(0);
        match (ty, ty.to_arrow()) {
            (SqlType::Array(element), DataType::List(field)) => {
                Sink::List { offsets: vec![0], nulls, field, items: Box::new(Sink::new(element)), count: 0 }
            }
            (SqlType::Map(key, value), DataType::Map(field, _)) => {
                let entries = Box::new((Sink::new(key), Sink::new(value)));
                Sink::Map { offsets: vec![0], nulls, field, entries, count: 0 }
            }
            (SqlType::Struct(fields), DataType::Struct(arrow)) => {
                let children = fields.iter().map(|f| Sink::new(&f.ty)).collect();
                Sink::Struct { nulls, fields: arrow, children, len: 0 }
            }
            _ => Sink::Struct { nulls, fields: Fields::empty(), children: Vec::new(), len: 0 },
        }
    }

    /// Make room for `rows` rows; text is expected to be as long as in the batch before.
    pub fn reserve(&mut self, rows: usize, text_bytes: usize) {
        match self {
            Sink::Int(values) => values.values.reserve(rows),
            Sink::BigInt(values) => values.values.reserve(rows),
            Sink::Double(values) => values.values.reserve(rows),
            Sink::Decimal { values, .. } => values.values.reserve(rows),
            Sink::Date(values) => values.values.reserve(rows),
            Sink::Time(values) => values.values.reserve(rows),
            Sink::Timestamp(values) => values.values.reserve(rows),
            Sink::String(builder) => *builder = StringBuilder::with_capacity(rows, text_bytes),
            Sink::Bytes(builder) => *builder = BinaryBuilder::with_capacity(rows, text_bytes),
            Sink::List { offsets, .. } | Sink::Map { offsets, .. } => offsets.reserve(rows),
            Sink::Struct { children, .. } => children.iter_mut().for_each(|child| child.reserve(rows, 0)),
            Sink::Boolean { .. } => {}
        }
    }

    /// Bytes of text so far; zero where the column has none of its own.
    pub fn text_bytes(&self) -> usize {
        match self {
            Sink::String(builder) => builder.values_slice().len(),
            Sink::Bytes(builder) => builder.values_slice().len(),
            _ => 0,
        }
    }

    /// Add a row. A cell of another type than the column's (there is none, readers give what the type says) is NULL.
    #[inline]
    pub fn push(&mut self, cell: Cell, tape: &Tape, source: Source<'_>) {
        match self {
            Sink::Int(values) => values.push(int(cell).and_then(|n| i32::try_from(n).ok())),
            Sink::BigInt(values) => values.push(int(cell)),
            Sink::Timestamp(values) => values.push(int(cell)),
            Sink::Double(values) => values.push(match cell {
                Cell::Double(n) => Some(n),
                _ => None,
            }),
            Sink::String(builder) => match cell {
                Cell::Raw(_) | Cell::Text(_) => builder.append_value(tape.text_of(cell, source)),
                _ => builder.append_null(),
            },
            Sink::Boolean { values, nulls } => {
                values.append(cell == Cell::Boolean(true));
                nulls.append(matches!(cell, Cell::Boolean(_)));
            }
            Sink::Date(values) => values.push(int(cell).and_then(|n| i32::try_from(n).ok())),
            Sink::Time(values) => values.push(int(cell).and_then(|n| i32::try_from(n).ok())),
            Sink::Decimal { values, .. } => values.push(match cell {
                Cell::Decimal(at) => tape.decimals.get(at as usize).copied(),
                _ => None,
            }),
            Sink::Bytes(builder) => match cell {
                Cell::Raw(_) | Cell::Bytes(_) => builder.append_value(tape.bytes_of(cell, source)),
                _ => builder.append_null(),
            },
            Sink::List { .. } | Sink::Map { .. } | Sink::Struct { .. } => self.push_nested(cell, tape, source),
        }
    }

    fn push_nested(&mut self, cell: Cell, tape: &Tape, source: Source<'_>) {
        match self {
            Sink::List { offsets, nulls, items, count, .. } => {
                if let Cell::List { mut at, len, .. } = cell {
                    for _ in 0..len {
                        items.push(tape.cell(at), tape, source);
                        at = tape.next(at);
                    }
                    *count += len as usize;
                }
                nulls.append(matches!(cell, Cell::List { .. }));
                offsets.push(offset(*count));
            }
            Sink::Map { offsets, nulls, entries, count, .. } => {
                if let Cell::Map { mut at, len, .. } = cell {
                    for _ in 0..len {
                        let (key, value) = (tape.cell(at), at.saturating_add(1));
                        if key != Cell::Null {
                            entries.0.push(key, tape, source);
                            entries.1.push(tape.cell(value), tape, source);
                            *count += 1;
                        }
                        at = tape.next(value);
                    }
                }
                nulls.append(matches!(cell, Cell::Map { .. }));
                offsets.push(offset(*count));
            }
            Sink::Struct { nulls, children, len, .. } => {
                for (i, child) in (0u32..).zip(children.iter_mut()) {
                    let field = match cell {
                        Cell::Struct { at, .. } => tape.cell(at.saturating_add(i)),
                        _ => Cell::Null,
                    };
                    child.push(field, tape, source);
                }
                nulls.append(matches!(cell, Cell::Struct { .. }));
                *len += 1;
            }
            _ => {}
        }
    }

    /// The column; the sink is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Sink::Boolean { values, nulls } => Arc::new(BooleanArray::new(values.finish(), nulls.finish())),
            Sink::Int(values) => Arc::new(values.finish()),
            Sink::BigInt(values) => Arc::new(values.finish()),
            Sink::Double(values) => Arc::new(values.finish()),
            Sink::Decimal { values, precision, scale } => {
                let array = values.finish();
                Arc::new(array.with_data_type(DataType::Decimal128(*precision, scale.cast_signed())))
            }
            Sink::String(builder) => Arc::new(builder.finish()),
            Sink::Bytes(builder) => Arc::new(builder.finish()),
            Sink::Date(values) => Arc::new(values.finish()),
            Sink::Time(values) => Arc::new(values.finish()),
            Sink::Timestamp(values) => Arc::new(values.finish()),
            Sink::List { .. } | Sink::Map { .. } | Sink::Struct { .. } => self.finish_nested(),
        }
    }

    fn finish_nested(&mut self) -> ArrayRef {
        match self {
            Sink::List { offsets, nulls, field, items, count } => {
                *count = 0;
                let (rows, offsets) = (offsets.len() - 1, take_offsets(offsets));
                let array = ListArray::try_new(Arc::clone(field), offsets, items.finish(), nulls.finish());
                whole(array.map(|a| Arc::new(a) as ArrayRef), &DataType::List(Arc::clone(field)), rows)
            }
            Sink::Map { offsets, nulls, field, entries, count } => {
                *count = 0;
                let (rows, offsets) = (offsets.len() - 1, take_offsets(offsets));
                let columns = vec![entries.0.finish(), entries.1.finish()];
                let DataType::Struct(fields) = field.data_type() else { return empty() };
                let array = StructArray::try_new(fields.clone(), columns, None)
                    .and_then(|entries| MapArray::try_new(Arc::clone(field), offsets, entries, nulls.finish(), false));
                whole(array.map(|a| Arc::new(a) as ArrayRef), &DataType::Map(Arc::clone(field), false), rows)
            }
            Sink::Struct { nulls, fields, children, len } => {
                let rows = std::mem::take(len);
                let columns = children.iter_mut().map(Sink::finish).collect();
                let array = StructArray::try_new_with_length(fields.clone(), columns, nulls.finish(), rows);
                whole(array.map(|a| Arc::new(a) as ArrayRef), &DataType::Struct(fields.clone()), rows)
            }
            _ => empty(),
        }
    }
}

#[inline]
fn int(cell: Cell) -> Option<i64> {
    match cell {
        Cell::Int(n) => Some(n),
        _ => None,
    }
}

/// Children of a batch are fewer than its bytes, which have a limit below 2^31.
fn offset(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])))
}

/// Parts that a sink built fit together; a column of nulls stands in for what cannot happen.
fn whole(array: Result<ArrayRef, arrow::error::ArrowError>, ty: &DataType, rows: usize) -> ArrayRef {
    debug_assert!(array.is_ok(), "{array:?}");
    array.unwrap_or_else(|_| new_null_array(ty, rows))
}

fn empty() -> ArrayRef {
    new_null_array(&DataType::Null, 0)
}
