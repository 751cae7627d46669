//! Functions that take lambdas.
//!
//! A lambda's body is evaluated over the elements of all rows of a batch at once; that a body may call such functions
//! again needs no care here, since it captures columns by the row of the call. These kernels compute every row even if
//! all collections are constants: a body may capture a column.

pub mod filter;
pub mod reduce;
pub mod transform;

mod flat;

use arrow::{
    array::{Array, ArrayRef, new_empty_array},
    datatypes::DataType,
};
use types::{Error, Result};

use super::array::lists::conform;
use crate::{Arg, LambdaBody, RowErrors, ScalarFunction};

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[&filter::FUNCTION, &reduce::FUNCTION, &transform::FUNCTION];

/// The lambda that argument `at` is.
fn lambda(args: &[Arg], at: usize) -> Result<&dyn LambdaBody> {
    match args.get(at) {
        Some(Arg::Lambda(body)) => Ok(body.as_ref()),
        _ => Err(Error::internal("a lambda is wanted")),
    }
}

/// The body's values for these elements, as a column of type `ty`.
fn evaluate(
    body: &dyn LambdaBody,
    params: &[ArrayRef],
    rows: &[u32],
    ty: &DataType,
    errors: &mut RowErrors,
) -> Result<ArrayRef> {
    if rows.is_empty() {
        return Ok(new_empty_array(ty));
    }
    let values = conform(body.evaluate(params, rows, errors)?, ty);
    if values.len() == rows.len() && values.data_type() == ty {
        return Ok(values);
    }
    if values.len() == 1 && values.data_type() == ty {
        let first = arrow::array::UInt32Array::from(vec![0; rows.len()]);
        return arrow::compute::take(values.as_ref(), &first, None)
            .map_err(|e| Error::internal(format!("repeating a value: {e}")));
    }
    Err(Error::internal(format!(
        "a lambda gave {} values of {} for {} elements of {ty}",
        values.len(),
        values.data_type(),
        rows.len()
    )))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        ArgType,
        testing::{argument, check_bound, ty},
    };

    type Code = Box<dyn Fn(&[ArrayRef], &[u32]) -> ArrayRef + Send + Sync>;

    /// A lambda made of a closure, with its types.
    pub(super) struct Body {
        pub(super) ty: ArgType,
        pub(super) body: Arc<dyn LambdaBody>,
    }

    struct Closure(Code);

    impl LambdaBody for Closure {
        fn evaluate(&self, params: &[ArrayRef], rows: &[u32], _: &mut RowErrors) -> Result<ArrayRef> {
            assert!(params.iter().all(|p| p.len() == rows.len()), "parameters are as many as rows");
            Ok((self.0)(params, rows))
        }
    }

    pub(super) fn body(
        params: &[&str],
        result: &str,
        code: impl Fn(&[ArrayRef], &[u32]) -> ArrayRef + Send + Sync + 'static,
    ) -> Body {
        let kind = ArgType::Lambda(params.iter().map(|p| ty(p)).collect(), Some(ty(result)));
        Body { ty: kind, body: Arc::new(Closure(Box::new(code))) }
    }

    /// Call with values, then lambdas.
    pub(super) fn check_lambdas(function: &dyn ScalarFunction, values: &[&str], bodies: Vec<Body>, want: &str) {
        let unbound = values.iter().map(|text| argument(text).0);
        let unbound: Vec<ArgType> = unbound
            .chain(bodies.iter().map(|b| match &b.ty {
                ArgType::Lambda(params, _) => ArgType::UnboundLambda(params.len()),
                other => other.clone(),
            }))
            .collect();
        for (nth, body) in bodies.iter().enumerate() {
            let params = function.lambda_params(values.len() + nth, &unbound).expect("parameters' types");
            assert!(matches!(&body.ty, ArgType::Lambda(of, _) if *of == params), "{params:?}");
        }
        let kinds: Vec<ArgType> =
            values.iter().map(|text| argument(text).0).chain(bodies.iter().map(|b| b.ty.clone())).collect();
        let bound = match function.bind(&kinds) {
            Ok(bound) => bound,
            Err(error) => {
                assert_eq!(want, "error", "{error}");
                return;
            }
        };
        let lambdas: Vec<Arg> = bodies.into_iter().map(|b| Arg::Lambda(b.body)).collect();
        check_bound(function.doc().name, &bound, values, &lambdas, want);
    }
}
