//! Tests the tester: a case whose expectation is made wrong must fail.
//!
//! Cases are taken at random (`MILLSTREAM_SEED` for another choice than that of every day) until so many have been made
//! wrong, in one thing each: the kinds of mistakes take turns over what a case expects of records, answers, scripts and
//! errors.

use std::{collections::BTreeMap, env, sync::Arc};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Number, Value, json};
use testkit::{
    case::{Body, Case, RecordSpec, RecordsCase},
    runner::{CUTS, run_isolated},
};

use crate::support;

/// Cases that are made wrong.
const SAMPLES: usize = 300;

/// A way to make an expectation wrong; `false`: it does not apply to this case.
type Mutation = fn(&mut Body, &mut StdRng) -> bool;

/// All ways, sorted.
const MUTATIONS: &[(&str, Mutation)] = &[
    ("answer cell", |body, rng| {
        let Some(case) = records(body) else { return false };
        let mut rows: Vec<_> =
            case.answers.iter_mut().flat_map(|a| &mut a.rows).filter(|r| !r.cells.is_empty()).collect();
        let Some(row) = pick(&mut rows, rng) else { return false };
        let at = rng.random_range(0..row.cells.len());
        row.cells.get_mut(at).is_some_and(change)
    }),
    ("answer count", |body, rng| {
        let Some(case) = records(body) else { return false };
        let mut answers: Vec<_> = case.answers.iter_mut().filter(|a| !a.rows.is_empty()).collect();
        let Some(answer) = pick(&mut answers, rng) else { return false };
        match rng.random() {
            true => drop(answer.rows.pop()),
            false => answer.rows.extend(answer.rows.first().cloned()),
        }
        true
    }),
    ("count", |body, rng| {
        let Some(case) = with_outputs(body) else { return false };
        let at = rng.random_range(0..case.outputs.len());
        let gone = case.outputs.remove(at);
        // Without any record the topic is not looked at.
        case.outputs.iter().any(|o| o.topic == gone.topic)
    }),
    ("error", |body, _| match body {
        Body::Records(case) => case.expected_error.take().is_some(),
        Body::Script(case) => case.expected_error.take().is_some(),
    }),
    ("extra", |body, rng| {
        let Some(case) = with_outputs(body) else { return false };
        let copy = case.outputs[rng.random_range(0..case.outputs.len())].clone();
        case.outputs.push(copy);
        true
    }),
    ("key", |body, rng| output(body, rng).is_some_and(|o| change(&mut o.key))),
    ("order", |body, rng| {
        let Some(case) = with_outputs(body) else { return false };
        let at = rng.random_range(0..case.outputs.len());
        // Records that differ in nothing but what is not compared may change places.
        let plain =
            |r: &RecordSpec| (r.topic.clone(), r.key.to_string(), r.value.to_string(), r.window.map(|w| w.start));
        let topic = case.outputs[at].topic.clone();
        let other = (at + 1..case.outputs.len())
            .find(|i| case.outputs[*i].topic == topic && plain(&case.outputs[*i]) != plain(&case.outputs[at]));
        let Some(other) = other else { return false };
        case.outputs.swap(at, other);
        true
    }),
    ("script value", |body, rng| {
        let Body::Script(case) = body else { return false };
        if case.expected_error.is_some() {
            return false;
        }
        change_assertion(&mut case.text, rng)
    }),
    ("timestamp", |body, rng| {
        let Some(RecordSpec { timestamp: Some(timestamp), .. }) = output(body, rng) else { return false };
        *timestamp += 1;
        true
    }),
    ("tombstone", |body, rng| {
        let Some(RecordSpec { value, .. }) = output(body, rng) else { return false };
        *value = if value.is_null() { json!({"X": 1}) } else { Value::Null };
        true
    }),
    ("value", |body, rng| output(body, rng).is_some_and(|o| change(&mut o.value))),
    ("window", |body, rng| {
        let Some(RecordSpec { window: Some(window), .. }) = output(body, rng) else { return false };
        window.start += 1;
        true
    }),
];

