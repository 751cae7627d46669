//! Rows of kept tables as of one committed epoch: by key, by range of keys, or all.
//!
//! A read holds the locks of the table's partitions together, so that all of them show the same epoch, and only for as
//! long as it takes to copy the columns that are wanted; a client that reads slowly holds back no writer.

mod keys;
mod shape;
mod stored;
mod written;

use std::ops::Bound;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field},
};
use parking_lot::{RwLock, RwLockReadGuard};
use rayon::prelude::*;
use runtime::TableView;
use serde::{Deserialize, Serialize};
use statestore::{ColdKey, ColdRest, Found, Mode, RowDecoder, View};
use types::{Error, Result};

pub(crate) use keys::{encode_keys, wanted};
use shape::Rows;
pub(crate) use shape::Shape;
pub(crate) use stored::{Stored, stored};

/// Which rows of a table are to be read; keys in the ordered encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// Those with these keys.
    Keys(Vec<Vec<u8>>),
    /// Those with keys between these, both included.
    Ranges(Vec<(Vec<u8>, Vec<u8>)>),
    /// All.
    All,
    /// All, in order of their keys over all partitions, so that the first ones are always the same.
    First,
}

/// How often partitions are looked at until all show the same epoch. A commit reaches one after the other within
/// microseconds.
const LOOKS_MAX: usize = 100_000;

/// Rows of a table, of which it is worth to read partitions in parallel.
const PARALLEL_ROWS_MIN: usize = 16_384;

/// The rows, by partition, at most `rows_max` of each.
pub(crate) fn read(
    view: &TableView,
    wanted: &Wanted,
    shape: &Shape,
    rows_max: usize,
    pool: &rayon::ThreadPool,
) -> Result<Vec<Vec<RecordBatch>>> {
    match wanted {
        Wanted::Keys(keys) => {
            let mut rows = shape.reader(rows_max)?;
            match keys.as_slice() {
                // A key is in one partition: there are no two epochs to be mixed.
                [key] => {
                    for part in &view.partitions {
                        let cold = match part.read().get(key) {
                            Found::Row(row) => {
                                rows.push(row)?;
                                continue;
                            }
                            Found::Absent => continue,
                            Found::Cold(key) => key,
                        };
                        if let Some(row) = cold.get()? {
                            rows.push(&row)?;
                        }
                    }
                }
                several => {
                    for found in found(&one_epoch(view)?, several) {
                        match found {
                            Ok(row) => rows.push(&row)?,
                            Err(cold) => cold.get()?.map_or(Ok(()), |row| rows.push(&row))?,
                        }
                    }
                }
            }
            Ok(vec![rows.finish()?])
        }
        Wanted::Ranges(ranges) => {
            let read = |view: &RwLockReadGuard<'_, View>| {
                let mut rows = shape.reader(rows_max)?;
                for (from, to) in ranges {
                    view.range(Bound::Included(from), Bound::Included(to), |_, row| rows.offer(row))?;
                }
                rows.finish()
            };
            match ranges.as_slice() {
                // Its rows are in one partition: there are no two epochs to be mixed, and nobody waits for all partitions.
                [(from, to)] if is_of_one_key(view, from, to) => {
                    view.partitions.iter().map(|part| read(&in_order(part))).collect()
                }
                _ => {
                    view.partitions.iter().for_each(|part| drop(in_order(part)));
                    one_epoch(view)?.iter().map(read).collect()
                }
            }
        }
        Wanted::All => {
            let views = one_epoch(view)?;
            let rows: usize = views.iter().map(|v| v.store().len()).sum();
            let hot = |view: &&View| {
                let mut rows = shape.reader(rows_max)?;
                let rest = view.scan(|_, row| rows.offer(row));
                Ok((rows, rest))
            };
            let read: Vec<&View> = views.iter().map(|v| &**v).collect();
            let read: Vec<(Rows<'_>, Option<ColdRest>)> = match rows >= PARALLEL_ROWS_MIN && read.len() > 1 {
                true => pool.install(|| read.par_iter().map(hot).collect::<Result<_>>())?,
                false => read.iter().map(hot).collect::<Result<_>>()?,
            };
            drop(views);
            let cold = |(mut rows, rest): (Rows<'_>, Option<ColdRest>)| {
                rest.map_or(Ok(()), |rest| rest.scan(|_, row| rows.offer(row)))?;
                rows.finish()
            };
            match read.iter().any(|(_, rest)| rest.is_some()) {
                true => pool.install(|| read.into_par_iter().map(cold).collect()),
                false => read.into_iter().map(cold).collect(),
            }
        }
        Wanted::First => first(one_epoch(view)?, shape, rows_max).map(|rows| vec![rows]),
    }
}

