//! Elements of all rows in one column: what a lambda's body is evaluated over.

use arrow::{
    array::{Array, ArrayRef, ListArray, MapArray, UInt32Array},
    buffer::NullBuffer,
    compute::take,
};
use types::{Error, Result};

use crate::{
    Arg,
    encoded::offset,
    scalar::array::lists::{Lists, Maps},
};

/// The elements of an argument's arrays, or the entries of its maps.
pub(super) struct Flat {
    /// The elements; of maps: keys, values.
    pub(super) columns: Vec<ArrayRef>,
    /// The row to which each belongs.
    pub(super) rows: Vec<u32>,
    /// Where each row's elements begin, and the end.
    pub(super) offsets: Vec<i32>,
    /// Rows that are NULL.
    pub(super) valid: Vec<bool>,
}

enum Source<'a> {
    List(Lists<'a>),
    Map(Maps<'a>),
}

impl Flat {
    /// The elements of argument `arg` for `rows` rows.
    pub(super) fn of(arg: &Arg, rows: usize) -> Result<Flat> {
        let is_map = matches!(arg.array()?.data_type(), arrow::datatypes::DataType::Map(_, _));
        let (source, columns) = if is_map {
            let maps = Maps::new(arg.view::<MapArray>()?);
            (Source::Map(maps), vec![maps.keys(), maps.values()])
        } else {
            let lists = Lists::new(arg.view::<ListArray>()?);
            (Source::List(lists), vec![lists.values()])
        };
        let mut indices: Vec<u32> = Vec::new();
        let mut flat =
            Flat { columns: Vec::new(), rows: Vec::new(), offsets: vec![0], valid: Vec::with_capacity(rows) };
        for row in 0..rows {
            let range = match &source {
                Source::List(lists) => lists.range(row),
                Source::Map(maps) => maps.range(row),
            };
            flat.valid.push(range.is_some());
            let number = u32::try_from(row).map_err(|_| Error::unsupported("more than 2^32 rows in a batch"))?;
            for at in range.into_iter().flatten() {
                indices.push(u32::try_from(at).map_err(|_| Error::unsupported("more than 2^32 elements in a batch"))?);
                flat.rows.push(number);
            }
            flat.offsets.push(offset(flat.rows.len())?);
        }
        flat.columns = gather(&columns, &indices)?;
        Ok(flat)
    }

    /// The rows that are NULL, if there are any.
    pub(super) fn nulls(&self) -> Option<NullBuffer> {
        Some(NullBuffer::from(self.valid.as_slice())).filter(|n| n.null_count() > 0)
    }

    /// Where row `row`'s elements are.
    pub(super) fn range(&self, row: usize) -> std::ops::Range<usize> {
        let at = |i: usize| self.offsets.get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
        at(row)..at(row + 1)
    }
}

/// These places of the columns; a slice of them where they are one run.
fn gather(columns: &[&ArrayRef], indices: &[u32]) -> Result<Vec<ArrayRef>> {
    let first = indices.first().copied().unwrap_or(0);
    let run = indices.iter().zip(first..).all(|(at, expect)| *at == expect);
    let taken = columns.iter().map(|column| {
        let start = usize::try_from(first).unwrap_or(0);
        if run && start + indices.len() <= column.len() {
            return Ok(column.slice(start, indices.len()));
        }
        let indices = UInt32Array::from(indices.to_vec());
        take(column.as_ref(), &indices, None).map_err(|e| Error::internal(format!("taking elements: {e}")))
    });
    taken.collect()
}
