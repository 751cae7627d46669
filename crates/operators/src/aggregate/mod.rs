//! GROUP BY, with or without tumbling and hopping windows.
//!
//! Input: a stream, or a table whose changes carry old values, exchanged by the group columns. Output: a table: group
//! columns, aggregates, and with windows WINDOWSTART, WINDOWEND; every change of a group is an insert, or, where old
//! values are wanted, an insert first and updates from then on. State: per group (and window) its aggregates' states
//! and the latest event time. Time: of the latest row of the group. Order: of the rows that caused the changes; with
//! EMIT FINAL, of the rows that closed the windows, then of window and key. Bound: windows are forgotten when their
//! retention is over; groups without windows are not. Errors: rows with a NULL in a group column, and rows too late
//! for a window, are dropped and reported; so is the result of a window that had to be forgotten before it closed.

mod assign;
mod emit;
mod finals;
pub(crate) mod fold;
pub(crate) mod groups;
mod paging;
pub(crate) mod state;
pub(crate) mod windows;

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef};
use functions::{GroupStates, RowErrors};
use planner::{
    expr::evaluate,
    plan::{AggregateCall, BoundExpr, WindowSpec},
};
use statestore::{Keys, Paged, Slots};
use types::Result;

use self::{
    assign::Assigned,
    fold::{CallInput, Rows, fold},
    groups::Groups,
    state::{load, store},
    windows::{TimeWindows, bytes_time},
};
use crate::{ChangeBatch, Operator, ReportKind, StepContext};

/// What an aggregation computes.
#[derive(Clone)]
pub struct AggregateSpec {
    /// Columns of the input.
    pub input: SchemaRef,
    /// Group columns.
    pub group_by: Vec<BoundExpr>,
    /// Their types.
    pub key_types: Vec<DataType>,
    /// Aggregates.
    pub calls: Vec<AggregateCall>,
    /// Windows.
    pub window: Option<WindowSpec>,
    /// EMIT FINAL.
    pub emit_final: bool,
    /// NULL is a group too.
    pub keep_null_keys: bool,
    /// The input is a table.
    pub from_table: bool,
    /// Whether changes must carry old values.
    pub emit_old: bool,
}

/// See the module.
pub struct Aggregate {
    spec: AggregateSpec,
    windows: Option<TimeWindows>,
    groups: Groups,
    states: Vec<Box<dyn GroupStates>>,
    /// Slots by window start, to close and to forget windows in bulk. Restoring may leave slots behind that are another
    /// window's by now.
    by_start: BTreeMap<i64, Vec<u32>>,
    /// EMIT FINAL: windows that start before that are closed.
    open_from: i64,
}

impl Aggregate {
    /// An empty one.
    pub fn new(spec: AggregateSpec) -> Aggregate {
        let make = |c: &AggregateCall| if spec.from_table { (c.bound.make_retractable)() } else { (c.bound.make)() };
        let states = spec.calls.iter().map(make).collect();
        let windows = spec.window.as_ref().and_then(TimeWindows::new);
        let by_start = BTreeMap::new();
        Aggregate { spec, windows, groups: Groups::default(), states, by_start, open_from: i64::MIN }
    }

    /// The slot of a group, by its key and what the index knows of that, and whether it is new. Its states are there
    /// after [`Aggregate::make_room`].
    fn slot(&mut self, (key, hash): (&[u8], u32), start: i64) -> (u32, bool) {
        let (slot, new) = self.groups.intern_hashed(hash, key);
        if new && self.windows.is_some() {
            self.by_start.entry(start).or_default().push(slot);
        }
        (slot, new)
    }

    /// States for all slots.
    fn make_room(&mut self) {
        let slots = self.groups.slots();
        self.states.iter_mut().for_each(|s| s.resize(slots));
    }

    /// The group of `key` with a stored state; its slot.
    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<u32> {
        let start = match self.windows {
            Some(_) => key.last_chunk::<8>().map_or(0, |b| bytes_time(*b)),
            None => 0,
        };
        let (slot, _) = self.slot((key, self.groups.hash(key)), start);
        self.make_room();
        load(value, &mut self.groups, &mut self.states, slot)?;
        Ok(slot)
    }

