//! Rows of a table whose partitions are with several processes: each is asked for those that it has.
//!
//! Stored rows go over the wire as they are kept; who asked for them decodes what it needs. A process answers for
//! partitions that it has open alone, so an answer is of one committed epoch of each; what is just being moved is asked
//! for again where it is next.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::{array::RecordBatch, datatypes::DataType};
use formats::{EncodedRows, Part};
use futures::future::join_all;
use recordlog::partitioner::partition_for_key;
use statestore::{Mode, RowDecoder};
use tokio::time::Instant;
use types::{Column, Error, ErrorKind, Result};

use super::{
    AskError, Member,
    wire::{Request, accepted, unreadable},
};
use crate::{
    Engine,
    kept::{self, Shape, Stored, Wanted},
    running::RunningQuery,
};

/// How long partitions that no process has are waited for: longer than it takes to notice that one is gone.
const MOVE_WAIT: Duration = Duration::from_secs(20);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Rows of a table, in one list where they are wanted in order, and by partition otherwise.
pub(crate) async fn read(
    engine: &Arc<Engine>,
    query: &Arc<RunningQuery>,
    wanted: &Wanted,
    shape: &Shape,
    rows_max: usize,
) -> Result<Vec<Vec<RecordBatch>>> {
    let stored = collect(engine, query, wanted, rows_max).await?;
    if *wanted != Wanted::First {
        return stored.into_values().map(|rows| decoded(&rows, shape, rows_max)).collect();
    }
    let mut all: Vec<Stored> = stored.into_values().flatten().collect();
    all.sort_unstable();
    Ok(vec![decoded(&all, shape, rows_max)?])
}

fn decoded(rows: &[Stored], shape: &Shape, rows_max: usize) -> Result<Vec<RecordBatch>> {
    let mut reader = shape.reader(rows_max)?;
    rows.iter().try_for_each(|row| reader.push(&row.row))?;
    reader.finish()
}

/// The stored rows, by partition, from wherever they are.
async fn collect(
    engine: &Arc<Engine>,
    query: &Arc<RunningQuery>,
    wanted: &Wanted,
    rows_max: usize,
) -> Result<BTreeMap<u32, Vec<Stored>>> {
    let member = engine.this_member()?.clone();
    let mut slots: BTreeMap<u32, u32> = engine.slots_of_table(&member, query).into_iter().collect();
    if let Wanted::Keys(keys) = wanted
        && let [key] = keys.as_slice()
        && let Some(likely) = likely(engine, query, key)
        && let Some(slot) = slots.remove(&likely)
    {
        let found = gather(engine, &member, query, [(likely, slot)].into(), (wanted, rows_max)).await?;
        if found.values().any(|rows| !rows.is_empty()) {
            return Ok(found);
        }
        // Whoever writes the topic of a table may put a key where we would not.
    }
    gather(engine, &member, query, slots, (wanted, rows_max)).await
}

/// The partition that we would put a key in, where that can be told from it.
fn likely(engine: &Engine, query: &RunningQuery, key: &[u8]) -> Option<u32> {
    let (catalog, view) = (engine.catalog(), query.view()?);
    let source = catalog.source(query.sink.as_ref().unwrap_or(&query.id))?;
    let columns: Vec<Column> = source.schema.key().cloned().collect();
    let format = formats::format(&source.key_format.name).ok()?;
    if format.uses_registry() || columns.len() != view.key.len() {
        return None;
    }
    let types: Vec<DataType> = columns.iter().map(|column| column.ty.to_arrow()).collect();
    let mut decoder = RowDecoder::new(&types, Mode::Ordered).ok()?;
    decoder.push(key).ok()?;
    let (arrays, mut written) = (decoder.finish().ok()?, EncodedRows::default());
    let mut encoder = format.encoder(Part::Key, &columns, &source.key_format).ok()?;
    encoder.encode(&arrays, 1, None, &mut written, &mut vec![]);
    written.get(0).map(|key| partition_for_key(key, view.of))
}

/// The stored rows of partitions, whose slots are given, from wherever they are.
async fn gather(
    engine: &Arc<Engine>,
    member: &Arc<Member>,
    query: &Arc<RunningQuery>,
    mut missing: BTreeMap<u32, u32>,
    (wanted, rows_max): (&Wanted, usize),
) -> Result<BTreeMap<u32, Vec<Stored>>> {
    let (mut found, deadline) = (BTreeMap::new(), Instant::now() + MOVE_WAIT);
    let mut is_again = false;
    loop {
        let least = missing.keys().map(|partition| (*partition, query.seen(*partition))).collect();
        let here = here(query, least, wanted, rows_max).await?;
        missing.retain(|partition, _| !here.contains_key(partition));
        found.extend(here);
        let mut why = None;
        if !missing.is_empty() {
            let (there, failed) = there(member, query, &missing, (wanted, rows_max), is_again).await?;
            missing.retain(|partition, _| !there.contains_key(partition));
            found.extend(there);
            why = failed;
        }
        let Some(partition) = missing.keys().next() else { return Ok(found) };
        if !engine.query(&query.id).is_some_and(|now| Arc::ptr_eq(&now, query)) {
            return Err(Error::unavailable(format!("query {} has ended, or was replaced", query.id)));
        }
        if Instant::now() > deadline {
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let of = query.sink.as_ref().unwrap_or(&query.id);
            let message = format!("partition {partition} of {of} is with no process just now{why}");
            return Err(Error::unavailable(message).with_hint("try again"));
        }
        tokio::time::sleep(PAUSE).await;
        is_again = true;
    }
}

