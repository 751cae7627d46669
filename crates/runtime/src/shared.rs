//! Queries that read the same source read it together: what one of them has decoded, the others take.
//!
//! Each query goes on at its own pace and commits on its own; they meet at pieces of a partition that were decoded
//! lately. The first that comes to a piece decodes it, with the columns that any of them wants, while the others wait
//! for it; who comes later slices what it needs without copying. Nobody is held up by a query that stands still: what
//! is kept is bounded, and who lags behind decodes for itself.
//!
//! Promise: what a query gets does not depend on who else reads. A record that fails may fail for a column that only
//! others want; so a piece in which one failed serves only those who want the same columns.
//!
//! Bound: [`KEPT_BYTES_MAX`] a partition of a source that at least two queries read; nothing for one.

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

use crate::{
    graph::SourceNode,
    headers::HeaderBook,
    log_error,
    rows::RowReader,
    source::{BatchPlace, Reader, Taken, sized},
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
    /// Decodes what any member wants; made anew when that changes.
    reader: Option<(RowReader, Wanted)>,
    /// In the order in which they were decoded.
    pieces: VecDeque<Piece>,
    bytes: usize,
}

struct Member {
    wanted: Wanted,
    next: Offset,
}

/// Rows of the records from one offset to before another.
struct Piece {
    from: Offset,
    to: Offset,
    /// With the bytes that they have in the log.
    batches: Vec<(BatchPlace, usize)>,
    wanted: Wanted,
    rows: ChangeBatch,
    reports: Vec<Report>,
    bytes: usize,
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
        let number = {
            let mut state = place.state.lock();
            let number = state.next_member;
            state.next_member += 1;
            state.members.insert(number, Member { wanted: wanted.clone(), next: reader.next });
            state.reader = None;
            number
        };
        place.count.fetch_add(1, Ordering::Relaxed);
        Membership { place, number, wanted }
    }

    /// Bytes of decoded rows that are kept now.
    pub fn bytes(&self) -> u64 {
        let places = self.places.lock();
        places.values().flatten().filter_map(Weak::upgrade).map(|place| place.state.lock().bytes as u64).sum()
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
        if let Some(piece) = state.usable(&self.wanted).find(|p| p.from <= at && at < p.to) {
            return Ok(piece.hollow(at));
        }
        // Who comes to it first decodes it while the others wait, so that nobody else needs its bytes.
        let batches = log.read(partition, at, bytes).map_err(log_error)?;
        let Some(to) = batches.last().map(|batch| batch.next_offset) else { return Ok(vec![]) };
        let part = Taken { batches, from: at, to, arrival_end: u64::MAX };
        match self.place.decode(&mut state, partition, &part, &self.wanted)? {
            Some(Decoded { headers, .. }) if headers.is_empty() => {
                let kept = state.usable(&self.wanted).find(|p| p.from <= at && at < p.to);
                Ok(kept.map_or_else(|| sized(part.batches), |piece| piece.hollow(at)))
            }
            _ => Ok(sized(part.batches)),
        }
    }

    /// The rows of what was taken, and the headers of its records; `own` reads what others' columns spoil.
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
    ) -> Result<(ChangeBatch, HeaderBook)> {
        let mut found: Vec<ChangeBatch> = vec![];
        let mut headers = HeaderBook::default();
        let mut state = self.place.state.lock();
        let mut at = taken.from;
        while at < taken.to {
            if let Some(piece) = state.usable(&self.wanted).find(|p| p.from <= at && at < p.to) {
                let end = piece.to.min(taken.to);
                let seqs = piece.seq_at(at)..piece.seq_at(end);
                found.push(piece.rows_of(&seqs));
                reports.extend(piece.reports.iter().filter(|r| seqs.contains(&r.seq)).cloned());
                at = end;
                continue;
            }
            let next_piece = state.usable(&self.wanted).map(|p| p.from).filter(|from| *from > at).min();
            let mut part = taken.part(at, next_piece.map_or(taken.to, |from| from.min(taken.to)));
            if part.is_hollow() {
                part.batches = raw(log, partition, part.from, part.to)?;
            }
            at = part.to;
            match self.place.decode(&mut state, partition, &part, &self.wanted)? {
                Some(decoded) => {
                    found.push(decoded.rows);
                    reports.extend(decoded.reports);
                    headers.extend(decoded.headers);
                }
                None => {
                    found.push(own.read(partition, &part, reports)?);
                    headers.extend(own.take_headers());
                }
            }
        }
        state.advance(self.number, taken.to);
        drop(state);
        let pieces: Vec<Picked<'_>> = found.iter().map(|batch| Picked { batch, rows: None }).collect();
        let rows = match merge_sorted(&pieces)? {
            Some(rows) => rows,
            None => own.finish(partition, reports)?,
        };
        Ok((rows, headers))
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
        let mut state = self.place.state.lock();
        state.members.remove(&self.number);
        state.reader = None;
        if state.members.len() < 2 {
            state.pieces.clear();
            state.bytes = 0;
        }
    }
}

