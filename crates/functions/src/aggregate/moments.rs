//! What the variances and deviations share: count, mean and the sum of squared differences from it, by Welford's
//! recurrence ("Note on a method for calculating corrected sums of squares and products", 1962), which loses no digits
//! to large means; run backwards it takes values back.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Builder},
    datatypes::Float64Type,
};
use types::{Result, SqlType};

use super::{
    groups::{Fold, Reason, make, value_types},
    number::{read_whole, write_whole},
};
use crate::{
    ArgType, BoundAggregate,
    encoded::{corrupt, take},
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
    Ok(if dialect { bound.as_dialect_has_it() } else { bound })
}

/// Count, mean, squares of the finite values; count of the others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    count: i64,
    mean: f64,
    squares: f64,
    not_finite: i64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.not_finite = self.not_finite.saturating_add(1);
            return;
        }
        self.count = self.count.saturating_add(1);
        let from_old = value - self.mean;
        self.mean += from_old / self.count as f64;
        self.squares += from_old * (value - self.mean);
    }

    fn take_back(&mut self, value: f64) {
        if !value.is_finite() {
            self.not_finite = self.not_finite.saturating_sub(1);
            return;
        }
        if self.count <= 1 {
            *self = Moments { not_finite: self.not_finite, ..Moments::default() };
            return;
        }
        let from_new = value - self.mean;
        self.mean -= from_new / (self.count - 1) as f64;
        self.squares = (self.squares - from_new * (value - self.mean)).max(0.0);
        self.count -= 1;
        if self.count == 1 {
            self.squares = 0.0;
        }
    }

    fn merge(&mut self, other: &Moments) {
        self.not_finite = self.not_finite.saturating_add(other.not_finite);
        if other.count == 0 {
            return;
        }
        let (left, right) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        self.count = self.count.saturating_add(other.count);
        let total = self.count as f64;
        self.mean += apart * right / total;
        self.squares += other.squares + apart * apart * left * right / total;
    }

    fn get(&self, spread: Spread) -> Option<f64> {
        if self.not_finite > 0 {
            return Some(f64::NAN);
        }
        let count = self.count as f64;
        match spread {
            Spread::DialectVariance | Spread::DialectDeviation if self.count < 2 => Some(0.0),
            Spread::SampleVariance if self.count < 2 => None,
            Spread::WholeVariance | Spread::WholeDeviation if self.count < 1 => None,
            Spread::DialectVariance | Spread::SampleVariance => Some(self.squares / (count - 1.0)),
            Spread::DialectDeviation => Some((self.squares / (count - 1.0)).sqrt()),
            Spread::WholeVariance => Some(self.squares / count),
            Spread::WholeDeviation => Some((self.squares / count).sqrt()),
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
        write_whole(i128::from(state.not_finite), out);
        out.extend_from_slice(&state.mean.to_le_bytes());
        out.extend_from_slice(&state.squares.to_le_bytes());
    }

    fn read(&self, input: &mut &[u8]) -> Result<Moments> {
        let mut count = || i64::try_from(read_whole(input)?).map_err(|_| corrupt("a count is too large"));
        let (count, not_finite) = (count()?, count()?);
        let mean = f64::from_le_bytes(take(input)?);
        let squares = f64::from_le_bytes(take(input)?);
        Ok(Moments { count, mean, squares, not_finite })
    }
}
