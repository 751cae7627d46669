//! Queries that read the same source read it together: what one of them has decoded, the others take.
//!
//! Each query goes on at its own pace and commits on its own; they meet at pieces of a partition that were decoded
//! lately. The first that comes to a piece decodes it, with the columns that any of them wants, while the others wait
//! for it; who comes later slices what it needs without copying. Nobody is held up by a query that stands still: what
//! is kept is bounded, and who lags behind decodes for itself. Where a filter reads the source, a query is given only
//! what the filter may let pass, and what several filters compute alike is computed once ([`conditions`]).
//!
//! Promise: what a query gets does not depend on who else reads. A record that fails may fail for a column that only
//! others want; so a piece in which one failed serves only those who want the same columns.
//!
//! Bound: [`KEPT_BYTES_MAX`] a partition of a source that at least two queries read; nothing for one.

mod conditions;
mod picks;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{array::Array, datatypes::SchemaRef};
use bytes::Bytes;
use catalog::Source;
use operators::{ChangeBatch, Picked, Report, SUB_BITS, merge_sorted};
use parking_lot::Mutex;
use planner::plan::Start;
use recordlog::{Offset, RecordLog, StoredBatch, TopicPartition};
use types::{Error, Result};

use self::{
    conditions::{Common, Computed, Condition, Shaped},
    picks::Pick,
};
use crate::{
    graph::SourceNode,
    headers::HeaderBook,
    log_error,
    rows::RowReader,
    source::{Reader, Run, Taken, sized},
};

/// Bytes of decoded rows that are kept of a partition.
const KEPT_BYTES_MAX: usize = 24 << 20;

/// Bytes that are read at a time where decoded rows were let go before somebody came to them.
const RAW_BYTES: usize = 1 << 20;

/// What is read of sources together.
#[derive(Default)]
pub struct SharedSources {
    places: Mutex<HashMap<TopicPartition, Vec<Weak<Place>>>>,
}

/// Columns of a source's schema, and the hidden ones behind them, by position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    columns: BTreeSet<usize>,
    hidden: BTreeSet<usize>,
}

impl Wanted {
    fn of(node: &SourceNode) -> Wanted {
        Wanted { columns: node.wanted.iter().copied().collect(), hidden: node.wanted_hidden.clone() }
    }

    fn has_all_of(&self, other: &Wanted) -> bool {
        self.columns.is_superset(&other.columns) && self.hidden.is_superset(&other.hidden)
    }
}

/// A partition of a source, as it is read under one set of rules.
struct Place {
    source: Arc<Source>,
    /// A topic that was made anew has other records at the same offsets.
    topic_id: Option<String>,
    schema: SchemaRef,
    strict_timestamps: bool,
    registry: Option<Arc<dyn formats::SchemaRegistry>>,
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_member: u64,
    members: BTreeMap<u64, Member>,
    /// How many of them are at an offset.
    nexts: BTreeMap<Offset, usize>,
    /// Decodes what any member wants; made anew when that changes.
    reader: Option<(RowReader, Wanted)>,
    /// In the order in which they were decoded.
    pieces: VecDeque<Arc<Piece>>,
    common: Common,
}

struct Member {
    wanted: Wanted,
    condition: Option<Condition>,
    next: Offset,
}

/// Rows of the records from one offset to before another.
struct Piece {
    from: Offset,
    to: Offset,
    /// With the bytes that they have in the log.
    batches: Vec<(Run, usize)>,
    wanted: Wanted,
    rows: ChangeBatch,
    reports: Vec<Report>,
    bytes: usize,
    computed: Computed,
}

