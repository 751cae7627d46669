//! `MAP_UNION`.

use std::collections::HashMap;

use arrow::array::ArrayRef;
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    encoded::Rows,
    overload::Param::{Map, Var},
    scalar::{
        array::lists::{Maps, Picks},
        definition::{Call, Overload, Scalar},
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MAP_UNION",
        aliases: &[],
        category: "MAP",
        signatures: &["MAP_UNION(map1, map2)"],
        description: "The entries of both maps; for a key that both have, the value of the second. Where one of them \
                      is NULL, the other; NULL if both are.",
        examples: &[("MAP_UNION(MAP('a' := 1, 'b' := 2), MAP('a' := 5))", "{a=5, b=2}")],
    },
    overloads: &[Overload::new(
        &[Map(&Var('K'), &Var('V')), Map(&Var('K'), &Var('V'))],
        Map(&Var('K'), &Var('V')),
        eval,
    )],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (left, right) = (Maps::of(call, 0)?, Maps::of(call, 1)?);
    let (left_keys, right_keys) = (Rows::of(left.keys().as_ref())?, Rows::of(right.keys().as_ref())?);
    let mut picks = Picks::new(call.rows);
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut entries: Vec<(usize, usize)> = Vec::new();
    for row in 0..call.rows {
        let (first, second) = (left.range(row), right.range(row));
        let valid = first.is_some() || second.is_some();
        places.clear();
        entries.clear();
        let first = first.into_iter().flatten().map(|at| (left_keys.get(at), (0, at)));
        let second = second.into_iter().flatten().map(|at| (right_keys.get(at), (1, at)));
        for (key, entry) in first.chain(second) {
            let place = *places.entry(key).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(old) => *old = entry,
                None => entries.push(entry),
            }
        }
        entries.iter().for_each(|(map, at)| picks.push(*map, *at));
        picks.end_row(valid)?;
    }
    let (keys, values) = ([left.keys(), right.keys()], [left.values(), right.values()]);
    picks.into_maps(&call.return_type.to_arrow(), &keys, &values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        let of = |left: &str, right: &str, want: &str| {
            let (left, right) = (format!("MAP<STRING, INTEGER> {left}"), format!("MAP<STRING, INTEGER> {right}"));
            check_call(&FUNCTION, &[&left, &right], want);
        };
        of(r#"{"a":1,"b":2}"#, r#"{"c":3,"a":null}"#, r#"{"a":null,"b":2,"c":3}"#);
        of("null", r#"{"c":3}"#, r#"{"c":3}"#);
        of(r#"{"c":3}"#, "null", r#"{"c":3}"#);
        of("null", "null", "null");
    }
}
