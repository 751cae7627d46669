//! Tests the tester: a case whose expectation is made wrong must fail.

mod support;

use std::sync::Arc;

use serde_json::{Number, Value, json};
use testkit::{
    case::{Body, Case, RecordSpec, RecordsCase},
    runner::{CUTS, run_isolated},
};

/// Cases that are made wrong.
const SAMPLES: usize = 300;

/// A way to make an expectation wrong; `false`: it does not apply to this case.
type Mutation = fn(&mut RecordsCase, usize) -> bool;

const MUTATIONS: &[(&str, Mutation)] = &[
    ("count", |case, at| {
        case.outputs.remove(at);
        // Without any record the topic is not looked at.
        case.outputs.iter().any(|o| o.topic == topic_of(case, at))
    }),
    ("extra", |case, at| {
        let copy = case.outputs[at].clone();
        case.outputs.push(copy);
        true
    }),
    ("key", |case, at| change(&mut case.outputs[at].key)),
    ("order", |case, at| {
        let Some(other) = (at + 1..case.outputs.len())
            .find(|i| case.outputs[*i].topic == case.outputs[at].topic && case.outputs[*i] != case.outputs[at])
        else {
            return false;
        };
        // Records that differ in nothing but what is not compared may change places.
        let plain = |r: &RecordSpec| (r.key.to_string(), r.value.to_string(), r.window);
        if plain(&case.outputs[at]) == plain(&case.outputs[other]) {
            return false;
        }
        case.outputs.swap(at, other);
        true
    }),
    ("timestamp", |case, at| {
        let Some(timestamp) = &mut case.outputs[at].timestamp else { return false };
        *timestamp += 1;
        true
    }),
    ("tombstone", |case, at| {
        let value = &mut case.outputs[at].value;
        *value = if value.is_null() { json!({"X": 1}) } else { Value::Null };
        true
    }),
    ("value", |case, at| change(&mut case.outputs[at].value)),
    ("window", |case, at| {
        let Some(window) = &mut case.outputs[at].window else { return false };
        window.start += 1;
        true
    }),
];

fn topic_of(case: &RecordsCase, at: usize) -> String {
    case.outputs.get(at.saturating_sub(1)).map(|o| o.topic.clone()).unwrap_or_default()
}

/// Another value of the same kind; nested values change somewhere inside.
fn change(value: &mut Value) -> bool {
    match value {
        Value::Null => *value = json!(7),
        Value::Bool(b) => *b = !*b,
        Value::Number(n) => {
            let more = n.as_f64().unwrap_or_default() + 1.0;
            // Beyond what a sum can change, any other number will do.
            let same = n.as_f64().is_some_and(|n| n == more);
            *n = if same {
                Number::from(0)
            } else {
                n.as_i64().map_or(Number::from_f64(more), |n| Some((n + 1).into())).unwrap_or(0.into())
            };
        }
        Value::String(text) => text.push('~'),
        Value::Array(items) => match items.first_mut() {
            Some(first) => return change(first),
            None => items.push(json!(1)),
        },
        Value::Object(fields) => match fields.values_mut().next_back() {
            Some(last) => return change(last),
            None => drop(fields.insert("X".into(), json!(1))),
        },
    }
    true
}

/// The same choice every time, spread over all cases.
fn sample(cases: Vec<Case>) -> Vec<Case> {
    let usable = |case: &Case| match &case.body {
        Body::Records(body) => !body.outputs.is_empty() && body.expected_error.is_none(),
        Body::Script(_) => false,
    };
    let usable: Vec<Case> = cases.into_iter().filter(usable).collect();
    let step = (usable.len() / SAMPLES).max(1);
    usable.into_iter().step_by(step).take(SAMPLES).collect()
}

#[test]
fn a_wrong_expectation_fails() {
    let Some(folder) = support::conformance() else { return };
    let cases = sample(testkit::load(&[folder]).expect("the cases can be read"));
    let mut survived = Vec::new();
    let (mut tried, mut number) = (0, 0);
    for case in cases {
        if run_isolated(&Arc::new(case.clone()), CUTS[1]).is_err() {
            continue;
        }
        let Body::Records(body) = &case.body else { continue };
        // Kinds take turns; the next that applies is taken.
        for turn in 0..MUTATIONS.len() {
            let (name, mutate) = MUTATIONS[(number + turn) % MUTATIONS.len()];
            let mut wrong = body.clone();
            let at = number % wrong.outputs.len();
            if !mutate(&mut wrong, at) {
                continue;
            }
            tried += 1;
            let mutant = Case { body: Body::Records(wrong), ..case.clone() };
            if run_isolated(&Arc::new(mutant), CUTS[1]).is_ok() {
                survived.push(format!("{} with another {name} of record {at}", case.title()));
            }
            break;
        }
        number += 1;
    }
    eprintln!("{tried} wrong expectations");
    assert!(tried >= SAMPLES / 2, "only {tried} cases could be made wrong");
    assert!(survived.is_empty(), "{} passed although wrong:\n{}", survived.len(), survived.join("\n"));
}
