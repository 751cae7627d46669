//! SUM_LIST: the sum of all elements of all arrays.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, ListArray, PrimitiveArray, PrimitiveBuilder},
    datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type},
};
use types::{Result, SqlType};

use super::{
    double::RetractableSum,
    groups::{Fold, Reason, make, value_types},
    number::{Total, Whole},
    sum::WholeSum,
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    overload::{Param, Shape, resolve},
};

/// SUM_LIST.
pub struct SumList;

static DOC: FunctionDoc = FunctionDoc {
    name: "SUM_LIST",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["SUM_LIST(array)"],
    description: "The sum of the elements, those that are NULL aside, of all arrays; of the elements' own type. A \
                  sum that does not fit the type is NULL and is reported to the processing log.",
    examples: &[("SUM_LIST(value) of [1, 2], [3, NULL]", "6")],
};

const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Array(&Param::Int)]),
    Shape::new(&[Param::Array(&Param::BigInt)]),
    Shape::new(&[Param::Array(&Param::Decimal)]),
    Shape::new(&[Param::Array(&Param::Double)]),
];

impl AggregateFunction for SumList {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let resolved = resolve("SUM_LIST", SHAPES, args)?;
        let element = match resolved.value(0) {
            SqlType::Array(element) => *element,
            other => other,
        };
        let states = match &element {
            SqlType::Int => make(WholeListSum(WholeSum::<Int32Type>::new(&element))),
            SqlType::BigInt => make(WholeListSum(WholeSum::<Int64Type>::new(&element))),
            SqlType::Decimal { .. } => make(WholeListSum(WholeSum::<Decimal128Type>::new(&element))),
            _ => make(DoubleListSum),
        };
        Ok(BoundAggregate::of_streams(value_types(&resolved), element, states)
            .with_same_for_tables()
            .like_the_dialect()
            .with_flat_state())
    }
}

/// The elements of the array at `row`; none for NULL.
fn elements(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    if list.is_null(row) {
        return 0..0;
    }
    let offset = |at: usize| list.value_offsets().get(at).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    offset(row)..offset(row + 1)
}

fn open<T: arrow::array::ArrowPrimitiveType>(args: &[ArrayRef]) -> Option<(&ListArray, &PrimitiveArray<T>)> {
    let list = args.first()?.as_list_opt::<i32>()?;
    Some((list, list.values().as_primitive_opt::<T>()?))
}

struct WholeListSum<T: Whole>(WholeSum<T>);

impl<T: Whole> Clone for WholeListSum<T> {
    fn clone(&self) -> Self {
        WholeListSum(self.0.clone())
    }
}

impl<T: Whole> Fold for WholeListSum<T> {
    type State = T::Total;
    type Input<'a> = (&'a ListArray, &'a PrimitiveArray<T>);
    type Output = PrimitiveBuilder<T>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Self::Input<'a>> {
        open(args)
    }

    fn add(&mut self, state: &mut T::Total, input: &Self::Input<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        let (list, values) = input;
        for at in elements(list, row).filter(|at| values.is_valid(*at)) {
            state.add(T::wide(values.value(at)));
        }
        self.0.check(state)
    }

    fn take_back(&mut self, state: &mut T::Total, input: &Self::Input<'_>, row: usize) -> Result<(), Reason> {
        let (list, values) = input;
        for at in elements(list, row).filter(|at| values.is_valid(*at)) {
            state.subtract(T::wide(values.value(at)));
        }
        self.0.check(state)
    }

    fn merge(&self, into: &mut T::Total, from: &T::Total, from_is_later: bool) {
        self.0.merge(into, from, from_is_later);
    }

    fn output(&self, capacity: usize) -> PrimitiveBuilder<T> {
        self.0.output(capacity)
    }

    fn emit(&self, state: &T::Total, output: &mut PrimitiveBuilder<T>) {
        self.0.emit(state, output);
    }

    fn finish(&self, output: PrimitiveBuilder<T>, rows: usize) -> ArrayRef {
        self.0.finish(output, rows)
    }

    fn write(&self, state: &T::Total, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<T::Total> {
        T::Total::read(input)
    }
}

#[derive(Clone)]
struct DoubleListSum;

impl Fold for DoubleListSum {
    type State = RetractableSum;
    type Input<'a> = (&'a ListArray, &'a Float64Array);
    type Output = Vec<f64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Self::Input<'a>> {
        open::<Float64Type>(args)
    }

    fn add(
        &mut self,
        state: &mut RetractableSum,
        input: &Self::Input<'_>,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        let (list, values) = input;
        elements(list, row).filter(|at| values.is_valid(*at)).for_each(|at| state.add(values.value(at)));
        Ok(())
    }

    fn take_back(&mut self, state: &mut RetractableSum, input: &Self::Input<'_>, row: usize) -> Result<(), Reason> {
        let (list, values) = input;
        elements(list, row).filter(|at| values.is_valid(*at)).for_each(|at| state.subtract(values.value(at)));
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
    fn sums_of_elements() {
        check(
            "SUM_LIST",
            &["ARRAY<BIGINT>"],
            &["[1,1]", "[2,null]", "null", "[]", "- [1,1]"],
            &["2", "4", "4", "4", "2"],
        );
        check("SUM_LIST", &["ARRAY<DOUBLE>"], &["[1.5,1.5]", "[0.5]", "- [0.5]"], &["3.0", "3.5", "3.0"]);
        check("SUM_LIST", &["ARRAY<DECIMAL(3, 1)>"], &["[1.5,98.4]", "[0.1]"], &["99.9", "null"]);
        check("SUM_LIST", &["ARRAY<INTEGER>"], &["[2147483647,1]"], &["null"]);
    }
}
