//! `FILTER`.

use arrow::{
    array::{Array as _, ArrayRef, AsArray, UInt32Array},
    compute::take,
    datatypes::DataType,
};
use types::{Error, Result, SqlType};

use super::{evaluate, flat::Flat, lambda};
use crate::{
    Arg, ArgType, BoundScalar, FunctionDoc, RowErrors, ScalarFunction,
    encoded::offset,
    kernel::closure,
    overload::{Param, Shape, lambda_params, resolve},
    scalar::array::lists::{list_column, map_column},
};

/// FILTER.
pub struct Filter;

/// See its words.
pub static FUNCTION: Filter = Filter;

static DOC: FunctionDoc = FunctionDoc {
    name: "FILTER",
    aliases: &[],
    category: "LAMBDA",
    signatures: &["FILTER(array, x => ...)", "FILTER(map, (k, v) => ...)"],
    description: "The elements of the array, or the entries of the map, for which the lambda gives true. NULL if the \
                  collection is.",
    examples: &[
        ("FILTER(ARRAY[1, 2, 3], x => x > 1)", "[2, 3]"),
        ("FILTER(MAP('a' := 1, 'b' := 2), (k, v) => v > 1)", "{b=2}"),
    ],
};

const SHAPES: &[Shape] = &[
    Shape::new(&[Param::Array(&Param::Var('T')), Param::Lambda(&[Param::Var('T')], &Param::Boolean)]),
    Shape::new(&[
        Param::Map(&Param::Var('K'), &Param::Var('V')),
        Param::Lambda(&[Param::Var('K'), Param::Var('V')], &Param::Boolean),
    ]),
];

impl ScalarFunction for Filter {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn lambda_params(&self, at: usize, args: &[ArgType]) -> Result<Vec<SqlType>> {
        lambda_params("FILTER", SHAPES, at, args)
    }

    fn bind(&self, args: &[ArgType]) -> Result<BoundScalar> {
        let resolved = resolve("FILTER", SHAPES, args)?;
        if let Some(ArgType::Lambda(_, Some(body))) = args.get(1)
            && *body != SqlType::Boolean
        {
            return Err(Error::type_mismatch(format!("FILTER: the lambda must give a BOOLEAN, not {body}")));
        }
        let return_type = resolved.value(0);
        let ty = return_type.to_arrow();
        let kernel = closure(move |args: &[Arg], rows: usize, errors: &mut RowErrors| filter(&ty, args, rows, errors));
        Ok(BoundScalar { arg_types: resolved.arg_types, return_type, kernel, deterministic: true })
    }
}

fn filter(ty: &DataType, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
    let collection = args.first().ok_or_else(|| Error::internal("FILTER got too few arguments"))?;
    let flat = Flat::of(collection, rows)?;
    let stays = evaluate(lambda(args, 1)?, &flat.columns, &flat.rows, &DataType::Boolean, errors)?;
    let stays = stays.as_boolean_opt().ok_or_else(|| Error::internal("FILTER's lambda gave no BOOLEAN"))?;
    let (mut kept, mut offsets): (Vec<u32>, _) = (Vec::new(), vec![0_i32]);
    for row in 0..rows {
        let chosen = flat.range(row).filter(|at| *at < stays.len() && stays.is_valid(*at) && stays.value(*at));
        kept.extend(chosen.filter_map(|at| u32::try_from(at).ok()));
        offsets.push(offset(kept.len())?);
    }
    let kept = UInt32Array::from(kept);
    let gather = |column: &ArrayRef| {
        take(column.as_ref(), &kept, None).map_err(|e| Error::internal(format!("taking elements: {e}")))
    };
    let columns = flat.columns.iter().map(gather).collect::<Result<Vec<_>>>()?;
    let nulls = flat.nulls();
    match <[ArrayRef; 2]>::try_from(columns) {
        Ok([keys, values]) => map_column(ty, offsets, keys, values, nulls),
        Err(mut columns) => {
            let values = columns.pop().ok_or_else(|| Error::internal("an array without elements' column"))?;
            list_column(ty, offsets, values, flat.valid)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::BooleanArray;
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::scalar::lambda::tests::{body, check_lambdas};

    fn above_one(column: &ArrayRef) -> ArrayRef {
        Arc::new(column.as_primitive::<Int32Type>().iter().map(|v| v.map(|v| v > 1)).collect::<BooleanArray>())
    }

    #[test]
    fn arrays() {
        let large = || vec![body(&["INTEGER"], "BOOLEAN", |params, _| above_one(&params[0]))];
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [1,null,3,2]"], large(), "[3,2]");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [0]"], large(), "[]");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> null"], large(), "null");
        let number = vec![body(&["INTEGER"], "INTEGER", |params, _| Arc::clone(&params[0]))];
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [1]"], number, "error");
    }

    #[test]
    fn maps() {
        let large = || vec![body(&["STRING", "INTEGER"], "BOOLEAN", |params, _| above_one(&params[1]))];
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> {\"a\":1,\"b\":2,\"c\":null}"], large(), "{\"b\":2}");
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> null"], large(), "null");
    }
}
