//! `RANDOM`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use types::Result;

use crate::{
    FunctionDoc, RowErrors, ambient,
    overload::Param::Double,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "RANDOM",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["RANDOM()"],
        description: "A random number from 0.0 up to, but without, 1.0; another one for each row.",
        examples: &[("RANDOM() < 1.0", "true")],
    },
    overloads: &[Overload::new(&[], Double, eval)],
    deterministic: false,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    // The upper 53 bits are a fraction that a DOUBLE holds exactly.
    let unit = |bits: u64| {
        crate::javanum::long_to_double(i64::try_from(bits >> 11).unwrap_or(0)) / crate::javanum::long_to_double(1 << 53)
    };
    Ok(Arc::new((0..call.rows).map(|_| Some(unit(ambient::random()))).collect::<Float64Array>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScalarFunction;
    use arrow::array::AsArray;

    #[test]
    fn one_for_each_row() {
        let bound = FUNCTION.bind(&[]).expect("binds");
        let out = bound.kernel.evaluate(&[], 100, &mut RowErrors::default()).expect("evaluates");
        let values = out.as_primitive::<arrow::datatypes::Float64Type>();
        assert_eq!(values.len(), 100);
        assert!(values.values().iter().all(|v| (0.0..1.0).contains(v)));
        assert!(values.values().windows(2).any(|w| w[0] != w[1]));
    }
}
