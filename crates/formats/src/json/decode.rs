//! JSON → cells, with ksqlDB's coercions.
//!
//! | column | takes |
//! |---|---|
//! | BOOLEAN | `true`, `false` |
//! | INT, BIGINT, DATE (days), TIME (ms of the day), TIMESTAMP (ms) | numbers, cut towards zero; strings of digits |
//! | DOUBLE | numbers; strings as Java's parseDouble |
//! | DECIMAL | numbers and strings that fit without rounding |
//! | STRING | strings; the text of anything else |
//! | BYTES | base64 strings |
//! | ARRAY, MAP, STRUCT | arrays, objects, objects |
//!
//! `null` and a missing field are NULL; of a field named twice the last counts. Only fields of wanted columns are
//! coerced; the others must only be JSON.

use base64::Engine;
use types::Column;

use super::{
    scan::{Number, Scanner},
    shape::{Hit, Object, Shape, Target},
    stringify,
};
use crate::{
    delimited::{BASE64, DAY_MS},
    fault::{Fault, Step},
    number::{self, Scaled},
    rows::ReadRecord,
    tape::{CELLS_MAX, Cell, Range, Source, Tape},
};

/// Reads records of one shape.
pub(crate) struct Reader {
    root: Root,
    /// Bytes before the JSON.
    header_bytes: usize,
}

enum Root {
    /// Columns are fields of an object.
    Wrapped(Object),
    /// The record is the column's value; `None` when it is not wanted.
    Bare(Option<(String, Shape)>),
}

impl Reader {
    /// A reader of the wanted columns.
    pub fn new(wanted: &[&Column], wrapped: bool) -> Reader {
        let root = if wrapped {
            Root::Wrapped(Object::of_columns(wanted))
        } else {
            Root::Bare(wanted.first().map(|c| (c.name.clone(), Shape::new(&c.ty))))
        };
        Reader { root, header_bytes: 0 }
    }

    /// The same reader for JSON after a header, which the caller has checked.
    pub fn after(mut self, header_bytes: usize) -> Reader {
        self.header_bytes = header_bytes;
        self
    }

    fn record(&mut self, scanner: &mut Scanner<'_>, tape: &mut Tape) -> Result<(), Fault> {
        scanner.space();
        match &mut self.root {
            Root::Wrapped(object) => {
                reserve(tape, object.fields.len(), scanner)?;
                match scanner.peek() {
                    b'{' => fields(scanner, object, tape, 0)?,
                    b'n' => scanner.literal("null")?,
                    _ => return Err(scanner.mismatch("an object")),
                }
            }
            Root::Bare(Some((name, shape))) => {
                reserve(tape, 1, scanner)?;
                let cell = value(scanner, shape, tape).map_err(|f| f.inside(Step::Field(name.clone())))?;
                tape.set(0, cell);
            }
            Root::Bare(None) => scanner.skip()?,
        }
        scanner.finish()
    }
}

impl ReadRecord for Reader {
    fn read<'a>(&mut self, record: &'a [u8], tape: &mut Tape) -> Result<Source<'a>, String> {
        let json = record.get(self.header_bytes..).unwrap_or_default();
        let text = match simdutf8::compat::from_utf8(json) {
            Ok(text) => text,
            Err(e) if json.first() == Some(&0) => return Err(schema_registry(e.valid_up_to())),
            Err(e) => return Err(format!("not JSON: not UTF-8 (byte {})", e.valid_up_to() + self.header_bytes)),
        };
        match self.record(&mut Scanner::new(text), tape) {
            Ok(()) => Ok(Source::Text(text)),
            Err(_) if json.first() == Some(&0) => Err(schema_registry(0)),
            Err(fault) => Err(fault.shifted(self.header_bytes).render()),
        }
    }
}

#[cold]
fn schema_registry(at: usize) -> String {
    format!("not JSON: it begins as records with a schema in the schema registry do; JSON_SR reads them (byte {at})")
}

fn reserve(tape: &mut Tape, width: usize, scanner: &Scanner<'_>) -> Result<u32, Fault> {
    let full = || Fault::new(scanner.at, format!("the record has more than {CELLS_MAX} values"));
    tape.reserve(width).ok_or_else(full)
}

