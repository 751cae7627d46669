//! What ARG_MAX and ARG_MIN share: the value of the row whose other column is extreme. They are TOPK of one row, ranked
//! by the second argument, of which the first is shown.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::ArrayRef, datatypes::DataType};
use types::Result;

use super::{
    cell::{Cells, encoded_input, finish_column},
    groups::{Fold, Reason, make, value_types},
};
use crate::{
    ArgType, BoundAggregate,
    encoded::{Builder, NULL_BYTES, Reader, corrupt, read_varint, skip, take, write_varint},
    overload::{Param, Shape, resolve},
};

const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Any, Param::Int]),
    Shape::new(&[Param::Any, Param::BigInt]),
    Shape::new(&[Param::Any, Param::Decimal]),
    Shape::new(&[Param::Any, Param::Double]),
    Shape::new(&[Param::Any, Param::Boolean]),
    Shape::new(&[Param::Any, Param::String]),
    Shape::new(&[Param::Any, Param::Bytes]),
    Shape::new(&[Param::Any, Param::Date]),
    Shape::new(&[Param::Any, Param::Time]),
    Shape::new(&[Param::Any, Param::Timestamp]),
];

/// ARG_MAX or ARG_MIN.
pub(crate) fn bind<const MAX: bool>(name: &str, args: &[ArgType]) -> Result<BoundAggregate> {
    let resolved = resolve(name, SHAPES, args)?;
    let columns = Columns {
        value: resolved.value(0).to_arrow(),
        rank: resolved.value(1).to_arrow(),
        value_bytes: Vec::new(),
        rank_bytes: Vec::new(),
    };
    let tables = make(AllFold::<MAX>(columns.clone()));
    Ok(BoundAggregate::of_streams(value_types(&resolved), resolved.value(0), make(OneFold::<MAX>(columns)))
        .with_tables(tables))
}

#[derive(Clone)]
struct Columns {
    value: DataType,
    rank: DataType,
    value_bytes: Vec<u8>,
    rank_bytes: Vec<u8>,
}

impl Columns {
    fn open<'a>(&self, args: &'a [ArrayRef]) -> Option<(Reader<'a>, Reader<'a>)> {
        Some((encoded_input(args, 0, &self.value)?, encoded_input(args, 1, &self.rank)?))
    }

    /// Encode both; `false` for a row without a rank.
    fn encode(&mut self, (value, rank): &(Reader<'_>, Reader<'_>), row: usize) -> bool {
        if rank.is_null(row) {
            return false;
        }
        self.value_bytes.clear();
        value.write_canonical(row, &mut self.value_bytes);
        self.rank_bytes.clear();
        rank.write(row, &mut self.rank_bytes);
        true
    }

    fn read<'a>(&self, input: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
        let rank = skip(&self.rank, input)?;
        if rank == NULL_BYTES {
            return Err(corrupt("a row has no rank"));
        }
        Ok((rank, skip(&self.value, input)?))
    }
}

/// The row that leads: its rank and value.
type Leader = Option<(Box<[u8]>, Box<[u8]>)>;

#[derive(Clone)]
struct OneFold<const MAX: bool>(Columns);

fn leads<const MAX: bool>(new: &[u8], old: &[u8]) -> bool {
    if MAX { new > old } else { new < old }
}

