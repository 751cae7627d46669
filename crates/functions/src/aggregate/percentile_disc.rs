//! PERCENTILE_DISC: the value below which a fraction of all values lies, one of the values.

use arrow::array::ArrayRef;
use types::Result;

use super::percentile;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// PERCENTILE_DISC.
pub struct PercentileDisc;

static DOC: FunctionDoc = FunctionDoc {
    name: "PERCENTILE_DISC",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["PERCENTILE_DISC(number, fraction)"],
    description: "The value below which the constant fraction (0 to 1) of the values lies, one of the values; as a \
                  DOUBLE. Values that are NULL do not count; NULL if there are none. Keeps every different value.",
    examples: &[("PERCENTILE_DISC(value, 0.5) of 1, 2, 3, 4", "2.0")],
};

impl AggregateFunction for PercentileDisc {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        percentile::bind::<false>("PERCENTILE_DISC", args, literals)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{bind, check, check_merge};

    #[test]
    fn values() {
        let want = if false { ["null", "4.0", "2.5", "2.0", "3.0"] } else { ["null", "4.0", "1.0", "2.0", "2.0"] };
        check("PERCENTILE_DISC", &["DOUBLE", "=0.5"], &["null", "4.0", "1.0", "2.0", "- 1.0"], &want);
        check("PERCENTILE_DISC", &["BIGINT", "=1"], &["4", "7", "5"], &["4.0", "7.0", "7.0"]);
        check("PERCENTILE_DISC", &["INTEGER", "=0"], &["4", "7", "3"], &["4.0", "4.0", "3.0"]);
        check_merge("PERCENTILE_DISC", &["DOUBLE", "=0.5"], &["1.0", "2.0"], &["3.0", "4.0"], true, "2.0");
        assert!(bind("PERCENTILE_DISC", &["DOUBLE", "=2"]).is_err());
        assert!(bind("PERCENTILE_DISC", &["DOUBLE", "DOUBLE"]).is_err());
    }
}