impl Place {
    /// The rows of `part` with the columns that any member wants, kept for the others; `None`: something in it would
    /// make a difference to somebody who wants `wanted` alone.
    fn decode(
        &self,
        state: &mut State,
        partition: &TopicPartition,
        part: &Taken,
        wanted: &Wanted,
    ) -> Result<Option<Decoded>> {
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
        if headers.is_empty() {
            state.keep(Piece::new(part, all, rows.clone(), reports.clone()));
        }
        Ok(Some(Decoded { rows, reports, headers }))
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
        };
        let reader = RowReader::new(&node, self.schema.clone(), self.registry.as_ref(), self.strict_timestamps)?;
        Ok((reader, wanted))
    }
}

impl State {
    /// Pieces that give somebody who wants `wanted` what it would read itself.
    fn usable(&self, wanted: &Wanted) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(move |piece| match piece.reports.is_empty() {
            true => piece.wanted.has_all_of(wanted),
            false => piece.wanted == *wanted,
        })
    }

    fn keep(&mut self, piece: Piece) {
        self.bytes += piece.bytes;
        self.pieces.push_back(piece);
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.pieces.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    /// A member has come to `next`; what everybody has had is let go.
    fn advance(&mut self, member: u64, next: Offset) {
        if let Some(member) = self.members.get_mut(&member) {
            member.next = next;
        }
        let behind = self.members.values().map(|m| m.next).min().unwrap_or(Offset::MAX);
        self.pieces.retain(|piece| piece.to > behind);
        self.bytes = self.pieces.iter().map(|piece| piece.bytes).sum();
    }
}

impl Piece {
    fn new(part: &Taken, wanted: Wanted, rows: ChangeBatch, reports: Vec<Report>) -> Piece {
        let arrays = rows.columns.iter().map(|c| c.get_array_memory_size()).sum::<usize>();
        let words = rows.rowtime.get_array_memory_size() + rows.seq.get_array_memory_size();
        let texts = reports.iter().map(|r| r.message.len() + size_of::<Report>()).sum::<usize>();
        let sizes = part.batches.iter().map(|batch| batch.bytes.len());
        let batches = part.range().batches.into_iter().zip(sizes).collect();
        Piece { from: part.from, to: part.to, batches, wanted, rows, reports, bytes: arrays + words + texts }
    }

    /// The `seq` of the first record at `offset` or behind it.
    fn seq_at(&self, offset: Offset) -> u64 {
        let holding = self.batches.iter().map(|(batch, _)| batch).find(|b| {
            let records = b.arrival_end - b.arrival;
            (offset - b.base_offset) < records.cast_signed()
        });
        match holding {
            Some(batch) => (batch.arrival + (offset - batch.base_offset).max(0).unsigned_abs()) << SUB_BITS,
            None => u64::MAX,
        }
    }

