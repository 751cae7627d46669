//! Protobuf's wire format → cells.
//!
//! Fields may come in any order and repeated ones in pieces, so a message is first split into its fields, which are
//! then read in the order of the columns. What no column wants is only stepped over.

use types::SqlType;

use super::{
    derive::scrub,
    schema::{Field, Kind, Label, Schema},
};
use crate::{
    delimited::DAY_MS,
    fault::{Fault, Step},
    number,
    tape::{CELLS_MAX, Cell, Range, Source, Tape, place},
};

/// Days from year 1 to 1970 in chrono's count.
pub(crate) const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// How a message becomes cells.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    width: usize,
    fields: Vec<FieldPlan>,
}

#[derive(Debug)]
struct FieldPlan {
    name: String,
    number: u32,
    cell: u32,
    shape: Shape,
    /// What a missing field is.
    missing: Missing,
}

#[derive(Debug)]
enum Shape {
    One(One),
    List(One),
    /// Plans of keys and values.
    Map(Box<MessagePlan>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Null,
    Default,
}

/// How one value becomes a cell.
#[derive(Debug)]
enum One {
    Scalar(Kind, SqlType),
    Enum(Vec<(String, i64)>),
    Message(Box<MessagePlan>),
    Wrapper(Kind, SqlType),
    Timestamp,
    Date,
    TimeOfDay,
    Decimal { precision: u8, scale: u8 },
    Wrong(String),
}

/// The plan for a message whose fields become the cells `wanted`.
pub(crate) fn message(schema: &Schema, id: usize, wanted: &[(&str, &SqlType)]) -> MessagePlan {
    let mut fields = Vec::new();
    for (cell, (name, ty)) in (0u32..).zip(wanted) {
        let Some(field) = field_of(&schema.message(id).fields, name) else { continue };
        let missing = match (field.label, field.kind) {
            (Label::Single, kind) if !kind.is_message() => Missing::Default,
            (Label::Repeated, _) => Missing::Default,
            _ => Missing::Null,
        };
        let shape = shape(schema, field, ty);
        fields.push(FieldPlan { name: field.name.clone(), number: field.number, cell, shape, missing });
    }
    MessagePlan { width: wanted.len(), fields }
}

/// The field of a column: by its name, then in any case, then as Protobuf can write the name.
pub(crate) fn field_of<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    let by = |wanted: &str| fields.iter().find(|f| f.name.to_uppercase() == wanted.to_uppercase());
    fields.iter().find(|f| f.name == name).or_else(|| by(name)).or_else(|| by(&scrub(name)))
}

fn shape(schema: &Schema, field: &Field, ty: &SqlType) -> Shape {
    match (field.label, ty) {
        (Label::Repeated, SqlType::Array(element)) => Shape::List(one(schema, field.kind, element)),
        (Label::Repeated, SqlType::Map(key, value)) => match field.kind {
            Kind::Message(id) if schema.entry(id).is_some() => {
                Shape::Map(Box::new(message(schema, id, &[("key", key), ("value", value)])))
            }
            _ => Shape::One(One::Wrong(format!("expected {ty}, found a repeated field"))),
        },
        (Label::Repeated, _) => Shape::One(One::Wrong(format!("expected {ty}, found a repeated field"))),
        _ => Shape::One(one(schema, field.kind, ty)),
    }
}