/// Those of partitions that are here, at an epoch of each or a later one.
async fn here(
    query: &Arc<RunningQuery>,
    partitions: BTreeMap<u32, u64>,
    wanted: &Wanted,
    rows_max: usize,
) -> Result<BTreeMap<u32, Vec<Stored>>> {
    let is_wanted = |(number, view): &(u32, Arc<runtime::TableView>)| {
        let least = partitions.get(number);
        least.is_some_and(|least| view.partitions.iter().all(|part| part.read().committed_epoch() >= *least))
    };
    let views: Vec<_> = query.views().into_iter().filter(is_wanted).collect();
    if views.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted = wanted.clone();
    let read = move || {
        let stored = |(partition, view): (u32, Arc<runtime::TableView>)| {
            Ok((partition, kept::stored(&view, &wanted, rows_max)?))
        };
        views.into_iter().map(stored).collect::<Result<BTreeMap<u32, Vec<Stored>>>>()
    };
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|e| Error::internal(format!("a scan broke off: {e}")))?
}

/// Those that other processes have, and why one of them did not answer.
async fn there(
    member: &Arc<Member>,
    query: &RunningQuery,
    missing: &BTreeMap<u32, u32>,
    (wanted, rows_max): (&Wanted, usize),
    is_again: bool,
) -> Result<(BTreeMap<u32, Vec<Stored>>, Option<String>)> {
    let holders = match member.holders(is_again).await {
        Ok(holders) => holders,
        Err(error) => return Ok((BTreeMap::new(), Some(error.to_string()))),
    };
    let mut asked: BTreeMap<&str, Vec<(u32, u64)>> = BTreeMap::new();
    for (partition, slot) in missing {
        if let Some(address) = holders.get(slot).filter(|address| **address != member.address) {
            asked.entry(address).or_default().push((*partition, query.seen(*partition)));
        }
    }
    let ask = |(address, partitions): (&str, Vec<(u32, u64)>)| {
        let (address, query) = (address.to_string(), query.opener.options.id.clone());
        async move {
            let request = Request::Rows { query, partitions, wanted: wanted.clone(), rows_max };
            let answer = member.peers.ask(&address, &request.text()?).await;
            match answer {
                Ok(answer) => parsed(accepted(&answer)?).map(Ok),
                Err(AskError::Unreached(why) | AskError::Broken(why)) => {
                    Ok(Err(format!("the process at {address} does not answer: {why}")))
                }
            }
        }
    };
    let (mut found, mut why) = (BTreeMap::new(), None);
    for answer in join_all(asked.into_iter().map(ask)).await {
        match answer {
            Ok(Ok(rows)) => found.extend(rows),
            Ok(Err(text)) => why = Some(text),
            Err(error) if error.kind() == ErrorKind::Unavailable => why = Some(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok((found, why))
}

impl Member {
    /// Who has which slot; asked for `anew`, or as it was known last.
    pub(super) async fn holders(&self, anew: bool) -> Result<Arc<BTreeMap<u32, String>>> {
        let known = self.holders.lock().clone();
        if !anew && !known.is_empty() {
            return Ok(known);
        }
        let asked = Arc::new(self.peers.holders().await?);
        *self.holders.lock() = asked.clone();
        Ok(asked)
    }
}

/// Write the rows that this process has of the partitions that it has.
pub(super) async fn answer(
    engine: &Engine,
    id: &str,
    partitions: Vec<(u32, u64)>,
    wanted: Wanted,
    rows_max: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let found = engine.queries.lock().values().find(|query| query.opener.options.id == id).cloned();
    let query = found.ok_or_else(|| Error::unavailable(format!("query {id} is not known here")))?;
    let rows = here(&query, partitions.into_iter().collect(), &wanted, rows_max).await?;
    for (partition, rows) in rows {
        out.extend(partition.to_be_bytes());
        out.extend(length(rows.len())?);
        for Stored { key, row } in rows {
            let key = if wanted == Wanted::First { key } else { vec![] };
            out.extend(length(key.len())?);
            out.extend(key);
            out.extend(length(row.len())?);
            out.extend(row);
        }
    }
    Ok(())
}

fn length(length: usize) -> Result<[u8; 4]> {
    let short = u32::try_from(length).map_err(|_| Error::unsupported("more than 4 GB of rows of one partition"))?;
    Ok(short.to_be_bytes())
}

/// Rows as [`answer`] wrote them.
fn parsed(mut bytes: &[u8]) -> Result<BTreeMap<u32, Vec<Stored>>> {
    let mut found = BTreeMap::new();
    while !bytes.is_empty() {
        let (partition, rows) = (number(&mut bytes)?, number(&mut bytes)?);
        let stored = (0..rows).map(|_| Ok(Stored { key: piece(&mut bytes)?, row: piece(&mut bytes)? }));
        found.insert(partition, stored.collect::<Result<_>>()?);
    }
    Ok(found)
}

fn number(bytes: &mut &[u8]) -> Result<u32> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| unreadable("rows are cut off"))?;
    *bytes = rest;
    Ok(u32::from_be_bytes(*head))
}

fn piece(bytes: &mut &[u8]) -> Result<Vec<u8>> {
    let length = number(bytes)? as usize;
    let (head, rest) = bytes.split_at_checked(length).ok_or_else(|| unreadable("rows are cut off"))?;
    *bytes = rest;
    Ok(head.to_vec())
}
