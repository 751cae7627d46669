//! Conversions that need no CAST, and the one type of several expressions.
//!
//! The first expression that has a type decides what kind the others must be; numbers widen to a type that holds them
//! all. Literals are more willing than other expressions: a text is any value that it can be read as, and any literal
//! is a text; constructors convert element by element. So conversion looks at what was typed, not only at types.

use std::sync::Arc;

use datafusion::{common::ScalarValue, physical_expr::expressions::Literal as LiteralExpr};
use functions::operator;
use syntax::ast::{Expr, ExprKind, Literal};
use types::{Error, ErrorKind, Result, SqlType};

use super::{
    Bound, CallStyle, KernelExpr, Parameters,
    bind::Binder,
    fold::fold,
    kernel::{KernelArg, unbindable},
    literal,
    operand::{Operand, from_datafusion},
    parameter::ParameterExpr,
    text,
};
use crate::plan::BoundExpr;

/// `bound` as a value of type `to`.
pub(super) fn cast(bound: Bound, to: &SqlType, implicit: bool, parameters: Option<&Parameters>) -> Result<BoundExpr> {
    let Some(from) = &bound.ty else { return untyped(bound, to, implicit, parameters) };
    if from == to {
        return Ok(bound.expr);
    }
    if implicit && !operator::implicitly_castable(from, to) {
        let shown = text::sql(&bound.expr);
        return Err(Error::type_mismatch(format!("{shown} is {from} where {to} is expected"))
            .with_hint(format!("CAST({shown} AS {to}) converts it, if it can be")));
    }
    let scalar = operator::bind_cast(Some(from), to, implicit)?;
    let operand = KernelArg::Value(Operand::new(bound.expr).map_err(unbindable)?);
    let call = KernelExpr::new("CAST", CallStyle::Cast, vec![operand], scalar.kernel, to.clone(), scalar.deterministic);
    Ok(fold(Arc::new(call)))
}

/// The literal NULL, or a parameter of which nothing was known.
fn untyped(bound: Bound, to: &SqlType, implicit: bool, parameters: Option<&Parameters>) -> Result<BoundExpr> {
    if let Some(parameter) = bound.expr.downcast_ref::<ParameterExpr>() {
        let number = parameter.number;
        let ty = parameters.map_or_else(|| to.clone(), |p| p.settle(number, to));
        let expr: BoundExpr = Arc::new(ParameterExpr { number, ty: Some(ty.clone()) });
        return cast(Bound { expr, ty: Some(ty) }, to, implicit, parameters);
    }
    let null = ScalarValue::try_from(&to.to_arrow()).map_err(from_datafusion)?;
    Ok(Arc::new(LiteralExpr::new(null)))
}

impl Binder<'_> {
    /// Bind `exprs` and convert them to one type; `None`: none of them has a type.
    pub(super) fn unify(&mut self, exprs: &[&Expr]) -> Result<(Vec<BoundExpr>, Option<SqlType>)> {
        let bound = exprs.iter().map(|e| self.bind(e)).collect::<Result<Vec<_>>>()?;
        let mut common: Option<SqlType> = None;
        for (expr, bound) in exprs.iter().zip(&bound) {
            common = match (common, &bound.ty) {
                (common, None) => common,
                (None, Some(ty)) => Some(ty.clone()),
                (Some(common), Some(ty)) => {
                    let shown = || text::sql(&bound.expr);
                    Some(widened(&common, expr, ty, &shown).map_err(|e| e.at(expr.span))?)
                }
            };
        }
        let Some(ty) = common else {
            return Ok((bound.into_iter().map(|b| b.expr).collect(), None));
        };
        let mut converted = Vec::with_capacity(bound.len());
        for (expr, bound) in exprs.iter().zip(bound) {
            converted.push(self.coerce_bound(expr, Some(bound), &ty, true)?);
        }
        Ok((converted, Some(ty)))
    }

    /// Bind `expr` as a `target`.
    pub fn coerce(&mut self, expr: &Expr, target: &SqlType, implicit: bool) -> Result<BoundExpr> {
        self.coerce_bound(expr, None, target, implicit).map_err(|e| e.at(expr.span))
    }

    fn coerce_bound(
        &mut self,
        expr: &Expr,
        bound: Option<Bound>,
        target: &SqlType,
        implicit: bool,
    ) -> Result<BoundExpr> {
        if let Some(bound) = &bound
            && bound.ty.as_ref() == Some(target)
        {
            return Ok(Arc::clone(&bound.expr));
        }
        match (&expr.kind, target) {
            (ExprKind::Literal(Literal::Null), _) => {}
            (ExprKind::Literal(Literal::String(typed)), target) if *target != SqlType::String => {
                return text_as(typed, target);
            }
            (ExprKind::Literal(_), SqlType::String) => {
                let bound = self.bind(expr)?;
                return cast(bound, target, false, self.context.parameters);
            }
            (ExprKind::Array(items), SqlType::Array(element)) => {
                let items = items.iter().map(|i| self.coerce(i, element, implicit)).collect::<Result<Vec<_>>>()?;
                return Ok(self.make_array(items, element)?.expr);
            }
            (ExprKind::Map(entries), SqlType::Map(key, value)) => {
                let mut converted = Vec::with_capacity(entries.len() * 2);
                for (k, v) in entries {
                    converted.push(self.coerce(k, key, implicit)?);
                    converted.push(self.coerce(v, value, implicit)?);
                }
                return Ok(self.make_map(converted, key, value)?.expr);
            }
            (ExprKind::Struct(given), SqlType::Struct(fields)) => {
                return self.coerce_struct(given, fields, target, implicit);
            }
            _ => {}
        }
        let bound = match bound {
            Some(bound) => bound,
            None => self.bind(expr)?,
        };
        cast(bound, target, implicit, self.context.parameters)
    }

    fn coerce_struct(
        &mut self,
        given: &[(syntax::ast::Ident, Expr)],
        fields: &[types::StructField],
        target: &SqlType,
        implicit: bool,
    ) -> Result<BoundExpr> {
        if !self.context.lenient_structs
            && let Some((unknown, _)) = given.iter().find(|(name, _)| fields.iter().all(|f| f.name != name.value))
        {
            let message = format!("{target} has no field '{}'", unknown.value);
            return Err(Error::undefined_column(message).at(unknown.span));
        }
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            values.push(match given.iter().find(|(name, _)| name.value == field.name) {
                Some((_, value)) => self.coerce(value, &field.ty, implicit)?,
                None => {
                    let null: BoundExpr = Arc::new(LiteralExpr::new(ScalarValue::Null));
                    cast(Bound { expr: null, ty: None }, &field.ty, implicit, None)?
                }
            });
        }
        Ok(self.make_struct(values, target)?.expr)
    }
}