impl SharedSources {
    /// Read the partition of `node`'s source with others, from where `reader` is.
    pub(crate) fn join(
        &self,
        reader: &Reader,
        node: &SourceNode,
        schema: &SchemaRef,
        registry: Option<&Arc<dyn formats::SchemaRegistry>>,
        strict_timestamps: bool,
    ) -> Membership {
        let types = |schema: &SchemaRef| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        let mut places = self.places.lock();
        let here = places.entry(reader.partition.clone()).or_default();
        here.retain(|place| place.strong_count() > 0);
        let same = |place: &Arc<Place>| {
            Arc::ptr_eq(&place.source, &node.source)
                && place.topic_id == reader.topic_id
                && place.strict_timestamps == strict_timestamps
                && types(&place.schema) == types(schema)
        };
        let found = here.iter().filter_map(Weak::upgrade).find(same);
        let place = found.unwrap_or_else(|| {
            let place = Arc::new(Place {
                source: node.source.clone(),
                topic_id: reader.topic_id.clone(),
                schema: schema.clone(),
                strict_timestamps,
                registry: registry.cloned(),
                count: AtomicUsize::new(0),
                state: Mutex::default(),
            });
            here.push(Arc::downgrade(&place));
            place
        });
        let wanted = Wanted::of(node);
        let condition = node.condition.as_ref().map(|expr| Condition::new(expr, schema));
        let member = Member { wanted: wanted.clone(), condition, next: reader.next };
        let number = place.state.lock().enter(member);
        place.count.fetch_add(1, Ordering::Relaxed);
        Membership { place, number, wanted }
    }

    /// Bytes of decoded rows that are kept now.
    pub fn bytes(&self) -> u64 {
        let places = self.places.lock();
        places.values().flatten().filter_map(Weak::upgrade).map(|place| place.state.lock().bytes() as u64).sum()
    }
}

/// One query's part in it.
pub(crate) struct Membership {
    place: Arc<Place>,
    number: u64,
    wanted: Wanted,
}

impl Membership {
    /// Whether there are others: alone, reading needs no keeping.
    pub fn has_company(&self) -> bool {
        self.place.count.load(Ordering::Relaxed) > 1
    }

    /// Batches from `at` on, of about `bytes` bytes, with the bytes that they have in the log. Those whose rows are known,
    /// or become known now, are hollow: they tell their places and leave their bytes in the log.
    ///
    /// # Errors
    /// The log's.
    pub fn fetch(
        &self,
        log: &dyn RecordLog,
        partition: &TopicPartition,
        at: Offset,
        bytes: usize,
    ) -> Result<Vec<(StoredBatch, usize)>> {
        let mut state = self.place.state.lock();
        if let Some(piece) = state.piece_at(&self.wanted, at) {
            return Ok(piece.hollow(at));
        }
        // Who comes to it first decodes it while the others wait, so that nobody else needs its bytes.
        let batches = log.read(partition, at, bytes).map_err(log_error)?;
        let Some(to) = batches.last().map(|batch| batch.next_offset) else { return Ok(vec![]) };
        let part = Taken { batches, from: at, to, arrival_end: u64::MAX, runs: vec![] };
        match self.place.decode(&mut state, partition, &part, &self.wanted)? {
            Some((_, Some(_))) => {
                let kept = state.piece_at(&self.wanted, at);
                Ok(kept.map_or_else(|| sized(part.batches), |piece| piece.hollow(at)))
            }
            _ => Ok(sized(part.batches)),
        }
    }

