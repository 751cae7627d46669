//! BOOL_AND: whether all of the values are true.

use arrow::array::ArrayRef;
use types::Result;

use super::boolean;
use crate::{AggregateFunction, ArgType, BoundAggregate, FunctionDoc};

/// BOOL_AND.
pub struct BoolAnd;

static DOC: FunctionDoc = FunctionDoc {
    name: "BOOL_AND",
    aliases: &["EVERY"],
    category: "AGGREGATE",
    signatures: &["BOOL_AND(condition)"],
    description: "Whether all of the values that are not NULL are true; NULL if there are none.",
    examples: &[("BOOL_AND(value) of true, false, NULL", "false")],
};

impl AggregateFunction for BoolAnd {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        boolean::bind::<true>("BOOL_AND", args)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn conditions() {
        let want = ["null", "true", "false", "true"];
        check("BOOL_AND", &["BOOLEAN"], &["null", "true", "false", "- false"], &want);
    }
}
