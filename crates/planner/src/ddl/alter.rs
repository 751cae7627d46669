//! ALTER STREAM and ALTER TABLE … ADD COLUMN.

use catalog::{Catalog, Source};
use formats::Part;
use syntax::ast::{ColumnDef, Ident, ObjectKind};
use types::{Column, Error, Namespace, Result, quote_ident};

use super::{
    drop::{check_kind, unknown},
    replace::kind_name,
    resolve_type,
};
use crate::{expr::is_reserved, plan::Planned};

/// What ALTER … ADD would do: the source in its new form takes its own place.
pub fn plan_alter(
    object: ObjectKind,
    name: &Ident,
    add: &[ColumnDef],
    catalog: &Catalog,
    statement: &str,
) -> Result<Planned> {
    let Some(source) = catalog.source(&name.value) else {
        return Err(unknown(format!("Source {} does not exist", quote_ident(&name.value)), name, catalog));
    };
    check_kind(object, source.kind, "ALTER").map_err(|e| e.at(name.span))?;
    let what = kind_name(source.kind);
    if source.read_only {
        let message =
            format!("Cannot alter {what} '{}': ALTER operations are not supported on source {what}s", name.value);
        return Err(Error::unsupported(message).at(name.span));
    }
    if source.created_by.is_some() {
        return Err(Error::unsupported("ALTER command is not supported for CREATE ... AS statements")
            .at(name.span)
            .with_hint(format!(
                "CREATE OR REPLACE {} {} AS SELECT … changes its query",
                what.to_uppercase(),
                name.value
            )));
    }
    let mut altered: Source = source.as_ref().clone();
    for element in add {
        let column = added_column(element, &altered, catalog)?;
        altered.schema.columns.push(column);
    }
    altered.statement = statement.to_owned();
    let value: Vec<Column> = altered.schema.value().cloned().collect();
    let format = formats::format(&altered.value_format.name)?;
    let at = add.last().map_or(name.span, |e| e.span);
    format.check(Part::Value, &value, &altered.value_format).map_err(|e| e.at(at))?;
    Ok(Planned::CreateSource { source: altered, replaces: true, topic: None, materialize: None })
}

fn added_column(element: &ColumnDef, source: &Source, catalog: &Catalog) -> Result<Column> {
    let name = &element.name.value;
    if element.constraint.is_some() {
        let message = format!("Column {} cannot be added: only value columns can", quote_ident(name));
        return Err(Error::unsupported(message).at(element.span).with_hint("leave out KEY, PRIMARY KEY and HEADERS"));
    }
    if is_reserved(name) {
        let message = format!("'{name}' is a reserved column name. You cannot use it as a name for a column");
        return Err(Error::invalid(message).at(element.name.span));
    }
    if source.schema.find(name).is_some() {
        let message =
            format!("Cannot add column {} to schema. A column with the same name already exists", quote_ident(name));
        return Err(Error::exists(message).at(element.name.span));
    }
    let ty = resolve_type(&element.ty, Some(&catalog.types))?;
    Ok(Column { name: name.clone(), ty, namespace: Namespace::Value })
}