/// The fields of the object at hand, to the cells from `cells` on.
///
/// What records mostly have (compact objects with the expected keys in the expected order, strings without escapes,
/// short numbers) is done here with the place in a local variable; `scanner` stands there only for everything else.
fn fields(scanner: &mut Scanner<'_>, object: &mut Object, tape: &mut Tape, cells: u32) -> Result<(), Fault> {
    object.begin();
    scanner.at += 1;
    scanner.space();
    if scanner.take(b'}') {
        return Ok(());
    }
    let mut at = scanner.at;
    loop {
        let target = match object.expected_key(scanner, at) {
            Some((target, end)) => {
                at = end;
                target
            }
            None => {
                scanner.at = at;
                let target = object.key(scanner)?;
                at = scanner.at;
                target
            }
        };
        if scanner.byte(at) <= b' ' {
            scanner.at = at;
            scanner.some_space();
            at = scanner.at;
        }
        at = match target {
            Target::One(hit) => field(scanner, object, hit, tape, cells, at)?,
            Target::Nothing => skip(scanner, at)?,
            Target::Many(many) => {
                let (mut i, mut end) = (0, at);
                while let Some(hit) = object.hit(many, i) {
                    end = field(scanner, object, hit, tape, cells, at)?;
                    i += 1;
                }
                end
            }
        };
        if scanner.is_next_field(at) {
            at += 1;
            continue;
        }
        scanner.at = at;
        scanner.space();
        if scanner.take(b',') {
            scanner.space();
            at = scanner.at;
        } else if scanner.take(b'}') {
            return Ok(());
        } else {
            return Err(scanner.not_json("',' or '}'"));
        }
    }
}

/// Step over the value at `at`: where it ends.
#[inline(always)]
fn skip(scanner: &mut Scanner<'_>, at: usize) -> Result<usize, Fault> {
    if let Some(range) = scanner.plain_string(at) {
        return Ok(range.end as usize + 1);
    }
    if let Some((_, end)) = scanner.short_integer(at) {
        return Ok(end);
    }
    scanner.at = at;
    scanner.skip()?;
    Ok(scanner.at)
}

/// The value at `at`, to the cell of a field: where it ends.
#[inline(always)]
fn field(
    scanner: &mut Scanner<'_>,
    object: &mut Object,
    hit: Hit,
    tape: &mut Tape,
    cells: u32,
    at: usize,
) -> Result<usize, Fault> {
    let Some(field) = object.field(hit) else { return skip(scanner, at) };
    let cell = cells.saturating_add(crate::tape::place(hit.field));
    match &field.shape {
        Shape::String => {
            if let Some(range) = scanner.plain_string(at) {
                tape.set(cell, Cell::Raw(range));
                return Ok(range.end as usize + 1);
            }
        }
        Shape::BigInt | Shape::Timestamp => {
            if let Some((n, end)) = scanner.short_integer(at) {
                tape.set(cell, Cell::Int(n));
                return Ok(end);
            }
        }
        _ => {}
    }
    scanner.at = at;
    match value(scanner, &mut field.shape, tape) {
        Ok(found) => tape.set(cell, found),
        Err(fault) => return Err(fault.inside(Step::Field(field.name.clone()))),
    }
    Ok(scanner.at)
}

/// The value at hand as its shape says.
#[inline(never)]
fn value(scanner: &mut Scanner<'_>, shape: &mut Shape, tape: &mut Tape) -> Result<Cell, Fault> {
    if scanner.peek() == b'n' {
        scanner.literal("null")?;
        return Ok(Cell::Null);
    }
    match shape {
        Shape::String => string(scanner, tape),
        Shape::BigInt => integer(scanner, "BIGINT", i64::MIN, i64::MAX),
        Shape::Timestamp => integer(scanner, "TIMESTAMP (ms)", i64::MIN, i64::MAX),
        Shape::Int => integer(scanner, "INTEGER", i64::from(i32::MIN), i64::from(i32::MAX)),
        Shape::Date => integer(scanner, "DATE (days)", i64::from(i32::MIN), i64::from(i32::MAX)),
        Shape::Time => integer(scanner, "TIME (ms of the day)", 0, DAY_MS - 1),
        Shape::Double => double(scanner, tape),
        Shape::Boolean => boolean(scanner),
        Shape::Decimal { precision, scale } => decimal(scanner, tape, *precision, *scale),
        Shape::Bytes => bytes(scanner, tape),
        Shape::Array(element) => array(scanner, element, tape),
        Shape::Map(value) => map(scanner, value, tape),
        Shape::Object(object) => {
            if scanner.peek() != b'{' {
                return Err(scanner.mismatch("STRUCT (an object)"));
            }
            let at = reserve(tape, object.fields.len(), scanner)?;
            fields(scanner, object, tape, at)?;
            Ok(Cell::Struct { at, end: tape.end() })
        }
    }
}

