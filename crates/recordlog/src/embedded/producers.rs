//! What a partition knows of its idempotent and transactional producers: which sequence number comes next, which
//! transactions are open, and which were aborted.
//!
//! The writer checks a batch against this before it gives it a place, so that a batch sent twice lands once and a
//! producer that was replaced cannot write. The state follows from the batches alone: each leaves a [`Note`] in the
//! journal, and a checkpoint holds the sum of them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::wire::{Reading, Writing};
use crate::{AbortedTransaction, Offset, ProducerError, batch::Batch};

/// Batches of a producer that are told from new ones when they come again; no client has more in flight.
const BATCHES_REMEMBERED: usize = 5;
/// Most producers that a partition remembers; beyond, the one that was silent longest is forgotten.
const PRODUCERS_MAX: usize = 10_000;
/// A producer that was silent for this long and has no open transaction is forgotten, ms.
const SILENCE_MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// A note's bytes.
const NOTE_BYTES: usize = 8 + 2 + 1 + 4 + 4 + 8 + 8 + 8;
/// A producer takes this many bytes at least.
const PRODUCER_BYTES_MIN: usize = 8 + 2 + 1 + 8 + 8 + 4;
const ABORTED_BYTES: usize = 24;

/// What a batch means to its producer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Records outside of a transaction, with their sequence numbers.
    Plain { first: i32, last: i32 },
    /// Records of a transaction.
    Transactional { first: i32, last: i32 },
    /// The transaction is committed.
    Commit,
    /// The transaction is aborted.
    Abort,
}

/// A batch of a producer that has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    pub producer_id: i64,
    pub epoch: i16,
    pub meaning: Meaning,
    pub base_offset: Offset,
    pub next_offset: Offset,
    /// When it was appended.
    pub time_ms: i64,
}

/// A batch that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    first: i32,
    last: i32,
    pub base_offset: Offset,
    pub next_offset: Offset,
    pub time_ms: i64,
}

/// A producer, as one partition knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Producer {
    pub epoch: i16,
    /// The latest, oldest first.
    batches: VecDeque<Accepted>,
    /// First offset of its open transaction.
    pub open_since: Option<Offset>,
    pub last_ms: i64,
}

/// All producers of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// Open transactions: first offset, producer.
    open: BTreeMap<Offset, i64>,
    /// By last offset.
    aborted: Vec<AbortedTransaction>,
}

/// What a batch is to a producer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    /// It was accepted before.
    Again(Accepted),
}

impl Meaning {
    /// Read it from a checked batch; `None` when the batch has no producer.
    pub fn of(batch: &[u8]) -> Result<Option<(i64, i16, Meaning)>, String> {
        let header = crate::batch::BatchHeader::parse(batch).map_err(|error| error.to_string())?;
        if header.producer_id < 0 {
            return Ok(None);
        }
        let first = header.base_sequence;
        let last = sequence_after(first, header.last_offset_delta);
        let meaning = match (header.is_control(), header.is_transactional()) {
            (true, _) => control_meaning(batch)?,
            (false, _) if first < 0 || header.producer_epoch < 0 => {
                return Err("a producer with an id numbers its batches".into());
            }
            (false, true) => Meaning::Transactional { first, last },
            (false, false) => Meaning::Plain { first, last },
        };
        Ok(Some((header.producer_id, header.producer_epoch, meaning)))
    }
}

fn control_meaning(batch: &[u8]) -> Result<Meaning, String> {
    let batch = Batch::parse(batch).map_err(|error| error.to_string())?;
    let record = batch.records().next().and_then(Result::ok);
    // Version and type, 16 bits each.
    match record.and_then(|record| record.key).and_then(|key| key.get(2..4)) {
        Some([0, 0]) => Ok(Meaning::Abort),
        Some([0, 1]) => Ok(Meaning::Commit),
        _ => Err("a control batch that neither commits nor aborts".into()),
    }
}

/// The sequence number `delta` records on; they count to the largest and begin again at 0.
fn sequence_after(sequence: i32, delta: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(delta);
    i32::try_from(sum.rem_euclid(i64::from(i32::MAX) + 1)).unwrap_or(0)
}

impl Producer {
    fn new(epoch: i16) -> Producer {
        Producer { epoch, batches: VecDeque::new(), open_since: None, last_ms: 0 }
    }

