//! `LOG`.

use arrow::array::ArrayRef;
use types::Result;

use super::{map_double_pairs, map_doubles};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::Double,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "LOG",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["LOG(value)", "LOG(base, value)"],
        description: "The logarithm of the value: the natural one, or that to the base. -Infinity for 0; NaN if the \
                      value is negative, or the base is negative, 0 or 1.",
        examples: &[("LOG(2, 8)", "3.0"), ("LOG(1)", "0.0")],
    },
    overloads: &[Overload::new(&[Double], Double, natural), Overload::new(&[Double, Double], Double, to_base)],
    deterministic: true,
};

fn natural(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, f64::ln)
}

fn to_base(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_double_pairs(call, |base, value| match (base, value) {
        (base, _) if base <= 0.0 || base == 1.0 => f64::NAN,
        (_, 0.0) => f64::NEG_INFINITY,
        _ => value.ln() / base.ln(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["13"], "2.5649493574615367");
        check(&FUNCTION, &["-13"], "NaN");
        check(&FUNCTION, &["0"], "-Infinity");
        check(&FUNCTION, &["15", "13"], "0.9471572411831843");
        check(&FUNCTION, &["15", "0"], "-Infinity");
        check(&FUNCTION, &["15", "-13"], "NaN");
        check(&FUNCTION, &["-15", "13"], "NaN");
        check(&FUNCTION, &["0", "13"], "NaN");
        check(&FUNCTION, &["1", "13"], "NaN");
    }
}