fn records(body: &mut Body) -> Option<&mut RecordsCase> {
    match body {
        Body::Records(case) if case.expected_error.is_none() => Some(case),
        _ => None,
    }
}

fn with_outputs(body: &mut Body) -> Option<&mut RecordsCase> {
    records(body).filter(|case| !case.outputs.is_empty())
}

fn output<'a>(body: &'a mut Body, rng: &mut StdRng) -> Option<&'a mut RecordSpec> {
    let outputs = &mut with_outputs(body)?.outputs;
    let at = rng.random_range(0..outputs.len());
    outputs.get_mut(at)
}

fn pick<'a, T>(from: &mut Vec<&'a mut T>, rng: &mut StdRng) -> Option<&'a mut T> {
    if from.is_empty() { None } else { Some(from.swap_remove(rng.random_range(0..from.len()))) }
}

/// Another number or text in the values of one ASSERT VALUES.
fn change_assertion(text: &mut String, rng: &mut StdRng) -> bool {
    let upper = text.to_uppercase();
    if upper.len() != text.len() {
        return false;
    }
    let mut places: Vec<usize> = upper.match_indices("ASSERT VALUES").map(|(at, _)| at).collect();
    places.shuffle(rng);
    for place in places {
        let end = upper[place..].find(';').map_or(upper.len(), |at| place + at);
        let Some(values) = upper[place..end].rfind("VALUES").map(|at| place + at) else { continue };
        if values < place + "ASSERT VALUES".len() {
            continue;
        }
        // What stands behind a bracket or a comma begins a value.
        let begins = |(at, c): &(usize, char)| {
            let before = upper[values..values + at].trim_end().chars().next_back();
            (c.is_ascii_digit() || *c == '\'') && matches!(before, Some('(' | ','))
        };
        let found: Vec<(usize, char)> = upper[values..end].char_indices().filter(begins).collect();
        let Some((at, c)) = found.get(rng.random_range(0..found.len().max(1))).copied() else { continue };
        let at = values + at;
        text.insert_str(if c == '\'' { at + 1 } else { at }, if c == '\'' { "~" } else { "7" });
        return true;
    }
    false
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

#[test]
fn a_wrong_expectation_fails() {
    let Some(folder) = support::conformance() else { return };
    let seed = env::var("MILLSTREAM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cases = testkit::load(&[folder]).expect("the cases can be read");
    cases.shuffle(&mut rng);
    let (mut survived, mut tried) = (Vec::new(), BTreeMap::<&str, usize>::new());
    let mut number = 0;
    for case in cases {
        if number == SAMPLES {
            break;
        }
        // Of the kinds that apply, the one that was tried least.
        let mut kinds: Vec<_> = MUTATIONS.iter().collect();
        kinds.sort_by_key(|(name, _)| tried.get(name).copied().unwrap_or(0));
        let mutant = kinds.into_iter().find_map(|(name, mutate)| {
            let mut wrong = case.body.clone();
            mutate(&mut wrong, &mut rng).then_some((*name, wrong))
        });
        let Some((name, wrong)) = mutant else { continue };
        let cut = CUTS[number % CUTS.len()];
        let title = case.title();
        let mutant = Case { body: wrong, ..case.clone() };
        if run_isolated(&Arc::new(case), cut).is_err() {
            continue;
        }
        number += 1;
        *tried.entry(name).or_default() += 1;
        if run_isolated(&Arc::new(mutant), cut).is_ok() {
            survived.push(format!("{title} with another {name}"));
        }
    }
    eprintln!("wrong expectations, seed {seed}: {tried:?}");
    assert_eq!(number, SAMPLES, "so many cases can be made wrong");
    assert_eq!(tried.len(), MUTATIONS.len(), "every kind is tried: {tried:?}");
    assert!(survived.is_empty(), "{} passed although wrong, seed {seed}:\n{}", survived.len(), survived.join("\n"));
}
