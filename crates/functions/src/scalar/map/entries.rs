//! `ENTRIES`.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, StructArray},
    datatypes::DataType,
};
use types::{Error, Result, SqlType, StructField};

use crate::{
    FunctionDoc, RowErrors,
    encoded::Rows,
    overload::{
        Param::{Boolean, Map, String, Var},
        Resolved,
    },
    scalar::{
        array::lists::{Maps, Picks},
        definition::{Call, Overload, Scalar},
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ENTRIES",
        aliases: &[],
        category: "MAP",
        signatures: &["ENTRIES(map, sorted)"],
        description: "The entries of the map as an ARRAY of STRUCTs: the key in `K`, the value in `V`; sorted by key \
                      if `sorted` is true. NULL if the map is.",
        examples: &[("ENTRIES(MAP('b' := 2, 'a' := 1), true)", "[Struct{K=a,V=1}, Struct{K=b,V=2}]")],
    },
    overloads: &[Overload::computed(&[Map(&String, &Var('V')), Boolean], result, eval)],
    deterministic: true,
};

fn result(resolved: &Resolved) -> Result<SqlType> {
    let SqlType::Map(key, value) = resolved.value(0) else { return Err(Error::internal("a MAP is wanted")) };
    let field = |name: &str, ty: SqlType| StructField { name: name.to_owned(), ty };
    Ok(SqlType::Array(Box::new(SqlType::Struct(vec![field("K", *key), field("V", *value)]))))
}

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (maps, sorted) = (Maps::of(call, 0)?, call.view::<BooleanArray>(1)?);
    let keys = Rows::of(maps.keys().as_ref())?;
    let mut picks = Picks::new(call.rows);
    let mut order: Vec<usize> = Vec::new();
    for row in 0..call.rows {
        let range = maps.range(row);
        let valid = range.is_some();
        order.clear();
        order.extend(range.into_iter().flatten());
        if sorted.get(row) == Some(true) {
            order.sort_by(|a, b| keys.get(*a).cmp(keys.get(*b)));
        }
        order.iter().for_each(|at| picks.push(0, *at));
        picks.end_row(valid)?;
    }
    let ty = call.return_type.to_arrow();
    let DataType::List(element) = &ty else { return Err(Error::internal("an ARRAY is made for another type")) };
    let DataType::Struct(fields) = element.data_type() else { return Err(Error::internal("a STRUCT is wanted")) };
    let columns = vec![Arc::clone(maps.keys()), Arc::clone(maps.values())];
    let pairs = StructArray::try_new(fields.clone(), columns, None);
    let pairs: ArrayRef = Arc::new(pairs.map_err(|e| Error::internal(format!("making entries: {e}")))?);
    picks.into_lists(&ty, &[&pairs])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        let map = "MAP<STRING, INTEGER> {\"b\":2,\"a\":null}";
        check_call(&FUNCTION, &[map, "BOOLEAN true"], r#"[{"K":"a","V":null},{"K":"b","V":2}]"#);
        check_call(&FUNCTION, &[map, "BOOLEAN false"], r#"[{"K":"b","V":2},{"K":"a","V":null}]"#);
        check_call(&FUNCTION, &["MAP<STRING, DOUBLE> {}", "BOOLEAN true"], "[]");
        check_call(&FUNCTION, &["MAP<STRING, DOUBLE> null", "BOOLEAN true"], "null");
    }
}
