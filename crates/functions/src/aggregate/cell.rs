//! Encoded values in states: opening a column for them, making columns of them, and counting them in order.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, new_null_array},
    datatypes::DataType,
};
use indexmap::IndexMap;
use types::Result;

use super::COLLECT_BYTES_MAX;
use crate::encoded::{Builder, END, MORE, Reader, VALUE, corrupt, read_varint, skip, write_varint};

/// Bytes that a node of a map takes beside its key, about.
const NODE_BYTES: usize = 32;

/// Open argument `at`, if it is of type `ty` (names of fields aside).
pub(crate) fn encoded_input<'a>(args: &'a [ArrayRef], at: usize, ty: &DataType) -> Option<Reader<'a>> {
    let column = args.get(at)?;
    if column.data_type().equals_datatype(ty) { Reader::new(column.as_ref()).ok() } else { None }
}

/// Columns of encoded cells.
pub(crate) struct Cells;

impl Cells {
    /// A builder for columns of type `ty`. Types are checked when functions are bound: one that no SQL type has gives
    /// a column of NULLs.
    pub(crate) fn builder(ty: &DataType) -> Builder {
        Builder::new(ty).unwrap_or_else(|_| Builder::nothing())
    }

    /// Append a value that was encoded here or checked when it was loaded; `None` is NULL.
    pub(crate) fn push(builder: &mut Builder, value: Option<&[u8]>) {
        let pushed = value.map(|mut bytes| builder.push(&mut bytes));
        debug_assert!(!matches!(pushed, Some(Err(_))), "states hold valid encodings only");
        if pushed.is_none() {
            builder.push_null();
        }
    }
}

/// The column of `rows` values of type `ty`.
pub(crate) fn finish_column(mut builder: Builder, ty: &DataType, rows: usize) -> ArrayRef {
    match builder.finish() {
        Ok(column) if column.len() == rows && column.data_type().equals_datatype(ty) => column,
        _ => {
            debug_assert!(false, "states make columns of their own type");
            new_null_array(ty, rows)
        }
    }
}

/// Encoded values with their counts, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Multiset {
    counts: BTreeMap<Box<[u8]>, u64>,
    key_bytes: usize,
}

impl Multiset {
    pub(crate) fn insert(&mut self, value: &[u8], count: u64) {
        if let Some(old) = self.counts.get_mut(value) {
            *old = old.saturating_add(count);
        } else {
            self.key_bytes += value.len();
            self.counts.insert(value.into(), count);
        }
    }

    /// Take one away; `false` if there is none.
    pub(crate) fn remove(&mut self, value: &[u8]) -> bool {
        let Some(count) = self.counts.get_mut(value) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(value);
            self.key_bytes -= value.len();
        }
        true
    }

    pub(crate) fn merge(&mut self, other: &Multiset) {
        for (value, count) in &other.counts {
            self.insert(value, *count);
        }
    }

    pub(crate) fn first(&self) -> Option<&[u8]> {
        self.counts.first_key_value().map(|(value, _)| value.as_ref())
    }

    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.counts.last_key_value().map(|(value, _)| value.as_ref())
    }

    /// Different values.
    pub(crate) fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// Values with their counts, from the least.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], u64)> {
        self.counts.iter().map(|(value, count)| (value.as_ref(), *count))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(self.counts.len() as u64, out);
        for (value, count) in &self.counts {
            out.extend_from_slice(value);
            write_varint(*count, out);
        }
    }

    pub(crate) fn read(ty: &DataType, input: &mut &[u8]) -> Result<Multiset> {
        let mut set = Multiset::default();
        for _ in 0..read_varint(input)? {
            let value = skip(ty, input)?;
            let count = read_varint(input)?;
            if count == 0 || set.counts.contains_key(value) {
                return Err(corrupt("a value stands there twice, or never"));
            }
            set.insert(value, count);
        }
        Ok(set)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.key_bytes + self.counts.len() * NODE_BYTES
    }
}

/// A list of encoded values, as the inside of an encoded array: it is copied into results as it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct CellList {
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
}

impl CellList {
    /// Append a value unless that exceeds `entries_max` or [`COLLECT_BYTES_MAX`].
    pub(crate) fn push(&mut self, value: &[u8], entries_max: usize) {
        if self.ends.len() < entries_max && self.bytes.len() + value.len() < COLLECT_BYTES_MAX {
            self.bytes.push(MORE);
            self.bytes.extend_from_slice(value);
            self.ends.push(self.bytes.len());
        }
    }

