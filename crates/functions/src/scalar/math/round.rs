//! `ROUND`.

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array};
use types::Result;

use super::places::{Mode, at_place, double_at_place, whole_decimal};
use crate::{
    FunctionDoc, RowErrors,
    javanum::{double_to_long, fit_decimal, power_of_ten},
    overload::Param::{BigInt, Decimal, Double, Int},
    scalar::definition::{Call, Overload, Scalar},
};
use types::SqlType;

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ROUND",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["ROUND(number)", "ROUND(number, places)"],
        description: "The nearest number with that many digits behind the point (none, if it is not said; before the \
                      point, if it is negative). Of two that are equally near, the greater one. ROUND(DOUBLE) is a \
                      BIGINT.",
        examples: &[("ROUND(2.5)", "3"), ("ROUND(-2.5e0)", "-2"), ("ROUND(12.345, 2)", "12.350")],
    },
    overloads: &[
        Overload::new(&[BigInt], BigInt, integer),
        Overload::computed(&[Decimal], whole_decimal, |call, errors| to_whole(call, errors, Mode::Round)),
        Overload::new(&[Double], BigInt, double_to_integer),
        Overload::new(&[BigInt, Int], BigInt, |call, errors| integer_at(call, errors, Mode::Round)),
        Overload::new(&[Decimal, Int], Decimal, |call, errors| decimal_at(call, errors, Mode::Round)),
        Overload::new(&[Double, Int], Double, |call, _| double_at(call, Mode::Round)),
    ],
    deterministic: true,
};

/// A BIGINT is whole already.
pub(super) fn integer(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let array = call.arg(0)?.array()?;
    Ok(array.slice(0, array.len().min(call.rows)))
}

fn double_to_integer(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let values = call.view::<Float64Array>(0)?;
    call.rows::<Int64Array, _>(|row| values.get(row).map(|v| double_to_long(double_at_place(v, 0, Mode::Round))))
}

/// A BIGINT at a decimal place before the point.
pub(super) fn integer_at(call: &Call<'_>, errors: &mut RowErrors, mode: Mode) -> Result<ArrayRef> {
    let (values, places) = (call.view::<Int64Array>(0)?, call.view::<Int32Array>(1)?);
    call.try_rows::<Int64Array, _, _>(errors, |row| {
        let Some((value, places)) = values.get(row).zip(places.get(row)) else { return Ok(None) };
        let rounded = at_place(i128::from(value), 0, places, mode).and_then(|v| i64::try_from(v).ok());
        rounded.map(Some).ok_or("the result does not fit into a BIGINT")
    })
}

/// A DECIMAL without its fraction, of scale 0.
pub(super) fn to_whole(call: &Call<'_>, errors: &mut RowErrors, mode: Mode) -> Result<ArrayRef> {
    let (values, scale) = (call.view::<Decimal128Array>(0)?, call.scale(0)?);
    let unit = power_of_ten(u32::from(scale)).unwrap_or(1);
    let SqlType::Decimal { precision, .. } = *call.return_type else { return integer(call, errors) };
    call.decimals(errors, |row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        let whole = at_place(value, scale, 0, mode).map_or(0, |v| v / unit);
        fit_decimal(whole, precision, 0).map(Some)
    })
}

/// A DECIMAL at a decimal place, of the same scale.
pub(super) fn decimal_at(call: &Call<'_>, errors: &mut RowErrors, mode: Mode) -> Result<ArrayRef> {
    let (values, places, scale) = (call.view::<Decimal128Array>(0)?, call.view::<Int32Array>(1)?, call.scale(0)?);
    let SqlType::Decimal { precision, .. } = *call.return_type else { return integer(call, errors) };
    call.decimals(errors, |row| {
        let Some((value, places)) = values.get(row).zip(places.get(row)) else { return Ok(None) };
        let rounded = at_place(value, scale, places, mode).and_then(|v| fit_decimal(v, precision, scale).ok());
        rounded.map(Some).ok_or_else(|| format!("the result does not fit into DECIMAL({precision}, {scale})"))
    })
}

/// A DOUBLE at a decimal place.
pub(super) fn double_at(call: &Call<'_>, mode: Mode) -> Result<ArrayRef> {
    let (values, places) = (call.view::<Float64Array>(0)?, call.view::<Int32Array>(1)?);
    call.rows::<Float64Array, _>(|row| values.get(row).zip(places.get(row)).map(|(v, p)| double_at_place(v, p, mode)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["7"], "7");
        check(&FUNCTION, &["15L", "-1"], "20");
        check(&FUNCTION, &["1.7e0"], "2");
        check(&FUNCTION, &["-1.5e0"], "-1");
        check(&FUNCTION, &["12.75"], "13");
        check(&FUNCTION, &["99.9"], "!");
        check(&FUNCTION, &["12.345", "2"], "12.350");
        check(&FUNCTION, &["-1.5", "0"], "-1.0");
        check(&FUNCTION, &["99.9", "0"], "!");
        check(&FUNCTION, &["-1.10714871779409e0", "13"], "-1.1071487177941");
        check(&FUNCTION, &["DOUBLE NULL", "1"], "NULL");
    }
}
