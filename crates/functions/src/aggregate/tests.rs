//! What tests of aggregates share: a check of every way in which a function can be driven, against one list of results.

use arrow::array::{Array, ArrayRef, new_null_array};
use serde_json::Value;

use super::lookup;
use crate::{
    ArgType, BoundAggregate, GroupStates, RowErrors,
    testing::{column, same, show, split, ty, value},
};

/// Bind `name` to columns of types such as `"INTEGER"`; `"=3"` is a constant argument.
pub(crate) fn bind(name: &str, args: &[&str]) -> types::Result<BoundAggregate> {
    let function = lookup(name).expect("a function of that name");
    let mut kinds = Vec::new();
    let mut literals = Vec::new();
    for arg in args {
        if let Some(text) = arg.strip_prefix('=') {
            let literal = value(text);
            let of = if literal.is_boolean() {
                "BOOLEAN"
            } else if literal.is_f64() {
                "DOUBLE"
            } else if literal.is_number() {
                "INTEGER"
            } else {
                "STRING"
            };
            kinds.push(ArgType::Value(if literal.is_null() { None } else { Some(ty(of)) }));
            literals.push(Some(column(&ty(of), &[literal])));
        } else if *arg == "NULL" {
            kinds.push(ArgType::Value(None));
            literals.push(None);
        } else {
            kinds.push(ArgType::Value(Some(ty(arg))));
            literals.push(None);
        }
    }
    function.bind(&kinds, &literals)
}

/// Rows such as `"1"`, `"- 1"` (taken back), `"a, [1]"` (two arguments).
struct Rows {
    columns: Vec<ArrayRef>,
    retract: Vec<bool>,
    groups: Vec<u32>,
}

fn rows(bound: &BoundAggregate, args: &[&str], rows: &[&str]) -> Rows {
    let variable = args.iter().filter(|a| !a.starts_with('=')).count();
    let retract = rows.iter().map(|r| r.starts_with("- ")).collect();
    let cells: Vec<Vec<Value>> = rows
        .iter()
        .map(|row| {
            let row = row.strip_prefix("- ").unwrap_or(row);
            if variable <= 1 { vec![value(row)] } else { split(row).into_iter().map(value).collect() }
        })
        .collect();
    let mut at = 0;
    let columns = args.iter().zip(&bound.arg_types).map(|(arg, to)| {
        if arg.starts_with('=') {
            return new_null_array(&to.to_arrow(), rows.len());
        }
        let values: Vec<Value> = cells.iter().map(|c| c[at].clone()).collect();
        at += 1;
        column(to, &values)
    });
    Rows { columns: columns.collect(), retract, groups: vec![1; rows.len()] }
}

/// How many of a state's beginnings are tried as stored states.
const TORN_BYTES_MAX: usize = 64;

pub(crate) fn slice(columns: &[ArrayRef], from: usize, length: usize) -> Vec<ArrayRef> {
    columns.iter().map(|c| c.slice(from, length)).collect()
}

/// The value after each row, driven in every way: one pass, row by row, stored and loaded after each row.
pub(crate) fn check(name: &str, args: &[&str], input: &[&str], want: &[&str]) {
    let bound = bind(name, args).unwrap_or_else(|e| panic!("{name}({}): {e}", args.join(", ")));
    let rows = rows(&bound, args, input);
    let retracting = rows.retract.contains(&true);
    assert!(!retracting || bound.retracts, "{name} retracts");
    let plain = || with_slots((bound.make)());
    let tables = || with_slots((bound.make_retractable)());
    if !retracting {
        each_way(name, &rows, plain, input, want);
    }
    if bound.retracts {
        each_way(name, &rows, tables, input, want);
    }
    assert_eq!(input.len(), want.len(), "one result a row");
}

fn with_slots(mut states: Box<dyn GroupStates>) -> Box<dyn GroupStates> {
    states.resize(3);
    states
}

fn each_way(name: &str, rows: &Rows, make: impl Fn() -> Box<dyn GroupStates>, input: &[&str], want: &[&str]) {
    let retract = rows.retract.contains(&true).then_some(rows.retract.as_slice());
    let mut errors = RowErrors::default();
    let mut states = make();
    let each = states.update_each(&rows.groups, &rows.columns, retract, &mut errors);
    compare(name, "in one pass", &each, input, want);

    let mut whole = make();
    whole.update(&rows.groups, &rows.columns, retract, &mut errors);
    if let (Some(last), Some(row)) = (want.last(), input.last()) {
        compare(name, "as one batch", &whole.values(&[1]), &[row], &[last]);
    }

    let mut stored = make();
    for (row, expect) in want.iter().enumerate() {
        let mut next = make();
        let mut bytes = Vec::new();
        stored.store(1, &mut bytes);
        next.load(1, &bytes).unwrap_or_else(|e| panic!("{name}: what was stored loads: {e}"));
        let columns = slice(&rows.columns, row, 1);
        next.update(&[1], &columns, retract.and_then(|r| r.get(row..=row)), &mut errors);
        compare(name, "stored and loaded", &next.values(&[1]), &[input[row]], &[expect]);
        let mut again = Vec::new();
        next.store(1, &mut again);
        for length in 0..again.len().min(TORN_BYTES_MAX) {
            let _ = make().load(1, &again[..length]);
        }
        stored = next;
    }
    states.reset(1);
    let empty = states.values(&[0, 1]);
    assert_eq!(show(&empty, 0), show(&empty, 1), "{name}: a reset group is empty");
    assert_eq!(states.values(&[]).len(), 0);
}

fn compare(name: &str, how: &str, got: &dyn Array, input: &[&str], want: &[&str]) {
    assert_eq!(got.len(), want.len(), "{name} {how}");
    for (row, expect) in want.iter().enumerate() {
        let shown = show(got, row);
        assert!(same(&shown, expect), "{name} {how}: after {:?} want {expect}, got {shown}", &input[..=row]);
    }
}

#[test]
fn the_list_is_sorted_and_documented() {
    let names: Vec<&str> = super::AGGREGATES.iter().map(|f| f.doc().name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    for function in super::AGGREGATES {
        let doc = function.doc();
        assert!(!doc.description.is_empty() && !doc.signatures.is_empty() && !doc.examples.is_empty(), "{}", doc.name);
        assert_eq!(lookup(&doc.name.to_lowercase()).map(|f| f.doc().name), Some(doc.name));
    }
}

/// Two groups made of these rows (`left` processed first), the second merged into the first.
pub(crate) fn check_merge(name: &str, args: &[&str], left: &[&str], right: &[&str], right_is_later: bool, want: &str) {
    let bound = bind(name, args).unwrap_or_else(|e| panic!("{name}({}): {e}", args.join(", ")));
    for made in [&bound.make, &bound.make_retractable] {
        let mut states = with_slots(made());
        for (group, input) in [(1, left), (2, right)] {
            let rows = rows(&bound, args, input);
            let groups = vec![group; input.len()];
            states.update(&groups, &rows.columns, None, &mut RowErrors::default());
        }
        let before = states.values(&[2]);
        states.merge(1, 2, right_is_later);
        compare(name, "merged", &states.values(&[1]), &[""], &[want]);
        assert_eq!(show(&states.values(&[2]), 0), show(&before, 0), "{name}: what was merged in stays");
    }
}