fn one(schema: &Schema, kind: Kind, ty: &SqlType) -> One {
    let fits = |kind: Kind| match kind {
        Kind::Bool => matches!(ty, SqlType::Boolean | SqlType::String),
        Kind::Double | Kind::Float => matches!(ty, SqlType::Double | SqlType::String),
        Kind::String => *ty == SqlType::String,
        Kind::Bytes => *ty == SqlType::Bytes,
        _ => matches!(
            ty,
            SqlType::Int
                | SqlType::BigInt
                | SqlType::Double
                | SqlType::String
                | SqlType::Date
                | SqlType::Time
                | SqlType::Timestamp
        ),
    };
    match (kind, ty) {
        (Kind::Enum(id), SqlType::String) => One::Enum(schema.symbols(id).to_vec()),
        (Kind::Message(id), SqlType::Struct(fields)) => {
            let wanted: Vec<_> = fields.iter().map(|f| (f.name.as_str(), &f.ty)).collect();
            One::Message(Box::new(message(schema, id, &wanted)))
        }
        (Kind::Wrapper(scalar), _) if fits(scalar.kind()) => One::Wrapper(scalar.kind(), ty.clone()),
        (Kind::Timestamp, SqlType::Timestamp) => One::Timestamp,
        (Kind::Date, SqlType::Date) => One::Date,
        (Kind::TimeOfDay, SqlType::Time) => One::TimeOfDay,
        (Kind::Decimal, SqlType::Decimal { precision, scale }) => One::Decimal { precision: *precision, scale: *scale },
        (Kind::Enum(_), _) => One::Wrong(format!("expected {ty}, found an enum")),
        (kind, _) if !kind.is_message() && fits(kind) => One::Scalar(kind, ty.clone()),
        (kind, _) => One::Wrong(format!("expected {ty}, found Protobuf's {kind:?}")),
    }
}

/// A field as it stands in a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    number: u32,
    /// Where its value begins.
    at: u32,
    value: Wire,
}

#[derive(Debug, Clone, Copy)]
enum Wire {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Range),
}

/// A place in a record, with room for the fields of the messages that are being read.
pub(crate) struct Input<'a> {
    pub record: &'a [u8],
    pub found: &'a mut Vec<Found>,
}

