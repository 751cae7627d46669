//! `AS_MAP`.

use std::collections::HashMap;

use arrow::array::{Array as _, ArrayRef};
use types::Result;

use super::keys::text_keys;
use crate::{
    FunctionDoc, RowErrors,
    encoded::Rows,
    overload::Param::{Array, Map, String, Var},
    scalar::{
        array::lists::{Lists, Picks},
        definition::{Call, Overload, Scalar},
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "AS_MAP",
        aliases: &[],
        category: "MAP",
        signatures: &["AS_MAP(keys, values)"],
        description: "The map of the keys to the values at the same places; keys beyond the last value have the \
                      value NULL. Of equal keys the last one counts; a key that is NULL reads `null`. NULL if either \
                      array is.",
        examples: &[("AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2])", "{a=1, b=2}")],
    },
    overloads: &[Overload::new(&[Array(&String), Array(&Var('V'))], Map(&String, &Var('V')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (keys, values) = (Lists::of(call, 0)?, Lists::of(call, 1)?);
    let key_column = text_keys(keys.values())?;
    let key_rows = Rows::of(key_column.as_ref())?;
    let nothing = arrow::array::new_null_array(values.values().data_type(), 1);
    let (mut key_picks, mut value_picks) = (Picks::new(call.rows), Picks::new(call.rows));
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut entries: Vec<(usize, Option<usize>)> = Vec::new();
    for row in 0..call.rows {
        let (Some(keys), Some(values)) = (keys.range(row), values.range(row)) else {
            key_picks.end_row(false)?;
            value_picks.end_row(false)?;
            continue;
        };
        places.clear();
        entries.clear();
        for (nth, key) in keys.enumerate() {
            let value = Some(values.start + nth).filter(|at| *at < values.end);
            let place = *places.entry(key_rows.get(key)).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        for (key, value) in &entries {
            key_picks.push(0, *key);
            value_picks.push(usize::from(value.is_none()), value.unwrap_or(0));
        }
        key_picks.end_row(true)?;
        value_picks.end_row(true)?;
    }
    key_picks.into_maps_with(&call.return_type.to_arrow(), &[&key_column], value_picks, &[values.values(), &nothing])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",\"b\"]", "ARRAY<INTEGER> [1,2]"], "{\"a\":1,\"b\":2}");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",\"b\",\"a\"]", "ARRAY<DOUBLE> [1.5]"], "{\"a\":null,\"b\":null}");
        check_call(&FUNCTION, &["ARRAY<STRING> [null]", "ARRAY<DOUBLE> [1.5,2.5]"], "{\"null\":1.5}");
        check_call(&FUNCTION, &["ARRAY<STRING> null", "ARRAY<DOUBLE> []"], "null");
        check_call(&FUNCTION, &["ARRAY<STRING> []", "ARRAY<DOUBLE> null"], "null");
    }
}
