//! TOPKDISTINCT: the k largest different values.

use arrow::array::ArrayRef;
use types::Result;

use super::{
    constant,
    groups::{make, value_types},
    top::{Ranked, RetractableDistinctFold, SHAPES, TopFold},
};
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc, overload::resolve};

/// TOPKDISTINCT.
pub struct TopKDistinct;

static DOC: FunctionDoc = FunctionDoc {
    name: "TOPKDISTINCT",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["TOPKDISTINCT(value, k)"],
    description: "The k largest different values that are not NULL, the largest first, as an ARRAY.",
    examples: &[("TOPKDISTINCT(value, 2) of 1, 3, 2, 3", "[3, 2]")],
};

impl AggregateFunction for TopKDistinct {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let resolved = resolve("TOPKDISTINCT", SHAPES, args)?;
        let k = constant::count("TOPKDISTINCT", "k", literals, 1)?;
        let (ranked, result) = Ranked::new(&[resolved.value(0)], k);
        let states = make(TopFold { ranked: ranked.clone(), distinct: true });
        Ok(BoundAggregate::of_streams(value_types(&resolved), result, states)
            .with_tables(make(RetractableDistinctFold(ranked))))
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn largest_first() {
        check(
            "TOPKDISTINCT",
            &["DECIMAL(2, 1)", "=2"],
            &["9.8", "9.8", "null", "7.8", "9.9"],
            &["[9.8]", "[9.8]", "[9.8]", "[9.8,7.8]", "[9.9,9.8]"],
        );
        check(
            "TOPKDISTINCT",
            &["DATE", "=2"],
            &["1", "2", "3", "- 3", "- 2"],
            &["[1]", "[2,1]", "[3,2]", "[2,1]", "[1]"],
        );
    }

    #[test]
    fn merges() {
        check_merge("TOPKDISTINCT", &["BIGINT", "=3"], &["1", "5"], &["4", "5", "6"], false, "[6,5,4]");
    }
}