/// A text as the value of type `target` that it is.
fn text_as(typed: &str, target: &SqlType) -> Result<BoundExpr> {
    let value = literal::from_text(typed, target).ok_or_else(|| invalid_text(typed, target))?;
    let value = ScalarValue::try_from_array(&value, 0).map_err(from_datafusion)?;
    Ok(Arc::new(LiteralExpr::new(value)))
}

fn invalid_text(typed: &str, target: &SqlType) -> Error {
    Error::bad_value(format!("invalid input syntax for type {target}: \"{typed}\""))
}

/// The type that holds `common` and also `expr`, which is of type `ty`.
fn widened(common: &SqlType, expr: &Expr, ty: &SqlType, shown: &dyn Fn() -> String) -> Result<SqlType> {
    if common == ty {
        return Ok(ty.clone());
    }
    if let Ok(Some(both)) = operator::common_type(&[Some(common.clone()), Some(ty.clone())]) {
        return Ok(both);
    }
    let element = |common: &SqlType, item: &Expr, fallback: &SqlType| {
        let ty = match &item.kind {
            ExprKind::Literal(Literal::Null) => return Ok(common.clone()),
            ExprKind::Literal(literal) => literal::value(literal)?.1.unwrap_or_else(|| fallback.clone()),
            _ => fallback.clone(),
        };
        widened(common, item, &ty, shown)
    };
    match (common, &expr.kind, ty) {
        (SqlType::String, ExprKind::Literal(_), _) => return Ok(SqlType::String),
        (common, ExprKind::Literal(Literal::String(typed)), _) if common.is_numeric() => {
            let (_, number) = literal::number(typed).ok_or_else(|| invalid_text(typed, common))?;
            return widened(common, expr, &number, shown);
        }
        (common, ExprKind::Literal(Literal::String(typed)), _) => {
            let readable = *common == SqlType::Boolean || *common == SqlType::Bytes || common.is_temporal();
            if readable && literal::from_text(typed, common).is_some() {
                return Ok(common.clone());
            }
            if readable {
                return Err(invalid_text(typed, common));
            }
        }
        (SqlType::Array(common), ExprKind::Array(items), SqlType::Array(ty)) => {
            let mut union = common.as_ref().clone();
            for item in items {
                union = element(&union, item, ty)?;
            }
            return Ok(SqlType::Array(Box::new(union)));
        }
        (SqlType::Map(common_key, common_value), ExprKind::Map(entries), SqlType::Map(key, value)) => {
            let (mut key_union, mut value_union) = (common_key.as_ref().clone(), common_value.as_ref().clone());
            for (k, v) in entries {
                key_union = element(&key_union, k, key)?;
                value_union = element(&value_union, v, value)?;
            }
            return Ok(SqlType::Map(Box::new(key_union), Box::new(value_union)));
        }
        (SqlType::Struct(common), ExprKind::Struct(given), SqlType::Struct(fields)) => {
            let mut union = common.clone();
            for (field, (_, value)) in fields.iter().zip(given) {
                match union.iter_mut().find(|u| u.name == field.name) {
                    Some(same) => same.ty = element(&same.ty, value, &field.ty)?,
                    None => union.push(field.clone()),
                }
            }
            return Ok(SqlType::Struct(union));
        }
        _ => {}
    }
    let message = format!("operator does not exist: {common} = {ty} ({})", shown());
    Err(Error::new(ErrorKind::User, "42883", message).with_hint("an explicit CAST may make the types agree"))
}
