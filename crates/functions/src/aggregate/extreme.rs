//! What MIN and MAX share: over streams the extreme value alone is kept; over tables every value with its count, in
//! order, since the row that held the extreme may go.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, PrimitiveArray, PrimitiveBuilder},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
        TimestampMillisecondType,
    },
};
use types::{Result, SqlType};

use super::{
    cell::{Cells, encoded_input, finish_column},
    groups::{Fold, Reason, make, value_types},
    number::{Of, Ordered, read_whole, write_whole},
};
use crate::{
    ArgType, BoundAggregate,
    encoded::{Builder, Reader, corrupt, read_varint, skip, take, write_varint},
    overload::{Param, Shape, resolve},
};

const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Int]),
    Shape::new(&[Param::BigInt]),
    Shape::new(&[Param::Decimal]),
    Shape::new(&[Param::Double]),
    Shape::new(&[Param::Boolean]),
    Shape::new(&[Param::String]),
    Shape::new(&[Param::Bytes]),
    Shape::new(&[Param::Date]),
    Shape::new(&[Param::Time]),
    Shape::new(&[Param::Timestamp]),
];

/// MAX or MIN.
pub(crate) fn bind<const MAX: bool>(name: &str, args: &[ArgType]) -> Result<BoundAggregate> {
    let resolved = resolve(name, SHAPES, args)?;
    let ty = resolved.value(0);
    let arrow = ty.to_arrow();
    let bound = |plain, tables| {
        BoundAggregate::of_streams(value_types(&resolved), ty.clone(), plain).with_tables(tables).with_flat_state()
    };
    macro_rules! of {
        ($arrow:ty) => {
            bound(
                make(Extreme::<$arrow, MAX> { ty: arrow.clone(), _of: Of::new() }),
                make(RetractableExtreme::<$arrow, MAX> { ty: arrow.clone(), _of: Of::new() }),
            )
        };
    }
    Ok(match &ty {
        SqlType::Int => of!(Int32Type),
        SqlType::BigInt => of!(Int64Type),
        SqlType::Double => of!(Float64Type),
        SqlType::Decimal { .. } => of!(Decimal128Type),
        SqlType::Date => of!(Date32Type),
        SqlType::Time => of!(Time32MillisecondType),
        SqlType::Timestamp => of!(TimestampMillisecondType),
        _ => bound(
            make(EncodedExtreme::<MAX> { ty: arrow.clone(), scratch: Vec::new() }),
            make(RetractableEncodedExtreme::<MAX> { ty: arrow.clone(), scratch: Vec::new() }),
        ),
    })
}

#[inline]
fn beats<const MAX: bool, K: Ord + ?Sized>(new: &K, old: &K) -> bool {
    if MAX { new > old } else { new < old }
}

/// The extreme of numbers and times.
struct Extreme<T: Ordered, const MAX: bool> {
    ty: DataType,
    _of: Of<T>,
}

impl<T: Ordered, const MAX: bool> Clone for Extreme<T, MAX> {
    fn clone(&self) -> Self {
        Extreme { ty: self.ty.clone(), _of: Of::new() }
    }
}

impl<T: Ordered, const MAX: bool> Extreme<T, MAX> {
    #[inline]
    fn offer(state: &mut Option<T::Key>, key: T::Key) {
        if state.as_ref().is_none_or(|old| beats::<MAX, _>(&key, old)) {
            *state = Some(key);
        }
    }
}

impl<T: Ordered, const MAX: bool> Fold for Extreme<T, MAX> {
    type State = Option<T::Key>;
    type Input<'a> = &'a PrimitiveArray<T>;
    type Output = PrimitiveBuilder<T>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a PrimitiveArray<T>> {
        args.first()?.as_primitive_opt::<T>()
    }

