//! STDDEV_SAMPLE: the standard deviation of a sample.

use arrow::array::ArrayRef;
use types::Result;

use super::moments::{self, Spread};
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// STDDEV_SAMPLE.
pub struct StddevSample;

static DOC: FunctionDoc = FunctionDoc {
    name: "STDDEV_SAMPLE",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["STDDEV_SAMPLE(number)"],
    description: "The standard deviation of a sample. Values that are NULL do not count; 0 for less than two values.",
    examples: &[("STDDEV_SAMPLE(value) of 10, 12, 14", "2.0")],
};

impl AggregateFunction for StddevSample {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        moments::bind("STDDEV_SAMPLE", Spread::DialectDeviation, args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn deviations() {
        check(
            "STDDEV_SAMPLE",
            &["DOUBLE"],
            &["9223372036854.775", "300.8", "-200000.6", "0.0", "null"],
            &["0.0", "6521908912453.693", "5325116385962.54", "4611686051710.689", "4611686051710.689"],
        );
        check(
            "STDDEV_SAMPLE",
            &["DOUBLE"],
            &["1.0", "3.0", "NaN", "- NaN"],
            &["0.0", "1.4142135623730951", "NaN", "1.4142135623730951"],
        );
    }
}
