//! The text form of a value.

use bytes::{BufMut, BytesMut};

use super::{
    cells::{Cell, Cells},
    datetime::{put_date, put_interval, put_time, put_timestamp},
    json, number, pg_array,
    pg_type::PgType,
};

/// Writes the cell at `row`, which is not NULL, as text of type `ty`.
pub(crate) fn put(out: &mut BytesMut, cells: &Cells<'_>, row: usize, ty: PgType) {
    match cells.get(row) {
        Cell::Bool(value) => out.put_u8(if value { b't' } else { b'f' }),
        Cell::Int(value) => out.put_slice(itoa::Buffer::new().format(value).as_bytes()),
        Cell::UInt(value) => out.put_slice(itoa::Buffer::new().format(value).as_bytes()),
        Cell::Float(value) => number::put_f32(out, value),
        Cell::Double(value) => number::put_f64(out, value),
        Cell::Decimal(unscaled, scale) => number::put_decimal(out, unscaled, scale),
        Cell::BigDecimal(text) | Cell::OwnedText(text) => out.put_slice(text.as_bytes()),
        Cell::Text(text) => out.put_slice(text.as_bytes()),
        Cell::Bytes(bytes) => put_hex(out, bytes),
        Cell::Date(days) => put_date(out, days),
        Cell::Time(micros) => put_time(out, micros),
        Cell::Timestamp(micros, zoned) => put_timestamp(out, micros, b' ', zoned),
        Cell::Interval(interval) => put_interval(out, interval),
        Cell::List(child, range) if ty.element != 0 => pg_array::put_text(out, child, range, ty),
        Cell::List(..) | Cell::Map(..) | Cell::Struct(..) => json::put(out, cells, row),
    }
}

/// `\x` and hexadecimal digits.
fn put_hex(out: &mut BytesMut, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 + 2 * bytes.len());
    out.put_slice(b"\\x");
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for byte in bytes {
        out.put_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}
