//! DataFusion's errors, as users see them: what is wrong in the words of the dialect, and where, as far as it says.

use datafusion::{
    common::{Column, SchemaError},
    error::DataFusionError,
};
use syntax::ast;
use types::{Error, ErrorKind, Span, did_you_mean};

/// An error without its place.
pub(crate) fn df_error(error: DataFusionError) -> Error {
    let root = error.find_root();
    if let DataFusionError::External(own) = root
        && let Some(own) = own.downcast_ref::<Error>()
    {
        return own.clone();
    }
    // What led to it is DataFusion's inner affair.
    let text = root.strip_backtrace();
    let begins = ["Error during planning: ", "Execution error: ", "Arrow error: ", "This feature is not implemented: "];
    let text = begins.iter().find_map(|begin| text.strip_prefix(begin)).unwrap_or(&text).to_string();
    match root {
        DataFusionError::SchemaError(_, _) => Error::undefined_column(text),
        DataFusionError::Plan(_) if text.contains("not found") => Error::undefined_source(text),
        DataFusionError::Plan(_) if text.starts_with("Invalid function") => Error::undefined_function(text),
        DataFusionError::Plan(_) => Error::invalid(text),
        DataFusionError::SQL(_, _) => Error::syntax(text),
        DataFusionError::NotImplemented(_) => Error::unsupported(text),
        DataFusionError::ResourcesExhausted(_) => Error::new(ErrorKind::Unavailable, "53200", text),
        DataFusionError::Execution(_) | DataFusionError::ArrowError(_, _) => Error::bad_value(text),
        _ => Error::internal(text),
    }
}

/// An error of planning `query`, with the name that it is about; `sources` are those that there are.
pub(crate) fn in_query<'a>(
    error: DataFusionError,
    query: &ast::Query,
    sources: impl Iterator<Item = &'a str>,
) -> Error {
    let root = error.find_root();
    let place = |error: Error, name: &str| match place_of(query, name) {
        Some(span) => error.at(span),
        None => error,
    };
    match root {
        DataFusionError::SchemaError(schema, _) => match &**schema {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let unknown = Error::undefined_column(format!("column {} does not exist", shown(field)));
                let known: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
                let unknown = match did_you_mean(&field.name, known.iter().copied()) {
                    Some(near) => unknown.with_hint(format!("did you mean {near}?")),
                    None if known.is_empty() => unknown,
                    None => unknown.with_hint(format!("known here: {}", few(&known))),
                };
                place(unknown, &field.name)
            }
            SchemaError::AmbiguousReference { field } => {
                let error = Error::new(ErrorKind::User, "42702", format!("column {} is ambiguous", shown(field)));
                place(error.with_hint("write the source's name or alias before it, with a dot"), &field.name)
            }
            _ => df_error(error),
        },
        DataFusionError::Plan(text) => {
            let missing = text.strip_prefix("table '").and_then(|t| t.strip_suffix("' not found"));
            let Some(missing) = missing else { return df_error(error) };
            let name = missing.rsplit('.').next().unwrap_or(missing);
            let unknown = Error::undefined_source(format!("{name} does not exist"));
            let unknown = match did_you_mean(name, sources) {
                Some(near) => unknown.with_hint(format!("did you mean {near}?")),
                None => unknown.with_hint("SHOW STREAMS, SHOW TABLES and SHOW VIEWS list what there is"),
            };
            place(unknown, name)
        }
        _ => df_error(error),
    }
}

fn shown(column: &Column) -> String {
    match &column.relation {
        Some(relation) => format!("{}.{}", relation.table(), column.name),
        None => column.name.clone(),
    }
}

/// Names that a hint lists.
const NAMES_MAX: usize = 12;

fn few(names: &[&str]) -> String {
    let mut distinct: Vec<&str> = vec![];
    for name in names {
        if !distinct.contains(name) {
            distinct.push(name);
        }
    }
    let more = if distinct.len() > NAMES_MAX { ", …" } else { "" };
    distinct.truncate(NAMES_MAX);
    format!("{}{more}", distinct.join(", "))
}

/// Where the query names `name`, in whatever case. A query that variables were put into has no places.
fn place_of(query: &ast::Query, name: &str) -> Option<Span> {
    let text = query.text.as_str();
    let length = query.span.end.checked_sub(query.span.start)?;
    if usize::try_from(length) != Ok(text.trim_end().len()) && usize::try_from(length) != Ok(text.len()) {
        return None;
    }
    let (text, name) = (text.to_ascii_uppercase(), name.to_ascii_uppercase());
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |at: &usize| {
        let before = text.get(..*at).and_then(|t| t.chars().next_back());
        let behind = text.get(at + name.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(word) && !behind.is_some_and(word)
    };
    let at = text.match_indices(&name).map(|(at, _)| at).find(alone)?;
    let start = usize::try_from(query.span.start).ok()?.checked_add(at)?;
    Some(Span::new(start, start.checked_add(name.len())?))
}