    /// Whether a batch may follow, or was there before.
    pub fn check(&self, epoch: i16, meaning: Meaning) -> Result<Verdict, ProducerError> {
        if epoch < self.epoch {
            return Err(ProducerError::Fenced { epoch, current: self.epoch });
        }
        let (first, last, transactional) = match meaning {
            Meaning::Commit | Meaning::Abort => return Ok(Verdict::New),
            Meaning::Plain { first, last } => (first, last, false),
            Meaning::Transactional { first, last } => (first, last, true),
        };
        let newest = self.batches.back().filter(|_| epoch == self.epoch);
        let again = self.batches.iter().find(|sent| epoch == self.epoch && (sent.first, sent.last) == (first, last));
        if let Some(sent) = again {
            return Ok(Verdict::Again(*sent));
        }
        let expected = match newest {
            Some(newest) => sequence_after(newest.last, 1),
            None if epoch > self.epoch => 0,
            // What it sent before was forgotten.
            None => first,
        };
        if first != expected {
            return Err(ProducerError::OutOfOrder { sequence: first, expected });
        }
        if !transactional && self.open_since.is_some() {
            return Err(ProducerError::InTransaction);
        }
        Ok(Verdict::New)
    }

    /// Take note of an accepted batch.
    pub fn apply(&mut self, note: &Note) {
        if note.epoch > self.epoch {
            self.batches.clear();
            self.epoch = note.epoch;
        }
        self.last_ms = note.time_ms;
        match note.meaning {
            Meaning::Commit | Meaning::Abort => self.open_since = None,
            Meaning::Plain { first, last } => self.remember(note, first, last),
            Meaning::Transactional { first, last } => {
                self.open_since.get_or_insert(note.base_offset);
                self.remember(note, first, last);
            }
        }
    }

    fn remember(&mut self, note: &Note, first: i32, last: i32) {
        let (base_offset, next_offset, time_ms) = (note.base_offset, note.next_offset, note.time_ms);
        self.batches.push_back(Accepted { first, last, base_offset, next_offset, time_ms });
        while self.batches.len() > BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
    }

    /// Sequence number of its last record, -1 for none.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |sent| sent.last)
    }
}

impl Producers {
    /// A copy to try batches on.
    pub fn copy_of(&self, producer_id: i64, epoch: i16) -> Producer {
        self.by_id.get(&producer_id).cloned().unwrap_or_else(|| Producer::new(epoch))
    }

    /// Take note of an accepted batch.
    pub fn apply(&mut self, note: &Note) {
        let producer = self.by_id.entry(note.producer_id).or_insert_with(|| Producer::new(note.epoch));
        let was_open = producer.open_since;
        producer.apply(note);
        match (was_open, producer.open_since) {
            (None, Some(first)) => {
                self.open.insert(first, note.producer_id);
            }
            (Some(first_offset), None) => {
                self.open.remove(&first_offset);
                if note.meaning == Meaning::Abort {
                    let (producer_id, last_offset) = (note.producer_id, note.base_offset);
                    self.aborted.push(AbortedTransaction { producer_id, first_offset, last_offset });
                }
            }
            _ => {}
        }
        if self.by_id.len() > PRODUCERS_MAX {
            self.forget_one(note.producer_id);
        }
    }

    fn forget_one(&mut self, but: i64) {
        let silent = self.by_id.iter().filter(|(id, producer)| **id != but && producer.open_since.is_none());
        if let Some(id) = silent.min_by_key(|(_, producer)| producer.last_ms).map(|(id, _)| *id) {
            self.by_id.remove(&id);
        }
    }

    /// Forget producers that have been silent for long.
    pub fn expire(&mut self, now_ms: i64) {
        let keeps = |producer: &Producer| {
            producer.open_since.is_some() || now_ms.saturating_sub(producer.last_ms) < SILENCE_MS_MAX
        };
        self.by_id.retain(|_, producer| keeps(producer));
    }

    /// Forget what only concerns records before `start`.
    pub fn retire_before(&mut self, start: Offset) {
        self.aborted.retain(|aborted| aborted.last_offset >= start);
    }

    /// First offset of the first open transaction.
    pub fn open_from(&self) -> Option<Offset> {
        self.open.keys().next().copied()
    }

