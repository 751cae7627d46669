//! Arrays and maps by row, and making columns of arrays of elements that exist already.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, ListArray, MapArray, StructArray, UInt32Array},
    buffer::{NullBuffer, OffsetBuffer},
    compute::{interleave, take},
    datatypes::{DataType, Fields},
};
use types::{Error, Result};

use crate::{encoded::map_fields, kernel::View, scalar::definition::Call};

/// Elements that the arrays of one column may have in all: what 32-bit offsets reach.
pub(crate) const ELEMENTS_MAX: usize = i32::MAX as usize;

/// Where row `row`'s elements are; `None` for NULL.
fn range(view_at: usize, array: &dyn Array, offsets: &[i32]) -> Option<Range<usize>> {
    if view_at >= array.len() || array.is_null(view_at) {
        return None;
    }
    let offset = |at: usize| offsets.get(at).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    Some(offset(view_at)..offset(view_at + 1))
}

/// An argument that is an ARRAY.
#[derive(Clone, Copy)]
pub(crate) struct Lists<'a> {
    view: View<'a, ListArray>,
}

impl<'a> Lists<'a> {
    /// Argument `at`.
    pub(crate) fn of(call: &Call<'a>, at: usize) -> Result<Lists<'a>> {
        Ok(Lists { view: call.view(at)? })
    }

    /// The arrays of `view`.
    pub(crate) fn new(view: View<'a, ListArray>) -> Lists<'a> {
        Lists { view }
    }

    /// The elements of all rows.
    pub(crate) fn values(&self) -> &'a ArrayRef {
        self.view.array.values()
    }

    /// Where the row's elements are among them; `None` for NULL.
    pub(crate) fn range(&self, row: usize) -> Option<Range<usize>> {
        range(self.view.at(row), self.view.array, self.view.array.value_offsets())
    }
}

/// An argument that is a MAP.
#[derive(Clone, Copy)]
pub(crate) struct Maps<'a> {
    view: View<'a, MapArray>,
}

impl<'a> Maps<'a> {
    /// Argument `at`.
    pub(crate) fn of(call: &Call<'a>, at: usize) -> Result<Maps<'a>> {
        Ok(Maps { view: call.view(at)? })
    }

    /// The maps of `view`.
    pub(crate) fn new(view: View<'a, MapArray>) -> Maps<'a> {
        Maps { view }
    }

    /// The keys of all rows' entries.
    pub(crate) fn keys(&self) -> &'a ArrayRef {
        self.view.array.keys()
    }

    /// The values of all rows' entries.
    pub(crate) fn values(&self) -> &'a ArrayRef {
        self.view.array.values()
    }

    /// Where the row's entries are among them; `None` for NULL.
    pub(crate) fn range(&self, row: usize) -> Option<Range<usize>> {
        range(self.view.at(row), self.view.array, self.view.array.value_offsets())
    }
}

/// A column of arrays (or of maps' entries) in the making, whose elements are picked from existing columns.
pub(crate) struct Picks {
    /// (column, index) of each element.
    elements: Vec<(usize, usize)>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl Picks {
    /// For so many rows.
    pub(crate) fn new(rows: usize) -> Picks {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Picks { elements: Vec::new(), offsets, valid: Vec::with_capacity(rows) }
    }

    /// Append an element to the row in the making.
    pub(crate) fn push(&mut self, column: usize, index: usize) {
        self.elements.push((column, index));
    }

    /// End the row; one that is not valid is NULL, and its elements are dropped.
    pub(crate) fn end_row(&mut self, valid: bool) -> Result<()> {
        let start = self.offsets.last().copied().unwrap_or(0);
        if !valid {
            self.elements.truncate(usize::try_from(start).unwrap_or(0));
        }
        if self.elements.len() > ELEMENTS_MAX {
            return Err(Error::unsupported("more than 2^31 elements in the arrays of one batch"));
        }
        self.offsets.push(i32::try_from(self.elements.len()).unwrap_or(i32::MAX));
        self.valid.push(valid);
        Ok(())
    }

    fn nulls(&self) -> Option<NullBuffer> {
        Some(NullBuffer::from(self.valid.as_slice())).filter(|n| n.null_count() > 0)
    }

    fn gather(&self, columns: &[&ArrayRef]) -> Result<ArrayRef> {
        let gathered = match columns {
            [only] => {
                let indices = self.elements.iter().map(|(_, index)| u32::try_from(*index).ok());
                take(only.as_ref(), &indices.collect::<UInt32Array>(), None)
            }
            many => {
                let many: Vec<&dyn Array> = many.iter().map(|c| c.as_ref()).collect();
                interleave(&many, &self.elements)
            }
        };
        gathered.map_err(|e| Error::internal(format!("gathering elements: {e}")))
    }

    /// The column of type `ty` of the elements picked from `columns`.
    pub(crate) fn into_lists(self, ty: &DataType, columns: &[&ArrayRef]) -> Result<ArrayRef> {
        let values = self.gather(columns)?;
        list_column(ty, self.offsets, values, self.valid)
    }

    /// The column of maps of type `ty` whose keys and values were picked from columns of the same numbers.
    pub(crate) fn into_maps(self, ty: &DataType, keys: &[&ArrayRef], values: &[&ArrayRef]) -> Result<ArrayRef> {
        let (keys, values) = (self.gather(keys)?, self.gather(values)?);
        let nulls = self.nulls();
        map_column(ty, self.offsets, keys, values, nulls)
    }

    /// The same with the values picked apart from the keys, as many a row.
    pub(crate) fn into_maps_with(
        self,
        ty: &DataType,
        keys: &[&ArrayRef],
        value_picks: Picks,
        values: &[&ArrayRef],
    ) -> Result<ArrayRef> {
        let (keys, values) = (self.gather(keys)?, value_picks.gather(values)?);
        let nulls = self.nulls();
        map_column(ty, self.offsets, keys, values, nulls)
    }
}

/// A column of arrays of these elements.
pub(crate) fn list_column(ty: &DataType, offsets: Vec<i32>, values: ArrayRef, valid: Vec<bool>) -> Result<ArrayRef> {
    let DataType::List(field) = ty else { return Err(Error::internal("an ARRAY is made for another type")) };
    let nulls = Some(NullBuffer::from(valid)).filter(|n| n.null_count() > 0);
    let offsets = OffsetBuffer::new(offsets.into());
    let list = ListArray::try_new(Arc::clone(field), offsets, conform(values, field.data_type()), nulls);
    Ok(Arc::new(list.map_err(|e| Error::internal(format!("making arrays: {e}")))?))
}

/// A column of maps of these entries; no key may be NULL.
pub(crate) fn map_column(
    ty: &DataType,
    offsets: Vec<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let DataType::Map(entries, sorted) = ty else { return Err(Error::internal("a MAP is made for another type")) };
    let (key, value) = map_fields(entries)?;
    let fields = Fields::from(vec![Arc::clone(key), Arc::clone(value)]);
    let columns = vec![conform(keys, key.data_type()), conform(values, value.data_type())];
    let wrong = |e: arrow::error::ArrowError| Error::internal(format!("making maps: {e}"));
    let pairs = StructArray::try_new(fields, columns, None).map_err(wrong)?;
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted).map_err(wrong)?))
}

/// The column as one of type `ty`: what is always NULL has a type of its own in Arrow.
pub(crate) fn conform(column: ArrayRef, ty: &DataType) -> ArrayRef {
    if column.data_type() == &DataType::Null && ty != &DataType::Null {
        arrow::array::new_null_array(ty, column.len())
    } else {
        column
    }
}
