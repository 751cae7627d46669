//! Formats against an oracle (serde_json), against themselves (there and back), and against damaged input.

use crate::support::encode;
use arrow::array::{Array, ArrayRef};
use base64::{Engine, engine::general_purpose::STANDARD};
use formats::{EncodedRows, FormatContext, FormatSpec, MemoryRegistry, Part, RowError, format};
use proptest::{collection, option, prelude::*};
use serde_json::{Map, Number, Value, json};
use types::{Column, SqlType, StructField};

fn scalar() -> impl Strategy<Value = SqlType> {
    let decimal = (1u8..=38).prop_flat_map(|precision| {
        (Just(precision), 0..=precision).prop_map(|(precision, scale)| SqlType::Decimal { precision, scale })
    });
    prop_oneof![
        Just(SqlType::Boolean),
        Just(SqlType::Int),
        Just(SqlType::BigInt),
        Just(SqlType::Double),
        decimal,
        Just(SqlType::String),
        Just(SqlType::Bytes),
        Just(SqlType::Date),
        Just(SqlType::Time),
        Just(SqlType::Timestamp),
    ]
}

fn any_type() -> impl Strategy<Value = SqlType> {
    scalar().prop_recursive(2, 8, 3, |inner| {
        let fields = collection::vec(inner.clone(), 1..4).prop_map(|types| {
            let field = |(i, ty)| StructField { name: format!("F{i}"), ty };
            SqlType::Struct(types.into_iter().enumerate().map(field).collect())
        });
        prop_oneof![
            inner.clone().prop_map(|ty| SqlType::Array(Box::new(ty))),
            inner.prop_map(|ty| SqlType::Map(Box::new(SqlType::String), Box::new(ty))),
            fields,
        ]
    })
}

/// A value of a type as JSON, as our encoder should write it.
fn value_of(ty: &SqlType) -> BoxedStrategy<Value> {
    let full: BoxedStrategy<Value> = match ty {
        SqlType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        SqlType::Int => any::<i32>().prop_map(Value::from).boxed(),
        // What a calendar has, for the formats that write dates by year, month and day.
        SqlType::Date => (-90_000_000i32..90_000_000).prop_map(Value::from).boxed(),
        SqlType::BigInt | SqlType::Timestamp => any::<i64>().prop_map(Value::from).boxed(),
        SqlType::Time => (0..86_400_000i32).prop_map(Value::from).boxed(),
        SqlType::Double => any::<f64>().prop_map(|n| json!(n)).boxed(),
        SqlType::Decimal { precision, scale } => {
            let (precision, scale) = (u32::from(*precision), usize::from(*scale));
            any::<i128>()
                .prop_map(move |n| {
                    let n = n % 10i128.pow(precision);
                    let digits = format!("{:0width$}", n.unsigned_abs(), width = scale + 1);
                    let (whole, fraction) = digits.split_at(digits.len() - scale);
                    let sign = if n < 0 { "-" } else { "" };
                    let point = if scale == 0 { "" } else { "." };
                    let number: Number = format!("{sign}{whole}{point}{fraction}").parse().expect("a number");
                    Value::Number(number)
                })
                .boxed()
        }
        SqlType::String => any::<String>().prop_map(Value::from).boxed(),
        SqlType::Bytes => collection::vec(any::<u8>(), 0..20).prop_map(|b| Value::from(STANDARD.encode(b))).boxed(),
        SqlType::Array(element) => collection::vec(value_of(element), 0..4).prop_map(Value::Array).boxed(),
        SqlType::Map(_, value) => collection::btree_map(any::<String>(), value_of(value), 0..4)
            .prop_map(|entries| Value::Object(entries.into_iter().collect()))
            .boxed(),
        SqlType::Struct(fields) => object_of(fields.iter().map(|f| (f.name.clone(), f.ty.clone())).collect()),
    };
    option::weighted(0.85, full).prop_map(|v| v.unwrap_or(Value::Null)).boxed()
}

fn object_of(fields: Vec<(String, SqlType)>) -> BoxedStrategy<Value> {
    let values: Vec<_> = fields.iter().map(|(_, ty)| value_of(ty)).collect();
    values
        .prop_map(move |values| {
            let names = fields.iter().map(|(name, _)| name.clone());
            Value::Object(names.zip(values).collect())
        })
        .boxed()
}

