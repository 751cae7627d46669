//! STDDEV_POP: the standard deviation of the whole.

use arrow::array::ArrayRef;
use types::Result;

use super::moments::{self, Spread};
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// STDDEV_POP.
pub struct StddevPop;

static DOC: FunctionDoc = FunctionDoc {
    name: "STDDEV_POP",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["STDDEV_POP(number)"],
    description: "The standard deviation of all the values. Values that are NULL do not count; NULL if there are \
                  none.",
    examples: &[("STDDEV_POP(value) of 10, 12, 14", "1.632993161855452")],
};

impl AggregateFunction for StddevPop {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        moments::bind("STDDEV_POP", Spread::WholeDeviation, args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn of_the_whole() {
        check("STDDEV_POP", &["BIGINT"], &["null", "4", "6", "- 4"], &["null", "0.0", "1.0", "0.0"]);
    }
}
