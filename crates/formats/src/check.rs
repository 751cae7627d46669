//! What every format checks of a side of a record: options that only some formats have, MAP in keys, wrapping.

use types::{Column, Error, Namespace, Result, SqlType, quote_ident};

use crate::{FormatSpec, Part};

/// What a format can do, as far as options are concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abilities {
    pub name: &'static str,
    /// VALUE_DELIMITER, KEY_DELIMITER.
    pub delimiter: bool,
    /// KEY_SCHEMA_ID and the like.
    pub schema: bool,
    /// KEY_PROTOBUF_NULLABLE_REPRESENTATION and the like.
    pub nullable_representation: bool,
    /// A single column as a field of something.
    pub wraps: bool,
    /// A single column alone.
    pub unwraps: bool,
}

/// Check what does not depend on how the format writes a type.
pub(crate) fn side(can: Abilities, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
    let (side, name) = (side_name(part), can.name);
    if let (Some(_), false) = (&spec.delimiter, can.delimiter) {
        return Err(Error::invalid(format!(
            "{name} does not support {side}_DELIMITER: only DELIMITED has a delimiter"
        )));
    }
    if spec.schema_id.is_some() && !can.schema {
        return Err(Error::invalid(format!(
            "{side}_FORMAT should support schema inference when {side}_SCHEMA_ID is provided. Current format is {name}."
        )));
    }
    if spec.schema_full_name.is_some() && !can.schema {
        return Err(Error::invalid(format!("{name} does not support {side}_SCHEMA_FULL_NAME")));
    }
    let foreign = |key: &&String| key.contains("PROTOBUF") && key.starts_with(side);
    if let (Some(key), false) = (spec.extra.keys().find(foreign), can.nullable_representation) {
        return Err(Error::invalid(format!("{name} does not support {key}")));
    }
    wrapping(can, part, columns, spec)?;
    if part == Part::Key {
        no_maps(columns)?;
    }
    Ok(())
}

fn wrapping(can: Abilities, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
    let (Part::Value, Some(wrap)) = (part, spec.wrap_single) else { return Ok(()) };
    if !(if wrap { can.wraps } else { can.unwraps }) {
        return Err(Error::invalid(format!(
            "Format '{}' does not support 'WRAP_SINGLE_VALUE' set to '{wrap}'.",
            can.name
        )));
    }
    if columns.len() > 1 {
        return Err(Error::invalid(format!(
            "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas, and there are {}",
            list(columns)
        )));
    }
    Ok(())
}

/// A MAP has no order of entries, so equal keys could differ in their bytes and land in different partitions.
fn no_maps(columns: &[Column]) -> Result<()> {
    match columns.iter().find(|c| c.ty.has_map()) {
        None => Ok(()),
        Some(column) => Err(Error::unsupported(format!(
            "Map keys, including types that contain maps, are not supported, because equal maps may be serialized \
             differently. Key column name: {}. Column type: {}.",
            quote_ident(&column.name),
            column.ty
        ))),
    }
}

/// Whether the type has a MAP whose keys are not text.
pub(crate) fn has_other_keys(ty: &SqlType) -> bool {
    match ty {
        SqlType::Map(key, value) => **key != SqlType::String || has_other_keys(value),
        SqlType::Array(element) => has_other_keys(element),
        SqlType::Struct(fields) => fields.iter().any(|f| has_other_keys(&f.ty)),
        _ => false,
    }
}

/// Refuse the first column whose type is not `supported`.
pub(crate) fn types(name: &str, columns: &[Column], supported: fn(&SqlType) -> bool) -> Result<()> {
    match columns.iter().find(|c| !supported(&c.ty)) {
        None => Ok(()),
        Some(column) => Err(Error::unsupported(format!(
            "The '{name}' format does not support type '{}', column: {}",
            base_name(&column.ty),
            quote_ident(&column.name)
        ))),
    }
}

/// `KEY` or `VALUE`, as properties begin.
pub(crate) fn side_name(part: Part) -> &'static str {
    match part {
        Part::Key => "KEY",
        Part::Value => "VALUE",
    }
}

/// ``[`A` INTEGER KEY, `B` STRING]``.
pub(crate) fn list(columns: &[Column]) -> String {
    let one = |c: &Column| {
        let key = if c.namespace == Namespace::Key { " KEY" } else { "" };
        format!("{} {}{key}", quote_ident(&c.name), c.ty)
    };
    format!("[{}]", columns.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// A type's name without its parameters.
fn base_name(ty: &SqlType) -> String {
    let full = ty.to_string();
    let end = full.find(['<', '(']).unwrap_or(full.len());
    full.get(..end).unwrap_or_default().to_owned()
}

/// The wanted columns out of all.
///
/// # Errors
/// A place beyond the columns: a mistake of the caller.
pub(crate) fn pick<'a>(columns: &'a [Column], wanted: &[usize]) -> Result<Vec<&'a Column>> {
    let one = |place: &usize| {
        columns.get(*place).ok_or_else(|| Error::internal(format!("column {place} of {} wanted", columns.len())))
    };
    wanted.iter().map(one).collect()
}
