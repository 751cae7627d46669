//! PostgreSQL's arrays, one dimension from 1.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::{binary, cells::Cells, pg_type::PgType, text};

fn element_type(ty: PgType) -> PgType {
    PgType::by_oid(ty.element).unwrap_or(PgType::TEXT)
}

/// `{1,NULL,"a b"}`.
pub(crate) fn put_text(out: &mut BytesMut, child: &Cells<'_>, range: Range<usize>, ty: PgType) {
    let element = element_type(ty);
    let mut scratch = BytesMut::new();
    out.put_u8(b'{');
    for (i, row) in range.enumerate() {
        if i > 0 {
            out.put_u8(b',');
        }
        if child.is_null(row) {
            out.put_slice(b"NULL");
            continue;
        }
        scratch.clear();
        text::put(&mut scratch, child, row, element);
        put_element(out, &scratch);
    }
    out.put_u8(b'}');
}

/// An element, in quotes where it could be mistaken.
fn put_element(out: &mut BytesMut, element: &[u8]) {
    let special = |b: &u8| matches!(b, b'{' | b'}' | b',' | b'"' | b'\\') || b.is_ascii_whitespace();
    if !element.is_empty() && !element.iter().any(special) && !element.eq_ignore_ascii_case(b"null") {
        return out.put_slice(element);
    }
    out.put_u8(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

/// Dimensions, whether there are NULLs, the element's type, then the elements.
pub(crate) fn put_binary(out: &mut BytesMut, child: &Cells<'_>, range: Range<usize>, ty: PgType) {
    let element = element_type(ty);
    let count = i32::try_from(range.len()).unwrap_or(i32::MAX);
    let has_null = range.clone().any(|row| child.is_null(row));
    out.put_i32(i32::from(count > 0));
    out.put_i32(has_null.into());
    out.put_u32(element.oid);
    if count > 0 {
        out.put_i32(count);
        out.put_i32(1);
    }
    for row in range {
        binary::put_cell(out, child, row, element, true);
    }
}

/// Elements of `{…}`: `None` for NULL; `None` in all when it is not sound or has several dimensions.
pub(crate) fn parse_text(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    if inner.trim().is_empty() {
        return Some(elements);
    }
    let mut chars = inner.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        let mut element = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => element.push(chars.next()?),
                    c => element.push(c),
                }
            }
            while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
            elements.push(Some(element));
        } else {
            let mut escaped = false;
            while let Some(c) = chars.next_if(|c| *c != ',') {
                match c {
                    '\\' => {
                        escaped = true;
                        element.push(chars.next()?);
                    }
                    '{' | '}' | '"' => return None,
                    c => element.push(c),
                }
            }
            let element = element.trim_end();
            match element {
                "" => return None,
                e if e.eq_ignore_ascii_case("null") && !escaped => elements.push(None),
                e => elements.push(Some(e.to_owned())),
            }
        }
        match chars.next() {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

/// Elements of an array's binary form and the type of its elements; `None` when it is not sound or has several
/// dimensions.
pub(crate) fn parse_binary(bytes: &[u8]) -> Option<(u32, Vec<Option<&[u8]>>)> {
    let (dimensions, rest) = split_i32(bytes)?;
    let (_has_null, rest) = split_i32(rest)?;
    let (oid, rest) = split_i32(rest)?;
    if dimensions == 0 {
        return rest.is_empty().then_some((oid.cast_unsigned(), Vec::new()));
    }
    let (count, rest) = split_i32(rest)?;
    let (_lower_bound, mut rest) = split_i32(rest)?;
    let count = usize::try_from(count).ok()?;
    // Every element has a length of four bytes before it.
    if dimensions != 1 || count > rest.len() / 4 {
        return None;
    }
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, after) = split_i32(rest)?;
        let (element, after) = match usize::try_from(length) {
            Ok(length) => after.split_at_checked(length).map(|(element, after)| (Some(element), after))?,
            Err(_) => (None, after),
        };
        elements.push(element);
        rest = after;
    }
    rest.is_empty().then_some((oid.cast_unsigned(), elements))
}

fn split_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    bytes.split_first_chunk::<4>().map(|(head, rest)| (i32::from_be_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_array_text() {
        let check = |text: &str, want: Option<Vec<Option<&str>>>| {
            let got = parse_text(text);
            assert_eq!(got.as_ref().map(|g| g.iter().map(Option::as_deref).collect()), want, "{text}");
        };
        check("{}", Some(vec![]));
        check("{1, 2 ,NULL}", Some(vec![Some("1"), Some("2"), None]));
        check(r#"{"a b","NULL","q\"\\"}"#, Some(vec![Some("a b"), Some("NULL"), Some("q\"\\")]));
        check("{{1},{2}}", None);
        check("{a,,b}", None);
        check("1,2", None);
        check("{\"open}", None);
    }

    proptest! {
        #[test]
        fn parsers_never_panic(text in ".{0,16}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            _ = parse_text(&text);
            _ = parse_binary(&bytes);
        }
    }
}
