//! Which changes of groups go out, and as what.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, UInt32Array},
    compute::concat,
};
use statestore::{Keys, Mode, RowDecoder};
use types::{Error, Result};

use super::{Aggregate, assign::Assigned};
use crate::{
    Change, ChangeBatch, ChangeBuilder,
    change::{is_identity, take_rows},
    corrupt,
};

/// A change of a group.
struct Emitted {
    /// Its entry among the assigned rows.
    at: usize,
    /// Where the values before it stand; `None`: the group was new, or nobody asks.
    before: Option<u32>,
    /// Where the values after it stand.
    after: u32,
}

impl Aggregate {
    /// The changes. `before`: values of the touched groups before the step, where old values are wanted; `each`: values
    /// after each assigned row, where every change goes out.
    pub(super) fn emit(
        &self,
        input: &ChangeBatch,
        keys: &[ArrayRef],
        assigned: &Assigned,
        before: Option<Vec<ArrayRef>>,
        each: Option<Vec<ArrayRef>>,
    ) -> Result<ChangeBatch> {
        // Values after the step stand behind those before it.
        let base = if before.is_some() { number(assigned.touched.len()) } else { 0 };
        let (emitted, after) = match each {
            Some(after) => (self.every_change(input, assigned, before.is_some(), base), after),
            None => {
                let emitted = last_changes(assigned, before.is_some(), base);
                let slots: Vec<u32> = emitted.iter().filter_map(|e| assigned.slots.get(e.at).copied()).collect();
                (emitted, self.states.iter().map(|s| s.values(&slots)).collect())
            }
        };
        let values = match before {
            Some(before) => before
                .iter()
                .zip(&after)
                .map(|(b, a)| concat(&[&**b, &**a]).map_err(|e| Error::internal(e.to_string())))
                .collect::<Result<Vec<_>>>()?,
            None => after,
        };
        self.write(input, keys, assigned, &emitted, &values)
    }

    /// The groups of these keys that are there, as they are: without windows.
    pub(super) fn rows_of(&self, keys: &Keys) -> Result<ChangeBatch> {
        let broken = |e| corrupt("an aggregate", e);
        let mut decoder = RowDecoder::new(&self.spec.key_types, Mode::Ordered).map_err(broken)?;
        let (mut builder, mut slots) = (ChangeBuilder::default(), vec![]);
        for slot in keys.iter().filter_map(|key| self.groups.find(key)) {
            let Some(group) = self.groups.get(slot) else { continue };
            decoder.push(&group.key).map_err(broken)?;
            builder.push(0, group.rowtime, Change::Upsert);
            slots.push(slot);
        }
        let mut columns = decoder.finish().map_err(broken)?;
        columns.extend(self.states.iter().map(|s| s.values(&slots)));
        Ok(builder.finish(columns))
    }

    fn every_change(&self, input: &ChangeBatch, assigned: &Assigned, old: bool, base: u32) -> Vec<Emitted> {
        let mut emitted: Vec<Emitted> = Vec::with_capacity(assigned.rows.len());
        let first = |(touched, mark): (&super::assign::Touched, u32)| (old && touched.existed).then_some(mark);
        let mut latest: Vec<Option<u32>> =
            if old { assigned.touched.iter().zip(0..).map(first).collect() } else { vec![] };
        for (at, mark) in assigned.marks.iter().enumerate() {
            let after = base + number(at);
            let mut before = None;
            if let Some(latest) = latest.get_mut(*mark as usize) {
                before = latest.replace(after);
            }
            if self.spec.from_table && is_second_half(input, assigned, at) {
                // An update within one group is one change, not a step down and a step up.
                before = emitted.pop().and_then(|e| e.before);
            }
            emitted.push(Emitted { at, before, after });
        }
        emitted
    }

    fn write(
        &self,
        input: &ChangeBatch,
        keys: &[ArrayRef],
        assigned: &Assigned,
        emitted: &[Emitted],
        values: &[ArrayRef],
    ) -> Result<ChangeBatch> {
        let mut builder = ChangeBuilder::with_capacity(emitted.len());
        let (mut rows, mut picks, mut starts) =
            (Vec::with_capacity(emitted.len()), Vec::with_capacity(emitted.len()), vec![]);
        for e in emitted {
            let source = assigned.rows.get(e.at).copied().unwrap_or(0);
            let seq = input.seq.value(source as usize);
            let time = assigned.times.get(e.at).copied().unwrap_or(0);
            let mut push = |op, pick: u32| {
                builder.push(seq, time, op);
                rows.push(source);
                picks.push(pick);
                starts.extend(assigned.starts.get(e.at));
            };
            match e.before {
                Some(before) => {
                    push(Change::UpdateBefore, before);
                    push(Change::UpdateAfter, e.after);
                }
                None => push(Change::Insert, e.after),
            }
        }
        let mut columns = gather(keys, rows)?;
        columns.extend(gather(values, picks)?);
        self.window_columns(starts, &mut columns);
        Ok(builder.finish(columns))
    }

    /// The window columns for rows of these starts.
    pub(super) fn window_columns(&self, starts: Vec<i64>, columns: &mut Vec<ArrayRef>) {
        if let Some(windows) = self.windows {
            let ends = starts.iter().map(|s| s.saturating_add(windows.size_ms)).collect::<Int64Array>();
            columns.push(Arc::new(Int64Array::from(starts)));
            columns.push(Arc::new(ends));
        }
    }

    /// No rows.
    pub(super) fn nothing(&self) -> Result<ChangeBatch> {
        let decoder = RowDecoder::new(&self.spec.key_types, Mode::Ordered).and_then(|mut d| d.finish());
        let mut columns = decoder.map_err(|e| corrupt("an aggregate", e))?;
        columns.extend(self.states.iter().map(|s| s.values(&[])));
        self.window_columns(vec![], &mut columns);
        Ok(ChangeBuilder::default().finish(columns))
    }
}

/// The last change of each group, in order.
fn last_changes(assigned: &Assigned, old: bool, base: u32) -> Vec<Emitted> {
    let mut is_last = vec![false; assigned.rows.len()];
    for touched in &assigned.touched {
        if let Some(last) = is_last.get_mut(touched.last) {
            *last = true;
        }
    }
    let mut emitted = Vec::with_capacity(assigned.touched.len());
    for (at, mark) in assigned.marks.iter().enumerate() {
        if is_last.get(at) == Some(&true) {
            let existed = old && assigned.touched.get(*mark as usize).is_some_and(|t| t.existed);
            emitted.push(Emitted { at, before: existed.then_some(*mark), after: base + number(emitted.len()) });
        }
    }
    emitted
}

/// Whether the entry is the second half of an update whose first half, just before it, went to the same group.
fn is_second_half(input: &ChangeBatch, assigned: &Assigned, at: usize) -> bool {
    let Some(previous) = at.checked_sub(1) else { return false };
    let (Some(row), Some(row_before)) = (assigned.rows.get(at), assigned.rows.get(previous)) else { return false };
    row_before + 1 == *row
        && input.is_update(*row_before as usize)
        && assigned.slots.get(at) == assigned.slots.get(previous)
}

/// The elements of each of `columns` at `rows`.
fn gather(columns: &[ArrayRef], rows: Vec<u32>) -> Result<Vec<ArrayRef>> {
    if columns.first().is_some_and(|c| is_identity(&rows, c.len())) {
        return Ok(columns.to_vec());
    }
    let rows = UInt32Array::from(rows);
    columns.iter().map(|c| take_rows(c, &rows)).collect()
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
