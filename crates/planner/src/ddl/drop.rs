//! DROP STREAM and DROP TABLE.

use catalog::{Catalog, SourceKind};
use syntax::ast::{Ident, ObjectKind};
use types::{Error, Result, did_you_mean, quote_ident};

use super::replace::kind_name;

/// What DROP would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drop {
    /// IF EXISTS, and it does not: nothing, and why.
    Nothing(String),
    /// Remove the source.
    Source {
        /// Its name.
        name: String,
        /// The query that writes it, which ends first.
        terminates: Option<String>,
        /// The topic to delete, if that was asked for.
        delete_topic: Option<String>,
    },
    /// Remove the view of that name.
    View(String),
}

/// Check DROP STREAM|TABLE|VIEW.
pub fn plan_drop(
    object: ObjectKind,
    if_exists: bool,
    name: &Ident,
    delete_topic: bool,
    catalog: &Catalog,
) -> Result<Drop> {
    drop_checked(object, if_exists, name, delete_topic, catalog).map_err(|e| e.at(name.span))
}

fn drop_checked(
    object: ObjectKind,
    if_exists: bool,
    name: &Ident,
    delete_topic: bool,
    catalog: &Catalog,
) -> Result<Drop> {
    if object == ObjectKind::View {
        return drop_view(if_exists, name, catalog);
    }
    let Some(source) = catalog.source(&name.value) else {
        let what = if object == ObjectKind::Table { "Table" } else { "Stream" };
        let message = format!("{what} {} does not exist", quote_ident(&name.value));
        if if_exists && !catalog.views.contains_key(&name.value) {
            return Ok(Drop::Nothing(format!("{message}.")));
        }
        return Err(unknown(message, name, catalog));
    };
    check_kind(object, source.kind, "DROP")?;
    if delete_topic && source.read_only {
        let message = format!("Cannot delete topic for read-only source: {}", name.value);
        return Err(Error::invalid(message).with_hint("DROP it without DELETE TOPIC"));
    }
    let readers = catalog.readers(&name.value);
    let writers: Vec<String> =
        catalog.writers(&name.value).into_iter().filter(|id| Some(id) != source.created_by.as_ref()).collect();
    for (ids, verb) in [(readers, "read from"), (writers, "write into")] {
        let others: Vec<String> = ids.into_iter().filter(|id| Some(id) != source.created_by.as_ref()).collect();
        if others.is_empty() {
            continue;
        }
        let message = format!(
            "Cannot drop {}. The following streams and/or tables {verb} this source, by queries: [{}]",
            name.value,
            others.iter().map(|id| dependent(id, catalog)).collect::<Vec<_>>().join(", ")
        );
        return Err(Error::depended_on(message).with_hint(format!(
            "drop them, or TERMINATE {}; and so on, before {}",
            others.join("; TERMINATE "),
            name.value
        )));
    }
    Ok(Drop::Source {
        name: name.value.clone(),
        terminates: source.created_by.clone(),
        delete_topic: delete_topic.then(|| source.topic.clone()),
    })
}

/// `SINK (query)`.
fn dependent(id: &str, catalog: &Catalog) -> String {
    match catalog.queries.get(id) {
        Some(query) => format!("{} ({id})", query.writes),
        None => id.to_owned(),
    }
}

fn drop_view(if_exists: bool, name: &Ident, catalog: &Catalog) -> Result<Drop> {
    if catalog.views.contains_key(&name.value) {
        return Ok(Drop::View(name.value.clone()));
    }
    let message = format!("View {} does not exist", quote_ident(&name.value));
    if if_exists { Ok(Drop::Nothing(format!("{message}."))) } else { Err(unknown(message, name, catalog)) }
}

/// The error that `name` is no stream, table or view, with what may have been meant.
pub fn unknown(message: String, name: &Ident, catalog: &Catalog) -> Error {
    let known = || catalog.sources.keys().chain(catalog.views.keys()).map(String::as_str);
    let error = Error::undefined_source(message).at(name.span);
    let folded = name.value.to_uppercase();
    if let Some(other_case) = known().find(|k| **k != name.value && k.to_uppercase() == folded) {
        let hint = if name.quoted && *other_case == folded {
            format!("did you mean {other_case}? Without the quotes the name is folded to upper case")
        } else {
            format!("did you mean \"{other_case}\"? The quotes keep a name as it is written")
        };
        return error.with_hint(hint);
    }
    match did_you_mean(&name.value, known()) {
        Some(near) => error.with_hint(format!("did you mean {}?", crate::expr::name_text(near))),
        None => error,
    }
}

/// Whether a statement on a stream is on a stream, and on a table on a table.
pub(super) fn check_kind(object: ObjectKind, kind: SourceKind, statement: &str) -> Result<()> {
    let wanted = match object {
        ObjectKind::Table => "TABLE",
        ObjectKind::Stream => "STREAM",
        ObjectKind::View => "VIEW",
    };
    let is = kind_name(kind).to_uppercase();
    if is == wanted {
        return Ok(());
    }
    Err(Error::new(
        types::ErrorKind::User,
        "42809",
        format!("Incompatible data source type is {is}, but statement was {statement} {wanted}"),
    )
    .with_hint(format!("{statement} {is}")))
}
