//! Which sessions there are.

use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{
    aggregate::{
        groups::Groups,
        windows::{bytes_time, time_bytes},
    },
    key_bytes::KeyBytes,
};

/// Sessions by key and by end.
#[derive(Default)]
pub(crate) struct Sessions {
    /// Under group columns, end and start.
    pub groups: Groups,
    /// By key: (start, end, slot), by start. No two of a key overlap or touch, but for those that expired.
    by_key: HashMap<KeyBytes, Vec<(i64, i64, u32)>, RandomState>,
    /// (end, slot).
    by_end: BTreeSet<(i64, u32)>,
}

/// A session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub start: i64,
    pub end: i64,
    pub slot: u32,
    /// EMIT FINAL: it was not emitted yet.
    pub pending: bool,
}

/// An entry's key: group columns, end, start.
fn join_key(key: &[u8], start: i64, end: i64) -> Vec<u8> {
    [key, &time_bytes(end), &time_bytes(start)].concat()
}

/// Group columns, start and end of an entry's key.
pub(crate) fn split_key(key: &[u8]) -> Option<(&[u8], i64, i64)> {
    let (rest, start) = key.split_last_chunk::<8>()?;
    let (plain, end) = rest.split_last_chunk::<8>()?;
    Some((plain, bytes_time(*start), bytes_time(*end)))
}

impl Sessions {
    fn session(&self, slot: u32) -> Option<Session> {
        let group = self.groups.get(slot)?;
        let (_, start, end) = split_key(&group.key)?;
        Some(Session { start, end, slot, pending: group.pending })
    }

    /// The sessions of a key that end at `low` or later and start at `high` or earlier, by start.
    pub fn touching(&self, key: &[u8], low: i64, high: i64) -> Vec<Session> {
        let Some(all) = self.by_key.get(key) else { return vec![] };
        let until = all.partition_point(|(start, ..)| *start <= high);
        let near = all.get(..until).unwrap_or_default().iter().rev().take_while(|(_, end, _)| *end >= low);
        let mut found: Vec<Session> =
            near.map(|(start, end, slot)| Session { start: *start, end: *end, slot: *slot, pending: false }).collect();
        found.reverse();
        found
    }

    /// The session under that entry's key.
    pub fn find(&self, entry_key: &[u8], start: i64, end: i64) -> Option<Session> {
        self.groups.find(entry_key).map(|slot| Session { start, end, slot, pending: false })
    }

    /// A new session; gives its slot.
    pub fn insert(&mut self, key: &[u8], start: i64, end: i64) -> u32 {
        let (slot, _) = self.groups.intern(&join_key(key, start, end));
        self.link(key, start, end, slot);
        slot
    }

    /// A row went in.
    pub fn touch(&mut self, slot: u32, end: i64, pending: bool) {
        if let Some(group) = self.groups.touch(slot) {
            group.rowtime = end;
            group.pending = pending;
        }
    }

    /// The session now reaches from `start` to `end`.
    pub fn stretch(&mut self, session: Session, start: i64, end: i64) {
        if (session.start, session.end) == (start, end) {
            return;
        }
        let Some(key) = self.unlink(session) else { return };
        self.groups.rename(session.slot, &join_key(&key, start, end));
        self.link(&key, start, end, session.slot);
    }

    /// Forget a session.
    pub fn remove(&mut self, session: Session) {
        self.unlink(session);
        self.groups.remove(session.slot);
    }

    /// Forget a session, as a changelog says.
    pub fn remove_restored(&mut self, session: Session) {
        if let Some(key) = self.unlink(session) {
            self.groups.remove_restored(&join_key(&key, session.start, session.end));
        }
    }

    /// Sessions that end at `from` or later, by end.
    pub fn ending_from(&self, from: i64) -> impl Iterator<Item = Session> {
        self.by_end.range((from, 0)..).filter_map(|(_, slot)| self.session(*slot))
    }

    /// The session that ends first.
    pub fn first_ending(&self) -> Option<Session> {
        self.by_end.first().and_then(|(_, slot)| self.session(*slot))
    }

    fn link(&mut self, key: &[u8], start: i64, end: i64, slot: u32) {
        let all = self.by_key.entry(key.into()).or_default();
        let at = all.partition_point(|s| *s < (start, end, slot));
        all.insert(at, (start, end, slot));
        self.by_end.insert((end, slot));
    }

    /// Takes a session out of the lists; gives its key.
    fn unlink(&mut self, session: Session) -> Option<Vec<u8>> {
        let Session { start, end, slot, .. } = session;
        let (key, ..) = split_key(&self.groups.get(slot)?.key)?;
        let key = key.to_vec();
        if let Some(all) = self.by_key.get_mut(&*key) {
            all.retain(|s| *s != (start, end, slot));
            if all.is_empty() {
                self.by_key.remove(&*key);
            }
        }
        self.by_end.remove(&(end, slot));
        Some(key)
    }
}
