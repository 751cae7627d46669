//! Which selected columns are the key of the result.
//!
//! ksqlDB's rule: the key of what is selected from must be selected, once, under any name. A join by value has as many
//! names for its key as sides agree on it, and the first that is selected is the key; the others are values.

use types::{Error, Result, Span};

use super::{
    Env, Mode,
    input::{Input, KeyColumn, KeyOrigin},
    select_list::Item,
    text,
};

/// The key of a result.
pub(super) struct Chosen<'a> {
    /// Its columns, in order, each with the item that selects it; none: it is not selected.
    pub keys: Vec<(&'a KeyColumn, Option<usize>)>,
}

impl<'a> Chosen<'a> {
    /// The key column that item `at` is.
    pub fn of_item(&self, at: usize) -> Option<&'a KeyColumn> {
        self.keys.iter().find(|(_, item)| *item == Some(at)).map(|(key, _)| *key)
    }
}

/// Find the key's columns among what is selected.
pub(super) fn choose<'a>(
    env: &Env<'_>,
    input: &'a Input,
    items: &[Item],
    mode: &Mode,
    span: Span,
) -> Result<Chosen<'a>> {
    let identities: Vec<String> = items.iter().map(|i| text::identity(&i.expr)).collect();
    let mut keys = Vec::with_capacity(input.key.len());
    for column in &input.key {
        let selecting = |name: &super::input::KeyName| {
            let wanted = text::identity(&name.expr);
            let found: Vec<usize> = (0..items.len()).filter(|at| identities.get(*at) == Some(&wanted)).collect();
            if found.is_empty() { None } else { Some(found) }
        };
        let found = column.names.iter().find_map(selecting).unwrap_or_default();
        if let (Mode::Persistent { .. }, [first, second, ..]) = (mode, found.as_slice()) {
            return Err(selected_twice(column, items, *first, *second));
        }
        keys.push((column, found.first().copied()));
    }
    match mode {
        Mode::Persistent { name, .. } => {
            if input.key_origin == KeyOrigin::Source && input.is_single() && env.keys_may_be_left_out() {
                keys.retain(|(_, item)| item.is_some());
                keys.sort_by_key(|(_, item)| *item);
            }
            let missing: Vec<&KeyColumn> = keys.iter().filter(|(_, item)| item.is_none()).map(|(k, _)| *k).collect();
            if !missing.is_empty() {
                let all: Vec<&KeyColumn> = keys.iter().map(|(k, _)| *k).collect();
                return Err(missing_key(name, input, &missing, &all, span));
            }
        }
        // A stream's rows lose the key that nobody asked for; a table's rows are nothing without theirs.
        Mode::Derived | Mode::Push => {
            if input.plan.kind == catalog::SourceKind::Stream && keys.iter().any(|(_, item)| item.is_none()) {
                keys.clear();
            }
        }
    }
    Ok(Chosen { keys })
}

fn selected_twice(column: &KeyColumn, items: &[Item], first: usize, second: usize) -> Error {
    let name = |at: usize| items.get(at).map_or("", |i| i.name.as_str());
    let text = column.names.first().map_or("", |n| n.text.as_str());
    let message = format!(
        "The projection contains a key column (`{text}`) more than once, aliased as: {} and {}",
        name(first),
        name(second)
    );
    let error = Error::invalid(message).at(items.get(second).map_or(Span::default(), |i| i.span));
    error.with_hint(format!("use AS_VALUE({text}) for a copy in the value"))
}

fn missing_key(sink: &str, input: &Input, missing: &[&KeyColumn], all: &[&KeyColumn], span: Span) -> Error {
    let texts = |column: &KeyColumn| column.names.iter().map(|n| n.text.clone()).collect::<Vec<_>>();
    let message = match input.key_origin {
        KeyOrigin::ForeignKeyJoin => {
            let left = input.sources.first().map_or("", |s| s.alias.as_str());
            let names: Vec<String> = missing.iter().map(|m| format!("`{}`", column_of(m))).collect();
            let (s, names) = (plural(names.len()), names.join(", "));
            format!(
                "Primary key column{s} missing in projection. For foreign-key table-table joins, the projection must \
                 include all primary key columns from the left input table (`{left}`). Missing column{s}: {names}"
            )
        }
        KeyOrigin::Join => {
            let names = missing.first().map(|m| texts(m)).unwrap_or_default();
            let s = plural(names.len());
            format!(
                "Key missing from projection. {}",
                must_include(sink, &format!("join expression{s}"), &names, " or ")
            )
        }
        origin => {
            let (what, listed) = match origin {
                KeyOrigin::Group => ("grouping expression", missing),
                KeyOrigin::Partition => ("partitioning expression", all),
                _ => ("key column", missing),
            };
            let names: Vec<String> = listed.iter().filter_map(|m| texts(m).into_iter().next()).collect();
            let what = format!("{what}{}", plural(names.len()));
            format!("Key missing from projection. {}", must_include(sink, &what, &names, " and "))
        }
    };
    let error = Error::invalid(message).at(span);
    if missing.iter().any(|m| m.synthetic) {
        return error.with_hint(
            "ROWKEY was added as a synthetic key column because the join criteria did not match any source column; \
             select it, perhaps under another name",
        );
    }
    error
}

fn must_include(sink: &str, what: &str, names: &[String], last: &str) -> String {
    let listed = match names {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., end] => format!("{}{last}{end}", init.join(", ")),
    };
    let example = if last == " and " { names.join(", ") } else { names.first().cloned().unwrap_or_default() };
    format!(
        "The query used to build `{sink}` must include the {what} {listed} in its projection (eg, SELECT {example}...)"
    )
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

fn column_of(column: &KeyColumn) -> String {
    let name = column.names.first();
    name.and_then(|n| super::resolve::as_column(&n.expr)).map(|(_, name)| name.to_owned()).unwrap_or_default()
}