impl<const MAX: bool> Fold for OneFold<MAX> {
    type State = Leader;
    type Input<'a> = (Reader<'a>, Reader<'a>);
    type Output = Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Self::Input<'a>> {
        self.0.open(args)
    }

    fn add(&mut self, state: &mut Leader, input: &Self::Input<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if self.0.encode(input, row) && state.as_ref().is_none_or(|(old, _)| leads::<MAX>(&self.0.rank_bytes, old)) {
            *state = Some((self.0.rank_bytes.as_slice().into(), self.0.value_bytes.as_slice().into()));
        }
        Ok(())
    }

    fn merge(&self, into: &mut Leader, from: &Leader, from_is_later: bool) {
        let Some((new, _)) = from else { return };
        let first = into.as_ref().is_none_or(|(old, _)| leads::<MAX>(new, old) || (!from_is_later && new == old));
        if first {
            into.clone_from(from);
        }
    }

    fn output(&self, _capacity: usize) -> Builder {
        Cells::builder(&self.0.value)
    }

    fn emit(&self, state: &Leader, output: &mut Builder) {
        Cells::push(output, state.as_ref().map(|(_, value)| value.as_ref()));
    }

    fn finish(&self, output: Builder, rows: usize) -> ArrayRef {
        finish_column(output, &self.0.value, rows)
    }

    fn write(&self, state: &Leader, out: &mut Vec<u8>) {
        out.push(u8::from(state.is_some()));
        if let Some((rank, value)) = state {
            out.extend_from_slice(rank);
            out.extend_from_slice(value);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Leader> {
        match take::<1>(input)? {
            [0] => Ok(None),
            [1] => self.0.read(input).map(|(rank, value)| Some((rank.into(), value.into()))),
            _ => Err(corrupt("neither a row nor none")),
        }
    }

    fn heap_bytes(state: &Leader) -> usize {
        state.as_ref().map_or(0, |(rank, value)| rank.len() + value.len())
    }
}

/// As [`OneFold`], when rows go again: all rows by rank, those of one rank in order of processing.
#[derive(Clone)]
struct AllFold<const MAX: bool>(Columns);

/// Rows of one rank: number and value.
type Peers = Vec<(u64, Box<[u8]>)>;

#[derive(Debug, Default)]
struct All {
    ranks: BTreeMap<Arc<[u8]>, Peers>,
    bytes: usize,
}

/// Bytes that a row takes beside its rank and value, about.
const ROW_BYTES: usize = 64;

impl All {
    fn insert(&mut self, rank: &[u8], value: &[u8], number: u64) {
        self.bytes += rank.len() + value.len() + ROW_BYTES;
        let rows = self.ranks.entry(rank.into()).or_default();
        let at = rows.partition_point(|(old, _)| *old <= number);
        rows.insert(at, (number, value.into()));
    }

    fn remove(&mut self, rank: &[u8], value: &[u8]) {
        let Some(rows) = self.ranks.get_mut(rank) else { return };
        let Some(at) = rows.iter().position(|(_, old)| old.as_ref() == value) else { return };
        rows.remove(at);
        if rows.is_empty() {
            self.ranks.remove(rank);
        }
        self.bytes -= rank.len() + value.len() + ROW_BYTES;
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], u64, &[u8])> {
        self.ranks
            .iter()
            .flat_map(|(rank, rows)| rows.iter().map(move |(number, value)| (rank.as_ref(), *number, value.as_ref())))
    }
}

impl<const MAX: bool> Fold for AllFold<MAX> {
    type State = All;
    type Input<'a> = (Reader<'a>, Reader<'a>);
    type Output = Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Self::Input<'a>> {
        self.0.open(args)
    }

    fn add(&mut self, state: &mut All, input: &Self::Input<'_>, row: usize, number: u64) -> Result<(), Reason> {
        if self.0.encode(input, row) {
            state.insert(&self.0.rank_bytes, &self.0.value_bytes, number);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut All, input: &Self::Input<'_>, row: usize) -> Result<(), Reason> {
        if self.0.encode(input, row) {
            state.remove(&self.0.rank_bytes, &self.0.value_bytes);
        }
        Ok(())
    }

    fn merge(&self, into: &mut All, from: &All, _from_is_later: bool) {
        from.iter().for_each(|(rank, number, value)| into.insert(rank, value, number));
    }

    fn output(&self, _capacity: usize) -> Builder {
        Cells::builder(&self.0.value)
    }

    fn emit(&self, state: &All, output: &mut Builder) {
        let extreme = if MAX { state.ranks.last_key_value() } else { state.ranks.first_key_value() };
        let leader = extreme.and_then(|(_, rows)| rows.first());
        Cells::push(output, leader.map(|(_, value)| value.as_ref()));
    }

    fn finish(&self, output: Builder, rows: usize) -> ArrayRef {
        finish_column(output, &self.0.value, rows)
    }

    fn write(&self, state: &All, out: &mut Vec<u8>) {
        write_varint(state.iter().count() as u64, out);
        for (rank, number, value) in state.iter() {
            write_varint(number, out);
            out.extend_from_slice(rank);
            out.extend_from_slice(value);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<All> {
        let mut state = All::default();
        for _ in 0..read_varint(input)? {
            let number = read_varint(input)?;
            let (rank, value) = self.0.read(input)?;
            state.insert(rank, value, number);
        }
        Ok(state)
    }

    fn heap_bytes(state: &All) -> usize {
        state.bytes
    }

    fn last_number(state: &All) -> u64 {
        state.iter().map(|(_, number, _)| number).max().unwrap_or(0)
    }
}
