//! Results of one key that were made in several places, put right: where a foreign-key join runs in tasks, each partition
//! by itself, what a pointer's old place says of a row may come after what the new place says.
//!
//! [`NumberVersions`] — Input: a table with old values. Output: the same with a last column, which rises from change to
//! change of a key. State: none: it follows from `seq`. [`KeepNewest`] — Input: what was made of these rows, upserts and
//! tombstones, of one version from one place. Output: the same without that column and without what a newer version has
//! overtaken. State: the newest version by key, also of keys that are gone: something old may still be on its way. Time,
//! order: kept. Bound: the keys that ever were.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array},
    datatypes::SchemaRef,
};
use statestore::{Keys, Mode, Paged, RowEncoder, Store};
use types::{Error, Result};

use crate::{ChangeBatch, Operator, StepContext, change::downcast, corrupt, table_rows::encoder};

/// See the module.
#[derive(Default)]
pub struct NumberVersions;

impl NumberVersions {
    /// One.
    pub fn new() -> NumberVersions {
        NumberVersions
    }
}

impl Operator for NumberVersions {
    fn name(&self) -> &'static str {
        "Version"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, _: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(mut input) = inputs.pop() else { return Err(Error::internal("versions of nothing")) };
        // Several changes of one cause differ, too: there are fewer of them than numbers between two causes.
        let mut last = None;
        let versions = input.seq.values().iter().map(|seq| {
            let version = last.map_or(*seq, |last: u64| (*seq).max(last + 1));
            last = Some(version);
            version.cast_signed()
        });
        let versions: ArrayRef = Arc::new(Int64Array::from_iter_values(versions));
        input.columns.push(versions);
        Ok(input)
    }
}

/// See the module.
pub struct KeepNewest {
    schema: SchemaRef,
    key: Vec<usize>,
    version: usize,
    /// Key columns in ordered encoding → the newest version.
    newest: Store,
}

impl KeepNewest {
    /// Of rows of `schema`, by the key columns at `key`; column `version` says how new they are.
    pub fn new(schema: SchemaRef, key: Vec<usize>, version: usize) -> KeepNewest {
        KeepNewest { schema, key, version, newest: Store::new() }
    }

    fn page_in(&mut self, keys: &RowEncoder<'_>, rows: usize) -> Result<()> {
        if self.newest.residency().is_none() {
            return Ok(());
        }
        let mut wanted = Keys::default();
        (0..rows).for_each(|row| wanted.push(|out| keys.encode(row, out)));
        self.newest.page_in(&wanted)
    }
}

impl Operator for KeepNewest {
    fn name(&self) -> &'static str {
        "Newest"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, _: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let mut input = inputs.pop().unwrap_or_else(|| ChangeBatch::empty(&self.schema));
        let keys: Vec<_> = self.key.iter().filter_map(|k| input.columns.get(*k).cloned()).collect();
        if self.version >= input.columns.len() {
            return Err(Error::internal("rows without versions"));
        }
        let versions: Int64Array = downcast(&input.columns.remove(self.version))?;
        let encoder = encoder(&keys, Mode::Ordered)?;
        self.page_in(&encoder, input.len())?;
        let (mut key, mut kept) = (vec![], Vec::with_capacity(input.len()));
        for version in versions.values() {
            key.clear();
            encoder.encode(kept.len(), &mut key);
            let known = self.newest.get(&key).and_then(|v| v.first_chunk::<8>()).map(|v| i64::from_le_bytes(*v));
            if known.is_none_or(|known| known < *version) {
                self.newest.put(&key, &version.to_le_bytes());
            }
            kept.push(known.is_none_or(|known| known <= *version));
        }
        match kept.iter().all(|kept| *kept) {
            true => Ok(input),
            false => input.filter(&BooleanArray::from(kept)),
        }
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.newest.drain(each);
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if value.is_some_and(|value| value.len() != 8) {
            return Err(corrupt("versions", "a version has 8 bytes"));
        }
        self.newest.restore(key, value);
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.newest.iter().for_each(|(key, value)| each(key, value));
    }

    fn paged(&mut self, each: &mut dyn FnMut(&mut dyn Paged)) -> bool {
        each(&mut self.newest);
        true
    }

    fn size(&self) -> (usize, usize) {
        (self.newest.len(), self.newest.size_bytes())
    }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::UInt64Array,
        datatypes::{DataType, Field, Schema},
    };

    use super::*;
    use crate::{Change, TimeLine};

    fn step(operator: &mut dyn Operator, input: ChangeBatch) -> ChangeBatch {
        let (time, mut reports) = (TimeLine::default(), vec![]);
        let mut context = StepContext { epoch: 1, caching: false, time: &time, reports: &mut reports };
        operator.step(vec![input], &mut context).expect("steps")
    }

    fn batch(columns: Vec<Vec<i64>>, seqs: Vec<u64>) -> ChangeBatch {
        let columns = columns.into_iter().map(|c| Arc::new(Int64Array::from(c)) as ArrayRef).collect();
        let ops = vec![Change::Upsert as u8; seqs.len()];
        let rowtime = Int64Array::from(vec![0; seqs.len()]);
        ChangeBatch { columns, rowtime, seq: UInt64Array::from(seqs), ops: Some(ops.into()) }
    }

    fn column(batch: &ChangeBatch, at: usize) -> Vec<i64> {
        batch.columns[at].as_any().downcast_ref::<Int64Array>().expect("numbers").values().to_vec()
    }

    #[test]
    fn versions_rise() {
        let numbered = step(&mut NumberVersions::new(), batch(vec![vec![1, 2, 3, 4]], vec![7, 7, 7, 1 << 20]));
        assert_eq!(column(&numbered, 1), [7, 8, 9, 1 << 20]);
    }

    /// Rows (key, version) one after the other; the versions of those that are kept.
    fn check(rows: &[(i64, i64)], expect: &[i64], restart: bool) {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema: SchemaRef = Arc::new(Schema::new(vec![field("K"), field("VERSION"), field("V")]));
        let make = || KeepNewest::new(schema.clone(), vec![0], 1);
        let (mut operator, mut kept, mut entries) = (make(), vec![], vec![]);
        for (seq, (key, version)) in (0..).zip(rows) {
            let out = step(&mut operator, batch(vec![vec![*key], vec![*version], vec![*version]], vec![seq]));
            assert_eq!(out.columns.len(), 2);
            kept.extend(column(&out, 1));
            if restart {
                operator.drain(&mut |key, value| entries.push((key.to_vec(), value.map(<[u8]>::to_vec))));
                operator = make();
                entries.iter().for_each(|(k, v)| operator.restore(k, v.as_deref()).expect("restores"));
            }
        }
        assert_eq!(kept, expect);
    }

    #[test]
    fn what_is_overtaken_is_left_out() {
        for restart in [false, true] {
            check(&[(1, 5), (1, 5), (2, 3), (1, 4), (2, 4), (1, 6), (2, 3)], &[5, 5, 3, 4, 6], restart);
        }
    }
}