    /// What was taken; `own` reads what others' columns spoil.
    ///
    /// # Errors
    /// See [`RowReader::read`]; the log's.
    pub fn read(
        &self,
        log: &dyn RecordLog,
        partition: &TopicPartition,
        taken: &Taken,
        own: &mut RowReader,
        reports: &mut Vec<Report>,
    ) -> Result<SharedRows> {
        let mut found: Vec<ChangeBatch> = vec![];
        let (mut headers, mut left_out) = (HeaderBook::default(), 0);
        let mut at = taken.from;
        while at < taken.to {
            let (part, filter) = self.part(log, partition, (at, taken), own)?;
            match part {
                Part::Shared(piece) => {
                    let end = piece.to.min(taken.to);
                    let (all, kept) =
                        piece.rows_of((at, end), (filter.as_ref(), &self.place.schema), &self.wanted, reports)?;
                    left_out += all - kept.len();
                    found.push(kept);
                    at = end;
                }
                Part::Own(decoded, end) => {
                    found.push(decoded.rows);
                    reports.extend(decoded.reports);
                    headers.extend(decoded.headers);
                    at = end;
                }
            }
        }
        self.place.state.lock().advance(self.number, taken.to);
        let pieces: Vec<Picked<'_>> = found.iter().map(|batch| Picked { batch, rows: None }).collect();
        let rows = match (merge_sorted(&pieces)?, found.pop()) {
            (Some(rows), _) | (None, Some(rows)) => rows,
            (None, None) => own.finish(partition, reports)?,
        };
        Ok(SharedRows { rows, headers, left_out })
    }

    /// The next part of what was taken, from `at` on: known, decoded for all, or decoded for this member; with its
    /// condition as it is now.
    fn part(
        &self,
        log: &dyn RecordLog,
        partition: &TopicPartition,
        (at, taken): (Offset, &Taken),
        own: &mut RowReader,
    ) -> Result<(Part, Option<Filter>)> {
        let mut state = self.place.state.lock();
        let filter = state.filter(self.number, &self.place.schema);
        if let Some(piece) = state.piece_at(&self.wanted, at) {
            return Ok((Part::Shared(piece.clone()), filter));
        }
        let next_piece = state.usable(&self.wanted).map(|p| p.from).filter(|from| *from > at).min();
        let mut part = taken.part(at, next_piece.map_or(taken.to, |from| from.min(taken.to)));
        if part.is_hollow() {
            part.batches = raw(log, partition, part.from, part.to)?;
        }
        let (decoded, kept) = match self.place.decode(&mut state, partition, &part, &self.wanted)? {
            Some(both) => both,
            None => {
                let mut reports = vec![];
                let rows = own.read(partition, &part, &mut reports)?;
                (Decoded { rows, reports, headers: own.take_headers() }, None)
            }
        };
        Ok(match kept {
            Some(piece) => (Part::Shared(piece), filter),
            None => (Part::Own(Box::new(decoded), part.to), filter),
        })
    }
}

/// A member's condition, as it is looked at now.
struct Filter {
    shaped: Arc<Shaped>,
    /// What it demands, if that is looked at with what others do.
    pick: Option<Pick>,
}

/// Rows of a part of what was taken.
enum Part {
    Shared(Arc<Piece>),
    /// Up to that offset.
    Own(Box<Decoded>, Offset),
}

/// What a member gets of a partition.
pub(crate) struct SharedRows {
    pub rows: ChangeBatch,
    pub headers: HeaderBook,
    /// Rows besides, which its filter would drop in silence.
    pub left_out: usize,
}

impl SharedRows {
    /// Nothing was left out.
    pub fn all(rows: ChangeBatch, headers: HeaderBook) -> SharedRows {
        SharedRows { rows, headers, left_out: 0 }
    }
}

/// Rows as a member wants them.
struct Decoded {
    rows: ChangeBatch,
    reports: Vec<Report>,
    headers: HeaderBook,
}

/// The batches that hold the records from one offset to before another.
fn raw(log: &dyn RecordLog, partition: &TopicPartition, from: Offset, to: Offset) -> Result<Vec<StoredBatch>> {
    let mut batches: Vec<StoredBatch> = vec![];
    let mut at = from;
    while at < to {
        let more = log.read(partition, at, RAW_BYTES).map_err(log_error)?;
        let Some(last) = more.last() else {
            return Err(Error::unavailable(format!("{partition}: the records from offset {at} on are gone")));
        };
        at = last.next_offset;
        batches.extend(more);
    }
    Ok(batches)
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.place.count.fetch_sub(1, Ordering::Relaxed);
        self.place.state.lock().leave(self.number);
    }
}

