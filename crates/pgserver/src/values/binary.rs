//! The binary form of a value, as the `send` function of its PostgreSQL type writes it.

use bytes::{BufMut, BytesMut};

use super::{
    cells::{Cell, Cells},
    json, number, pg_array,
    pg_type::PgType,
    text,
};

/// PostgreSQL counts days and times from 2000-01-01.
const DAYS_TO_2000: i64 = 10_957;
const MICROS_TO_2000: i64 = DAYS_TO_2000 * 86_400_000_000;

/// Writes the cell at `row`, which is not NULL, in the binary form of type `ty`.
pub(crate) fn put(out: &mut BytesMut, cells: &Cells<'_>, row: usize, ty: PgType) {
    match cells.get(row) {
        Cell::Bool(value) => out.put_u8(value.into()),
        Cell::Int(value) => put_int(out, value, ty),
        Cell::UInt(value) => put_numeric(out, i128::from(value), 0),
        Cell::Float(value) => out.put_f32(value),
        Cell::Double(value) => out.put_f64(value),
        Cell::Decimal(unscaled, scale) => put_numeric(out, unscaled, scale),
        Cell::BigDecimal(digits) => number::put_numeric_binary(out, &digits),
        Cell::Text(value) => out.put_slice(value.as_bytes()),
        Cell::OwnedText(value) => out.put_slice(value.as_bytes()),
        Cell::Bytes(bytes) => out.put_slice(bytes),
        Cell::Date(days) => {
            let days = days - DAYS_TO_2000;
            out.put_i32(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }));
        }
        Cell::Time(micros) => out.put_i64(micros),
        Cell::Timestamp(micros, _) => out.put_i64(micros.saturating_sub(MICROS_TO_2000)),
        Cell::Interval(interval) => {
            out.put_i64(interval.micros);
            out.put_i32(interval.days);
            out.put_i32(interval.months);
        }
        Cell::List(child, range) if ty.element != 0 => pg_array::put_binary(out, child, range, ty),
        Cell::List(..) | Cell::Map(..) | Cell::Struct(..) => json::put(out, cells, row),
    }
}

/// An integer as wide as its type; where it is sent as text after all (a type with no binary form), as digits.
fn put_int(out: &mut BytesMut, value: i64, ty: PgType) {
    match ty.length {
        2 => out.put_i16(i16::try_from(value).unwrap_or(i16::MAX)),
        // Object ids are unsigned.
        4 if matches!(ty.name, "oid" | "regclass" | "regproc" | "regtype") => {
            out.put_u32(u32::try_from(value).unwrap_or(u32::MAX));
        }
        4 => out.put_i32(i32::try_from(value).unwrap_or(i32::MAX)),
        8 => out.put_i64(value),
        _ => out.put_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
}

fn put_numeric(out: &mut BytesMut, unscaled: i128, scale: i8) {
    let mut digits = BytesMut::with_capacity(48);
    number::put_decimal(&mut digits, unscaled, scale);
    number::put_numeric_binary(out, std::str::from_utf8(&digits).unwrap_or("0"));
}

/// Reads days as `date` has them into days since 1970.
pub(crate) fn days_from_2000(days: i32) -> i64 {
    i64::from(days) + DAYS_TO_2000
}

/// Reads microseconds as `timestamp` has them into microseconds since 1970.
pub(crate) fn micros_from_2000(micros: i64) -> i64 {
    micros.saturating_add(MICROS_TO_2000)
}

/// Writes the cell at `row` in `format`, with its length before it; NULL has length -1.
pub(crate) fn put_cell(out: &mut BytesMut, cells: &Cells<'_>, row: usize, ty: PgType, binary: bool) {
    if cells.is_null(row) {
        return out.put_i32(-1);
    }
    crate::protocol::with_length(out, false, |out| match binary {
        true => put(out, cells, row, ty),
        false => text::put(out, cells, row, ty),
    });
}
