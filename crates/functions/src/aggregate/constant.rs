//! Arguments that must be constants: the k of TOPK, the number and the switch of LATEST_BY_OFFSET, a separator.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{Float64Type, Int32Type, Int64Type},
};
use types::{Error, Result};

/// Values of which a group keeps an ordered few (TOPK, the N of LATEST_BY_OFFSET).
pub const KEPT_VALUES_MAX: i64 = 10_000;

fn literal<'a>(function: &str, what: &str, literals: &'a [Option<ArrayRef>], at: usize) -> Result<&'a ArrayRef> {
    match literals.get(at) {
        Some(Some(value)) if value.len() == 1 && value.is_valid(0) => Ok(value),
        _ => Err(Error::invalid(format!("{function}: {what} must be a constant that is not NULL"))),
    }
}

/// A number of values to keep, from 1 to [`KEPT_VALUES_MAX`].
pub(crate) fn count(function: &str, what: &str, literals: &[Option<ArrayRef>], at: usize) -> Result<usize> {
    let value = literal(function, what, literals, at)?;
    let number = (value.as_primitive_opt::<Int32Type>().map(|v| i64::from(v.value(0))))
        .or_else(|| value.as_primitive_opt::<Int64Type>().map(|v| v.value(0)))
        .ok_or_else(|| Error::invalid(format!("{function}: {what} must be a constant INTEGER")))?;
    if !(1..=KEPT_VALUES_MAX).contains(&number) {
        return Err(Error::invalid(format!("{function}: {what} must be from 1 to {KEPT_VALUES_MAX}, not {number}")));
    }
    usize::try_from(number).map_err(|_| Error::internal("a small number fits"))
}

/// A switch.
pub(crate) fn boolean(function: &str, what: &str, literals: &[Option<ArrayRef>], at: usize) -> Result<bool> {
    let value = literal(function, what, literals, at)?;
    let switch = value.as_boolean_opt().map(|v| v.value(0));
    switch.ok_or_else(|| Error::invalid(format!("{function}: {what} must be a constant BOOLEAN")))
}

/// A text.
pub(crate) fn text(function: &str, what: &str, literals: &[Option<ArrayRef>], at: usize) -> Result<String> {
    let value = literal(function, what, literals, at)?;
    let text = value.as_string_opt::<i32>().map(|v| v.value(0).to_owned());
    text.ok_or_else(|| Error::invalid(format!("{function}: {what} must be a constant STRING")))
}

/// A number from 0 to 1.
pub(crate) fn fraction(function: &str, what: &str, literals: &[Option<ArrayRef>], at: usize) -> Result<f64> {
    let value = literal(function, what, literals, at)?;
    let number = match value.data_type() {
        arrow::datatypes::DataType::Decimal128(_, scale) => {
            let digits = value.as_primitive::<arrow::datatypes::Decimal128Type>().value(0);
            Some(digits as f64 / 10_f64.powi(i32::from(*scale)))
        }
        _ => (value.as_primitive_opt::<Float64Type>().map(|v| v.value(0)))
            .or_else(|| value.as_primitive_opt::<Int32Type>().map(|v| f64::from(v.value(0)))),
    };
    let number = number.filter(|n| (0.0..=1.0).contains(n));
    number.ok_or_else(|| Error::invalid(format!("{function}: {what} must be a constant number from 0 to 1")))
}
