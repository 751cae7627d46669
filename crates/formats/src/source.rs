//! Typed views of the columns that an encoder reads row by row.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
        Int64Array, ListArray, MapArray, StringArray, StructArray, Time32MillisecondArray, TimestampMillisecondArray,
    },
    buffer::NullBuffer,
    compute::cast,
    datatypes::{DataType, TimeUnit},
};
use types::Column;

/// A column, downcast once.
pub(crate) enum View<'a> {
    Boolean(&'a BooleanArray),
    Int(&'a Int32Array),
    BigInt(&'a Int64Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    String(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time32MillisecondArray),
    Timestamp(&'a TimestampMillisecondArray),
    List(&'a ListArray, Box<View<'a>>),
    Map(&'a MapArray, Box<(View<'a>, View<'a>)>),
    Struct(&'a StructArray, Vec<View<'a>>),
}

impl<'a> View<'a> {
    /// The view of an array; `None` for Arrow types that no SQL type has.
    pub fn new(array: &'a dyn Array) -> Option<View<'a>> {
        Some(match array.data_type() {
            DataType::Boolean => View::Boolean(array.as_boolean_opt()?),
            DataType::Int32 => View::Int(array.as_primitive_opt()?),
            DataType::Int64 => View::BigInt(array.as_primitive_opt()?),
            DataType::Float64 => View::Double(array.as_primitive_opt()?),
            DataType::Decimal128(_, scale) => View::Decimal(array.as_primitive_opt()?, u8::try_from(*scale).ok()?),
            DataType::Utf8 => View::String(array.as_string_opt()?),
            DataType::Binary => View::Bytes(array.as_binary_opt()?),
            DataType::Date32 => View::Date(array.as_primitive_opt()?),
            DataType::Time32(TimeUnit::Millisecond) => View::Time(array.as_primitive_opt()?),
            DataType::Timestamp(TimeUnit::Millisecond, _) => View::Timestamp(array.as_primitive_opt()?),
            DataType::List(_) => {
                let list: &ListArray = array.as_list_opt()?;
                View::List(list, Box::new(View::new(list.values().as_ref())?))
            }
            DataType::Map(_, _) => {
                let map = array.as_map_opt()?;
                let entries = (View::new(map.keys().as_ref())?, View::new(map.values().as_ref())?);
                View::Map(map, Box::new(entries))
            }
            DataType::Struct(_) => {
                let rows = array.as_struct_opt()?;
                let fields = rows.columns().iter().map(|c| View::new(c.as_ref())).collect::<Option<_>>()?;
                View::Struct(rows, fields)
            }
            _ => return None,
        })
    }

    /// Which rows are NULL.
    #[inline]
    pub fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            View::Boolean(a) => a.nulls(),
            View::Int(a) => a.nulls(),
            View::BigInt(a) => a.nulls(),
            View::Double(a) => a.nulls(),
            View::Decimal(a, _) => a.nulls(),
            View::String(a) => a.nulls(),
            View::Bytes(a) => a.nulls(),
            View::Date(a) => a.nulls(),
            View::Time(a) => a.nulls(),
            View::Timestamp(a) => a.nulls(),
            View::List(a, _) => a.nulls(),
            View::Map(a, _) => a.nulls(),
            View::Struct(a, _) => a.nulls(),
        }
    }

    /// Whether the row is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls().is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row))
    }
}

/// The arrays of a batch in the Arrow types of their SQL types: DataFusion may hand over views or dictionaries.
///
/// # Errors
/// What is wrong with which column: missing, too short, of a type that cannot be converted.
pub(crate) fn typed(columns: &[Column], arrays: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>, String> {
    if columns.len() != arrays.len() {
        return Err(format!("{} columns expected, {} given", columns.len(), arrays.len()));
    }
    let convert = |(column, array): (&Column, &ArrayRef)| {
        if array.len() < rows {
            return Err(format!("column `{}` has {} rows of {rows}", column.name, array.len()));
        }
        let ty = column.ty.to_arrow();
        if array.data_type() == &ty {
            return Ok(array.clone());
        }
        cast(array, &ty).map_err(|e| format!("column `{}` is not {}: {e}", column.name, column.ty))
    };
    columns.iter().zip(arrays).map(convert).collect()
}

/// The views of typed arrays.
pub(crate) fn views(arrays: &[ArrayRef]) -> Result<Vec<View<'_>>, String> {
    let view = |array: &'_ ArrayRef| array.data_type().to_string();
    arrays.iter().map(|a| View::new(a.as_ref()).ok_or_else(|| format!("no encoding of {}", view(a)))).collect()
}
