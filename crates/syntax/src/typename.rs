//! Types as typed: `DECIMAL(4, 2)`, `ARRAY<STRUCT<a INT>>`, `VARCHAR(20)`, `int[]`.

use types::{Error, Result};

use crate::{
    ast::{Ident, TypeKind, TypeName},
    lexer::Tok,
    parser::Parser,
};

/// Digits that a DECIMAL's precision and scale, or a VARCHAR's length, may have without a closer look.
const SIZE_MAX: u64 = 1_000_000_000;

impl Parser<'_> {
    /// A type.
    pub(crate) fn type_name(&mut self) -> Result<TypeName> {
        let mark = self.mark();
        let kind = self.nested(Self::type_kind)?;
        let mut ty = TypeName { kind, span: self.span_from(mark) };
        // PostgreSQL's `int[]`.
        while self.is_symbol(0, "[") && self.is_symbol(1, "]") {
            if matches!(ty.kind, TypeKind::Array(_)) {
                return Err(Error::syntax("arrays of arrays are written ARRAY<ARRAY<…>>").at(self.peek().span));
            }
            self.advance();
            self.advance();
            ty = TypeName { kind: TypeKind::Array(Box::new(ty)), span: self.span_from(mark) };
        }
        Ok(ty)
    }

    fn type_kind(&mut self) -> Result<TypeKind> {
        let name = self.name("a type")?;
        let opens = self.is_symbol(0, "<");
        match name.value.as_str() {
            _ if name.quoted => Ok(TypeKind::Named(name)),
            "DECIMAL" | "NUMERIC" => self.decimal(),
            "ARRAY" if opens => self.in_angles(|p| Ok(TypeKind::Array(Box::new(p.type_name()?)))),
            "MAP" if opens => self.in_angles(|p| {
                let key = p.type_name()?;
                p.expect_symbol(",")?;
                Ok(TypeKind::Map(Box::new(key), Box::new(p.type_name()?)))
            }),
            "STRUCT" if self.is_symbol(0, "<>") => {
                self.advance();
                Ok(TypeKind::Struct(Vec::new()))
            }
            "STRUCT" if opens && self.is_symbol(1, ">") => self.in_angles(|_| Ok(TypeKind::Struct(Vec::new()))),
            "STRUCT" if opens => self.in_angles(|p| Ok(TypeKind::Struct(p.list(Self::field)?))),
            "ARRAY" | "MAP" | "STRUCT" => {
                self.note("<");
                Err(self.unexpected())
            }
            "DOUBLE" => {
                self.accept("PRECISION");
                Ok(TypeKind::Named(name))
            }
            _ => self.length(name),
        }
    }

    fn in_angles(&mut self, inner: impl FnOnce(&mut Self) -> Result<TypeKind>) -> Result<TypeKind> {
        self.expect_symbol("<")?;
        let kind = inner(self)?;
        self.expect_symbol(">")?;
        Ok(kind)
    }

    fn field(&mut self) -> Result<(Ident, TypeName)> {
        let name = self.name("a field's name")?;
        Ok((name, self.type_name()?))
    }

    fn decimal(&mut self) -> Result<TypeKind> {
        if !self.accept_symbol("(") {
            return Ok(TypeKind::Decimal(None));
        }
        let precision = self.type_size("a precision")?;
        let scale = if self.accept_symbol(",") { self.type_size("a scale")? } else { 0 };
        self.expect_symbol(")")?;
        Ok(TypeKind::Decimal(Some((precision, scale))))
    }

    /// The `(n)` of a VARCHAR, which has no meaning; ksqlDB also writes `VARCHAR(STRING)`.
    fn length(&mut self, name: Ident) -> Result<TypeKind> {
        if self.accept_symbol("(") {
            if matches!(self.tok(0), Tok::Word(word) if word == "STRING") {
                self.advance();
            } else {
                self.type_size("a length")?;
            }
            self.expect_symbol(")")?;
        }
        Ok(TypeKind::Named(name))
    }

    fn type_size(&mut self, what: &'static str) -> Result<u32> {
        let span = self.peek().span;
        let size = self.whole_number(what)?;
        u32::try_from(size)
            .ok()
            .filter(|_| size <= SIZE_MAX)
            .ok_or_else(|| Error::syntax(format!("{size} is too large for {what}")).at(span))
    }
}