    /// Its batches from `at` on, without their bytes.
    fn hollow(&self, at: Offset) -> Vec<(StoredBatch, usize)> {
        let batch = |(place, bytes): &(BatchPlace, usize)| {
            let records = (place.arrival_end - place.arrival).cast_signed();
            let (base_offset, next_offset) = (place.base_offset, place.base_offset + records);
            (StoredBatch { base_offset, next_offset, arrival: place.arrival, bytes: Bytes::new() }, *bytes)
        };
        self.batches.iter().map(batch).filter(|(batch, _)| batch.next_offset > at).collect()
    }

    fn rows_of(&self, seqs: &std::ops::Range<u64>) -> ChangeBatch {
        let all = self.rows.seq.values();
        let from = all.partition_point(|seq| *seq < seqs.start);
        let to = all.partition_point(|seq| *seq < seqs.end);
        self.rows.slice(from, to.saturating_sub(from))
    }
}

#[cfg(test)]
mod tests {
    use formats::FormatSpec;
    use proptest::prelude::*;
    use recordlog::{
        Commit, TopicConfig,
        batch::{BatchBuilder, Compression},
        embedded::EmbeddedLog,
    };
    use types::{Column, Namespace, Schema, SqlType};

    use super::*;
    use crate::{
        sink::append,
        source::{Cut, take_epoch},
    };

    fn source() -> Arc<Source> {
        let column = |name: &str, ty, namespace| Column { name: name.to_owned(), ty, namespace };
        let columns = vec![
            column("K", SqlType::String, Namespace::Key),
            column("A", SqlType::Int, Namespace::Value),
            column("B", SqlType::String, Namespace::Value),
            column("C", SqlType::Int, Namespace::Value),
        ];
        let format = |name: &str| FormatSpec { name: name.to_owned(), ..FormatSpec::default() };
        Arc::new(Source {
            name: "S".to_owned(),
            kind: catalog::SourceKind::Stream,
            schema: Schema { columns },
            topic: "s".to_owned(),
            key_format: format("KAFKA"),
            value_format: format("JSON"),
            timestamp: None,
            windowed: None,
            read_only: false,
            created_by: None,
            statement: String::new(),
        })
    }

