//! Rows of one partition of a kept table as they are stored, for other processes.

use std::ops::Bound;

use runtime::TableView;
use statestore::Found;
use types::Result;

use super::{FIRST_SLACK, Wanted};

/// A row as it is stored. Ordered by key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stored {
    /// In the ordered encoding.
    pub key: Vec<u8>,
    /// Time and columns.
    pub row: Vec<u8>,
}

/// The rows, at most `rows_max`, of a table that is one partition.
pub(crate) fn stored(view: &TableView, wanted: &Wanted, rows_max: usize) -> Result<Vec<Stored>> {
    let mut rows = vec![];
    for part in &view.partitions {
        let mut push = |key: &[u8], row: &[u8]| {
            if rows.len() < rows_max {
                rows.push(Stored { key: key.to_vec(), row: row.to_vec() });
            }
        };
        match wanted {
            Wanted::Keys(keys) => {
                for key in keys {
                    let cold = match part.read().get(key) {
                        Found::Row(row) => {
                            push(key, row);
                            continue;
                        }
                        Found::Absent => continue,
                        Found::Cold(cold) => cold,
                    };
                    if let Some(row) = cold.get()? {
                        push(key, &row);
                    }
                }
            }
            Wanted::Ranges(ranges) => {
                if !part.read().store().has_order() {
                    part.write().store_mut().build_order();
                }
                let view = part.read();
                for (from, to) in ranges {
                    view.range(Bound::Included(from), Bound::Included(to), &mut push)?;
                }
            }
            Wanted::All => {
                let rest = part.read().scan(&mut push);
                rest.map_or(Ok(()), |rest| rest.scan(&mut push))?;
            }
            Wanted::First => {
                let mut first = First { rows: vec![], rows_max };
                let rest = part.read().scan(|key, row| first.offer(key, row));
                rest.map_or(Ok(()), |rest| rest.scan(|key, row| first.offer(key, row)))?;
                rows.append(&mut first.finish());
            }
        }
    }
    Ok(rows)
}

/// The first rows in order of their keys.
struct First {
    rows: Vec<Stored>,
    rows_max: usize,
}

impl First {
    fn offer(&mut self, key: &[u8], row: &[u8]) {
        self.rows.push(Stored { key: key.to_vec(), row: row.to_vec() });
        if self.rows.len() >= self.rows_max.saturating_add(FIRST_SLACK).saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.rows.sort_unstable();
        self.rows.truncate(self.rows_max);
    }

    fn finish(mut self) -> Vec<Stored> {
        self.cut();
        self.rows
    }
}
