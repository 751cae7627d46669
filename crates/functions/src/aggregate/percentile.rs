//! What PERCENTILE_CONT and PERCENTILE_DISC share: every value with its count, in order, so that results are exact and
//! rows can be taken back. The state grows with the number of different values.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder},
    datatypes::Float64Type,
};
use types::{Result, SqlType};

use super::{
    constant,
    groups::{Fold, Reason, make, value_types},
};
use crate::{
    ArgType, BoundAggregate,
    encoded::{corrupt, f64_of_order, f64_order, read_varint, take, write_varint},
    overload::{Param, Shape, resolve},
};

/// PERCENTILE_CONT, or PERCENTILE_DISC.
pub(crate) fn bind<const CONTINUOUS: bool>(
    name: &str,
    args: &[ArgType],
    literals: &[Option<ArrayRef>],
) -> Result<BoundAggregate> {
    let resolved = resolve(name, &[Shape::new(&[Param::Double, Param::Double])], args)?;
    let fraction = constant::fraction(name, "the fraction", literals, 1)?;
    let states = make(PercentileFold::<CONTINUOUS> { fraction });
    Ok(BoundAggregate::of_streams(value_types(&resolved), SqlType::Double, states).with_same_for_tables())
}

#[derive(Clone)]
struct PercentileFold<const CONTINUOUS: bool> {
    fraction: f64,
}

/// Values, by keys that order as they do, with their counts; how many there are in all.
#[derive(Debug, Default)]
struct Ordered {
    counts: BTreeMap<i64, u64>,
    total: u64,
}

impl Ordered {
    fn insert(&mut self, key: i64, count: u64) {
        let old = self.counts.entry(key).or_insert(0);
        *old = old.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// The value at place `nth`, counted from 0.
    fn nth(&self, nth: u64) -> Option<f64> {
        let mut before = 0_u64;
        for (key, count) in &self.counts {
            before = before.saturating_add(*count);
            if before > nth {
                return Some(f64_of_order(*key));
            }
        }
        None
    }
}

impl<const CONTINUOUS: bool> PercentileFold<CONTINUOUS> {
    fn value(&self, state: &Ordered) -> Option<f64> {
        let last = state.total.checked_sub(1)?;
        if !CONTINUOUS {
            // The first value at or below which lies that fraction of all.
            let reached = (self.fraction * state.total as f64).ceil() as u64;
            return state.nth(reached.saturating_sub(1).min(last));
        }
        let place = self.fraction * last as f64;
        let (below, above) = (state.nth(place.floor() as u64)?, state.nth((place.ceil() as u64).min(last))?);
        let part = place - place.floor();
        Some(if part == 0.0 || below == above { below } else { below + (above - below) * part })
    }
}

impl<const CONTINUOUS: bool> Fold for PercentileFold<CONTINUOUS> {
    type State = Ordered;
    type Input<'a> = &'a Float64Array;
    type Output = Float64Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a Float64Array> {
        args.first()?.as_primitive_opt::<Float64Type>()
    }

    fn add(&mut self, state: &mut Ordered, input: &&Float64Array, row: usize, _number: u64) -> Result<(), Reason> {
        if input.is_valid(row) {
            state.insert(f64_order(input.value(row)), 1);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Ordered, input: &&Float64Array, row: usize) -> Result<(), Reason> {
        if input.is_valid(row) {
            let key = f64_order(input.value(row));
            if let Some(count) = state.counts.get_mut(&key) {
                *count -= 1;
                state.total -= 1;
                if *count == 0 {
                    state.counts.remove(&key);
                }
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Ordered, from: &Ordered, _from_is_later: bool) {
        from.counts.iter().for_each(|(key, count)| into.insert(*key, *count));
    }

    fn output(&self, capacity: usize) -> Float64Builder {
        Float64Builder::with_capacity(capacity)
    }

    fn emit(&self, state: &Ordered, output: &mut Float64Builder) {
        output.append_option(self.value(state));
    }

    fn finish(&self, mut output: Float64Builder, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, state: &Ordered, out: &mut Vec<u8>) {
        write_varint(state.counts.len() as u64, out);
        for (key, count) in &state.counts {
            out.extend_from_slice(&key.to_le_bytes());
            write_varint(*count, out);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Ordered> {
        let mut state = Ordered::default();
        for _ in 0..read_varint(input)? {
            let key = i64::from_le_bytes(take(input)?);
            let count = read_varint(input)?;
            let total = state.total.checked_add(count).ok_or_else(|| corrupt("a count is too large"))?;
            if count == 0 || state.counts.insert(key, count).is_some() {
                return Err(corrupt("a value stands there twice, or never"));
            }
            state.total = total;
        }
        Ok(state)
    }

    fn heap_bytes(state: &Ordered) -> usize {
        state.counts.len() * 2 * size_of::<u64>()
    }
}