    /// Remove the first value that is `value`, if there is one.
    pub(crate) fn remove_first(&mut self, value: &[u8]) {
        let found = self.iter().position(|v| v == value);
        let Some(at) = found else { return };
        let end = self.ends.remove(at);
        let start = end - value.len() - 1;
        self.bytes.drain(start..end);
        self.ends.iter_mut().skip(at).for_each(|e| *e -= end - start);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let value = self.bytes.get(start + 1..*end).unwrap_or_default();
            start = *end;
            value
        })
    }

    /// The values as an encoded array.
    pub(crate) fn write_array(&self, out: &mut Vec<u8>) {
        out.push(VALUE);
        out.extend_from_slice(&self.bytes);
        out.push(END);
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(self.ends.len() as u64, out);
        self.iter().for_each(|value| out.extend_from_slice(value));
    }

    pub(crate) fn read(ty: &DataType, input: &mut &[u8]) -> Result<CellList> {
        let mut list = CellList::default();
        for _ in 0..read_varint(input)? {
            list.push(skip(ty, input)?, usize::MAX);
        }
        Ok(list)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

/// Different encoded values with their counts, in the order in which each first came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    counts: IndexMap<Box<[u8]>, u64>,
    key_bytes: usize,
}

impl Tally {
    /// Count a value; a new one only if that does not exceed `entries_max` or [`COLLECT_BYTES_MAX`].
    pub(crate) fn insert(&mut self, value: &[u8], count: u64, entries_max: usize) {
        if let Some(old) = self.counts.get_mut(value) {
            *old = old.saturating_add(count);
        } else if self.counts.len() < entries_max && self.key_bytes + value.len() <= COLLECT_BYTES_MAX {
            self.key_bytes += value.len();
            self.counts.insert(value.into(), count);
        }
    }

    /// Take one away, if there is one.
    pub(crate) fn remove(&mut self, value: &[u8]) {
        let Some(count) = self.counts.get_mut(value) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.shift_remove(value);
            self.key_bytes -= value.len();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.counts.iter().map(|(value, count)| (value.as_ref(), *count))
    }

    /// All of this, then all of `other`.
    pub(crate) fn append(&mut self, other: &Tally, entries_max: usize) {
        for (value, count) in other.iter() {
            self.insert(value, count, entries_max);
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(self.counts.len() as u64, out);
        for (value, count) in self.iter() {
            out.extend_from_slice(value);
            write_varint(count, out);
        }
    }

    pub(crate) fn read(ty: &DataType, input: &mut &[u8]) -> Result<Tally> {
        let mut tally = Tally::default();
        for _ in 0..read_varint(input)? {
            let value = skip(ty, input)?;
            let count = read_varint(input)?;
            if count == 0 || tally.counts.contains_key(value) {
                return Err(corrupt("a value stands there twice, or never"));
            }
            tally.insert(value, count, usize::MAX);
        }
        Ok(tally)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.key_bytes + self.counts.capacity() * NODE_BYTES
    }
}

/// Encoded values by the number of the row that brought each: what "earliest" and "latest" need when rows go again.
///
/// Rows have no identity here: of several of the same value, the oldest goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    by_number: BTreeMap<u64, Arc<[u8]>>,
    numbers: HashMap<Arc<[u8]>, VecDeque<u64>>,
    value_bytes: usize,
}

impl History {
    /// Add the value of row `number`; should that number be taken, of the next free one.
    pub(crate) fn insert(&mut self, value: &[u8], number: u64) {
        let mut number = number;
        while self.by_number.contains_key(&number) {
            number = number.wrapping_add(1);
        }
        self.value_bytes += value.len();
        let value: Arc<[u8]> = value.into();
        let numbers = self.numbers.entry(Arc::clone(&value)).or_default();
        let at = numbers.partition_point(|n| *n < number);
        numbers.insert(at, number);
        self.by_number.insert(number, value);
    }

    /// Take the oldest row of that value away, if there is one.
    pub(crate) fn remove(&mut self, value: &[u8]) {
        let Some(numbers) = self.numbers.get_mut(value) else { return };
        let oldest = numbers.pop_front();
        if numbers.is_empty() {
            self.numbers.remove(value);
        }
        if oldest.is_some_and(|number| self.by_number.remove(&number).is_some()) {
            self.value_bytes -= value.len();
        }
    }

    /// Values, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
        self.by_number.iter().map(|(number, value)| (*number, value.as_ref()))
    }

    pub(crate) fn merge(&mut self, other: &History) {
        for (number, value) in other.iter() {
            self.insert(value, number);
        }
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.by_number.last_key_value().map_or(0, |(number, _)| *number)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(self.by_number.len() as u64, out);
        for (number, value) in self.iter() {
            write_varint(number, out);
            out.extend_from_slice(value);
        }
    }

    pub(crate) fn read(ty: &DataType, input: &mut &[u8]) -> Result<History> {
        let mut history = History::default();
        for _ in 0..read_varint(input)? {
            let number = read_varint(input)?;
            let value = skip(ty, input)?;
            if history.by_number.contains_key(&number) {
                return Err(corrupt("two rows of one number"));
            }
            history.insert(value, number);
        }
        Ok(history)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.value_bytes + self.by_number.len() * 3 * NODE_BYTES
    }
}
