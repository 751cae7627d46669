//! Bound expressions as SQL-like text, for EXPLAIN and for error messages.

use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{Array, AsArray},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{
    common::ScalarValue,
    physical_expr::{
        PhysicalExpr,
        expressions::{Column, IsNotNullExpr, IsNullExpr, Literal, NotExpr},
    },
};
use types::quote_ident;

/// `name` as it has to be written: in back quotes only if need be.
pub fn name(name: &str) -> String {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c == '_' || c == '@' || c.is_ascii_uppercase());
    let plain = starts && chars.all(|c| c == '_' || c == '@' || c.is_ascii_uppercase() || c.is_ascii_digit());
    if plain { name.to_owned() } else { quote_ident(name) }
}

/// A column's name as it has to be written, with its qualifier if it has one.
pub fn qualified(qualifier: Option<&str>, column: &str) -> String {
    match qualifier {
        Some(qualifier) => format!("{}.{}", name(qualifier), name(column)),
        None => name(column),
    }
}

/// `expr` as SQL-like text. The names of bound columns are already written as they have to be.
pub fn sql(expr: &Arc<dyn PhysicalExpr>) -> String {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return column.name().to_owned();
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return literal_text(literal.value());
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return format!("(NOT {})", sql(not.arg()));
    }
    if let Some(is_null) = expr.downcast_ref::<IsNullExpr>() {
        return format!("({} IS NULL)", sql(is_null.arg()));
    }
    if let Some(is_not_null) = expr.downcast_ref::<IsNotNullExpr>() {
        return format!("({} IS NOT NULL)", sql(is_not_null.arg()));
    }
    expr.to_string()
}

fn literal_text(value: &ScalarValue) -> String {
    match value.to_array_of_size(1) {
        Ok(array) => element(array.as_ref(), 0),
        Err(_) => value.to_string(),
    }
}

/// Element `at` of `array` as a literal.
pub(crate) fn element(array: &dyn Array, at: usize) -> String {
    use arrow::datatypes::DataType;
    if at >= array.len() || array.is_null(at) || *array.data_type() == DataType::Null {
        return "NULL".to_owned();
    }
    match array.data_type() {
        DataType::Utf8 => quoted(array.as_string::<i32>().value(at)),
        DataType::Boolean => if array.as_boolean().value(at) { "TRUE" } else { "FALSE" }.to_owned(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(at);
            let items: Vec<String> = (0..items.len()).map(|i| element(items.as_ref(), i)).collect();
            format!("ARRAY[{}]", items.join(", "))
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(at);
            let (keys, values) = (entries.column(0), entries.column(1));
            let pair = |i: usize| format!("{} := {}", element(keys.as_ref(), i), element(values.as_ref(), i));
            let pairs: Vec<String> = (0..entries.len()).map(pair).collect();
            format!("MAP({})", pairs.join(", "))
        }
        DataType::Struct(fields) => {
            let row = array.as_struct();
            let mut out = String::from("STRUCT(");
            for (i, (field, column)) in fields.iter().zip(row.columns()).enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                let _ = write!(out, "{comma}{} := {}", name(field.name()), element(column.as_ref(), at));
            }
            out.push(')');
            out
        }
        DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(_, _) => quoted(&plain(array, at)),
        _ => plain(array, at),
    }
}

fn plain(array: &dyn Array, at: usize) -> String {
    match ArrayFormatter::try_new(array, &FormatOptions::new()) {
        Ok(formatter) => formatter.value(at).to_string(),
        Err(_) => "?".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
