//! Headers of an epoch's records, which go on to the records that they cause.
//!
//! Rows do not carry them: hardly any record has headers, and a row knows by its `seq` which record it comes from. So
//! the headers of those that have some are put aside when records are decoded, and looked up when results are written.

use std::{collections::HashMap, sync::Arc};

use operators::SUB_BITS;
use recordlog::batch::RecordRanges;

/// Name and value.
pub(crate) type Header = (String, Option<Vec<u8>>);

/// Headers by arrival number of their record.
#[derive(Debug, Default, Clone)]
pub(crate) struct HeaderBook {
    entries: HashMap<u64, Arc<[Header]>>,
}

impl HeaderBook {
    /// Note those of the record at `index`, if it has any.
    pub fn note(&mut self, arrival: u64, ranges: &RecordRanges, index: usize) {
        let owned = |h: recordlog::batch::Header<'_>| {
            (String::from_utf8_lossy(h.name).into_owned(), h.value.map(<[u8]>::to_vec))
        };
        let headers: Vec<Header> = ranges.headers_of(index).flatten().map(owned).collect();
        if !headers.is_empty() {
            self.entries.insert(arrival, headers.into());
        }
    }

    /// Whether no record had any.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Take over what another one has.
    pub fn extend(&mut self, other: HeaderBook) {
        self.entries.extend(other.entries);
    }

    /// The headers of the record that a row comes from.
    pub fn of(&self, seq: u64) -> &[Header] {
        if self.entries.is_empty() {
            return &[];
        }
        self.entries.get(&(seq >> SUB_BITS)).map_or(&[], |h| h)
    }
}