    pub fn has_aborted(&self) -> bool {
        !self.aborted.is_empty()
    }

    /// The aborted transactions with records in `from..to`.
    pub fn aborted_in(&self, from: Offset, to: Offset) -> Vec<AbortedTransaction> {
        let first = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let later = self.aborted.get(first..).unwrap_or_default();
        later.iter().filter(|aborted| aborted.first_offset < to).copied().collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }
}

/// Whether a batch (not a mark) of `producer_id` at `offset` belongs to one of these.
pub(super) fn is_aborted(aborted: &[AbortedTransaction], producer_id: i64, offset: Offset) -> bool {
    let covers = |one: &AbortedTransaction| {
        one.producer_id == producer_id && one.first_offset <= offset && offset < one.last_offset
    };
    aborted.iter().any(covers)
}

pub(super) fn write_notes(to: &mut Writing<'_>, notes: &[Note]) {
    to.count(notes.len());
    for note in notes {
        to.i64(note.producer_id);
        to.u16(note.epoch.cast_unsigned());
        let (code, first, last) = match note.meaning {
            Meaning::Plain { first, last } => (0, first, last),
            Meaning::Transactional { first, last } => (1, first, last),
            Meaning::Commit => (2, -1, -1),
            Meaning::Abort => (3, -1, -1),
        };
        to.u8(code);
        to.u32(first.cast_unsigned());
        to.u32(last.cast_unsigned());
        to.i64(note.base_offset);
        to.i64(note.next_offset);
        to.i64(note.time_ms);
    }
}

pub(super) fn read_notes(from: &mut Reading<'_>) -> Option<Vec<Note>> {
    let count = from.count(NOTE_BYTES)?;
    let note = |_| {
        let (producer_id, epoch, code) = (from.i64()?, from.u16()?.cast_signed(), from.u8()?);
        let (first, last) = (from.u32()?.cast_signed(), from.u32()?.cast_signed());
        let meaning = match code {
            0 => Meaning::Plain { first, last },
            1 => Meaning::Transactional { first, last },
            2 => Meaning::Commit,
            3 => Meaning::Abort,
            _ => return None,
        };
        let (base_offset, next_offset, time_ms) = (from.i64()?, from.i64()?, from.i64()?);
        Some(Note { producer_id, epoch, meaning, base_offset, next_offset, time_ms })
    };
    (0..count).map(note).collect()
}

pub(super) fn write_producers(to: &mut Writing<'_>, producers: &Producers) {
    to.count(producers.by_id.len());
    for (id, producer) in &producers.by_id {
        to.i64(*id);
        to.u16(producer.epoch.cast_unsigned());
        to.u8(u8::from(producer.open_since.is_some()));
        to.i64(producer.open_since.unwrap_or(-1));
        to.i64(producer.last_ms);
        to.count(producer.batches.len());
        for sent in &producer.batches {
            to.u32(sent.first.cast_unsigned());
            to.u32(sent.last.cast_unsigned());
            to.i64(sent.base_offset);
            to.i64(sent.next_offset);
            to.i64(sent.time_ms);
        }
    }
    to.count(producers.aborted.len());
    for aborted in &producers.aborted {
        to.i64(aborted.producer_id);
        to.i64(aborted.first_offset);
        to.i64(aborted.last_offset);
    }
}

