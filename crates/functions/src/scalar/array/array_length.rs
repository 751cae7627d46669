//! `ARRAY_LENGTH`.

use arrow::array::{ArrayRef, Int32Array};
use types::Result;

use super::lists::Lists;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{self, Array, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_LENGTH",
        aliases: &["CARDINALITY"],
        category: "ARRAY",
        signatures: &["ARRAY_LENGTH(array)"],
        description: "The number of elements, NULLs included, as an INTEGER. NULL if the array is.",
        examples: &[("ARRAY_LENGTH(ARRAY[1, 2, 3])", "3")],
    },
    overloads: &[Overload::new(&[Array(&Var('T'))], Param::Int, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    call.rows::<Int32Array, i32>(|row| i32::try_from(lists.range(row)?.len()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1,null,3]"], "3");
        check_call(&FUNCTION, &["ARRAY<STRUCT<V BIGINT>> []"], "0");
        check_call(&FUNCTION, &["ARRAY<STRING> null"], "null");
        check_call(&FUNCTION, &["STRING a"], "error");
    }
}
