//! The select list: `*` expanded, names given, expressions resolved.

use catalog::SourceKind;
use syntax::ast::{Expr, ExprKind, Ident, Select, SelectItem};
use types::{Error, Result, Span, SqlType};

use super::{
    Env, Mode,
    input::{FromSource, Input},
    resolve::{self, resolve},
    text::{self, Style},
};
use crate::{
    expr::{PSEUDO_COLUMNS, WINDOW_COLUMNS, is_reserved},
    naming::Namer,
};

/// One column of the result.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its name.
    pub name: String,
    /// What it is, resolved.
    pub expr: Expr,
    /// What it is, as errors quote it.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// Whether `*` added it because the new key is no column that `*` means.
    pub added_key: bool,
}

/// What the select list of `select` means over `input`. `partition_by` holds the resolved new key, if there is one.
pub(super) fn expand(
    env: &Env<'_>,
    select: &Select,
    input: &Input,
    partition_by: &[Expr],
    mode: &Mode,
) -> Result<Vec<Item>> {
    let mut list = List { env, input, mode, partition_by, namer: namer(select, input), items: Vec::new() };
    let free: &[&str] = if select.window.is_some() { &["WINDOWSTART", "WINDOWEND"] } else { &[] };
    for item in &select.projection {
        match item {
            SelectItem::All { qualifier: None, span } => list.star(*span),
            SelectItem::All { qualifier: Some(qualifier), span } => list.star_of(qualifier, *span)?,
            SelectItem::StructAll { base, span } => list.fields_of(base, *span)?,
            SelectItem::Expr { expr, alias } => {
                let resolved = resolve(expr, &input.scope, "SELECT", free)?;
                list.expr(resolved, alias.as_ref())?;
            }
        }
    }
    Ok(list.items)
}

/// Generated names avoid those of the sources' columns and of aliases.
fn namer(select: &Select, input: &Input) -> Namer {
    let sources = input.scope.columns.iter().map(|c| c.name.clone());
    let aliases = select.projection.iter().filter_map(|item| match item {
        SelectItem::Expr { alias: Some(alias), .. } => Some(alias.value.clone()),
        _ => None,
    });
    Namer::new(sources.chain(aliases))
}

struct List<'a> {
    env: &'a Env<'a>,
    input: &'a Input,
    mode: &'a Mode,
    partition_by: &'a [Expr],
    namer: Namer,
    items: Vec<Item>,
}

