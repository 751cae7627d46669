//! `IFNULL`.

use super::coalesce::eval;
use crate::{
    FunctionDoc,
    overload::Param::Var,
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "IFNULL",
        aliases: &[],
        category: "NULLS",
        signatures: &["IFNULL(value, alternative)"],
        description: "The value, or the alternative if that is NULL. Both are of one type.",
        examples: &[("IFNULL(NULL, 'x')", "x"), ("IFNULL(1, 2)", "1")],
    },
    overloads: &[Overload::new(&[Var('T'), Var('T')], Var('T'), eval)],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["STRING NULL", "'x'"], "x");
        check(&FUNCTION, &["1", "10"], "1");
        check(&FUNCTION, &["NULL", "NULL"], "NULL");
    }
}
