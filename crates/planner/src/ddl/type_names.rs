//! Type names → types; CREATE TYPE and DROP TYPE.

use indexmap::IndexMap;
use syntax::ast::{Ident, TypeKind, TypeName};
use types::{Error, Result, SqlType, StructField, did_you_mean};

/// The precision and scale of a bare DECIMAL.
const BARE_DECIMAL: (u32, u32) = (10, 0);

/// Names of the built-in types, with their synonyms.
const BUILT_IN: [(&str, SqlType); 13] = [
    ("BIGINT", SqlType::BigInt),
    ("BOOLEAN", SqlType::Boolean),
    ("BYTES", SqlType::Bytes),
    ("DATE", SqlType::Date),
    ("DEC", SqlType::Decimal { precision: 10, scale: 0 }),
    ("DECIMAL", SqlType::Decimal { precision: 10, scale: 0 }),
    ("DOUBLE", SqlType::Double),
    ("INT", SqlType::Int),
    ("INTEGER", SqlType::Int),
    ("STRING", SqlType::String),
    ("TIME", SqlType::Time),
    ("TIMESTAMP", SqlType::Timestamp),
    ("VARCHAR", SqlType::String),
];

/// The type that `ty` names; `user` are the user's own types, by name.
pub fn resolve_type(ty: &TypeName, user: Option<&IndexMap<String, SqlType>>) -> Result<SqlType> {
    match &ty.kind {
        TypeKind::Named(name) => named(name, user),
        TypeKind::Decimal(None) => types::decimal(BARE_DECIMAL.0, BARE_DECIMAL.1),
        TypeKind::Decimal(Some((precision, scale))) => types::decimal(*precision, *scale).map_err(|e| e.at(ty.span)),
        TypeKind::Array(element) => Ok(SqlType::Array(Box::new(resolve_type(element, user)?))),
        TypeKind::Map(key, value) => {
            Ok(SqlType::Map(Box::new(resolve_type(key, user)?), Box::new(resolve_type(value, user)?)))
        }
        TypeKind::Struct(fields) => structure(fields, user),
    }
}

fn structure(fields: &[(Ident, TypeName)], user: Option<&IndexMap<String, SqlType>>) -> Result<SqlType> {
    let mut resolved: Vec<StructField> = Vec::with_capacity(fields.len());
    for (name, ty) in fields {
        if resolved.iter().any(|f| f.name == name.value) {
            return Err(Error::invalid(format!("The STRUCT has two fields of the name '{}'", name.value)).at(name.span));
        }
        resolved.push(StructField { name: name.value.clone(), ty: resolve_type(ty, user)? });
    }
    Ok(SqlType::Struct(resolved))
}

fn named(name: &Ident, user: Option<&IndexMap<String, SqlType>>) -> Result<SqlType> {
    if !name.quoted
        && let Some((_, ty)) = BUILT_IN.iter().find(|(known, _)| *known == name.value)
    {
        return Ok(ty.clone());
    }
    if let Some(ty) = user.and_then(|types| types.get(&name.value)) {
        return Ok(ty.clone());
    }
    let own = user.into_iter().flat_map(|types| types.keys().map(String::as_str));
    let known = BUILT_IN.iter().map(|(known, _)| *known).chain(own);
    let error = Error::new(types::ErrorKind::User, "42704", format!("Cannot resolve unknown type: {}", name.value));
    Err(match did_you_mean(&name.value, known) {
        Some(near) => error.at(name.span).with_hint(format!("did you mean {near}?")),
        None => error.at(name.span).with_hint("SHOW TYPES; lists those made by CREATE TYPE"),
    })
}

/// Check CREATE TYPE: the name and the type that it is to have. `None`: IF NOT EXISTS, and it does.
pub fn plan_create_type(
    name: &Ident,
    ty: &TypeName,
    if_not_exists: bool,
    user: &IndexMap<String, SqlType>,
) -> Result<Option<(String, SqlType)>> {
    if BUILT_IN.iter().any(|(known, _)| *known == name.value) {
        let message = format!("Cannot register custom type '{}': a built-in type has that name", name.value);
        return Err(Error::exists(message).at(name.span));
    }
    let resolved = resolve_type(ty, Some(user))?;
    if user.contains_key(&name.value) {
        if if_not_exists {
            return Ok(None);
        }
        let message = format!("Cannot register custom type '{}': a type of that name exists", name.value);
        let hint = format!("DROP TYPE {}; or CREATE TYPE IF NOT EXISTS", name.value);
        return Err(Error::exists(message).at(name.span).with_hint(hint));
    }
    Ok(Some((name.value.clone(), resolved)))
}

/// Check DROP TYPE: the name to remove. `None`: IF EXISTS, and it does not.
pub fn plan_drop_type(name: &Ident, if_exists: bool, user: &IndexMap<String, SqlType>) -> Result<Option<String>> {
    if user.contains_key(&name.value) {
        return Ok(Some(name.value.clone()));
    }
    if if_exists {
        return Ok(None);
    }
    let message = format!("Type {} does not exist", name.value);
    let error = Error::new(types::ErrorKind::User, "42704", message).at(name.span);
    Err(match did_you_mean(&name.value, user.keys().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error,
    })
}
