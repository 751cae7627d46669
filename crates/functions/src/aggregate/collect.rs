//! What COLLECT_LIST and COLLECT_SET share with their kind: encoded values, at most so many a group.

use arrow::{array::ArrayRef, datatypes::DataType};
use types::{Result, SqlType};

use super::{
    cell::{CellList, Cells, Tally, encoded_input, finish_column},
    groups::{Fold, Reason},
};
use crate::encoded::{Builder, END, MORE, Reader, VALUE};

/// The values in the order in which they come.
#[derive(Clone)]
pub(crate) struct ListFold {
    element: DataType,
    array: DataType,
    entries_max: usize,
    scratch: Vec<u8>,
}

impl ListFold {
    pub(crate) fn new(element: &SqlType, entries_max: usize) -> ListFold {
        let array = SqlType::Array(Box::new(element.clone())).to_arrow();
        ListFold { element: element.to_arrow(), array, entries_max, scratch: Vec::new() }
    }
}

impl Fold for ListFold {
    type State = CellList;
    type Input<'a> = Reader<'a>;
    type Output = (Builder, Vec<u8>);

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.element)
    }

    fn add(&mut self, state: &mut CellList, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        self.scratch.clear();
        input.write(row, &mut self.scratch);
        state.push(&self.scratch, self.entries_max);
        Ok(())
    }

    fn take_back(&mut self, state: &mut CellList, input: &Reader<'_>, row: usize) -> Result<(), Reason> {
        self.scratch.clear();
        input.write(row, &mut self.scratch);
        state.remove_first(&self.scratch);
        Ok(())
    }

    fn merge(&self, into: &mut CellList, from: &CellList, from_is_later: bool) {
        merge_lists(into, from, from_is_later, self.entries_max);
    }

    fn output(&self, _capacity: usize) -> Self::Output {
        (Cells::builder(&self.array), Vec::new())
    }

    fn emit(&self, state: &CellList, (output, scratch): &mut Self::Output) {
        scratch.clear();
        state.write_array(scratch);
        Cells::push(output, Some(scratch));
    }

    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef {
        finish_column(output.0, &self.array, rows)
    }

    fn write(&self, state: &CellList, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<CellList> {
        CellList::read(&self.element, input)
    }

    fn heap_bytes(state: &CellList) -> usize {
        state.heap_bytes()
    }
}

/// The earlier list, then as much of the later one as there is room for.
pub(crate) fn merge_lists(into: &mut CellList, from: &CellList, from_is_later: bool, entries_max: usize) {
    if from_is_later {
        from.iter().for_each(|value| into.push(value, entries_max));
    } else {
        let later = std::mem::replace(into, from.clone());
        later.iter().for_each(|value| into.push(value, entries_max));
    }
}

/// What a tally shows as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The values alone; NULL is one of them.
    Array,
    /// The values that are not NULL, with their counts.
    Histogram,
}

/// The different values in the order in which they first came.
#[derive(Clone)]
pub(crate) struct TallyFold {
    element: DataType,
    result: DataType,
    shown: Shown,
    entries_max: usize,
    scratch: Vec<u8>,
}

impl TallyFold {
    pub(crate) fn new(element: &SqlType, result: &SqlType, shown: Shown, entries_max: usize) -> TallyFold {
        let (element, result) = (element.to_arrow(), result.to_arrow());
        TallyFold { element, result, shown, entries_max, scratch: Vec::new() }
    }

    /// The row's value in `scratch`; `false` if it does not count.
    fn encode(&mut self, input: &Reader<'_>, row: usize) -> bool {
        self.scratch.clear();
        input.write_canonical(row, &mut self.scratch);
        self.shown == Shown::Array || !input.is_null(row)
    }
}

impl Fold for TallyFold {
    type State = Tally;
    type Input<'a> = Reader<'a>;
    type Output = (Builder, Vec<u8>);

    fn input<'a>(&self, args: &'a [ArrayRef]) -> Option<Reader<'a>> {
        encoded_input(args, 0, &self.element)
    }

    fn add(&mut self, state: &mut Tally, input: &Reader<'_>, row: usize, _number: u64) -> Result<(), Reason> {
        if self.encode(input, row) {
            state.insert(&self.scratch, 1, self.entries_max);
        }
        Ok(())
    }

    fn take_back(&mut self, state: &mut Tally, input: &Reader<'_>, row: usize) -> Result<(), Reason> {
        if self.encode(input, row) {
            state.remove(&self.scratch);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Tally, from: &Tally, from_is_later: bool) {
        if from_is_later {
            into.append(from, self.entries_max);
        } else {
            let later = std::mem::replace(into, from.clone());
            into.append(&later, self.entries_max);
        }
    }

    fn output(&self, _capacity: usize) -> Self::Output {
        (Cells::builder(&self.result), Vec::new())
    }

    fn emit(&self, state: &Tally, (output, scratch): &mut Self::Output) {
        scratch.clear();
        scratch.push(VALUE);
        for (value, count) in state.iter() {
            scratch.push(MORE);
            scratch.extend_from_slice(value);
            if self.shown == Shown::Histogram {
                crate::encoded::write_bigint(i64::try_from(count).unwrap_or(i64::MAX), scratch);
            }
        }
        scratch.push(END);
        Cells::push(output, Some(scratch));
    }

    fn finish(&self, output: Self::Output, rows: usize) -> ArrayRef {
        finish_column(output.0, &self.result, rows)
    }

    fn write(&self, state: &Tally, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn read(&self, input: &mut &[u8]) -> Result<Tally> {
        let tally = Tally::read(&self.element, input)?;
        if self.shown == Shown::Histogram && tally.iter().any(|(value, _)| value == crate::encoded::NULL_BYTES) {
            return Err(crate::encoded::corrupt("a histogram counts NULL"));
        }
        Ok(tally)
    }

    fn heap_bytes(state: &Tally) -> usize {
        state.heap_bytes()
    }
}
