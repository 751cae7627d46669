//! Casts between types that have no parts, and from anything to STRING.

use std::{fmt::Display, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
        Int32Array, Int64Array, PrimitiveArray, StringArray, StringBuilder, Time32MillisecondArray,
        TimestampMillisecondArray,
    },
    datatypes::{
        Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType, TimestampMillisecondType,
    },
};
use types::{Error, Result, SqlType};

use super::{Cast, Failures};
use crate::{
    calendar::{DAY_MS, parse_date, parse_time, parse_timestamp, split_timestamp},
    javanum::{
        decimal_to_double, decimal_to_long, double_to_decimal, double_to_int, double_to_long, fit_decimal,
        long_to_double, long_to_int, parse_decimal, parse_double, parse_integer, power_of_ten, rescale,
    },
    kernel::decimal_array,
    operator::text::value_to_string,
};

/// How `from` becomes `to`, which differ; `None` if it cannot.
pub(super) fn cast_of(from: &SqlType, to: &SqlType) -> Option<Cast> {
    match (from, to) {
        (SqlType::Bytes, SqlType::String) => None,
        (_, SqlType::String) => Some(Arc::new(|array, _| Ok(to_text(array)))),
        (SqlType::String, _) => from_text(to),
        (_, SqlType::Decimal { precision, scale }) => to_decimal(from, *precision, *scale),
        (SqlType::Decimal { scale, .. }, _) => from_decimal(*scale, to),
        (SqlType::Int, SqlType::BigInt) => Some(map::<Int32Type, Int64Type>(i64::from)),
        (SqlType::Int, SqlType::Double) => Some(map::<Int32Type, Float64Type>(f64::from)),
        (SqlType::BigInt, SqlType::Int) => Some(map::<Int64Type, Int32Type>(long_to_int)),
        (SqlType::BigInt, SqlType::Double) => Some(map::<Int64Type, Float64Type>(long_to_double)),
        (SqlType::Double, SqlType::Int) => Some(map::<Float64Type, Int32Type>(double_to_int)),
        (SqlType::Double, SqlType::BigInt) => Some(map::<Float64Type, Int64Type>(double_to_long)),
        (SqlType::Timestamp, SqlType::Time) => Some(map::<TimestampMillisecondType, Time32MillisecondType>(|ms| {
            // Below 86,400,000.
            i32::try_from(split_timestamp(ms).1).unwrap_or(0)
        })),
        (SqlType::Timestamp, SqlType::Date) => Some(Arc::new(|array, failures| {
            let array = typed::<TimestampMillisecondType>(array)?;
            Ok(fallible::<TimestampMillisecondType, Date32Array, _, _>(array, failures, |ms| {
                i32::try_from(split_timestamp(ms).0).map_err(|_| "the day does not fit into a DATE")
            }))
        })),
        (SqlType::Date, SqlType::Timestamp) => {
            Some(map::<Date32Type, TimestampMillisecondType>(|days| i64::from(days) * DAY_MS))
        }
        _ => None,
    }
}

fn typed<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    array.as_primitive_opt::<T>().ok_or_else(|| {
        Error::internal(format!("a cast got an array of {} for one of {}", array.data_type(), T::DATA_TYPE))
    })
}

/// A cast that cannot fail.
fn map<A, B>(convert: fn(A::Native) -> B::Native) -> Cast
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
{
    Arc::new(move |array, _| Ok(Arc::new(typed::<A>(array)?.unary::<_, B>(convert))))
}

/// Convert each value of `array`; what fails is noted.
fn fallible<A, B, V, E>(
    array: &PrimitiveArray<A>,
    failures: &mut Failures,
    convert: impl Fn(A::Native) -> Result<V, E>,
) -> ArrayRef
where
    A: ArrowPrimitiveType,
    B: Array + FromIterator<Option<V>> + 'static,
    E: Display,
{
    let values = array.iter().enumerate().map(|(row, value)| note(failures, row, value.map(&convert)));
    Arc::new(values.collect::<B>())
}

fn note<V, E: Display>(failures: &mut Failures, row: usize, value: Option<Result<V, E>>) -> Option<V> {
    match value {
        Some(Err(reason)) => {
            failures.push((row, reason.to_string()));
            None
        }
        Some(Ok(value)) => Some(value),
        None => None,
    }
}

fn to_decimal(from: &SqlType, precision: u8, scale: u8) -> Option<Cast> {
    match from {
        SqlType::Int | SqlType::BigInt | SqlType::Decimal { .. } => {
            let (from_precision, from_scale) = from.as_decimal()?;
            let integer = from.clone();
            let safe = scale >= from_scale && precision - scale >= from_precision - from_scale;
            Some(Arc::new(move |array, failures| {
                let unscaled: Decimal128Array = match integer {
                    SqlType::Int => typed::<Int32Type>(array)?.unary::<_, Decimal128Type>(i128::from),
                    SqlType::BigInt => typed::<Int64Type>(array)?.unary::<_, Decimal128Type>(i128::from),
                    _ => typed::<Decimal128Type>(array)?.clone(),
                };
                let converted: Decimal128Array = if safe {
                    let factor = power_of_ten(u32::from(scale - from_scale)).unwrap_or(1);
                    // Wrapping: the slots under NULLs hold anything.
                    unscaled.unary::<_, Decimal128Type>(|value| value.wrapping_mul(factor))
                } else {
                    let rows = unscaled.iter().enumerate().map(|(row, value)| {
                        let converted = value.map(|v| {
                            let overflow = || {
                                format!("numeric overflow: the value does not fit into DECIMAL({precision}, {scale})")
                            };
                            let rescaled = rescale(v, from_scale, scale).ok_or_else(overflow)?;
                            fit_decimal(rescaled, precision, scale).map_err(|e| e.to_string())
                        });
                        note(failures, row, converted)
                    });
                    rows.collect()
                };
                decimal_array(converted, precision, scale)
            }))
        }
        SqlType::Double => Some(Arc::new(move |array, failures| {
            let rows = typed::<Float64Type>(array)?.iter().enumerate();
            let rows =
                rows.map(|(row, value)| note(failures, row, value.map(|v| double_to_decimal(v, precision, scale))));
            decimal_array(rows.collect(), precision, scale)
        })),
        _ => None,
    }
}

