//! What the tests of functions share: types, columns and values written as text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use serde_json::Value;
use types::{SqlType, StructField};

use crate::{Arg, ArgType, BoundScalar, RowErrors, ScalarFunction, bind_cast, encoded::Builder};

/// The type that `text` names: `ARRAY<MAP<STRING, DECIMAL(4, 2)>>`, `STRUCT<A INTEGER>`.
pub(crate) fn ty(text: &str) -> SqlType {
    let text = text.trim();
    let inside = |prefix: &str| text.strip_prefix(prefix).and_then(|t| t.strip_suffix('>'));
    if let Some(element) = inside("ARRAY<") {
        return SqlType::Array(Box::new(ty(element)));
    }
    if let Some(entry) = inside("MAP<") {
        let parts = split(entry);
        return SqlType::Map(Box::new(ty(parts[0])), Box::new(ty(parts[1])));
    }
    if let Some(fields) = inside("STRUCT<") {
        let field = |text: &str| {
            let (name, of) = text.trim().split_once(' ').expect("a name and a type");
            StructField { name: name.to_owned(), ty: ty(of) }
        };
        return SqlType::Struct(split(fields).into_iter().map(field).collect());
    }
    if let Some(digits) = text.strip_prefix("DECIMAL(").and_then(|t| t.strip_suffix(')')) {
        let (precision, scale) = digits.split_once(',').expect("precision and scale");
        let number = |t: &str| t.trim().parse().expect("a number");
        return SqlType::Decimal { precision: number(precision), scale: number(scale) };
    }
    match text {
        "BOOLEAN" => SqlType::Boolean,
        "INTEGER" | "INT" => SqlType::Int,
        "BIGINT" => SqlType::BigInt,
        "DOUBLE" => SqlType::Double,
        "STRING" => SqlType::String,
        "BYTES" => SqlType::Bytes,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time,
        "TIMESTAMP" => SqlType::Timestamp,
        other => panic!("no type {other}"),
    }
}

/// Split at commas outside of brackets and quotes.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start, mut quoted) = (Vec::new(), 0, 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' | '(' | '[' | '{' if !quoted => depth += 1,
            '>' | ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A value: JSON, or bare text.
pub(crate) fn value(text: &str) -> Value {
    let text = text.trim();
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A column of `ty` of JSON values. Decimals are numbers or text, bytes are text.
pub(crate) fn column(ty: &SqlType, values: &[Value]) -> ArrayRef {
    let mut builder = Builder::new(&ty.to_arrow()).expect("a SQL type");
    for value in values {
        let mut bytes = Vec::new();
        encode(ty, value, &mut bytes);
        builder.push(&mut bytes.as_slice()).expect("a value of that type");
    }
    builder.finish().expect("a column")
}

fn encode(ty: &SqlType, value: &Value, out: &mut Vec<u8>) {
    if value.is_null() {
        out.push(0);
        return;
    }
    let whole = || value.as_i64().unwrap_or_else(|| panic!("{value} is not whole"));
    let mut plain = |array: ArrayRef| crate::encoded::Reader::new(array.as_ref()).expect("readable").write(0, out);
    match ty {
        SqlType::Boolean => {
            plain(Arc::new(arrow::array::BooleanArray::from(vec![value.as_bool().expect("a boolean")])))
        }
        SqlType::Int | SqlType::Date | SqlType::Time => {
            plain(Arc::new(arrow::array::Int32Array::from(vec![i32::try_from(whole()).expect("fits")])));
        }
        SqlType::BigInt | SqlType::Timestamp => plain(Arc::new(arrow::array::Int64Array::from(vec![whole()]))),
        SqlType::Double => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            plain(Arc::new(arrow::array::Float64Array::from(vec![text.parse::<f64>().expect("a number")])));
        }
        SqlType::Decimal { scale, .. } => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let digits = format!("{whole}{fraction:0<width$}", width = usize::from(*scale));
            let number = digits.parse::<i128>().expect("a decimal");
            plain(Arc::new(arrow::array::Decimal128Array::from(vec![number])));
        }
        SqlType::String => plain(Arc::new(arrow::array::StringArray::from(vec![text_of(value)]))),
        SqlType::Bytes => plain(Arc::new(arrow::array::BinaryArray::from(vec![text_of(value).as_bytes()]))),
        SqlType::Array(element) => {
            out.push(1);
            for item in value.as_array().expect("an array") {
                out.push(1);
                encode(element, item, out);
            }
            out.push(0);
        }
        SqlType::Map(key, of) => {
            out.push(1);
            for (name, item) in value.as_object().expect("an object") {
                out.push(1);
                let name = if **key == SqlType::String { Value::String(name.clone()) } else { self::value(name) };
                encode(key, &name, out);
                encode(of, item, out);
            }
            out.push(0);
        }
        SqlType::Struct(fields) => {
            out.push(1);
            for field in fields {
                encode(&field.ty, value.get(&field.name).unwrap_or(&Value::Null), out);
            }
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The value at `row` as compact text: JSON, with decimals at their scale and bytes as text.
pub(crate) fn show(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    let list = |values: ArrayRef| (0..values.len()).map(|i| show(&values, i)).collect::<Vec<_>>().join(",");
    match array.data_type() {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Time32(_) => array.as_primitive::<Time32MillisecondType>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Timestamp(_, _) => array.as_primitive::<TimestampMillisecondType>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)).to_string(),
        DataType::Binary => Value::from(String::from_utf8_lossy(array.as_binary::<i32>().value(row))).to_string(),
        DataType::List(_) => format!("[{}]", list(array.as_list::<i32>().value(row))),
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let entry = |i| {
                let key = show(entries.column(0), i);
                let key = if key.starts_with('"') { key } else { format!("\"{key}\"") };
                format!("{key}:{}", show(entries.column(1), i))
            };
            format!("{{{}}}", (0..entries.len()).map(entry).collect::<Vec<_>>().join(","))
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let field =
                |(f, c): (&Arc<arrow::datatypes::Field>, &ArrayRef)| format!("\"{}\":{}", f.name(), show(c, row));
            format!("{{{}}}", fields.iter().zip(columns).map(field).collect::<Vec<_>>().join(","))
        }
        other => panic!("no SQL value is of {other}"),
    }
}

