//! `GREATEST`.

use std::cmp::Ordering;

use super::extreme::Extreme;
use crate::FunctionDoc;

/// See its words.
pub static FUNCTION: Extreme = Extreme {
    doc: &FunctionDoc {
        name: "GREATEST",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["GREATEST(value, ...)"],
        description: "The largest of the values that are not NULL; NULL if all are. The values are of one type that \
                      has an order; numbers of different types must be CAST to one, unless a DOUBLE is among them.",
        examples: &[("GREATEST(2, NULL, 7)", "7"), ("GREATEST('a', 'b')", "b")],
    },
    better: Ordering::Greater,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["2147483647", "-2147483648", "INT NULL", "NULL", "5"], "2147483647");
        check(&FUNCTION, &["1234567.89", "0.123456"], "1234567.890000");
        check(&FUNCTION, &["1", "1000L", "1.5", "2e0"], "1000.0");
        check(&FUNCTION, &["TIME 09:15", "NULL", "'09:16:00'"], "09:16");
        check(&FUNCTION, &["b'YXBwbGU='", "b'YmFuYW5h'"], "YmFuYW5h");
        check(&FUNCTION, &["STRING NULL"], "NULL");
    }
}
