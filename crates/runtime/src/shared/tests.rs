//! Reading together, against reading alone.

use formats::FormatSpec;
use planner::{expr::columns_used, plan::BoundExpr};
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
                    3 if *kind > 200 => {
                        builder.push(Some(b"k"), None, 7, &[]).expect("fits");
                        continue;
                    }
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
            log.commit(Commit::of(appends)).await.expect("is answered").expect("is kept");
        }
    });
    log
}

fn node(source: &Arc<Source>, wanted: &[usize], condition: Option<BoundExpr>) -> SourceNode {
    let (source, mut wanted) = (source.clone(), wanted.to_vec());
    wanted.extend(condition.iter().flat_map(columns_used));
    wanted.sort_unstable();
    wanted.dedup();
    SourceNode { source, start: Start::Default, wanted, wanted_hidden: BTreeSet::new(), condition }
}

/// Conditions with parts in common, some of which fail for some rows.
const CONDITIONS: [&str; 11] = [
    "B = 'b1'",
    "'b0' = B AND 6 / (A - 2) > 1",
    "C = 100 AND A > 0 AND 6 / (A - 2) > 1",
    "6 / (A - 2) = 3",
    "A % 3 = 1",
    "A % 3 = 2",
    "A % 3 = 1 AND B <> 'b1'",
    "6 / (A - 2) > 1",
    "6 / (A - 2) > 1 OR C > 5",
    "C > 5 OR 6 / (A - 2) > 1",
    "TRUE",
];

fn condition(source: &Source, sql: &str) -> BoundExpr {
    let tree = syntax::parse_expression(sql).expect("an expression");
    let scope = planner::expr::Scope::of_source(source, "s");
    planner::expr::bind_predicate(&tree, &scope, &planner::expr::Context::default()).expect("binds")
}

/// What a filter makes of rows, and what it reports.
fn filtered(
    condition: Option<&BoundExpr>,
    rows: ChangeBatch,
    schema: &SchemaRef,
    reports: &mut Vec<Report>,
) -> ChangeBatch {
    let Some(condition) = condition else { return rows };
    let time = operators::TimeLine::default();
    let mut context = operators::StepContext { epoch: 1, caching: false, time: &time, reports };
    let mut filter = operators::Filter::new(condition.clone(), schema.clone(), false);
    operators::Operator::step(&mut filter, vec![rows], &mut context).expect("steps")
}

fn rows_shown(rows: &ChangeBatch, wanted: &[usize], schema: &SchemaRef) -> Vec<String> {
    let batch = rows.to_record_batch(schema).expect("fits its schema");
    let batch = batch.project(wanted).expect("has the columns");
    let shown = |row: usize| {
        let cells = batch.columns().iter().map(|c| arrow::util::display::array_value_to_string(c, row).expect("shows"));
        format!("{} {} {:?}", rows.seq.value(row), rows.rowtime.value(row), cells.collect::<Vec<_>>())
    };
    (0..rows.len()).map(shown).collect()
}

/// A query that reads with others, and a reader of what it would read alone.
struct One {
    wanted: Vec<usize>,
    condition: Option<BoundExpr>,
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
    /// Whoever reads with others gets what it gets alone, for any cuts, any columns and filters, any order of turns.
    #[test]
    fn reading_together_gives_what_reading_alone_gives(
        batches in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..6), any::<bool>()), 1..8),
        members in prop::collection::vec(
            (prop::sample::subsequence(vec![0_usize, 1, 2, 3], 1..4), 0..6_i64, 0..2 * CONDITIONS.len()), 2..6
        ),
        turns in prop::collection::vec((any::<prop::sample::Index>(), 1..9_usize), 1..60),
    ) {
        let source = source();
        let fields = source.schema.columns.iter().map(|c| arrow::datatypes::Field::new(&c.name, c.ty.to_arrow(), true));
        let schema: SchemaRef = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
        let (log, partition) = (filled(&batches), TopicPartition::new("s", 0));
        let shared = SharedSources::default();
        let mut all: Vec<One> = members.iter().map(|(wanted, begin, condition_at)| {
            let condition = CONDITIONS.get(*condition_at).map(|sql| condition(&source, sql));
            let node = node(&source, wanted, condition.clone());
            let rows = || RowReader::new(&node, schema.clone(), None, false).expect("a reader");
            let mut reader = Reader::new(partition.clone(), *begin, None);
            reader.shared = Some(shared.join(&reader, &node, &schema, None, false));
            One { wanted: node.wanted.clone(), condition, reader, own: rows(), alone: rows() }
        }).collect();
        for (who, records) in turns {
            let count = all.len();
            let One { wanted, condition, reader, own, alone } = &mut all[who.index(count)];
            let taken = take_epoch(&mut [&mut *reader], &*log, Cut::Records(records), true, None).expect("takes");
            let taken = taken.first().expect("one reader");
            if taken.to <= taken.from {
                continue;
            }
            let (mut got_reports, mut want_reports) = (vec![], vec![]);
            let membership = reader.shared.as_ref().expect("has joined");
            let got = membership.read(&*log, &partition, taken, own, &mut got_reports).expect("reads");
            let batches = raw(&*log, &partition, taken.from, taken.to).expect("reads");
            let same = Taken { batches, from: taken.from, to: taken.to, arrival_end: u64::MAX, runs: vec![] };
            let want = alone.read(&partition, &same, &mut want_reports).expect("reads");
            let want_headers = alone.take_headers();
            prop_assert_eq!(got.rows.len() + got.left_out, want.len());
            let headers = got.headers;
            let got = filtered(condition.as_ref(), got.rows, &schema, &mut got_reports);
            let want = filtered(condition.as_ref(), want, &schema, &mut want_reports);
            prop_assert_eq!(rows_shown(&got, wanted, &schema), rows_shown(&want, wanted, &schema));
            prop_assert_eq!(shown(&got_reports), shown(&want_reports));
            for seq in want.seq.values() {
                prop_assert_eq!(headers.of(*seq), want_headers.of(*seq));
            }
        }
        let places = shared.places.lock();
        let place = places.values().flatten().next().and_then(Weak::upgrade).expect("somebody reads");
        drop((places, all));
        prop_assert_eq!(shared.bytes(), 0);
        let state = place.state.lock();
        prop_assert!(state.common.is_empty() && state.nexts.is_empty());
    }
}
