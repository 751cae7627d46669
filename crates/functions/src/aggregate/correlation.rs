//! CORRELATION: Pearson's coefficient of two numbers, from the moments of both (Welford's recurrence, as `moments`).

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array},
    datatypes::Float64Type,
};
use types::{Result, SqlType};

use super::{
    groups::{Fold, Reason, make, value_types},
    number::{read_whole, write_whole},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::{corrupt, take},
    overload::{Param, Shape, resolve},
};

/// CORRELATION.
pub struct Correlation;

static DOC: FunctionDoc = FunctionDoc {
    name: "CORRELATION",
    aliases: &["CORR"],
    category: "AGGREGATE",
    signatures: &["CORRELATION(x, y)"],
    description: "Pearson's correlation coefficient of two numbers, from -1 to 1. Rows where either is NULL do not count; \
                  NaN for less than two rows, and where all x or all y are the same.",
    examples: &[("CORRELATION(x, y) of (1, 2), (2, 4), (3, 6)", "1.0")],
};

impl AggregateFunction for Correlation {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let resolved = resolve("CORRELATION", &[Shape::new(&[Param::Double, Param::Double])], args)?;
        Ok(BoundAggregate::of_streams(value_types(&resolved), SqlType::Double, make(CorrelationFold))
            .with_same_for_tables()
            .as_dialect_has_it())
    }
}

/// Count, means, squares and product of the differences from the means; count of pairs with a value not finite.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    count: i64,
    not_finite: i64,
    mean_x: f64,
    mean_y: f64,
    squares_x: f64,
    squares_y: f64,
    products: f64,
}

impl Pairs {
    fn add(&mut self, x: f64, y: f64) {
        self.count = self.count.saturating_add(1);
        let count = self.count as f64;
        let (from_x, from_y) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += from_x / count;
        self.mean_y += from_y / count;
        self.squares_x += from_x * (x - self.mean_x);
        self.squares_y += from_y * (y - self.mean_y);
        self.products += from_x * (y - self.mean_y);
    }

    fn take_back(&mut self, x: f64, y: f64) {
        if self.count <= 1 {
            *self = Pairs { not_finite: self.not_finite, ..Pairs::default() };
            return;
        }
        self.count -= 1;
        let count = self.count as f64;
        let (from_x, from_y) = (x - self.mean_x, y - self.mean_y);
        self.mean_x -= from_x / count;
        self.mean_y -= from_y / count;
        self.squares_x = (self.squares_x - from_x * (x - self.mean_x)).max(0.0);
        self.squares_y = (self.squares_y - from_y * (y - self.mean_y)).max(0.0);
        self.products -= (x - self.mean_x) * from_y;
        if self.count == 1 {
            (self.squares_x, self.squares_y, self.products) = (0.0, 0.0, 0.0);
        }
    }

    fn merge(&mut self, other: &Pairs) {
        self.not_finite = self.not_finite.saturating_add(other.not_finite);
        if other.count == 0 {
            return;
        }
        let (left, right) = (self.count as f64, other.count as f64);
        self.count = self.count.saturating_add(other.count);
        let total = self.count as f64;
        let (x, y) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        self.mean_x += x * right / total;
        self.mean_y += y * right / total;
        let weight = left * right / total;
        self.squares_x += other.squares_x + x * x * weight;
        self.squares_y += other.squares_y + y * y * weight;
        self.products += other.products + x * y * weight;
    }

    fn get(&self) -> f64 {
        if self.not_finite > 0 || self.count < 2 {
            return f64::NAN;
        }
        (self.products / (self.squares_x.sqrt() * self.squares_y.sqrt())).clamp(-1.0, 1.0)
    }
}

#[derive(Clone)]
struct CorrelationFold;

impl Fold for CorrelationFold {
    type State = Pairs;
    type Input<'a> = (&'a Float64Array, &'a Float64Array);
    type Output = Vec<f64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Self::Input<'a>> {
        let column = |at: usize| args.get(at)?.as_primitive_opt::<Float64Type>();
        Some((column(0)?, column(1)?))
    }

    fn add(&mut self, state: &mut Pairs, (x, y): &Self::Input<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if x.is_valid(row) && y.is_valid(row) {
            let (x, y) = (x.value(row), y.value(row));
            if x.is_finite() && y.is_finite() {
                state.add(x, y);
            } else {
                state.not_finite = state.not_finite.saturating_add(1);
            }
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Pairs, (x, y): &Self::Input<'_>, row: usize) -> Result<(), Reason> {
        if x.is_valid(row) && y.is_valid(row) {
            let (x, y) = (x.value(row), y.value(row));
            if x.is_finite() && y.is_finite() {
                state.take_back(x, y);
            } else {
                state.not_finite = state.not_finite.saturating_sub(1);
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Pairs, from: &Pairs, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, capacity: usize) -> Vec<f64> {
        Vec::with_capacity(capacity)
    }

    fn emit(&self, state: &Pairs, output: &mut Vec<f64>) {
        output.push(state.get());
    }

    fn finish(&self, output: Vec<f64>, _rows: usize) -> ArrayRef {
        Arc::new(Float64Array::from(output))
    }

    fn write(&self, state: &Pairs, out: &mut Vec<u8>) {
        write_whole(i128::from(state.count), out);
        write_whole(i128::from(state.not_finite), out);
        for number in [state.mean_x, state.mean_y, state.squares_x, state.squares_y, state.products] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Pairs> {
        let mut count = || i64::try_from(read_whole(input)?).map_err(|_| corrupt("a count is too large"));
        let (count, not_finite) = (count()?, count()?);
        let mut number = || Ok::<_, types::Error>(f64::from_le_bytes(take(input)?));
        let (mean_x, mean_y, squares_x) = (number()?, number()?, number()?);
        Ok(Pairs { count, not_finite, mean_x, mean_y, squares_x, squares_y: number()?, products: number()? })
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn coefficients() {
        check(
            "CORRELATION",
            &["DOUBLE", "DOUBLE"],
            &["1.5, 8.0", "-1.0, -2.0", "null, 3.0", "-4.5, -1.0"],
            &["NaN", "1.0", "1.0", "0.7580764521133173"],
        );
        check(
            "CORRELATION",
            &["INTEGER", "BIGINT"],
            &["1, 8", "-1, -2", "-4, -1", "- -4, -1", "- 1, 8"],
            &["NaN", "1.0", "0.7455284088780169", "1.0", "NaN"],
        );
        check("CORRELATION", &["DOUBLE", "DOUBLE"], &["0.1, 1.0", "0.1, 2.0", "0.1, 3.0"], &["NaN"; 3]);
        check_merge(
            "CORRELATION",
            &["INTEGER", "INTEGER"],
            &["1, 8", "-1, -2"],
            &["-4, -1"],
            true,
            "0.7455284088780169",
        );
    }
}
