//! Calls of scalar functions, lambdas, and constructors.

use std::sync::Arc;

use functions::{ArgType, BoundScalar, ScalarFunction};
use syntax::ast::{Expr, ExprKind, Ident};
use types::{Error, Result, Span, SqlType, StructField, did_you_mean};

use super::{
    Bound, CallStyle, KernelExpr,
    bind::{Binder, LambdaScope, time_unit_name},
    coerce::cast,
    construct::{MakeArray, MakeMap, MakeStruct},
    fold::fold,
    kernel::{KernelArg, unbindable},
    lambda::Lambda,
    operand::Operand,
};
use crate::plan::BoundExpr;

/// An argument of a call while it is being bound.
enum Argument<'e> {
    Value(Bound),
    Unit(String, Span),
    /// Parameters and body, not bound yet.
    Lambda(&'e [Ident], &'e Expr),
    BoundLambda(Lambda),
}

impl Binder<'_> {
    pub(super) fn call(&mut self, name: &Ident, args: &[Expr]) -> Result<Bound> {
        let function = lookup(&name.value, name.span)?;
        let mut arguments = Vec::with_capacity(args.len());
        for arg in args {
            arguments.push(match &arg.kind {
                ExprKind::TimeUnit(unit) => Argument::Unit(unit.clone(), arg.span),
                ExprKind::Lambda { params, body } => Argument::Lambda(params, body),
                _ => Argument::Value(self.bind(arg)?),
            });
        }
        self.call_with(function, arguments)
    }

    /// A call of the function `name` with bound values.
    pub(super) fn call_bound(&mut self, name: &str, args: Vec<Bound>, span: Span) -> Result<Bound> {
        let function = lookup(name, span)?;
        self.call_with(function, args.into_iter().map(Argument::Value).collect())
    }

    fn call_with(&mut self, function: &dyn ScalarFunction, mut args: Vec<Argument<'_>>) -> Result<Bound> {
        let mut types: Vec<ArgType> = args.iter().map(arg_type).collect();
        for at in 0..args.len() {
            let Some(Argument::Lambda(params, body)) = args.get(at) else { continue };
            let param_types = function.lambda_params(at, &types)?;
            let (lambda, ty) = self.lambda(params, &param_types, body)?;
            if let (Some(slot), Some(arg)) = (types.get_mut(at), args.get_mut(at)) {
                *slot = ArgType::Lambda(param_types, ty);
                *arg = Argument::BoundLambda(lambda);
            }
        }
        let bound = match function.bind(&types) {
            Ok(bound) => bound,
            Err(error) => match self.units_as_columns(&mut args) {
                true => function.bind(&args.iter().map(arg_type).collect::<Vec<_>>())?,
                false => return Err(error),
            },
        };
        self.finish_call(function.doc().name, args, bound)
    }

    /// A column may have a unit's name: whether one was meant, now bound as such.
    fn units_as_columns(&mut self, args: &mut [Argument<'_>]) -> bool {
        let mut changed = false;
        for arg in args {
            if let Argument::Unit(unit, span) = arg {
                let name = time_unit_name(unit, *span);
                let span = *span;
                let column = Expr { kind: ExprKind::Column { qualifier: None, name }, span };
                if let Ok(bound) = self.bind(&column) {
                    *arg = Argument::Value(bound);
                    changed = true;
                }
            }
        }
        changed
    }

    fn finish_call(&mut self, name: &str, args: Vec<Argument<'_>>, bound: BoundScalar) -> Result<Bound> {
        let mut kernel_args = Vec::with_capacity(args.len());
        for (at, arg) in args.into_iter().enumerate() {
            kernel_args.push(match (arg, bound.arg_types.get(at)) {
                (Argument::Value(value), Some(ArgType::Value(Some(to)))) => {
                    let cast = cast(value, to, false, self.context.parameters)?;
                    KernelArg::Value(Operand::new(cast).map_err(unbindable)?)
                }
                (Argument::Value(value), _) => KernelArg::Value(Operand::new(value.expr).map_err(unbindable)?),
                (Argument::Unit(unit, _), _) => KernelArg::TimeUnit(unit),
                (Argument::BoundLambda(lambda), _) => KernelArg::Lambda(lambda),
                (Argument::Lambda(..), _) => return Err(Error::internal("a lambda was not bound")),
            });
        }
        let ty = bound.return_type.clone();
        let style = CallStyle::Function;
        let call = KernelExpr::new(name, style, kernel_args, bound.kernel, bound.return_type, bound.deterministic);
        Ok(Bound { expr: fold(Arc::new(call)), ty: Some(ty) })
    }

    fn lambda(&mut self, params: &[Ident], types: &[SqlType], body: &Expr) -> Result<(Lambda, Option<SqlType>)> {
        if params.len() != types.len() {
            let message = format!("The lambda has {} parameters where {} are given to it", params.len(), types.len());
            return Err(Error::type_mismatch(message).at(body.span));
        }
        if let Some((at, twice)) =
            params.iter().enumerate().find(|(at, p)| params.iter().take(*at).any(|q| q.value == p.value))
        {
            let message = format!("Parameter {} of the lambda has the name of another: '{}'", at + 1, twice.value);
            return Err(Error::invalid(message).at(twice.span));
        }
        let params: Vec<(String, SqlType)> =
            params.iter().zip(types).map(|(name, ty)| (name.value.clone(), ty.clone())).collect();
        self.lambdas.push(LambdaScope { params, captures: Vec::new() });
        let body = self.bind(body);
        let scope = self.lambdas.pop().ok_or_else(|| Error::internal("a lambda's scope was lost"))?;
        let body = body?;
        let captures = scope.captures.into_iter().map(|(expr, ty)| Ok((Operand::new(expr)?, ty)));
        let captures = captures.collect::<datafusion::common::Result<Vec<_>>>().map_err(unbindable)?;
        let ty = body.ty.clone();
        // A body that is NULL has some type all the same: the kernel only sees NULLs.
        let body = match &body.ty {
            Some(_) => body.expr,
            None => cast(body, &SqlType::String, false, self.context.parameters)?,
        };
        Ok((Lambda::new(scope.params, captures, body), ty))
    }

    pub(super) fn array(&mut self, items: &[Expr]) -> Result<Bound> {
        let (items, ty) = self.unify(&items.iter().collect::<Vec<_>>())?;
        let Some(element) = ty else {
            let what = if items.is_empty() { "is empty" } else { "has only NULL elements" };
            return Err(Error::type_mismatch(format!("Cannot construct an array that {what}: its type is unknown"))
                .with_hint("CAST an element to the type that is meant: ARRAY[CAST(NULL AS INT)]"));
        };
        self.make_array(items, &element)
    }

    pub(super) fn map(&mut self, entries: &[(Expr, Expr)]) -> Result<Bound> {
        if entries.is_empty() {
            return Err(Error::type_mismatch("A map constructor cannot be empty: its type is unknown")
                .with_hint("give it at least one pair: MAP('key' := 1)"));
        }
        let (keys, key) = self.unify(&entries.iter().map(|(k, _)| k).collect::<Vec<_>>())?;
        let (values, value) = self.unify(&entries.iter().map(|(_, v)| v).collect::<Vec<_>>())?;
        let (Some(key), Some(value)) = (&key, &value) else {
            let what = if key.is_none() { "keys" } else { "values" };
            return Err(Error::type_mismatch(format!(
                "Cannot construct a map with all NULL {what}: its type is unknown"
            ))
            .with_hint("CAST one to the type that is meant: CAST(NULL AS INT)"));
        };
        let entries = keys.into_iter().zip(values).flat_map(|(k, v)| [k, v]).collect();
        self.make_map(entries, key, value)
    }

    pub(super) fn structure(&mut self, fields: &[(Ident, Expr)]) -> Result<Bound> {
        let (mut values, mut types): (Vec<BoundExpr>, Vec<StructField>) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            if types.iter().any(|f| f.name == name.value) {
                let message = format!("The STRUCT has two fields of the name '{}'", name.value);
                return Err(Error::invalid(message).at(name.span));
            }
            let bound = self.bind(value)?;
            let ty = match &bound.ty {
                Some(ty) => ty.clone(),
                None if bound.is_null_literal() => {
                    let message = format!("Field '{}' of the STRUCT is NULL and has no type", name.value);
                    return Err(Error::type_mismatch(message)
                        .at(value.span)
                        .with_hint("CAST it to the type that is meant: CAST(NULL AS INT)"));
                }
                None => SqlType::String,
            };
            values.push(cast(bound, &ty, true, self.context.parameters)?);
            types.push(StructField { name: name.value.clone(), ty });
        }
        self.make_struct(values, &SqlType::Struct(types))
    }

    pub(super) fn make_array(&self, items: Vec<BoundExpr>, element: &SqlType) -> Result<Bound> {
        let kernel = Arc::new(MakeArray { element: element.clone() });
        construct("ARRAY", CallStyle::Array, items, kernel, SqlType::Array(Box::new(element.clone())))
    }

    pub(super) fn make_map(&self, entries: Vec<BoundExpr>, key: &SqlType, value: &SqlType) -> Result<Bound> {
        let kernel = Arc::new(MakeMap { key: key.clone(), value: value.clone() });
        let ty = SqlType::Map(Box::new(key.clone()), Box::new(value.clone()));
        construct("MAP", CallStyle::Map, entries, kernel, ty)
    }

    pub(super) fn make_struct(&self, values: Vec<BoundExpr>, ty: &SqlType) -> Result<Bound> {
        let names = match ty {
            SqlType::Struct(fields) => fields.iter().map(|f| f.name.clone()).collect(),
            _ => Vec::new(),
        };
        let kernel = Arc::new(MakeStruct { ty: ty.clone() });
        construct("STRUCT", CallStyle::Struct(names), values, kernel, ty.clone())
    }
}

