//! Columns → JSON, straight from typed arrays into the output.
//!
//! Field names are written once, when the encoder is made: what precedes a field's value (`{"A":`, `,"B":`) is one
//! copy. Doubles print as on the JVM, decimals plainly and with all digits of their scale, BYTES as base64.

use base64::Engine;
use types::{Column, SqlType};

use super::scan::special;
use crate::{delimited::BASE64, number, rows::WriteRow, source::View};

/// Names of a type's fields, ready to be written.
#[derive(Debug)]
enum Names {
    Scalar,
    Array(Box<Names>),
    Map(Box<Names>),
    Object(Vec<(Prefix, Names)>),
}

/// What precedes a field's value, once more in a place of fixed size: a copy of so many bytes needs no call.
#[derive(Debug)]
struct Prefix {
    bytes: Vec<u8>,
    padded: [u8; PREFIX_BYTES],
}

/// Bytes of a prefix that is copied as one.
const PREFIX_BYTES: usize = 16;

impl Prefix {
    fn new(bytes: Vec<u8>) -> Prefix {
        let mut padded = [0; PREFIX_BYTES];
        padded.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        Prefix { bytes, padded }
    }

    #[inline(always)]
    fn append(&self, out: &mut Vec<u8>) {
        if self.bytes.len() > PREFIX_BYTES {
            return out.extend_from_slice(&self.bytes);
        }
        let end = out.len() + self.bytes.len();
        out.extend_from_slice(&self.padded);
        out.truncate(end);
    }
}

impl Names {
    fn new(ty: &SqlType) -> Names {
        match ty {
            SqlType::Array(element) => Names::Array(Box::new(Names::new(element))),
            SqlType::Map(_, value) => Names::Map(Box::new(Names::new(value))),
            SqlType::Struct(fields) => Names::of_fields(fields.iter().map(|f| (f.name.as_str(), &f.ty))),
            _ => Names::Scalar,
        }
    }

    fn of_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>) -> Names {
        let prefix = |(i, (name, ty)): (usize, (&str, &SqlType))| {
            let mut prefix = vec![if i == 0 { b'{' } else { b',' }];
            write_string(name, &mut prefix);
            prefix.push(b':');
            (Prefix::new(prefix), Names::new(ty))
        };
        Names::Object(fields.enumerate().map(prefix).collect())
    }
}

/// Writes rows as objects or as bare values.
pub(crate) struct Writer {
    names: Names,
    wrapped: bool,
    /// Fields that no column fills, and the closing brace.
    end: Vec<u8>,
    /// A key whose columns are all NULL is no key.
    null_is_no_key: bool,
    /// A bare value that is NULL is written as `null`; else it is nothing at all.
    bare_null: bool,
}

impl Writer {
    /// A writer of `columns`.
    pub fn new(columns: &[Column], wrapped: bool, null_is_no_key: bool) -> Writer {
        let names = match (wrapped, columns.first()) {
            (false, Some(column)) => Names::new(&column.ty),
            _ => Names::of_fields(columns.iter().map(|c| (c.name.as_str(), &c.ty))),
        };
        Writer { names, wrapped, end: b"}".to_vec(), null_is_no_key, bare_null: false }
    }

    /// The same writer; a bare value that is NULL is written as `null`.
    pub fn with_bare_null(mut self) -> Writer {
        self.bare_null = true;
        self
    }

    /// The same writer with more fields in every object, which no column fills: name and JSON.
    pub fn with_constants(mut self, fields: &[(String, String)]) -> Writer {
        self.end.clear();
        for (name, json) in fields {
            self.end.push(b',');
            write_string(name, &mut self.end);
            self.end.push(b':');
            self.end.extend_from_slice(json.as_bytes());
        }
        self.end.push(b'}');
        self
    }
}