impl Input<'_> {
    /// Read the message between `start` and `end` to the cells from `at` on.
    pub fn message(
        &mut self,
        plan: &MessagePlan,
        tape: &mut Tape,
        at: u32,
        (start, end): (usize, usize),
    ) -> Result<(), Fault> {
        let first = self.found.len();
        self.split(start, end)?;
        if let Some(fields) = self.found.get_mut(first..) {
            fields.sort_by_key(|f| f.number);
        }
        for field in &plan.fields {
            let inside = |f: Fault| f.inside(Step::Field(field.name.clone()));
            let cell = self.field(field, tape, first).map_err(inside)?;
            tape.set(at.saturating_add(field.cell), cell);
        }
        self.found.truncate(first);
        Ok(())
    }

    /// List the fields between `start` and `end`.
    fn split(&mut self, start: usize, end: usize) -> Result<(), Fault> {
        let mut at = start;
        while at < end {
            let tag_at = at;
            let tag = varint(self.record, &mut at, end)?;
            let number = u32::try_from(tag >> 3).ok().filter(|n| *n > 0);
            let number = number.ok_or_else(|| Fault::new(tag_at, "no field has this number"))?;
            let value_at = place(at);
            let value = match tag & 7 {
                0 => Wire::Varint(varint(self.record, &mut at, end)?),
                1 => Wire::Fixed64(u64::from_le_bytes(fixed(self.record, &mut at, end)?)),
                2 => {
                    let length = varint(self.record, &mut at, end)?;
                    let stop = usize::try_from(length).ok().and_then(|n| at.checked_add(n)).filter(|stop| *stop <= end);
                    let stop = stop.ok_or_else(|| Fault::new(at, format!("expected {length} bytes, found the end")))?;
                    let range = Range::new(at, stop);
                    at = stop;
                    Wire::Bytes(range)
                }
                5 => Wire::Fixed32(u32::from_le_bytes(fixed(self.record, &mut at, end)?)),
                other => {
                    return Err(Fault::new(tag_at, format!("expected a wire type of 0, 1, 2 or 5, found {other}")));
                }
            };
            self.found.push(Found { number, at: value_at, value });
        }
        Ok(())
    }

    /// The occurrences of a field: their places in `found`.
    fn occurrences(&self, number: u32, first: usize) -> std::ops::Range<usize> {
        let fields = self.found.get(first..).unwrap_or_default();
        let start = fields.partition_point(|f| f.number < number);
        let end = fields.partition_point(|f| f.number <= number);
        first + start..first + end
    }

    fn field(&mut self, field: &FieldPlan, tape: &mut Tape, first: usize) -> Result<Cell, Fault> {
        let places = self.occurrences(field.number, first);
        match &field.shape {
            Shape::One(one) => match places.last().and_then(|at| self.found.get(at).copied()) {
                Some(found) => self.one(one, found, tape),
                None if field.missing == Missing::Null => Ok(Cell::Null),
                None => Ok(default(one, tape)),
            },
            Shape::List(one) => self.list(one, places, tape),
            Shape::Map(entry) => {
                let (at, len) = (tape.end(), places.len());
                for place in places {
                    let Some(found) = self.found.get(place).copied() else { continue };
                    let cells = reserve(tape, 2, found.at as usize)?;
                    let Wire::Bytes(range) = found.value else { return Err(wrong_wire(found, "a map's entry")) };
                    self.message(entry, tape, cells, (range.start as usize, range.end as usize))?;
                }
                tape.last_of_each_key(at, len, Source::Bytes(self.record));
                Ok(Cell::Map { at, len: place(len), end: tape.end() })
            }
        }
    }

    fn list(&mut self, one: &One, places: std::ops::Range<usize>, tape: &mut Tape) -> Result<Cell, Fault> {
        let (at, mut len) = (tape.end(), 0usize);
        for place in places {
            let Some(found) = self.found.get(place).copied() else { continue };
            match (one, found.value) {
                // Numbers may be packed: one after the other within one field.
                (One::Scalar(kind, _), Wire::Bytes(range)) if !kind.has_length() => {
                    let (mut next, end) = (range.start as usize, range.end as usize);
                    while next < end {
                        let start = crate::tape::place(next);
                        let value = packed(*kind, self.record, &mut next, end)?;
                        self.element(one, Found { number: found.number, at: start, value }, tape, &mut len)?;
                    }
                }
                (One::Enum(_), Wire::Bytes(range)) => {
                    let (mut next, end) = (range.start as usize, range.end as usize);
                    while next < end {
                        let start = crate::tape::place(next);
                        let value = Wire::Varint(varint(self.record, &mut next, end)?);
                        self.element(one, Found { number: found.number, at: start, value }, tape, &mut len)?;
                    }
                }
                _ => self.element(one, found, tape, &mut len)?,
            }
        }
        Ok(Cell::List { at, len: place(len), end: tape.end() })
    }

    fn element(&mut self, one: &One, found: Found, tape: &mut Tape, len: &mut usize) -> Result<(), Fault> {
        let slot = reserve(tape, 1, found.at as usize)?;
        let cell = self.one(one, found, tape).map_err(|f| f.inside(Step::Element(*len)))?;
        tape.set(slot, cell);
        *len += 1;
        Ok(())
    }

    fn one(&mut self, one: &One, found: Found, tape: &mut Tape) -> Result<Cell, Fault> {
        let at = found.at as usize;
        match one {
            One::Wrong(message) => Err(Fault::new(at, message.as_str())),
            One::Scalar(kind, ty) => scalar(self.record, *kind, ty, found, tape),
            One::Enum(symbols) => {
                let Wire::Varint(n) = found.value else { return Err(wrong_wire(found, "an enum")) };
                let symbol = symbols.iter().find(|(_, number)| *number == n.cast_signed());
                let none = || Fault::new(at, format!("the enum has no symbol of number {}", n.cast_signed()));
                Ok(text(tape, &symbol.ok_or_else(none)?.0))
            }
            _ => {
                let Wire::Bytes(range) = found.value else { return Err(wrong_wire(found, "a message")) };
                self.nested(one, (range.start as usize, range.end as usize), tape)
            }
        }
    }

    fn nested(&mut self, one: &One, (start, end): (usize, usize), tape: &mut Tape) -> Result<Cell, Fault> {
        if let One::Message(plan) = one {
            let at = reserve(tape, plan.width, start)?;
            self.message(plan, tape, at, (start, end))?;
            return Ok(Cell::Struct { at, end: tape.end() });
        }
        let first = self.found.len();
        self.split(start, end)?;
        let last = |number: u32| self.found.iter().skip(first).rev().find(|f| f.number == number).copied();
        let int = |number: u32| match last(number).map(|f| f.value) {
            Some(Wire::Varint(n)) => n.cast_signed(),
            _ => 0,
        };
        let wrong = |what: &str| Fault::new(start, format!("expected {what}"));
        let cell = match one {
            One::Wrapper(kind, ty) => match last(1) {
                Some(found) => scalar(self.record, *kind, ty, found, tape)?,
                None => default(&One::Scalar(*kind, ty.clone()), tape),
            },
            One::Timestamp => {
                let ms = i128::from(int(1)) * 1000 + i128::from(int(2).div_euclid(1_000_000));
                Cell::Int(i64::try_from(ms).map_err(|_| wrong("TIMESTAMP"))?)
            }
            One::Date => {
                let part = |number| u32::try_from(int(number)).ok();
                let year = i32::try_from(int(1)).ok();
                let date =
                    year.zip(part(2)).zip(part(3)).and_then(|((y, m), d)| chrono::NaiveDate::from_ymd_opt(y, m, d));
                let date = date.ok_or_else(|| wrong("DATE"))?;
                Cell::Int(i64::from(chrono::Datelike::num_days_from_ce(&date)) - i64::from(EPOCH_DAYS_FROM_CE))
            }
            One::TimeOfDay => {
                let parts = [(1, 3_600_000), (2, 60_000), (3, 1_000)];
                let ms = parts.iter().fold(int(4).div_euclid(1_000_000), |ms, (number, unit)| {
                    ms.saturating_add(int(*number).saturating_mul(*unit))
                });
                if !(0..DAY_MS).contains(&ms) {
                    return Err(wrong("TIME"));
                }
                Cell::Int(ms)
            }
            One::Decimal { precision, scale } => {
                let digits = match last(1).map(|f| f.value) {
                    Some(Wire::Bytes(range)) => range.bytes(self.record),
                    _ => &[],
                };
                let from_scale = u8::try_from(int(3)).map_err(|_| wrong("a DECIMAL's scale"))?;
                let unscaled = number::rescale(digits, from_scale, *precision, *scale)
                    .map_err(|why| wrong(&format!("DECIMAL({precision}, {scale}): {why}")))?;
                tape.decimal(unscaled)
            }
            _ => Cell::Null,
        };
        self.found.truncate(first);
        Ok(cell)
    }
}

