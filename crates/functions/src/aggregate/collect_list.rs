//! COLLECT_LIST: the values, in the order in which they come.

use arrow::array::ArrayRef;
use types::{Result, SqlType};

use super::{
    Limits,
    collect::ListFold,
    groups::{given_types, make},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    overload::{Param, Shape, no_overload},
};

/// COLLECT_LIST.
pub struct CollectList;

static DOC: FunctionDoc = FunctionDoc {
    name: "COLLECT_LIST",
    aliases: &["ARRAY_AGG"],
    category: "AGGREGATE",
    signatures: &["COLLECT_LIST(value)"],
    description: "The values, NULLs included, as an ARRAY in the order in which their rows were processed; of \
                  tables, a row that goes takes the first equal value with it. Keeps the first 1000 values \
                  (ksql.functions.collect_list.limit), at most 16 MiB of them; further ones are left out.",
    examples: &[("COLLECT_LIST(value) of 1, NULL, 1", "[1, NULL, 1]")],
};

impl AggregateFunction for CollectList {
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
            return Err(no_overload("COLLECT_LIST", &[Shape::new(&[Param::Any])], args));
        };
        let states = make(ListFold::new(element, limits.collect_list_entries));
        Ok(BoundAggregate::of_streams(types.clone(), SqlType::Array(Box::new(element.clone())), states)
            .with_same_for_tables()
            .like_the_dialect())
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn collects() {
        check("COLLECT_LIST", &["INTEGER"], &["0", "null", "0"], &["[0]", "[0,null]", "[0,null,0]"]);
        check(
            "COLLECT_LIST",
            &["STRING"],
            &["a", "b", "a", "- a", "- c"],
            &["[\"a\"]", "[\"a\",\"b\"]", "[\"a\",\"b\",\"a\"]", "[\"b\",\"a\"]", "[\"b\",\"a\"]"],
        );
        check(
            "ARRAY_AGG",
            &["ARRAY<STRUCT<A STRING, M MAP<STRING, DOUBLE>>>"],
            &[r#"[{"A":"x","M":{"k":1.5}}]"#, "[null]", "null"],
            &[
                r#"[[{"A":"x","M":{"k":1.5}}]]"#,
                r#"[[{"A":"x","M":{"k":1.5}}],[null]]"#,
                r#"[[{"A":"x","M":{"k":1.5}}],[null],null]"#,
            ],
        );
    }

    #[test]
    fn keeps_no_more_than_the_limit() {
        let rows = vec!["1"; 1002];
        let want: Vec<String> = (1..=1002).map(|n: usize| format!("[{}]", vec!["1"; n.min(1000)].join(","))).collect();
        let want: Vec<&str> = want.iter().map(String::as_str).collect();
        check("COLLECT_LIST", &["INTEGER"], &rows, &want);
    }

    #[test]
    fn merges_in_order_of_time() {
        check_merge("COLLECT_LIST", &["INTEGER"], &["1", "2"], &["3"], true, "[1,2,3]");
        check_merge("COLLECT_LIST", &["INTEGER"], &["1", "2"], &["3"], false, "[3,1,2]");
    }
}
