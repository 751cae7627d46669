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

use std::collections::HashMap;

use base64::Engine;
use types::Column;

use super::{
    scan::{Fault, Number, Scanner, Step},
    shape::{Hit, Key, Object, Shape, Target},
    stringify,
};
use crate::{
    delimited::{BASE64, DAY_MS},
    number::{self, Scaled},
    rows::ReadRecord,
    tape::{CELLS_MAX, Cell, Range, Source, Tape},
};

/// Digits of an integer that cannot overflow 64 bits.
const QUICK_DIGITS_MAX: usize = 18;
/// Pairs of keys are compared in maps up to this size; larger ones are hashed.
const PAIRWISE_KEYS_MAX: usize = 16;

/// Reads records of one shape.
pub(crate) struct Reader {
    root: Root,
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
        if wrapped {
            return Reader { root: Root::Wrapped(Object::of_columns(wanted)) };
        }
        Reader { root: Root::Bare(wanted.first().map(|c| (c.name.clone(), Shape::new(&c.ty)))) }
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
        let text = match std::str::from_utf8(record) {
            Ok(text) => text,
            Err(e) if record.first() == Some(&0) => return Err(schema_registry(e.valid_up_to())),
            Err(e) => return Err(format!("not JSON: not UTF-8 (byte {})", e.valid_up_to())),
        };
        match self.record(&mut Scanner::new(text), tape) {
            Ok(()) => Ok(Source::Text(text)),
            Err(_) if record.first() == Some(&0) => Err(schema_registry(0)),
            Err(fault) => Err(fault.render()),
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

/// The fields of the object at hand, to the cells from `at` on.
fn fields(scanner: &mut Scanner<'_>, object: &mut Object, tape: &mut Tape, at: u32) -> Result<(), Fault> {
    object.begin();
    scanner.at += 1;
    scanner.space();
    if scanner.take(b'}') {
        return Ok(());
    }
    loop {
        let key = object.key(scanner)?;
        scanner.space();
        field(scanner, object, &key, tape, at)?;
        scanner.space();
        if scanner.take(b',') {
            scanner.space();
        } else if scanner.take(b'}') {
            return Ok(());
        } else {
            return Err(scanner.not_json("',' or '}'"));
        }
    }
}

/// The value of a key, to the cells of the fields whose it is.
#[inline]
fn field(scanner: &mut Scanner<'_>, object: &mut Object, key: &Key, tape: &mut Tape, at: u32) -> Result<(), Fault> {
    match object.target(key) {
        Target::Nothing => scanner.skip(),
        Target::One(hit) => one(scanner, object, hit, tape, at),
        Target::Many(hits) => {
            let start = scanner.at;
            for hit in hits {
                scanner.at = start;
                one(scanner, object, hit, tape, at)?;
            }
            Ok(())
        }
    }
}

#[inline]
fn one(scanner: &mut Scanner<'_>, object: &mut Object, hit: Hit, tape: &mut Tape, at: u32) -> Result<(), Fault> {
    let (Some(field), Some(exact)) = (object.fields.get_mut(hit.field), object.exact.get_mut(hit.field)) else {
        return scanner.skip();
    };
    if *exact && !hit.exact {
        return scanner.skip();
    }
    *exact |= hit.exact;
    let cell = value(scanner, &mut field.shape, tape).map_err(|f| f.inside(Step::Field(field.name.clone())))?;
    tape.set(at.saturating_add(crate::tape::place(hit.field)), cell);
    Ok(())
}

/// The value at hand as its shape says.
#[inline]
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

#[inline]
fn integer(scanner: &mut Scanner<'_>, expected: &str, low: i64, high: i64) -> Result<Cell, Fault> {
    let start = scanner.at;
    let negative = scanner.take(b'-');
    let first = scanner.peek();
    let digits_at = scanner.at;
    let mut n = 0i64;
    while let digit @ 0..=9 = scanner.peek().wrapping_sub(b'0') {
        n = n.wrapping_mul(10).wrapping_add(i64::from(digit));
        scanner.at += 1;
    }
    let digits = scanner.at - digits_at;
    let whole = !matches!(scanner.peek(), b'.' | b'e' | b'E');
    if whole && digits >= 1 && digits <= QUICK_DIGITS_MAX && (first != b'0' || digits == 1) {
        let n = if negative { -n } else { n };
        if n >= low && n <= high {
            return Ok(Cell::Int(n));
        }
        return Err(scanner.wrong(start, expected));
    }
    scanner.at = start;
    other_integer(scanner, expected, low, high)
}

/// Integers that are long, have a fraction or an exponent, or stand in a string.
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
#[inline]
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
    last_of_each_key(tape, at, len, scanner.text);
    Ok(Cell::Map { at, len: crate::tape::place(len), end: tape.end() })
}

/// Mark entries whose key comes again: the last one counts, and Arrow's maps must not have two.
fn last_of_each_key(tape: &mut Tape, at: u32, len: usize, record: &str) {
    if len < 2 {
        return;
    }
    let mut keys = Vec::with_capacity(len);
    let mut place = at;
    for _ in 0..len {
        keys.push(place);
        place = tape.next(place.saturating_add(1));
    }
    let key = |place: u32| tape.text_of(tape.cell(place), Source::Text(record));
    let mut replaced = Vec::new();
    if len <= PAIRWISE_KEYS_MAX {
        for (i, place) in keys.iter().enumerate() {
            if keys.iter().skip(i + 1).any(|later| key(*later) == key(*place)) {
                replaced.push(*place);
            }
        }
    } else {
        let mut last = HashMap::with_capacity(len);
        replaced.extend(keys.iter().filter_map(|place| last.insert(key(*place), *place)));
    }
    for place in replaced {
        tape.set(place, Cell::Null);
    }
}
