//! What the variances and deviations share: count, sum and sum of squares, the sums of twice a DOUBLE's precision
//! (`wide`), so that large means cost no digits of small deviations and values can be taken back.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Builder},
    datatypes::Float64Type,
};
use types::{Result, SqlType};

use super::{
    groups::{Fold, Reason, make, value_types},
    number::{read_whole, write_whole},
    wide::{SUMMED_MAX, Wide, centered},
};
use crate::{
    ArgType, BoundAggregate,
    encoded::corrupt,
    overload::{Param, Shape, resolve},
};

/// What is made of the moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Variance of a sample, 0 for less than two values: what ksqlDB's STDDEV_SAMP is.
    DialectVariance,
    /// Its root, 0 for less than two values: ksqlDB's STDDEV_SAMPLE.
    DialectDeviation,
    /// Variance of a sample, NULL for less than two values.
    SampleVariance,
    /// Variance of the whole, NULL for no values.
    WholeVariance,
    /// Root of the variance of the whole, NULL for no values.
    WholeDeviation,
}

/// A function of the moments of a number.
pub(crate) fn bind(name: &str, spread: Spread, args: &[ArgType]) -> Result<BoundAggregate> {
    let resolved = resolve(name, &[Shape::new(&[Param::Double])], args)?;
    let bound = BoundAggregate::of_streams(value_types(&resolved), SqlType::Double, make(MomentsFold(spread)))
        .with_same_for_tables();
    let dialect = matches!(spread, Spread::DialectVariance | Spread::DialectDeviation);
    Ok(if dialect { bound.like_the_dialect() } else { bound })
}

/// Count, sum, and sum of squares of the values; count of those that are NaN or too large.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    count: i64,
    sum: Wide,
    squares: Wide,
    odd: i64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        if value.abs() <= SUMMED_MAX {
            self.count = self.count.saturating_add(1);
            self.sum = self.sum.plus(Wide::of(value));
            self.squares = self.squares.plus(Wide::product(value, value));
        } else {
            self.odd = self.odd.saturating_add(1);
        }
    }

    fn take_back(&mut self, value: f64) {
        if value.abs() > SUMMED_MAX || value.is_nan() {
            self.odd = self.odd.saturating_sub(1);
        } else if self.count <= 1 {
            *self = Moments { odd: self.odd, ..Moments::default() };
        } else {
            self.count -= 1;
            self.sum = self.sum.minus(Wide::of(value));
            self.squares = self.squares.minus(Wide::product(value, value));
        }
    }

    fn merge(&mut self, other: &Moments) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.plus(other.sum);
        self.squares = self.squares.plus(other.squares);
        self.odd = self.odd.saturating_add(other.odd);
    }

    fn get(&self, spread: Spread) -> Option<f64> {
        if self.odd > 0 {
            return Some(f64::NAN);
        }
        let count = self.count as f64;
        let squares = || centered(self.squares, self.sum, self.sum, count).max(0.0);
        match spread {
            Spread::DialectVariance | Spread::DialectDeviation if self.count < 2 => Some(0.0),
            Spread::SampleVariance if self.count < 2 => None,
            Spread::WholeVariance | Spread::WholeDeviation if self.count < 1 => None,
            Spread::DialectVariance | Spread::SampleVariance => Some(squares() / (count - 1.0)),
            Spread::DialectDeviation => Some((squares() / (count - 1.0)).sqrt()),
            Spread::WholeVariance => Some(squares() / count),
            Spread::WholeDeviation => Some((squares() / count).sqrt()),
        }
    }
}

#[derive(Clone)]
struct MomentsFold(Spread);

impl Fold for MomentsFold {
    type State = Moments;
    type Input<'a> = &'a arrow::array::Float64Array;
    type Output = Float64Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a arrow::array::Float64Array> {
        args.first()?.as_primitive_opt::<Float64Type>()
    }

    #[inline]
    fn add(
        &mut self,
        state: &mut Moments,
        input: &&arrow::array::Float64Array,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            state.add(input.value(row));
        }
        Ok(())
    }

    fn take_back(
        &mut self,
        state: &mut Moments,
        input: &&arrow::array::Float64Array,
        row: usize,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            state.take_back(input.value(row));
        }
        Ok(())
    }

    fn merge(&self, into: &mut Moments, from: &Moments, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, capacity: usize) -> Float64Builder {
        Float64Builder::with_capacity(capacity)
    }

    fn emit(&self, state: &Moments, output: &mut Float64Builder) {
        output.append_option(state.get(self.0));
    }

    fn finish(&self, mut output: Float64Builder, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, state: &Moments, out: &mut Vec<u8>) {
        write_whole(i128::from(state.count), out);
        write_whole(i128::from(state.odd), out);
        state.sum.write(out);
        state.squares.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<Moments> {
        let mut count = || i64::try_from(read_whole(input)?).map_err(|_| corrupt("a count is too large"));
        let (count, odd) = (count()?, count()?);
        Ok(Moments { count, sum: Wide::read(input)?, squares: Wide::read(input)?, odd })
    }
}
