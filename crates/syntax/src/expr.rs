//! Expressions, by precedence climbing.
//!
//! From loosest to tightest: OR, AND, NOT, comparisons (which do not chain), `||`, `+ -`, `* / %`, signs, and what
//! follows an operand: `->field`, `[index]`, `::type`. BETWEEN, LIKE and IN take operands that bind tighter than
//! comparisons, so that `a BETWEEN 1 AND 2 AND b` is what it looks like.

use types::{Error, Result};

use crate::{
    ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp},
    lexer::Tok,
    parser::{EXPRESSION_HEIGHT_MAX, Parser},
};

/// How tightly an operator binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Power {
    /// Anything.
    Any,
    Or,
    And,
    Not,
    Comparison,
    Concat,
    Sum,
    Product,
    Sign,
    /// Nothing but an operand and what follows it.
    Operand,
}

impl Power {
    /// The next tighter power.
    pub(crate) fn tighter(self) -> Power {
        match self {
            Power::Any => Power::Or,
            Power::Or => Power::And,
            Power::And => Power::Not,
            Power::Not => Power::Comparison,
            Power::Comparison => Power::Concat,
            Power::Concat => Power::Sum,
            Power::Sum => Power::Product,
            Power::Product => Power::Sign,
            Power::Sign | Power::Operand => Power::Operand,
        }
    }
}

/// The operators between two operands.
pub(crate) fn power(op: BinaryOp) -> Power {
    match op {
        BinaryOp::Or => Power::Or,
        BinaryOp::And => Power::And,
        BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::Lt
        | BinaryOp::LtEq
        | BinaryOp::Gt
        | BinaryOp::GtEq
        | BinaryOp::IsDistinct
        | BinaryOp::IsNotDistinct => Power::Comparison,
        BinaryOp::Concat => Power::Concat,
        BinaryOp::Add | BinaryOp::Subtract => Power::Sum,
        BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => Power::Product,
    }
}

fn symbol_operator(symbol: &str) -> Option<BinaryOp> {
    Some(match symbol {
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Subtract,
        "*" => BinaryOp::Multiply,
        "/" => BinaryOp::Divide,
        "%" => BinaryOp::Modulo,
        "||" => BinaryOp::Concat,
        "=" => BinaryOp::Eq,
        "<>" => BinaryOp::NotEq,
        "<" => BinaryOp::Lt,
        "<=" => BinaryOp::LtEq,
        ">" => BinaryOp::Gt,
        ">=" => BinaryOp::GtEq,
        _ => return None,
    })
}

/// What follows an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follower {
    Binary(BinaryOp),
    Is,
    Between { negated: bool },
    In { negated: bool },
    Like { negated: bool },
    Field,
    Subscript,
    Cast,
}

impl Follower {
    fn power(self) -> Power {
        match self {
            Follower::Binary(op) => power(op),
            Follower::Is | Follower::Between { .. } | Follower::In { .. } | Follower::Like { .. } => Power::Comparison,
            Follower::Field | Follower::Subscript | Follower::Cast => Power::Operand,
        }
    }
}

/// Longer rows of AND or OR become balanced trees, because their meaning is the same and their height is not.
const ROW_MAX: usize = 32;

