//! STDDEV_SAMP: what ksqlDB gives under that name, the variance of a sample.

use arrow::array::ArrayRef;
use types::Result;

use super::moments::{self, Spread};
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// STDDEV_SAMP.
pub struct StddevSamp;

static DOC: FunctionDoc = FunctionDoc {
    name: "STDDEV_SAMP",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["STDDEV_SAMP(number)"],
    description: "The square of the standard deviation of a sample, as ksqlDB has it: STDDEV_SAMPLE gives the \
                  deviation itself. Values that are NULL do not count; 0 for less than two values.",
    examples: &[("STDDEV_SAMP(value) of 10, 12, 14", "4.0")],
};

impl AggregateFunction for StddevSamp {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        moments::bind("STDDEV_SAMP", Spread::DialectVariance, args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn variances() {
        check(
            "STDDEV_SAMP",
            &["INTEGER"],
            &["0", "10", "7", "null", "6"],
            &["0.0", "50.0", "26.333333333333332", "26.333333333333332", "17.583333333333332"],
        );
        check(
            "STDDEV_SAMP",
            &["BIGINT"],
            &["2147483648", "100", "-2", "- 100", "- 2147483648"],
            &["0.0", "2.3058427944653343e18", "1.5372286026580004e18", "2.305843013508661e18", "0.0"],
        );
        check_merge("STDDEV_SAMP", &["DOUBLE"], &["10.0", "12.0"], &["14.0"], true, "4.0");
    }
}
