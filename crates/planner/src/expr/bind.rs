//! The binder: one method a kind of expression.

use std::sync::Arc;

use datafusion::physical_expr::{
    PhysicalExpr,
    expressions::{Column, IsNotNullExpr, IsNullExpr, Literal as LiteralExpr, NotExpr},
};
use functions::{ArgType, Arithmetic, BoundScalar, operator};
use syntax::ast::{BinaryOp, Expr, ExprKind, Ident, Literal, UnaryOp};
use types::{Error, Result, Span, SqlType};

use super::{
    Bound, CallStyle, Context, KernelExpr, Scope,
    case::CaseExpr,
    coerce::cast,
    fold::fold,
    kernel::{KernelArg, unbindable},
    literal,
    logical::LogicalExpr,
    operand::Operand,
    parameter::{PARAMETERS_MAX, ParameterExpr},
    text,
};
use crate::{ddl::resolve_type, plan::BoundExpr};

/// Binds one expression.
pub(crate) struct Binder<'a> {
    pub(super) scope: &'a Scope,
    pub(super) context: &'a Context<'a>,
    /// The lambdas around what is being bound, outermost first.
    pub(super) lambdas: Vec<LambdaScope>,
}

/// A lambda whose body is being bound.
pub(super) struct LambdaScope {
    /// Its parameters: the first columns of its batch.
    pub params: Vec<(String, SqlType)>,
    /// What it captures so far: the columns after them.
    pub captures: Vec<(BoundExpr, SqlType)>,
}

