//! The form in which scalar functions are written: their words, and a list of overloads with a kernel each.

use std::{fmt::Display, sync::Arc};

use arrow::array::{Array, ArrayRef};
use types::{Error, Result, SqlType};

use crate::{
    Arg, ArgType, BoundScalar, FunctionDoc, RowErrors, ScalarFunction, ScalarKernel,
    kernel::{Cache, View, collect, collect_decimals, row_count},
    overload::{Param, Resolved, Shape, lambda_params, resolve},
};

/// A scalar function.
pub struct Scalar {
    /// Name, words and examples.
    pub doc: &'static FunctionDoc,
    /// What it takes, in the order in which they are preferred.
    pub overloads: &'static [Overload],
    /// Whether the same arguments always give the same result.
    pub deterministic: bool,
}

/// One overload of a function.
pub struct Overload {
    /// What it takes.
    pub shape: Shape,
    /// What it gives.
    pub returns: Returns,
    /// Its code.
    pub eval: Eval,
}

/// The type of a result.
#[derive(Clone, Copy)]
pub enum Returns {
    /// This type, with type variables replaced; DECIMAL is that of the first argument that is one.
    Is(Param),
    /// Whatever the function says.
    By(fn(&Resolved) -> Result<SqlType>),
}

/// The code of an overload.
pub type Eval = fn(&Call<'_>, &mut RowErrors) -> Result<ArrayRef>;

impl Overload {
    /// Takes exactly `params`.
    pub const fn new(params: &'static [Param], returns: Param, eval: Eval) -> Overload {
        Overload { shape: Shape::new(params), returns: Returns::Is(returns), eval }
    }

    /// Takes `params`, then any number of `rest`.
    pub const fn variadic(params: &'static [Param], rest: Param, returns: Param, eval: Eval) -> Overload {
        Overload { shape: Shape::variadic(params, rest), returns: Returns::Is(returns), eval }
    }

    /// Takes exactly `params` and computes the type of the result.
    pub const fn computed(params: &'static [Param], returns: fn(&Resolved) -> Result<SqlType>, eval: Eval) -> Overload {
        Overload { shape: Shape::new(params), returns: Returns::By(returns), eval }
    }
}

impl Scalar {
    fn shapes(&self) -> Vec<Shape> {
        self.overloads.iter().map(|o| o.shape).collect()
    }
}

impl ScalarFunction for Scalar {
    fn doc(&self) -> &'static FunctionDoc {
        self.doc
    }

    fn lambda_params(&self, at: usize, args: &[ArgType]) -> Result<Vec<SqlType>> {
        lambda_params(self.doc.name, &self.shapes(), at, args)
    }

    fn bind(&self, args: &[ArgType]) -> Result<BoundScalar> {
        let resolved = resolve(self.doc.name, &self.shapes(), args)?;
        let overload = self.overloads.get(resolved.index);
        let overload = overload.ok_or_else(|| Error::internal("an overload that does not exist was resolved"))?;
        bind_overload(overload, resolved, self.deterministic)
    }
}

/// `overload`, resolved, as a kernel.
pub(crate) fn bind_overload(overload: &Overload, resolved: Resolved, deterministic: bool) -> Result<BoundScalar> {
    let return_type = match overload.returns {
        Returns::Is(param) => resolved.instance(&param),
        Returns::By(returns) => returns(&resolved)?,
    };
    let kernel =
        Kernel { eval: overload.eval, return_type: return_type.clone(), deterministic, cache: Cache::default() };
    Ok(BoundScalar { arg_types: resolved.arg_types, return_type, kernel: Arc::new(kernel), deterministic })
}

struct Kernel {
    eval: Eval,
    return_type: SqlType,
    deterministic: bool,
    cache: Cache,
}

impl ScalarKernel for Kernel {
    fn evaluate(&self, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<ArrayRef> {
        let rows = if self.deterministic { row_count(args, rows) } else { rows };
        (self.eval)(&Call { args, rows, return_type: &self.return_type, cache: &self.cache }, errors)
    }
}

/// One evaluation of an overload.
pub struct Call<'a> {
    /// The arguments, of the types that were resolved.
    pub args: &'a [Arg],
    /// How many rows to compute: 1 where all arguments are constants.
    pub rows: usize,
    /// The type of the result.
    pub return_type: &'a SqlType,
    /// What was compiled for earlier rows and batches of the same call.
    pub cache: &'a Cache,
}

impl<'a> Call<'a> {
    /// Argument `at`.
    pub fn arg(&self, at: usize) -> Result<&'a Arg> {
        self.args.get(at).ok_or_else(|| Error::internal("a function got too few arguments"))
    }

    /// Argument `at` by row.
    pub fn view<A: Array + 'static>(&self, at: usize) -> Result<View<'a, A>> {
        self.arg(at)?.view()
    }

    /// Argument `at` by row, if the call has one.
    pub fn optional<A: Array + 'static>(&self, at: usize) -> Result<Option<View<'a, A>>> {
        self.args.get(at).map(Arg::view).transpose()
    }

    /// The bare unit of time at `at`.
    pub fn unit(&self, at: usize) -> Result<&'a str> {
        match self.arg(at)? {
            Arg::TimeUnit(unit) => Ok(unit),
            _ => Err(Error::internal("a unit of time is wanted")),
        }
    }

    /// A column of what `row` says for each row.
    pub fn rows<A, T>(&self, mut row: impl FnMut(usize) -> Option<T>) -> Result<ArrayRef>
    where
        A: Array + FromIterator<Option<T>> + 'static,
    {
        Ok(Arc::new((0..self.rows).map(&mut row).collect::<A>()))
    }

    /// The same where rows may fail.
    pub fn try_rows<A, T, E>(
        &self,
        errors: &mut RowErrors,
        row: impl FnMut(usize) -> std::result::Result<Option<T>, E>,
    ) -> Result<ArrayRef>
    where
        A: Array + FromIterator<Option<T>> + 'static,
        E: Display,
    {
        Ok(collect::<A, T, E>(self.rows, errors, row))
    }

    /// The same for DECIMALs (unscaled) of the return type.
    pub fn decimals<E: Display>(
        &self,
        errors: &mut RowErrors,
        row: impl FnMut(usize) -> std::result::Result<Option<i128>, E>,
    ) -> Result<ArrayRef> {
        let SqlType::Decimal { precision, scale } = self.return_type else {
            return Err(Error::internal("a DECIMAL is made for another type"));
        };
        collect_decimals(self.rows, *precision, *scale, errors, row)
    }

    /// The scale of the DECIMALs of argument `at`.
    pub fn scale(&self, at: usize) -> Result<u8> {
        let ty = SqlType::from_arrow(self.arg(at)?.array()?.data_type());
        ty.and_then(|ty| ty.as_decimal()).map(|(_, scale)| scale).ok_or_else(|| Error::internal("a DECIMAL is wanted"))
    }
}
