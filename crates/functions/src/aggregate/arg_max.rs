//! ARG_MAX: the value of the row where another column is largest.

use arrow::array::ArrayRef;
use types::Result;

use super::by;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// ARG_MAX.
pub struct ArgMax;

static DOC: FunctionDoc = FunctionDoc {
    name: "ARG_MAX",
    aliases: &["MAX_BY"],
    category: "AGGREGATE",
    signatures: &["ARG_MAX(value, rank)"],
    description: "The value of the row with the largest rank, the first of several. Rows whose rank is NULL do not \
                  count; NULL if there are no others.",
    examples: &[("ARG_MAX(value, rank) of ('a', 1), ('b', 2)", "b")],
};

impl AggregateFunction for ArgMax {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        by::bind::<true>("ARG_MAX", args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn values() {
        check(
            "ARG_MAX",
            &["STRING", "INTEGER"],
            &["a, 1", "b, null", "c, 2", "d, 2", "null, 3", "- null, 3", "- c, 2"],
            &["a", "a", "c", "c", "null", "c", "d"],
        );
        check_merge("ARG_MAX", &["STRING", "DOUBLE"], &["a, 1.5"], &["b, 2.5"], false, "b");
    }
}
