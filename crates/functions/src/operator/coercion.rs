//! Which types convert to which without CAST, and the one type that several expressions agree on.

use types::{Error, Result, SqlType, StructField, decimal};

/// Whether a value of `from` may stand where `to` is wanted without CAST: numbers become wider numbers, and so do the
/// elements of an ARRAY, keys and values of a MAP and the common fields of a STRUCT.
pub fn implicitly_castable(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (a, b) if a == b => true,
        (SqlType::Int, SqlType::BigInt | SqlType::Double) => true,
        (SqlType::BigInt | SqlType::Decimal { .. }, SqlType::Double) => true,
        (SqlType::Int | SqlType::BigInt | SqlType::Decimal { .. }, SqlType::Decimal { precision, scale }) => {
            from.as_decimal().is_some_and(|(p, s)| s <= *scale && p - s <= precision - scale)
        }
        (SqlType::Array(from), SqlType::Array(to)) => implicitly_castable(from, to),
        (SqlType::Map(from_key, from_value), SqlType::Map(to_key, to_value)) => {
            implicitly_castable(from_key, to_key) && implicitly_castable(from_value, to_value)
        }
        (SqlType::Struct(from), SqlType::Struct(to)) => from.iter().all(|f| {
            let same_name = to.iter().find(|t| t.name == f.name);
            same_name.is_none_or(|t| implicitly_castable(&f.ty, &t.ty))
        }),
        _ => false,
    }
}

/// The type to which both sides of a comparison, or all branches of a CASE, all elements of an ARRAY and so on,
/// convert; `None` in the list is the literal NULL. The first type that is known decides the kind; numbers widen to
/// one that holds them all; the fields of STRUCTs are united. The error names the two types that do not agree.
pub fn common_type(types: &[Option<SqlType>]) -> Result<Option<SqlType>> {
    let mut known = types.iter().flatten();
    let Some(first) = known.next() else { return Ok(None) };
    let mut common = first.clone();
    for ty in known {
        common = unite(&common, ty).ok_or_else(|| {
            Error::new(types::ErrorKind::User, "42883", format!("operator does not exist: {common} = {ty}"))
        })?;
    }
    Ok(Some(common))
}

fn unite(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (SqlType::Array(a), SqlType::Array(b)) => Some(SqlType::Array(Box::new(unite(a, b)?))),
        (SqlType::Map(key_a, value_a), SqlType::Map(key_b, value_b)) => {
            Some(SqlType::Map(Box::new(unite(key_a, key_b)?), Box::new(unite(value_a, value_b)?)))
        }
        (SqlType::Struct(a), SqlType::Struct(b)) => unite_fields(a, b),
        _ => numeric_common_type(a, b),
    }
}

/// All fields of both, those of `a` first.
fn unite_fields(a: &[StructField], b: &[StructField]) -> Option<SqlType> {
    let mut fields = Vec::with_capacity(a.len());
    for field in a {
        let ty = match b.iter().find(|f| f.name == field.name) {
            Some(same) => unite(&field.ty, &same.ty)?,
            None => field.ty.clone(),
        };
        fields.push(StructField { name: field.name.clone(), ty });
    }
    fields.extend(b.iter().filter(|f| a.iter().all(|g| g.name != f.name)).cloned());
    Some(SqlType::Struct(fields))
}

/// The narrowest numeric type that holds the values of both; `None` if one is no number, or the digits are too many.
pub fn numeric_common_type(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    match (a, b) {
        (a, b) if !a.is_numeric() || !b.is_numeric() => None,
        (SqlType::Double, _) | (_, SqlType::Double) => Some(SqlType::Double),
        (SqlType::Decimal { .. }, _) | (_, SqlType::Decimal { .. }) => {
            let ((p1, s1), (p2, s2)) = (a.as_decimal()?, b.as_decimal()?);
            let scale = s1.max(s2);
            let whole = (p1 - s1).max(p2 - s2);
            decimal(u32::from(whole) + u32::from(scale), u32::from(scale)).ok()
        }
        (SqlType::BigInt, _) | (_, SqlType::BigInt) => Some(SqlType::BigInt),
        _ => Some(SqlType::Int),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(precision: u8, scale: u8) -> SqlType {
        SqlType::Decimal { precision, scale }
    }

    #[test]
    fn common() {
        let check = |types: &[SqlType], expect: Option<SqlType>| {
            let types: Vec<Option<SqlType>> = std::iter::once(None).chain(types.iter().cloned().map(Some)).collect();
            assert_eq!(common_type(&types).ok().flatten(), expect);
        };
        check(&[SqlType::Int, SqlType::BigInt], Some(SqlType::BigInt));
        check(&[SqlType::Int, dec(4, 2)], Some(dec(12, 2)));
        check(&[dec(9, 2), dec(7, 6)], Some(dec(13, 6)));
        check(&[dec(9, 2), SqlType::Double], Some(SqlType::Double));
        check(&[SqlType::Int, SqlType::Boolean], None);
        let array = |ty| SqlType::Array(Box::new(ty));
        check(&[array(SqlType::Int), array(SqlType::Double)], Some(array(SqlType::Double)));
        let fields = |names: &[(&str, SqlType)]| {
            SqlType::Struct(names.iter().map(|(n, ty)| StructField { name: (*n).into(), ty: ty.clone() }).collect())
        };
        check(
            &[fields(&[("A", SqlType::Int)]), fields(&[("B", SqlType::String), ("A", SqlType::BigInt)])],
            Some(fields(&[("A", SqlType::BigInt), ("B", SqlType::String)])),
        );
    }

    #[test]
    fn implicit() {
        assert!(implicitly_castable(&SqlType::Int, &dec(12, 2)));
        assert!(!implicitly_castable(&SqlType::Int, &dec(11, 2)));
        assert!(!implicitly_castable(&SqlType::BigInt, &SqlType::Int));
        assert!(implicitly_castable(&dec(4, 2), &SqlType::Double));
        assert!(!implicitly_castable(&SqlType::Int, &SqlType::String));
    }
}
