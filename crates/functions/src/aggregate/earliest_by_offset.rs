//! EARLIEST_BY_OFFSET: the value, or so many values, of the first rows.

use arrow::array::ArrayRef;
use types::Result;

use super::offset;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// EARLIEST_BY_OFFSET.
pub struct EarliestByOffset;

static DOC: FunctionDoc = FunctionDoc {
    name: "EARLIEST_BY_OFFSET",
    aliases: &["FIRST_VALUE"],
    category: "AGGREGATE",
    signatures: &["EARLIEST_BY_OFFSET(value[, ignoreNulls])", "EARLIEST_BY_OFFSET(value, n[, ignoreNulls])"],
    description: "The value of the first row in order of processing; with n, an ARRAY of the values of the first n \
                  rows, the earliest first. Rows whose value is NULL are passed over unless ignoreNulls is false.",
    examples: &[("EARLIEST_BY_OFFSET(value) of 1, 2, 3", "1"), ("EARLIEST_BY_OFFSET(value, 2) of 1, 2, 3", "[1, 2]")],
};

impl AggregateFunction for EarliestByOffset {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        offset::bind::<false>("EARLIEST_BY_OFFSET", args, literals)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn one_value() {
        check("EARLIEST_BY_OFFSET", &["INTEGER"], &["null", "13", "14"], &["null", "13", "13"]);
        check("EARLIEST_BY_OFFSET", &["INTEGER", "=false"], &["null", "13"], &["null", "null"]);
        check("EARLIEST_BY_OFFSET", &["BYTES"], &["a", "b", "- a"], &["a", "a", "b"]);
        check(
            "EARLIEST_BY_OFFSET",
            &["MAP<STRING, DOUBLE>"],
            &[r#"{"b":1.5,"a":2.5}"#, "{}"],
            &[r#"{"b":1.5,"a":2.5}"#, r#"{"b":1.5,"a":2.5}"#],
        );
    }

    #[test]
    fn several_values() {
        check(
            "EARLIEST_BY_OFFSET",
            &["INTEGER", "=2"],
            &["null", "13", "14", "15"],
            &["[]", "[13]", "[13,14]", "[13,14]"],
        );
        check(
            "EARLIEST_BY_OFFSET",
            &["INTEGER", "=2", "=false"],
            &["null", "13", "14", "- null"],
            &["[null]", "[null,13]", "[null,13]", "[13,14]"],
        );
    }

    #[test]
    fn merges_by_order_of_processing() {
        check_merge("EARLIEST_BY_OFFSET", &["INTEGER"], &["1", "2"], &["3"], false, "1");
        check_merge("EARLIEST_BY_OFFSET", &["STRING"], &["null"], &["b"], true, "b");
        check_merge("EARLIEST_BY_OFFSET", &["INTEGER", "=2", "=false"], &["null"], &["1"], true, "[null,1]");
    }
}
