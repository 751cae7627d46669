//! HISTOGRAM: how often each value came.

use arrow::array::ArrayRef;
use types::{Result, SqlType};

use super::{
    HISTOGRAM_ENTRIES_MAX,
    collect::{Shown, TallyFold},
    groups::{make, value_types},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    overload::{Param, Shape, resolve},
};

/// HISTOGRAM.
pub struct Histogram;

static DOC: FunctionDoc = FunctionDoc {
    name: "HISTOGRAM",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["HISTOGRAM(text)"],
    description: "A MAP of each STRING that came to the number of times that it did; NULLs are not counted. Counts \
                  the first 1000 different values; further ones are left out.",
    examples: &[("HISTOGRAM(value) of 'a', 'b', 'a'", "{a=2, b=1}")],
};

impl AggregateFunction for Histogram {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let resolved = resolve("HISTOGRAM", &[Shape::new(&[Param::String])], args)?;
        let result = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::BigInt));
        let states = make(TallyFold::new(&SqlType::String, &result, Shown::Histogram, HISTOGRAM_ENTRIES_MAX));
        Ok(BoundAggregate::of_streams(value_types(&resolved), result, states).with_same_for_tables().like_the_dialect())
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn counts_values() {
        check(
            "HISTOGRAM",
            &["STRING"],
            &["a", "null", "b", "a", "- b", "- a"],
            &[r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":1,"b":1}"#, r#"{"a":2,"b":1}"#, r#"{"a":2}"#, r#"{"a":1}"#],
        );
    }

    #[test]
    fn counts_no_more_than_so_many_values() {
        let rows: Vec<String> = (0..1001).map(|n| format!("v{n}")).chain(["v0".to_owned()]).collect();
        let mut want: Vec<String> = (1..=1001_usize)
            .map(|n| (0..n.min(1000)).map(|v| format!("\"v{v}\":1")).collect::<Vec<_>>().join(","))
            .map(|entries| format!("{{{entries}}}"))
            .collect();
        want.push(want[1000].replacen("\"v0\":1", "\"v0\":2", 1));
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let want: Vec<&str> = want.iter().map(String::as_str).collect();
        check("HISTOGRAM", &["STRING"], &rows, &want);
    }
}
