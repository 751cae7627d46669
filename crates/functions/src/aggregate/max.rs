//! MAX: the largest value.

use arrow::array::ArrayRef;
use types::Result;

use super::extreme;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// MAX.
pub struct Max;

static DOC: FunctionDoc = FunctionDoc {
    name: "MAX",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["MAX(value)"],
    description: "The largest of the values that are not NULL; NULL if there are none. Takes numbers, times, strings \
                  (by code point), bytes and booleans (false before true). A DOUBLE that is NaN is larger than all \
                  others.",
    examples: &[("MAX(value) of 1, NULL, 3", "3")],
};

impl AggregateFunction for Max {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        extreme::bind::<true>("MAX", args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn largest() {
        check("MAX", &["INTEGER"], &["null", "-5", "5", "null", "3"], &["null", "-5", "5", "5", "5"]);
        check("MAX", &["BIGINT"], &["1", "9", "4", "- 9", "- 4", "- 1"], &["1", "9", "9", "4", "1", "null"]);
        check("MAX", &["DOUBLE"], &["-0.0", "0.0", "-1.5", "NaN"], &["-0.0", "0.0", "0.0", "NaN"]);
        check("MAX", &["DECIMAL(4, 2)"], &["-10.12", "0.00", "5.10"], &["-10.12", "0.00", "5.10"]);
        check("MAX", &["STRING"], &["B", "A", "null", "BB", "- BB"], &["B", "B", "B", "BB", "B"]);
        check("MAX", &["BOOLEAN"], &["false", "true", "- true"], &["false", "true", "false"]);
        check("MAX", &["DATE"], &["-100", "5"], &["-100", "5"]);
    }
}
