//! One decoded record between its bytes and the columns.
//!
//! Columns can only grow, but a record can turn out to be bad at its last byte, name a field twice or in any order. So
//! a format first writes what it reads as small typed cells, in which text stays a range of the record, and only a
//! whole, good record is committed to the columns. The tape is cleared and reused for every record.

use std::collections::HashMap;

/// Cells that one record may have. An empty object costs two bytes and one cell per declared field; without a limit a
/// small record could take a lot of memory.
pub(crate) const CELLS_MAX: usize = 1 << 22;
/// Bytes of records that one call decodes, so that no column's text passes the 31 bits of Arrow's offsets, even when
/// reading makes it longer (numbers and nested values that are read into text).
pub(crate) const BATCH_BYTES_MAX: usize = i32::MAX as usize / 4;

/// Pairs of keys are compared in maps up to this size; larger ones are hashed.
const PAIRWISE_KEYS_MAX: usize = 16;

/// A range of bytes of the record or of the tape's own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub start: u32,
    pub end: u32,
}

impl Range {
    /// From `start` to before `end`; records are shorter than [`BATCH_BYTES_MAX`], so nothing is lost.
    #[inline]
    pub fn new(start: usize, end: usize) -> Range {
        Range { start: place(start), end: place(end) }
    }

    #[inline]
    pub fn bytes<'a>(&self, of: &'a [u8]) -> &'a [u8] {
        of.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    #[inline]
    pub fn text<'a>(&self, of: &'a str) -> &'a str {
        of.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A place on the tape or in a record as 32 bits.
#[inline]
pub(crate) fn place(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A value. Integers stand for INT, BIGINT, DATE, TIME and TIMESTAMP, already in their range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    Null,
    Boolean(bool),
    Int(i64),
    Double(f64),
    /// A place in `decimals`.
    Decimal(u32),
    /// Text or bytes of the record as they stand.
    Raw(Range),
    /// Text in `text`.
    Text(Range),
    /// Bytes in `bytes`.
    Bytes(Range),
    /// `len` elements from cell `at`, each followed by its own parts, up to cell `end`.
    List {
        at: u32,
        len: u32,
        end: u32,
    },
    /// As a list, of twice as many cells: key, value, …; a key that is [`Cell::Null`] marks an entry that a later one
    /// replaced.
    Map {
        at: u32,
        len: u32,
        end: u32,
    },
    /// One cell a field from cell `at`; their parts end at cell `end`.
    Struct {
        at: u32,
        end: u32,
    },
}

/// What a record's ranges point into.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A text format: the record was found to be UTF-8.
    Text(&'a str),
    /// A binary format: the reader has validated each text.
    Bytes(&'a [u8]),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub cells: Vec<Cell>,
    pub decimals: Vec<i128>,
    pub text: String,
    pub bytes: Vec<u8>,
}

impl Tape {
    /// Forget the record, keep the memory.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.decimals.clear();
        self.text.clear();
        self.bytes.clear();
    }

    /// Reserve `width` cells of nulls; their place. `None`: the record has too many.
    pub fn reserve(&mut self, width: usize) -> Option<u32> {
        let at = self.cells.len();
        if at + width > CELLS_MAX {
            return None;
        }
        self.cells.resize(at + width, Cell::Null);
        Some(place(at))
    }

    /// Write a reserved cell.
    #[inline]
    pub fn set(&mut self, at: u32, cell: Cell) {
        if let Some(slot) = self.cells.get_mut(at as usize) {
            *slot = cell;
        }
    }

    /// The cell at `at`.
    #[inline]
    pub fn cell(&self, at: u32) -> Cell {
        self.cells.get(at as usize).copied().unwrap_or(Cell::Null)
    }

    /// The place after the last cell.
    pub fn end(&self) -> u32 {
        place(self.cells.len())
    }

    /// A decimal's cell.
    pub fn decimal(&mut self, unscaled: i128) -> Cell {
        self.decimals.push(unscaled);
        Cell::Decimal(place(self.decimals.len() - 1))
    }

    /// Text of a cell.
    #[inline]
    pub fn text_of<'a>(&'a self, cell: Cell, source: Source<'a>) -> &'a str {
        match (cell, source) {
            (Cell::Raw(range), Source::Text(text)) => range.text(text),
            (Cell::Raw(range), Source::Bytes(bytes)) => std::str::from_utf8(range.bytes(bytes)).unwrap_or_default(),
            (Cell::Text(range), _) => range.text(&self.text),
            _ => "",
        }
    }

    /// Bytes of a cell.
    pub fn bytes_of<'a>(&'a self, cell: Cell, source: Source<'a>) -> &'a [u8] {
        match (cell, source) {
            (Cell::Raw(range), Source::Text(text)) => range.bytes(text.as_bytes()),
            (Cell::Raw(range), Source::Bytes(bytes)) => range.bytes(bytes),
            (Cell::Bytes(range), _) => range.bytes(&self.bytes),
            _ => &[],
        }
    }

    /// Where the element after the one at `at` stands.
    pub fn next(&self, at: u32) -> u32 {
        match self.cell(at) {
            Cell::List { end, .. } | Cell::Map { end, .. } | Cell::Struct { end, .. } => end,
            _ => at.saturating_add(1),
        }
    }

    /// Mark a map's entries whose key comes again: the last one counts, and Arrow's maps must not have two.
    pub fn last_of_each_key(&mut self, at: u32, len: usize, source: Source<'_>) {
        if len < 2 {
            return;
        }
        let mut keys = Vec::with_capacity(len);
        let mut place = at;
        for _ in 0..len {
            keys.push(place);
            place = self.next(place.saturating_add(1));
        }
        let key = |place: u32| self.text_of(self.cell(place), source);
        let mut replaced = Vec::new();
        if len <= PAIRWISE_KEYS_MAX {
            for (i, place) in keys.iter().enumerate() {
                if keys.iter().skip(i + 1).any(|later| key(*later) == key(*place)) {
                    replaced.push(*place);
                }
            }
        } else {
            let mut last = HashMap::with_capacity(len);
            replaced.extend(keys.iter().filter_map(|place| last.insert(key(*place), *place)));
        }
        for place in replaced {
            self.set(place, Cell::Null);
        }
    }
}
