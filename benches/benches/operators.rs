//! Each operator by itself, in rows a second: a step over one batch an input, and what its state changed to taken out for
//! the changelog. `cargo bench -p benches --bench operators`; one short round of all with `-- --test`.

use std::{collections::BTreeSet, hint::black_box, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, UInt8Array, UInt64Array},
    datatypes::{DataType, SchemaRef},
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use functions::ArgType;
use operators::{
    Aggregate, AggregateSpec, Change, ChangeBatch, Filter, ForeignKeyJoin, ForeignKeySpec, Materialize, Operator,
    Project, SUB_BITS, SessionAggregate, StepContext, StreamStreamJoin, StreamStreamSpec, StreamTableJoin,
    TableTableJoin, TimeLine,
};
use planner::{
    expr::{Context, Scope, bind, bind_predicate},
    plan::{AggregateCall, BoundExpr, FieldDef, Fields, JoinKind, WindowSpec},
};
use syntax::ast::WindowKind;
use types::SqlType;

/// Rows of an input's batch.
const ROWS: u64 = 4_096;
/// Keys that rows have.
const KEYS: u64 = 100_000;
/// Rows of one millisecond of event time.
const ROWS_PER_MS: u64 = 4;

/// Columns `K` and `V`, whole numbers both.
fn fields() -> Fields {
    let column =
        |name: &str| FieldDef { qualifier: None, name: name.into(), ty: SqlType::BigInt, key: false, hidden: false };
    Fields { columns: ["K", "V"].map(column).into() }
}

fn schema() -> SchemaRef {
    fields().to_arrow()
}

fn expr(sql: &str) -> BoundExpr {
    let tree = syntax::parse_expression(sql).expect("an expression");
    bind(&tree, &Scope::of_fields(&fields()), &Context::default()).expect("bound").expr
}

fn key() -> Vec<BoundExpr> {
    vec![expr("K")]
}

fn filter() -> Box<dyn Operator> {
    let tree = syntax::parse_expression("V % 2 = 0").expect("an expression");
    let predicate = bind_predicate(&tree, &Scope::of_fields(&fields()), &Context::default()).expect("a condition");
    Box::new(Filter::new(predicate, schema(), false))
}

fn project() -> Box<dyn Operator> {
    Box::new(Project::new(vec![expr("K"), expr("V * 2 + 1")], schema(), &BTreeSet::new()))
}

/// COUNT, SUM and AVG by K.
fn spec(window: Option<WindowSpec>) -> AggregateSpec {
    let call = |name: &str| {
        let arg = ArgType::Value(Some(SqlType::BigInt));
        let bound = functions::aggregate::lookup(name).expect("a function").bind(&[arg], &[None]).expect("bound");
        AggregateCall { text: name.into(), bound, args: vec![expr("V")], filter: None }
    };
    AggregateSpec {
        input: schema(),
        group_by: key(),
        key_types: vec![DataType::Int64],
        calls: ["COUNT", "SUM", "AVG"].map(call).into(),
        window,
        emit_final: false,
        keep_null_keys: false,
        from_table: false,
        emit_old: false,
    }
}

fn window(kind: WindowKind) -> Option<WindowSpec> {
    Some(WindowSpec { kind, grace_ms: 1_000, retention_ms: 10_000 })
}

fn stream_stream_join() -> Box<dyn Operator> {
    Box::new(StreamStreamJoin::new(StreamStreamSpec {
        schemas: [schema(), schema()],
        keys: [key(), key()],
        key_types: vec![DataType::Int64],
        kind: JoinKind::Inner,
        before_ms: 1_000,
        after_ms: 1_000,
        grace_ms: Some(0),
        residual: None,
        wanted: vec![true; 5],
    }))
}

fn foreign_key_join() -> Box<dyn Operator> {
    Box::new(ForeignKeyJoin::new(ForeignKeySpec {
        left: schema(),
        right: schema(),
        left_key: key(),
        foreign_key: vec![expr("V")],
        right_key: key(),
        kind: JoinKind::Inner,
        residual: None,
    }))
}

