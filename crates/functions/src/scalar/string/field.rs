//! `FIELD`.

use arrow::array::{ArrayRef, Int32Array, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    kernel::View,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FIELD",
        aliases: &[],
        category: "STRING",
        signatures: &["FIELD(wanted, text, ...)"],
        description: "The place, counted from 1, of the first text that equals the first argument; 0 if there is none, \
                      or if that is NULL. The inverse of ELT.",
        examples: &[("FIELD('b', 'a', 'b')", "2"), ("FIELD('x', 'a', 'b')", "0")],
    },
    overloads: &[Overload::variadic(&[String], String, Int, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let wanted = call.view::<StringArray>(0)?;
    let texts: Vec<View<'_, StringArray>> = (1..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.rows::<Int32Array, _>(|row| {
        let place = wanted.get(row).and_then(|wanted| texts.iter().position(|t| t.get(row) == Some(wanted)));
        Some(place.and_then(|place| i32::try_from(place + 1).ok()).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'hello'", "NULL", "'hello'"], "2");
        check(&FUNCTION, &["NULL", "NULL", "'a'"], "0");
        check(&FUNCTION, &["'x'"], "0");
    }
}
