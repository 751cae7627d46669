//! SQL types and the Arrow types that carry them.

use std::{fmt, sync::Arc};

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, schema::quote_ident};

/// Digits that a DECIMAL can have: what a 128-bit integer holds.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// The type of a column or expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    /// true, false.
    Boolean,
    /// 32-bit signed.
    Int,
    /// 64-bit signed.
    BigInt,
    /// 64-bit IEEE 754.
    Double,
    /// Exact, `precision` digits of which `scale` after the point.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds since midnight.
    Time,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// Elements of one type.
    Array(Box<SqlType>),
    /// Keys (text in every serialized form) to values.
    Map(Box<SqlType>, Box<SqlType>),
    /// Named fields, in order.
    Struct(Vec<StructField>),
}

/// A field of a STRUCT.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StructField {
    /// The name, in the case it was declared in (unquoted: upper).
    pub name: String,
    /// Its type.
    pub ty: SqlType,
}

/// A DECIMAL type, checked.
pub fn decimal(precision: u32, scale: u32) -> Result<SqlType> {
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if (1..=DECIMAL_PRECISION_MAX).contains(&precision) && scale <= precision => {
            Ok(SqlType::Decimal { precision, scale })
        }
        _ if precision < 1 => {
            Err(Error::type_mismatch(format!("DECIMAL precision must be >= 1: DECIMAL({precision},{scale})")))
        }
        _ if scale > precision => {
            Err(Error::type_mismatch(format!("DECIMAL precision must be >= scale: DECIMAL({precision},{scale})")))
        }
        _ => Err(Error::unsupported(format!(
            "DECIMAL({precision},{scale}): at most {DECIMAL_PRECISION_MAX} digits are supported"
        ))),
    }
}

impl SqlType {
    /// Whether it is a MAP or has one inside.
    pub fn has_map(&self) -> bool {
        match self {
            SqlType::Map(_, _) => true,
            SqlType::Array(element) => element.has_map(),
            SqlType::Struct(fields) => fields.iter().any(|f| f.ty.has_map()),
            _ => false,
        }
    }

    /// The Arrow type of a column of this type. Children are nullable; a MAP's key is not.
    pub fn to_arrow(&self) -> DataType {
        match self {
            SqlType::Boolean => DataType::Boolean,
            SqlType::Int => DataType::Int32,
            SqlType::BigInt => DataType::Int64,
            SqlType::Double => DataType::Float64,
            SqlType::Decimal { precision, scale } => DataType::Decimal128(*precision, scale.cast_signed()),
            SqlType::String => DataType::Utf8,
            SqlType::Bytes => DataType::Binary,
            SqlType::Date => DataType::Date32,
            SqlType::Time => DataType::Time32(TimeUnit::Millisecond),
            SqlType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            SqlType::Array(element) => DataType::List(Arc::new(Field::new("item", element.to_arrow(), true))),
            SqlType::Map(key, value) => {
                let entries = Fields::from(vec![
                    Field::new("key", key.to_arrow(), false),
                    Field::new("value", value.to_arrow(), true),
                ]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
            }
            SqlType::Struct(fields) => DataType::Struct(
                fields.iter().map(|f| Field::new(f.name.as_str(), f.ty.to_arrow(), true)).collect::<Fields>(),
            ),
        }
    }

    /// The SQL type that an Arrow type stands for; `None` where no SQL type fits (such columns exist only inside
    /// queries that end).
    pub fn from_arrow(ty: &DataType) -> Option<SqlType> {
        Some(match ty {
            DataType::Boolean => SqlType::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => SqlType::Int,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => SqlType::BigInt,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => SqlType::Double,
            DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
                decimal(u32::from(*p), u32::try_from(*s).ok()?).ok()?
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => SqlType::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                SqlType::Bytes
            }
            DataType::Date32 | DataType::Date64 => SqlType::Date,
            DataType::Time32(_) | DataType::Time64(_) => SqlType::Time,
            DataType::Timestamp(_, _) => SqlType::Timestamp,
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => {
                SqlType::Array(Box::new(SqlType::from_arrow(f.data_type())?))
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(kv) if kv.len() == 2 => SqlType::Map(
                    Box::new(SqlType::from_arrow(kv.first()?.data_type())?),
                    Box::new(SqlType::from_arrow(kv.get(1)?.data_type())?),
                ),
                _ => return None,
            },
            DataType::Struct(fields) => SqlType::Struct(
                fields
                    .iter()
                    .map(|f| Some(StructField { name: f.name().clone(), ty: SqlType::from_arrow(f.data_type())? }))
                    .collect::<Option<Vec<_>>>()?,
            ),
            _ => return None,
        })
    }

    /// INT, BIGINT, DOUBLE, DECIMAL.
    pub fn is_numeric(&self) -> bool {
        matches!(self, SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Decimal { .. })
    }

    /// DATE, TIME, TIMESTAMP.
    pub fn is_temporal(&self) -> bool {
        matches!(self, SqlType::Date | SqlType::Time | SqlType::Timestamp)
    }

    /// The DECIMAL that holds every value of an INT, BIGINT or DECIMAL: (precision, scale).
    pub fn as_decimal(&self) -> Option<(u8, u8)> {
        match self {
            SqlType::Int => Some((10, 0)),
            SqlType::BigInt => Some((19, 0)),
            SqlType::Decimal { precision, scale } => Some((*precision, *scale)),
            _ => None,
        }
    }

    /// A STRUCT's field of that exact name.
    pub fn field(&self, name: &str) -> Option<(usize, &StructField)> {
        match self {
            SqlType::Struct(fields) => fields.iter().enumerate().find(|(_, f)| f.name == name),
            _ => None,
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlType::Boolean => f.write_str("BOOLEAN"),
            SqlType::Int => f.write_str("INTEGER"),
            SqlType::BigInt => f.write_str("BIGINT"),
            SqlType::Double => f.write_str("DOUBLE"),
            SqlType::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            SqlType::String => f.write_str("STRING"),
            SqlType::Bytes => f.write_str("BYTES"),
            SqlType::Date => f.write_str("DATE"),
            SqlType::Time => f.write_str("TIME"),
            SqlType::Timestamp => f.write_str("TIMESTAMP"),
            SqlType::Array(element) => write!(f, "ARRAY<{element}>"),
            SqlType::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            SqlType::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {}", quote_ident(&field.name), field.ty)?;
                }
                f.write_str(">")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrow_and_back() {
        let ty = SqlType::Struct(vec![
            StructField { name: "A".into(), ty: SqlType::Array(Box::new(SqlType::Decimal { precision: 4, scale: 2 })) },
            StructField { name: "m".into(), ty: SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Time)) },
        ]);
        assert_eq!(SqlType::from_arrow(&ty.to_arrow()), Some(ty.clone()));
        assert_eq!(ty.to_string(), "STRUCT<`A` ARRAY<DECIMAL(4, 2)>, `m` MAP<STRING, TIME>>");
    }

    #[test]
    fn decimal_bounds() {
        assert!(decimal(38, 38).is_ok());
        assert!(decimal(0, 0).is_err());
        assert!(decimal(2, 3).is_err());
        assert!(decimal(39, 0).is_err());
    }
}
