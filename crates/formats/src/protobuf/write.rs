//! Columns → Protobuf's wire format, fields in the order of their numbers.
//!
//! Where a type's default stands for missing values (proto3 without `optional`), defaults and NULLs are both left out,
//! as Java's library does. Numbers in repeated fields are packed.

use types::SqlType;

use super::{
    read::{EPOCH_DAYS_FROM_CE, field_of},
    schema::{Kind, Label, Schema},
};
use crate::{number, source::View};

/// How a message is written.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    fields: Vec<FieldPlan>,
}

#[derive(Debug)]
struct FieldPlan {
    name: String,
    number: u32,
    /// The place of its column.
    place: usize,
    label: Label,
    one: One,
}

#[derive(Debug)]
enum One {
    Scalar(Kind),
    Enum(Vec<(String, i64)>),
    Message(Box<MessagePlan>),
    /// A map's entry: plans of key and value.
    Entry(Box<(One, One)>),
    Wrapper(Kind),
    Timestamp,
    Date,
    TimeOfDay,
    Decimal {
        precision: u8,
    },
}

/// The plan to write columns as a message.
///
/// # Errors
/// What does not fit what.
pub(crate) fn message(schema: &Schema, id: usize, columns: &[(&str, &SqlType)]) -> Result<MessagePlan, String> {
    let mut fields = Vec::with_capacity(columns.len());
    for (place, (name, ty)) in columns.iter().enumerate() {
        let field = field_of(&schema.message(id).fields, name);
        let field = field.ok_or_else(|| format!("the schema has no field for `{name}` {ty}"))?;
        let fits = match (field.label, ty) {
            (Label::Repeated, SqlType::Array(element)) => one(schema, field.kind, element),
            (Label::Repeated, SqlType::Map(key, value)) => match field.kind {
                Kind::Message(entry) => match schema.entry(entry) {
                    Some((key_field, value_field)) => {
                        let (key, value) = (one(schema, key_field.kind, key), one(schema, value_field.kind, value));
                        key.zip(value).map(|both| One::Entry(Box::new(both)))
                    }
                    None => None,
                },
                _ => None,
            },
            (Label::Repeated, _) => None,
            _ => one(schema, field.kind, ty),
        };
        let one = fits.ok_or_else(|| format!("the field {} does not take {ty}", field.name))?;
        let (name, number, label) = (field.name.clone(), field.number, field.label);
        fields.push(FieldPlan { name, number, place, label, one });
    }
    fields.sort_by_key(|f| f.number);
    Ok(MessagePlan { fields })
}

fn one(schema: &Schema, kind: Kind, ty: &SqlType) -> Option<One> {
    let integer = matches!(ty, SqlType::Int | SqlType::BigInt | SqlType::Date | SqlType::Time | SqlType::Timestamp);
    let fits = |kind: Kind| match kind {
        Kind::Bool => *ty == SqlType::Boolean,
        Kind::Double | Kind::Float => *ty == SqlType::Double,
        Kind::String => *ty == SqlType::String,
        Kind::Bytes => *ty == SqlType::Bytes,
        other => integer && !other.is_message(),
    };
    Some(match (kind, ty) {
        (Kind::Enum(id), SqlType::String) => One::Enum(schema.symbols(id).to_vec()),
        (Kind::Enum(_), _) => return None,
        (Kind::Message(id), SqlType::Struct(fields)) => {
            let columns: Vec<_> = fields.iter().map(|f| (f.name.as_str(), &f.ty)).collect();
            One::Message(Box::new(message(schema, id, &columns).ok()?))
        }
        (Kind::Wrapper(scalar), _) if fits(scalar.kind()) => One::Wrapper(scalar.kind()),
        (Kind::Timestamp, SqlType::Timestamp) => One::Timestamp,
        (Kind::Date, SqlType::Date) => One::Date,
        (Kind::TimeOfDay, SqlType::Time) => One::TimeOfDay,
        (Kind::Decimal, SqlType::Decimal { precision, .. }) => One::Decimal { precision: *precision },
        (kind, _) if fits(kind) => One::Scalar(kind),
        _ => return None,
    })
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn wire_type(kind: Kind) -> u64 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => FIXED64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => FIXED32,
        kind if kind.has_length() => BYTES,
        _ => VARINT,
    }
}

fn tag(number: u32, wire: u64, out: &mut Vec<u8>) {
    varint((u64::from(number) << 3) | wire, out);
}

