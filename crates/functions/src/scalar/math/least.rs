//! `LEAST`.

use std::cmp::Ordering;

use super::extreme::Extreme;
use crate::FunctionDoc;

/// See its words.
pub static FUNCTION: Extreme = Extreme {
    doc: &FunctionDoc {
        name: "LEAST",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["LEAST(value, ...)"],
        description: "The smallest of the values that are not NULL; NULL if all are. The values are of one type that \
                      has an order; numbers of different types must be CAST to one, unless a DOUBLE is among them.",
        examples: &[("LEAST(2, NULL, 7)", "2"), ("LEAST('a', 'b')", "a")],
    },
    better: Ordering::Less,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["2", "NULL", "-5"], "-5");
        check(&FUNCTION, &["DATE 2022-03-20", "'2021-07-16'"], "2021-07-16");
        check(&FUNCTION, &["1", "-1000L", "1.5", "DOUBLE NULL"], "-1000.0");
        check(
            &FUNCTION,
            &["1", "2L"],
            "error: Function 'LEAST' is ambiguous for (INTEGER, BIGINT): several overloads fit equally well",
        );
        check(
            &FUNCTION,
            &["NULL", "NULL"],
            "error: Function 'LEAST' is ambiguous for (NULL, NULL): several overloads fit equally well",
        );
    }
}