fn columns_of(types: Vec<SqlType>) -> Vec<Column> {
    types.into_iter().enumerate().map(|(i, ty)| Column::value(format!("C{i}"), ty)).collect()
}

/// Columns and rows of them.
fn table(ty: impl Strategy<Value = SqlType>) -> impl Strategy<Value = (Vec<Column>, Vec<Value>)> {
    collection::vec(ty, 1..5).prop_map(columns_of).prop_flat_map(|columns| {
        let row = object_of(columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect());
        (Just(columns), collection::vec(row, 1..6))
    })
}

/// Whether what came out is what went in; doubles may be spelled in another way.
fn same(ty: &SqlType, a: &Value, b: &Value) -> bool {
    match (ty, a, b) {
        (_, Value::Null, Value::Null) => true,
        (SqlType::Double, Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (SqlType::Array(element), Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(element, a, b))
        }
        (SqlType::Map(_, value), Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(value, v, w)))
        }
        (SqlType::Struct(fields), Value::Object(a), Value::Object(b)) => {
            let field = |o: &Map<String, Value>, name: &str| o.get(name).cloned().unwrap_or(Value::Null);
            fields.iter().all(|f| same(&f.ty, &field(a, &f.name), &field(b, &f.name)))
        }
        _ => a == b,
    }
}

