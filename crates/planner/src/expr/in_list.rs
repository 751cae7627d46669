//! `x IN (constants)`: a hash set, where the values have a plain form; elsewhere IN becomes a chain of comparisons.

use std::{
    collections::HashSet,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray},
    buffer::BooleanBuffer,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, Schema, Time32MillisecondType, TimeUnit,
        TimestampMillisecondType,
    },
    record_batch::RecordBatch,
};
use datafusion::{
    common::{Result as DfResult, internal_err},
    logical_expr::ColumnarValue,
    physical_expr::PhysicalExpr,
};

use super::{
    operand::{Operand, exprs},
    text,
};
use crate::plan::BoundExpr;

/// The list, by the plain form of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Set {
    Int(HashSet<i32>),
    Long(HashSet<i64>),
    Big(HashSet<i128>),
    Text(HashSet<Box<str>>),
}

/// `value IN (list)`; never NULL: a NULL is in no list, and NULLs in the list match nothing.
#[derive(Debug, Clone)]
pub struct InSetExpr {
    value: Operand,
    /// All items in order, one array; shared by copies.
    items: ArrayRef,
    set: Arc<Set>,
}

impl InSetExpr {
    /// `items` has the Arrow type of `value`; `None` if that type has no plain form.
    pub(crate) fn new(value: BoundExpr, items: ArrayRef) -> DfResult<Option<InSetExpr>> {
        macro_rules! set {
            ($kind:ident, $ty:ty) => {
                Set::$kind(items.as_primitive::<$ty>().iter().flatten().collect())
            };
        }
        let set = match items.data_type() {
            DataType::Int32 => set!(Int, Int32Type),
            DataType::Int64 => set!(Long, Int64Type),
            DataType::Date32 => set!(Int, Date32Type),
            DataType::Time32(TimeUnit::Millisecond) => set!(Int, Time32MillisecondType),
            DataType::Timestamp(TimeUnit::Millisecond, None) => set!(Long, TimestampMillisecondType),
            DataType::Decimal128(_, _) => set!(Big, Decimal128Type),
            DataType::Utf8 => Set::Text(items.as_string::<i32>().iter().flatten().map(Box::from).collect()),
            _ => return Ok(None),
        };
        Ok(Some(InSetExpr { value: Operand::new(value)?, items, set: Arc::new(set) }))
    }

    /// What is looked for.
    pub fn value(&self) -> &BoundExpr {
        &self.value.expr
    }

    /// What it is looked for in: one array of all items.
    pub fn items(&self) -> &ArrayRef {
        &self.items
    }

    fn test(&self, array: &dyn Array) -> Option<BooleanBuffer> {
        macro_rules! test {
            ($set:expr, $ty:ty) => {{
                let values = array.as_primitive_opt::<$ty>()?.values();
                BooleanBuffer::collect_bool(values.len(), |i| values.get(i).is_some_and(|v| $set.contains(v)))
            }};
        }
        let found = match (self.set.as_ref(), array.data_type()) {
            (Set::Int(set), DataType::Int32) => test!(set, Int32Type),
            (Set::Int(set), DataType::Date32) => test!(set, Date32Type),
            (Set::Int(set), DataType::Time32(_)) => test!(set, Time32MillisecondType),
            (Set::Long(set), DataType::Int64) => test!(set, Int64Type),
            (Set::Long(set), DataType::Timestamp(_, _)) => test!(set, TimestampMillisecondType),
            (Set::Big(set), DataType::Decimal128(_, _)) => test!(set, Decimal128Type),
            (Set::Text(set), DataType::Utf8) => {
                let values = array.as_string_opt::<i32>()?;
                BooleanBuffer::collect_bool(values.len(), |i| set.contains(values.value(i)))
            }
            _ => return None,
        };
        Some(match array.nulls() {
            Some(nulls) => &found & nulls.inner(),
            None => found,
        })
    }
}

impl PhysicalExpr for InSetExpr {
    fn data_type(&self, _input_schema: &Schema) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _input_schema: &Schema) -> DfResult<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let array = self.value.values(batch)?.expanded(batch.num_rows())?;
        match self.test(array.as_ref()) {
            Some(found) => Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(found, None)))),
            None => internal_err!("IN got {} for {}", array.data_type(), self.items.data_type()),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        exprs([&self.value])
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> DfResult<Arc<dyn PhysicalExpr>> {
        match <[_; 1]>::try_from(children) {
            Ok([value]) => Ok(Arc::new(InSetExpr { value: Operand::new(value)?, ..self.as_ref().clone() })),
            Err(other) => internal_err!("IN has one child, not {}", other.len()),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for InSetExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = (0..self.items.len()).map(|i| text::element(self.items.as_ref(), i)).collect();
        write!(f, "({} IN ({}))", text::sql(&self.value.expr), items.join(", "))
    }
}

impl PartialEq for InSetExpr {
    fn eq(&self, other: &InSetExpr) -> bool {
        self.value == other.value && self.set == other.set
    }
}

impl Eq for InSetExpr {}

impl Hash for InSetExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
        self.items.len().hash(state);
    }
}
