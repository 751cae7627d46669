//! Properties of every aggregate function over random rows: however it is driven, it is the function of the rows that
//! are in the group, as an oracle computes from scratch; and it takes any bytes for a stored state.

use std::cmp::Reverse;

use arrow::array::{Array, ArrayRef};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    lookup,
    tests::{bind, slice},
};
use crate::{
    BoundAggregate, GroupStates, RowErrors,
    testing::{column, show},
};

const GROUPS: u32 = 3;

/// A function and its arguments, of which the first ones are columns.
type Case = (&'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("ARG_MAX", &["STRING", "INTEGER"]),
    ("ARG_MIN", &["STRING", "DOUBLE"]),
    ("ATTR", &["INTEGER"]),
    ("AVG", &["INTEGER"]),
    ("AVG", &["BIGINT"]),
    ("AVG", &["DOUBLE"]),
    ("BOOL_AND", &["BOOLEAN"]),
    ("BOOL_OR", &["BOOLEAN"]),
    ("COLLECT_LIST", &["INTEGER"]),
    ("COLLECT_LIST", &["ARRAY<STRING>"]),
    ("COLLECT_SET", &["STRING"]),
    ("CORRELATION", &["DOUBLE", "DOUBLE"]),
    ("COUNT", &[]),
    ("COUNT", &["STRING"]),
    ("COUNT_DISTINCT", &["INTEGER"]),
    ("EARLIEST_BY_OFFSET", &["INTEGER"]),
    ("EARLIEST_BY_OFFSET", &["STRING", "=false"]),
    ("EARLIEST_BY_OFFSET", &["INTEGER", "=2"]),
    ("HISTOGRAM", &["STRING"]),
    ("LATEST_BY_OFFSET", &["INTEGER"]),
    ("LATEST_BY_OFFSET", &["DOUBLE", "=false"]),
    ("LATEST_BY_OFFSET", &["BOOLEAN"]),
    ("LATEST_BY_OFFSET", &["STRING", "=2", "=false"]),
    ("MAX", &["INTEGER"]),
    ("MAX", &["DOUBLE"]),
    ("MAX", &["STRING"]),
    ("MIN", &["BIGINT"]),
    ("MIN", &["DECIMAL(5, 2)"]),
    ("MIN", &["TIMESTAMP"]),
    ("MIN", &["BYTES"]),
    ("PERCENTILE_CONT", &["DOUBLE", "=0.25"]),
    ("PERCENTILE_DISC", &["DOUBLE", "=0.25"]),
    ("STDDEV_POP", &["DOUBLE"]),
    ("STDDEV_SAMP", &["INTEGER"]),
    ("STDDEV_SAMPLE", &["BIGINT"]),
    ("STRING_AGG", &["STRING", "=-"]),
    ("SUM", &["INTEGER"]),
    ("SUM", &["BIGINT"]),
    ("SUM", &["DECIMAL(3, 1)"]),
    ("SUM", &["DOUBLE"]),
    ("SUM_LIST", &["ARRAY<DOUBLE>"]),
    ("SUM_LIST", &["ARRAY<INTEGER>"]),
    ("TOPK", &["INTEGER", "=2"]),
    ("TOPK", &["INTEGER", "STRING", "=2"]),
    ("TOPKDISTINCT", &["STRING", "=2"]),
    ("VAR_POP", &["DOUBLE"]),
    ("VAR_SAMP", &["DOUBLE"]),
];

/// What happens to a group: a row with values made of these numbers (`None`: NULL) comes, or one of those there goes.
#[derive(Debug, Clone)]
struct Change {
    group: u32,
    values: [Option<u8>; 2],
    goes: Option<prop::sample::Index>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let value = || prop::option::weighted(0.85, 0_u8..6);
    let change = (0..GROUPS, [value(), value()], prop::option::weighted(0.35, any::<prop::sample::Index>()));
    vec(change.prop_map(|(group, values, goes)| Change { group, values, goes }), 0..40)
}

/// A value of a column of type `ty` made of a small number.
fn made(ty: &str, number: Option<u8>) -> Value {
    let Some(n) = number else { return Value::Null };
    match ty {
        "BOOLEAN" => Value::from(n % 2 == 0),
        "STRING" | "BYTES" => Value::from(["", "a", "b", "ba", "a\0", "ä"][usize::from(n)]),
        "DOUBLE" => Value::from([-2.5, -1.0, 0.0, 0.5, 3.25, 100.0][usize::from(n)]),
        "DECIMAL(5, 2)" => Value::from(["-1.25", "0.00", "1.50", "20.00", "300.00", "-999.99"][usize::from(n)]),
        "DECIMAL(3, 1)" => Value::from(["-1.5", "0.0", "1.5", "20.0", "3.0", "-9.9"][usize::from(n)]),
        "ARRAY<STRING>" => json!([["x"], [], [null, "y"]])[usize::from(n) % 3].clone(),
        "ARRAY<INTEGER>" => json!([[1, 2], [], [null, 7]])[usize::from(n) % 3].clone(),
        "ARRAY<DOUBLE>" => json!([[1.5], [], [2.5, null, 0.5]])[usize::from(n) % 3].clone(),
        _ => Value::from(i64::from(n) - 2),
    }
}

