//! A lookup's keys as bytes.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use planner::plan::{Bounds, KeyRange, PullPlan};
use runtime::TableView;
use statestore::{Mode, RowEncoder};
use types::{Error, Result};

use super::Wanted;

/// Sorts behind everything that begins with what stands before it: no encoded value begins with this byte.
const BEHIND: u8 = 0xff;

/// The keys in `columns` (one array a key column) in the ordered encoding, each once.
pub(crate) fn encode_keys(columns: &[ArrayRef]) -> Result<Vec<Vec<u8>>> {
    let encoder = RowEncoder::new(columns, Mode::Ordered).map_err(|e| Error::internal(e.to_string()))?;
    let rows = columns.first().map_or(0, |c| c.len());
    let encode = |row| {
        let mut key = vec![];
        encoder.encode(row, &mut key);
        key
    };
    if rows == 1 {
        return Ok(vec![encode(0)]);
    }
    let mut seen = HashSet::with_capacity(rows);
    Ok((0..rows).map(encode).filter(|key| seen.insert(key.clone())).collect())
}

/// One value behind `key`.
fn append(key: &mut Vec<u8>, value: &ArrayRef) -> Result<()> {
    let value = [value.clone()];
    let encoder = RowEncoder::new(&value, Mode::Ordered).map_err(|e| Error::internal(e.to_string()))?;
    encoder.encode(0, key);
    Ok(())
}

/// The rows that `plan`, its parameters bound, can be true for.
pub(crate) fn wanted(view: &TableView, plan: &PullPlan) -> Result<Wanted> {
    let windowed = view.key.len() > plan.source.schema.key().count();
    Ok(match &plan.keys {
        KeyRange::Points(columns) if columns.iter().all(|c| c.is_empty()) => Wanted::Keys(vec![]),
        KeyRange::Points(columns) => {
            let keys = encode_keys(columns)?;
            match windowed {
                false => Wanted::Keys(keys),
                true => Wanted::Ranges(keys.iter().map(|key| window_range(key, plan.window_start)).collect()),
            }
        }
        KeyRange::Range { prefix, from, to } => {
            let mut base = vec![];
            prefix.iter().try_for_each(|value| append(&mut base, value))?;
            let bound = |bound: &Option<(ArrayRef, bool)>, lower: bool| -> Result<Vec<u8>> {
                let mut key = base.clone();
                match bound {
                    Some((value, inclusive)) => {
                        append(&mut key, value)?;
                        // Behind every key that begins with this value, or before all of them.
                        if lower != *inclusive {
                            key.push(BEHIND);
                        }
                    }
                    None if !lower => key.push(BEHIND),
                    None => {}
                }
                Ok(key)
            };
            Wanted::Ranges(vec![(bound(from, true)?, bound(to, false)?)])
        }
        KeyRange::PointExprs(_) => return Err(Error::invalid("the statement's parameters are missing")),
        KeyRange::All => Wanted::All,
    })
}

/// Keys that begin with `key` and whose window starts within the bounds.
fn window_range(key: &[u8], start: Bounds) -> (Vec<u8>, Vec<u8>) {
    let with = |time: Option<i64>, behind: bool| {
        let mut out = key.to_vec();
        if let Some(time) = time {
            out.push(1);
            out.extend_from_slice(&(time.cast_unsigned() ^ (1 << 63)).to_be_bytes());
        }
        if behind {
            out.push(BEHIND);
        }
        out
    };
    (with(start.from, false), with(start.to, true))
}