fn reserve(tape: &mut Tape, width: usize, at: usize) -> Result<u32, Fault> {
    tape.reserve(width).ok_or_else(|| Fault::new(at, format!("the record has more than {CELLS_MAX} values")))
}

#[cold]
fn wrong_wire(found: Found, expected: &str) -> Fault {
    Fault::new(found.at as usize, format!("expected {expected}, found another wire type in field {}", found.number))
}

fn text(tape: &mut Tape, text: &str) -> Cell {
    let start = tape.text.len();
    tape.text.push_str(text);
    Cell::Text(Range::new(start, tape.text.len()))
}

/// What a missing value is where types have defaults.
fn default(one: &One, tape: &mut Tape) -> Cell {
    match one {
        One::Scalar(Kind::Bool, SqlType::Boolean) => Cell::Boolean(false),
        One::Scalar(Kind::String | Kind::Bytes, _) => Cell::Raw(Range::new(0, 0)),
        One::Scalar(_, SqlType::Double) => Cell::Double(0.0),
        One::Scalar(Kind::Bool, _) => text(tape, "false"),
        One::Scalar(Kind::Double | Kind::Float, _) => text(tape, "0.0"),
        One::Scalar(_, SqlType::String) => text(tape, "0"),
        One::Scalar(_, _) => Cell::Int(0),
        One::Enum(symbols) => match symbols.iter().find(|(_, n)| *n == 0).or(symbols.first()) {
            Some((symbol, _)) => text(tape, symbol),
            None => Cell::Null,
        },
        _ => Cell::Null,
    }
}

