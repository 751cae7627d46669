//! CORRELATION: Pearson's coefficient of two numbers, from sums of twice a DOUBLE's precision, as in `moments`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array},
    datatypes::Float64Type,
};
use types::{Result, SqlType};

use super::{
    groups::{Fold, Reason, make, value_types},
    number::{read_whole, write_whole},
    wide::{SUMMED_MAX, Wide, centered},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::corrupt,
    overload::{Param, Shape, resolve},
};

/// CORRELATION.
pub struct Correlation;

static DOC: FunctionDoc = FunctionDoc {
    name: "CORRELATION",
    aliases: &["CORR"],
    category: "AGGREGATE",
    signatures: &["CORRELATION(x, y)"],
    description: "Pearson's correlation coefficient of two numbers, from -1 to 1. Rows where either is NULL do not \
                  count; NaN for less than two rows, and where all x or all y are the same.",
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
            .like_the_dialect())
    }
}

/// Count and sums of the pairs; count of those with a value that is NaN or too large.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    count: i64,
    odd: i64,
    x: Wide,
    y: Wide,
    xx: Wide,
    yy: Wide,
    xy: Wide,
}

impl Pairs {
    fn add(&mut self, x: f64, y: f64) {
        if !(x.abs() <= SUMMED_MAX && y.abs() <= SUMMED_MAX) {
            self.odd = self.odd.saturating_add(1);
            return;
        }
        self.count = self.count.saturating_add(1);
        self.x = self.x.plus(Wide::of(x));
        self.y = self.y.plus(Wide::of(y));
        self.xx = self.xx.plus(Wide::product(x, x));
        self.yy = self.yy.plus(Wide::product(y, y));
        self.xy = self.xy.plus(Wide::product(x, y));
    }

    fn take_back(&mut self, x: f64, y: f64) {
        if !(x.abs() <= SUMMED_MAX && y.abs() <= SUMMED_MAX) {
            self.odd = self.odd.saturating_sub(1);
            return;
        }
        if self.count <= 1 {
            *self = Pairs { odd: self.odd, ..Pairs::default() };
            return;
        }
        self.count -= 1;
        self.x = self.x.minus(Wide::of(x));
        self.y = self.y.minus(Wide::of(y));
        self.xx = self.xx.minus(Wide::product(x, x));
        self.yy = self.yy.minus(Wide::product(y, y));
        self.xy = self.xy.minus(Wide::product(x, y));
    }

    fn merge(&mut self, other: &Pairs) {
        self.count = self.count.saturating_add(other.count);
        self.odd = self.odd.saturating_add(other.odd);
        self.x = self.x.plus(other.x);
        self.y = self.y.plus(other.y);
        self.xx = self.xx.plus(other.xx);
        self.yy = self.yy.plus(other.yy);
        self.xy = self.xy.plus(other.xy);
    }

    fn get(&self) -> f64 {
        if self.odd > 0 || self.count < 2 {
            return f64::NAN;
        }
        let count = self.count as f64;
        let (xx, yy) = (centered(self.xx, self.x, self.x, count), centered(self.yy, self.y, self.y, count));
        if xx <= 0.0 || yy <= 0.0 {
            return f64::NAN;
        }
        (centered(self.xy, self.x, self.y, count) / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)
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
            state.add(x.value(row), y.value(row));
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Pairs, (x, y): &Self::Input<'_>, row: usize) -> Result<(), Reason> {
        if x.is_valid(row) && y.is_valid(row) {
            state.take_back(x.value(row), y.value(row));
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
        write_whole(i128::from(state.odd), out);
        [state.x, state.y, state.xx, state.yy, state.xy].into_iter().for_each(|sum| sum.write(out));
    }

    fn read(&self, input: &mut &[u8]) -> Result<Pairs> {
        let mut count = || i64::try_from(read_whole(input)?).map_err(|_| corrupt("a count is too large"));
        let (count, odd) = (count()?, count()?);
        let mut sum = || Wide::read(input);
        Ok(Pairs { count, odd, x: sum()?, y: sum()?, xx: sum()?, yy: sum()?, xy: sum()? })
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
