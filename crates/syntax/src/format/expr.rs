//! Expressions as text.

use std::fmt::{self, Display, Formatter};

use super::{Commas, is_plain, when};
use crate::{
    ast::{BinaryOp, Expr, ExprKind, Ident, UnaryOp},
    expr::{Power, power},
    keywords::is_reserved,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
            BinaryOp::Concat => "||",
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "<>",
            BinaryOp::Lt => "<",
            BinaryOp::LtEq => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::GtEq => ">=",
            BinaryOp::IsDistinct => "IS DISTINCT FROM",
            BinaryOp::IsNotDistinct => "IS NOT DISTINCT FROM",
            BinaryOp::And => "AND",
            BinaryOp::Or => "OR",
        })
    }
}

/// An expression where operators must bind at least as tightly as the power: in brackets if they do not.
pub(super) struct AtLeast<'a>(pub(super) Power, pub(super) &'a Expr);

impl Display for AtLeast<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match power_of(&self.1.kind) >= self.0 {
            true => self.1.fmt(f),
            false => write!(f, "({})", self.1),
        }
    }
}

fn power_of(kind: &ExprKind) -> Power {
    match kind {
        ExprKind::Lambda { .. } => Power::Any,
        ExprKind::Binary { op, .. } => power(*op),
        ExprKind::Unary { op: UnaryOp::Not, .. } => Power::Not,
        ExprKind::Unary { .. } => Power::Sign,
        ExprKind::IsNull { .. } | ExprKind::Between { .. } | ExprKind::InList { .. } | ExprKind::Like { .. } => {
            Power::Comparison
        }
        _ => Power::Operand,
    }
}

impl Display for ExprKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let value = |expr| AtLeast(Power::Concat, expr);
        let not = |negated: &bool| when(*negated, "NOT ");
        match self {
            ExprKind::Literal(literal) => literal.fmt(f),
            ExprKind::Parameter(number) => write!(f, "${number}"),
            ExprKind::Column { qualifier: None, name } => name.fmt(f),
            ExprKind::Column { qualifier: Some(qualifier), name } => write!(f, "{qualifier}.{name}"),
            ExprKind::Unary { op, expr } => unary(f, *op, expr),
            ExprKind::Binary { op, left, right } => binary(f, *op, left, right),
            ExprKind::IsNull { expr, negated } => write!(f, "{} IS {}NULL", value(expr), not(negated)),
            ExprKind::Between { expr, low, high, negated } => {
                write!(f, "{} {}BETWEEN {} AND {}", value(expr), not(negated), value(low), value(high))
            }
            ExprKind::InList { expr, list, negated } => {
                write!(f, "{} {}IN ({})", value(expr), not(negated), Commas(list))
            }
            ExprKind::Like { expr, pattern, escape, negated } => {
                write!(f, "{} {}LIKE {}", value(expr), not(negated), value(pattern))?;
                match escape {
                    Some('\'') => f.write_str(" ESCAPE ''''"),
                    Some(escape) => write!(f, " ESCAPE '{escape}'"),
                    None => Ok(()),
                }
            }
            ExprKind::Case { operand, branches, otherwise } => {
                case(f, operand.as_deref(), branches, otherwise.as_deref())
            }
            ExprKind::Cast { expr, ty } => write!(f, "CAST({expr} AS {ty})"),
            ExprKind::Call { name, distinct, star, args, filter } => {
                function_name(f, name)?;
                write!(f, "({}{}{})", when(*distinct, "DISTINCT "), when(*star, "*"), Commas(args))?;
                match filter {
                    Some(filter) => write!(f, " FILTER (WHERE {filter})"),
                    None => Ok(()),
                }
            }
            ExprKind::Lambda { params, body } => match params.as_slice() {
                [only] => write!(f, "{only} => {body}"),
                params => write!(f, "({}) => {body}", Commas(params)),
            },
            ExprKind::Subscript { base, index } => write!(f, "{}[{index}]", AtLeast(Power::Operand, base)),
            ExprKind::Deref { base, field } => write!(f, "{}->{field}", AtLeast(Power::Operand, base)),
            ExprKind::Struct(fields) => pairs(f, "STRUCT", fields),
            ExprKind::Map(entries) => pairs(f, "MAP", entries),
            ExprKind::Array(items) => write!(f, "ARRAY[{}]", Commas(items)),
            ExprKind::TimeUnit(unit) => f.write_str(unit),
        }
    }
}

fn unary(f: &mut Formatter<'_>, op: UnaryOp, expr: &Expr) -> fmt::Result {
    match op {
        UnaryOp::Not => write!(f, "NOT {}", AtLeast(Power::Not, expr)),
        UnaryOp::Plus => write!(f, "+{}", AtLeast(Power::Sign, expr)),
        UnaryOp::Minus => {
            let operand = AtLeast(Power::Sign, expr).to_string();
            // `--` is a comment, and `-1` a constant rather than an operator.
            match operand.starts_with(|c: char| c == '-' || c == '.' || c.is_ascii_digit()) {
                true => write!(f, "-({operand})"),
                false => write!(f, "-{operand}"),
            }
        }
    }
}

fn binary(f: &mut Formatter<'_>, op: BinaryOp, left: &Expr, right: &Expr) -> fmt::Result {
    let own = power(op);
    let (least_left, least_right) = match op {
        // However a row of them is nested, it means the same.
        BinaryOp::And | BinaryOp::Or => (own, own),
        _ if own == Power::Comparison => (Power::Concat, Power::Concat),
        _ => (own, own.tighter()),
    };
    write!(f, "{} {op} {}", AtLeast(least_left, left), AtLeast(least_right, right))
}

fn case(
    f: &mut Formatter<'_>,
    operand: Option<&Expr>,
    branches: &[(Expr, Expr)],
    otherwise: Option<&Expr>,
) -> fmt::Result {
    f.write_str("CASE")?;
    if let Some(operand) = operand {
        write!(f, " {operand}")?;
    }
    for (when, then) in branches {
        write!(f, " WHEN {when} THEN {then}")?;
    }
    if let Some(otherwise) = otherwise {
        write!(f, " ELSE {otherwise}")?;
    }
    f.write_str(" END")
}

fn pairs<K: Display>(f: &mut Formatter<'_>, name: &str, pairs: &[(K, Expr)]) -> fmt::Result {
    write!(f, "{name}(")?;
    for (i, (key, value)) in pairs.iter().enumerate() {
        write!(f, "{}{key} := {value}", if i == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}

/// A bracket follows a function's name, so that almost every keyword can stand bare.
fn function_name(f: &mut Formatter<'_>, name: &Ident) -> fmt::Result {
    let value = name.value.as_str();
    let bare = matches!(value, "LEFT" | "RIGHT")
        || is_plain(value) && !is_reserved(value) && !matches!(value, "STRUCT" | "MAP");
    if bare { f.write_str(value) } else { f.write_str(&types::quote_ident(value)) }
}