fn scalar(record: &[u8], kind: Kind, ty: &SqlType, found: Found, tape: &mut Tape) -> Result<Cell, Fault> {
    let at = found.at as usize;
    let number: i64 = match (kind, found.value) {
        (Kind::String, Wire::Bytes(range)) => {
            let utf8 = |e: std::str::Utf8Error| Fault::new(range.start as usize + e.valid_up_to(), "not UTF-8");
            std::str::from_utf8(range.bytes(record)).map_err(utf8)?;
            return Ok(Cell::Raw(range));
        }
        (Kind::Bytes, Wire::Bytes(range)) => return Ok(Cell::Raw(range)),
        (Kind::Double, Wire::Fixed64(bits)) => return Ok(floating(f64::from_bits(bits), ty, tape)),
        (Kind::Float, Wire::Fixed32(bits)) if *ty == SqlType::Double => {
            return Ok(Cell::Double(f64::from(f32::from_bits(bits))));
        }
        (Kind::Float, Wire::Fixed32(bits)) => {
            let mut digits = Vec::new();
            number::write_float(f32::from_bits(bits), &mut digits);
            return Ok(text(tape, &String::from_utf8_lossy(&digits)));
        }
        (Kind::Bool, Wire::Varint(n)) => {
            let truth = n != 0;
            return Ok(match ty {
                SqlType::Boolean => Cell::Boolean(truth),
                _ => text(tape, if truth { "true" } else { "false" }),
            });
        }
        (Kind::Int32 | Kind::Int64 | Kind::Uint64, Wire::Varint(n)) => n.cast_signed(),
        (Kind::Uint32, Wire::Varint(n)) => (n & u64::from(u32::MAX)).cast_signed(),
        (Kind::Sint32 | Kind::Sint64, Wire::Varint(n)) => (n >> 1).cast_signed() ^ -((n & 1).cast_signed()),
        (Kind::Fixed32, Wire::Fixed32(n)) => i64::from(n),
        (Kind::Sfixed32, Wire::Fixed32(n)) => i64::from(n.cast_signed()),
        (Kind::Fixed64 | Kind::Sfixed64, Wire::Fixed64(n)) => n.cast_signed(),
        _ => return Err(wrong_wire(found, &format!("{kind:?}"))),
    };
    let (low, high) = match ty {
        SqlType::Int | SqlType::Date => (i64::from(i32::MIN), i64::from(i32::MAX)),
        SqlType::Time => (0, DAY_MS - 1),
        SqlType::String => return Ok(text(tape, itoa::Buffer::new().format(number))),
        SqlType::Double => return Ok(Cell::Double(number as f64)),
        _ => (i64::MIN, i64::MAX),
    };
    if number < low || number > high {
        return Err(Fault::new(at, format!("expected {ty}, found {number}")));
    }
    Ok(Cell::Int(number))
}

fn floating(n: f64, ty: &SqlType, tape: &mut Tape) -> Cell {
    if *ty == SqlType::Double {
        return Cell::Double(n);
    }
    let mut digits = Vec::new();
    number::write_double(n, &mut digits);
    text(tape, &String::from_utf8_lossy(&digits))
}

/// One of several numbers in one field.
fn packed(kind: Kind, record: &[u8], at: &mut usize, end: usize) -> Result<Wire, Fault> {
    Ok(match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Wire::Fixed64(u64::from_le_bytes(fixed(record, at, end)?)),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Wire::Fixed32(u32::from_le_bytes(fixed(record, at, end)?)),
        _ => Wire::Varint(varint(record, at, end)?),
    })
}

/// A number in groups of seven bits, the lowest first.
pub(crate) fn varint(record: &[u8], at: &mut usize, end: usize) -> Result<u64, Fault> {
    let start = *at;
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = record.get(*at).filter(|_| *at < end);
        let byte = byte.ok_or_else(|| Fault::new(*at, "expected a number, found the end"))?;
        *at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(n);
        }
    }
    Err(Fault::new(start, "a number of more than 64 bits"))
}

fn fixed<const N: usize>(record: &[u8], at: &mut usize, end: usize) -> Result<[u8; N], Fault> {
    let stop = at.saturating_add(N);
    let bytes = record.get(*at..stop).filter(|_| stop <= end).and_then(|b| b.first_chunk::<N>());
    let bytes = bytes.ok_or_else(|| Fault::new(*at, format!("expected {N} bytes, found the end")))?;
    *at = stop;
    Ok(*bytes)
}