    #[inline]
    fn add(
        &mut self,
        state: &mut Option<T::Key>,
        input: &&PrimitiveArray<T>,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            Self::offer(state, T::key(input.value(row)));
        }
        Ok(())
    }

    fn merge(&self, into: &mut Option<T::Key>, from: &Option<T::Key>, _from_is_later: bool) {
        if let Some(key) = from {
            Self::offer(into, *key);
        }
    }

    fn output(&self, capacity: usize) -> PrimitiveBuilder<T> {
        PrimitiveBuilder::with_capacity(capacity).with_data_type(self.ty.clone())
    }

    #[inline]
    fn emit(&self, state: &Option<T::Key>, output: &mut PrimitiveBuilder<T>) {
        output.append_option(state.map(T::of_key));
    }

    fn finish(&self, mut output: PrimitiveBuilder<T>, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, state: &Option<T::Key>, out: &mut Vec<u8>) {
        out.push(u8::from(state.is_some()));
        if let Some(key) = state {
            write_whole((*key).into(), out);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Option<T::Key>> {
        match take::<1>(input)? {
            [0] => Ok(None),
            [1] => read_key::<T>(input).map(Some),
            _ => Err(corrupt("neither a value nor none")),
        }
    }
}

fn read_key<T: Ordered>(input: &mut &[u8]) -> Result<T::Key> {
    T::Key::try_from(read_whole(input)?).map_err(|_| corrupt("a number is out of its type's range"))
}

/// The extreme of numbers and times that can be taken back.
struct RetractableExtreme<T: Ordered, const MAX: bool> {
    ty: DataType,
    _of: Of<T>,
}

impl<T: Ordered, const MAX: bool> Clone for RetractableExtreme<T, MAX> {
    fn clone(&self) -> Self {
        RetractableExtreme { ty: self.ty.clone(), _of: Of::new() }
    }
}

impl<T: Ordered, const MAX: bool> Fold for RetractableExtreme<T, MAX> {
    type State = BTreeMap<T::Key, u64>;
    type Input<'a> = &'a PrimitiveArray<T>;
    type Output = PrimitiveBuilder<T>;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<&'a PrimitiveArray<T>> {
        args.first()?.as_primitive_opt::<T>()
    }

    fn add(
        &mut self,
        state: &mut Self::State,
        input: &&PrimitiveArray<T>,
        row: usize,
        _number: u64,
    ) -> Result<(), Reason> {
        if input.is_valid(row) {
            *state.entry(T::key(input.value(row))).or_insert(0) += 1;
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Self::State, input: &&PrimitiveArray<T>, row: usize) -> Result<(), Reason> {
        if input.is_valid(row) {
            let key = T::key(input.value(row));
            if let Some(count) = state.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    state.remove(&key);
                }
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, from: &Self::State, _from_is_later: bool) {
        for (key, count) in from {
            let total = into.entry(*key).or_insert(0);
            *total = total.saturating_add(*count);
        }
    }

    fn output(&self, capacity: usize) -> PrimitiveBuilder<T> {
        PrimitiveBuilder::with_capacity(capacity).with_data_type(self.ty.clone())
    }

    fn emit(&self, state: &Self::State, output: &mut PrimitiveBuilder<T>) {
        let extreme = if MAX { state.last_key_value() } else { state.first_key_value() };
        output.append_option(extreme.map(|(key, _)| T::of_key(*key)));
    }

    fn finish(&self, mut output: PrimitiveBuilder<T>, _rows: usize) -> ArrayRef {
        Arc::new(output.finish())
    }

    fn write(&self, state: &Self::State, out: &mut Vec<u8>) {
        write_varint(state.len() as u64, out);
        for (key, count) in state {
            write_whole((*key).into(), out);
            write_varint(*count, out);
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Self::State> {
        let mut state = BTreeMap::new();
        for _ in 0..read_varint(input)? {
            let key = read_key::<T>(input)?;
            let count = read_varint(input)?;
            if count == 0 || state.insert(key, count).is_some() {
                return Err(corrupt("a value stands there twice, or never"));
            }
        }
        Ok(state)
    }

    fn heap_bytes(state: &Self::State) -> usize {
        state.len() * (size_of::<T::Key>() + size_of::<u64>())
    }
}

/// The extreme of values of other types, by their encoding.
#[derive(Clone)]
struct EncodedExtreme<const MAX: bool> {
    ty: DataType,
    scratch: Vec<u8>,
}

impl<const MAX: bool> Fold for EncodedExtreme<MAX> {
    type State = Option<Box<[u8]>>;
    type Input<'a> = Reader<'a>;
    type Output = Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.ty)
    }

    fn add(&mut self, state: &mut Self::State, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if !input.is_null(row) {
            self.scratch.clear();
            input.write(row, &mut self.scratch);
            if state.as_ref().is_none_or(|old| beats::<MAX, [u8]>(&self.scratch, old)) {
                *state = Some(self.scratch.as_slice().into());
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, from: &Self::State, _from_is_later: bool) {
        if let Some(new) = from
            && into.as_ref().is_none_or(|old| beats::<MAX, [u8]>(new, old))
        {
            *into = Some(new.clone());
        }
    }

    fn output(&self, _capacity: usize) -> Builder {
        Cells::builder(&self.ty)
    }

    fn emit(&self, state: &Self::State, output: &mut Builder) {
        Cells::push(output, state.as_deref());
    }

    fn finish(&self, output: Builder, rows: usize) -> ArrayRef {
        finish_column(output, &self.ty, rows)
    }

    fn write(&self, state: &Self::State, out: &mut Vec<u8>) {
        out.extend_from_slice(state.as_deref().unwrap_or(crate::encoded::NULL_BYTES));
    }

    fn read(&self, input: &mut &[u8]) -> Result<Self::State> {
        let value = skip(&self.ty, input)?;
        Ok((value != crate::encoded::NULL_BYTES).then(|| value.into()))
    }

    fn heap_bytes(state: &Self::State) -> usize {
        state.as_ref().map_or(0, |value| value.len())
    }
}

/// The extreme of values of other types that can be taken back.
#[derive(Clone)]
struct RetractableEncodedExtreme<const MAX: bool> {
    ty: DataType,
    scratch: Vec<u8>,
}

impl<const MAX: bool> Fold for RetractableEncodedExtreme<MAX> {
    type State = super::cell::Multiset;
    type Input<'a> = Reader<'a>;
    type Output = Builder;

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.ty)
    }

    fn add(&mut self, state: &mut Self::State, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if !input.is_null(row) {
            self.scratch.clear();
            input.write_canonical(row, &mut self.scratch);
            state.insert(&self.scratch, 1);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Self::State, input: &Reader<'_>, row: usize) -> Result<(), Reason> {
        if !input.is_null(row) {
            self.scratch.clear();
            input.write_canonical(row, &mut self.scratch);
            state.remove(&self.scratch);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, from: &Self::State, _from_is_later: bool) {
        into.merge(from);
    }

    fn output(&self, _capacity: usize) -> Builder {
        Cells::builder(&self.ty)
    }

    fn emit(&self, state: &Self::State, output: &mut Builder) {
        Cells::push(output, if MAX { state.last() } else { state.first() });
    }

    fn finish(&self, output: Builder, rows: usize) -> ArrayRef {
        finish_column(output, &self.ty, rows)
    }

    fn write(&self, state: &Self::State, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<Self::State> {
        super::cell::Multiset::read(&self.ty, input)
    }

    fn heap_bytes(state: &Self::State) -> usize {
        state.heap_bytes()
    }
}
