//! `REDUCE`.
//!
//! All rows step together: the body is evaluated once for the first elements of all rows, once for the second, and so
//! on. Rows are taken from the longest to the shortest, so that those still in the run are always the first of them.

use arrow::{
    array::{Array as _, ArrayRef, UInt32Array},
    compute::{concat, take},
    datatypes::DataType,
};
use types::{Error, Result, SqlType};

use super::{evaluate, flat::Flat, lambda};
use crate::{
    Arg, ArgType, BoundScalar, FunctionDoc, RowErrors, ScalarFunction, ScalarKernel,
    kernel::closure,
    operator::bind_cast,
    overload::{Param, Shape, lambda_params, resolve},
};
use std::sync::Arc;

/// REDUCE.
pub struct Reduce;

/// See its words.
pub static FUNCTION: Reduce = Reduce;

static DOC: FunctionDoc = FunctionDoc {
    name: "REDUCE",
    aliases: &[],
    category: "LAMBDA",
    signatures: &["REDUCE(array, state, (s, x) => ...)", "REDUCE(map, state, (s, k, v) => ...)"],
    description: "What the lambda gives for the last element, or entry, when it is given for each one what it gave \
                  for the one before; for the first, the initial state. The initial state if the collection is empty \
                  or NULL; NULL if the initial state is. The lambda gives a value of the state's type.",
    examples: &[
        ("REDUCE(ARRAY[3, 6], 2, (s, x) => s + x)", "11"),
        ("REDUCE(MAP('a' := 1, 'b' := 2), 0, (s, k, v) => s + v)", "3"),
    ],
};

const SHAPES: &[Shape] = &[
    Shape::new(&[
        Param::Array(&Param::Var('T')),
        Param::Var('S'),
        Param::Lambda(&[Param::Var('S'), Param::Var('T')], &Param::Var('R')),
    ]),
    Shape::new(&[
        Param::Map(&Param::Var('K'), &Param::Var('V')),
        Param::Var('S'),
        Param::Lambda(&[Param::Var('S'), Param::Var('K'), Param::Var('V')], &Param::Var('R')),
    ]),
];

impl ScalarFunction for Reduce {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn lambda_params(&self, at: usize, args: &[ArgType]) -> Result<Vec<SqlType>> {
        lambda_params("REDUCE", SHAPES, at, args)
    }

    fn bind(&self, args: &[ArgType]) -> Result<BoundScalar> {
        let resolved = resolve("REDUCE", SHAPES, args)?;
        let state = resolved.value(1);
        let cast = match args.get(2) {
            Some(ArgType::Lambda(_, Some(body))) if *body != state => {
                let cast = bind_cast(Some(body), &state, true).map_err(|_| {
                    let message = format!("REDUCE: the lambda gives {body}, but the initial state is {state}");
                    Error::type_mismatch(message).with_hint(format!("CAST the initial state to {body}"))
                })?;
                Some((body.to_arrow(), cast.kernel))
            }
            _ => None,
        };
        let run = Run { ty: state.to_arrow(), cast };
        let kernel = closure(move |args: &[Arg], rows: usize, errors: &mut RowErrors| run.reduce(args, rows, errors));
        Ok(BoundScalar { arg_types: resolved.arg_types, return_type: state, kernel, deterministic: true })
    }
}

struct Run {
    ty: DataType,
    /// What the body gives, and how it becomes a state, where these types differ.
    cast: Option<(DataType, Arc<dyn ScalarKernel>)>,
}

impl Run {
    fn reduce(&self, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
        let wanted = || Error::internal("REDUCE got too few arguments");
        let flat = Flat::of(args.first().ok_or_else(wanted)?, rows)?;
        let initial = args.get(1).ok_or_else(wanted)?;
        let constant = initial.is_constant();
        let initial = initial.array()?;
        // A row whose initial state is NULL does not run.
        let start = |row: usize| if constant { 0 } else { row };
        let runs = |row: usize| start(row) < initial.len() && initial.is_valid(start(row));
        let length = |row: usize| if runs(row) { flat.range(row).len() } else { 0 };
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|row| std::cmp::Reverse(length(*row)));
        let mut state = gather(initial, order.iter().map(|row| start(*row)))?;
        let mut finished: Vec<ArrayRef> = Vec::new();
        let mut alive = rows;
        for step in 0.. {
            let before = alive;
            alive = order.iter().take(before).take_while(|row| length(**row) > step).count();
            finished.push(state.slice(alive, before - alive));
            if alive == 0 {
                break;
            }
            let running: Vec<usize> = order.iter().take(alive).copied().collect();
            state = self.step(args, &flat, &running, step, &state.slice(0, alive), errors)?;
        }
        finished.reverse();
        let parts: Vec<&dyn arrow::array::Array> = finished.iter().map(AsRef::as_ref).collect();
        let sorted = concat(&parts).map_err(|e| Error::internal(format!("joining states: {e}")))?;
        let mut places = vec![0; rows];
        for (place, row) in order.iter().enumerate() {
            if let Some(at) = places.get_mut(*row) {
                *at = place;
            }
        }
        gather(&sorted, places.into_iter())
    }

    /// The states of the rows `running` after their elements number `step`.
    fn step(
        &self,
        args: &[Arg],
        flat: &Flat,
        running: &[usize],
        step: usize,
        state: &ArrayRef,
        errors: &mut RowErrors,
    ) -> Result<ArrayRef> {
        let mut params = vec![Arc::clone(state)];
        for column in &flat.columns {
            params.push(gather(column, running.iter().map(|row| flat.range(*row).start + step))?);
        }
        let numbers: Vec<u32> = running.iter().filter_map(|row| u32::try_from(*row).ok()).collect();
        let body = lambda(args, 2)?;
        let Some((ty, cast)) = &self.cast else { return evaluate(body, &params, &numbers, &self.ty, errors) };
        let value = evaluate(body, &params, &numbers, ty, errors)?;
        let mut cast_errors = RowErrors::default();
        let cast = cast.evaluate(&[Arg::Column(value)], running.len(), &mut cast_errors)?;
        for (at, reason) in cast_errors.rows {
            errors.push(running.get(at).copied().unwrap_or(0), reason);
        }
        Ok(cast)
    }
}

