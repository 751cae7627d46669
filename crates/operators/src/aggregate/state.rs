//! A group's state as bytes: version, flags, time, then each aggregate's bytes after their length.

use functions::GroupStates;
use types::Result;

use super::groups::{Group, Groups};
use crate::corrupt;

/// Version of the encoding.
const STATE_VERSION: u8 = 1;

/// The flag of a window that EMIT FINAL has not emitted yet.
const PENDING: u8 = 1;

/// Write the state of the group in `slot` into `out`, over what is there.
pub(crate) fn store(group: &Group, states: &[Box<dyn GroupStates>], slot: u32, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[STATE_VERSION, if group.pending { PENDING } else { 0 }]);
    out.extend_from_slice(&group.rowtime.to_le_bytes());
    for state in states {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        state.store(slot as usize, out);
        let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Back from [`store`].
pub(crate) fn load(value: &[u8], groups: &mut Groups, states: &mut [Box<dyn GroupStates>], slot: u32) -> Result<()> {
    let short = || corrupt("an aggregate", "the entry is too short");
    let (head, mut rest) = value.split_first_chunk::<10>().ok_or_else(short)?;
    let [version, flags, time @ ..] = *head;
    if version != STATE_VERSION {
        return Err(corrupt("an aggregate", format!("version {version} is not known")));
    }
    for state in states {
        let (length, bytes) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (own, next) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        state.load(slot as usize, own)?;
        rest = next;
    }
    if let Some(group) = groups.restored(slot) {
        group.rowtime = i64::from_le_bytes(time);
        group.pending = flags & PENDING != 0;
    }
    Ok(())
}
