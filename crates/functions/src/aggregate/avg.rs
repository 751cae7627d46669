//! AVG: the mean as a DOUBLE. Whole numbers add up exactly, DOUBLEs in the order in which they come.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, PrimitiveArray},
    datatypes::{Float64Type, Int32Type, Int64Type},
};
use types::{Result, SqlType};

use super::{
    double::RetractableSum,
    groups::{Fold, Reason, make, value_types},
    number::{Of, Total, Whole, read_whole, write_whole},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::{corrupt, take},
    overload::{Param, Shape, resolve},
};

/// AVG.
pub struct Avg;

static DOC: FunctionDoc = FunctionDoc {
    name: "AVG",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["AVG(number)"],
    description: "The mean of the values that are not NULL, as a DOUBLE; 0 if there are none.",
    examples: &[("AVG(value) of 1, NULL, 2", "1.5")],
};

const SHAPES: &[Shape] = &[Shape::new(&[Param::Int]), Shape::new(&[Param::BigInt]), Shape::new(&[Param::Double])];

impl AggregateFunction for Avg {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let resolved = resolve("AVG", SHAPES, args)?;
        let bound = |states| BoundAggregate::of_streams(value_types(&resolved), SqlType::Double, states);
        let bound = match resolved.value(0) {
            SqlType::Int => bound(make(WholeMean::<Int32Type>(Of::new()))).with_same_for_tables(),
            SqlType::BigInt => bound(make(WholeMean::<Int64Type>(Of::new()))).with_same_for_tables(),
            _ => bound(make(DoubleMean)).with_tables(make(RetractableMean)),
        };
        Ok(bound.like_the_dialect())
    }
}

#[inline]
fn mean(total: f64, count: i64) -> f64 {
    if count == 0 { 0.0 } else { total / count as f64 }
}

fn read_count(input: &mut &[u8]) -> Result<i64> {
    i64::try_from(read_whole(input)?).map_err(|_| corrupt("a count is too large"))
}

struct WholeMean<T: Whole>(Of<T>);

impl<T: Whole> Clone for WholeMean<T> {
    fn clone(&self) -> Self {
        WholeMean(Of::new())
    }
}

impl<T: Whole> Fold for WholeMean<T> {
    type State = (T::Total, i64);
    type Input<'a> = &'a PrimitiveArray<T>;
    type Output = Vec<f64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a PrimitiveArray<T>> {
        args.first()?.as_primitive_opt::<T>()
    }

    #[inline]
    fn add(
        &mut self,
        (total, count): &mut (T::Total, i64),
        input: &&PrimitiveArray<T>,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            total.add(T::wide(input.value(row)));
            *count = count.saturating_add(1);
        }
        Ok(())
    }

    #[inline]
    fn take_back(
        &mut self,
        (total, count): &mut (T::Total, i64),
        input: &&PrimitiveArray<T>,
        row: usize,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            total.subtract(T::wide(input.value(row)));
            *count = count.saturating_sub(1);
        }
        Ok(())
    }

    fn merge(&self, into: &mut (T::Total, i64), from: &(T::Total, i64), _from_is_later: bool) {
        into.0.merge(from.0);
        into.1 = into.1.saturating_add(from.1);
    }

    fn output(&self, capacity: usize) -> Vec<f64> {
        Vec::with_capacity(capacity)
    }

    #[inline]
    fn emit(&self, state: &(T::Total, i64), output: &mut Vec<f64>) {
        output.push(mean(state.0.to_f64(), state.1));
    }

    fn finish(&self, output: Vec<f64>, _rows: usize) -> ArrayRef {
        Arc::new(Float64Array::from(output))
    }

    fn write(&self, state: &(T::Total, i64), out: &mut Vec<u8>) {
        state.0.write(out);
        write_whole(i128::from(state.1), out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<(T::Total, i64)> {
        Ok((T::Total::read(input)?, read_count(input)?))
    }
}

#[derive(Clone)]
struct DoubleMean;

impl Fold for DoubleMean {
    type State = (f64, i64);
    type Input<'a> = &'a Float64Array;
    type Output = Vec<f64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a Float64Array> {
        args.first()?.as_primitive_opt::<Float64Type>()
    }

    #[inline]
    fn add(
        &mut self,
        (total, count): &mut (f64, i64),
        input: &&Float64Array,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            *total += input.value(row);
            *count = count.saturating_add(1);
        }
        Ok(())
    }

    fn merge(&self, into: &mut (f64, i64), from: &(f64, i64), _from_is_later: bool) {
        into.0 += from.0;
        into.1 = into.1.saturating_add(from.1);
    }

    fn output(&self, capacity: usize) -> Vec<f64> {
        Vec::with_capacity(capacity)
    }

    #[inline]
    fn emit(&self, state: &(f64, i64), output: &mut Vec<f64>) {
        output.push(mean(state.0, state.1));
    }

    fn finish(&self, output: Vec<f64>, _rows: usize) -> ArrayRef {
        Arc::new(Float64Array::from(output))
    }

    fn write(&self, state: &(f64, i64), out: &mut Vec<u8>) {
        out.extend_from_slice(&state.0.to_le_bytes());
        write_whole(i128::from(state.1), out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<(f64, i64)> {
        Ok((f64::from_le_bytes(take(input)?), read_count(input)?))
    }
}

#[derive(Clone)]
struct RetractableMean;

impl Fold for RetractableMean {
    type State = RetractableSum;
    type Input<'a> = &'a Float64Array;
    type Output = Vec<f64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a Float64Array> {
        args.first()?.as_primitive_opt::<Float64Type>()
    }

    fn add(
        &mut self,
        state: &mut RetractableSum,
        input: &&Float64Array,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            state.add(input.value(row));
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut RetractableSum, input: &&Float64Array, row: usize) -> Result<(), Reason> {
        if input.is_valid(row) {
            state.subtract(input.value(row));
        }
        Ok(())
    }

    fn merge(&self, into: &mut RetractableSum, from: &RetractableSum, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, capacity: usize) -> Vec<f64> {
        Vec::with_capacity(capacity)
    }

    fn emit(&self, state: &RetractableSum, output: &mut Vec<f64>) {
        output.push(mean(state.get(), state.count()));
    }

    fn finish(&self, output: Vec<f64>, _rows: usize) -> ArrayRef {
        Arc::new(Float64Array::from(output))
    }

    fn write(&self, state: &RetractableSum, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<RetractableSum> {
        RetractableSum::read(input)
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::check;

    #[test]
    fn means() {
        check("AVG", &["INTEGER"], &["null", "1", "2", "- 1", "4"], &["0.0", "1.0", "1.5", "2.0", "3.0"]);
        check("AVG", &["BIGINT"], &["9223372036854775807", "9223372036854775807"], &["9223372036854775807.0"; 2]);
        check(
            "AVG",
            &["DOUBLE"],
            &["2.3", "-200000.6", "0.0", "null"],
            &["2.3", "-99999.15000000001", "-66666.1", "-66666.1"],
        );
        check("AVG", &["DOUBLE"], &["0.1", "0.2", "- 0.1", "- 0.2"], &["0.1", "0.15", "0.2", "0.0"]);
    }
}
