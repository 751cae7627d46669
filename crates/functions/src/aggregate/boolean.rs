//! What BOOL_AND and BOOL_OR share: how many rows are true, how many false.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder};
use types::{Result, SqlType};

use super::{
    groups::{Fold, Reason, make, value_types},
    number::{read_whole, write_whole},
};
use crate::{
    ArgType, BoundAggregate,
    encoded::corrupt,
    overload::{Param, Shape, resolve},
};

/// BOOL_AND or BOOL_OR.
pub(crate) fn bind<const AND: bool>(name: &str, args: &[ArgType]) -> Result<BoundAggregate> {
    let resolved = resolve(name, &[Shape::new(&[Param::Boolean])], args)?;
    let states = make(BooleanFold::<AND>);
    Ok(BoundAggregate::of_streams(value_types(&resolved), SqlType::Boolean, states).with_same_for_tables())
}

#[derive(Clone)]
struct BooleanFold<const AND: bool>;

/// Rows that are true, rows that are false.
type Counts = (i64, i64);

fn count(state: &mut Counts, value: bool, by: i64) {
    let side = if value { &mut state.0 } else { &mut state.1 };
    *side = side.saturating_add(by);
}

impl<const AND: bool> Fold for BooleanFold<AND> {
    type State = Counts;
    type Input<'a> = &'a BooleanArray;
    type Output = BooleanBuilder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a BooleanArray> {
        args.first()?.as_boolean_opt()
    }

    fn add(&mut self, state: &mut Counts, input: &&BooleanArray, row: usize, _number: u64) -> Result<(), Reason> {
        if input.is_valid(row) {
            count(state, input.value(row), 1);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Counts, input: &&BooleanArray, row: usize) -> Result<(), Reason> {
        if input.is_valid(row) {
            count(state, input.value(row), -1);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Counts, from: &Counts, _from_is_later: bool) {
        count(into, true, from.0);
        count(into, false, from.1);
    }

    fn output(&self, capacity: usize) -> BooleanBuilder {
        BooleanBuilder::with_capacity(capacity)
    }

    fn emit(&self, (yes, no): &Counts, output: &mut BooleanBuilder) {
        let value = if AND { *no == 0 } else { *yes > 0 };
        output.append_option((*yes > 0 || *no > 0).then_some(value));
    }

    fn finish(&self, mut output: BooleanBuilder, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, (yes, no): &Counts, out: &mut Vec<u8>) {
        write_whole(i128::from(*yes), out);
        write_whole(i128::from(*no), out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<Counts> {
        let mut count = || i64::try_from(read_whole(input)?).map_err(|_| corrupt("a count is too large"));
        Ok((count()?, count()?))
    }
}
