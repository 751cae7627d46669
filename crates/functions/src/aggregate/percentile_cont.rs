//! PERCENTILE_CONT: the value below which a fraction of all values lies, interpolated between the two nearest values.

use arrow::array::ArrayRef;
use types::Result;

use super::percentile;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// PERCENTILE_CONT.
pub struct PercentileCont;

static DOC: FunctionDoc = FunctionDoc {
    name: "PERCENTILE_CONT",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["PERCENTILE_CONT(number, fraction)"],
    description: "The value below which the constant fraction (0 to 1) of the values lies, interpolated between the \
                  two nearest values; as a DOUBLE. Values that are NULL do not count; NULL if there are none. Keeps \
                  every different value.",
    examples: &[("PERCENTILE_CONT(value, 0.5) of 1, 2, 3, 4", "2.5")],
};

impl AggregateFunction for PercentileCont {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        percentile::bind::<true>("PERCENTILE_CONT", args, literals)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{bind, check, check_merge};

    #[test]
    fn values() {
        let want = if true { ["null", "4.0", "2.5", "2.0", "3.0"] } else { ["null", "4.0", "1.0", "2.0", "2.0"] };
        check("PERCENTILE_CONT", &["DOUBLE", "=0.5"], &["null", "4.0", "1.0", "2.0", "- 1.0"], &want);
        check("PERCENTILE_CONT", &["BIGINT", "=1"], &["4", "7", "5"], &["4.0", "7.0", "7.0"]);
        check("PERCENTILE_CONT", &["INTEGER", "=0"], &["4", "7", "3"], &["4.0", "4.0", "3.0"]);
        check_merge("PERCENTILE_CONT", &["DOUBLE", "=0.5"], &["1.0", "2.0"], &["3.0", "4.0"], true, "2.5");
        assert!(bind("PERCENTILE_CONT", &["DOUBLE", "=2"]).is_err());
        assert!(bind("PERCENTILE_CONT", &["DOUBLE", "DOUBLE"]).is_err());
    }
}
