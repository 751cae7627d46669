//! `SPLIT`.

use std::{ops::Range, sync::Arc};

use arrow::array::{ArrayRef, BinaryArray, BinaryBuilder, ListBuilder, StringArray, StringBuilder};
use memchr::memmem;
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
        let both = texts.get(row).zip(delimiters.get(row));
        if let Some((text, delimiter)) = both {
            split_text(text, delimiter, |part| out.values().append_value(part));
        }
        out.append(both.is_some());
    }
    Ok(Arc::new(out.finish()))
}

/// The parts between delimiters, or the characters.
pub(super) fn split_text<'a>(text: &'a str, delimiter: &str, mut each: impl FnMut(&'a str)) {
    if delimiter.is_empty() && !text.is_empty() {
        text.char_indices().filter_map(|(at, c)| text.get(at..at + c.len_utf8())).for_each(each);
    } else {
        between(text.as_bytes(), delimiter.as_bytes(), |part| each(text.get(part).unwrap_or_default()));
    }
}

fn bytes(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (values, delimiters) = (call.view::<BinaryArray>(0)?, call.view::<BinaryArray>(1)?);
    let mut out = ListBuilder::new(BinaryBuilder::new());
    for row in 0..call.rows {
        let both = values.get(row).zip(delimiters.get(row));
        if let Some((value, delimiter)) = both {
            split_bytes(value, delimiter, |part| out.values().append_value(part));
        }
        out.append(both.is_some());
    }
    Ok(Arc::new(out.finish()))
}

fn split_bytes<'a>(value: &'a [u8], delimiter: &[u8], mut each: impl FnMut(&'a [u8])) {
    if delimiter.is_empty() && !value.is_empty() {
        value.chunks(1).for_each(each);
    } else {
        between(value, delimiter, |part| each(value.get(part).unwrap_or_default()));
    }
}

/// Where the parts between the delimiters lie; the whole, where either is empty.
fn between(value: &[u8], delimiter: &[u8], mut each: impl FnMut(Range<usize>)) {
    let mut from = 0;
    if !delimiter.is_empty() {
        for at in memmem::find_iter(value, delimiter) {
            each(from..at);
            from = at + delimiter.len();
        }
    }
    each(from..value.len());
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
        check(&FUNCTION, &["'aXYbXYXYc'", "'XY'"], "[a, b, , c]");
        check(&FUNCTION, &["'aaa'", "'aa'"], "[, a]");
        let (mut of_text, mut of_bytes) = (vec![], vec![]);
        split_text("", "", |part| of_text.push(part));
        split_bytes(b"", b".", |part| of_bytes.push(part));
        assert_eq!((of_text, of_bytes), (vec![""], vec![&b""[..]]), "one empty part, not none");
    }
}