/// A number in groups of seven bits, the lowest first.
pub(crate) fn varint(n: u64, out: &mut Vec<u8>) {
    let mut rest = n;
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Append what `write` appends with its length before it.
fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> Result<(), String> {
    let start = out.len();
    write(out)?;
    let length = out.len() - start;
    let mut prefix = Vec::with_capacity(2);
    varint(u64::try_from(length).unwrap_or(u64::MAX), &mut prefix);
    // The length is known only now: it is written at the end and turned to the front.
    out.extend_from_slice(&prefix);
    if let Some(all) = out.get_mut(start..) {
        all.rotate_right(prefix.len());
    }
    Ok(())
}

/// Append one message.
///
/// # Errors
/// Which field's value has no encoding, and why.
pub(crate) fn row(columns: &[View<'_>], plan: &MessagePlan, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    for field in &plan.fields {
        let Some(column) = columns.get(field.place) else { return Err(format!("field {}: no column", field.name)) };
        if column.is_null(row) {
            continue;
        }
        let written = match field.label {
            Label::Repeated => repeated(column, field, row, out),
            label => single(column, &field.one, field.number, label == Label::Optional, row, out),
        };
        written.map_err(|why| format!("field {}: {why}", field.name))?;
    }
    Ok(())
}

/// Append one field; a default only where that differs from a missing field.
fn single(
    column: &View<'_>,
    one: &One,
    number: u32,
    explicit: bool,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let wire = match one {
        One::Scalar(_) if !explicit && is_default(column, row) => return Ok(()),
        One::Scalar(kind) => wire_type(*kind),
        One::Enum(symbols) => {
            let n = symbol(column, symbols, row)?;
            if n == 0 && !explicit {
                return Ok(());
            }
            VARINT
        }
        _ => BYTES,
    };
    tag(number, wire, out);
    value(column, one, row, out)
}

fn repeated(column: &View<'_>, field: &FieldPlan, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let offsets = match column {
        View::List(a, _) => a.value_offsets(),
        View::Map(a, _) => a.value_offsets(),
        _ => return Err("the value is not a list".to_owned()),
    };
    let place = |n: Option<&i32>| n.and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
    let (start, end) = (place(offsets.get(row)), place(offsets.get(row + 1)));
    if start == end {
        return Ok(());
    }
    match (column, &field.one) {
        (View::Map(_, entries), One::Entry(plans)) => {
            for at in start..end {
                tag(field.number, BYTES, out);
                with_length(out, |out| {
                    single(&entries.0, &plans.0, 1, true, at, out)?;
                    if entries.1.is_null(at) { Ok(()) } else { single(&entries.1, &plans.1, 2, true, at, out) }
                })?;
            }
            Ok(())
        }
        (View::List(_, items), one) => {
            if (start..end).any(|at| items.is_null(at)) {
                return Err("Protobuf has no NULL in a repeated field".to_owned());
            }
            let packs = match one {
                One::Scalar(kind) => !kind.has_length(),
                one => matches!(one, One::Enum(_)),
            };
            if packs {
                tag(field.number, BYTES, out);
                return with_length(out, |out| (start..end).try_for_each(|at| value(items, one, at, out)));
            }
            (start..end).try_for_each(|at| single(items, one, field.number, true, at, out))
        }
        _ => Err("the value has another type than the schema".to_owned()),
    }
}

fn is_default(column: &View<'_>, row: usize) -> bool {
    match column {
        View::Boolean(a) => !a.value(row),
        View::Int(a) => a.value(row) == 0,
        View::BigInt(a) => a.value(row) == 0,
        View::Date(a) => a.value(row) == 0,
        View::Time(a) => a.value(row) == 0,
        View::Timestamp(a) => a.value(row) == 0,
        View::Double(a) => a.value(row).to_bits() == 0,
        View::String(a) => a.value(row).is_empty(),
        View::Bytes(a) => a.value(row).is_empty(),
        _ => false,
    }
}

fn symbol(column: &View<'_>, symbols: &[(String, i64)], row: usize) -> Result<i64, String> {
    let View::String(a) = column else { return Err("an enum takes STRING".to_owned()) };
    let text = a.value(row);
    let found = symbols.iter().find(|(symbol, _)| symbol == text);
    found.map(|(_, n)| *n).ok_or_else(|| format!("the enum has no symbol {text:?}"))
}