/// Rows that come and go, with their columns.
struct Run {
    bound: BoundAggregate,
    columns: Vec<ArrayRef>,
    groups: Vec<u32>,
    retract: Vec<bool>,
    /// Per row: what its group holds after it, as indices of rows.
    held: Vec<Vec<usize>>,
}

fn run(case: Case, changes: &[Change], with_retractions: bool) -> Run {
    let (name, args) = case;
    let bound = bind(name, args).unwrap_or_else(|e| panic!("{name}: {e}"));
    let with_retractions = with_retractions && bound.retracts;
    let mut present: Vec<Vec<usize>> = vec![Vec::new(); GROUPS as usize];
    let (mut groups, mut retract, mut held) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows: Vec<[Option<u8>; 2]> = Vec::new();
    // Rows are told apart by what the function sees of them.
    let seen = |values: &[Option<u8>; 2]| -> Vec<Value> {
        args.iter().zip(values).filter(|(arg, _)| !arg.starts_with('=')).map(|(arg, n)| made(arg, *n)).collect()
    };
    for change in changes {
        let there = &mut present[change.group as usize];
        match change.goes.filter(|_| with_retractions && !there.is_empty()) {
            Some(index) => {
                let values = rows[there[index.index(there.len())]];
                let oldest = there.iter().position(|row| seen(&rows[*row]) == seen(&values)).expect("it is there");
                there.remove(oldest);
                rows.push(values);
                retract.push(true);
            }
            None => {
                there.push(rows.len());
                rows.push(change.values);
                retract.push(false);
            }
        }
        groups.push(change.group);
        held.push(there.clone());
    }
    let columns = args.iter().zip(&bound.arg_types).enumerate().map(|(at, (arg, to))| {
        if arg.starts_with('=') {
            return arrow::array::new_null_array(&to.to_arrow(), rows.len());
        }
        let cells: Vec<Value> = rows.iter().map(|r| made(arg, r[at.min(1)])).collect();
        column(to, &cells)
    });
    Run { columns: columns.collect(), bound, groups, retract, held }
}

fn states(run: &Run) -> Box<dyn GroupStates> {
    let make = if run.retract.contains(&true) { &run.bound.make_retractable } else { &run.bound.make };
    let mut states = make();
    states.resize(GROUPS as usize);
    states
}

/// Drive rows `from..to`; the value after each.
fn drive(states: &mut dyn GroupStates, run: &Run, from: usize, to: usize) -> ArrayRef {
    let retract = run.retract.contains(&true).then(|| &run.retract[from..to]);
    let columns = slice(&run.columns, from, to - from);
    states.update_each(&run.groups[from..to], &columns, retract, &mut RowErrors::default())
}

fn near(got: &str, want: &str) -> bool {
    if got == want {
        return true;
    }
    if let (Ok(got), Ok(want)) = (got.parse::<f64>(), want.parse::<f64>()) {
        return (got - want).abs() <= 1e-9 * (1.0 + want.abs());
    }
    let (got, want) = (serde_json::from_str::<Value>(got), serde_json::from_str::<Value>(want));
    matches!((got, want), (Ok(got), Ok(want)) if got == want)
}

fn check_near(name: &str, what: &str, got: &dyn Array, want: &dyn Array) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), want.len(), "{} {}", name, what);
    prop_assert_eq!(got.data_type(), want.data_type());
    for row in 0..got.len() {
        let (got, want) = (show(got, row), show(want, row));
        prop_assert!(near(&got, &want), "{} {}: row {} is {}, want {}", name, what, row, got, want);
    }
    Ok(())
}