/// The same row with its fields in another order, other case, and some that nobody asked for.
fn disguise(row: &Value, seed: u64) -> String {
    let Value::Object(fields) = row else { return row.to_string() };
    let mut shuffled: Vec<_> = fields.iter().collect();
    shuffled.rotate_left(usize::try_from(seed).unwrap_or(0) % fields.len().max(1));
    let mut out = String::from(" {\n");
    for (i, (name, value)) in shuffled.into_iter().enumerate() {
        let name = if (seed >> i) & 1 == 0 { name.to_lowercase() } else { name.clone() };
        if (seed >> (8 + i)) & 1 == 0 {
            out.push_str(r#""nobody's": [{"a": "\"]}"}, 1.5e-3, [[]], {}],"#);
        }
        out.push_str(&format!("{} : {value} ,", Value::from(name)));
    }
    out.push_str("\"end\":true}\t");
    out
}

fn decode(name: &str, columns: &[Column], wanted: &[usize], records: &[&[u8]]) -> (Vec<ArrayRef>, Vec<RowError>) {
    decode_in(name, &FormatSpec::default(), &FormatContext::default(), columns, wanted, records)
}

fn decode_in(
    name: &str,
    spec: &FormatSpec,
    context: &FormatContext,
    columns: &[Column],
    wanted: &[usize],
    records: &[&[u8]],
) -> (Vec<ArrayRef>, Vec<RowError>) {
    let format = format(name).expect("a format");
    let mut decoder = format.decoder_in(Part::Value, columns, wanted, spec, context).expect("a decoder");
    let mut errors = Vec::new();
    let records: Vec<_> = records.iter().map(|r| Some(*r)).collect();
    let arrays = decoder.decode(&records, &mut errors);
    assert_eq!(arrays.len(), wanted.len());
    for (array, place) in arrays.iter().zip(wanted) {
        assert_eq!((array.len(), array.data_type()), (records.len(), &columns[*place].ty.to_arrow()));
        array.to_data().validate_full().expect("a valid array");
    }
    (arrays, errors)
}

fn all(columns: &[Column]) -> Vec<usize> {
    (0..columns.len()).collect()
}

/// A scalar that DELIMITED carries: an empty text cannot be told from NULL.
fn delimited_value(ty: &SqlType, v: &Value) -> Value {
    match (ty, v.as_str()) {
        (SqlType::String | SqlType::Bytes, Some("")) => Value::Null,
        _ => v.clone(),
    }
}

fn damage(text: &[u8], edits: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for (place, kind, byte) in edits {
        let at = place % bytes.len().max(1);
        match kind % 4 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    let byte = prop_oneof![any::<u8>(), proptest::sample::select(b"{}[]\",:\\ u0e-.1tn".to_vec())];
    collection::vec((any::<usize>(), any::<u8>(), byte), 1..4)
}

/// Scalars and structs of them: what OPTIONAL lets Protobuf keep NULLs of.
fn flat_type() -> impl Strategy<Value = SqlType> {
    let fields = collection::vec(scalar(), 1..4).prop_map(|types| {
        let field = |(i, ty)| StructField { name: format!("F{i}"), ty };
        SqlType::Struct(types.into_iter().enumerate().map(field).collect())
    });
    prop_oneof![3 => scalar(), 1 => fields]
}

/// Rows from JSON to `name` and back, then the first row damaged.
fn there_and_back(
    name: &str,
    spec: &FormatSpec,
    columns: &[Column],
    rows: &[Value],
    damaged: &[(usize, u8, u8)],
) -> Result<(), TestCaseError> {
    let context = FormatContext {
        registry: Some(std::sync::Arc::new(MemoryRegistry::default())),
        topic: "t".to_owned(),
        ..Default::default()
    };
    let texts: Vec<String> = rows.iter().map(Value::to_string).collect();
    let records: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let (arrays, _) = decode("JSON", columns, &all(columns), &records);
    let (mut out, mut errors) = (EncodedRows::default(), Vec::new());
    let mut encoder =
        format(name).and_then(|f| f.encoder_in(Part::Value, columns, spec, &context)).expect("an encoder");
    encoder.encode(&arrays, rows.len(), None, &mut out, &mut errors);
    prop_assert_eq!(&errors, &vec![]);
    let encoded: Vec<&[u8]> = (0..rows.len()).filter_map(|i| out.get(i)).collect();
    let (back, errors) = decode_in(name, spec, &context, columns, &all(columns), &encoded);
    prop_assert_eq!(errors, vec![]);
    prop_assert_eq!(&arrays, &back);
    let last = columns.len() - 1;
    let (projected, errors) = decode_in(name, spec, &context, columns, &[last], &encoded);
    prop_assert_eq!(errors, vec![]);
    prop_assert_eq!(&arrays[last], &projected[0]);
    // Behind the header, so that the schema is still found.
    let mut bytes = encoded[0][..6.min(encoded[0].len())].to_vec();
    bytes.extend(damage(encoded[0].get(6..).unwrap_or_default(), damaged));
    decode_in(name, spec, &context, columns, &all(columns), &[&bytes]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// serde_json writes, we read; we write, serde_json reads.
    #[test]
    fn json_agrees_with_the_oracle((columns, rows) in table(any_type()), seed: u64) {
        let texts: Vec<String> = rows.iter().map(|row| disguise(row, seed)).collect();
        let records: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let (arrays, errors) = decode("JSON", &columns, &all(&columns), &records);
        prop_assert_eq!(errors, vec![]);
        let out = encode("JSON", Part::Value, &columns, &FormatSpec::default(), &arrays, rows.len());
        let whole = SqlType::Struct(
            columns.iter().map(|c| StructField { name: c.name.clone(), ty: c.ty.clone() }).collect(),
        );
        for (i, row) in rows.iter().enumerate() {
            let back: Value = serde_json::from_slice(out.get(i).expect("a row")).expect("JSON");
            prop_assert!(same(&whole, row, &back), "{} came back as {}", row, back);
        }
    }

    /// A batch gives what its records give one by one, and some columns give what they give among all.
    #[test]
    fn json_batches_and_projections_agree((columns, rows) in table(any_type()), seed: u64, damaged in edits()) {
        let mut texts: Vec<Vec<u8>> = rows.iter().map(|row| disguise(row, seed).into_bytes()).collect();
        let damaged_text = damage(&texts[0], &damaged);
        texts.push(damaged_text);
        let records: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let (arrays, errors) = decode("JSON", &columns, &all(&columns), &records);
        for (i, record) in records.iter().enumerate() {
            let (alone, error) = decode("JSON", &columns, &all(&columns), &[record]);
            prop_assert_eq!(error.first().map(|e| &e.message), errors.iter().find(|e| e.row == i).map(|e| &e.message));
            for (whole, one) in arrays.iter().zip(&alone) {
                prop_assert_eq!(&whole.slice(i, 1), one);
            }
        }
        let good = &records[..rows.len()];
        let (arrays, _) = decode("JSON", &columns, &all(&columns), good);
        let last = columns.len() - 1;
        let (projected, _) = decode("JSON", &columns, &[last], good);
        prop_assert_eq!(&arrays[last], &projected[0]);
    }

    /// What is JSON for us is JSON for serde_json, and the other way round.
    #[test]
    fn json_is_what_the_oracle_says((_, rows) in table(any_type()), seed: u64, damaged in edits()) {
        let bytes = damage(disguise(&rows[0], seed).as_bytes(), &damaged);
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        let oracle = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let object = matches!(text.trim_start_matches([' ', '\n', '\t', '\r']).as_bytes().first(), Some(b'{' | b'n'));
        let (_, errors) = decode("JSON", &[Column::value("?", SqlType::Int)], &[0], &[text.as_bytes()]);
        prop_assert_eq!(errors.is_empty(), oracle && object, "{:?}: {:?}", text, errors);
    }

    #[test]
    fn damaged_records_cost_a_row_at_most(
        (columns, rows) in table(any_type()),
        seed: u64,
        damaged in edits(),
        name in proptest::sample::select(vec!["JSON"]),
    ) {
        let bytes = damage(disguise(&rows[0], seed).as_bytes(), &damaged);
        let (arrays, errors) = decode(name, &columns, &all(&columns), &[&bytes]);
        if !errors.is_empty() {
            prop_assert!(arrays.iter().all(|a| a.is_null(0)));
        }
    }

    #[test]
    fn delimited_there_and_back((columns, rows) in table(scalar()), damaged in edits()) {
        let texts: Vec<String> = rows
            .iter()
            .map(|row| {
                let value = |c: &Column| (c.name.clone(), delimited_value(&c.ty, &row[&c.name]));
                Value::Object(columns.iter().map(value).collect()).to_string()
            })
            .collect();
        let records: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let (arrays, _) = decode("JSON", &columns, &all(&columns), &records);
        let out = encode("DELIMITED", Part::Value, &columns, &FormatSpec::default(), &arrays, rows.len());
        let lines: Vec<&[u8]> = (0..rows.len()).filter_map(|i| out.get(i)).collect();
        let (back, errors) = decode("DELIMITED", &columns, &all(&columns), &lines);
        prop_assert_eq!(errors, vec![]);
        prop_assert_eq!(&arrays, &back);
        decode("DELIMITED", &columns, &all(&columns), &[&damage(lines[0], &damaged)]);
    }

    #[test]
    fn avro_there_and_back((columns, rows) in table(any_type()), damaged in edits()) {
        there_and_back("AVRO", &FormatSpec::default(), &columns, &rows, &damaged)?;
    }

    #[test]
    fn json_sr_there_and_back((columns, rows) in table(any_type()), damaged in edits()) {
        there_and_back("JSON_SR", &FormatSpec::default(), &columns, &rows, &damaged)?;
    }

    #[test]
    fn protobuf_there_and_back((columns, rows) in table(flat_type()), damaged in edits(), wrapper: bool) {
        let flat = columns.iter().all(|c| !matches!(c.ty, SqlType::Struct(_)));
        let representation = if wrapper && flat { "WRAPPER" } else { "OPTIONAL" };
        let mut spec = FormatSpec::default();
        spec.extra.insert("VALUE_PROTOBUF_NULLABLE_REPRESENTATION".to_owned(), representation.to_owned());
        there_and_back("PROTOBUF", &spec, &columns, &rows, &damaged)?;
        there_and_back("PROTOBUF_NOSR", &spec, &columns, &rows, &damaged)?;
    }

    #[test]
    fn kafka_there_and_back(number: i64, double: f64, text: String, bytes: Vec<u8>) {
        for (ty, value) in [
            (SqlType::BigInt, json!(number)),
            (SqlType::Int, json!(number >> 32)),
            (SqlType::Double, json!(double)),
            (SqlType::String, json!(text)),
            (SqlType::Bytes, json!(STANDARD.encode(&bytes))),
        ] {
            let columns = [Column::value("V", ty)];
            let (arrays, _) = decode("JSON", &columns, &[0], &[json!({"V": value}).to_string().as_bytes()]);
            let out = encode("KAFKA", Part::Value, &columns, &FormatSpec::default(), &arrays, 1);
            let (back, errors) = decode("KAFKA", &columns, &[0], &[out.get(0).expect("a row")]);
            prop_assert_eq!(errors, vec![]);
            prop_assert_eq!(&arrays, &back);
            decode("KAFKA", &columns, &[0], &[&bytes]);
        }
    }
}

#[test]
fn an_array_of_nothing_is_an_array() {
    let columns = [Column::value("A", SqlType::Array(Box::new(SqlType::Int)))];
    let (arrays, errors) = decode("JSON", &columns, &[0], &[]);
    assert_eq!((arrays[0].len(), errors), (0, vec![]));
}