/// Append a value without its tag.
fn value(column: &View<'_>, one: &One, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    match (one, column) {
        (One::Scalar(kind), _) => return scalar(column, *kind, row, out),
        (One::Enum(symbols), _) => varint(symbol(column, symbols, row)?.cast_unsigned(), out),
        (One::Message(plan), View::Struct(_, children)) => {
            return with_length(out, |out| self::row(children, plan, row, out));
        }
        (One::Wrapper(kind), _) => {
            return with_length(out, |out| single(column, &One::Scalar(*kind), 1, false, row, out));
        }
        (One::Timestamp, View::Timestamp(a)) => {
            let ms = a.value(row);
            return with_length(out, |out| {
                integers(&[ms.div_euclid(1000), ms.rem_euclid(1000) * 1_000_000], out);
                Ok(())
            });
        }
        (One::Date, View::Date(a)) => {
            let days = a.value(row).checked_add(EPOCH_DAYS_FROM_CE);
            let date = days.and_then(chrono::NaiveDate::from_num_days_from_ce_opt);
            let date = date.ok_or_else(|| format!("{} days are beyond the calendar", a.value(row)))?;
            let (year, month, day) =
                (chrono::Datelike::year(&date), chrono::Datelike::month(&date), chrono::Datelike::day(&date));
            return with_length(out, |out| {
                integers(&[i64::from(year), i64::from(month), i64::from(day)], out);
                Ok(())
            });
        }
        (One::TimeOfDay, View::Time(a)) => {
            let ms = i64::from(a.value(row));
            return with_length(out, |out| {
                integers(&[ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000 * 1_000_000], out);
                Ok(())
            });
        }
        (One::Decimal { precision }, View::Decimal(a, scale)) => {
            let all = a.value(row).to_be_bytes();
            let digits = number::twos_complement(&all);
            return with_length(out, |out| {
                tag(1, BYTES, out);
                with_length(out, |out| {
                    out.extend_from_slice(digits);
                    Ok(())
                })?;
                tag(2, VARINT, out);
                varint(u64::from(*precision), out);
                if *scale > 0 {
                    tag(3, VARINT, out);
                    varint(u64::from(*scale), out);
                }
                Ok(())
            });
        }
        _ => return Err("the value has another type than the schema".to_owned()),
    }
    Ok(())
}

/// Append integers as the fields 1, 2, …; zeros are left out.
fn integers(parts: &[i64], out: &mut Vec<u8>) {
    for (number, n) in (1u32..).zip(parts) {
        if *n != 0 {
            tag(number, VARINT, out);
            varint(n.cast_unsigned(), out);
        }
    }
}

fn scalar(column: &View<'_>, kind: Kind, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let n = match column {
        View::String(a) => return bytes(a.value(row).as_bytes(), out),
        View::Bytes(a) => return bytes(a.value(row), out),
        View::Boolean(a) => i64::from(a.value(row)),
        View::Double(a) => {
            let n = a.value(row);
            match kind {
                // A float has fewer digits: the schema asks for that.
                Kind::Float => out.extend_from_slice(&(n as f32).to_le_bytes()),
                _ => out.extend_from_slice(&n.to_le_bytes()),
            }
            return Ok(());
        }
        View::Int(a) => i64::from(a.value(row)),
        View::BigInt(a) => a.value(row),
        View::Date(a) => i64::from(a.value(row)),
        View::Time(a) => i64::from(a.value(row)),
        View::Timestamp(a) => a.value(row),
        _ => return Err("the value has another type than the schema".to_owned()),
    };
    let wide = |what: &str| format!("{n} does not fit {what}");
    match kind {
        Kind::Int64 | Kind::Uint64 | Kind::Bool => varint(n.cast_unsigned(), out),
        Kind::Int32 => varint(i64::from(i32::try_from(n).map_err(|_| wide("int32"))?).cast_unsigned(), out),
        Kind::Uint32 => varint(u64::from(u32::try_from(n).map_err(|_| wide("uint32"))?), out),
        Kind::Sint32 => {
            i32::try_from(n).map_err(|_| wide("sint32"))?;
            varint(zigzag(n), out);
        }
        Kind::Sint64 => varint(zigzag(n), out),
        Kind::Fixed32 => out.extend_from_slice(&u32::try_from(n).map_err(|_| wide("fixed32"))?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&i32::try_from(n).map_err(|_| wide("sfixed32"))?.to_le_bytes()),
        Kind::Fixed64 | Kind::Sfixed64 => out.extend_from_slice(&n.to_le_bytes()),
        _ => return Err("the value has another type than the schema".to_owned()),
    }
    Ok(())
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

fn bytes(data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    varint(u64::try_from(data.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(data);
    Ok(())
}