fn construct(
    name: &str,
    style: CallStyle,
    values: Vec<BoundExpr>,
    kernel: Arc<dyn functions::ScalarKernel>,
    ty: SqlType,
) -> Result<Bound> {
    let args = values.into_iter().map(|v| Ok(KernelArg::Value(Operand::new(v)?)));
    let args = args.collect::<datafusion::common::Result<Vec<_>>>().map_err(unbindable)?;
    let call = KernelExpr::new(name, style, args, kernel, ty.clone(), true);
    Ok(Bound { expr: fold(Arc::new(call)), ty: Some(ty) })
}

fn arg_type(arg: &Argument<'_>) -> ArgType {
    match arg {
        Argument::Value(bound) => ArgType::Value(bound.ty.clone()),
        Argument::Unit(unit, _) => ArgType::TimeUnit(unit.clone()),
        Argument::Lambda(params, _) => ArgType::UnboundLambda(params.len()),
        Argument::BoundLambda(lambda) => ArgType::UnboundLambda(lambda.params.len()),
    }
}

/// The scalar function of that name; the error says what else the name is, or what may have been meant.
fn lookup(name: &str, span: Span) -> Result<&'static dyn ScalarFunction> {
    if let Some(function) = functions::scalar::lookup(name) {
        return Ok(function);
    }
    if functions::aggregate::lookup(name).is_some() {
        let message = format!("{name} is an aggregate function and cannot be used here");
        return Err(Error::new(types::ErrorKind::User, "42803", message).at(span));
    }
    if functions::table::lookup(name).is_some() {
        let message = format!("{name} is a table function: it can only stand in the SELECT list of a continuous query");
        return Err(Error::invalid(message).at(span));
    }
    let known = functions::all().map(|(doc, _)| doc.name);
    let error = Error::undefined_function(format!("Can't find any functions with the name '{name}'")).at(span);
    Err(match did_you_mean(name, known) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("SHOW FUNCTIONS; lists them all"),
    })
}
