//! Each stage of the hot path by itself, in records a second: decode and encode per format, state, record batches, the
//! log, a lookup of a key. `cargo bench -p benches`; one short round of all with `-- --test`.

use std::{hint::black_box, sync::Arc};

use arrow::array::ArrayRef;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::{Engine, EngineConfig, Session};
use formats::{EncodedRows, FormatContext, FormatSpec, MemoryRegistry, Part};
use host::Host;
use recordlog::{
    Append, Commit, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression, RecordRanges, decode_ranges},
    embedded::{EmbeddedLog, Settings},
};
use statestore::View;
use types::{Column, SqlType};

use benches::generator::Site;

/// Records of one round.
const RECORDS: usize = 4_096;
/// Keys of the state that is written.
const KEYS: u64 = 1_000_000;

/// The columns of a bid.
fn columns() -> Vec<Column> {
    let all = [
        ("AUCTION", SqlType::BigInt),
        ("BIDDER", SqlType::BigInt),
        ("PRICE", SqlType::BigInt),
        ("CHANNEL", SqlType::String),
        ("URL", SqlType::String),
        ("DATETIME", SqlType::BigInt),
        ("EXTRA", SqlType::String),
    ];
    all.into_iter().map(|(name, ty)| Column::value(name, ty)).collect()
}

fn bids() -> Vec<String> {
    let site = Site { bids: RECORDS as u64 };
    let value = |n| {
        let mut out = String::new();
        site.bid(n).write_value(&mut out);
        out
    };
    (0..RECORDS as u64).map(value).collect()
}

fn spec(name: &str) -> (FormatSpec, FormatContext) {
    let context = FormatContext {
        registry: Some(Arc::new(MemoryRegistry::default())),
        topic: "bids".to_owned(),
        ..FormatContext::default()
    };
    (FormatSpec { name: name.to_owned(), ..FormatSpec::default() }, context)
}

/// The bids as columns.
fn arrays() -> Vec<ArrayRef> {
    let (spec, context) = spec("JSON");
    let all: Vec<usize> = (0..columns().len()).collect();
    let format = formats::format("JSON").expect("a format");
    let mut decoder = format.decoder_in(Part::Value, &columns(), &all, &spec, &context).expect("a decoder");
    let texts = bids();
    let records: Vec<Option<&[u8]>> = texts.iter().map(|t| Some(t.as_bytes())).collect();
    let mut errors = vec![];
    let arrays = decoder.decode(&records, &mut errors);
    assert!(errors.is_empty(), "{errors:?}");
    arrays
}

