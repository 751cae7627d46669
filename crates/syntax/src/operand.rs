//! Operands of expressions: constants, columns, calls, CASE, CAST, lambdas, and the constructors of structs, arrays
//! and maps.

use types::{Result, Span};

use crate::{
    ast::{Expr, ExprKind, Ident, Literal, TypeKind, TypeName},
    expr::{Operand, Power},
    keywords::TAKE_A_TIME_UNIT,
    lexer::Tok,
    parser::Parser,
    units::TimeUnit,
};

impl Parser<'_> {
    /// An operand without signs.
    pub(crate) fn operand(&mut self, least: Power) -> Result<Operand> {
        self.note("an expression");
        let kind = match self.tok(0).clone() {
            Tok::Symbol("(") => return self.bracket(least),
            Tok::Number(_) => ExprKind::Literal(self.number(false)?),
            Tok::String(text) => self.constant(Literal::String(text)),
            Tok::Parameter(number) => {
                self.advance();
                ExprKind::Parameter(number)
            }
            Tok::Quoted(_) => self.named(least)?,
            Tok::Word(word) => match word.as_str() {
                "NULL" => self.constant(Literal::Null),
                "TRUE" => self.constant(Literal::Boolean(true)),
                "FALSE" => self.constant(Literal::Boolean(false)),
                "CASE" => self.case()?,
                "CAST" => self.cast()?,
                "ARRAY" if self.is_symbol(1, "[") => self.array()?,
                "DATE" | "TIME" | "TIMESTAMP" if matches!(self.tok(1), Tok::String(_)) => self.typed_constant()?,
                "LEFT" | "RIGHT" if self.is_symbol(1, "(") => {
                    let name = self.any_name("a function")?;
                    self.call(name)?
                }
                _ if self.is_name(0) => self.named(least)?,
                // What these begin is an operand in other grammars than ours: subqueries, DISTINCT ON.
                "ON" | "SELECT" | "VALUES" | "WITH" => return Err(self.unexpected()),
                _ => return Err(self.definite(self.unexpected())),
            },
            _ => return Err(self.unexpected()),
        };
        Ok(Operand::Bare(kind))
    }

    fn constant(&mut self, literal: Literal) -> ExprKind {
        self.advance();
        ExprKind::Literal(literal)
    }

    /// `(expression)` or `(x, y) => …`.
    fn bracket(&mut self, least: Power) -> Result<Operand> {
        if least == Power::Any && self.opens_lambda() {
            self.advance();
            let params = self.list(|p| p.name("a parameter's name"))?;
            self.expect_symbol(")")?;
            return self.lambda(params).map(Operand::Bare);
        }
        self.advance();
        let expr = self.expr()?;
        self.expect_symbol(")")?;
        Ok(Operand::Bracketed(expr))
    }

    /// Whether `(` is followed by names and `) =>`.
    fn opens_lambda(&self) -> bool {
        let mut n = 1;
        loop {
            match (self.is_name(n), self.tok(n + 1)) {
                (true, Tok::Symbol(",")) => n += 2,
                (true, Tok::Symbol(")")) => return self.is_symbol(n + 2, "=>"),
                _ => return false,
            }
        }
    }

    fn lambda(&mut self, params: Vec<Ident>) -> Result<ExprKind> {
        self.expect_symbol("=>")?;
        Ok(ExprKind::Lambda { params, body: Box::new(self.expr()?) })
    }

    /// What starts with a name: a call, a lambda or a column.
    fn named(&mut self, least: Power) -> Result<ExprKind> {
        let name = self.any_name("a name")?;
        match self.tok(0) {
            Tok::Symbol("(") if !name.quoted && name.value == "STRUCT" => self.fields(),
            Tok::Symbol("(") if !name.quoted && name.value == "MAP" => self.map(),
            Tok::Symbol("(") => self.call(name),
            Tok::Symbol("=>") if least == Power::Any => self.lambda(vec![name]),
            Tok::Symbol(".") => {
                self.advance();
                Ok(ExprKind::Column { qualifier: Some(name), name: self.any_name("a column's name")? })
            }
            _ => Ok(ExprKind::Column { qualifier: None, name }),
        }
    }

    /// What follows a function's name.
    fn call(&mut self, name: Ident) -> Result<ExprKind> {
        self.expect_symbol("(")?;
        let star = self.is_symbol(0, "*") && self.is_symbol(1, ")");
        let mut distinct = false;
        let mut args = Vec::new();
        if star {
            self.advance();
        } else if !self.is_symbol(0, ")") {
            distinct = self.accept("DISTINCT");
            let takes_unit = TAKE_A_TIME_UNIT.binary_search(&name.value.as_str()).is_ok();
            let unit = self.time_unit_argument().filter(|_| takes_unit);
            args = match unit {
                Some(unit) => {
                    self.advance();
                    self.expect_symbol(",")?;
                    let mut args = vec![unit];
                    args.extend(self.list(Self::expr)?);
                    args
                }
                None => self.list(Self::expr)?,
            };
        }
        self.expect_symbol(")")?;
        let mut filter = None;
        if self.is_word(0, "FILTER") && self.is_symbol(1, "(") {
            self.advance();
            self.advance();
            self.expect("WHERE")?;
            filter = Some(Box::new(self.expr()?));
            self.expect_symbol(")")?;
        }
        Ok(ExprKind::Call { name, distinct, star, args, filter })
    }

    fn time_unit_argument(&self) -> Option<Expr> {
        let Tok::Word(word) = self.tok(0) else { return None };
        let unit = TimeUnit::of(word).filter(|_| self.is_symbol(1, ","))?;
        Some(Expr { kind: ExprKind::TimeUnit(unit.plural().to_owned()), span: self.peek().span })
    }

    /// `CASE …`.
    fn case(&mut self) -> Result<ExprKind> {
        self.advance();
        let operand = if self.is_word(0, "WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut branches = Vec::new();
        self.note("WHEN");
        while self.accept("WHEN") {
            let when = self.expr()?;
            self.expect("THEN")?;
            branches.push((when, self.expr()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.accept("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        self.expect("END")?;
        Ok(ExprKind::Case { operand, branches, otherwise })
    }

    /// `CAST(e AS t)`.
    fn cast(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect_symbol("(")?;
        let expr = Box::new(self.expr()?);
        self.expect("AS")?;
        let ty = self.type_name()?;
        self.expect_symbol(")")?;
        Ok(ExprKind::Cast { expr, ty })
    }

    /// `DATE '2024-01-01'`.
    fn typed_constant(&mut self) -> Result<ExprKind> {
        let name = self.any_name("a type")?;
        let ty = TypeName { span: name.span, kind: TypeKind::Named(name) };
        let span: Span = self.peek().span;
        let text = self.string("a string")?;
        let expr = Box::new(Expr { kind: ExprKind::Literal(Literal::String(text)), span });
        Ok(ExprKind::Cast { expr, ty })
    }

    /// `ARRAY[…]`.
    fn array(&mut self) -> Result<ExprKind> {
        self.advance();
        self.advance();
        let items = if self.is_symbol(0, "]") { Vec::new() } else { self.list(Self::expr)? };
        self.expect_symbol("]")?;
        Ok(ExprKind::Array(items))
    }

    /// What follows STRUCT.
    fn fields(&mut self) -> Result<ExprKind> {
        self.expect_symbol("(")?;
        let fields = match self.is_symbol(0, ")") {
            true => Vec::new(),
            false => self.list(|p| {
                let name = p.name("a field's name")?;
                p.expect_symbol(":=")?;
                Ok((name, p.expr()?))
            })?,
        };
        self.expect_symbol(")")?;
        Ok(ExprKind::Struct(fields))
    }

    /// What follows MAP.
    fn map(&mut self) -> Result<ExprKind> {
        self.expect_symbol("(")?;
        let entries = match self.is_symbol(0, ")") {
            true => Vec::new(),
            false => self.list(|p| {
                let key = p.expr()?;
                p.expect_symbol(":=")?;
                Ok((key, p.expr()?))
            })?,
        };
        self.expect_symbol(")")?;
        Ok(ExprKind::Map(entries))
    }
}
