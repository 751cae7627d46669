//! Groups that leave memory for a cold store, and come back when a row asks for them.

use std::sync::Arc;

use arrow::array::ArrayRef;
use coldstore::Version;
use statestore::{Keys, Mode, Paged, Residency};
use types::Result;

use super::{Aggregate, state::store};
use crate::{Change, ChangeBatch, table_rows::encoder};

impl Aggregate {
    /// Whether groups may leave memory. Those of windows may not: windows are closed and forgotten by time, which takes
    /// all of their groups.
    pub(super) fn may_leave(&self) -> bool {
        self.spec.window.is_none()
    }

    /// Have the groups in memory that the rows of a batch go to.
    pub(super) fn page_in(&mut self, input: &ChangeBatch, keys: &[ArrayRef]) -> Result<()> {
        let Some(mut residency) = self.groups.residency.take() else { return Ok(()) };
        let encoder = encoder(keys, Mode::Ordered)?;
        let mut wanted = Keys::default();
        for row in 0..input.len() {
            if input.op(row) != Change::Tombstone && (self.spec.keep_null_keys || !encoder.any_null(row)) {
                wanted.push(|out| encoder.encode(row, out));
            }
        }
        let page_in = residency.look_for(&wanted, &self.groups);
        self.groups.residency = Some(residency);
        let mut loaded = Ok(());
        page_in.read(|key, value| {
            if loaded.is_ok() {
                loaded = self.load(key, value).map(|slot| {
                    if let Some(residency) = &mut self.groups.residency {
                        residency.admitted(slot);
                    }
                });
            }
        })?;
        loaded
    }

    /// Memory of the groups that are there, about.
    pub(super) fn size_bytes(&self) -> usize {
        match &self.groups.residency {
            // Slots of groups that have left are for others that come.
            Some(residency) => self.group_bytes().saturating_mul(self.groups.len()) + residency.size_bytes(),
            None => self.slots_bytes(),
        }
    }

    fn slots_bytes(&self) -> usize {
        self.groups.size_bytes() + self.states.iter().map(|s| s.size_bytes()).sum::<usize>()
    }

    /// Memory that a group takes, on average.
    fn group_bytes(&self) -> usize {
        (self.slots_bytes() / self.groups.slots().max(1)).max(1)
    }
}

impl Paged for Aggregate {
    fn attach(&mut self, prefix: Vec<u8>, version: Arc<Version>) {
        let mut residency = Box::new(Residency::new(prefix, version));
        self.groups.iter().for_each(|(slot, _)| residency.changed(slot));
        self.groups.residency = Some(residency);
    }

    fn changed_bytes(&self) -> Option<usize> {
        self.groups.residency.as_ref().map(|r| r.changed_bytes(self.group_bytes()))
    }

    fn take_changed(&mut self, bytes_max: usize, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) -> bool {
        let group_bytes = self.group_bytes();
        let Some(mut residency) = self.groups.residency.take() else { return true };
        let each = std::cell::RefCell::new(each);
        let mut value = Vec::new();
        let entry = |slot: u32| {
            let Some(group) = self.groups.get(slot) else { return };
            store(group, &self.states, slot, &mut value);
            each.borrow_mut()(&group.key, Some(&value));
        };
        let gone = |key: &[u8]| {
            if self.groups.find(key).is_none() {
                each.borrow_mut()(key, None);
            }
        };
        let all = residency.take(bytes_max / group_bytes, entry, gone);
        self.groups.residency = Some(residency);
        all
    }

    fn written(&mut self, version: Arc<Version>) {
        if let Some(residency) = &mut self.groups.residency {
            residency.written(version);
        }
    }

    fn evict(&mut self, bytes: usize) {
        let group_bytes = self.group_bytes();
        let Some(mut residency) = self.groups.residency.take() else { return };
        let mut left = bytes;
        residency.evict(|slot| {
            self.groups.evict(slot);
            self.states.iter_mut().for_each(|s| s.reset(slot as usize));
            left = left.saturating_sub(group_bytes);
            left > 0
        });
        self.groups.residency = Some(residency);
    }

    fn lookups(&self) -> (u64, u64) {
        self.groups.residency.as_ref().map_or((0, 0), |r| r.lookups())
    }

    fn residency_mut(&mut self) -> Option<&mut Residency> {
        self.groups.residency.as_deref_mut()
    }
}
