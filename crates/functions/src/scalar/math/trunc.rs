//! `TRUNC`.

use arrow::array::{ArrayRef, Float64Array, Int64Array};
use types::Result;

use super::{
    places::{Mode, double_at_place, whole_decimal},
    round::{decimal_at, double_at, integer, integer_at, to_whole},
};
use crate::{
    FunctionDoc, RowErrors,
    javanum::double_to_long,
    overload::Param::{BigInt, Decimal, Double, Int},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TRUNC",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["TRUNC(number)", "TRUNC(number, places)"],
        description: "The number cut after that many digits behind the point (none, if it is not said; before the \
                      point, if it is negative), toward zero. TRUNC(DOUBLE) is a BIGINT.",
        examples: &[("TRUNC(2.7)", "2"), ("TRUNC(-2.7e0)", "-2"), ("TRUNC(12345.67e0, -3)", "12000.0")],
    },
    overloads: &[
        Overload::new(&[BigInt], BigInt, integer),
        Overload::computed(&[Decimal], whole_decimal, |call, errors| to_whole(call, errors, Mode::Trunc)),
        Overload::new(&[Double], BigInt, double_to_integer),
        Overload::new(&[BigInt, Int], BigInt, |call, errors| integer_at(call, errors, Mode::Trunc)),
        Overload::new(&[Decimal, Int], Decimal, |call, errors| decimal_at(call, errors, Mode::Trunc)),
        Overload::new(&[Double, Int], Double, |call, _| double_at(call, Mode::Trunc)),
    ],
    deterministic: true,
};

fn double_to_integer(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let values = call.view::<Float64Array>(0)?;
    call.rows::<Int64Array, _>(|row| values.get(row).map(|v| double_to_long(double_at_place(v, 0, Mode::Trunc))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["-1.7"], "-1");
        check(&FUNCTION, &["1.2345670", "2"], "1.2300000");
        check(&FUNCTION, &["111.0000000", "-1"], "110.0000000");
        check(&FUNCTION, &["-12345"], "-12345");
        check(&FUNCTION, &["-1.99e0"], "-1");
    }
}
