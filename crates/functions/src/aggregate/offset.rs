//! What EARLIEST_BY_OFFSET and LATEST_BY_OFFSET share: the value, or so many values, of the first or last rows in order
//! of processing. Each state keeps the numbers of its rows, for groups that are merged later (session windows).

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, PrimitiveArray, PrimitiveBuilder},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
        TimestampMillisecondType,
    },
};
use types::{Result, SqlType};

use super::{
    cell::{Cells, History, encoded_input, finish_column},
    constant,
    groups::{Fold, Reason, make, value_types},
    number::{Of, Ordered, read_whole, write_whole},
};
use crate::{
    ArgType, BoundAggregate, MakeStates,
    encoded::{Builder, END, MORE, NULL_BYTES, Reader, VALUE, corrupt, read_varint, skip, take, write_varint},
    overload::{Param, Shape, resolve},
};

const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Any]),
    Shape::new(&[Param::Any, Param::Boolean]),
    Shape::new(&[Param::Any, Param::Int]),
    Shape::new(&[Param::Any, Param::Int, Param::Boolean]),
];

/// LATEST_BY_OFFSET or EARLIEST_BY_OFFSET.
pub(crate) fn bind<const LATEST: bool>(
    name: &str,
    args: &[ArgType],
    literals: &[Option<ArrayRef>],
) -> Result<BoundAggregate> {
    let resolved = resolve(name, SHAPES, args)?;
    let value = resolved.value(0);
    let (count_at, switch_at) = match resolved.index {
        1 => (None, Some(1)),
        2 => (Some(1), None),
        3 => (Some(1), Some(2)),
        _ => (None, None),
    };
    let switch = |at| constant::boolean(name, "ignoreNulls", literals, at);
    let ignore_nulls = switch_at.map(switch).transpose()?.unwrap_or(true);
    let n = count_at.map(|at| constant::count(name, "the number of values", literals, at)).transpose()?;
    let result = if n.is_some() { SqlType::Array(Box::new(value.clone())) } else { value.clone() };
    let (element, arrow) = (value.to_arrow(), result.to_arrow());
    let states = match n {
        Some(n) => make(SeveralFold::<LATEST> {
            element: element.clone(),
            result: arrow.clone(),
            n,
            ignore_nulls,
            scratch: Vec::new(),
        }),
        None => single::<LATEST>(&value, ignore_nulls),
    };
    let tables = make(HistoryFold::<LATEST> { element, result: arrow, n, ignore_nulls, scratch: Vec::new() });
    Ok(BoundAggregate::of_streams(value_types(&resolved), result, states).with_tables(tables))
}

fn single<const LATEST: bool>(ty: &SqlType, ignore_nulls: bool) -> MakeStates {
    let arrow = ty.to_arrow();
    macro_rules! of {
        ($arrow:ty) => {
            make(PlainFold::<$arrow, LATEST> { ty: arrow, ignore_nulls, _of: Of::new() })
        };
    }
    match ty {
        SqlType::Int => of!(Int32Type),
        SqlType::BigInt => of!(Int64Type),
        SqlType::Double => of!(Float64Type),
        SqlType::Decimal { .. } => of!(Decimal128Type),
        SqlType::Date => of!(Date32Type),
        SqlType::Time => of!(Time32MillisecondType),
        SqlType::Timestamp => of!(TimestampMillisecondType),
        _ => make(EncodedFold::<LATEST> { ty: arrow, ignore_nulls, scratch: Vec::new() }),
    }
}

/// Whether a state with a row of number `new` takes the place of one with `old`.
fn replaces<const LATEST: bool>(new: u64, old: u64) -> bool {
    if LATEST { new > old } else { new < old }
}

/// One value of a number or time.
struct PlainFold<T: Ordered, const LATEST: bool> {
    ty: DataType,
    ignore_nulls: bool,
    _of: Of<T>,
}

impl<T: Ordered, const LATEST: bool> Clone for PlainFold<T, LATEST> {
    fn clone(&self) -> Self {
        PlainFold { ty: self.ty.clone(), ignore_nulls: self.ignore_nulls, _of: Of::new() }
    }
}

/// What a group holds: no row yet, a row with NULL, a row with a value.
#[derive(Clone, Copy, Default)]
enum Held<K> {
    #[default]
    Nothing,
    Null(u64),
    Value(u64, K),
}

impl<K> Held<K> {
    fn number(&self) -> Option<u64> {
        match self {
            Held::Nothing => None,
            Held::Null(number) | Held::Value(number, _) => Some(*number),
        }
    }
}

impl<T: Ordered, const LATEST: bool> Fold for PlainFold<T, LATEST> {
    type State = Held<T::Key>;
    type Input<'a> = &'a PrimitiveArray<T>;
    type Output = PrimitiveBuilder<T>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a PrimitiveArray<T>> {
        args.first()?.as_primitive_opt::<T>()
    }