impl List<'_> {
    fn push(&mut self, name: String, expr: Expr, span: Span) {
        let text = text::write(&expr, Style::Short);
        self.items.push(Item { name, expr, text, span, added_key: false });
    }

    /// `*`: the key that no source has, then every source's columns.
    fn star(&mut self, span: Span) {
        for expr in self.partition_by.iter().cloned() {
            if !is_null(&expr) && !self.star_means(&expr) {
                let name = self.generated(&expr);
                self.push(name, expr, span);
                if let Some(item) = self.items.last_mut() {
                    item.added_key = true;
                }
            }
        }
        if self.partition_by.is_empty() {
            let synthetic = self.input.key.iter().filter(|k| k.synthetic).filter_map(|k| k.names.first());
            let synthetic: Vec<_> = synthetic.map(|n| n.expr.clone()).collect();
            for expr in synthetic {
                let name = resolve::as_column(&expr).map(|(_, name)| name.to_owned()).unwrap_or_default();
                self.push(name, expr, span);
            }
        }
        for source in self.input.sources.clone() {
            self.columns_of(&source, span);
        }
    }

    /// Whether `expr` is a column that `*` means.
    fn star_means(&self, expr: &Expr) -> bool {
        let Some((qualifier, name)) = resolve::as_column(expr) else { return false };
        let source = qualifier.and_then(|q| self.input.source(q));
        // Over a join, `*` means system columns too when there is a new key.
        let system = !self.input.is_single() && PSEUDO_COLUMNS.iter().any(|(system, _)| *system == name);
        source.is_some_and(|s| system || s.keys.iter().chain(&s.values).any(|c| c == name))
    }

    fn star_of(&mut self, qualifier: &Ident, span: Span) -> Result<()> {
        match self.input.source(&qualifier.value).cloned() {
            Some(source) => {
                self.columns_of(&source, span);
                Ok(())
            }
            None => Err(self.input.scope.unknown_qualifier(qualifier)),
        }
    }

    /// The columns that `*` means of one source.
    fn columns_of(&mut self, source: &FromSource, span: Span) {
        let joined = !self.input.is_single();
        let persistent = matches!(self.mode, Mode::Persistent { .. });
        let mut names: Vec<&str> = Vec::new();
        let keys = source.keys.iter().map(String::as_str);
        let values = source.values.iter().map(String::as_str);
        let bounds = WINDOW_COLUMNS.iter().filter(|_| source.windowed.is_some()).map(|(name, _)| *name);
        if self.partition_by.is_empty() {
            names.extend(keys);
            // Alone, a persistent query's window bounds go on in the key; a join's sides would lose theirs.
            if joined || !persistent {
                names.extend(bounds);
            }
            names.extend(values);
        } else {
            // A new key sends the old one to the end. Over a join, ksqlDB adds what it carries for each side.
            names.extend(values);
            if joined && persistent {
                names.extend(PSEUDO_COLUMNS.iter().map(|(name, _)| *name));
                names.extend(bounds);
            }
            names.extend(keys);
        }
        for name in names {
            let expr = resolve::named(Some(&source.alias), name, span);
            let shown =
                if joined && !source.alias.is_empty() { format!("{}_{name}", source.alias) } else { name.to_owned() };
            self.push(shown, expr, span);
        }
    }

    /// `s->*`.
    fn fields_of(&mut self, base: &Expr, span: Span) -> Result<()> {
        let base = resolve(base, &self.input.scope, "SELECT", &[])?;
        let bound = self.env.bind(&base, &self.input.scope, "SELECT")?;
        let Some(SqlType::Struct(fields)) = bound.ty else {
            let ty = bound.ty.map_or_else(|| "NULL".to_owned(), |t| t.to_string());
            let message = format!("->* needs a STRUCT, and {} is {ty}", text::write(&base, Style::Short));
            return Err(Error::type_mismatch(message).at(span));
        };
        for field in fields {
            let ident = Ident { value: field.name.clone(), quoted: true, span };
            let kind = ExprKind::Deref { base: Box::new(base.clone()), field: ident };
            self.push(field.name, Expr { kind, span }, span);
        }
        Ok(())
    }

    /// An expression with or without a name of its own.
    fn expr(&mut self, expr: Expr, alias: Option<&Ident>) -> Result<()> {
        let span = expr.span;
        let name = match alias {
            Some(alias) => {
                self.check_alias(&expr, alias)?;
                alias.value.clone()
            }
            None => self.generated(&expr),
        };
        self.push(name, expr, span);
        Ok(())
    }

    /// A system column's name can only be given to that column.
    fn check_alias(&self, expr: &Expr, alias: &Ident) -> Result<()> {
        let itself = resolve::as_column(expr).is_some_and(|(_, name)| name == alias.value);
        if !is_reserved(&alias.value) || itself {
            return Ok(());
        }
        let message =
            format!("`{}` is a reserved column name. You cannot use it as an alias for a column", alias.value);
        Err(Error::invalid(message).at(alias.span).with_hint("choose another alias"))
    }

    /// The name of an expression without an alias.
    fn generated(&mut self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Column { qualifier: Some(qualifier), name } if self.clashes(&name.value) => {
                format!("{}_{}", qualifier.value, name.value)
            }
            ExprKind::Column { name, .. } => name.value.clone(),
            ExprKind::Deref { field, .. } => self.namer.field(&field.value),
            _ => self.namer.column(),
        }
    }

    /// Whether several sources have a column of that name.
    fn clashes(&self, name: &str) -> bool {
        !self.input.is_single()
            && self.input.scope.columns.iter().filter(|c| c.name == name && c.qualifier.is_some()).count() > 1
    }
}

/// The constant NULL: as a new key it means none.
pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(syntax::ast::Literal::Null))
}

/// Refuse what a stored result cannot have: system columns without an alias, values that are named alike.
pub(super) fn check_stored(items: &[Item], kind: SourceKind) -> Result<()> {
    for item in items.iter().filter(|i| !i.added_key) {
        if is_reserved(&item.name) {
            let what = if kind == SourceKind::Table { "table" } else { "stream" };
            let message = format!("Reserved column name in select: `{}`. Please remove or alias the column", item.name);
            let hint = format!("a {what} has that column already; give it another name with AS");
            return Err(Error::invalid(message).at(item.span).with_hint(hint));
        }
    }
    Ok(())
}
