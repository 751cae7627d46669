//! Expressions of the tree as text: what error messages quote, and what tells whether two expressions are the same.
//!
//! ksqlDB compares `GROUP BY` and `PARTITION BY` expressions with those of the projection as trees, so that `A + B` is
//! not `B + A`, whatever spaces and brackets were typed. Resolved trees (see [`super::resolve`]) have every column
//! qualified, so equal texts are equal meanings.

use syntax::ast::{BinaryOp, Expr, ExprKind, Ident, Literal, TypeKind, TypeName, UnaryOp};

use crate::expr::name_text as name;

/// Whether columns are written with the source that they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `A`.
    Short,
    /// `S.A`.
    Qualified,
}

/// What identifies an expression.
pub(super) fn identity(expr: &Expr) -> String {
    write(expr, Style::Qualified)
}

/// `expr` as SQL.
pub(super) fn write(expr: &Expr, style: Style) -> String {
    let w = |e: &Expr| write(e, style);
    match &expr.kind {
        ExprKind::Literal(value) => literal(value),
        ExprKind::Parameter(n) => format!("${n}"),
        ExprKind::Column { qualifier: Some(qualifier), name: column } if style == Style::Qualified => {
            format!("{}.{}", name(&qualifier.value), name(&column.value))
        }
        ExprKind::Column { name: column, .. } => name(&column.value),
        ExprKind::Unary { op, expr } => match op {
            UnaryOp::Minus => format!("-{}", w(expr)),
            UnaryOp::Plus => format!("+{}", w(expr)),
            UnaryOp::Not => format!("(NOT {})", w(expr)),
        },
        ExprKind::Binary { op, left, right } => format!("({} {} {})", w(left), operator(*op), w(right)),
        ExprKind::IsNull { expr, negated } => format!("({} IS {}NULL)", w(expr), not(*negated)),
        ExprKind::Between { expr, low, high, negated } => {
            format!("({} {}BETWEEN {} AND {})", w(expr), not(*negated), w(low), w(high))
        }
        ExprKind::InList { expr, list, negated } => format!("({} {}IN ({}))", w(expr), not(*negated), all(list, style)),
        ExprKind::Like { expr, pattern, escape, negated } => {
            let escape = escape.map(|c| format!(" ESCAPE '{c}'")).unwrap_or_default();
            format!("({} {}LIKE {}{escape})", w(expr), not(*negated), w(pattern))
        }
        ExprKind::Case { operand, branches, otherwise } => {
            let mut out = String::from("(CASE");
            if let Some(operand) = operand {
                out.push_str(&format!(" {}", w(operand)));
            }
            for (when, then) in branches {
                out.push_str(&format!(" WHEN {} THEN {}", w(when), w(then)));
            }
            if let Some(otherwise) = otherwise {
                out.push_str(&format!(" ELSE {}", w(otherwise)));
            }
            out + " END)"
        }
        ExprKind::Cast { expr, ty } => format!("CAST({} AS {})", w(expr), type_name(ty)),
        ExprKind::Call { name: function, distinct, star, args, filter } => {
            let args = if *star { "*".to_owned() } else { all(args, style) };
            let distinct = if *distinct { "DISTINCT " } else { "" };
            let filter = filter.as_ref().map(|f| format!(" FILTER (WHERE {})", w(f))).unwrap_or_default();
            format!("{}({distinct}{args}){filter}", function.value.to_uppercase())
        }
        ExprKind::Lambda { params, body } => match params.as_slice() {
            [one] => format!("{} => {}", name(&one.value), w(body)),
            many => format!("({}) => {}", idents(many), w(body)),
        },
        ExprKind::Subscript { base, index } => format!("{}[{}]", w(base), w(index)),
        ExprKind::Deref { base, field } => format!("{}->{}", w(base), name(&field.value)),
        ExprKind::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|(f, e)| format!("{}:={}", name(&f.value), w(e))).collect();
            format!("STRUCT({})", fields.join(", "))
        }
        ExprKind::Array(items) => format!("ARRAY[{}]", all(items, style)),
        ExprKind::Map(entries) => {
            let entries: Vec<_> = entries.iter().map(|(k, v)| format!("{}:={}", w(k), w(v))).collect();
            format!("MAP({})", entries.join(", "))
        }
        ExprKind::TimeUnit(unit) => unit.clone(),
    }
}

fn all(items: &[Expr], style: Style) -> String {
    items.iter().map(|e| write(e, style)).collect::<Vec<_>>().join(", ")
}

fn idents(items: &[Ident]) -> String {
    items.iter().map(|i| name(&i.value)).collect::<Vec<_>>().join(", ")
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Null => "null".to_owned(),
        Literal::Boolean(b) => b.to_string(),
        Literal::Integer(text) | Literal::Decimal(text) | Literal::Double(text) => text.clone(),
        Literal::String(text) => format!("'{}'", text.replace('\'', "''")),
    }
}

fn type_name(ty: &TypeName) -> String {
    match &ty.kind {
        TypeKind::Named(named) => name(&named.value),
        TypeKind::Decimal(None) => "DECIMAL".to_owned(),
        TypeKind::Decimal(Some((precision, scale))) => format!("DECIMAL({precision}, {scale})"),
        TypeKind::Array(element) => format!("ARRAY<{}>", type_name(element)),
        TypeKind::Map(key, value) => format!("MAP<{}, {}>", type_name(key), type_name(value)),
        TypeKind::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|(f, t)| format!("{} {}", name(&f.value), type_name(t))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
    }
}

/// An operator as typed.
pub(super) fn operator(op: BinaryOp) -> &'static str {
    match op {
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
    }
}