impl WriteRow for Writer {
    fn write(&mut self, columns: &[View<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        if self.null_is_no_key && columns.iter().all(|c| c.is_null(row)) {
            return Ok(false);
        }
        match (self.wrapped, columns) {
            (false, [column]) => {
                if column.is_null(row) && !self.bare_null {
                    return Ok(false);
                }
                value(column, &self.names, row, out);
            }
            _ => object(columns, &self.names, &self.end, row, out),
        }
        Ok(true)
    }
}

fn object(columns: &[View<'_>], names: &Names, end: &[u8], row: usize, out: &mut Vec<u8>) {
    let Names::Object(fields) = names else { return out.extend_from_slice(b"null") };
    if fields.is_empty() {
        out.push(b'{');
    }
    for (column, (prefix, names)) in columns.iter().zip(fields) {
        prefix.append(out);
        value(column, names, row, out);
    }
    out.extend_from_slice(end);
}

#[inline]
fn value(column: &View<'_>, names: &Names, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return out.extend_from_slice(b"null");
    }
    match column {
        View::String(a) => write_string(a.value(row), out),
        View::BigInt(a) => number::write_integer(a.value(row), out),
        View::Int(a) => number::write_integer(i64::from(a.value(row)), out),
        View::Timestamp(a) => number::write_integer(a.value(row), out),
        View::Date(a) => number::write_integer(i64::from(a.value(row)), out),
        View::Time(a) => number::write_integer(i64::from(a.value(row)), out),
        View::Double(a) => double(a.value(row), out),
        View::Boolean(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
        View::Decimal(a, scale) => number::write_decimal(a.value(row), *scale, out),
        View::Bytes(a) => {
            out.push(b'"');
            out.extend_from_slice(BASE64.encode(a.value(row)).as_bytes());
            out.push(b'"');
        }
        View::List(_, _) | View::Map(_, _) | View::Struct(_, _) => nested(column, names, row, out),
    }
}

/// JSON has no word for what is not a number; Java's libraries write it as text.
fn double(n: f64, out: &mut Vec<u8>) {
    if n.is_finite() {
        return number::write_double(n, out);
    }
    out.push(b'"');
    number::write_double(n, out);
    out.push(b'"');
}

fn nested(column: &View<'_>, names: &Names, row: usize, out: &mut Vec<u8>) {
    let place = |offset: Option<&i32>| offset.and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
    match (column, names) {
        (View::List(list, items), Names::Array(names)) => {
            let offsets = list.value_offsets();
            out.push(b'[');
            for (i, at) in (place(offsets.get(row))..place(offsets.get(row + 1))).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                value(items, names, at, out);
            }
            out.push(b']');
        }
        (View::Map(map, entries), Names::Map(names)) => {
            let offsets = map.value_offsets();
            out.push(b'{');
            for (i, at) in (place(offsets.get(row))..place(offsets.get(row + 1))).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                match &entries.0 {
                    View::String(keys) => write_string(keys.value(at), out),
                    other => value(other, &Names::Scalar, at, out),
                }
                out.push(b':');
                value(&entries.1, names, at, out);
            }
            out.push(b'}');
        }
        (View::Struct(_, fields), names) => object(fields, names, b"}", row, out),
        _ => out.extend_from_slice(b"null"),
    }
}

/// Append `text` in quotes, with escapes where JSON needs them.
#[inline]
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let end = special(bytes, 0);
    if end >= bytes.len() {
        out.extend_from_slice(bytes);
    } else {
        write_escaped(bytes, end, out);
    }
    out.push(b'"');
}

/// Append `bytes`, whose first special one is at `hit`.
fn write_escaped(bytes: &[u8], mut hit: usize, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
    let mut at = 0;
    while let Some(byte) = bytes.get(hit) {
        out.extend_from_slice(bytes.get(at..hit).unwrap_or_default());
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            other => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(other >> 4), hex(other & 15)]),
        }
        at = hit + 1;
        hit = special(bytes, at);
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
}
