//! VAR_POP: the variance of the whole.

use arrow::array::ArrayRef;
use types::Result;

use super::moments::{self, Spread};
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// VAR_POP.
pub struct VarPop;

static DOC: FunctionDoc = FunctionDoc {
    name: "VAR_POP",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["VAR_POP(number)"],
    description: "The variance of all the values. Values that are NULL do not count; NULL if there are none.",
    examples: &[("VAR_POP(value) of 10, 12, 14", "2.6666666666666665")],
};

impl AggregateFunction for VarPop {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        moments::bind("VAR_POP", Spread::WholeVariance, args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn of_the_whole() {
        check("VAR_POP", &["BIGINT"], &["null", "4", "6", "- 4"], &["null", "0.0", "1.0", "0.0"]);
    }
}
