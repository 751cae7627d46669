//! COUNT: rows, or rows whose argument is not NULL.

use arrow::{
    array::{Array, ArrayRef, Int64Array},
    buffer::NullBuffer,
};
use std::sync::Arc;
use types::{Result, SqlType};

use super::groups::{Fold, Reason, given_types, make};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::corrupt,
    overload::{Param, Shape, no_overload},
};

/// COUNT.
pub struct Count;

static DOC: FunctionDoc = FunctionDoc {
    name: "COUNT",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["COUNT(*)", "COUNT(value)"],
    description: "The number of rows; with an argument, of those where it is not NULL.",
    examples: &[("COUNT(value) of 1, NULL, 3", "2")],
};

const SHAPES: &[Shape] = &[Shape::new(&[]), Shape::new(&[Param::Any])];

impl AggregateFunction for Count {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let types = given_types(args).filter(|t| t.len() <= 1).ok_or_else(|| no_overload("COUNT", SHAPES, args))?;
        Ok(BoundAggregate::of_streams(types, SqlType::BigInt, make(CountFold))
            .with_same_for_tables()
            .like_the_dialect()
            .with_flat_state())
    }
}

#[derive(Clone)]
struct CountFold;

impl Fold for CountFold {
    type State = i64;
    type Input<'a> = Option<NullBuffer>;
    type Output = Vec<i64>;

    fn input(&self, args: &[ArrayRef]) -> Option<Option<NullBuffer>> {
        Some(args.first().and_then(|a| a.logical_nulls()).filter(|n| n.null_count() > 0))
    }

    #[inline]
    fn add(&mut self, state: &mut i64, nulls: &Option<NullBuffer>, row: usize, _number: u64) -> Result<(), Reason> {
        *state = state.saturating_add(i64::from(nulls.as_ref().is_none_or(|n| n.is_valid(row))));
        Ok(())
    }

    #[inline]
    fn take_back(&mut self, state: &mut i64, nulls: &Option<NullBuffer>, row: usize) -> Result<(), Reason> {
        *state = state.saturating_sub(i64::from(nulls.as_ref().is_none_or(|n| n.is_valid(row))));
        Ok(())
    }

    fn merge(&self, into: &mut i64, from: &i64, _from_is_later: bool) {
        *into = into.saturating_add(*from);
    }

    fn output(&self, capacity: usize) -> Vec<i64> {
        Vec::with_capacity(capacity)
    }

    #[inline]
    fn emit(&self, state: &i64, output: &mut Vec<i64>) {
        output.push(*state);
    }

    fn finish(&self, output: Vec<i64>, _rows: usize) -> ArrayRef {
        Arc::new(Int64Array::from(output))
    }

    fn write(&self, state: &i64, out: &mut Vec<u8>) {
        super::number::write_whole(i128::from(*state), out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<i64> {
        i64::try_from(super::number::read_whole(input)?).map_err(|_| corrupt("a count is too large"))
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn counts() {
        check("COUNT", &["INTEGER"], &["1", "null", "3", "- 1"], &["1", "1", "2", "1"]);
        check("COUNT", &["STRING"], &["null", "a", "a", "a"], &["0", "1", "2", "3"]);
        check("COUNT", &[], &["", "", "- "], &["1", "2", "1"]);
    }
}