fn from_decimal(scale: u8, to: &SqlType) -> Option<Cast> {
    Some(match to {
        SqlType::Int => Arc::new(move |array, _| whole::<Int32Type>(array, scale, long_to_int)),
        SqlType::BigInt => Arc::new(move |array, _| whole::<Int64Type>(array, scale, |v| v)),
        SqlType::Double => Arc::new(move |array, _| {
            let doubles = typed::<Decimal128Type>(array)?.iter().map(|v| v.map(|v| decimal_to_double(v, scale)));
            Ok(Arc::new(doubles.collect::<Float64Array>()))
        }),
        _ => return None,
    })
}

fn whole<T: ArrowPrimitiveType>(array: &ArrayRef, scale: u8, narrow: fn(i64) -> T::Native) -> Result<ArrayRef> {
    let decimals = typed::<Decimal128Type>(array)?;
    Ok(Arc::new(decimals.unary::<_, T>(|value| narrow(decimal_to_long(value, scale)))))
}

fn to_text(array: &ArrayRef) -> ArrayRef {
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 8);
    if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
        let mut buffer = itoa::Buffer::new();
        numbers.iter().for_each(|v| out.append_option(v.map(|v| buffer.format(v))));
    } else if let Some(numbers) = array.as_primitive_opt::<Int32Type>() {
        let mut buffer = itoa::Buffer::new();
        numbers.iter().for_each(|v| out.append_option(v.map(|v| buffer.format(v))));
    } else {
        (0..array.len()).for_each(|row| out.append_option(value_to_string(array.as_ref(), row)));
    }
    Arc::new(out.finish())
}

/// Reads texts as one type.
fn text_cast<B, V, E>(convert: fn(&str) -> Result<V, E>) -> Cast
where
    B: Array + FromIterator<Option<V>> + 'static,
    V: 'static,
    E: Display + 'static,
{
    Arc::new(move |array, failures| {
        let rows = texts(array)?.iter().enumerate();
        let values = rows.map(|(row, text)| note(failures, row, text.map(convert)));
        Ok(Arc::new(values.collect::<B>()))
    })
}

fn texts(array: &ArrayRef) -> Result<&StringArray> {
    array.as_string_opt::<i32>().ok_or_else(|| Error::internal("a cast from STRING got something else"))
}

fn from_text(to: &SqlType) -> Option<Cast> {
    let bad = |text: &str, ty: &str| format!("invalid input syntax for type {ty}: \"{text}\"");
    Some(match to {
        SqlType::Boolean => text_cast::<BooleanArray, _, String>(|text| Ok(text.trim().eq_ignore_ascii_case("true"))),
        SqlType::Int => text_cast::<Int32Array, _, String>(|text| {
            parse_integer::<i32>(text.trim())
                .ok_or_else(|| format!("invalid input syntax for type INTEGER: \"{text}\""))
        }),
        SqlType::BigInt => text_cast::<Int64Array, _, String>(|text| {
            parse_integer::<i64>(text.trim()).ok_or_else(|| format!("invalid input syntax for type BIGINT: \"{text}\""))
        }),
        SqlType::Double => text_cast::<Float64Array, _, String>(|text| {
            parse_double(text).ok_or_else(|| format!("invalid input syntax for type DOUBLE: \"{text}\""))
        }),
        SqlType::Decimal { precision, scale } => {
            let (precision, scale) = (*precision, *scale);
            let name = to.to_string();
            Arc::new(move |array, failures| {
                let rows = texts(array)?.iter().enumerate().map(|(row, text)| {
                    let value = text.map(|text| {
                        let parsed = parse_decimal(text.trim(), precision, scale);
                        parsed.map_err(|e| format!("{}: {e}", bad(text, &name)))
                    });
                    note(failures, row, value)
                });
                decimal_array(rows.collect(), precision, scale)
            })
        }
        SqlType::Timestamp => text_cast::<TimestampMillisecondArray, _, _>(parse_timestamp),
        SqlType::Date => text_cast::<Date32Array, _, String>(|text| {
            let days = parse_date(text).map_err(|e| e.to_string())?;
            i32::try_from(days).map_err(|_| format!("'{text}' does not fit into a DATE"))
        }),
        SqlType::Time => text_cast::<Time32MillisecondArray, _, String>(|text| {
            let ms = parse_time(text).map_err(|e| e.to_string())?;
            i32::try_from(ms).map_err(|_| format!("'{text}' does not fit into a TIME"))
        }),
        _ => return None,
    })
}
