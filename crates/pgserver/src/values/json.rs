//! MAPs, STRUCTs and arrays of arrays as JSON text.
//!
//! Numbers keep all their digits, bytes are base64, dates and times ISO 8601 strings; a number that JSON cannot
//! write (NaN, infinity) is a string.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{BufMut, BytesMut};

use super::{
    cells::{Cell, Cells},
    datetime::{put_date, put_interval, put_time, put_timestamp},
    number,
};

/// Writes the cell at `row` as JSON.
pub(crate) fn put(out: &mut BytesMut, cells: &Cells<'_>, row: usize) {
    if cells.is_null(row) {
        return out.put_slice(b"null");
    }
    match cells.get(row) {
        Cell::Bool(value) => out.put_slice(if value { b"true" } else { b"false" }),
        Cell::Int(value) => out.put_slice(itoa::Buffer::new().format(value).as_bytes()),
        Cell::UInt(value) => out.put_slice(itoa::Buffer::new().format(value).as_bytes()),
        Cell::Float(value) if value.is_finite() => number::put_f32(out, value),
        Cell::Float(value) => quoted(out, |out| number::put_f32(out, value)),
        Cell::Double(value) if value.is_finite() => number::put_f64(out, value),
        Cell::Double(value) => quoted(out, |out| number::put_f64(out, value)),
        Cell::Decimal(unscaled, scale) => number::put_decimal(out, unscaled, scale),
        Cell::BigDecimal(digits) => out.put_slice(digits.as_bytes()),
        Cell::Text(text) => put_string(out, text),
        Cell::OwnedText(text) => put_string(out, &text),
        Cell::Bytes(bytes) => quoted(out, |out| out.put_slice(STANDARD.encode(bytes).as_bytes())),
        Cell::Date(days) => quoted(out, |out| put_date(out, days)),
        Cell::Time(micros) => quoted(out, |out| put_time(out, micros)),
        Cell::Timestamp(micros, zoned) => quoted(out, |out| put_timestamp(out, micros, b'T', zoned)),
        Cell::Interval(interval) => quoted(out, |out| put_interval(out, interval)),
        Cell::List(child, range) => {
            out.put_u8(b'[');
            for (i, row) in range.enumerate() {
                comma(out, i);
                put(out, child, row);
            }
            out.put_u8(b']');
        }
        Cell::Map(keys, values, range) => {
            out.put_u8(b'{');
            for (i, row) in range.enumerate() {
                comma(out, i);
                put_key(out, keys, row);
                out.put_u8(b':');
                put(out, values, row);
            }
            out.put_u8(b'}');
        }
        Cell::Struct(fields, row) => {
            out.put_u8(b'{');
            for (i, (name, cells)) in fields.iter().enumerate() {
                comma(out, i);
                put_string(out, name);
                out.put_u8(b':');
                put(out, cells, row);
            }
            out.put_u8(b'}');
        }
    }
}

fn comma(out: &mut BytesMut, i: usize) {
    if i > 0 {
        out.put_u8(b',');
    }
}

fn quoted(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(b'"');
    write(out);
    out.put_u8(b'"');
}

/// A MAP's key: whatever it is, a string.
fn put_key(out: &mut BytesMut, keys: &Cells<'_>, row: usize) {
    let mut scratch = BytesMut::new();
    put(&mut scratch, keys, row);
    if scratch.first() == Some(&b'"') {
        out.put_slice(&scratch);
    } else {
        put_string(out, std::str::from_utf8(&scratch).unwrap_or(""));
    }
}

fn put_string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => b"",
            _ => continue,
        };
        out.put_slice(text.as_bytes().get(plain..i).unwrap_or(&[]));
        plain = i + 1;
        if escape.is_empty() {
            out.put_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.put_slice(escape);
        }
    }
    out.put_slice(text.as_bytes().get(plain..).unwrap_or(&[]));
    out.put_u8(b'"');
}
