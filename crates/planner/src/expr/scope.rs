//! The names that an expression may use, and what they stand for.

use catalog::Source;
use types::{Error, Result, SqlType, did_you_mean};

use syntax::ast::Ident;

use super::text;
use crate::plan::Fields;

/// Columns of every row that only have to be asked for: (name, type).
pub const PSEUDO_COLUMNS: [(&str, SqlType); 3] =
    [("ROWTIME", SqlType::BigInt), ("ROWPARTITION", SqlType::Int), ("ROWOFFSET", SqlType::BigInt)];

/// Columns of every row of a windowed source: (name, type).
pub const WINDOW_COLUMNS: [(&str, SqlType); 2] = [("WINDOWSTART", SqlType::BigInt), ("WINDOWEND", SqlType::BigInt)];

/// Whether a user's column cannot have that name.
pub fn is_reserved(name: &str) -> bool {
    PSEUDO_COLUMNS.iter().chain(&WINDOW_COLUMNS).any(|(reserved, _)| *reserved == name)
}

/// A column that an expression can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeColumn {
    /// Alias or name of the source; columns without one can only be named alone.
    pub qualifier: Option<String>,
    /// Name.
    pub name: String,
    /// Type.
    pub ty: SqlType,
    /// Place in the batch.
    pub position: usize,
    /// Not selected by `*`, and hidden by any visible column of the same name.
    pub hidden: bool,
}

/// The columns that an expression can name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// All of them.
    pub columns: Vec<ScopeColumn>,
}

impl Scope {
    /// No columns: constant expressions only.
    pub fn empty() -> Scope {
        Scope::default()
    }

    /// The columns of a node.
    pub fn of_fields(fields: &Fields) -> Scope {
        let columns = fields.columns.iter().enumerate().map(|(position, f)| ScopeColumn {
            qualifier: f.qualifier.clone(),
            name: f.name.clone(),
            ty: f.ty.clone(),
            position,
            hidden: f.hidden,
        });
        Scope { columns: columns.collect() }
    }

    /// The columns of a source as [`crate::plan::PlanNode::Source`] puts them out, known as `alias`.
    pub fn of_source(source: &Source, alias: &str) -> Scope {
        Scope::of_fields(&source_fields(source, alias))
    }

    /// The column meant by `name`, perhaps of `qualifier`. `clause` says where it stands: `SELECT`, `WHERE`, ….
    pub fn resolve(&self, qualifier: Option<&Ident>, name: &Ident, clause: &str) -> Result<&ScopeColumn> {
        let wanted = qualifier.map(|q| q.value.as_str());
        let found = self.matches(wanted, &name.value);
        match found.as_slice() {
            [only] => Ok(only),
            [] => Err(self.undefined(qualifier, name, clause)),
            several => {
                let several: Vec<String> =
                    several.iter().map(|c| text::qualified(c.qualifier.as_deref(), &c.name)).collect();
                let error = Error::new(
                    types::ErrorKind::User,
                    "42702",
                    format!("Column '{}' is ambiguous. Could be {}", name.value, several.join(" or ")),
                );
                Err(error.at(name.span).with_hint("write the source's name or alias before it, with a dot"))
            }
        }
    }

    /// Whether exactly one column is meant by that name.
    pub fn has(&self, name: &str) -> bool {
        self.matches(None, name).len() == 1
    }

    /// Whether a source is known by that name or alias.
    pub fn has_qualifier(&self, qualifier: &str) -> bool {
        self.columns.iter().any(|c| c.qualifier.as_deref() == Some(qualifier))
    }

    /// The error that no source is known by `qualifier`.
    pub fn unknown_qualifier(&self, qualifier: &Ident) -> Error {
        let mut known: Vec<&str> = self.columns.iter().filter_map(|c| c.qualifier.as_deref()).collect();
        known.dedup();
        let message = format!("'{}' is not a valid stream/table name or alias", qualifier.value);
        let error = Error::undefined_source(message).at(qualifier.span);
        match did_you_mean(&qualifier.value, known.iter().copied()) {
            Some(near) => error.with_hint(format!("did you mean {}?", text::name(near))),
            None if known.is_empty() => error,
            None => {
                let known: Vec<String> = known.into_iter().map(text::name).collect();
                error.with_hint(format!("known here: {}", known.join(", ")))
            }
        }
    }

    fn matches(&self, qualifier: Option<&str>, name: &str) -> Vec<&ScopeColumn> {
        let all = || {
            self.columns
                .iter()
                .filter(|c| c.name == name && qualifier.is_none_or(|q| c.qualifier.as_deref() == Some(q)))
        };
        let visible: Vec<&ScopeColumn> = all().filter(|c| !c.hidden).collect();
        if visible.is_empty() { all().collect() } else { visible }
    }

    fn undefined(&self, qualifier: Option<&Ident>, name: &Ident, clause: &str) -> Error {
        if let Some(qualifier) = qualifier
            && !self.has_qualifier(&qualifier.value)
        {
            return self.unknown_qualifier(qualifier);
        }
        let typed = match qualifier {
            Some(q) => format!("{}.{}", q.value, name.value),
            None => name.value.clone(),
        };
        let message = format!("{clause} column '{typed}' cannot be resolved");
        let error = Error::undefined_column(message).at(qualifier.map_or(name.span, |q| q.span.to(name.span)));
        let candidates = || {
            let fits = |c: &&ScopeColumn| qualifier.is_none_or(|q| c.qualifier.as_ref() == Some(&q.value));
            self.columns.iter().filter(fits).map(|c| c.name.as_str())
        };
        if let Some(other_case) = candidates().find(|c| c.to_uppercase() == name.value.to_uppercase()) {
            return error.with_hint(format!(
                "there is a column {}: names are folded to upper case unless they stand in back quotes",
                text::name(other_case)
            ));
        }
        match did_you_mean(&name.value, candidates()) {
            Some(near) => error.with_hint(format!("did you mean {}?", text::name(near))),
            None if self.columns.is_empty() => error.with_hint("no columns can be used here"),
            None => error,
        }
    }
}

/// The output columns of [`crate::plan::PlanNode::Source`] for a source known as `alias`: its columns, then the hidden
/// pseudo columns, then the window's bounds if it has one.
pub fn source_fields(source: &Source, alias: &str) -> Fields {
    let qualifier = Some(alias.to_owned());
    let field = |name: &str, ty: &SqlType, key: bool, hidden: bool| crate::plan::FieldDef {
        qualifier: qualifier.clone(),
        name: name.to_owned(),
        ty: ty.clone(),
        key,
        hidden,
    };
    let declared =
        source.schema.columns.iter().map(|c| field(&c.name, &c.ty, c.namespace == types::Namespace::Key, false));
    let pseudo = PSEUDO_COLUMNS.iter().map(|(name, ty)| field(name, ty, false, true));
    let window = WINDOW_COLUMNS.iter().filter(|_| source.windowed.is_some());
    let window = window.map(|(name, ty)| field(name, ty, false, true));
    Fields { columns: declared.chain(pseudo).chain(window).collect() }
}
