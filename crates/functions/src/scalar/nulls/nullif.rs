//! `NULLIF`.

use arrow::array::{Array, ArrayRef};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    kernel::pick,
    operator::values_equal,
    overload::Param::Var,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "NULLIF",
        aliases: &[],
        category: "NULLS",
        signatures: &["NULLIF(value, other)"],
        description: "NULL if both are equal, else the value. Both are of one type.",
        examples: &[("NULLIF('a', 'a')", "NULL"), ("NULLIF('a', 'b')", "a")],
    },
    overloads: &[Overload::new(&[Var('T'), Var('T')], Var('T'), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (value, other) = (call.arg(0)?, call.arg(1)?);
    let (values, others): (&ArrayRef, &ArrayRef) = (value.array()?, other.array()?);
    let at = |constant: bool, row: usize| if constant { 0 } else { row };
    pick(call.args, call.rows, |row| {
        let (i, j) = (at(value.is_constant(), row), at(other.is_constant(), row));
        let present = i < values.len() && values.is_valid(i);
        (present && !values_equal(values, i, others, j)).then_some(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'a'", "'a'"], "NULL");
        check(&FUNCTION, &["'a'", "'b'"], "a");
        check(&FUNCTION, &["1", "1L"], "NULL");
        check(&FUNCTION, &["1", "NULL"], "1");
        check(&FUNCTION, &["NULL", "1"], "NULL");
    }
}