fn boolean(scanner: &mut Scanner<'_>) -> Result<Cell, Fault> {
    match scanner.peek() {
        b't' => scanner.literal("true").map(|()| Cell::Boolean(true)),
        b'f' => scanner.literal("false").map(|()| Cell::Boolean(false)),
        _ => Err(scanner.mismatch("BOOLEAN")),
    }
}

fn integer(scanner: &mut Scanner<'_>, expected: &str, low: i64, high: i64) -> Result<Cell, Fault> {
    match scanner.short_integer(scanner.at) {
        Some((n, end)) if n >= low && n <= high => {
            scanner.at = end;
            Ok(Cell::Int(n))
        }
        _ => other_integer(scanner, expected, low, high),
    }
}

/// Integers that are long, have a fraction or an exponent, stand in a string, or are none.
#[inline(never)]
fn other_integer(scanner: &mut Scanner<'_>, expected: &str, low: i64, high: i64) -> Result<Cell, Fault> {
    let start = scanner.at;
    let n = match scanner.peek() {
        b'"' => {
            let quoted = scanner.string()?;
            number::integer(quoted.range.bytes(scanner.text.as_bytes()))
        }
        b'-' | b'0'..=b'9' => {
            let number = scanner.number()?;
            match number::scaled(number.range.bytes(scanner.text.as_bytes()), 0) {
                Scaled::Value { unscaled, .. } => i64::try_from(unscaled).ok(),
                _ => None,
            }
        }
        _ => return Err(scanner.mismatch(expected)),
    };
    n.filter(|n| (low..=high).contains(n)).map(Cell::Int).ok_or_else(|| scanner.wrong(start, expected))
}

#[inline]
fn double(scanner: &mut Scanner<'_>, tape: &mut Tape) -> Result<Cell, Fault> {
    let start = scanner.at;
    let n = match scanner.peek() {
        b'-' | b'0'..=b'9' => {
            let number = scanner.number()?;
            fast_float2::parse::<f64, _>(number.range.bytes(scanner.text.as_bytes())).ok().filter(|n| n.is_finite())
        }
        b'"' => {
            let cell = string(scanner, tape)?;
            number::double(tape.text_of(cell, Source::Text(scanner.text)))
        }
        _ => return Err(scanner.mismatch("DOUBLE")),
    };
    n.map(Cell::Double).ok_or_else(|| scanner.wrong(start, "DOUBLE"))
}

fn decimal(scanner: &mut Scanner<'_>, tape: &mut Tape, precision: u8, scale: u8) -> Result<Cell, Fault> {
    let start = scanner.at;
    let expected = || format!("DECIMAL({precision}, {scale})");
    let read = match scanner.peek() {
        b'-' | b'0'..=b'9' => {
            let number = scanner.number()?;
            number::decimal(number.range.bytes(scanner.text.as_bytes()), precision, scale)
        }
        b'"' => {
            let cell = string(scanner, tape)?;
            number::decimal(tape.text_of(cell, Source::Text(scanner.text)).as_bytes(), precision, scale)
        }
        _ => return Err(scanner.mismatch(&expected())),
    };
    match read {
        Ok(unscaled) => Ok(tape.decimal(unscaled)),
        Err(why) => Err(scanner.wrong(start, &format!("{} (the value {why})", expected()))),
    }
}

/// The text of whatever is at hand.
fn string(scanner: &mut Scanner<'_>, tape: &mut Tape) -> Result<Cell, Fault> {
    if scanner.peek() != b'"' {
        return other_string(scanner, tape);
    }
    let quoted = scanner.string()?;
    if !quoted.escaped {
        return Ok(Cell::Raw(quoted.range));
    }
    let start = tape.text.len();
    scanner.unescape(quoted, &mut tape.text)?;
    Ok(Cell::Text(Range::new(start, tape.text.len())))
}

