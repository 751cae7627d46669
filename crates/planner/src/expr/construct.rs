//! The kernels of `ARRAY[…]`, `MAP(… := …)` and `STRUCT(… := …)`.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StringArray, StructArray, UInt32Array,
        new_empty_array,
    },
    buffer::OffsetBuffer,
    compute::{interleave, is_null, take},
    datatypes::{DataType, Field},
};
use functions::{Arg, RowErrors, ScalarKernel};
use types::{Error, Result, SqlType};

use super::{operand::from_datafusion, text};

/// Elements → an ARRAY of them.
pub(crate) struct MakeArray {
    /// The type of the elements.
    pub element: SqlType,
}

/// Keys and values, in turns → a MAP. Of equal keys the last one counts; a key that is NULL fails the row, except for
/// texts, where it is the key `null`.
pub(crate) struct MakeMap {
    /// The type of the keys.
    pub key: SqlType,
    /// The type of the values.
    pub value: SqlType,
}

/// Values → a STRUCT of them.
pub(crate) struct MakeStruct {
    /// The type of the result.
    pub ty: SqlType,
}

fn arrow(error: arrow::error::ArrowError) -> Error {
    from_datafusion(error.into())
}

/// Where row `row` of `arg` is.
fn at(arg: &Arg, row: usize) -> usize {
    if arg.is_constant() { 0 } else { row }
}

fn computed_rows(args: &[Arg], rows: usize) -> usize {
    if !args.is_empty() && args.iter().all(Arg::is_constant) { rows.min(1) } else { rows }
}

/// Row 0 of each of `args`, then row 1 of each, and so on.
fn in_turns(args: &[&Arg], rows: usize) -> Result<ArrayRef> {
    if args.is_empty() {
        return Err(Error::internal("nothing to put in turns"));
    }
    let arrays = args.iter().map(|a| a.array().map(AsRef::as_ref)).collect::<Result<Vec<&dyn Array>>>()?;
    let mut picks = Vec::with_capacity(rows.saturating_mul(args.len()));
    for row in 0..rows {
        picks.extend(args.iter().enumerate().map(|(i, arg)| (i, at(arg, row))));
    }
    interleave(&arrays, &picks).map_err(arrow)
}

impl ScalarKernel for MakeArray {
    fn evaluate(&self, args: &[Arg], rows: usize, _errors: &mut RowErrors) -> Result<ArrayRef> {
        let rows = computed_rows(args, rows);
        let field = Arc::new(Field::new("item", self.element.to_arrow(), true));
        if args.is_empty() {
            let none = new_empty_array(field.data_type());
            let list = ListArray::try_new(field, OffsetBuffer::new_zeroed(rows), none, None);
            return Ok(Arc::new(list.map_err(arrow)?));
        }
        let values = in_turns(&args.iter().collect::<Vec<_>>(), rows)?;
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(args.len(), rows));
        Ok(Arc::new(ListArray::try_new(field, offsets, values, None).map_err(arrow)?))
    }
}

impl ScalarKernel for MakeMap {
    fn evaluate(&self, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
        let rows = computed_rows(args, rows);
        if args.is_empty() {
            let none = |ty: &SqlType| new_empty_array(&ty.to_arrow());
            let valid = BooleanArray::from(vec![true; rows]);
            return map_array(&self.key, &self.value, none(&self.key), none(&self.value), vec![0; rows], valid);
        }
        let args = &keys_without_nulls(&self.key, args)?;
        let pairs = args.len() / 2;
        let keys = in_turns(&args.iter().step_by(2).collect::<Vec<_>>(), rows)?;
        let values = in_turns(&args.iter().skip(1).step_by(2).collect::<Vec<_>>(), rows)?;
        let null_key = is_null(&keys).map_err(arrow)?;
        let mut kept: Vec<u32> = Vec::with_capacity(keys.len());
        let mut lengths = Vec::with_capacity(rows);
        let mut valid = Vec::with_capacity(rows);
        for row in 0..rows {
            let entries = row * pairs..(row + 1) * pairs;
            if entries.clone().any(|e| null_key.value(e)) {
                errors.push(row, "a key of a MAP is NULL");
                lengths.push(0);
                valid.push(false);
                continue;
            }
            let places = last_of_each_key(keys.as_ref(), entries);
            lengths.push(places.len());
            valid.push(true);
            kept.extend(places.into_iter().filter_map(|p| u32::try_from(p).ok()));
        }
        let kept = UInt32Array::from(kept);
        let keys = take(&keys, &kept, None).map_err(arrow)?;
        let values = take(&values, &kept, None).map_err(arrow)?;
        map_array(&self.key, &self.value, keys, values, lengths, BooleanArray::from(valid))
    }
}