pub(super) fn read_producers(from: &mut Reading<'_>) -> Option<Producers> {
    let mut producers = Producers::default();
    for _ in 0..from.count(PRODUCER_BYTES_MIN)? {
        let (id, epoch) = (from.i64()?, from.u16()?.cast_signed());
        let (is_open, first, last_ms) = (from.bool()?, from.i64()?, from.i64()?);
        let count = from.count(32)?;
        let sent = |_| {
            let (first, last) = (from.u32()?.cast_signed(), from.u32()?.cast_signed());
            let (base_offset, next_offset, time_ms) = (from.i64()?, from.i64()?, from.i64()?);
            Some(Accepted { first, last, base_offset, next_offset, time_ms })
        };
        let batches = (0..count).map(sent).collect::<Option<_>>()?;
        let open_since = is_open.then_some(first);
        if is_open {
            producers.open.insert(first, id);
        }
        producers.by_id.insert(id, Producer { epoch, batches, open_since, last_ms });
    }
    for _ in 0..from.count(ABORTED_BYTES)? {
        let (producer_id, first_offset, last_offset) = (from.i64()?, from.i64()?, from.i64()?);
        producers.aborted.push(AbortedTransaction { producer_id, first_offset, last_offset });
    }
    Some(producers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(epoch: i16, meaning: Meaning, base_offset: Offset, count: i64) -> Note {
        Note { producer_id: 7, epoch, meaning, base_offset, next_offset: base_offset + count, time_ms: 5 }
    }

    fn plain(first: i32, last: i32) -> Meaning {
        Meaning::Plain { first, last }
    }

    fn in_txn(first: i32, last: i32) -> Meaning {
        Meaning::Transactional { first, last }
    }

    #[test]
    fn sequences_follow_and_come_again() {
        let mut producer = Producer::new(0);
        producer.apply(&note(0, plain(0, 4), 100, 5));
        producer.apply(&note(0, plain(5, 5), 105, 1));
        let check = |epoch, meaning, expect: Result<Option<Offset>, ProducerError>| {
            let found = producer.check(epoch, meaning).map(|verdict| match verdict {
                Verdict::New => None,
                Verdict::Again(sent) => Some(sent.base_offset),
            });
            assert_eq!(found, expect, "{meaning:?} of epoch {epoch}");
        };
        check(0, plain(6, 9), Ok(None));
        check(0, plain(0, 4), Ok(Some(100)));
        check(0, plain(0, 3), Err(ProducerError::OutOfOrder { sequence: 0, expected: 6 }));
        check(0, plain(7, 7), Err(ProducerError::OutOfOrder { sequence: 7, expected: 6 }));
        check(1, plain(0, 1), Ok(None));
        check(1, plain(6, 6), Err(ProducerError::OutOfOrder { sequence: 6, expected: 0 }));
        check(-1, plain(6, 6), Err(ProducerError::Fenced { epoch: -1, current: 0 }));
    }

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        let mut producer = Producer::new(0);
        producer.apply(&note(0, plain(i32::MAX - 1, sequence_after(i32::MAX - 1, 2)), 0, 3));
        assert_eq!(producer.last_sequence(), 0);
        assert_eq!(producer.check(0, plain(1, 1)), Ok(Verdict::New));
    }

    #[test]
    fn transactions_open_close_and_are_stored() {
        let mut producers = Producers::default();
        producers.apply(&note(0, in_txn(0, 1), 10, 2));
        producers.apply(&note(0, in_txn(2, 2), 14, 1));
        assert_eq!(producers.open_from(), Some(10));
        assert_eq!(producers.copy_of(7, 0).check(0, plain(3, 3)), Err(ProducerError::InTransaction));
        let mut bytes = Vec::new();
        write_producers(&mut Writing(&mut bytes), &producers);
        assert_eq!(read_producers(&mut Reading(&bytes)), Some(producers.clone()));
        producers.apply(&note(0, Meaning::Abort, 20, 1));
        assert_eq!(producers.open_from(), None);
        let aborted = producers.aborted_in(0, 100);
        assert!(is_aborted(&aborted, 7, 14) && !is_aborted(&aborted, 7, 20) && !is_aborted(&aborted, 8, 14));
        assert_eq!(producers.aborted_in(21, 100), []);
        assert_eq!(producers.aborted_in(0, 10), []);
        producers.apply(&note(0, in_txn(3, 3), 30, 1));
        producers.apply(&note(0, Meaning::Commit, 31, 1));
        assert_eq!((producers.aborted_in(25, 100), producers.open_from()), (vec![], None));
        let mut bytes = Vec::new();
        write_producers(&mut Writing(&mut bytes), &producers);
        assert_eq!(read_producers(&mut Reading(&bytes)), Some(producers.clone()));
        producers.retire_before(21);
        assert!(!producers.has_aborted());
    }

    #[test]
    fn the_silent_are_forgotten_unless_a_transaction_is_open() {
        let mut producers = Producers::default();
        producers.apply(&note(0, in_txn(0, 1), 10, 2));
        producers.apply(&Note { producer_id: 8, ..note(0, plain(0, 0), 12, 1) });
        producers.expire(5 + SILENCE_MS_MAX);
        assert_eq!(producers.iter().map(|(id, _)| id).collect::<Vec<_>>(), [7]);
    }
}
