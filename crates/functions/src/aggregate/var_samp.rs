//! VAR_SAMP: the variance of a sample.

use arrow::array::ArrayRef;
use types::Result;

use super::moments::{self, Spread};
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// VAR_SAMP.
pub struct VarSamp;

static DOC: FunctionDoc = FunctionDoc {
    name: "VAR_SAMP",
    aliases: &["VARIANCE"],
    category: "AGGREGATE",
    signatures: &["VAR_SAMP(number)"],
    description: "The variance of a sample. Values that are NULL do not count; NULL for less than two values.",
    examples: &[("VAR_SAMP(value) of 10, 12, 14", "4.0")],
};

impl AggregateFunction for VarSamp {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        moments::bind("VAR_SAMP", Spread::SampleVariance, args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn of_a_sample() {
        check("VARIANCE", &["BIGINT"], &["null", "4", "6", "- 4"], &["null", "null", "2.0", "null"]);
    }
}
