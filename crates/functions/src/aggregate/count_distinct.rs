//! COUNT_DISTINCT: how many different values there are.
//!
//! Exact up to [`EXACT_MAX`] values (of which 64-bit hashes are kept); beyond, HyperLogLog with 2^12 registers, whose
//! standard error is 1.6 %, read by Otmar Ertl's estimator ("New cardinality estimation algorithms for HyperLogLog
//! sketches", 2017), which needs no correction tables. Over tables every value is kept with its count.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array},
    datatypes::DataType,
};
use types::{Result, SqlType};

use super::{
    cell::{Multiset, encoded_input},
    groups::{Fold, Reason, given_types, make},
};
use crate::{
    AggregateFunction, ArgType, BoundAggregate, FunctionDoc,
    encoded::{Reader, corrupt, read_varint, take, write_varint},
    overload::{Param, Shape, no_overload},
};

/// COUNT_DISTINCT.
pub struct CountDistinct;

static DOC: FunctionDoc = FunctionDoc {
    name: "COUNT_DISTINCT",
    aliases: &[],
    category: "AGGREGATE",
    signatures: &["COUNT_DISTINCT(value)"],
    description: "The number of different values that are not NULL: exact up to 256, beyond that an estimate with a \
                  standard error of 1.6 %.",
    examples: &[("COUNT_DISTINCT(value) of 'a', 'b', 'a', NULL", "2")],
};

impl AggregateFunction for CountDistinct {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType], _literals: &[Option<ArrayRef>]) -> Result<BoundAggregate> {
        let types = given_types(args).unwrap_or_default();
        let [ty] = types.as_slice() else {
            return Err(no_overload("COUNT_DISTINCT", &[Shape::new(&[Param::Any])], args));
        };
        let arrow = ty.to_arrow();
        let tables = make(RetractableDistinctCount { ty: arrow.clone(), scratch: Vec::new() });
        let streams = make(DistinctCount { ty: arrow, scratch: Vec::new() });
        Ok(BoundAggregate::of_streams(types.clone(), SqlType::BigInt, streams).with_tables(tables))
    }
}

/// Values up to which the count is exact.
const EXACT_MAX: usize = 256;
/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 12;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The highest rank that a register can hold.
const RANK_MAX: u8 = (64 - INDEX_BITS) as u8 + 1;

/// Of few values the hashes, of many the registers.
#[derive(Debug)]
enum Sketch {
    Few(BTreeSet<u64>),
    Many(Box<[u8]>),
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch::Few(BTreeSet::new())
    }
}

/// A hash that is the same on every machine and in every version, since states keep it: eight bytes a step, mixed by
/// multiplication and rotation, finished as MurmurHash3 does.
fn hash(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = PRIME ^ (bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0_u8; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        state = (state ^ finish(u64::from_le_bytes(word))).rotate_left(27).wrapping_mul(PRIME);
    }
    finish(state)
}

fn finish(mut state: u64) -> u64 {
    state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    state ^ (state >> 33)
}

fn raise(registers: &mut [u8], hash: u64) {
    let index = (hash >> (64 - INDEX_BITS)) as usize;
    let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() + 1;
    if let Some(register) = registers.get_mut(index) {
        *register = (*register).max(u8::try_from(rank).unwrap_or(RANK_MAX).min(RANK_MAX));
    }
}

impl Sketch {
    fn insert(&mut self, hash: u64) {
        match self {
            Sketch::Many(registers) => raise(registers, hash),
            Sketch::Few(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT_MAX {
                    let mut registers = vec![0; REGISTERS].into_boxed_slice();
                    hashes.iter().for_each(|h| raise(&mut registers, *h));
                    *self = Sketch::Many(registers);
                }
            }
        }
    }

    fn merge(&mut self, other: &Sketch) {
        match (&mut *self, other) {
            (_, Sketch::Few(hashes)) => hashes.iter().for_each(|h| self.insert(*h)),
            (Sketch::Many(into), Sketch::Many(from)) => {
                into.iter_mut().zip(from.iter()).for_each(|(a, b)| *a = (*a).max(*b));
            }
            (Sketch::Few(hashes), Sketch::Many(from)) => {
                let mut registers = from.clone();
                hashes.iter().for_each(|h| raise(&mut registers, *h));
                *self = Sketch::Many(registers);
            }
        }
    }

    fn estimate(&self) -> i64 {
        match self {
            Sketch::Few(hashes) => i64::try_from(hashes.len()).unwrap_or(i64::MAX),
            Sketch::Many(registers) => estimate(registers),
        }
    }
}

