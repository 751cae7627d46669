//! `TRANSFORM`.

use std::collections::HashSet;

use arrow::{
    array::{Array as _, ArrayRef, UInt32Array, new_empty_array},
    buffer::NullBuffer,
    compute::take,
    datatypes::DataType,
};
use types::{Error, Result, SqlType};

use super::{evaluate, flat::Flat, lambda};
use crate::{
    Arg, ArgType, BoundScalar, FunctionDoc, RowErrors, ScalarFunction,
    encoded::{Rows, offset},
    kernel::closure,
    overload::{Param, Shape, lambda_params, resolve},
    scalar::array::lists::{conform, list_column, map_column},
};

/// TRANSFORM.
pub struct Transform;

/// See its words.
pub static FUNCTION: Transform = Transform;

static DOC: FunctionDoc = FunctionDoc {
    name: "TRANSFORM",
    aliases: &[],
    category: "LAMBDA",
    signatures: &["TRANSFORM(array, x => ...)", "TRANSFORM(map, (k, v) => ..., (k, v) => ...)"],
    description: "The array of what the lambda gives for each element; of a map, the map of what the first lambda \
                  gives as key and the second as value for each entry. NULL if the collection is. Fails for a map \
                  where two keys come out the same, or where a key or value comes out NULL.",
    examples: &[
        ("TRANSFORM(ARRAY[1, 2, 3], x => x * 2)", "[2, 4, 6]"),
        ("TRANSFORM(MAP('a' := 1), (k, v) => UCASE(k), (k, v) => v + 1)", "{A=2}"),
    ],
};

const ENTRY: &[Param] = &[Param::Var('K'), Param::Var('V')];

const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Array(&Param::Var('T')), Param::Lambda(&[Param::Var('T')], &Param::Var('R'))]),
    Shape::new(&[
        Param::Map(&Param::Var('K'), &Param::Var('V')),
        Param::Lambda(ENTRY, &Param::Var('R')),
        Param::Lambda(ENTRY, &Param::Var('S')),
    ]),
];

impl ScalarFunction for Transform {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn lambda_params(&self, at: usize, args: &[ArgType]) -> Result<Vec<SqlType>> {
        lambda_params("TRANSFORM", SHAPES, at, args)
    }

    fn bind(&self, args: &[ArgType]) -> Result<BoundScalar> {
        let resolved = resolve("TRANSFORM", SHAPES, args)?;
        let of = |name: char| Param::Var(name);
        let result = |param: Param| resolved.instance(&param);
        let return_type = if resolved.index == 0 {
            SqlType::Array(Box::new(result(of('R'))))
        } else {
            SqlType::Map(Box::new(result(of('R'))), Box::new(result(of('S'))))
        };
        let ty = return_type.to_arrow();
        let arrays = resolved.index == 0;
        let kernel = closure(
            move |args: &[Arg], rows: usize, errors: &mut RowErrors| {
                if arrays { array(&ty, args, rows, errors) } else { map(&ty, args, rows, errors) }
            },
        );
        Ok(BoundScalar { arg_types: resolved.arg_types, return_type, kernel, deterministic: true })
    }
}

fn argument(args: &[Arg], at: usize) -> Result<&Arg> {
    args.get(at).ok_or_else(|| Error::internal("TRANSFORM got too few arguments"))
}

fn array(ty: &DataType, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
    let flat = Flat::of(argument(args, 0)?, rows)?;
    let DataType::List(element) = ty else { return Err(Error::internal("an ARRAY is made for another type")) };
    let values = evaluate(lambda(args, 1)?, &flat.columns, &flat.rows, element.data_type(), errors)?;
    list_column(ty, flat.offsets, values, flat.valid)
}

fn map(ty: &DataType, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
    let flat = Flat::of(argument(args, 0)?, rows)?;
    let DataType::Map(entries, _) = ty else { return Err(Error::internal("a MAP is made for another type")) };
    let (key, value) = crate::encoded::map_fields(entries)?;
    let keys = evaluate(lambda(args, 1)?, &flat.columns, &flat.rows, key.data_type(), errors)?;
    let values = evaluate(lambda(args, 2)?, &flat.columns, &flat.rows, value.data_type(), errors)?;
    let encoded = Rows::of(keys.as_ref())?;
    let missing = values.logical_nulls();
    let mut seen = HashSet::new();
    let (mut kept, mut offsets, mut valid): (Vec<u32>, _, _) = (Vec::new(), vec![0_i32], Vec::with_capacity(rows));
    for row in 0..rows {
        seen.clear();
        let range = flat.range(row);
        let null = range.clone().any(|at| encoded.is_null(at) || missing.as_ref().is_some_and(|n| n.is_null(at)));
        let twice = range.clone().any(|at| !seen.insert(encoded.get(at)));
        if null {
            errors.push(row, "TRANSFORM: a key or a value of the map comes out NULL");
        } else if twice {
            errors.push(row, "TRANSFORM: two keys of the map come out the same");
        }
        let good = flat.valid.get(row) == Some(&true) && !null && !twice;
        if good {
            kept.extend(range.filter_map(|at| u32::try_from(at).ok()));
        }
        offsets.push(offset(kept.len())?);
        valid.push(good);
    }
    let nulls = Some(NullBuffer::from(valid)).filter(|n| n.null_count() > 0);
    if kept.is_empty() {
        let (keys, values) = (new_empty_array(key.data_type()), new_empty_array(value.data_type()));
        return map_column(ty, offsets, keys, values, nulls);
    }
    let kept = UInt32Array::from(kept);
    let gather = |column: &ArrayRef| {
        take(column.as_ref(), &kept, None).map_err(|e| Error::internal(format!("taking entries: {e}")))
    };
    let (keys, values) = (gather(&keys)?, gather(&values)?);
    map_column(ty, offsets, conform(keys, key.data_type()), conform(values, value.data_type()), nulls)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int32Array, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::scalar::lambda::tests::{body, check_lambdas};

    fn double(column: &ArrayRef) -> ArrayRef {
        let values = column.as_primitive::<Int32Type>();
        Arc::new(values.iter().map(|v| v.map(|v| v * 2)).collect::<Int32Array>())
    }

    #[test]
    fn arrays() {
        let doubled = || vec![body(&["INTEGER"], "INTEGER", |params, _| double(&params[0]))];
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [1,null,3]"], doubled(), "[2,null,6]");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> []"], doubled(), "[]");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> null"], doubled(), "null");
    }

    #[test]
    fn maps() {
        let with = |suffix: &'static str| {
            let upper = move |params: &[ArrayRef], _: &[u32]| -> ArrayRef {
                let keys = params[0].as_string::<i32>().iter();
                Arc::new(
                    keys.map(|k| k.map(|k| if suffix.is_empty() { String::new() } else { format!("{k}{suffix}") }))
                        .collect::<StringArray>(),
                )
            };
            vec![
                body(&["STRING", "INTEGER"], "STRING", upper),
                body(&["STRING", "INTEGER"], "INTEGER", |params, _| double(&params[1])),
            ]
        };
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> {\"a\":1,\"b\":2}"], with("_"), "{\"a_\":2,\"b_\":4}");
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> {}"], with("_"), "{}");
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> null"], with("_"), "null");
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> {\"a\":1,\"b\":2}"], with(""), "!");
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> {\"a\":null}"], with("_"), "!");
    }
}