impl Parser<'_> {
    /// An expression.
    pub(crate) fn expr(&mut self) -> Result<Expr> {
        self.operators(Power::Any)
    }

    /// An expression that is no comparison unless in parentheses: what GROUP BY and PARTITION BY take.
    pub(crate) fn value_expr(&mut self) -> Result<Expr> {
        self.operators(Power::Concat)
    }

    /// An expression whose operators all bind at least as tightly as `least`.
    pub(crate) fn operators(&mut self, least: Power) -> Result<Expr> {
        self.nested(|p| {
            let outer = std::mem::take(&mut p.tallest);
            let mark = p.mark();
            let mut left = p.prefix(least)?;
            let mut height = 1 + std::mem::take(&mut p.tallest);
            let mut compared = false;
            while let Some(follower) = p.follower(least)? {
                let compares = follower.power() == Power::Comparison;
                if compares && compared {
                    let error = Error::syntax(format!("{} cannot follow a comparison", p.found(p.peek())));
                    return Err(error.at(p.peek().span).with_hint("put one of the two in parentheses"));
                }
                compared |= compares;
                let levels;
                (left, levels) = p.follow(follower, left, mark)?;
                height = levels + height.max(std::mem::take(&mut p.tallest));
                if height > EXPRESSION_HEIGHT_MAX {
                    let error = format!("the expression is more than {EXPRESSION_HEIGHT_MAX} operators tall here");
                    return Err(Error::syntax(error).at(p.peek().span));
                }
            }
            p.tallest = outer.max(height);
            Ok(left)
        })
    }

    /// What follows the operand before the cursor, if it binds at least as tightly as `least`.
    fn follower(&self, least: Power) -> Result<Option<Follower>> {
        let follower = match self.tok(0) {
            // The select list's `s->*`.
            Tok::Symbol("->") if self.is_symbol(1, "*") => None,
            Tok::Symbol("->") => Some(Follower::Field),
            Tok::Symbol("[") => Some(Follower::Subscript),
            Tok::Symbol("::") => Some(Follower::Cast),
            Tok::Symbol("==") => {
                let error = Error::syntax("`==` is not an operator").at(self.peek().span);
                return Err(error.with_hint("equality is a single `=`"));
            }
            Tok::Symbol(symbol) => symbol_operator(symbol).map(Follower::Binary),
            Tok::Word(word) => match word.as_str() {
                "AND" => Some(Follower::Binary(BinaryOp::And)),
                "OR" => Some(Follower::Binary(BinaryOp::Or)),
                "IS" => Some(Follower::Is),
                "NOT" => self.negatable(1, true),
                _ => self.negatable(0, false),
            },
            _ => None,
        };
        Ok(follower.filter(|f| f.power() >= least))
    }

    fn negatable(&self, n: usize, negated: bool) -> Option<Follower> {
        match self.tok(n) {
            Tok::Word(word) => match word.as_str() {
                "BETWEEN" => Some(Follower::Between { negated }),
                "IN" => Some(Follower::In { negated }),
                "LIKE" => Some(Follower::Like { negated }),
                _ => None,
            },
            _ => None,
        }
    }

    /// `left` with what follows it, and by how many levels the tree grew.
    fn follow(&mut self, follower: Follower, left: Expr, mark: usize) -> Result<(Expr, usize)> {
        if let Follower::Binary(op @ (BinaryOp::And | BinaryOp::Or)) = follower {
            return self.row(op, left);
        }
        self.advance();
        let base = Box::new(left);
        let kind = match follower {
            Follower::Binary(op) => {
                let right = Box::new(self.operators(power(op).tighter())?);
                ExprKind::Binary { op, left: base, right }
            }
            Follower::Is => self.is(base)?,
            Follower::Between { negated } => {
                self.skip_if(negated);
                let low = Box::new(self.value_expr()?);
                self.expect("AND")?;
                ExprKind::Between { expr: base, low, high: Box::new(self.value_expr()?), negated }
            }
            Follower::In { negated } => {
                self.skip_if(negated);
                self.expect_symbol("(")?;
                let list = self.list(Self::expr)?;
                self.expect_symbol(")")?;
                ExprKind::InList { expr: base, list, negated }
            }
            Follower::Like { negated } => {
                self.skip_if(negated);
                let pattern = Box::new(self.value_expr()?);
                ExprKind::Like { expr: base, pattern, escape: self.escape()?, negated }
            }
            Follower::Field => ExprKind::Deref { base, field: self.any_name("a field's name")? },
            Follower::Subscript => {
                let index = Box::new(self.expr()?);
                self.expect_symbol("]")?;
                ExprKind::Subscript { base, index }
            }
            Follower::Cast => ExprKind::Cast { expr: base, ty: self.type_name()? },
        };
        Ok((Expr { kind, span: self.span_from(mark) }, 1))
    }

    fn skip_if(&mut self, negated: bool) {
        if negated {
            self.advance();
        }
    }

    /// `left AND b AND c …`.
    fn row(&mut self, op: BinaryOp, left: Expr) -> Result<(Expr, usize)> {
        let mut operands = vec![left];
        while self.is_word(0, if op == BinaryOp::And { "AND" } else { "OR" }) {
            self.advance();
            operands.push(self.operators(power(op).tighter())?);
        }
        let count = operands.len();
        let join = |left: Expr, right: Expr| {
            let span = left.span.to(right.span);
            Expr { kind: ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, span }
        };
        let mut levels = count - 1;
        if count > ROW_MAX {
            levels = 0;
            while operands.len() > 1 {
                let mut pairs = operands.into_iter();
                let mut halved = Vec::new();
                while let Some(left) = pairs.next() {
                    halved.push(match pairs.next() {
                        Some(right) => join(left, right),
                        None => left,
                    });
                }
                operands = halved;
                levels += 1;
            }
        }
        match operands.into_iter().reduce(join) {
            Some(expr) => Ok((expr, levels)),
            None => Err(Error::internal("a row of operands is empty")),
        }
    }

    /// What follows `e IS`.
    fn is(&mut self, expr: Box<Expr>) -> Result<ExprKind> {
        let negated = self.accept("NOT");
        if self.accept("NULL") {
            return Ok(ExprKind::IsNull { expr, negated });
        }
        if !self.accept_two("DISTINCT FROM") {
            return Err(self.unexpected());
        }
        let op = if negated { BinaryOp::IsNotDistinct } else { BinaryOp::IsDistinct };
        let right = Box::new(self.operators(Power::Concat)?);
        Ok(ExprKind::Binary { op, left: expr, right })
    }

    fn escape(&mut self) -> Result<Option<char>> {
        if !self.accept("ESCAPE") {
            return Ok(None);
        }
        let span = self.peek().span;
        let text = self.string("a character in quotes")?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(escape), None) => Ok(Some(escape)),
            _ => Err(Error::syntax(format!("ESCAPE takes one character, not '{text}'")).at(span)),
        }
    }

    /// An operand with its signs and NOTs.
    fn prefix(&mut self, least: Power) -> Result<Expr> {
        let mark = self.mark();
        let (op, operand) = match self.tok(0) {
            Tok::Symbol("-") if matches!(self.tok(1), Tok::Number(_)) => {
                self.advance();
                let literal = self.number(true)?;
                return Ok(Expr { kind: ExprKind::Literal(literal), span: self.span_from(mark) });
            }
            Tok::Symbol("-") => (UnaryOp::Minus, Power::Sign),
            Tok::Symbol("+") => (UnaryOp::Plus, Power::Sign),
            Tok::Word(word) if word == "NOT" && least <= Power::Not => (UnaryOp::Not, Power::Not),
            _ => {
                let kind = self.operand(least)?;
                return Ok(match kind {
                    // In parentheses: the same expression in a wider place.
                    Operand::Bracketed(expr) => Expr { kind: expr.kind, span: self.span_from(mark) },
                    Operand::Bare(kind) => Expr { kind, span: self.span_from(mark) },
                });
            }
        };
        self.advance();
        let expr = Box::new(self.operators(operand)?);
        Ok(Expr { kind: ExprKind::Unary { op, expr }, span: self.span_from(mark) })
    }

    /// A number under the cursor, as a literal.
    pub(crate) fn number(&mut self, negative: bool) -> Result<Literal> {
        let mark = self.mark();
        let token = self.peek().clone();
        self.advance();
        let Tok::Number(digits) = token.tok else { return Err(Error::internal("not a number").at(token.span)) };
        if matches!(self.tok(0), Tok::Word(_)) && self.peek().start == token.end {
            self.advance();
            let message = format!("invalid numeric literal: {}", self.text_from(mark));
            return Err(Error::syntax(message).at(self.span_from(mark)));
        }
        let text = if negative { format!("-{digits}") } else { digits };
        if text.contains(['e', 'E']) {
            return match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Literal::Double(text)),
                _ => Err(Error::syntax(format!("number overflows DOUBLE: {text}")).at(token.span)),
            };
        }
        if text.contains('.') {
            return Ok(Literal::Decimal(text));
        }
        match text.parse::<i64>() {
            Ok(_) => Ok(Literal::Integer(text)),
            Err(_) => Err(Error::syntax(format!("invalid numeric literal: {text} does not fit BIGINT"))
                .at(token.span)
                .with_hint("with a decimal point it is a DECIMAL")),
        }
    }
}

/// What an operand is, before it has a place.
pub(crate) enum Operand {
    Bare(ExprKind),
    Bracketed(Expr),
}
