//! What TOPK and TOPKDISTINCT share: the largest values, at most k. Over streams only those are kept; over tables all,
//! since a row among the first k may go.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use arrow::{array::ArrayRef, datatypes::DataType};
use types::{Result, SqlType, StructField};

use super::{
    cell::{Cells, Multiset, encoded_input, finish_column},
    groups::{Fold, Reason},
};
use crate::{
    encoded::{Builder, END, MORE, Reader, VALUE, corrupt, read_varint, skip, write_varint},
    overload::{Param, Shape},
};

/// What TOPKDISTINCT takes, and TOPK without further columns.
pub(crate) const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Int, Param::Int]),
    Shape::new(&[Param::BigInt, Param::Int]),
    Shape::new(&[Param::Decimal, Param::Int]),
    Shape::new(&[Param::Double, Param::Int]),
    Shape::new(&[Param::String, Param::Int]),
    Shape::new(&[Param::Bytes, Param::Int]),
    Shape::new(&[Param::Date, Param::Int]),
    Shape::new(&[Param::Time, Param::Int]),
    Shape::new(&[Param::Timestamp, Param::Int]),
];

/// Columns of which rows are ranked by the first.
#[derive(Clone)]
pub(crate) struct Ranked {
    columns: Vec<DataType>,
    result: DataType,
    k: usize,
    key: Vec<u8>,
    rest: Vec<u8>,
}

impl Ranked {
    pub(crate) fn new(columns: &[SqlType], k: usize) -> (Ranked, SqlType) {
        let element = match columns {
            [only] => only.clone(),
            many => {
                let name = |at: usize| if at == 0 { "sort_col".to_owned() } else { format!("col{}", at - 1) };
                let field = |(at, ty): (usize, &SqlType)| StructField { name: name(at), ty: ty.clone() };
                SqlType::Struct(many.iter().enumerate().map(field).collect())
            }
        };
        let result = SqlType::Array(Box::new(element));
        let columns = columns.iter().map(SqlType::to_arrow).collect();
        (Ranked { columns, result: result.to_arrow(), k, key: Vec::new(), rest: Vec::new() }, result)
    }

    fn open<'a>(&self, args: &'a [ArrayRef]) -> Option<Vec<Reader<'a>>> {
        self.columns.iter().enumerate().map(|(at, ty)| encoded_input(args, at, ty)).collect()
    }

    /// Encode the row's rank and its other columns; `false` if it has no rank.
    fn encode(&mut self, input: &[Reader<'_>], row: usize) -> bool {
        let Some((key, rest)) = input.split_first() else { return false };
        if key.is_null(row) {
            return false;
        }
        self.key.clear();
        key.write(row, &mut self.key);
        self.rest.clear();
        rest.iter().for_each(|column| column.write(row, &mut self.rest));
        true
    }

    fn read_row<'a>(&self, input: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
        let (key_type, rest_types) = self.columns.split_first().ok_or_else(|| corrupt("it has no columns"))?;
        let key = skip(key_type, input)?;
        if key == crate::encoded::NULL_BYTES {
            return Err(corrupt("a row has no rank"));
        }
        let start = *input;
        for ty in rest_types {
            skip(ty, input)?;
        }
        Ok((key, start.get(..start.len() - input.len()).unwrap_or_default()))
    }

    fn emit_rows<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>, output: &mut (Builder, Vec<u8>)) {
        let (builder, scratch) = output;
        scratch.clear();
        scratch.push(VALUE);
        for (key, rest) in rows.take(self.k) {
            scratch.push(MORE);
            if self.columns.len() > 1 {
                scratch.push(VALUE);
            }
            scratch.extend_from_slice(key);
            scratch.extend_from_slice(rest);
        }
        scratch.push(END);
        Cells::push(builder, Some(scratch));
    }

    fn builder(&self) -> (Builder, Vec<u8>) {
        (Cells::builder(&self.result), Vec::new())
    }
}

/// A kept row: its rank, its other columns.
type Row = (Box<[u8]>, Box<[u8]>);

