//! LATEST_BY_OFFSET: the value, or so many values, of the last rows.

use arrow::array::ArrayRef;
use types::Result;

use super::offset;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// LATEST_BY_OFFSET.
pub struct LatestByOffset;

static DOC: FunctionDoc = FunctionDoc {
    name: "LATEST_BY_OFFSET",
    aliases: &["LAST_VALUE"],
    category: "AGGREGATE",
    signatures: &["LATEST_BY_OFFSET(value[, ignoreNulls])", "LATEST_BY_OFFSET(value, n[, ignoreNulls])"],
    description: "The value of the last row in order of processing; with n, an ARRAY of the values of the last n \
                  rows, the earliest first. Rows whose value is NULL are passed over unless ignoreNulls is false.",
    examples: &[("LATEST_BY_OFFSET(value) of 1, 2, 3", "3"), ("LATEST_BY_OFFSET(value, 2) of 1, 2, 3", "[2, 3]")],
};

impl AggregateFunction for LatestByOffset {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        offset::bind::<true>("LATEST_BY_OFFSET", args, literals)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{bind, check, check_merge};

    #[test]
    fn one_value() {
        check("LATEST_BY_OFFSET", &["INTEGER"], &["null", "12", "null", "13"], &["null", "12", "12", "13"]);
        check("LATEST_BY_OFFSET", &["INTEGER", "=false"], &["12", "null", "13"], &["12", "null", "13"]);
        check("LATEST_BY_OFFSET", &["BOOLEAN", "=true"], &["true", "null", "false"], &["true", "true", "false"]);
        check("LATEST_BY_OFFSET", &["STRING"], &["a", "b", "- b", "- a"], &["a", "b", "a", "null"]);
        check("LATEST_BY_OFFSET", &["DOUBLE"], &["-0.0", "NaN"], &["-0.0", "NaN"]);
        check(
            "LATEST_BY_OFFSET",
            &["STRUCT<A STRING, B BIGINT>"],
            &[r#"{"A":"x","B":1}"#, r#"{"A":null,"B":2}"#],
            &[r#"{"A":"x","B":1}"#, r#"{"A":null,"B":2}"#],
        );
    }

    #[test]
    fn several_values() {
        check(
            "LATEST_BY_OFFSET",
            &["INTEGER", "=2"],
            &["12", "null", "13", "14"],
            &["[12]", "[12]", "[12,13]", "[13,14]"],
        );
        check(
            "LATEST_BY_OFFSET",
            &["INTEGER", "=2", "=false"],
            &["null", "1", "2", "- 2", "- null"],
            &["[null]", "[null,1]", "[1,2]", "[null,1]", "[1]"],
        );
    }

    #[test]
    fn merges_by_order_of_processing() {
        check_merge("LATEST_BY_OFFSET", &["INTEGER"], &["1", "2"], &["3"], false, "3");
        check_merge("LATEST_BY_OFFSET", &["INTEGER"], &["1", "2"], &["null"], true, "2");
        check_merge("LATEST_BY_OFFSET", &["STRING", "=false"], &["a"], &["null"], false, "null");
        check_merge("LATEST_BY_OFFSET", &["INTEGER", "=3"], &["1", "2"], &["3", "4"], false, "[2,3,4]");
    }

    #[test]
    fn configuration_is_constant() {
        for args in [&["INTEGER", "=0"][..], &["INTEGER", "INTEGER"], &["INTEGER", "BOOLEAN"], &["INTEGER", "=1", "=1"]]
        {
            assert!(bind("LATEST_BY_OFFSET", args).is_err(), "{args:?}");
        }
    }
}
