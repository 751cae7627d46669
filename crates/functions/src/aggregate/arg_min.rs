//! ARG_MIN: the value of the row where another column is smallest.

use arrow::array::ArrayRef;
use types::Result;

use super::by;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// ARG_MIN.
pub struct ArgMin;

static DOC: FunctionDoc = FunctionDoc {
    name: "ARG_MIN",
    aliases: &["MIN_BY"],
    category: "AGGREGATE",
    signatures: &["ARG_MIN(value, rank)"],
    description: "The value of the row with the smallest rank, the first of several. Rows whose rank is NULL do not \
                  count; NULL if there are no others.",
    examples: &[("ARG_MIN(value, rank) of ('a', 1), ('b', 2)", "a")],
};

impl AggregateFunction for ArgMin {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        by::bind::<false>("ARG_MIN", args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn values() {
        check(
            "MIN_BY",
            &["ARRAY<INTEGER>", "TIMESTAMP"],
            &["[1], 5", "[2], 4", "[3], 4", "- [2], 4"],
            &["[1]", "[2]", "[2]", "[3]"],
        );
        check_merge("ARG_MIN", &["STRING", "STRING"], &["a, x"], &["b, w"], true, "b");
    }
}