fn formats_both_ways(c: &mut Criterion) {
    let (columns, arrays) = (columns(), arrays());
    let mut group = c.benchmark_group("format");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for name in ["JSON", "DELIMITED", "AVRO", "PROTOBUF", "JSON_SR"] {
        let (spec, context) = spec(name);
        let format = formats::format(name).expect("a format");
        let mut encoder = format.encoder_in(Part::Value, &columns, &spec, &context).expect("an encoder");
        let (mut rows, mut errors) = (EncodedRows::default(), vec![]);
        group.bench_function(format!("{name} encode 7 columns"), |b| {
            b.iter(|| {
                rows.clear();
                encoder.encode(&arrays, RECORDS, None, &mut rows, &mut errors);
                black_box(rows.data.len())
            })
        });
        rows.clear();
        encoder.encode(&arrays, RECORDS, None, &mut rows, &mut errors);
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let records: Vec<Option<&[u8]>> = (0..RECORDS).map(|row| rows.get(row)).collect();
        for (label, wanted) in [("7 columns", vec![0, 1, 2, 3, 4, 5, 6]), ("2 of 7 columns", vec![0, 2])] {
            let mut decoder = format.decoder_in(Part::Value, &columns, &wanted, &spec, &context).expect("a decoder");
            group.bench_function(format!("{name} decode {label}"), |b| {
                b.iter(|| black_box(decoder.decode(&records, &mut errors)))
            });
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
    }
    group.finish();
}

fn state(c: &mut Criterion) {
    let mut group = c.benchmark_group("state");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let mut view = View::new();
    for key in 0..KEYS {
        view.write(1, &key.to_be_bytes(), Some(&[0; 24]));
    }
    view.commit(1);
    let (mut epoch, mut next) = (1, 0_u64);
    group.bench_function("update one of 1 M keys, 24 bytes", |b| {
        b.iter(|| {
            epoch += 1;
            for _ in 0..RECORDS {
                // A step that is coprime to the number of keys visits them all, far apart.
                next = (next + 611_953) % KEYS;
                view.write(epoch, &next.to_be_bytes(), Some(&epoch.to_be_bytes().repeat(3)));
            }
            view.commit(epoch);
        })
    });
    group.bench_function("look up one of 1 M keys", |b| {
        b.iter(|| {
            for _ in 0..RECORDS {
                next = (next + 611_953) % KEYS;
                black_box(view.get(&next.to_be_bytes()));
            }
        })
    });
    group.finish();
}

fn batch(texts: &[String]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (n, text) in texts.iter().enumerate() {
        builder.push(Some(&n.to_be_bytes()), Some(text.as_bytes()), 1_700_000_000_000, &[]).expect("a record");
    }
    builder.finish(Compression::None).expect("a batch")
}

fn batches(c: &mut Criterion) {
    let texts = bids();
    let built = batch(&texts);
    let mut group = c.benchmark_group("record batch");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("build", |b| b.iter(|| black_box(batch(&texts))));
    let mut ranges = RecordRanges::default();
    group.bench_function("read", |b| {
        b.iter(|| {
            decode_ranges(&built, &mut ranges).expect("sound");
            black_box(ranges.len())
        })
    });
    group.finish();
}

fn log(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let log = EmbeddedLog::open(Host::real(), dir.path(), Settings::default()).expect("a log");
    let config = TopicConfig { partitions: 1, replicas: 1, settings: Default::default() };
    runtime.block_on(log.create_topic("t", config)).expect("a topic");
    let (partition, batch) = (TopicPartition::new("t", 0), batch(&bids()));
    let mut group = c.benchmark_group("log");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let mut append = || {
        let appends = vec![Append { partition: partition.clone(), batches: batch.clone().into() }];
        let done = runtime.block_on(log.commit(Commit::of(appends))).expect("an answer").expect("a commit");
        black_box(done.len())
    };
    group.bench_function("append, synced to disk", |b| b.iter(&mut append));
    append();
    let start = log.offsets(&partition).expect("offsets").start;
    group.bench_function("fetch", |b| b.iter(|| black_box(log.read(&partition, start, batch.len()).expect("batches"))));
    group.finish();
    log.close().expect("closed");
}

async fn engine_with_a_table() -> (Arc<Engine>, Session) {
    let properties = [("auto.offset.reset".to_string(), "earliest".to_string())].into();
    let config = EngineConfig { data_dir: None, properties, ..EngineConfig::default() };
    let engine = Engine::open(config).await.expect("an engine");
    let mut session = engine.session();
    let text =
        "CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1);
                CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k EMIT CHANGES;
                INSERT INTO s (k, v) VALUES ('ann', 1), ('bob', 2), ('ann', 3);";
    for statement in session.parse(text).expect("statements") {
        let prepared = session.prepare(&statement).await.expect("prepared");
        session.execute(&prepared, &[]).await.expect("executed");
    }
    (engine, session)
}

fn lookup(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (_engine, mut session) = runtime.block_on(engine_with_a_table());
    let parsed = session.parse("SELECT n, total FROM t WHERE k = 'ann';").expect("a statement");
    let prepared = runtime.block_on(session.prepare(parsed.first().expect("one"))).expect("prepared");
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(1));
    group.bench_function("prepared, by key", |b| {
        b.iter_batched(
            || (),
            |()| runtime.block_on(async { black_box(session.execute(&prepared, &[]).await.expect("rows")) }),
            BatchSize::SmallInput,
        )
    });
    group.finish();
}

criterion_group!(stages, formats_both_ways, state, batches, log, lookup);
criterion_main!(stages);
