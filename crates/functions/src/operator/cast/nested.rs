//! Casts of ARRAY, MAP and STRUCT by those of their parts.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Fields},
};
use types::{Error, Result, SqlType, StructField};

use super::{Cast, Failures, cast_of};
use crate::kernel::nulls;

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("cast: {error}"))
}

/// ARRAY to ARRAY, by the cast of the elements.
pub(super) fn array(element: Cast, to: &SqlType) -> Cast {
    let field = Arc::new(Field::new("item", to.to_arrow(), true));
    Arc::new(move |array, failures| {
        let array = without_hidden_elements(array)?;
        let list = array.as_list_opt::<i32>().ok_or_else(|| internal("not a list"))?;
        let (offsets, first, len) = rebased(list.offsets())?;
        let mut inner = Failures::new();
        let elements = element(&list.values().slice(first, len), &mut inner)?;
        lift(&offsets, inner, failures);
        let list = ListArray::try_new(Arc::clone(&field), offsets, elements, list.nulls().cloned());
        Ok(Arc::new(list.map_err(internal)?))
    })
}

/// MAP to MAP, by the casts of keys and values.
pub(super) fn map(key: Cast, value: Cast, to_key: &SqlType, to_value: &SqlType) -> Cast {
    let fields =
        Fields::from(vec![Field::new("key", to_key.to_arrow(), false), Field::new("value", to_value.to_arrow(), true)]);
    let entries_field = Arc::new(Field::new("entries", DataType::Struct(fields.clone()), false));
    Arc::new(move |array, failures| {
        let mut array = without_hidden_elements(array)?;
        loop {
            let map = array.as_map_opt().ok_or_else(|| internal("not a map"))?;
            let (offsets, first, len) = rebased(map.offsets())?;
            let mut inner = Failures::new();
            let keys = key(&map.keys().slice(first, len), &mut inner)?;
            if !inner.is_empty() {
                // A key cannot be NULL, so the rows whose keys fail go before the map is put together.
                let mut failed = Failures::new();
                lift(&offsets, inner, &mut failed);
                let bad = |row: usize| failed.iter().any(|(at, _)| *at == row);
                let keep =
                    (0..array.len()).map(|row| u32::try_from(row).ok().filter(|_| array.is_valid(row) && !bad(row)));
                let keep: UInt32Array = keep.collect();
                array = arrow::compute::take(array.as_ref(), &keep, None).map_err(internal)?;
                failures.append(&mut failed);
                continue;
            }
            let values = value(&map.values().slice(first, len), &mut inner)?;
            lift(&offsets, inner, failures);
            let entries = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(internal)?;
            let map = MapArray::try_new(Arc::clone(&entries_field), offsets, entries, map.nulls().cloned(), false);
            return Ok(Arc::new(map.map_err(internal)?));
        }
    })
}

/// STRUCT to STRUCT: fields of the same name convert, fields of the target alone are NULL, other fields go.
pub(super) fn fields(from: &[StructField], to: &[StructField]) -> Option<Cast> {
    let mut parts: Vec<(Option<(usize, Cast)>, SqlType)> = Vec::with_capacity(to.len());
    for field in to {
        let part = match from.iter().position(|f| f.name == field.name) {
            Some(at) => Some((at, cast_of(&from.get(at)?.ty, &field.ty)?)),
            None => None,
        };
        parts.push((part, field.ty.clone()));
    }
    let fields: Fields = to.iter().map(|f| Field::new(f.name.as_str(), f.ty.to_arrow(), true)).collect();
    Some(Arc::new(move |array, failures| {
        let from = array.as_struct_opt().ok_or_else(|| internal("not a struct"))?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(parts.len());
        for (part, ty) in &parts {
            let Some((at, cast)) = part else {
                columns.push(nulls(ty, from.len()));
                continue;
            };
            let column = from.columns().get(*at).ok_or_else(|| internal("a struct lacks a field"))?;
            let mut inner = Failures::new();
            columns.push(cast(column, &mut inner)?);
            failures.extend(inner.into_iter().filter(|(row, _)| from.is_valid(*row)));
        }
        if columns.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(from.len(), from.nulls().cloned())));
        }
        let fields = StructArray::try_new(fields.clone(), columns, from.nulls().cloned());
        Ok(Arc::new(fields.map_err(internal)?))
    }))
}

/// Offsets that start at 0, and where in the child the elements are: (first, count).
fn rebased(offsets: &OffsetBuffer<i32>) -> Result<(OffsetBuffer<i32>, usize, usize)> {
    let first = offsets.first().copied().unwrap_or(0);
    let last = offsets.last().copied().unwrap_or(0);
    let lengths = offsets.windows(2).map(|w| match w {
        [a, b] => usize::try_from(b - a).unwrap_or(0),
        _ => 0,
    });
    let rebased = OffsetBuffer::from_lengths(lengths);
    Ok((rebased, usize::try_from(first).map_err(internal)?, usize::try_from(last - first).map_err(internal)?))
}

/// Failures of elements are failures of the rows that hold them.
fn lift(offsets: &OffsetBuffer<i32>, inner: Failures, failures: &mut Failures) {
    for (element, reason) in inner {
        let ends = offsets.get(1..).unwrap_or(&[]);
        let row = ends.partition_point(|end| usize::try_from(*end).is_ok_and(|end| end <= element));
        failures.push((row, reason));
    }
}

/// The same ARRAYs or MAPs such that a NULL has no elements; Arrow allows it some, and those must not be converted.
fn without_hidden_elements(array: &ArrayRef) -> Result<ArrayRef> {
    let offsets = match array.data_type() {
        DataType::Map(..) => array.as_map().offsets(),
        _ => array.as_list_opt::<i32>().ok_or_else(|| internal("not a list"))?.offsets(),
    };
    let hides = |nulls: &NullBuffer| {
        let mut rows = offsets.windows(2).enumerate();
        rows.any(|(row, w)| nulls.is_null(row) && w.first() != w.last())
    };
    if !array.nulls().is_some_and(hides) {
        return Ok(Arc::clone(array));
    }
    let keep = (0..array.len()).map(|row| u32::try_from(row).ok().filter(|_| array.is_valid(row)));
    let keep: UInt32Array = keep.collect();
    arrow::compute::take(array.as_ref(), &keep, None).map_err(internal)
}
