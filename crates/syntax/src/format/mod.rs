//! Tree → canonical text: one line, upper-case keywords, brackets only where the grammar needs them, names in back
//! quotes only where a bare word would be folded or mistaken for a keyword.
//!
//! What is printed parses again to a tree that prints the same. It is `Display` on the types of the tree, so that
//! `to_string()` is all there is to call.

mod expr;
mod query;
mod statement;

use std::fmt::{self, Display, Formatter};

use crate::{
    ast::{ColumnConstraint, ColumnDef, Ident, Literal, Properties, TypeKind, TypeName},
    keywords::is_keyword,
};

/// `a, b, c`.
pub(crate) struct Commas<'a, T>(pub(crate) &'a [T]);

impl<T: Display> Display for Commas<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// `text`, or nothing unless `on`.
pub(crate) fn when(on: bool, text: &'static str) -> &'static str {
    if on { text } else { "" }
}

/// A string in single quotes.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// Whether `value` is a bare word that means itself.
pub(crate) fn is_plain(value: &str) -> bool {
    let mut bytes = value.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_uppercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

impl Display for Ident {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match is_plain(&self.value) && !is_keyword(&self.value) {
            true => f.write_str(&self.value),
            false => f.write_str(&types::quote_ident(&self.value)),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("NULL"),
            Literal::Boolean(true) => f.write_str("TRUE"),
            Literal::Boolean(false) => f.write_str("FALSE"),
            Literal::Integer(text) | Literal::Decimal(text) | Literal::Double(text) => f.write_str(text),
            Literal::String(text) => Quoted(text).fmt(f),
        }
    }
}

impl Display for TypeName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            // The names of types are keywords that stand nowhere else.
            TypeKind::Named(name) if !name.quoted => f.write_str(&name.value),
            TypeKind::Named(name) => f.write_str(&types::quote_ident(&name.value)),
            TypeKind::Decimal(None) => f.write_str("DECIMAL"),
            TypeKind::Decimal(Some((precision, scale))) => write!(f, "DECIMAL({precision}, {scale})"),
            TypeKind::Array(item) => write!(f, "ARRAY<{item}>"),
            TypeKind::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            TypeKind::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    write!(f, "{}{name} {ty}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(">")
            }
        }
    }
}

impl Display for ColumnDef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.ty)?;
        match &self.constraint {
            None => Ok(()),
            Some(ColumnConstraint::Key) => f.write_str(" KEY"),
            Some(ColumnConstraint::PrimaryKey) => f.write_str(" PRIMARY KEY"),
            Some(ColumnConstraint::Headers) => f.write_str(" HEADERS"),
            Some(ColumnConstraint::Header(name)) => write!(f, " HEADER({})", Quoted(name)),
        }
    }
}

impl Display for Properties {
    /// `WITH (NAME = 'value', …)`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("WITH (")?;
        for (i, (name, property)) in self.entries.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match is_plain(name) && !is_keyword(name) {
                true => write!(f, "{name} = {}", property.value)?,
                false => write!(f, "{} = {}", Quoted(name), property.value)?,
            }
        }
        f.write_str(")")
    }
}

/// ` WITH (…)`, or nothing.
pub(crate) struct OptionalProperties<'a>(pub(crate) &'a Properties);

impl Display for OptionalProperties<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.entries.is_empty() { Ok(()) } else { write!(f, " {}", self.0) }
    }
}
