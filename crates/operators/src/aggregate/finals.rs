//! EMIT FINAL, and the forgetting of windows.

use std::ops::Bound;

use statestore::{Mode, RowDecoder};
use types::Result;

use super::{Aggregate, windows::bytes_time};
use crate::{Change, ChangeBatch, ChangeBuilder, ReportKind, StepContext, corrupt};

impl Aggregate {
    /// Results of the windows that the epoch closed. A jump in time that closes a window may be so wide that the
    /// window's retention is over as well: then there is no result, as in ksqlDB.
    pub(super) fn close_windows(&mut self, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some((windows, now)) = self.windows.zip(context.time.end()) else { return self.nothing() };
        let mut closed: Vec<(u64, i64, u32)> = vec![];
        let unseen = (Bound::Included(self.open_from), Bound::Unbounded);
        for (start, slots) in self.by_start.range(unseen) {
            if !windows.is_closed(*start, now) {
                break;
            }
            self.open_from = start.saturating_add(1);
            let (seq, time) = context.time.when(windows.close_ms(*start)).unwrap_or((0, now));
            let forgotten = windows.is_expired(*start, time);
            let mut lost = false;
            for slot in slots {
                let own = self.groups.get(*slot).is_some_and(|g| g.pending && window_start(&g.key) == *start);
                let Some(group) = self.groups.touch(*slot).filter(|_| own) else { continue };
                group.pending = false;
                match forgotten {
                    true => lost = true,
                    false => closed.push((seq, *start, *slot)),
                }
            }
            if lost {
                let message = format!(
                    "results of the window from {start} (ms) are lost: when stream time came to its end, it jumped to \
                     {time}, beyond its retention of {} ms",
                    windows.retention_ms
                );
                context.report(seq, ReportKind::Late, message);
            }
        }
        let key = |slot: &u32| self.groups.get(*slot).map(|g| &*g.key);
        closed.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| key(&a.2).cmp(&key(&b.2))));
        let decoder = RowDecoder::new(&self.spec.key_types, Mode::Ordered);
        let mut decoder = decoder.map_err(|e| corrupt("an aggregate", e))?;
        let (mut builder, mut slots, mut starts) = (ChangeBuilder::default(), vec![], vec![]);
        for (seq, start, slot) in closed {
            let Some(group) = self.groups.get(slot) else { continue };
            decoder.push_prefix(&group.key).map_err(|e| corrupt("an aggregate", e))?;
            builder.push(seq, group.rowtime, Change::Insert);
            slots.push(slot);
            starts.push(start);
        }
        let mut columns = decoder.finish().map_err(|e| corrupt("an aggregate", e))?;
        columns.extend(self.states.iter().map(|s| s.values(&slots)));
        self.window_columns(starts, &mut columns);
        Ok(builder.finish(columns))
    }

    /// When the windows close that have results to give.
    pub(super) fn pending_windows(&self) -> impl Iterator<Item = i64> {
        let waits =
            |start: i64, slot: &u32| self.groups.get(*slot).is_some_and(|g| g.pending && window_start(&g.key) == start);
        let unseen = self.by_start.range((Bound::Included(self.open_from), Bound::Unbounded));
        let pending = unseen.filter(move |(start, slots)| slots.iter().any(|slot| waits(**start, slot)));
        pending.filter_map(|(start, _)| Some(self.windows?.close_ms(*start)))
    }

    /// Forget windows whose retention is over.
    pub(super) fn expire(&mut self, now: Option<i64>) {
        let Some((windows, now)) = self.windows.zip(now) else { return };
        while let Some(entry) = self.by_start.first_entry() {
            let start = *entry.key();
            if !windows.is_expired(start, now) {
                break;
            }
            for slot in entry.remove() {
                if self.groups.get(slot).is_some_and(|g| window_start(&g.key) == start) {
                    self.groups.remove(slot);
                    self.states.iter_mut().for_each(|s| s.reset(slot as usize));
                }
            }
        }
    }
}

fn window_start(key: &[u8]) -> i64 {
    key.last_chunk::<8>().map_or(0, |b| bytes_time(*b))
}
