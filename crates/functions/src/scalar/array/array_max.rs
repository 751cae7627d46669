//! `ARRAY_MAX`.

use super::extreme::{eval, overloads};
use crate::{FunctionDoc, scalar::definition::Scalar};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_MAX",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_MAX(array)"],
        description: "The largest element that is not NULL. Takes arrays of numbers, booleans, strings, bytes and \
                      times. NULL if there is no such element, or the array is NULL.",
        examples: &[("ARRAY_MAX(ARRAY[1, NULL, 3])", "3")],
    },
    overloads: &overloads(eval::<true>),
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1,null,4,-2]"], "4");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",\"B\",null,\"b\"]"], "b");
        check_call(&FUNCTION, &["ARRAY<BOOLEAN> [false,null,true]"], "true");
        check_call(&FUNCTION, &["ARRAY<DECIMAL(4, 1)> [1.5,1.5]"], "1.5");
        check_call(&FUNCTION, &["ARRAY<DOUBLE> [null]"], "null");
        check_call(&FUNCTION, &["ARRAY<DOUBLE> []"], "null");
        check_call(&FUNCTION, &["ARRAY<DATE> null"], "null");
        check_call(&FUNCTION, &["ARRAY<ARRAY<INTEGER>> [[1]]"], "error");
    }
}
