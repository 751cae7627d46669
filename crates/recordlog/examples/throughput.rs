//! How fast batches are built, read, appended and read back on this machine. Takes a directory; prints records a second.

use std::{hint::black_box, sync::Arc, time::Instant};

use bytes::Bytes;
use futures::executor::block_on;
use host::Host;
use recordlog::{
    Append, Commit, RecordLog, TopicConfig, TopicPartition,
    batch::{Batch, BatchBuilder, Compression, RecordRanges, decode_ranges},
    embedded::{EmbeddedLog, Settings},
};

const VALUE_BYTES: usize = 200;
const RECORDS_PER_BATCH: usize = 1_000;
const BATCHES: usize = 4_000;
/// Commits without an answer, as a producer with a window has them.
const IN_FLIGHT: usize = 64;

type Failure = Box<dyn std::error::Error>;

fn report(what: &str, records: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let each_ns = seconds * 1e9 / records as f64;
    println!("{what:<44} {:>7.2} M records/s {each_ns:>7.1} ns each", records as f64 / seconds / 1e6);
}

fn build(builder: &mut BatchBuilder, value: &[u8]) -> Result<Bytes, Failure> {
    for i in 0..RECORDS_PER_BATCH {
        builder.push(Some(&i.to_be_bytes()), Some(value), 1_700_000_000_000 + i as i64, &[])?;
    }
    Ok(builder.finish(Compression::None)?)
}

fn codec(value: &[u8]) -> Result<Bytes, Failure> {
    let mut builder = BatchBuilder::new();
    let rounds = BATCHES / 4;
    let records = rounds * RECORDS_PER_BATCH;
    let started = Instant::now();
    for _ in 0..rounds {
        black_box(build(&mut builder, value)?);
    }
    report("build batches", records, started);
    let batch = build(&mut builder, value)?;
    let started = Instant::now();
    for _ in 0..rounds {
        for record in Batch::parse_verified(&batch)?.records() {
            black_box(record?);
        }
    }
    report("read records", records, started);
    let mut ranges = RecordRanges::default();
    let started = Instant::now();
    for _ in 0..rounds {
        decode_ranges(&batch, &mut ranges)?;
        black_box(ranges.len());
    }
    report("decode to ranges", records, started);
    let started = Instant::now();
    for _ in 0..rounds {
        black_box(recordlog::batch::check(&batch)?);
    }
    report("check a batch", records, started);
    Ok(batch)
}

fn append(log: &Arc<EmbeddedLog>, batch: &Bytes, batches: usize, partitions: u32) -> Result<(), Failure> {
    let mut waiting = std::collections::VecDeque::new();
    for i in 0..batches {
        let partition = TopicPartition::new("t", u32::try_from(i)? % partitions);
        waiting.push_back(log.commit(Commit::of(vec![Append { partition, batches: batch.clone().into() }])));
        if waiting.len() >= IN_FLIGHT
            && let Some(ticket) = waiting.pop_front()
        {
            ticket.blocking_recv()??;
        }
    }
    for ticket in waiting {
        ticket.blocking_recv()??;
    }
    Ok(())
}

fn read(log: &EmbeddedLog) -> Result<usize, Failure> {
    let partition = TopicPartition::new("t", 0);
    let (mut next, mut records) = (0, 0);
    loop {
        let batches = log.read(&partition, next, 1 << 20)?;
        let Some(last) = batches.last() else { return Ok(records) };
        records += usize::try_from(last.next_offset - next)?;
        next = last.next_offset;
        black_box(&batches);
    }
}

fn main() -> Result<(), Failure> {
    let dir = std::env::args().nth(1).ok_or("give a directory for the log")?;
    let batch = codec(&[b'v'; VALUE_BYTES])?;
    let log = EmbeddedLog::open(Host::real(), &dir, Settings::default())?;
    block_on(log.create_topic("t", TopicConfig::with_partitions(4)))?;
    let records = BATCHES * RECORDS_PER_BATCH;
    let started = Instant::now();
    append(&log, &batch, BATCHES, 1)?;
    report("append, fsync, 64 in flight", records, started);
    let started = Instant::now();
    let count = read(&log)?;
    report("read back, checksums verified", count, started);

    let mut builder = BatchBuilder::new();
    builder.push(Some(b"key"), Some(&[b'v'; VALUE_BYTES]), 1_700_000_000_000, &[])?;
    let small = builder.finish(Compression::None)?;
    let started = Instant::now();
    append(&log, &small, 50_000, 4)?;
    report("append single records, fsync, 64 in flight", 50_000, started);
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..2_000 {
        let started = Instant::now();
        append(&log, &small, 1, 1)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("acknowledgement of a single record: p50 {:.3} ms, p99 {:.3} ms", at(50), at(99));
    log.close()?;
    drop(log);
    let started = Instant::now();
    let log = EmbeddedLog::open(Host::real(), &dir, Settings::default())?;
    println!("open: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    for i in 0..1_000 {
        block_on(log.create_topic(&format!("topic-{i}"), TopicConfig::with_partitions(10)))?;
    }
    let all = (0..1_000).flat_map(|topic| (0..10).map(move |partition| (topic, partition)));
    let appends = all.map(|(topic, partition): (u32, u32)| Append {
        partition: TopicPartition::new(format!("topic-{topic}"), partition),
        batches: small.clone().into(),
    });
    let started = Instant::now();
    log.commit(Commit::of(appends.collect())).blocking_recv()??;
    println!("one commit to 10,000 new partitions: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let started = Instant::now();
    drop(log);
    println!("close with 10,000 partitions: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let started = Instant::now();
    let log = EmbeddedLog::open(Host::real(), &dir, Settings::default())?;
    println!("open with 10,000 partitions: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    drop(log);
    let memory = Host::in_memory();
    let started = Instant::now();
    for _ in 0..100 {
        black_box(EmbeddedLog::open_in_memory(&memory)?);
    }
    println!("open in memory: {:.3} ms", started.elapsed().as_secs_f64() * 10.0);
    Ok(())
}
