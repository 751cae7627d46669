//! The rows that go out of session windows, and the rows on their way into the states.
//!
//! Rows are folded in late, many at a time: what goes out of a session is known by place before its values are
//! computed. States are brought up to date before they are merged, and at the end of the step.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, UInt32Array, new_null_array},
    compute::concat,
    datatypes::DataType,
};
use foldhash::fast::RandomState;
use functions::{GroupStates, RowErrors};
use statestore::{Mode, RowDecoder};
use types::{Error, Result};

use super::sessions::Session;
use crate::{
    Change, ChangeBatch, ChangeBuilder,
    aggregate::fold::{CallInput, Rows, fold},
    change::take_rows,
    corrupt,
};

/// Where an output row's values stand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pick {
    /// Nowhere: they are NULL.
    Null,
    /// What a session held before the rows of a run: (run, place).
    Before(usize, u32),
    /// After a row of a run: (run, place).
    After(usize, u32),
}

/// See the module.
pub(crate) struct Output<'a> {
    calls: &'a [CallInput],
    /// EMIT FINAL: sessions go out when they close, not rows when they come.
    emit_final: bool,
    /// EMIT FINAL: the group columns of what goes out.
    final_keys: RowDecoder,
    builder: ChangeBuilder,
    /// The input rows that have the group columns.
    rows: Vec<u32>,
    picks: Vec<Pick>,
    bounds: Vec<(i64, i64)>,
    /// The run: rows and their sessions, and sessions whose values before it are wanted.
    run: Vec<u32>,
    run_slots: Vec<u32>,
    run_before: Vec<u32>,
    /// Where the latest values of a session stand, if they are of the run.
    latest: HashMap<u32, Pick, RandomState>,
    /// Of each run that is done: where its values begin, and how many of them are of before it.
    runs: Vec<(u32, u32)>,
    /// Values of runs that are done, by call.
    values: Vec<Vec<ArrayRef>>,
    length: u32,
    errors: Vec<(usize, String)>,
}

impl<'a> Output<'a> {
    /// Nothing yet.
    pub fn new(calls: &'a [CallInput], key_types: &[DataType], emit_final: bool) -> Result<Output<'a>> {
        let final_keys = RowDecoder::new(key_types, Mode::Ordered).map_err(|e| corrupt("an aggregate", e))?;
        Ok(Output {
            calls,
            emit_final,
            final_keys,
            builder: ChangeBuilder::default(),
            rows: vec![],
            picks: vec![],
            bounds: vec![],
            run: vec![],
            run_slots: vec![],
            run_before: vec![],
            latest: HashMap::default(),
            runs: vec![],
            values: vec![vec![]; calls.len()],
            length: 0,
            errors: vec![],
        })
    }

    /// The values of a session as it is.
    pub fn before(&mut self, slot: u32) -> Pick {
        let (run, before) = (self.runs.len(), &mut self.run_before);
        *self.latest.entry(slot).or_insert_with(|| {
            before.push(slot);
            Pick::Before(run, number(before.len() - 1))
        })
    }

    /// A row goes into a session; gives the values after it.
    pub fn fold(&mut self, row: u32, slot: u32) -> Pick {
        let pick = Pick::After(self.runs.len(), number(self.run.len()));
        self.run.push(row);
        self.run_slots.push(slot);
        self.latest.insert(slot, pick);
        pick
    }

    /// A row goes out; its group columns are those of input row `row`.
    pub fn push(&mut self, row: u32, seq: u64, time: i64, op: Change, pick: Pick, bounds: (i64, i64)) {
        self.builder.push(seq, time, op);
        self.rows.push(row);
        self.picks.push(pick);
        self.bounds.push(bounds);
    }

    /// EMIT FINAL: a session goes out as it is.
    pub fn push_final(&mut self, entry_key: &[u8], seq: u64, session: Session) -> Result<()> {
        self.final_keys.push_prefix(entry_key).map_err(|e| corrupt("an aggregate", e))?;
        let pick = self.before(session.slot);
        self.builder.push(seq, session.end, Change::Insert);
        self.picks.push(pick);
        self.bounds.push((session.start, session.end));
        Ok(())
    }

    /// Bring the states up to date.
    pub fn flush(&mut self, states: &mut [Box<dyn GroupStates>]) -> Result<()> {
        if self.run.is_empty() && self.run_before.is_empty() {
            return Ok(());
        }
        let before = number(self.run_before.len());
        if before > 0 {
            for (values, state) in self.values.iter_mut().zip(&*states) {
                values.push(state.values(&self.run_before));
            }
        }
        let rows = Rows { rows: &self.run, slots: &self.run_slots, retract: None };
        let mut errors = RowErrors::default();
        let after = fold(states, self.calls, &rows, true, &mut errors)?;
        self.values.iter_mut().zip(after).for_each(|(values, after)| values.push(after));
        let row = |at: usize| self.run.get(at).map_or(0, |r| *r as usize);
        self.errors.extend(errors.rows.into_iter().map(|(at, reason)| (row(at), reason)));
        self.runs.push((self.length, before));
        self.length += before + number(self.run.len());
        self.run.clear();
        self.run_slots.clear();
        self.run_before.clear();
        self.latest.clear();
        Ok(())
    }

    /// Rows that an aggregate could not take, and why.
    pub fn take_errors(&mut self) -> Vec<(usize, String)> {
        std::mem::take(&mut self.errors)
    }

    /// The rows. `keys`: group columns of the input; everything is flushed.
    pub fn finish(mut self, keys: &[ArrayRef], states: &[Box<dyn GroupStates>]) -> Result<ChangeBatch> {
        let runs = &self.runs;
        let place = |pick: &Pick| match pick {
            Pick::Null => Some(self.length),
            Pick::Before(run, at) => runs.get(*run).map(|(base, _)| base + at),
            Pick::After(run, at) => runs.get(*run).map(|(base, before)| base + before + at),
        };
        let picks: UInt32Array = self.picks.iter().map(|p| place(p).unwrap_or(self.length)).collect();
        let mut columns = if self.emit_final {
            self.final_keys.finish().map_err(|e| corrupt("an aggregate", e))?
        } else {
            let rows = UInt32Array::from(self.rows);
            keys.iter().map(|k| take_rows(k, &rows)).collect::<Result<_>>()?
        };
        for (parts, state) in self.values.iter().zip(states) {
            // NULL stands behind all values.
            let null = new_null_array(state.values(&[]).data_type(), 1);
            let parts: Vec<&dyn arrow::array::Array> = parts.iter().chain([&null]).map(AsRef::as_ref).collect();
            let all = concat(&parts).map_err(|e| Error::internal(e.to_string()))?;
            columns.push(take_rows(&all, &picks)?);
        }
        columns.extend(bounds_columns(&self.bounds));
        Ok(self.builder.finish(columns))
    }
}

/// WINDOWSTART and WINDOWEND.
fn bounds_columns(bounds: &[(i64, i64)]) -> [ArrayRef; 2] {
    let starts = bounds.iter().map(|b| b.0).collect::<Int64Array>();
    let ends = bounds.iter().map(|b| b.1).collect::<Int64Array>();
    [Arc::new(starts), Arc::new(ends)]
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