#[inline(never)]
fn other_string(scanner: &mut Scanner<'_>, tape: &mut Tape) -> Result<Cell, Fault> {
    let (start, text) = (scanner.at, tape.text.len());
    match scanner.peek() {
        b'-' | b'0'..=b'9' => {
            let number: Number = scanner.number()?;
            let digits = number.range.text(scanner.text);
            if number.whole && digits != "-0" {
                return Ok(Cell::Raw(number.range));
            }
            // A large exponent would become a long row of zeros only without one; the text stays about as long.
            number::write_big_decimal(digits, &mut tape.text);
        }
        b'{' | b'[' => {
            scanner.skip()?;
            stringify::write(scanner.since(start), &mut tape.text)
                .map_err(|why| Fault::new(start, format!("not JSON: {why}")))?;
        }
        _ => {
            scanner.skip()?;
            return Ok(Cell::Raw(Range::new(start, scanner.at)));
        }
    }
    Ok(Cell::Text(Range::new(text, tape.text.len())))
}

fn bytes(scanner: &mut Scanner<'_>, tape: &mut Tape) -> Result<Cell, Fault> {
    let start = scanner.at;
    if scanner.peek() != b'"' {
        return Err(scanner.mismatch("BYTES (base64 in a string)"));
    }
    let cell = string(scanner, tape)?;
    let from = tape.bytes.len();
    let text = match cell {
        Cell::Raw(range) => range.text(scanner.text),
        Cell::Text(range) => range.text(&tape.text),
        _ => "",
    };
    match BASE64.decode_vec(text, &mut tape.bytes) {
        Ok(()) => Ok(Cell::Bytes(Range::new(from, tape.bytes.len()))),
        Err(_) => Err(scanner.wrong(start, "BYTES (base64 in a string)")),
    }
}

fn array(scanner: &mut Scanner<'_>, element: &mut Shape, tape: &mut Tape) -> Result<Cell, Fault> {
    if scanner.peek() != b'[' {
        return Err(scanner.mismatch("ARRAY"));
    }
    scanner.at += 1;
    scanner.space();
    let (at, mut len) = (tape.end(), 0usize);
    if !scanner.take(b']') {
        loop {
            let slot = reserve(tape, 1, scanner)?;
            let cell = value(scanner, element, tape).map_err(|f| f.inside(Step::Element(len)))?;
            tape.set(slot, cell);
            len += 1;
            scanner.space();
            if scanner.take(b',') {
                scanner.space();
            } else if scanner.take(b']') {
                break;
            } else {
                return Err(scanner.not_json("',' or ']'"));
            }
        }
    }
    Ok(Cell::List { at, len: crate::tape::place(len), end: tape.end() })
}

fn map(scanner: &mut Scanner<'_>, shape: &mut Shape, tape: &mut Tape) -> Result<Cell, Fault> {
    if scanner.peek() != b'{' {
        return Err(scanner.mismatch("MAP (an object)"));
    }
    scanner.at += 1;
    scanner.space();
    let (at, mut len) = (tape.end(), 0usize);
    if !scanner.take(b'}') {
        loop {
            let slot = reserve(tape, 2, scanner)?;
            let key_at = scanner.at;
            let quoted = scanner.key()?;
            let after = std::mem::replace(&mut scanner.at, key_at);
            let key = string(scanner, tape)?;
            scanner.at = after;
            tape.set(slot, key);
            scanner.space();
            let name = quoted.range.text(scanner.text);
            let inside = |f: Fault| f.inside(Step::Field(name.to_owned()));
            let cell = value(scanner, shape, tape).map_err(inside)?;
            tape.set(slot.saturating_add(1), cell);
            len += 1;
            scanner.space();
            if scanner.take(b',') {
                scanner.space();
            } else if scanner.take(b'}') {
                break;
            } else {
                return Err(scanner.not_json("',' or '}'"));
            }
        }
    }
    tape.last_of_each_key(at, len, Source::Text(scanner.text));
    Ok(Cell::Map { at, len: crate::tape::place(len), end: tape.end() })
}
