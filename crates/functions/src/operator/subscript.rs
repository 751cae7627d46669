//! `array[i]`, `map[key]` and `struct->field`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array};
use types::{Error, Result, SqlType, did_you_mean};

use crate::{
    Arg, ArgType, BoundScalar, RowErrors,
    kernel::{View, closure, row_count},
    overload::describe,
};

use super::{coercion::implicitly_castable, value::values_equal};

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("subscript: {error}"))
}

/// `container[index]`: an ARRAY's element (1 is the first, -1 the last, none there is NULL) or a MAP's value.
pub fn bind_subscript(container: &ArgType, index: &ArgType) -> Result<BoundScalar> {
    let (index_type, return_type) = match (container, index) {
        (
            ArgType::Value(Some(SqlType::Array(element))),
            ArgType::Value(None | Some(SqlType::Int | SqlType::BigInt)),
        ) => (SqlType::BigInt, element.as_ref().clone()),
        (ArgType::Value(Some(SqlType::Array(_))), _) => {
            return Err(Error::type_mismatch(format!(
                "An ARRAY is subscripted by an INTEGER, not by {}",
                describe(index)
            )));
        }
        (ArgType::Value(Some(SqlType::Map(key, value))), ArgType::Value(given)) => {
            if given.as_ref().is_some_and(|given| !implicitly_castable(given, key)) {
                return Err(Error::type_mismatch(format!("A MAP with keys of {key} has none of {}", describe(index))));
            }
            (key.as_ref().clone(), value.as_ref().clone())
        }
        _ => {
            let (container, index) = (describe(container), describe(index));
            return Err(Error::type_mismatch(format!("{container} cannot be subscripted (by {index})")));
        }
    };
    let is_array = matches!(container, ArgType::Value(Some(SqlType::Array(_))));
    let kernel = closure(move |args: &[Arg], rows, _: &mut RowErrors| {
        let [container, index] = args else { return Err(internal("two operands are wanted")) };
        let rows = row_count(args, rows);
        if is_array { element_at(container.view()?, index, rows) } else { value_of(container.view()?, index, rows) }
    });
    let arg_types = vec![container.clone(), ArgType::Value(Some(index_type))];
    Ok(BoundScalar { arg_types, return_type, kernel, deterministic: true })
}

fn element_at(lists: View<'_, ListArray>, index: &Arg, rows: usize) -> Result<ArrayRef> {
    let index = index.view::<arrow::array::Int64Array>()?;
    let places = (0..rows).map(|row| {
        let at = lists.at(row);
        let index = index.get(row)?;
        if at >= lists.array.len() || lists.array.is_null(at) {
            return None;
        }
        let (start, len) = span(lists.array.value_offsets(), at)?;
        let place = if index < 0 { i64::from(len).checked_add(index)? } else { index - 1 };
        (0..i64::from(len)).contains(&place).then(|| u32::try_from(i64::from(start) + place).ok()).flatten()
    });
    let places: UInt32Array = places.collect();
    arrow::compute::take(lists.array.values().as_ref(), &places, None).map_err(internal)
}

/// First element and count of list `at`.
fn span(offsets: &[i32], at: usize) -> Option<(i32, i32)> {
    let (start, end) = (*offsets.get(at)?, *offsets.get(at + 1)?);
    Some((start, end - start))
}

fn value_of(maps: View<'_, MapArray>, key: &Arg, rows: usize) -> Result<ArrayRef> {
    let keys = maps.array.keys();
    let wanted = key.array()?;
    let wanted_at = |row: usize| if key.is_constant() { 0 } else { row };
    let places = (0..rows).map(|row| {
        let (at, wanted_row) = (maps.at(row), wanted_at(row));
        if at >= maps.array.len() || maps.array.is_null(at) || wanted_row >= wanted.len() || wanted.is_null(wanted_row)
        {
            return None;
        }
        let (start, len) = span(maps.array.value_offsets(), at)?;
        let equal = |place: &i32| match (keys.as_string_opt::<i32>(), wanted.as_string_opt::<i32>()) {
            (Some(keys), Some(wanted)) => {
                usize::try_from(*place).is_ok_and(|p| keys.value(p) == wanted.value(wanted_row))
            }
            _ => usize::try_from(*place).is_ok_and(|p| values_equal(keys, p, wanted, wanted_row)),
        };
        (start..start + len).rev().find(equal).and_then(|place| u32::try_from(place).ok())
    });
    let places: UInt32Array = places.collect();
    arrow::compute::take(maps.array.values().as_ref(), &places, None).map_err(internal)
}

