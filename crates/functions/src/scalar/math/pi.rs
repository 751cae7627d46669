//! `PI`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::Double,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "PI",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["PI()"],
        description: "The ratio of a circle's circumference to its diameter.",
        examples: &[("PI()", "3.141592653589793")],
    },
    overloads: &[Overload::new(&[], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    Ok(Arc::new(Float64Array::from(vec![std::f64::consts::PI; call.rows])))
}