impl Place {
    /// The rows of `part` with the columns that any member wants, and the piece that is kept of them for the others, if
    /// one is; `None`: something in it would make a difference to somebody who wants `wanted` alone.
    fn decode(
        &self,
        state: &mut State,
        partition: &TopicPartition,
        part: &Taken,
        wanted: &Wanted,
    ) -> Result<Option<(Decoded, Option<Arc<Piece>>)>> {
        let (mut reader, all) = match state.reader.take() {
            Some(known) => known,
            None => self.reader(&state.members)?,
        };
        let mut reports = vec![];
        // What stops this reader need not be anything that this member wants.
        let Ok(rows) = reader.read(partition, part, &mut reports) else { return Ok(None) };
        let headers = reader.take_headers();
        state.reader = Some((reader, all.clone()));
        if !reports.is_empty() && all != *wanted {
            return Ok(None);
        }
        let kept = headers.is_empty().then(|| {
            let piece = Arc::new(Piece::new(part, all, rows.clone(), reports.clone()));
            state.keep(piece.clone());
            piece
        });
        Ok(Some((Decoded { rows, reports, headers }, kept)))
    }

    /// A reader of what any of them wants.
    fn reader(&self, members: &BTreeMap<u64, Member>) -> Result<(RowReader, Wanted)> {
        let mut wanted = Wanted::default();
        for member in members.values() {
            wanted.columns.extend(&member.wanted.columns);
            wanted.hidden.extend(&member.wanted.hidden);
        }
        let node = SourceNode {
            source: self.source.clone(),
            start: Start::Default,
            wanted: wanted.columns.iter().copied().collect(),
            wanted_hidden: wanted.hidden.clone(),
            condition: None,
        };
        let reader = RowReader::new(&node, self.schema.clone(), self.registry.as_ref(), self.strict_timestamps)?;
        Ok((reader, wanted))
    }
}

impl State {
    /// Pieces that give somebody who wants `wanted` what it would read itself.
    fn usable(&self, wanted: &Wanted) -> impl Iterator<Item = &Arc<Piece>> {
        self.pieces.iter().filter(move |piece| match piece.reports.is_empty() {
            true => piece.wanted.has_all_of(wanted),
            false => piece.wanted == *wanted,
        })
    }

    /// The usable piece that has the record at `at`.
    fn piece_at(&self, wanted: &Wanted, at: Offset) -> Option<&Arc<Piece>> {
        self.usable(wanted).find(|piece| piece.from <= at && at < piece.to)
    }

    fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes + piece.computed.bytes()).sum()
    }

    fn keep(&mut self, piece: Arc<Piece>) {
        self.pieces.push_back(piece);
        let mut bytes = self.bytes();
        while bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.pieces.pop_front() else { break };
            bytes -= oldest.bytes + oldest.computed.bytes();
        }
    }

    /// The condition of a member, as it is looked at now.
    fn filter(&mut self, member: u64, schema: &SchemaRef) -> Option<Filter> {
        let State { members, common, .. } = self;
        let condition = members.get_mut(&member)?.condition.as_mut()?;
        Some(Filter { shaped: common.shape(condition, schema), pick: common.pick(condition) })
    }

    fn enter(&mut self, member: Member) -> u64 {
        let number = self.next_member;
        self.next_member += 1;
        member.condition.iter().for_each(|condition| self.common.add(condition));
        *self.nexts.entry(member.next).or_default() += 1;
        self.members.insert(number, member);
        self.reader = None;
        number
    }

    fn leave(&mut self, member: u64) {
        if let Some(member) = self.members.remove(&member) {
            member.condition.iter().for_each(|condition| self.common.remove(condition));
            self.leave_offset(member.next);
        }
        self.reader = None;
        if self.members.len() < 2 {
            self.pieces.clear();
        }
    }

    fn leave_offset(&mut self, next: Offset) {
        if let Some(count) = self.nexts.get_mut(&next) {
            *count -= 1;
            if *count == 0 {
                self.nexts.remove(&next);
            }
        }
    }

    /// A member has come to `next`; what everybody has had is let go.
    fn advance(&mut self, member: u64, next: Offset) {
        let Some(member) = self.members.get_mut(&member) else { return };
        let before = std::mem::replace(&mut member.next, next);
        self.leave_offset(before);
        *self.nexts.entry(next).or_default() += 1;
        let behind = self.nexts.keys().next().copied().unwrap_or(Offset::MAX);
        self.pieces.retain(|piece| piece.to > behind);
    }
}

