//! `ABS`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type},
};
use types::{Error, Result};

use crate::{
    FunctionDoc, RowErrors,
    kernel::decimal_array,
    overload::Param::{BigInt, Decimal, Double, Int},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ABS",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["ABS(number)"],
        description: "The number without its sign. The smallest INTEGER and BIGINT have no positive counterpart and \
                      stay as they are.",
        examples: &[("ABS(-3)", "3"), ("ABS(-2.50)", "2.50")],
    },
    overloads: &[
        Overload::new(&[Int], Int, eval),
        Overload::new(&[BigInt], BigInt, eval),
        Overload::new(&[Decimal], Decimal, eval),
        Overload::new(&[Double], Double, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let array = call.arg(0)?.array()?;
    let array = array.slice(0, array.len().min(call.rows));
    Ok(match array.data_type() {
        DataType::Int32 => Arc::new(array.as_primitive::<Int32Type>().unary::<_, Int32Type>(i32::wrapping_abs)),
        DataType::Int64 => Arc::new(array.as_primitive::<Int64Type>().unary::<_, Int64Type>(i64::wrapping_abs)),
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::abs)),
        DataType::Decimal128(precision, scale) => {
            let positive = array.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(i128::wrapping_abs);
            return decimal_array(positive, *precision, u8::try_from(*scale).unwrap_or(0));
        }
        other => return Err(Error::internal(format!("ABS of {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["-3"], "3");
        check(&FUNCTION, &["-2147483648"], "-2147483648");
        check(&FUNCTION, &["-5L"], "5");
        check(&FUNCTION, &["-3.1e0"], "3.1");
        check(&FUNCTION, &["-3.2"], "3.2");
        check(&FUNCTION, &["INT NULL"], "NULL");
    }
}
