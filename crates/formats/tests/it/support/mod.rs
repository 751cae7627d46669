//! Columns from text, and encoding in one call.

use arrow::array::ArrayRef;
use formats::{EncodedRows, FormatSpec, Part, format};
use types::{Column, SqlType, StructField, decimal};

/// Value columns from `A INT, B ARRAY<STRING>`.
pub fn columns(text: &str) -> Vec<Column> {
    split(text).into_iter().map(|(name, ty)| Column::value(name, parse(ty))).collect()
}

/// `name type` pairs between commas outside of brackets.
fn split(text: &str) -> Vec<(&str, &str)> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (i, c) in text.char_indices().chain([(text.len(), ',')]) {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.into_iter().map(|part| part.split_once(' ').unwrap_or((part, ""))).collect()
}

fn parse(text: &str) -> SqlType {
    let text = text.trim();
    let inner = |open: &str| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(['>', ')']));
    if let Some(element) = inner("ARRAY<") {
        return SqlType::Array(Box::new(parse(element)));
    }
    if let Some(entries) = inner("MAP<") {
        let (key, value) = entries.split_once(',').expect("a key and a value");
        return SqlType::Map(Box::new(parse(key)), Box::new(parse(value)));
    }
    if let Some(fields) = inner("STRUCT<") {
        let field = |(name, ty): (&str, &str)| StructField { name: name.to_owned(), ty: parse(ty) };
        return SqlType::Struct(split(fields).into_iter().map(field).collect());
    }
    if let Some(digits) = inner("DECIMAL(") {
        let (precision, scale) = digits.split_once(',').expect("precision and scale");
        let number = |text: &str| text.trim().parse().expect("a number");
        return decimal(number(precision), number(scale)).expect("a decimal");
    }
    match text {
        "BOOLEAN" => SqlType::Boolean,
        "INT" => SqlType::Int,
        "BIGINT" => SqlType::BigInt,
        "DOUBLE" => SqlType::Double,
        "STRING" => SqlType::String,
        "BYTES" => SqlType::Bytes,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time,
        "TIMESTAMP" => SqlType::Timestamp,
        _ => panic!("no such type: {text}"),
    }
}

/// Encode `rows` rows.
pub fn encode(
    name: &str,
    part: Part,
    cols: &[Column],
    spec: &FormatSpec,
    arrays: &[ArrayRef],
    rows: usize,
) -> EncodedRows {
    let mut encoder = format(name).and_then(|f| f.encoder(part, cols, spec)).expect("an encoder");
    let (mut out, mut errors) = (EncodedRows::default(), Vec::new());
    encoder.encode(arrays, rows, None, &mut out, &mut errors);
    assert_eq!(errors, []);
    assert_eq!(out.len(), rows);
    out
}