impl<'a> Binder<'a> {
    pub fn new(scope: &'a Scope, context: &'a Context<'a>) -> Binder<'a> {
        Binder { scope, context, lambdas: Vec::new() }
    }

    pub fn bind(&mut self, expr: &Expr) -> Result<Bound> {
        if let Some(intercept) = self.context.intercept
            && self.lambdas.is_empty()
            && let Some(bound) = intercept(expr)?
        {
            return Ok(bound);
        }
        self.bind_kind(expr).map_err(|e| e.at(expr.span))
    }

    fn bind_kind(&mut self, expr: &Expr) -> Result<Bound> {
        match &expr.kind {
            ExprKind::Literal(literal) => self.literal(literal),
            ExprKind::Parameter(number) => self.parameter(*number),
            ExprKind::Column { qualifier, name } => self.column(qualifier.as_ref(), name),
            ExprKind::TimeUnit(unit) => self.column(None, &time_unit_name(unit, expr.span)),
            ExprKind::Unary { op, expr: inner } => self.unary(*op, inner),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right),
            ExprKind::IsNull { expr: inner, negated } => {
                let inner = self.bind(inner)?.expr;
                let test: BoundExpr =
                    if *negated { Arc::new(IsNotNullExpr::new(inner)) } else { Arc::new(IsNullExpr::new(inner)) };
                Ok(boolean(test))
            }
            ExprKind::Between { expr: value, low, high, negated } => self.between(value, low, high, *negated),
            ExprKind::InList { expr: value, list, negated } => self.in_list(value, list, *negated),
            ExprKind::Like { expr: value, pattern, escape, negated } => self.like(value, pattern, *escape, *negated),
            ExprKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())
            }
            ExprKind::Cast { expr: inner, ty } => {
                let to = resolve_type(ty, self.context.types)?;
                let inner = self.bind(inner)?;
                Ok(Bound { expr: cast(inner, &to, false, self.context.parameters)?, ty: Some(to) })
            }
            ExprKind::Call { name, distinct, star, args, filter } => {
                if *distinct || filter.is_some() {
                    let what = if *distinct { "DISTINCT" } else { "FILTER" };
                    return Err(Error::invalid(format!("{what} is for aggregate functions, {} is none", name.value)));
                }
                self.call(name, if *star { &[] } else { args })
            }
            ExprKind::Lambda { .. } => Err(Error::invalid("A lambda can only be an argument of a function")),
            ExprKind::Subscript { base, index } => self.subscript(base, index),
            ExprKind::Deref { base, field } => self.deref(base, field),
            ExprKind::Struct(fields) => self.structure(fields),
            ExprKind::Array(items) => self.array(items),
            ExprKind::Map(entries) => self.map(entries),
        }
    }

    fn literal(&self, literal: &Literal) -> Result<Bound> {
        let (value, ty) = literal::value(literal)?;
        Ok(Bound { expr: Arc::new(LiteralExpr::new(value)), ty })
    }

    fn parameter(&self, number: usize) -> Result<Bound> {
        let Some(parameters) = self.context.parameters else {
            return Err(Error::invalid(format!("${number}: there are no parameters here")));
        };
        if number == 0 || number > PARAMETERS_MAX {
            return Err(Error::invalid(format!("${number}: parameters are $1 to ${PARAMETERS_MAX}")));
        }
        let ty = parameters.used(number);
        Ok(Bound { expr: Arc::new(ParameterExpr { number, ty: ty.clone() }), ty })
    }

    fn column(&mut self, qualifier: Option<&Ident>, name: &Ident) -> Result<Bound> {
        self.column_at(self.lambdas.len(), qualifier, name)
    }

    /// The column as the `depth` outermost lambdas see it; each that has to look further out captures it.
    fn column_at(&mut self, depth: usize, qualifier: Option<&Ident>, name: &Ident) -> Result<Bound> {
        let Some(inner) = depth.checked_sub(1) else {
            let column =
                self.scope.resolve(qualifier, name, self.clause()).map_err(|e| self.dot_hint(e, qualifier, name))?;
            let shown = text::qualified(column.qualifier.as_deref(), &column.name);
            return Ok(Bound::column(&shown, column.position, column.ty.clone()));
        };
        let params = self.lambdas.get(inner).map_or(&[] as &[_], |l| l.params.as_slice());
        if qualifier.is_none()
            && let Some((at, (_, ty))) = params.iter().enumerate().rfind(|(_, (param, _))| *param == name.value)
        {
            return Ok(Bound::column(&text::name(&name.value), at, ty.clone()));
        }
        let outer = self.column_at(inner, qualifier, name)?;
        let (Some(lambda), Some(ty)) = (self.lambdas.get_mut(inner), outer.ty) else {
            return Err(Error::internal("a captured column has no type"));
        };
        let known = lambda.captures.iter().position(|(captured, _)| captured.as_ref() == outer.expr.as_ref());
        let at = known.unwrap_or_else(|| {
            lambda.captures.push((Arc::clone(&outer.expr), ty.clone()));
            lambda.captures.len() - 1
        });
        let shown =
            outer.expr.downcast_ref::<Column>().map_or_else(|| text::name(&name.value), |c| c.name().to_owned());
        Ok(Bound::column(&shown, lambda.params.len() + at, ty))
    }

    pub(super) fn clause(&self) -> &str {
        if self.context.clause.is_empty() { "The" } else { self.context.clause }
    }

    /// `a.b` where `a` is a STRUCT column.
    fn dot_hint(&self, error: Error, qualifier: Option<&Ident>, name: &Ident) -> Error {
        match qualifier {
            Some(q) if self.scope.has(&q.value) && !self.scope.has_qualifier(&q.value) => error.with_hint(format!(
                "{0} is a column; a field of a STRUCT is written {0}->{1}",
                text::name(&q.value),
                text::name(&name.value)
            )),
            _ => error,
        }
    }

    fn unary(&mut self, op: UnaryOp, inner: &Expr) -> Result<Bound> {
        match op {
            UnaryOp::Not => {
                let inner = self.condition(inner, "NOT")?;
                Ok(boolean(Arc::new(NotExpr::new(inner))))
            }
            UnaryOp::Plus => {
                let bound = self.bind(inner)?;
                match &bound.ty {
                    Some(ty) if !ty.is_numeric() => Err(Error::type_mismatch(format!("{ty} has no sign"))),
                    _ => Ok(bound),
                }
            }
            UnaryOp::Minus => {
                if let ExprKind::Literal(literal) = &inner.kind
                    && let Some(negated) = literal::negated(literal)
                {
                    return self.literal(&negated);
                }
                let operand = self.bind(inner)?;
                let bound = operator::bind_negate(&ArgType::Value(operand.ty.clone()))?;
                self.kernel("-", CallStyle::Prefix, vec![operand], bound)
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<Bound> {
        let arithmetic = match op {
            BinaryOp::And | BinaryOp::Or => return self.logical(op == BinaryOp::And, left, right),
            BinaryOp::Concat => {
                let args = vec![self.bind(left)?, self.bind(right)?];
                return self.call_bound("CONCAT", args, left.span.to(right.span));
            }
            BinaryOp::Add => (Arithmetic::Add, "+"),
            BinaryOp::Subtract => (Arithmetic::Subtract, "-"),
            BinaryOp::Multiply => (Arithmetic::Multiply, "*"),
            BinaryOp::Divide => (Arithmetic::Divide, "/"),
            BinaryOp::Modulo => (Arithmetic::Modulo, "%"),
            comparison => return self.comparison(comparison, left, right),
        };
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        // A parameter beside a number is a number of that type.
        let side = |of: &Bound, other: &Bound| {
            let ty = if of.expr.downcast_ref::<ParameterExpr>().is_some() {
                of.ty.as_ref().or(other.ty.as_ref())
            } else {
                of.ty.as_ref()
            };
            ArgType::Value(ty.cloned())
        };
        let bound = operator::bind_arithmetic(arithmetic.0, &side(&left, &right), &side(&right, &left));
        let bound = bound.map_err(|e| {
            let (l, r) = (text::sql(&left.expr), text::sql(&right.expr));
            e.with_detail(format!("the expression is ({l} {} {r})", arithmetic.1))
        })?;
        self.kernel(arithmetic.1, CallStyle::Infix, vec![left, right], bound)
    }

    fn logical(&mut self, and: bool, left: &Expr, right: &Expr) -> Result<Bound> {
        let name = if and { "AND" } else { "OR" };
        let left = self.condition(left, name)?;
        let right = self.condition(right, name)?;
        Ok(boolean(Arc::new(LogicalExpr::new(and, left, right).map_err(unbindable)?)))
    }

    /// An operand that must be BOOLEAN.
    pub(super) fn condition(&mut self, expr: &Expr, of: &str) -> Result<BoundExpr> {
        let bound = self.bind(expr)?;
        match &bound.ty {
            None | Some(SqlType::Boolean) => cast(bound, &SqlType::Boolean, true, self.context.parameters),
            Some(ty) => {
                let shown = text::sql(&bound.expr);
                Err(Error::type_mismatch(format!("{of} takes BOOLEANs, but {shown} is {ty}")).at(expr.span))
            }
        }
    }

    /// A WHERE, a HAVING and the like.
    pub fn predicate(&mut self, expr: &Expr) -> Result<BoundExpr> {
        let clause = self.clause().to_owned();
        self.condition(expr, &clause)
    }

    fn case(&mut self, operand: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result<Bound> {
        let values: Vec<&Expr> = branches.iter().map(|(_, then)| then).chain(otherwise).collect();
        let (values, ty) = self.unify(&values)?;
        let Some(ty) = ty else {
            return Err(Error::type_mismatch("All branches of the CASE are NULL, so it has no type")
                .with_hint("CAST one of them: CAST(NULL AS STRING)"));
        };
        let mut values = values.into_iter();
        let mut bound = Vec::with_capacity(branches.len());
        for (when, _) in branches {
            let condition = match operand {
                None => self.condition(when, "CASE WHEN")?,
                Some(operand) => self.comparison(BinaryOp::Eq, operand, when)?.expr,
            };
            let value = values.next().ok_or_else(|| Error::internal("a CASE lost a branch"))?;
            bound.push((condition, value));
        }
        let expr = CaseExpr::new(bound, values.next(), ty.to_arrow()).map_err(unbindable)?;
        Ok(Bound { expr: fold(Arc::new(expr)), ty: Some(ty) })
    }

    fn subscript(&mut self, base: &Expr, index: &Expr) -> Result<Bound> {
        let (base, index) = (self.bind(base)?, self.bind(index)?);
        let bound = operator::bind_subscript(&ArgType::Value(base.ty.clone()), &ArgType::Value(index.ty.clone()))?;
        self.kernel("[]", CallStyle::Subscript, vec![base, index], bound)
    }

    fn deref(&mut self, base: &Expr, field: &Ident) -> Result<Bound> {
        let base = self.bind(base)?;
        self.field(base, field)
    }

    /// `base->field`.
    pub fn field(&mut self, base: Bound, field: &Ident) -> Result<Bound> {
        let Some(ty) = &base.ty else {
            return Err(Error::type_mismatch(format!("NULL has no field '{}'", field.value)).at(field.span));
        };
        let bound = operator::bind_field(ty, &field.value).map_err(|e| {
            let shown = text::sql(&base.expr);
            e.context(shown).at(field.span)
        })?;
        self.kernel(&field.value, CallStyle::Deref, vec![base], bound)
    }

    /// A call of `bound` with `args` cast to what it takes.
    pub(super) fn kernel(&self, name: &str, style: CallStyle, args: Vec<Bound>, bound: BoundScalar) -> Result<Bound> {
        let mut operands = Vec::with_capacity(args.len());
        for (at, arg) in args.into_iter().enumerate() {
            let expr = match bound.arg_types.get(at) {
                Some(ArgType::Value(Some(to))) => cast(arg, to, false, self.context.parameters)?,
                _ => arg.expr,
            };
            operands.push(KernelArg::Value(Operand::new(expr).map_err(unbindable)?));
        }
        let ty = bound.return_type.clone();
        let call = KernelExpr::new(name, style, operands, bound.kernel, bound.return_type, bound.deterministic);
        Ok(Bound { expr: fold(Arc::new(call)), ty: Some(ty) })
    }
}

/// A BOOLEAN, folded if it is constant.
pub(super) fn boolean(expr: Arc<dyn PhysicalExpr>) -> Bound {
    Bound { expr: fold(expr), ty: Some(SqlType::Boolean) }
}

/// A unit of time that stands where a value is wanted is the column of that name.
pub(super) fn time_unit_name(unit: &str, span: Span) -> Ident {
    Ident { value: unit.to_owned(), quoted: false, span }
}
