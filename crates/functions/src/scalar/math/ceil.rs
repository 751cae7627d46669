//! `CEIL`.

use arrow::array::{ArrayRef, Decimal128Array};
use types::{Result, SqlType};

use super::{
    map_doubles,
    places::{Mode, at_place},
    round::integer,
};
use crate::{
    FunctionDoc, RowErrors,
    javanum::fit_decimal,
    overload::Param::{BigInt, Decimal, Double, Int},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "CEIL",
        aliases: &["CEILING"],
        category: "MATHEMATICAL",
        signatures: &["CEIL(number)"],
        description: "The smallest whole number that is not less, of the same type as the argument.",
        examples: &[("CEIL(2.10)", "3.00"), ("CEIL(-2.1e0)", "-2.0")],
    },
    overloads: &[
        Overload::new(&[Int], Int, integer),
        Overload::new(&[BigInt], BigInt, integer),
        Overload::new(&[Decimal], Decimal, |call, errors| decimals(call, errors, Mode::Ceil)),
        Overload::new(&[Double], Double, |call, _| map_doubles(call, f64::ceil)),
    ],
    deterministic: true,
};

/// DECIMALs without a fraction, of the same scale.
pub(super) fn decimals(call: &Call<'_>, errors: &mut RowErrors, mode: Mode) -> Result<ArrayRef> {
    let (values, scale) = (call.view::<Decimal128Array>(0)?, call.scale(0)?);
    let SqlType::Decimal { precision, .. } = *call.return_type else { return integer(call, errors) };
    call.decimals(errors, |row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        let whole = at_place(value, scale, 0, mode).and_then(|v| fit_decimal(v, precision, scale).ok());
        whole.map(Some).ok_or_else(|| format!("the result does not fit into DECIMAL({precision}, {scale})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["5"], "5");
        check(&FUNCTION, &["1.01"], "2.00");
        check(&FUNCTION, &["-1.01"], "-1.00");
        check(&FUNCTION, &["9.01"], "!");
        check(&FUNCTION, &["1.1e0"], "2.0");
    }
}
