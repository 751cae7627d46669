//! SUM. Whole numbers and decimals add up exactly, wider than their type, so that taking rows back is exact, too: a
//! total that does not fit the type is NULL and a row error until it fits again.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, PrimitiveArray, PrimitiveBuilder},
    datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type},
};
use types::{Result, SqlType};

use super::{
    double::RetractableSum,
    groups::{Fold, Reason, make, value_types},
    number::{Of, Total, Whole},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::take,
    overload::{Param, Shape, resolve},
};

/// SUM.
pub struct Sum;

static DOC: FunctionDoc = FunctionDoc {
    name: "SUM",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["SUM(number)"],
    description: "The sum of the values that are not NULL, of the argument's own type; 0 if there are none. A sum \
                  that does not fit the type is NULL and is reported to the processing log.",
    examples: &[("SUM(value) of 1, NULL, 3", "4")],
};

const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Int]),
    Shape::new(&[Param::BigInt]),
    Shape::new(&[Param::Decimal]),
    Shape::new(&[Param::Double]),
];

impl AggregateFunction for Sum {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let resolved = resolve("SUM", SHAPES, args)?;
        let ty = resolved.value(0);
        let (plain, retractable) = match &ty {
            SqlType::Int => same(make(WholeSum::<Int32Type>::new(&ty))),
            SqlType::BigInt => same(make(WholeSum::<Int64Type>::new(&ty))),
            SqlType::Decimal { .. } => same(make(WholeSum::<Decimal128Type>::new(&ty))),
            _ => (make(DoubleSum), make(RetractableDoubleSum)),
        };
        Ok(BoundAggregate::of_streams(value_types(&resolved), ty, plain)
            .with_tables(retractable)
            .like_the_dialect()
            .with_flat_state())
    }
}

fn same(states: crate::MakeStates) -> (crate::MakeStates, crate::MakeStates) {
    (Arc::clone(&states), states)
}

/// The largest number of `precision` digits.
pub(crate) fn decimal_max(precision: u8) -> i128 {
    10_i128.checked_pow(u32::from(precision)).map_or(i128::MAX, |limit| limit - 1)
}

pub(crate) const OUT_OF_RANGE: Reason = "the sum is out of the range of its type";

/// The sum of whole numbers or decimals.
pub(crate) struct WholeSum<T: Whole> {
    ty: DataType,
    max: i128,
    _of: Of<T>,
}

impl<T: Whole> Clone for WholeSum<T> {
    fn clone(&self) -> Self {
        WholeSum { ty: self.ty.clone(), max: self.max, _of: Of::new() }
    }
}

impl<T: Whole> WholeSum<T> {
    pub(crate) fn new(ty: &SqlType) -> WholeSum<T> {
        let max = match ty {
            SqlType::Decimal { precision, .. } => decimal_max(*precision),
            _ => i128::MAX,
        };
        WholeSum { ty: ty.to_arrow(), max, _of: Of::new() }
    }

    #[inline]
    pub(crate) fn fit(&self, state: &T::Total) -> Option<T::Native> {
        state.get().filter(|total| *total <= self.max && *total >= -self.max).and_then(T::narrow)
    }

    pub(crate) fn check(&self, state: &T::Total) -> Result<(), Reason> {
        if self.fit(state).is_some() { Ok(()) } else { Err(OUT_OF_RANGE) }
    }
}

impl<T: Whole> Fold for WholeSum<T> {
    type State = T::Total;
    type Input<'a> = &'a PrimitiveArray<T>;
    type Output = PrimitiveBuilder<T>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a PrimitiveArray<T>> {
        args.first()?.as_primitive_opt::<T>()
    }

