//! `ARRAY_MIN`.

use super::extreme::{eval, overloads};
use crate::{FunctionDoc, scalar::definition::Scalar};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_MIN",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_MIN(array)"],
        description: "The smallest element that is not NULL. Takes arrays of numbers, booleans, strings, bytes and \
                      times. NULL if there is no such element, or the array is NULL.",
        examples: &[("ARRAY_MIN(ARRAY[1, NULL, 3])", "1")],
    },
    overloads: &overloads(eval::<false>),
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1,null,4,-2]"], "-2");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",\"B\",null,\"b\"]"], "B");
        check_call(&FUNCTION, &["ARRAY<BOOLEAN> [false,null,true]"], "false");
        check_call(&FUNCTION, &["ARRAY<DECIMAL(4, 1)> [1.5,1.5]"], "1.5");
        check_call(&FUNCTION, &["ARRAY<DOUBLE> [null]"], "null");
        check_call(&FUNCTION, &["ARRAY<DOUBLE> []"], "null");
        check_call(&FUNCTION, &["ARRAY<DATE> null"], "null");
        check_call(&FUNCTION, &["ARRAY<ARRAY<INTEGER>> [[1]]"], "error");
    }
}