fn gather(column: &ArrayRef, places: impl Iterator<Item = usize>) -> Result<ArrayRef> {
    let places: UInt32Array = places.map(|at| u32::try_from(at).ok().filter(|_| at < column.len())).collect();
    take(column.as_ref(), &places, None).map_err(|e| Error::internal(format!("taking elements: {e}")))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int32Array, Int64Array, PrimitiveArray};
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;
    use crate::scalar::lambda::tests::{Body, body, check_lambdas};

    fn sum(params: &[ArrayRef], at: usize) -> ArrayRef {
        let (state, value) = (params[0].as_primitive::<Int32Type>(), params[at].as_primitive::<Int32Type>());
        let sums = state.iter().zip(value.iter()).map(|(s, v)| Some(s? + v?));
        Arc::new(sums.collect::<PrimitiveArray<Int32Type>>())
    }

    fn sums() -> Vec<Body> {
        vec![body(&["INTEGER", "INTEGER"], "INTEGER", |params, _| sum(params, 1))]
    }

    #[test]
    fn arrays() {
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [3,6]", "INTEGER 2"], sums(), "11");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [5,null]", "INTEGER 2"], sums(), "null");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> null", "INTEGER 2"], sums(), "2");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> []", "INTEGER 2"], sums(), "2");
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [1]", "INTEGER null"], sums(), "null");
    }

    #[test]
    fn maps() {
        let sums = vec![body(&["INTEGER", "STRING", "INTEGER"], "INTEGER", |params, _| sum(params, 2))];
        check_lambdas(&FUNCTION, &["MAP<STRING, INTEGER> {\"a\":1,\"b\":2}", "INTEGER 4"], sums, "7");
    }

    #[test]
    fn the_state_has_one_type() {
        let widening = |params: &[ArrayRef], _: &[u32]| -> ArrayRef {
            Arc::new(params[1].as_primitive::<Int64Type>().iter().collect::<Int64Array>())
        };
        let body_of = || vec![body(&["INTEGER", "BIGINT"], "BIGINT", widening)];
        check_lambdas(&FUNCTION, &["ARRAY<BIGINT> [1]", "INTEGER 4"], body_of(), "error");
        let narrow = |params: &[ArrayRef], _: &[u32]| -> ArrayRef {
            Arc::new(params[1].as_primitive::<Int32Type>().iter().collect::<Int32Array>())
        };
        let narrow = vec![body(&["BIGINT", "INTEGER"], "INTEGER", narrow)];
        check_lambdas(&FUNCTION, &["ARRAY<INTEGER> [1,7]", "BIGINT 4"], narrow, "7");
    }

    #[test]
    fn rows_of_different_lengths_step_together() {
        use crate::testing::{column, show, ty, value};
        let rows = ["[]", "[1,2,3]", "null", "[10]", "[100,200]"].map(value);
        let array = column(&ty("ARRAY<INTEGER>"), &rows);
        let starts = column(&ty("INTEGER"), &["1", "2", "3", "null", "5"].map(value));
        let lambda = sums().remove(0);
        let kinds =
            [ArgType::Value(Some(ty("ARRAY<INTEGER>"))), ArgType::Value(Some(ty("INTEGER"))), lambda.ty.clone()];
        let bound = FUNCTION.bind(&kinds).expect("binds");
        let args = [Arg::Column(array), Arg::Column(starts), Arg::Lambda(lambda.body)];
        let out = bound.kernel.evaluate(&args, 5, &mut RowErrors::default()).expect("evaluates");
        let shown: Vec<String> = (0..5).map(|row| show(&out, row)).collect();
        assert_eq!(shown, ["1", "8", "3", "null", "305"]);
    }
}
