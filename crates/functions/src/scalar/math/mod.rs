//! Functions on numbers.

pub mod abs;
pub mod acos;
pub mod asin;
pub mod atan;
pub mod atan2;
pub mod cbrt;
pub mod ceil;
pub mod cos;
pub mod cosh;
pub mod cot;
pub mod degrees;
pub mod exp;
pub mod floor;
pub mod geo_distance;
pub mod greatest;
pub mod least;
pub mod ln;
pub mod log;
pub mod pi;
pub mod power;
pub mod radians;
pub mod random;
pub mod round;
pub mod sign;
pub mod sin;
pub mod sinh;
pub mod sqrt;
pub mod tan;
pub mod tanh;
pub mod trunc;

mod extreme;
mod places;

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float64Array},
    datatypes::Float64Type,
};
use types::Result;

use super::definition::Call;
use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[
    &abs::FUNCTION,
    &acos::FUNCTION,
    &asin::FUNCTION,
    &atan::FUNCTION,
    &atan2::FUNCTION,
    &cbrt::FUNCTION,
    &ceil::FUNCTION,
    &cos::FUNCTION,
    &cosh::FUNCTION,
    &cot::FUNCTION,
    &degrees::FUNCTION,
    &exp::FUNCTION,
    &floor::FUNCTION,
    &geo_distance::FUNCTION,
    &greatest::FUNCTION,
    &least::FUNCTION,
    &ln::FUNCTION,
    &log::FUNCTION,
    &pi::FUNCTION,
    &power::FUNCTION,
    &radians::FUNCTION,
    &random::FUNCTION,
    &round::FUNCTION,
    &sign::FUNCTION,
    &sin::FUNCTION,
    &sinh::FUNCTION,
    &sqrt::FUNCTION,
    &tan::FUNCTION,
    &tanh::FUNCTION,
    &trunc::FUNCTION,
];

/// `f` of each DOUBLE of the first argument.
fn map_doubles(call: &Call<'_>, f: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    let values = call.view::<Float64Array>(0)?;
    let mapped = values.array.unary::<_, Float64Type>(f);
    Ok(Arc::new(if mapped.len() > call.rows { mapped.slice(0, call.rows) } else { mapped }))
}

/// `f` of the DOUBLEs of the first two arguments.
fn map_double_pairs(call: &Call<'_>, f: impl Fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (a, b) = (call.view::<Float64Array>(0)?, call.view::<Float64Array>(1)?);
    call.rows::<Float64Array, _>(|row| a.get(row).zip(b.get(row)).map(|(a, b)| f(a, b)))
}
