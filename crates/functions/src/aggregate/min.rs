//! MIN: the smallest value.

use arrow::array::ArrayRef;
use types::Result;

use super::extreme;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// MIN.
pub struct Min;

static DOC: FunctionDoc = FunctionDoc {
    name: "MIN",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["MIN(value)"],
    description: "The smallest of the values that are not NULL; NULL if there are none. Takes numbers, times, \
                  strings (by code point), bytes and booleans (false before true). A DOUBLE that is NaN is larger \
                  than all others.",
    examples: &[("MIN(value) of 1, NULL, 3", "1")],
};

impl AggregateFunction for Min {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        extreme::bind::<false>("MIN", args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn smallest() {
        check("MIN", &["INTEGER"], &["null", "-5", "5", "null", "-7"], &["null", "-5", "-5", "-5", "-7"]);
        check("MIN", &["TIMESTAMP"], &["4", "1", "- 1", "- 1"], &["4", "1", "4", "4"]);
        check("MIN", &["TIME"], &["5", "2647", "1"], &["5", "5", "1"]);
        check("MIN", &["DOUBLE"], &["NaN", "0.0", "-0.0"], &["NaN", "0.0", "-0.0"]);
        check("MIN", &["BYTES"], &["b", "a", "", "- "], &["b", "a", "", "a"]);
    }
}