fn estimate(registers: &[u8]) -> i64 {
    let mut counts = [0_u32; RANK_MAX as usize + 1];
    for rank in registers {
        if let Some(count) = counts.get_mut(usize::from(*rank)) {
            *count += 1;
        }
    }
    let m = REGISTERS as f64;
    let count = |rank: u8| f64::from(counts.get(usize::from(rank)).copied().unwrap_or(0));
    let mut z = m * tau(1.0 - count(RANK_MAX) / m);
    for rank in (1..RANK_MAX).rev() {
        z = 0.5 * (z + count(rank));
    }
    z += m * sigma(count(0) / m);
    let estimate = m * m / (2.0 * std::f64::consts::LN_2 * z);
    estimate.round() as i64
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[derive(Clone)]
struct DistinctCount {
    ty: DataType,
    scratch: Vec<u8>,
}

impl Fold for DistinctCount {
    type State = Sketch;
    type Input<'a> = Reader<'a>;
    type Output = Vec<i64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.ty)
    }

    fn add(&mut self, state: &mut Sketch, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if !input.is_null(row) {
            self.scratch.clear();
            input.write_canonical(row, &mut self.scratch);
            state.insert(hash(&self.scratch));
        }
        Ok(())
    }

    fn merge(&self, into: &mut Sketch, from: &Sketch, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, capacity: usize) -> Vec<i64> {
        Vec::with_capacity(capacity)
    }

    fn emit(&self, state: &Sketch, output: &mut Vec<i64>) {
        output.push(state.estimate());
    }

    fn finish(&self, output: Vec<i64>, _rows: usize) -> ArrayRef {
        Arc::new(Int64Array::from(output))
    }

    fn write(&self, state: &Sketch, out: &mut Vec<u8>) {
        match state {
            Sketch::Few(hashes) => {
                out.push(0);
                write_varint(hashes.len() as u64, out);
                hashes.iter().for_each(|h| out.extend_from_slice(&h.to_le_bytes()));
            }
            Sketch::Many(registers) => {
                out.push(1);
                out.extend_from_slice(registers);
            }
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Sketch> {
        match take::<1>(input)? {
            [0] => {
                let mut hashes = BTreeSet::new();
                for _ in 0..read_varint(input)? {
                    hashes.insert(u64::from_le_bytes(take(input)?));
                }
                if hashes.len() > EXACT_MAX {
                    return Err(corrupt("more values than are counted one by one"));
                }
                Ok(Sketch::Few(hashes))
            }
            [1] => {
                let registers = take::<REGISTERS>(input)?;
                if registers.iter().any(|rank| *rank > RANK_MAX) {
                    return Err(corrupt("a register is too large"));
                }
                Ok(Sketch::Many(registers.into()))
            }
            _ => Err(corrupt("neither few values nor many")),
        }
    }

    fn heap_bytes(state: &Sketch) -> usize {
        match state {
            Sketch::Few(hashes) => hashes.len() * 2 * size_of::<u64>(),
            Sketch::Many(registers) => registers.len(),
        }
    }
}

/// Exact, when rows go again.
#[derive(Clone)]
struct RetractableDistinctCount {
    ty: DataType,
    scratch: Vec<u8>,
}

impl Fold for RetractableDistinctCount {
    type State = Multiset;
    type Input<'a> = Reader<'a>;
    type Output = Vec<i64>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.ty)
    }

    fn add(&mut self, state: &mut Multiset, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if !input.is_null(row) {
            self.scratch.clear();
            input.write_canonical(row, &mut self.scratch);
            state.insert(&self.scratch, 1);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Multiset, input: &Reader<'_>, row: usize) -> Result<(), Reason> {
        if !input.is_null(row) {
            self.scratch.clear();
            input.write_canonical(row, &mut self.scratch);
            state.remove(&self.scratch);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Multiset, from: &Multiset, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, capacity: usize) -> Vec<i64> {
        Vec::with_capacity(capacity)
    }

    fn emit(&self, state: &Multiset, output: &mut Vec<i64>) {
        output.push(i64::try_from(state.distinct()).unwrap_or(i64::MAX));
    }

    fn finish(&self, output: Vec<i64>, _rows: usize) -> ArrayRef {
        Arc::new(Int64Array::from(output))
    }

    fn write(&self, state: &Multiset, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<Multiset> {
        Multiset::read(&self.ty, input)
    }

    fn heap_bytes(state: &Multiset) -> usize {
        state.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{Sketch, hash};
    use crate::aggregate::tests::{check, check_merge};

    #[test]
    fn counts_different_values() {
        check(
            "COUNT_DISTINCT",
            &["STRING"],
            &["a", "b", "a", "null", "c", "- a", "- a"],
            &["1", "2", "2", "2", "3", "3", "2"],
        );
        check("COUNT_DISTINCT", &["ARRAY<INTEGER>"], &["[1,2]", "[2,1]", "[1,2]"], &["1", "2", "2"]);
        check_merge("COUNT_DISTINCT", &["INTEGER"], &["1", "2"], &["2", "3"], true, "3");
    }

    #[test]
    fn estimates_of_many_are_near() {
        for count in [200_u64, 257, 1_000, 10_000, 100_000, 1_000_000] {
            let (mut whole, mut left, mut right) = (Sketch::default(), Sketch::default(), Sketch::default());
            for value in 0..count {
                let hash = hash(&value.to_be_bytes());
                whole.insert(hash);
                if value % 3 == 0 { left.insert(hash) } else { right.insert(hash) }
            }
            left.merge(&right);
            assert_eq!(whole.estimate(), left.estimate(), "{count}: the parts merged are the whole");
            let error = (whole.estimate() as f64 - count as f64).abs() / count as f64;
            assert!(error < 0.05, "{count}: estimated {}", whole.estimate());
        }
    }

    #[test]
    fn the_hash_stays_what_it_is() {
        assert_eq!(
            [hash(b""), hash(b"a"), hash(b"a\0"), hash(b"123456789")],
            [
                11_286_133_854_226_296_554,
                17_407_336_959_004_541_726,
                12_503_665_729_924_320_125,
                11_535_999_949_583_733_842,
            ]
        );
    }
}