    /// A log with batches of some records each, and others' records between them where `others`.
    fn filled(batches: &[(Vec<u8>, bool)]) -> Arc<EmbeddedLog> {
        let log = EmbeddedLog::open_in_memory(&host::Host::in_memory()).expect("opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for topic in ["s", "other"] {
                log.create_topic(topic, TopicConfig::with_partitions(1)).await.expect("is made");
            }
            for (values, others) in batches {
                let mut builder = BatchBuilder::new();
                for (at, kind) in values.iter().enumerate() {
                    let value = match kind % 8 {
                        0 => "not json".to_owned(),
                        1 => format!("{{\"A\": \"x\", \"B\": \"b{at}\", \"C\": {at}}}"),
                        2 => format!("{{\"A\": {at}, \"B\": \"b{at}\", \"C\": \"y\"}}"),
                        _ => format!("{{\"A\": {at}, \"B\": \"b{at}\", \"C\": {kind}}}"),
                    };
                    let headers: &[(&str, Option<&[u8]>)] = if *kind == 255 { &[("h", None)] } else { &[] };
                    builder.push(Some(b"k"), Some(value.as_bytes()), 7, headers).expect("fits");
                }
                let batch = builder.build(Compression::None).expect("builds").expect("has records");
                let mut appends = vec![append("s", 0, batch)];
                if *others {
                    builder.push(None, Some(b"x"), 7, &[]).expect("fits");
                    let batch = builder.build(Compression::None).expect("builds").expect("has records");
                    appends.push(append("other", 0, batch));
                }
                log.commit(Commit { appends }).await.expect("is answered").expect("is kept");
            }
        });
        log
    }

    fn node(source: &Arc<Source>, wanted: &[usize]) -> SourceNode {
        let (source, wanted) = (source.clone(), wanted.to_vec());
        SourceNode { source, start: Start::Default, wanted, wanted_hidden: BTreeSet::new() }
    }

    fn rows_shown(rows: &ChangeBatch, wanted: &[usize], schema: &SchemaRef) -> Vec<String> {
        let batch = rows.to_record_batch(schema).expect("fits its schema");
        let batch = batch.project(wanted).expect("has the columns");
        let shown = |row: usize| {
            let cells =
                batch.columns().iter().map(|c| arrow::util::display::array_value_to_string(c, row).expect("shows"));
            format!("{} {} {:?}", rows.seq.value(row), rows.rowtime.value(row), cells.collect::<Vec<_>>())
        };
        (0..rows.len()).map(shown).collect()
    }

    /// A query that reads with others, and a reader of what it would read alone.
    struct One {
        wanted: Vec<usize>,
        reader: Reader,
        own: RowReader,
        alone: RowReader,
    }

    fn shown(reports: &[Report]) -> Vec<String> {
        let mut all: Vec<String> = reports.iter().map(|r| format!("{r:?}")).collect();
        all.sort();
        all
    }

    proptest! {
        /// Whoever reads with others gets what it gets alone, for any cuts, any columns, any order of turns.
        #[test]
        fn reading_together_gives_what_reading_alone_gives(
            batches in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..6), any::<bool>()), 1..8),
            members in prop::collection::vec((prop::sample::subsequence(vec![0_usize, 1, 2, 3], 1..4), 0..6_i64), 2..5),
            turns in prop::collection::vec((any::<prop::sample::Index>(), 1..9_usize), 1..60),
        ) {
            let source = source();
            let fields = source.schema.columns.iter().map(|c| arrow::datatypes::Field::new(&c.name, c.ty.to_arrow(), true));
            let schema: SchemaRef = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
            let (log, partition) = (filled(&batches), TopicPartition::new("s", 0));
            let shared = SharedSources::default();
            let mut all: Vec<One> = members.iter().map(|(wanted, begin)| {
                let node = node(&source, wanted);
                let rows = || RowReader::new(&node, schema.clone(), None, false).expect("a reader");
                let mut reader = Reader::new(partition.clone(), *begin, None);
                reader.shared = Some(shared.join(&reader, &node, &schema, None, false));
                One { wanted: wanted.clone(), reader, own: rows(), alone: rows() }
            }).collect();
            for (who, records) in turns {
                let count = all.len();
                let One { wanted, reader, own, alone } = &mut all[who.index(count)];
                let taken = take_epoch(&mut [&mut *reader], &*log, Cut::Records(records), true, None).expect("takes");
                let taken = taken.first().expect("one reader");
                if taken.to <= taken.from {
                    continue;
                }
                let (mut got_reports, mut want_reports) = (vec![], vec![]);
                let membership = reader.shared.as_ref().expect("has joined");
                let (got, headers) = membership.read(&*log, &partition, taken, own, &mut got_reports).expect("reads");
                let batches = raw(&*log, &partition, taken.from, taken.to).expect("reads");
                let same = Taken { batches, from: taken.from, to: taken.to, arrival_end: u64::MAX };
                let want = alone.read(&partition, &same, &mut want_reports).expect("reads");
                let want_headers = alone.take_headers();
                prop_assert_eq!(rows_shown(&got, wanted, &schema), rows_shown(&want, wanted, &schema));
                prop_assert_eq!(shown(&got_reports), shown(&want_reports));
                for seq in want.seq.values() {
                    prop_assert_eq!(headers.of(*seq), want_headers.of(*seq));
                }
            }
            drop(all);
            prop_assert_eq!(shared.bytes(), 0);
        }
    }
}