/// A partition that ranges can be read of.
fn in_order(part: &RwLock<View>) -> RwLockReadGuard<'_, View> {
    let view = part.read();
    if view.store().has_order() {
        return view;
    }
    drop(view);
    part.write().store_mut().build_order();
    part.read()
}

/// Whether all keys of a range are windows of one key, or the key itself.
fn is_of_one_key(view: &TableView, from: &[u8], to: &[u8]) -> bool {
    let plain = |field: &&Field| {
        let name = field.name();
        !matches!(name.rsplit_once('.').map_or(name.as_str(), |(_, last)| last), "WINDOWSTART" | "WINDOWEND")
    };
    let fields = view.key.iter().filter_map(|at| view.schema.fields().get(*at)).map(|field| &**field);
    let types: Vec<DataType> = fields.filter(plain).map(|field| field.data_type().clone()).collect();
    let rest = RowDecoder::new(&types, Mode::Ordered).and_then(|mut key| key.push_prefix(from).map(<[u8]>::len));
    rest.is_ok_and(|rest| from.get(..from.len() - rest).is_some_and(|key| to.starts_with(key)))
}

/// Rows beyond those that are wanted, after which those that cannot be among them are dropped.
const FIRST_SLACK: usize = 8192;

/// The rows of several keys, or where they are to be looked for.
fn found(views: &[RwLockReadGuard<'_, View>], keys: &[Vec<u8>]) -> Vec<std::result::Result<Vec<u8>, ColdKey>> {
    let look = |(view, key): (&RwLockReadGuard<'_, View>, &Vec<u8>)| match view.get(key) {
        Found::Row(row) => Some(Ok(row.to_vec())),
        Found::Absent => None,
        Found::Cold(key) => Some(Err(key)),
    };
    keys.iter().flat_map(|key| views.iter().map(move |view| (view, key))).filter_map(look).collect()
}

/// The first rows in order of their keys.
fn first(views: Vec<RwLockReadGuard<'_, View>>, shape: &Shape, rows_max: usize) -> Result<Vec<RecordBatch>> {
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = vec![];
    let mut keep = |key: &[u8], row: &[u8]| {
        rows.push((key.to_vec(), row.to_vec()));
        if rows.len() >= rows_max.saturating_add(FIRST_SLACK).saturating_mul(2) {
            rows.sort_unstable();
            rows.truncate(rows_max);
        }
    };
    let rests: Vec<ColdRest> = views.iter().filter_map(|view| view.scan(&mut keep)).collect();
    drop(views);
    rests.iter().try_for_each(|rest| rest.scan(&mut keep))?;
    rows.sort_unstable();
    let mut reader = shape.reader(rows_max)?;
    rows.iter().try_for_each(|(_, row)| reader.push(row))?;
    reader.finish()
}

/// The partitions, locked for reading, all at the same committed epoch.
fn one_epoch(view: &TableView) -> Result<Vec<RwLockReadGuard<'_, View>>> {
    for _ in 0..LOOKS_MAX {
        let views: Vec<_> = view.partitions.iter().map(|p| p.read()).collect();
        let mut epochs = views.iter().map(|v| v.committed_epoch());
        let first = epochs.next();
        if epochs.all(|e| Some(e) == first) {
            return Ok(views);
        }
        drop(views);
        std::thread::yield_now();
    }
    Err(Error::unavailable("the table's partitions do not come to the same epoch"))
}