impl Piece {
    fn new(part: &Taken, wanted: Wanted, rows: ChangeBatch, reports: Vec<Report>) -> Piece {
        // Columns that nobody reads share their NULLs with those of other batches.
        let own = rows.columns.iter().filter(|c| c.null_count() < c.len());
        let arrays = own.map(|c| c.get_array_memory_size()).sum::<usize>();
        let words = rows.rowtime.get_array_memory_size() + rows.seq.get_array_memory_size();
        let texts = reports.iter().map(|r| r.message.len() + size_of::<Report>()).sum::<usize>();
        let sizes = part.batches.iter().map(|batch| batch.bytes.len());
        let batches = part.range().runs.into_iter().zip(sizes).collect();
        let (from, to, bytes) = (part.from, part.to, arrays + words + texts);
        Piece { from, to, batches, wanted, rows, reports, bytes, computed: Computed::default() }
    }

    /// The `seq` of the first record at `offset` or behind it.
    fn seq_at(&self, offset: Offset) -> u64 {
        let holding = self.batches.iter().map(|(batch, _)| batch).find(|b| offset < b.next_offset());
        match holding {
            Some(batch) => (batch.arrival + (offset - batch.base_offset).max(0).unsigned_abs()) << SUB_BITS,
            None => u64::MAX,
        }
    }

    /// Its batches from `at` on, without their bytes.
    fn hollow(&self, at: Offset) -> Vec<(StoredBatch, usize)> {
        let batch = |(place, bytes): &(Run, usize)| {
            let (base_offset, next_offset) = (place.base_offset, place.next_offset());
            (StoredBatch { base_offset, next_offset, arrival: place.arrival, bytes: Bytes::new() }, *bytes)
        };
        self.batches.iter().map(batch).filter(|(batch, _)| batch.next_offset > at).collect()
    }

    /// How many rows are of the records from one offset to before another, and those of them that `filter` does not
    /// leave out; their reports are added to `reports`.
    fn rows_of(
        &self,
        (at, end): (Offset, Offset),
        (filter, schema): (Option<&Filter>, &SchemaRef),
        wanted: &Wanted,
        reports: &mut Vec<Report>,
    ) -> Result<(usize, ChangeBatch)> {
        let seqs = self.seq_at(at)..self.seq_at(end);
        let all = self.rows.seq.values();
        let from = all.partition_point(|seq| *seq < seqs.start);
        let to = all.partition_point(|seq| *seq < seqs.end).max(from);
        reports.extend(self.reports.iter().filter(|r| seqs.contains(&r.seq)).cloned());
        let Some(Filter { shaped, pick }) = filter else { return Ok((to - from, self.rows.slice(from, to - from))) };
        let wants = |at: usize| wanted.columns.contains(&at) || wanted.hidden.contains(&at);
        let picked = match pick {
            Some(pick) => self.computed.pick(pick, &self.rows, schema, (from, to), &wants)?,
            None => None,
        };
        let rows = match picked {
            Some(rows) => rows,
            None => shaped.select(&self.rows, &self.computed, (from, to), &wants)?,
        };
        Ok((to - from, rows))
    }
}
