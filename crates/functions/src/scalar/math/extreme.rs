//! What `GREATEST` and `LEAST` share: the overloads, and the choice.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef};
use types::{Error, ErrorKind, Result, SqlType};

use crate::{
    Arg, ArgType, BoundScalar, FunctionDoc, RowErrors, ScalarFunction,
    kernel::{closure, pick, row_count},
    operator::{common_type, compare_values},
    overload::{Param, Shape, describe, resolve},
};

/// `GREATEST` or `LEAST`.
pub struct Extreme {
    pub(super) doc: &'static FunctionDoc,
    /// What a better value is, compared with the best so far.
    pub(super) better: Ordering,
}

/// One overload a type: the types that have an order.
static SHAPES: &[Shape] = &[
    Shape::variadic(&[Param::Int], Param::Int),
    Shape::variadic(&[Param::BigInt], Param::BigInt),
    Shape::variadic(&[Param::Decimal], Param::Decimal),
    Shape::variadic(&[Param::Double], Param::Double),
    Shape::variadic(&[Param::String], Param::String),
    Shape::variadic(&[Param::Bytes], Param::Bytes),
    Shape::variadic(&[Param::Date], Param::Date),
    Shape::variadic(&[Param::Time], Param::Time),
    Shape::variadic(&[Param::Timestamp], Param::Timestamp),
];

impl ScalarFunction for Extreme {
    fn doc(&self) -> &'static FunctionDoc {
        self.doc
    }

    fn bind(&self, args: &[ArgType]) -> Result<BoundScalar> {
        let resolved = resolve(self.doc.name, SHAPES, args)?;
        if self.is_ambiguous(args) {
            let given: Vec<String> = args.iter().map(describe).collect();
            let (name, given) = (self.doc.name, given.join(", "));
            let text = format!("Function '{name}' is ambiguous for ({given}): several overloads fit equally well");
            return Err(Error::new(ErrorKind::User, "42725", text).with_hint("CAST the arguments to one type"));
        }
        let types: Vec<Option<SqlType>> = (0..args.len()).map(|at| Some(resolved.value(at))).collect();
        let is_null = |at: &usize| matches!(args.get(*at), Some(ArgType::Value(None)));
        let known = types.iter().enumerate().filter(|(at, _)| !is_null(at)).map(|(_, ty)| ty.clone());
        let ty = common_type(&known.collect::<Vec<_>>())?.unwrap_or(SqlType::String);
        let better = self.better;
        let kernel = closure(move |args: &[Arg], rows, _: &mut RowErrors| choose(args, rows, better));
        let arg_types = vec![ArgType::Value(Some(ty.clone())); args.len()];
        Ok(BoundScalar { arg_types, return_type: ty, kernel, deterministic: true })
    }
}

impl Extreme {
    /// Nothing but NULLs, or numbers of several types that more than one numeric overload could take: which one is
    /// meant must be said. (With a DOUBLE among them only DOUBLE can be meant.)
    fn is_ambiguous(&self, args: &[ArgType]) -> bool {
        let known: Vec<&SqlType> =
            args.iter().filter_map(|a| if let ArgType::Value(ty) = a { ty.as_ref() } else { None }).collect();
        let kind = |ty: &SqlType| std::mem::discriminant(ty);
        let mixed = known.windows(2).any(|w| matches!(w, [a, b] if kind(a) != kind(b)));
        known.is_empty() || (mixed && known.iter().all(|ty| ty.is_numeric() && **ty != SqlType::Double))
    }
}

fn choose(args: &[Arg], rows: usize, better: Ordering) -> Result<ArrayRef> {
    let arrays: Vec<&ArrayRef> = args.iter().map(Arg::array).collect::<Result<_>>()?;
    let at = |arg: usize, row: usize| if args.get(arg).is_some_and(Arg::is_constant) { 0 } else { row };
    pick(args, row_count(args, rows), |row| {
        let mut best: Option<(usize, &ArrayRef)> = None;
        for (arg, array) in arrays.iter().enumerate() {
            if at(arg, row) >= array.len() || array.is_null(at(arg, row)) {
                continue;
            }
            let beats = |(other, known): (usize, &ArrayRef)| {
                compare_values(array, at(arg, row), known, at(other, row)) == Some(better)
            };
            if best.is_none_or(beats) {
                best = Some((arg, array));
            }
        }
        best.map(|(arg, _)| arg)
    })
}