    #[inline]
    fn add(
        &mut self,
        state: &mut T::Total,
        input: &&PrimitiveArray<T>,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            state.add(T::wide(input.value(row)));
        }
        self.check(state)
    }

    #[inline]
    fn take_back(&mut self, state: &mut T::Total, input: &&PrimitiveArray<T>, row: usize) -> Result<(), Reason> {
        if input.is_valid(row) {
            state.subtract(T::wide(input.value(row)));
        }
        self.check(state)
    }

    fn merge(&self, into: &mut T::Total, from: &T::Total, _from_is_later: bool) {
        into.merge(*from);
    }

    fn output(&self, capacity: usize) -> PrimitiveBuilder<T> {
        PrimitiveBuilder::with_capacity(capacity).with_data_type(self.ty.clone())
    }

    #[inline]
    fn emit(&self, state: &T::Total, output: &mut PrimitiveBuilder<T>) {
        output.append_option(self.fit(state));
    }

    fn finish(&self, mut output: PrimitiveBuilder<T>, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, state: &T::Total, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<T::Total> {
        T::Total::read(input)
    }
}

/// The sum of DOUBLEs, in the order in which they come.
#[derive(Clone)]
struct DoubleSum;

impl Fold for DoubleSum {
    type State = f64;
    type Input<'a> = &'a Float64Array;
    type Output = Vec<f64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a Float64Array> {
        args.first()?.as_primitive_opt::<Float64Type>()
    }

    #[inline]
    fn add(&mut self, state: &mut f64, input: &&Float64Array, row: usize, _number: u64) -> Result<(), Reason> {
        if input.is_valid(row) {
            *state += input.value(row);
        }
        Ok(())
    }

    fn merge(&self, into: &mut f64, from: &f64, _from_is_later: bool) {
        *into += from;
    }

    fn output(&self, capacity: usize) -> Vec<f64> {
        Vec::with_capacity(capacity)
    }

    #[inline]
    fn emit(&self, state: &f64, output: &mut Vec<f64>) {
        output.push(*state);
    }

    fn finish(&self, output: Vec<f64>, _rows: usize) -> ArrayRef {
        Arc::new(Float64Array::from(output))
    }

    fn write(&self, state: &f64, out: &mut Vec<u8>) {
        out.extend_from_slice(&state.to_le_bytes());
    }

    fn read(&self, input: &mut &[u8]) -> Result<f64> {
        Ok(f64::from_le_bytes(take(input)?))
    }
}

/// The sum of DOUBLEs that can be taken back.
#[derive(Clone)]
struct RetractableDoubleSum;

impl Fold for RetractableDoubleSum {
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
        output.push(state.get());
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
    fn sums() {
        check("SUM", &["INTEGER"], &["null", "1", "null", "3", "- 1"], &["0", "1", "1", "4", "3"]);
        check("SUM", &["BIGINT"], &["2147483648", "100"], &["2147483648", "2147483748"]);
        check("SUM", &["DECIMAL(4, 1)"], &["5.4", "100.1", "- 5.4"], &["5.4", "105.5", "100.1"]);
        check("SUM", &["DOUBLE"], &["0.5", "1e300", "- 1e300", "null"], &["0.5", "1e300", "0.5", "0.5"]);
    }

    #[test]
    fn a_sum_out_of_range_is_null_until_it_fits_again() {
        check("SUM", &["INTEGER"], &["2147483647", "1", "-2"], &["2147483647", "null", "2147483646"]);
        check("SUM", &["DECIMAL(2, 1)"], &["9.9", "0.1", "- 0.1"], &["9.9", "null", "9.9"]);
        let large = "99999999999999999999999999999999999999";
        check(
            "SUM",
            &["DECIMAL(38, 0)"],
            &[large, large, large, &format!("- {large}"), &format!("- {large}")],
            &[large, "null", "null", "null", large],
        );
    }

    #[test]
    fn infinities_can_be_taken_back() {
        check("SUM", &["DOUBLE"], &["1.5", "1e999", "-1e999", "- 1e999"], &["1.5", "inf", "NaN", "-inf"]);
    }
}
