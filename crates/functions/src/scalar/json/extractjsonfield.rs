//! `EXTRACTJSONFIELD`.

use arrow::array::{ArrayRef, StringArray};
use serde_json::Value;
use types::Result;

use super::{path::Path, plain};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "EXTRACTJSONFIELD",
        aliases: &[],
        category: "JSON",
        signatures: &["EXTRACTJSONFIELD(json, path)"],
        description: "The value at that place in JSON text, as text: strings as they are, other values as JSON. The \
                      path names members and indexes, as in `$.log['cloud'].zones[0]`; it stands for one place, so it \
                      has no wildcards. NULL if there is nothing at that place; invalid JSON and invalid paths are \
                      errors.",
        examples: &[("EXTRACTJSONFIELD('{\"log\": {\"cloud\": \"gcp\", \"n\": 4}}', '$.log.cloud')", "gcp")],
    },
    overloads: &[Overload::new(&[String, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, paths) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    let mut compiled = call.cache.by_row(Path::parse);
    call.try_rows::<StringArray, _, std::string::String>(errors, |row| {
        let Some((text, path)) = texts.get(row).zip(paths.get(row)) else { return Ok(None) };
        let path = compiled.get(path)?;
        Ok(path.find(text)?.filter(|value| *value != Value::Null).map(|value| plain(&value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        let json = "'{\"array\": [1.23450, \"x\"], \"o\": {\"a\": 1}, \"n\": null}'";
        check(&FUNCTION, &[json, "'$.array[0]'"], "1.23450");
        check(&FUNCTION, &[json, "'$.array[1]'"], "x");
        check(&FUNCTION, &[json, "'$.array[-1]'"], "NULL");
        check(&FUNCTION, &[json, "'$.o'"], "{\"a\":1}");
        check(&FUNCTION, &[json, "'$.n'"], "NULL");
        check(&FUNCTION, &[json, "'o'"], "!");
        check(&FUNCTION, &["'{'", "'$.o'"], "!");
        check(&FUNCTION, &["NULL", "'$.o'"], "NULL");
    }
}
