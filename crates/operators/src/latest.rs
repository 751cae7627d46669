//! Of a table's changes, the last of each key: what is left when changes that are superseded at once may be dropped.

use std::collections::HashMap;

use arrow::array::{ArrayRef, UInt32Array};
use foldhash::fast::RandomState;
use statestore::Mode;
use types::Result;

use crate::{Change, ChangeBatch, ChangeBuilder, change::take_rows, key_bytes::KeyBytes, table_rows::encoder};

/// A change of a key: rows of the batch.
#[derive(Clone, Copy)]
struct Changed {
    old: Option<usize>,
    new: Option<usize>,
}

/// All changes of a key as one.
struct Net {
    first: Changed,
    last: Changed,
    /// The row at which the last one stands.
    at: usize,
}

/// The last changes of each key, in order; the key's columns are at `key`. `old`: the changes carry old values (inserts
/// are of keys that were not there), and so do those that come out: a key that came and went leaves nothing.
pub(crate) fn last_changes(batch: ChangeBatch, key: &[usize], old: bool) -> Result<ChangeBatch> {
    let columns: Vec<ArrayRef> = key.iter().filter_map(|k| batch.columns.get(*k).cloned()).collect();
    let encoder = encoder(&columns, Mode::Compact)?;
    let mut nets: HashMap<KeyBytes, Net, RandomState> = HashMap::default();
    let (mut bytes, mut changes) = (Vec::new(), 0);
    let mut row = 0;
    while row < batch.len() {
        let is_pair =
            batch.op(row) == Change::UpdateBefore && row + 1 < batch.len() && batch.op(row + 1) == Change::UpdateAfter;
        let changed = match batch.op(row) {
            _ if is_pair => Changed { old: Some(row), new: Some(row + 1) },
            Change::Delete => Changed { old: Some(row), new: None },
            Change::Tombstone => Changed { old: None, new: None },
            _ => Changed { old: None, new: Some(row) },
        };
        bytes.clear();
        encoder.encode(row, &mut bytes);
        row += if is_pair { 2 } else { 1 };
        changes += 1;
        let net = nets.entry(bytes.as_slice().into()).or_insert(Net { first: changed, last: changed, at: 0 });
        (net.last, net.at) = (changed, row - 1);
    }
    drop(encoder);
    if nets.len() == changes {
        return Ok(batch);
    }
    let mut nets: Vec<Net> = nets.into_values().collect();
    nets.sort_unstable_by_key(|n| n.at);
    let mut builder = ChangeBuilder::with_capacity(nets.len());
    let mut rows: Vec<u32> = Vec::with_capacity(nets.len());
    for net in nets {
        let at = net.at;
        let (seq, time) = (batch.seq.value(at), batch.rowtime.value(at));
        let mut push = |row: usize, op| {
            builder.push(seq, time, op);
            rows.push(u32::try_from(row).unwrap_or(u32::MAX));
        };
        let came = old && net.first.old.is_none() && net.first.new.is_some();
        match (net.first.old.filter(|_| old), net.last.new) {
            (Some(before), Some(after)) => {
                push(before, Change::UpdateBefore);
                push(after, Change::UpdateAfter);
            }
            (Some(before), None) => push(before, Change::Delete),
            (None, Some(after)) if came => push(after, Change::Insert),
            (None, None) if came => {}
            (None, _) => push(at, batch.op(at)),
        }
    }
    let rows = UInt32Array::from(rows);
    let columns = batch.columns.iter().map(|c| take_rows(c, &rows)).collect::<Result<_>>()?;
    Ok(builder.finish(columns))
}