    fn step_rows(&mut self, input: &ChangeBatch, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let batch = input.to_record_batch(&self.spec.input)?;
        let mut errors = RowErrors::default();
        let keys = self.spec.group_by.iter().map(|g| evaluate(g, &batch, &mut errors)).collect::<Result<Vec<_>>>()?;
        for (row, reason) in errors.rows {
            context.report(input.seq.value(row), ReportKind::Expression, reason);
        }
        self.page_in(input, &keys)?;
        let assigned = self.assign(input, &keys, context)?;
        if assigned.rows.is_empty() {
            return self.nothing();
        }
        self.make_room();
        let out = self.change_groups(input, &keys, &assigned, context);
        assigned.touched.iter().for_each(|t| self.groups.unmark(t.slot));
        out
    }

    fn change_groups(
        &mut self,
        input: &ChangeBatch,
        keys: &[arrow::array::ArrayRef],
        assigned: &Assigned,
        context: &mut StepContext<'_>,
    ) -> Result<ChangeBatch> {
        let calls = CallInput::evaluate(&self.spec.calls, input, &self.spec.input, context)?;
        let each = !context.caching && !self.spec.emit_final;
        // What the touched groups held before: needed for old values only.
        let before = (self.spec.emit_old && !self.spec.emit_final).then(|| {
            let touched: Vec<u32> = assigned.touched.iter().map(|t| t.slot).collect();
            self.states.iter().map(|s| s.values(&touched)).collect::<Vec<_>>()
        });
        let retract = assigned.retractions(input);
        let rows = Rows { rows: &assigned.rows, slots: &assigned.slots, retract: retract.as_deref() };
        let mut errors = RowErrors::default();
        let after = fold(&mut self.states, &calls, &rows, each, &mut errors)?;
        for (at, reason) in errors.rows {
            let row = assigned.rows.get(at).map_or(0, |r| *r as usize);
            context.report(input.seq.value(row), ReportKind::Expression, reason);
        }
        if self.spec.emit_final {
            return self.nothing();
        }
        let each = each.then_some(after);
        self.emit(input, keys, assigned, before, each)
    }
}

impl Operator for Aggregate {
    fn name(&self) -> &'static str {
        "Aggregate"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let input = inputs.pop().unwrap_or_else(|| ChangeBatch::empty(&self.spec.input));
        self.states.iter_mut().for_each(|s| s.number_from(context.epoch << 32));
        let out = if input.is_empty() { self.nothing()? } else { self.step_rows(&input, context)? };
        let out = if self.spec.emit_final { self.close_windows(context)? } else { out };
        self.expire(context.time.end());
        Ok(out)
    }

    fn closings(&self, each: &mut dyn FnMut(i64)) {
        if self.spec.emit_final {
            self.pending_windows().for_each(each);
        }
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let (dirty, removed) = self.groups.drain();
        let mut value = Vec::new();
        for key in removed {
            each(&key, None);
        }
        for slot in dirty {
            if let Some(group) = self.groups.get(slot) {
                store(group, &self.states, slot, &mut value);
                each(&group.key, Some(&value));
                if let Some(residency) = &mut self.groups.residency {
                    residency.changed(slot);
                }
            }
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let Some(value) = value else {
            let slot = self.groups.remove_restored(key);
            if let Some(slot) = slot {
                self.states.iter_mut().for_each(|s| s.reset(slot as usize));
            }
            if let Some(residency) = &mut self.groups.residency {
                residency.removed(key);
                slot.into_iter().for_each(|slot| residency.freed(slot));
            }
            return Ok(());
        };
        let slot = self.load(key, value)?;
        if let Some(residency) = &mut self.groups.residency {
            residency.changed(slot);
        }
        Ok(())
    }

    fn rows(&self, keys: &Keys) -> Result<Option<ChangeBatch>> {
        match self.windows {
            Some(_) => Ok(None),
            None => self.rows_of(keys).map(Some),
        }
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let mut value = Vec::new();
        for (slot, group) in self.groups.iter() {
            store(group, &self.states, slot, &mut value);
            each(&group.key, &value);
        }
    }

    fn paged(&mut self, each: &mut dyn FnMut(&mut dyn Paged)) -> bool {
        let may_leave = self.may_leave();
        if may_leave {
            each(self);
        }
        may_leave
    }

    fn size(&self) -> (usize, usize) {
        (self.groups.len(), self.size_bytes())
    }
}
