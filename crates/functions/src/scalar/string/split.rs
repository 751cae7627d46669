//! `SPLIT`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BinaryBuilder, ListBuilder, StringArray, StringBuilder};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, Bytes, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "SPLIT",
        aliases: &[],
        category: "STRING",
        signatures: &["SPLIT(text, delimiter)", "SPLIT(bytes, delimiter)"],
        description: "The parts of the text or bytes between the delimiters; empty parts, too. An empty delimiter \
                      splits every character or byte from the next. NULL if either argument is.",
        examples: &[("SPLIT('a.b.c', '.')", "[a, b, c]"), ("SPLIT('abc', '')", "[a, b, c]")],
    },
    overloads: &[
        Overload::new(&[String, String], Array(&String), texts),
        Overload::new(&[Bytes, Bytes], Array(&Bytes), bytes),
    ],
    deterministic: true,
};

fn texts(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, delimiters) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let parts = texts.get(row).zip(delimiters.get(row)).map(|(text, delimiter)| split_text(text, delimiter));
        if let Some(parts) = &parts {
            parts.iter().for_each(|part| out.values().append_value(part));
        }
        out.append(parts.is_some());
    }
    Ok(Arc::new(out.finish()))
}

/// The parts between delimiters, or the characters.
pub(super) fn split_text<'a>(text: &'a str, delimiter: &str) -> Vec<&'a str> {
    if !delimiter.is_empty() {
        return text.split(delimiter).collect();
    }
    if text.is_empty() {
        return vec![""];
    }
    text.char_indices().filter_map(|(at, c)| text.get(at..at + c.len_utf8())).collect()
}

fn bytes(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (values, delimiters) = (call.view::<BinaryArray>(0)?, call.view::<BinaryArray>(1)?);
    let mut out = ListBuilder::new(BinaryBuilder::new());
    for row in 0..call.rows {
        let parts = values.get(row).zip(delimiters.get(row)).map(|(value, delimiter)| split_bytes(value, delimiter));
        if let Some(parts) = &parts {
            parts.iter().for_each(|part| out.values().append_value(part));
        }
        out.append(parts.is_some());
    }
    Ok(Arc::new(out.finish()))
}

fn split_bytes<'a>(value: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    if delimiter.is_empty() {
        return if value.is_empty() { vec![value] } else { value.chunks(1).collect() };
    }
    let (mut parts, mut rest) = (Vec::new(), value);
    while let Some(at) = rest.windows(delimiter.len()).position(|w| w == delimiter) {
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after.get(delimiter.len()..).unwrap_or(&[]);
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'a.b.c'", "'.'"], "[a, b, c]");
        check(&FUNCTION, &["'..a..'", "'.'"], "[, , a, , ]");
        check(&FUNCTION, &["''", "'.'"], "[]");
        check(&FUNCTION, &["'.aß'", "''"], "[., a, ß]");
        check(&FUNCTION, &["b'YS5iLmM='", "b'Lg=='"], "[YQ==, Yg==, Yw==]");
        check(&FUNCTION, &["b'YWJj'", "b''"], "[YQ==, Yg==, Yw==]");
        check(&FUNCTION, &["STRING NULL", "'.'"], "NULL");
        assert_eq!(split_text("", ""), [""]);
        assert_eq!(split_bytes(b"", b"."), [b""]);
    }
}
