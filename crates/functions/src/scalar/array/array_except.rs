//! `ARRAY_EXCEPT`.

use arrow::array::ArrayRef;
use types::Result;

use super::sets::{Combination, combine};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_EXCEPT",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_EXCEPT(array1, array2)"],
        description: "The different elements of the first array that are not in the second, in the order in which \
                      each comes first. NULL if either array is.",
        examples: &[("ARRAY_EXCEPT(ARRAY[1, 2, 3, 1, 2], ARRAY[2, 4])", "[1, 3]")],
    },
    overloads: &[Overload::new(&[Array(&Var('T')), Array(&Var('T'))], Array(&Var('T')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    combine(call, Combination::Except)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [0,0,1,0,-1,null]", "ARRAY<INTEGER> [1,-2]"], "[0,-1,null]");
        check_call(&FUNCTION, &["ARRAY<INTEGER> [0,null,1]", "ARRAY<BIGINT> [null]"], "[0,1]");
        check_call(&FUNCTION, &["ARRAY<INTEGER> null", "ARRAY<INTEGER> [1]"], "null");
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1]", "ARRAY<INTEGER> null"], "null");
    }
}
