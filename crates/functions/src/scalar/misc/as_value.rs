//! `AS_VALUE`.

use arrow::array::{Array, ArrayRef};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::Var,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "AS_VALUE",
        aliases: &[],
        category: "OTHER",
        signatures: &["AS_VALUE(key_column)"],
        description: "The argument itself. Selecting AS_VALUE of a key column puts a copy of the key into the value.",
        examples: &[("AS_VALUE(2)", "2")],
    },
    overloads: &[Overload::new(&[Var('T')], Var('T'), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let array = call.arg(0)?.array()?;
    Ok(array.slice(0, array.len().min(call.rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["2"], "2");
        check(&FUNCTION, &["12.3"], "12.3");
        check(&FUNCTION, &["STRING NULL"], "NULL");
    }
}