/// The function of these rows alone, by states that never saw others.
fn from_scratch(run: &Run, rows: &[usize]) -> ArrayRef {
    let indices = arrow::array::UInt32Array::from(rows.iter().map(|r| *r as u32).collect::<Vec<_>>());
    let take = |c: &ArrayRef| arrow::compute::take(c.as_ref(), &indices, None).expect("in bounds");
    let columns: Vec<ArrayRef> = run.columns.iter().map(take).collect();
    let mut fresh = (run.bound.make)();
    fresh.resize(1);
    fresh.update(&vec![0; rows.len()], &columns, None, &mut RowErrors::default());
    fresh.values(&[0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_do_not_matter(changes in changes(), cuts in vec(any::<prop::sample::Index>(), 0..4), retractions: bool) {
        for case in CASES {
            let run = run(*case, &changes, retractions);
            let rows = run.groups.len();
            let mut whole = states(&run);
            let each = drive(whole.as_mut(), &run, 0, rows);

            let mut cut = states(&run);
            let mut marks: Vec<usize> = cuts.iter().map(|c| c.index(rows + 1)).collect();
            marks.extend([0, rows]);
            marks.sort_unstable();
            let parts: Vec<ArrayRef> = marks.windows(2).map(|w| drive(cut.as_mut(), &run, w[0], w[1])).collect();
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            check_near(case.0, "in parts", &arrow::compute::concat(&parts).expect("joins"), &each)?;

            let mut plain = states(&run);
            let retract = run.retract.contains(&true).then_some(run.retract.as_slice());
            plain.update(&run.groups, &run.columns, retract, &mut RowErrors::default());
            let all: Vec<u32> = (0..GROUPS).collect();
            check_near(case.0, "by update", &plain.values(&all), &whole.values(&all))?;
            for group in all {
                if let Some(last) = run.groups.iter().rposition(|g| *g == group) {
                    check_near(case.0, "last of each", &each.slice(last, 1), &whole.values(&[group]))?;
                }
            }
        }
    }

    #[test]
    fn it_is_the_function_of_the_rows_there(changes in changes()) {
        for case in CASES {
            let run = run(*case, &changes, true);
            let mut driven = states(&run);
            let each = drive(driven.as_mut(), &run, 0, run.groups.len());
            for (row, held) in run.held.iter().enumerate() {
                let want = show(&from_scratch(&run, held), 0);
                let got = show(&each, row);
                let same = if case.0 == "COLLECT_SET" { sorted(&got) == sorted(&want) } else { near(&got, &want) };
                prop_assert!(same, "{:?} row {}: {}, want {}", case, row, got, want);
            }
        }
    }

    #[test]
    fn stored_states_go_on(changes in changes(), at: prop::sample::Index, retractions: bool) {
        for case in CASES {
            let run = run(*case, &changes, retractions);
            let rows = run.groups.len();
            let mid = at.index(rows + 1);
            let mut straight = states(&run);
            drive(straight.as_mut(), &run, 0, mid);
            let mut restored = states(&run);
            for slot in 0..GROUPS as usize {
                let mut bytes = Vec::new();
                straight.store(slot, &mut bytes);
                restored.load(slot, &bytes).expect("what was stored loads");
                let mut again = Vec::new();
                restored.store(slot, &mut again);
                prop_assert_eq!(&bytes, &again, "{} stores what it loaded", case.0);
            }
            prop_assert_eq!(restored.size_bytes() > 0, straight.size_bytes() > 0);
            let want = drive(straight.as_mut(), &run, mid, rows);
            check_near(case.0, "restored", &drive(restored.as_mut(), &run, mid, rows), &want)?;
        }
    }

    #[test]
    fn merged_groups_are_one(changes in changes(), at: prop::sample::Index) {
        for case in CASES {
            let run = run(*case, &changes, false);
            let rows = run.groups.len();
            let mid = at.index(rows + 1);
            for tables in [false, run.bound.retracts] {
                let make = if tables { &run.bound.make_retractable } else { &run.bound.make };
                let (mut parts, mut one) = (make(), make());
                parts.resize(2);
                one.resize(2);
                let halves: Vec<u32> = (0..rows).map(|row| u32::from(row >= mid)).collect();
                parts.update(&halves, &run.columns, None, &mut RowErrors::default());
                one.update(&vec![0; rows], &run.columns, None, &mut RowErrors::default());
                parts.merge(0, 1, true);
                check_near(case.0, "merged", &parts.values(&[0]), &one.values(&[0]))?;
            }
        }
    }

    #[test]
    fn any_bytes_load_or_fail(
        noise in vec(any::<u8>(), 0..60), changes in changes(), at: prop::sample::Index, with: u8
    ) {
        for case in CASES {
            let run = run(*case, &changes, false);
            for make in [&run.bound.make, &run.bound.make_retractable] {
                let mut written = make();
                written.resize(GROUPS as usize);
                written.update(&run.groups, &run.columns, None, &mut RowErrors::default());
                let mut bytes = Vec::new();
                written.store(0, &mut bytes);
                let place = at.index(bytes.len());
                bytes[place] = with;
                let mut versioned = vec![1];
                versioned.extend_from_slice(&noise);
                for damaged in [&bytes, &noise, &versioned] {
                    if written.load(1, damaged).is_ok() {
                        // What loads is a state like any other.
                        prop_assert_eq!(written.values(&[1]).len(), 1);
                        written.update(&run.groups, &run.columns, None, &mut RowErrors::default());
                        written.merge(1, 2, true);
                        prop_assert_eq!(written.values(&[1, 2]).len(), 2);
                    }
                }
            }
        }
    }
}

fn sorted(array: &str) -> Vec<String> {
    let values: Vec<Value> = serde_json::from_str(array).expect("an array");
    let mut texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

/// The commonest functions again, against plain code that shares nothing with them.
fn oracle(name: &str, values: &[Option<i64>]) -> String {
    let known: Vec<i64> = values.iter().flatten().copied().collect();
    let text = |value: Option<i64>| value.map_or("null".to_owned(), |v| v.to_string());
    let array = |values: &[Option<i64>]| format!("[{}]", values.iter().map(|v| text(*v)).collect::<Vec<_>>().join(","));
    match name {
        "COUNT" => known.len().to_string(),
        "SUM" => known.iter().sum::<i64>().to_string(),
        "MIN" => text(known.iter().min().copied()),
        "MAX" => text(known.iter().max().copied()),
        "AVG" if known.is_empty() => "0.0".to_owned(),
        "AVG" => (known.iter().sum::<i64>() as f64 / known.len() as f64).to_string(),
        "LATEST_BY_OFFSET" => text(known.last().copied()),
        "EARLIEST_BY_OFFSET" => text(known.first().copied()),
        "COLLECT_LIST" => array(values),
        "TOPK" => {
            let mut ranked = known;
            ranked.sort_by_key(|v| Reverse(*v));
            ranked.truncate(2);
            array(&ranked.into_iter().map(Some).collect::<Vec<_>>())
        }
        other => panic!("no oracle for {other}"),
    }
}

proptest! {
    #[test]
    fn plain_code_agrees(changes in changes()) {
        let cases: [Case; 10] = [
            ("COUNT", &["INTEGER"]), ("SUM", &["INTEGER"]), ("MIN", &["INTEGER"]), ("MAX", &["INTEGER"]),
            ("AVG", &["INTEGER"]), ("LATEST_BY_OFFSET", &["INTEGER"]), ("EARLIEST_BY_OFFSET", &["INTEGER"]),
            ("COLLECT_LIST", &["INTEGER"]), ("TOPK", &["INTEGER", "=2"]), ("SUM", &["BIGINT"]),
        ];
        for case in cases {
            let run = run(case, &changes, true);
            let each = drive(states(&run).as_mut(), &run, 0, run.groups.len());
            for (row, held) in run.held.iter().enumerate() {
                let text = |at: usize| show(&run.columns[0], at);
                let value = |at: &usize| serde_json::from_str::<Option<i64>>(&text(*at)).expect("a number");
                let want = oracle(case.0, &held.iter().map(value).collect::<Vec<_>>());
                let got = show(&each, row);
                prop_assert!(near(&got, &want), "{:?} row {}: {}, want {}", case, row, got, want);
            }
        }
    }
}

#[test]
fn every_function_is_tried() {
    for function in super::AGGREGATES {
        let name = function.doc().name;
        assert!(CASES.iter().any(|(tried, _)| *tried == name), "{name} is not among the cases");
        assert!(lookup(name).is_some());
    }
}

#[test]
fn wrong_columns_and_groups_are_row_errors() {
    for case in CASES.iter().filter(|c| !c.1.is_empty()) {
        let bound = bind(case.0, case.1).expect("binds");
        let byte: ArrayRef = std::sync::Arc::new(arrow::array::UInt8Array::from(vec![1]));
        let wrong: Vec<ArrayRef> = case.1.iter().map(|_| ArrayRef::clone(&byte)).collect();
        for make in [&bound.make, &bound.make_retractable] {
            let mut states = make();
            states.resize(1);
            let mut errors = RowErrors::default();
            states.update(&[0], &[], None, &mut errors);
            if case.0 != "COUNT" {
                states.update(&[0], &wrong, None, &mut errors);
                assert_eq!(errors.rows.len(), 2, "{}", case.0);
            }
            let right: Vec<ArrayRef> =
                bound.arg_types.iter().map(|ty| arrow::array::new_null_array(&ty.to_arrow(), 1)).collect();
            states.update(&[7], &right, None, &mut errors);
            assert!(errors.rows.iter().any(|(_, reason)| reason.contains("slot")), "{}", case.0);
            states.merge(0, 9, true);
            states.reset(9);
            assert!(states.load(9, &[1]).is_err());
            assert_eq!(states.values(&[9]).len(), 1);
        }
    }
}