/// What stands for a text that is NULL as a key, as Java's maps are written: columns of ours cannot have NULL keys.
const NULL_KEY: &str = "null";

/// `args` (keys and values in turns) with a text in the place of texts that are NULL as keys.
fn keys_without_nulls(key: &SqlType, args: &[Arg]) -> Result<Vec<Arg>> {
    let mut replaced = args.to_vec();
    if *key != SqlType::String {
        return Ok(replaced);
    }
    for arg in replaced.iter_mut().step_by(2) {
        let array = arg.array()?;
        if array.null_count() == 0 {
            continue;
        }
        let Some(texts) = array.as_string_opt::<i32>() else {
            return Err(Error::internal("the keys of a MAP are no texts"));
        };
        let texts: ArrayRef = Arc::new(texts.iter().map(|t| Some(t.unwrap_or(NULL_KEY))).collect::<StringArray>());
        *arg = if arg.is_constant() { Arg::Constant(texts) } else { Arg::Column(texts) };
    }
    Ok(replaced)
}

/// The places of the entries that count, each key where it first stood.
fn last_of_each_key(keys: &dyn Array, entries: std::ops::Range<usize>) -> Vec<usize> {
    if entries.len() < 2 {
        return entries.collect();
    }
    let mut order: Vec<usize> = Vec::with_capacity(entries.len());
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    for entry in entries {
        match seen.get(&text::element(keys, entry)).and_then(|slot| order.get_mut(*slot)) {
            Some(place) => *place = entry,
            None => {
                seen.insert(text::element(keys, entry), order.len());
                order.push(entry);
            }
        }
    }
    order
}

fn map_array(
    key: &SqlType,
    value: &SqlType,
    keys: ArrayRef,
    values: ArrayRef,
    lengths: Vec<usize>,
    valid: BooleanArray,
) -> Result<ArrayRef> {
    let ty = SqlType::Map(Box::new(key.clone()), Box::new(value.clone())).to_arrow();
    let DataType::Map(entry, sorted) = ty else { return Err(Error::internal("a MAP has no Arrow MAP type")) };
    let DataType::Struct(fields) = entry.data_type() else { return Err(Error::internal("a MAP has no entries")) };
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(arrow)?;
    let nulls = (valid.true_count() < valid.len()).then(|| valid.values().clone().into());
    let map = MapArray::try_new(entry, OffsetBuffer::from_lengths(lengths), entries, nulls, sorted);
    Ok(Arc::new(map.map_err(arrow)?))
}

impl ScalarKernel for MakeStruct {
    fn evaluate(&self, args: &[Arg], rows: usize, _errors: &mut RowErrors) -> Result<ArrayRef> {
        let rows = computed_rows(args, rows);
        let DataType::Struct(fields) = self.ty.to_arrow() else {
            return Err(Error::internal("a STRUCT has no Arrow STRUCT type"));
        };
        if fields.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(rows, None)));
        }
        let columns = args.iter().map(|a| in_turns(&[a], rows)).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StructArray::try_new(fields, columns, None).map_err(arrow)?))
    }
}
