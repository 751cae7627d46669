//! COLLECT_SET: the different values, in the order in which each first came.

use arrow::array::ArrayRef;
use types::{Result, SqlType};

use super::{
    Limits,
    collect::{Shown, TallyFold},
    groups::{given_types, make},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    overload::{Param, Shape, no_overload},
};

/// COLLECT_SET.
pub struct CollectSet;

static DOC: FunctionDoc = FunctionDoc {
    name: "COLLECT_SET",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["COLLECT_SET(value)"],
    description: "The different values, NULL included, as an ARRAY in the order in which each first came. Keeps the \
                  first 1000 (ksql.functions.collect_set.limit), at most 16 MiB of them; further ones are left out.",
    examples: &[("COLLECT_SET(value) of 1, NULL, 1", "[1, NULL]")],
};

impl AggregateFunction for CollectSet {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        self.bind_limited(args, literals, &Limits::default())
    }

    fn bind_limited(
        &self,
        args: &[ArgType],
        _literals: &[Option<ArrayRef>],
        limits: &Limits,
    ) -> Result<BoundAggregate> {
        let types = given_types(args).unwrap_or_default();
        let [element] = types.as_slice() else {
            return Err(no_overload("COLLECT_SET", &[Shape::new(&[Param::Any])], args));
        };
        let result = SqlType::Array(Box::new(element.clone()));
        let states = make(TallyFold::new(element, &result, Shown::Array, limits.collect_set_entries));
        Ok(BoundAggregate::of_streams(types.clone(), result, states).with_same_for_tables())
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn collects() {
        check(
            "COLLECT_SET",
            &["DECIMAL(4, 1)"],
            &["5.4", "null", "5.4", "100.1", "null"],
            &["[5.4]", "[5.4,null]", "[5.4,null]", "[5.4,null,100.1]", "[5.4,null,100.1]"],
        );
        check("COLLECT_SET", &["INTEGER"], &["1", "2", "1", "- 1", "- 1"], &["[1]", "[1,2]", "[1,2]", "[1,2]", "[2]"]);
    }

    #[test]
    fn maps_of_the_same_entries_are_the_same() {
        check(
            "COLLECT_SET",
            &["MAP<STRING, BIGINT>"],
            &[r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#"{"b":2}"#],
            &[r#"[{"a":1,"b":2}]"#, r#"[{"a":1,"b":2}]"#, r#"[{"a":1,"b":2},{"b":2}]"#],
        );
    }

    #[test]
    fn merges_in_order_of_time() {
        check_merge("COLLECT_SET", &["STRING"], &["a", "b"], &["c", "a"], false, r#"["c","a","b"]"#);
    }
}