/// Whether two texts of values are the same, DOUBLEs up to rounding.
pub(crate) fn same(got: &str, want: &str) -> bool {
    if got == want || got == format!("{want:?}") {
        return true;
    }
    match (got.parse::<f64>(), want.parse::<f64>()) {
        (Ok(g), Ok(w)) => (g - w).abs() <= 1e-12 * g.abs().max(w.abs()),
        _ => matches!(
            (serde_json::from_str::<Value>(got), serde_json::from_str::<Value>(want)),
            (Ok(g), Ok(w)) if g == w
        ),
    }
}

/// An argument such as `ARRAY<INTEGER> [1,null]`, `STRING a`, or `NULL`: its type and its value as a column of one row.
pub(crate) fn argument(text: &str) -> (ArgType, Option<ArrayRef>) {
    if text == "NULL" {
        return (ArgType::Value(None), None);
    }
    let mut depth = 0;
    let space = text.char_indices().find(|(_, c)| {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            _ => {}
        }
        *c == ' ' && depth == 0
    });
    let (name, of) = text.split_at(space.map_or(text.len(), |(at, _)| at));
    let ty = ty(name);
    let array = column(&ty, &[value(of)]);
    (ArgType::Value(Some(ty)), Some(array))
}

/// Call `function` with arguments as [`argument`] takes them: as constants, as columns, as slices of columns. The
/// result is text as of [`show`], `error` if it does not bind, `!` for a row error.
pub(crate) fn check_call(function: &dyn ScalarFunction, args: &[&str], want: &str) {
    let kinds: Vec<ArgType> = args.iter().map(|text| argument(text).0).collect();
    match function.bind(&kinds) {
        Ok(bound) => check_bound(function.doc().name, &bound, args, &[], want),
        Err(error) => assert_eq!(want, "error", "{}: {error}", function.doc().name),
    }
}

/// The same with lambdas after the values.
pub(crate) fn check_bound(name: &str, bound: &BoundScalar, args: &[&str], lambdas: &[Arg], want: &str) {
    let cast = |text: &&str, to: &ArgType| -> ArrayRef {
        let ArgType::Value(Some(to)) = to else { panic!("a value is wanted") };
        let (kind, array) = argument(text);
        let ArgType::Value(from) = kind else { panic!("a value is wanted") };
        match (from, array) {
            (Some(from), Some(array)) if from != *to => {
                let cast = bind_cast(Some(&from), to, true).expect("an implicit cast");
                cast.kernel.evaluate(&[Arg::Column(array)], 1, &mut RowErrors::default()).expect("casts")
            }
            (_, Some(array)) => array,
            (_, None) => arrow::array::new_null_array(&to.to_arrow(), 1),
        }
    };
    let values: Vec<ArrayRef> = args.iter().zip(&bound.arg_types).map(|(text, to)| cast(text, to)).collect();
    let columns = |array: &ArrayRef| {
        let null = arrow::array::new_null_array(array.data_type(), 1);
        arrow::compute::concat(&[null.as_ref(), array.as_ref(), array.as_ref(), null.as_ref()]).expect("joins")
    };
    let ways: [(usize, Vec<Arg>); 3] = [
        (1, values.iter().map(|a| Arg::Constant(Arc::clone(a))).collect()),
        (3, values.iter().map(|a| Arg::Column(columns(a).slice(1, 3))).collect()),
        (4, values.iter().map(|a| Arg::Column(columns(a).slice(0, 4))).collect()),
    ];
    for (rows, mut given) in ways {
        given.extend(lambdas.iter().cloned());
        let mut errors = RowErrors::default();
        let out = bound.kernel.evaluate(&given, rows, &mut errors).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(out.data_type(), &bound.return_type.to_arrow(), "{name}");
        assert_eq!(out.len(), if args.is_empty() { rows } else { rows.min(out.len().max(1)) }, "{name}");
        for row in if rows == 4 { 1..3 } else { 0..rows.min(2) } {
            let row = row.min(out.len() - 1);
            let failed = errors.rows.iter().any(|(at, _)| *at == row);
            let shown = if failed { "!".to_owned() } else { show(&out, row) };
            assert!(same(&shown, want), "{name}({args:?}): want {want}, got {shown}");
        }
    }
}