    #[inline]
    fn add(
        &mut self,
        state: &mut Held<T::Key>,
        input: &&PrimitiveArray<T>,
        row: usize,
        number: u64,
    ) -> Result<(), Reason> {
        if !LATEST && !matches!(state, Held::Nothing) {
            return Ok(());
        }
        if input.is_valid(row) {
            *state = Held::Value(number, T::key(input.value(row)));
        } else if !self.ignore_nulls {
            *state = Held::Null(number);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Held<T::Key>, from: &Held<T::Key>, _from_is_later: bool) {
        let better = match (into.number(), from.number()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => replaces::<LATEST>(new, old),
        };
        if better {
            *into = *from;
        }
    }

    fn output(&self, capacity: usize) -> PrimitiveBuilder<T> {
        PrimitiveBuilder::with_capacity(capacity).with_data_type(self.ty.clone())
    }

    #[inline]
    fn emit(&self, state: &Held<T::Key>, output: &mut PrimitiveBuilder<T>) {
        match state {
            Held::Value(_, key) => output.append_value(T::of_key(*key)),
            _ => output.append_null(),
        }
    }

    fn finish(&self, mut output: PrimitiveBuilder<T>, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, state: &Held<T::Key>, out: &mut Vec<u8>) {
        match state {
            Held::Nothing => out.push(0),
            Held::Null(number) => {
                out.push(1);
                write_varint(*number, out);
            }
            Held::Value(number, key) => {
                out.push(2);
                write_varint(*number, out);
                write_whole((*key).into(), out);
            }
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Held<T::Key>> {
        let wide = || corrupt("a number is out of its type's range");
        match take::<1>(input)? {
            [0] => Ok(Held::Nothing),
            [1] => Ok(Held::Null(read_varint(input)?)),
            [2] => {
                let number = read_varint(input)?;
                Ok(Held::Value(number, T::Key::try_from(read_whole(input)?).map_err(|_| wide())?))
            }
            _ => Err(corrupt("neither a row nor none")),
        }
    }

    fn last_number(state: &Held<T::Key>) -> u64 {
        state.number().unwrap_or(0)
    }
}

/// One value of another type, by its encoding.
#[derive(Clone)]
struct EncodedFold<const LATEST: bool> {
    ty: DataType,
    ignore_nulls: bool,
    scratch: Vec<u8>,
}

impl<const LATEST: bool> Fold for EncodedFold<LATEST> {
    type State = Option<(u64, Box<[u8]>)>;
    type Input<'a> = Reader<'a>;
    type Output = Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.ty)
    }

    fn add(&mut self, state: &mut Self::State, input: &Reader<'_>, row: usize, number: u64) -> Result<(), Reason> {
        let frozen = !LATEST && state.is_some();
        if frozen || (self.ignore_nulls && input.is_null(row)) {
            return Ok(());
        }
        self.scratch.clear();
        input.write(row, &mut self.scratch);
        match state {
            Some((at, old)) if old.as_ref() == self.scratch => *at = number,
            _ => *state = Some((number, self.scratch.as_slice().into())),
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, from: &Self::State, _from_is_later: bool) {
        if let Some((new, value)) = from
            && into.as_ref().is_none_or(|(old, _)| replaces::<LATEST>(*new, *old))
        {
            *into = Some((*new, value.clone()));
        }
    }

    fn output(&self, _capacity: usize) -> Builder {
        Cells::builder(&self.ty)
    }

    fn emit(&self, state: &Self::State, output: &mut Builder) {
        Cells::push(output, state.as_ref().map(|(_, value)| value.as_ref()));
    }

    fn finish(&self, output: Builder, rows: usize) -> ArrayRef {
        finish_column(output, &self.ty, rows)
    }

    fn write(&self, state: &Self::State, out: &mut Vec<u8>) {
        out.push(u8::from(state.is_some()));
        if let Some((number, value)) = state {
            write_varint(*number, out);
            out.extend_from_slice(value);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Self::State> {
        match take::<1>(input)? {
            [0] => Ok(None),
            [1] => {
                let number = read_varint(input)?;
                Ok(Some((number, skip(&self.ty, input)?.into())))
            }
            _ => Err(corrupt("neither a row nor none")),
        }
    }

    fn heap_bytes(state: &Self::State) -> usize {
        state.as_ref().map_or(0, |(_, value)| value.len())
    }

    fn last_number(state: &Self::State) -> u64 {
        state.as_ref().map_or(0, |(number, _)| *number)
    }
}

fn emit_array<'a>(values: impl Iterator<Item = &'a [u8]>, output: &mut (Builder, Vec<u8>)) {
    let (builder, scratch) = output;
    scratch.clear();
    scratch.push(VALUE);
    for value in values {
        scratch.push(MORE);
        scratch.extend_from_slice(value);
    }
    scratch.push(END);
    Cells::push(builder, Some(scratch));
}

/// The first or last n values.
#[derive(Clone)]
struct SeveralFold<const LATEST: bool> {
    element: DataType,
    result: DataType,
    n: usize,
    ignore_nulls: bool,
    scratch: Vec<u8>,
}

/// Rows in order of their numbers.
#[derive(Debug, Default)]
struct Several {
    rows: VecDeque<(u64, Box<[u8]>)>,
    bytes: usize,
}

impl Several {
    fn trim<const LATEST: bool>(&mut self, n: usize) {
        while self.rows.len() > n {
            let gone = if LATEST { self.rows.pop_front() } else { self.rows.pop_back() };
            self.bytes -= gone.map_or(0, |(_, value)| value.len());
        }
    }

    fn push(&mut self, number: u64, value: Box<[u8]>) {
        self.bytes += value.len();
        self.rows.push_back((number, value));
    }
}

impl<const LATEST: bool> Fold for SeveralFold<LATEST> {
    type State = Several;
    type Input<'a> = Reader<'a>;
    type Output = (Builder, Vec<u8>);

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.element)
    }

    fn add(&mut self, state: &mut Several, input: &Reader<'_>, row: usize, number: u64) -> Result<(), Reason> {
        let full = !LATEST && state.rows.len() >= self.n;
        if full || (self.ignore_nulls && input.is_null(row)) {
            return Ok(());
        }
        self.scratch.clear();
        input.write(row, &mut self.scratch);
        state.push(number, self.scratch.as_slice().into());
        state.trim::<LATEST>(self.n);
        Ok(())
    }

    fn merge(&self, into: &mut Several, from: &Several, _from_is_later: bool) {
        for (number, value) in &from.rows {
            into.push(*number, value.clone());
        }
        into.rows.make_contiguous().sort_by_key(|(number, _)| *number);
        into.trim::<LATEST>(self.n);
    }

    fn output(&self, _capacity: usize) -> Self::Output {
        (Cells::builder(&self.result), Vec::new())
    }

    fn emit(&self, state: &Several, output: &mut Self::Output) {
        emit_array(state.rows.iter().map(|(_, value)| value.as_ref()), output);
    }

    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef {
        finish_column(output.0, &self.result, rows)
    }

    fn write(&self, state: &Several, out: &mut Vec<u8>) {
        write_varint(state.rows.len() as u64, out);
        for (number, value) in &state.rows {
            write_varint(*number, out);
            out.extend_from_slice(value);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Several> {
        let mut state = Several::default();
        for _ in 0..read_varint(input)? {
            let number = read_varint(input)?;
            if state.rows.back().is_some_and(|(last, _)| *last > number) {
                return Err(corrupt("rows are out of order"));
            }
            state.push(number, skip(&self.element, input)?.into());
        }
        state.trim::<LATEST>(self.n);
        Ok(state)
    }

    fn heap_bytes(state: &Several) -> usize {
        state.bytes + state.rows.capacity() * size_of::<(u64, Box<[u8]>)>()
    }

    fn last_number(state: &Several) -> u64 {
        state.rows.back().map_or(0, |(number, _)| *number)
    }
}

/// Either form, when rows go again.
#[derive(Clone)]
struct HistoryFold<const LATEST: bool> {
    element: DataType,
    result: DataType,
    n: Option<usize>,
    ignore_nulls: bool,
    scratch: Vec<u8>,
}

impl<const LATEST: bool> HistoryFold<LATEST> {
    fn encode(&mut self, input: &Reader<'_>, row: usize) -> bool {
        self.scratch.clear();
        input.write_canonical(row, &mut self.scratch);
        !(self.ignore_nulls && input.is_null(row))
    }
}

impl<const LATEST: bool> Fold for HistoryFold<LATEST> {
    type State = History;
    type Input<'a> = Reader<'a>;
    type Output = (Builder, Vec<u8>);

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.element)
    }

    fn add(&mut self, state: &mut History, input: &Reader<'_>, row: usize, number: u64) -> Result<(), Reason> {
        if self.encode(input, row) {
            state.insert(&self.scratch, number);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut History, input: &Reader<'_>, row: usize) -> Result<(), Reason> {
        if self.encode(input, row) {
            state.remove(&self.scratch);
        }
        Ok(())
    }

    fn merge(&self, into: &mut History, from: &History, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, _capacity: usize) -> Self::Output {
        (Cells::builder(&self.result), Vec::new())
    }

    fn emit(&self, state: &History, output: &mut Self::Output) {
        let mut values = state.iter().map(|(_, value)| value);
        match self.n {
            None => {
                let chosen = if LATEST { values.next_back() } else { values.next() };
                Cells::push(&mut output.0, Some(chosen.unwrap_or(NULL_BYTES)));
            }
            Some(n) if LATEST => {
                let mut last: Vec<&[u8]> = values.rev().take(n).collect();
                last.reverse();
                emit_array(last.into_iter(), output);
            }
            Some(n) => emit_array(values.take(n), output),
        }
    }

    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef {
        finish_column(output.0, &self.result, rows)
    }

    fn write(&self, state: &History, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<History> {
        History::read(&self.element, input)
    }

    fn heap_bytes(state: &History) -> usize {
        state.heap_bytes()
    }

    fn last_number(state: &History) -> u64 {
        state.last_number()
    }
}