/// What each input's rows are.
type Inputs = &'static [Change];
const STREAM: Inputs = &[Change::Insert];
const TABLE: Inputs = &[Change::Upsert];
const STREAMS: Inputs = &[Change::Insert, Change::Insert];
const STREAM_AND_TABLE: Inputs = &[Change::Insert, Change::Upsert];
const TABLES: Inputs = &[Change::Upsert, Change::Upsert];

/// Name, inputs, the operator.
type Subject = (&'static str, Inputs, fn() -> Box<dyn Operator>);

const SUBJECTS: &[Subject] = &[
    ("Filter", STREAM, filter),
    ("Project", STREAM, project),
    ("Aggregate", STREAM, || Box::new(Aggregate::new(spec(None)))),
    ("Aggregate, tumbling windows", STREAM, || {
        Box::new(Aggregate::new(spec(window(WindowKind::Tumbling { size_ms: 1_000 }))))
    }),
    ("Aggregate, hopping windows", STREAM, || {
        Box::new(Aggregate::new(spec(window(WindowKind::Hopping { size_ms: 1_000, advance_ms: 500 }))))
    }),
    ("SessionAggregate", STREAM, || {
        Box::new(SessionAggregate::new(spec(window(WindowKind::Session { gap_ms: 1_000 })), 1_000))
    }),
    ("Materialize", TABLE, || Box::new(Materialize::new(schema(), vec![0], true, None))),
    ("StreamTableJoin", STREAM_AND_TABLE, || {
        Box::new(StreamTableJoin::new([schema(), schema()], [key(), key()], JoinKind::Inner, None))
    }),
    ("StreamStreamJoin", STREAMS, stream_stream_join),
    ("TableTableJoin", TABLES, || {
        let types = vec![DataType::Int64];
        Box::new(TableTableJoin::new([schema(), schema()], [key(), key()], types, JoinKind::Inner, false))
    }),
    ("ForeignKeyJoin", TABLES, foreign_key_join),
];

/// Rows from number `first` on, every one an arrival after the others of all `inputs`.
fn batch(first: u64, at: u64, inputs: u64, change: Change) -> ChangeBatch {
    let numbers = || first..first + ROWS;
    let column = |value: &dyn Fn(u64) -> u64| -> ArrayRef {
        Arc::new(numbers().map(|n| value(n).cast_signed()).collect::<Int64Array>())
    };
    // A multiplicative hash: keys come in no order.
    let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let is_insert = change == Change::Insert;
    ChangeBatch {
        columns: vec![column(&|n| key(n) % KEYS), column(&|n| key(n.wrapping_add(at)) % KEYS)],
        rowtime: numbers().map(|n| (n / ROWS_PER_MS).cast_signed()).collect(),
        seq: numbers().map(|n| ((n + 1) * inputs + at) << SUB_BITS).collect::<UInt64Array>(),
        ops: (!is_insert).then(|| numbers().map(|_| change as u8).collect::<UInt8Array>()),
    }
}

fn operators(c: &mut Criterion) {
    let mut group = c.benchmark_group("operator");
    for (name, inputs, make) in SUBJECTS {
        let (mut operator, mut first, mut epoch) = (make(), 0, 0);
        group.throughput(Throughput::Elements(ROWS * inputs.len() as u64));
        group.bench_function(*name, |b| {
            let next = || {
                let all = (0..).zip(*inputs).map(|(at, change)| batch(first, at, inputs.len() as u64, *change));
                let all: Vec<ChangeBatch> = all.collect();
                let orders: Vec<_> = all.iter().map(|batch| vec![(&batch.seq, &batch.rowtime)]).collect();
                let before = first.checked_sub(1).map(|last| (last / ROWS_PER_MS).cast_signed());
                let time = TimeLine::of_inputs(before, &orders);
                first += ROWS;
                (all, time)
            };
            let step = |(all, time): (Vec<ChangeBatch>, TimeLine)| {
                let mut reports = vec![];
                epoch += 1;
                let mut context = StepContext { epoch, caching: false, time: &time, reports: &mut reports };
                let rows = operator.step(all, &mut context).expect("a step");
                operator.drain(&mut |key, value| {
                    black_box((key, value));
                });
                assert!(reports.is_empty(), "{reports:?}");
                rows
            };
            b.iter_batched(next, step, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(all, operators);
criterion_main!(all);