/// The k largest, the largest first; of equals, the one that came first.
#[derive(Clone)]
pub(crate) struct TopFold {
    pub(crate) ranked: Ranked,
    pub(crate) distinct: bool,
}

/// The rows that TopFold keeps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    rows: Vec<Row>,
    bytes: usize,
}

impl TopFold {
    fn offer(&self, state: &mut Kept, key: &[u8], rest: &[u8]) {
        let at = state.rows.partition_point(|(old, _)| old.as_ref() >= key);
        let known = || at.checked_sub(1).and_then(|i| state.rows.get(i)).is_some_and(|(old, _)| old.as_ref() == key);
        if at >= self.ranked.k || (self.distinct && known()) {
            return;
        }
        if state.rows.len() >= self.ranked.k
            && let Some((key, rest)) = state.rows.pop()
        {
            state.bytes -= key.len() + rest.len();
        }
        state.bytes += key.len() + rest.len();
        state.rows.insert(at, (key.into(), rest.into()));
    }
}

impl Fold for TopFold {
    type State = Kept;
    type Input<'a> = Vec<Reader<'a>>;
    type Output = (Builder, Vec<u8>);

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Vec<Reader<'a>>> {
        self.ranked.open(args)
    }

    fn add(&mut self, state: &mut Kept, input: &Vec<Reader<'_>>, row: usize, _number: u64) -> Result<(), Reason> {
        if self.ranked.encode(input, row) {
            self.offer(state, &self.ranked.key, &self.ranked.rest);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Kept, from: &Kept, from_is_later: bool) {
        if from_is_later {
            from.rows.iter().for_each(|(key, rest)| self.offer(into, key, rest));
        } else {
            let mut merged = Kept::default();
            let rows = from.rows.iter().chain(&into.rows);
            rows.for_each(|(key, rest)| self.offer(&mut merged, key, rest));
            *into = merged;
        }
    }

    fn output(&self, _capacity: usize) -> Self::Output {
        self.ranked.builder()
    }

    fn emit(&self, state: &Kept, output: &mut Self::Output) {
        self.ranked.emit_rows(state.rows.iter().map(|(key, rest)| (key.as_ref(), rest.as_ref())), output);
    }

    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef {
        finish_column(output.0, &self.ranked.result, rows)
    }

    fn write(&self, state: &Kept, out: &mut Vec<u8>) {
        write_varint(state.rows.len() as u64, out);
        for (key, rest) in &state.rows {
            out.extend_from_slice(key);
            out.extend_from_slice(rest);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Kept> {
        let mut state = Kept::default();
        for _ in 0..read_varint(input)? {
            let (key, rest) = self.ranked.read_row(input)?;
            self.offer(&mut state, key, rest);
        }
        Ok(state)
    }

    fn heap_bytes(state: &Kept) -> usize {
        state.bytes + state.rows.capacity() * size_of::<Row>()
    }
}

/// As [`TopFold`] for TOPK, when rows go again.
#[derive(Clone)]
pub(crate) struct RetractableTopFold(pub(crate) Ranked);

/// Where a row stands: by rank, then by number.
type Place = (Reverse<Arc<[u8]>>, u64);

/// All rows, the largest first.
#[derive(Debug, Default)]
pub(crate) struct AllRanked {
    rows: BTreeMap<Place, Box<[u8]>>,
    bytes: usize,
}

impl AllRanked {
    fn insert(&mut self, key: &[u8], rest: &[u8], number: u64) {
        let mut place = (Reverse(Arc::from(key)), number);
        while self.rows.contains_key(&place) {
            place.1 = place.1.wrapping_add(1);
        }
        self.bytes += key.len() + rest.len() + 64;
        self.rows.insert(place, rest.into());
    }

    fn remove(&mut self, key: &[u8], rest: &[u8]) {
        let key: Arc<[u8]> = key.into();
        let from = (Reverse(Arc::clone(&key)), 0);
        let to = (Reverse(Arc::clone(&key)), u64::MAX);
        let found = self.rows.range(from..=to).find(|(_, old)| old.as_ref() == rest).map(|(place, _)| place.clone());
        if let Some(place) = found {
            self.bytes -= key.len() + rest.len() + 64;
            self.rows.remove(&place);
        }
    }
}

impl Fold for RetractableTopFold {
    type State = AllRanked;
    type Input<'a> = Vec<Reader<'a>>;
    type Output = (Builder, Vec<u8>);

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Vec<Reader<'a>>> {
        self.0.open(args)
    }

    fn add(&mut self, state: &mut AllRanked, input: &Vec<Reader<'_>>, row: usize, number: u64) -> Result<(), Reason> {
        if self.0.encode(input, row) {
            state.insert(&self.0.key, &self.0.rest, number);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut AllRanked, input: &Vec<Reader<'_>>, row: usize) -> Result<(), Reason> {
        if self.0.encode(input, row) {
            state.remove(&self.0.key, &self.0.rest);
        }
        Ok(())
    }

    fn merge(&self, into: &mut AllRanked, from: &AllRanked, _from_is_later: bool) {
        for ((Reverse(key), number), rest) in &from.rows {
            into.insert(key, rest, *number);
        }
    }

    fn output(&self, _capacity: usize) -> Self::Output {
        self.0.builder()
    }

    fn emit(&self, state: &AllRanked, output: &mut Self::Output) {
        self.0.emit_rows(state.rows.iter().map(|((Reverse(key), _), rest)| (key.as_ref(), rest.as_ref())), output);
    }

    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef {
        finish_column(output.0, &self.0.result, rows)
    }

    fn write(&self, state: &AllRanked, out: &mut Vec<u8>) {
        write_varint(state.rows.len() as u64, out);
        for ((Reverse(key), number), rest) in &state.rows {
            write_varint(*number, out);
            out.extend_from_slice(key);
            out.extend_from_slice(rest);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<AllRanked> {
        let mut state = AllRanked::default();
        for _ in 0..read_varint(input)? {
            let number = read_varint(input)?;
            let (key, rest) = self.0.read_row(input)?;
            state.insert(key, rest, number);
        }
        Ok(state)
    }

    fn heap_bytes(state: &AllRanked) -> usize {
        state.bytes
    }

    fn last_number(state: &AllRanked) -> u64 {
        state.rows.keys().map(|(_, number)| *number).max().unwrap_or(0)
    }
}

/// As [`TopFold`] for TOPKDISTINCT, when rows go again.
#[derive(Clone)]
pub(crate) struct RetractableDistinctFold(pub(crate) Ranked);

impl Fold for RetractableDistinctFold {
    type State = Multiset;
    type Input<'a> = Vec<Reader<'a>>;
    type Output = (Builder, Vec<u8>);

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Vec<Reader<'a>>> {
        self.0.open(args)
    }

    fn add(&mut self, state: &mut Multiset, input: &Vec<Reader<'_>>, row: usize, _number: u64) -> Result<(), Reason> {
        if self.0.encode(input, row) {
            state.insert(&self.0.key, 1);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Multiset, input: &Vec<Reader<'_>>, row: usize) -> Result<(), Reason> {
        if self.0.encode(input, row) {
            state.remove(&self.0.key);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Multiset, from: &Multiset, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, _capacity: usize) -> Self::Output {
        self.0.builder()
    }

    fn emit(&self, state: &Multiset, output: &mut Self::Output) {
        let nothing: &[u8] = &[];
        self.0.emit_rows(state.iter().rev().map(|(key, _)| (key, nothing)), output);
    }

    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef {
        finish_column(output.0, &self.0.result, rows)
    }

    fn write(&self, state: &Multiset, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<Multiset> {
        match self.0.columns.first() {
            Some(ty) => Multiset::read(ty, input),
            None => Err(corrupt("it has no columns")),
        }
    }

    fn heap_bytes(state: &Multiset) -> usize {
        state.heap_bytes()
    }
}
