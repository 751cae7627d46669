//! Random rows in every type, with the values at which things end.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int32Builder, Int64Array,
        ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMillisecondArray,
    },
    datatypes::{DataType, Field, Schema},
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use types::{SqlType, decimal};

/// Names and types of the columns.
pub fn columns() -> Vec<(&'static str, SqlType)> {
    let list = |ty| SqlType::Array(Box::new(ty));
    vec![
        ("i", SqlType::Int),
        ("j", SqlType::Int),
        ("k", SqlType::Int),
        ("b", SqlType::BigInt),
        ("c", SqlType::BigInt),
        ("f", SqlType::Double),
        ("g", SqlType::Double),
        ("n", decimal(12, 3).unwrap()),
        ("m", decimal(8, 2).unwrap()),
        ("s", SqlType::String),
        ("t", SqlType::String),
        ("w", SqlType::String),
        ("d", SqlType::Date),
        ("ts", SqlType::Timestamp),
        ("p", SqlType::Boolean),
        ("q", SqlType::Boolean),
        ("a", list(SqlType::Int)),
        ("e", list(SqlType::Int)),
        ("z", list(SqlType::String)),
    ]
}

/// A value now and then is not there.
fn maybe<T>(rng: &mut StdRng, value: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    if rng.random_bool(0.08) { None } else { Some(value(rng)) }
}

fn many<T>(rng: &mut StdRng, rows: usize, mut value: impl FnMut(&mut StdRng) -> T) -> Vec<Option<T>> {
    (0..rows).map(|_| maybe(rng, &mut value)).collect()
}

fn int(rng: &mut StdRng) -> i32 {
    match rng.random_range(0..5) {
        0 => *[0, 1, -1, i32::MAX, i32::MIN, 46_341].choose(rng).unwrap(),
        1 => rng.random(),
        _ => rng.random_range(-9..10),
    }
}

fn bigint(rng: &mut StdRng) -> i64 {
    match rng.random_range(0..5) {
        0 => *[0, 1, -1, i64::MAX, i64::MIN, 1 << 53].choose(rng).unwrap(),
        1 => rng.random(),
        2 => i64::from(rng.random::<i32>()),
        _ => rng.random_range(-9..10),
    }
}

fn double(rng: &mut StdRng) -> f64 {
    match rng.random_range(0..6) {
        0 => *[0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 2.5, 1e300, -1e-300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
            .choose(rng)
            .unwrap(),
        1 => f64::from(rng.random_range(-20..20)) / 2.0,
        2 => rng.random_range(-1e9..1e9),
        _ => rng.random_range(-10.0..10.0),
    }
}

/// Short texts of few letters, so that patterns meet them; some of letters of two and four bytes.
fn text(rng: &mut StdRng) -> String {
    const LETTERS: &[char] = &['a', 'b', 'c', 'A', 'B', ' ', '1', '2', '-', '%', '_', 'é', 'ß', '日'];
    (0..rng.random_range(0..9)).map(|_| *LETTERS.choose(rng).unwrap()).collect()
}

/// Texts that are numbers, or nearly.
fn digits(rng: &mut StdRng) -> String {
    match rng.random_range(0..8) {
        0 => {
            (*["", " 1", "+5", "1.5", "-0", "0x1", "1e3", "99999999999", "abc", "007"].choose(rng).unwrap()).to_owned()
        }
        1 => rng.random::<i64>().to_string(),
        _ => rng.random_range(-999..1000).to_string(),
    }
}

fn list(rng: &mut StdRng) -> Vec<Option<i32>> {
    let length = rng.random_range(0..6);
    many(rng, length, |rng| rng.random_range(-2..4))
}

fn ints(rng: &mut StdRng, rows: usize) -> ArrayRef {
    let mut builder = ListBuilder::new(Int32Builder::new());
    for _ in 0..rows {
        match maybe(rng, list) {
            Some(items) => builder.append_value(items),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn texts(rng: &mut StdRng, rows: usize) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for _ in 0..rows {
        let length = rng.random_range(0..4);
        match maybe(rng, |rng| many(rng, length, |rng| text(rng).chars().take(1).collect::<String>())) {
            Some(items) => builder.append_value(items),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn column(name: &str, ty: &SqlType, rng: &mut StdRng, rows: usize) -> ArrayRef {
    match (name, ty) {
        // For lengths, places and counts.
        ("k", _) => Arc::new(Int32Array::from(many(rng, rows, |rng| rng.random_range(-3..12)))),
        ("w", _) => Arc::new(StringArray::from(many(rng, rows, digits))),
        ("z", _) => texts(rng, rows),
        (_, SqlType::Int) => Arc::new(Int32Array::from(many(rng, rows, int))),
        (_, SqlType::BigInt) => Arc::new(Int64Array::from(many(rng, rows, bigint))),
        (_, SqlType::Double) => Arc::new(Float64Array::from(many(rng, rows, double))),
        (_, SqlType::Decimal { precision, scale }) => {
            let bound = 10_i128.pow(u32::from(*precision));
            let small = |rng: &mut StdRng| i128::from(rng.random_range(-20..20)) * 10_i128.pow(u32::from(*scale)) / 4;
            let value =
                |rng: &mut StdRng| if rng.random_bool(0.5) { small(rng) } else { rng.random_range(1 - bound..bound) };
            let array = Decimal128Array::from(many(rng, rows, value));
            Arc::new(array.with_precision_and_scale(*precision, (*scale).cast_signed()).unwrap())
        }
        (_, SqlType::Date) => Arc::new(Date32Array::from(many(rng, rows, |rng| rng.random_range(-30_000..60_000)))),
        (_, SqlType::Timestamp) => {
            let time = |rng: &mut StdRng| rng.random_range(-2_000_000_000_000..4_000_000_000_000);
            Arc::new(TimestampMillisecondArray::from(many(rng, rows, time)))
        }
        (_, SqlType::Boolean) => Arc::new(BooleanArray::from(many(rng, rows, |rng| rng.random_bool(0.5)))),
        (_, SqlType::Array(_)) => ints(rng, rows),
        _ => Arc::new(StringArray::from(many(rng, rows, text))),
    }
}

/// A batch of all columns.
pub fn batch(rng: &mut StdRng, rows: usize) -> RecordBatch {
    let (mut fields, mut arrays) = (vec![], vec![]);
    for (name, ty) in columns() {
        let wanted: DataType = ty.to_arrow();
        let array = column(name, &ty, rng, rows);
        fields.push(Field::new(name, wanted.clone(), true));
        arrays.push(arrow::compute::cast(&array, &wanted).unwrap());
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}
