//! `SPLIT_TO_MAP`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StringBuilder};
use types::{Error, Result};

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Map, String},
    scalar::{
        definition::{Call, Overload, Scalar},
        misc::map_builder,
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "SPLIT_TO_MAP",
        aliases: &[],
        category: "STRING",
        signatures: &["SPLIT_TO_MAP(text, entry_delimiter, key_value_delimiter)"],
        description: "A MAP of the entries of the text: it is split at the first delimiter, and each part at the \
                      second one into a key and a value. Parts without the second delimiter are left out; of entries \
                      with the same key the last one counts. NULL if any argument is, or a delimiter is empty.",
        examples: &[("SPLIT_TO_MAP('apple:green/cherry:red', '/', ':')", "{apple=green, cherry=red}")],
    },
    overloads: &[Overload::new(&[String, String, String], Map(&String, &String), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    let (entry_delimiters, delimiters) = (call.view::<StringArray>(1)?, call.view::<StringArray>(2)?);
    let mut out = map_builder(StringBuilder::new(), StringBuilder::new());
    for row in 0..call.rows {
        let entries = match (texts.get(row), entry_delimiters.get(row), delimiters.get(row)) {
            (Some(text), Some(between), Some(within)) if !between.is_empty() && !within.is_empty() => {
                Some(entries(text, between, within))
            }
            _ => None,
        };
        for (key, value) in entries.iter().flatten() {
            out.keys().append_value(key);
            out.values().append_value(value);
        }
        out.append(entries.is_some()).map_err(|e| Error::internal(format!("a map: {e}")))?;
    }
    Ok(Arc::new(out.finish()))
}

fn entries<'a>(text: &'a str, between: &str, within: &str) -> Vec<(&'a str, &'a str)> {
    let mut entries: Vec<(&str, &str)> = Vec::new();
    for part in text.split(between) {
        let mut sides = part.split(within);
        let (Some(key), Some(value)) = (sides.next(), sides.next()) else { continue };
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        let text = "'apple:green/banana:yellow/cherry:red'";
        check(&FUNCTION, &[text, "'/'", "':'"], "{apple=green, banana=yellow, cherry=red}");
        check(&FUNCTION, &[text, "'&&'", "':'"], "{apple=green/banana}");
        check(&FUNCTION, &["'apple:green//banana:yellow/'", "'/'", "':'"], "{apple=green, banana=yellow}");
        check(&FUNCTION, &[text, "'/'", "'='"], "{}");
        check(&FUNCTION, &[text, "''", "':'"], "NULL");
        check(&FUNCTION, &[text, "'/'", "NULL"], "NULL");
        check(&FUNCTION, &["'a:1/a:2'", "'/'", "':'"], "{a=2}");
    }
}
