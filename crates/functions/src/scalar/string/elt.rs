//! `ELT`.

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
        name: "ELT",
        aliases: &[],
        category: "STRING",
        signatures: &["ELT(n, text, ...)"],
        description: "The n-th of the texts, counted from 1; NULL if there are fewer, or n is less than 1. The inverse \
                      of FIELD.",
        examples: &[("ELT(2, 'a', 'b')", "b"), ("ELT(3, 'a', 'b')", "NULL")],
    },
    overloads: &[Overload::variadic(&[Int], String, String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let places = call.view::<Int32Array>(0)?;
    let texts: Vec<View<'_, StringArray>> = (1..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.rows::<StringArray, _>(|row| {
        let place = usize::try_from(places.get(row)?).ok()?.checked_sub(1)?;
        texts.get(place)?.get(row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["2", "'ignored'", "'something'"], "something");
        check(&FUNCTION, &["0", "'a'"], "NULL");
        check(&FUNCTION, &["-1", "'a'"], "NULL");
        check(&FUNCTION, &["NULL", "'a'"], "NULL");
    }
}