/// `container->name`: a STRUCT's field of that exact name; of a NULL it is NULL.
pub fn bind_field(container: &SqlType, name: &str) -> Result<BoundScalar> {
    let SqlType::Struct(fields) = container else {
        return Err(Error::type_mismatch(format!("{container} has no fields, '{name}' least of all")));
    };
    let Some((at, field)) = container.field(name) else {
        let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
        let error = Error::undefined_column(format!("{container} has no field '{name}'"));
        return Err(match did_you_mean(name, names) {
            Some(near) => error.with_hint(format!("did you mean '{near}'?")),
            None => error,
        });
    };
    let kernel = closure(move |args: &[Arg], rows, _: &mut RowErrors| {
        let [container] = args else { return Err(internal("one operand is wanted")) };
        let view = container.view::<StructArray>()?;
        let column = view.array.columns().get(at).ok_or_else(|| internal("a struct lacks a field"))?;
        let rows = row_count(args, rows);
        let column = if column.len() > rows { column.slice(0, rows) } else { Arc::clone(column) };
        let Some(nulls) = view.array.nulls() else { return Ok(column) };
        let absent = arrow::array::BooleanArray::new(!nulls.slice(0, column.len()).inner(), None);
        arrow::compute::nullif(column.as_ref(), &absent).map_err(internal)
    });
    Ok(BoundScalar {
        arg_types: vec![ArgType::Value(Some(container.clone()))],
        return_type: field.ty.clone(),
        kernel,
        deterministic: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{operator::value_to_string, testing};
    use arrow::array::{Int64Array, StringArray};
    use serde_json::json;

    fn texts(bound: &BoundScalar, args: &[Arg], rows: usize) -> Vec<Option<String>> {
        let out = bound.kernel.evaluate(args, rows, &mut RowErrors::default()).expect("evaluates");
        assert_eq!(*out.data_type(), bound.return_type.to_arrow());
        (0..out.len()).map(|row| value_to_string(&out, row)).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn elements() {
        let ty = testing::ty("ARRAY<STRING>");
        let array = testing::column(&ty, &[json!(["a", "b"]), json!(null), json!([]), json!(["c", null, "d"])]);
        let bound = bind_subscript(&ArgType::Value(Some(ty)), &ArgType::Value(Some(SqlType::Int))).expect("binds");
        let at = |index: i64| Arg::Constant(Arc::new(Int64Array::from(vec![index])));
        let get = |index| texts(&bound, &[Arg::Column(Arc::clone(&array)), at(index)], 4);
        assert_eq!(get(1), [some("a"), None, None, some("c")]);
        assert_eq!(get(-1), [some("b"), None, None, some("d")]);
        assert_eq!(get(3), [None, None, None, some("d")]);
        for outside in [0, -4, i64::MIN, i64::MAX] {
            assert_eq!(get(outside), [None, None, None, None]);
        }
        assert_eq!(texts(&bound, &[Arg::Constant(array.slice(3, 1)), at(1)], 4), [some("c")]);
        let index = Arg::Column(Arc::new(Int64Array::from(vec![Some(2), Some(1), None, Some(1)])));
        assert_eq!(texts(&bound, &[Arg::Column(array), index], 4), [some("b"), None, None, some("c")]);
    }

    #[test]
    fn entries_and_fields() {
        let ty = testing::ty("MAP<STRING, BIGINT>");
        let maps = testing::column(&ty, &[json!({"a": 1, "b": 2}), json!(null), json!({"a": null})]);
        let bound = bind_subscript(&ArgType::Value(Some(ty)), &ArgType::Value(Some(SqlType::String))).expect("binds");
        let key = |key: &str| Arg::Constant(Arc::new(StringArray::from(vec![key])));
        assert_eq!(texts(&bound, &[Arg::Column(Arc::clone(&maps)), key("b")], 3), [some("2"), None, None]);
        assert_eq!(texts(&bound, &[Arg::Column(maps), key("a")], 3), [some("1"), None, None]);

        let ty = testing::ty("STRUCT<A STRING, b BIGINT>");
        let structs = testing::column(&ty, &[json!({"A": "x", "b": 7}), json!(null)]);
        let bound = bind_field(&ty, "b").expect("binds");
        assert_eq!(texts(&bound, &[Arg::Column(structs)], 2), [some("7"), None]);
        let error = bind_field(&ty, "B").err().expect("no such field");
        assert_eq!((error.sqlstate(), error.hint()), ("42703", Some("did you mean 'b'?")));
        assert!(bind_field(&SqlType::Int, "A").is_err());
    }

    #[test]
    fn what_has_no_subscripts() {
        let value = |ty: SqlType| ArgType::Value(Some(ty));
        assert!(bind_subscript(&value(SqlType::Int), &value(SqlType::Int)).is_err());
        assert!(bind_subscript(&value(testing::ty("ARRAY<INT>")), &value(SqlType::String)).is_err());
        assert!(bind_subscript(&value(testing::ty("MAP<STRING, INT>")), &value(SqlType::Int)).is_err());
    }
}
