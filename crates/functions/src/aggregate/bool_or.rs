//! BOOL_OR: whether any of the values are true.

use arrow::array::ArrayRef;
use types::Result;

use super::boolean;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// BOOL_OR.
pub struct BoolOr;

static DOC: FunctionDoc = FunctionDoc {
    name: "BOOL_OR",
    aliases: &["SOME"],
    category: "AGGREGATE",
    signatures: &["BOOL_OR(condition)"],
    description: "Whether any of the values that are not NULL are true; NULL if there are none.",
    examples: &[("BOOL_OR(value) of true, false, NULL", "true")],
};

impl AggregateFunction for BoolOr {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        boolean::bind::<false>("BOOL_OR", args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn conditions() {
        let want = ["null", "true", "true", "true"];
        check("BOOL_OR", &["BOOLEAN"], &["null", "true", "false", "- false"], &want);
    }
}
