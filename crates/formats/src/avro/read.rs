//! Avro's binary encoding → cells.
//!
//! A schema and the wanted columns are compiled once into a plan: what is read into which cell, what is skipped, where
//! the two disagree. A disagreement is an error only for records that have such a value.

use types::SqlType;

use super::schema::{Field, Kind, Logical, NodeId, Schema};
use crate::{
    delimited::DAY_MS,
    fault::{Fault, Step},
    number,
    tape::{CELLS_MAX, Cell, Range, Tape, place},
};

/// Levels of nesting that a skipped value may have.
const SKIP_DEPTH_MAX: usize = 128;

/// How a value becomes a cell.
#[derive(Debug)]
pub(crate) enum Plan {
    Skip(NodeId),
    Null,
    Boolean,
    /// An int or long within bounds, divided by what its unit is of ours.
    Integer {
        expected: &'static str,
        low: i64,
        high: i64,
        divisor: i64,
    },
    IntegerAsDouble,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Enum(Vec<String>),
    Decimal {
        size: Option<usize>,
        from_scale: u8,
        precision: u8,
        scale: u8,
    },
    BooleanText,
    IntegerText,
    FloatText,
    DoubleText,
    Array(Box<Plan>),
    Map(Box<Plan>),
    /// A map as an array of records: how to read each of their two fields; whether the key comes first.
    Entries {
        first: Box<Plan>,
        second: Box<Plan>,
        key_first: bool,
    },
    /// For each of the record's fields the cells that it goes to; `width` cells in all.
    Record {
        width: usize,
        fields: Vec<FieldPlan>,
    },
    Union(Vec<Plan>),
    Wrong {
        node: NodeId,
        message: String,
    },
}

/// How a record's field becomes cells: the places of the cells, often one, and how each is read.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    name: String,
    node: NodeId,
    targets: Vec<(usize, Plan)>,
}

/// The plan for a node that is to become a value of `ty`.
pub(crate) fn plan(schema: &Schema, id: NodeId, ty: &SqlType) -> Plan {
    let node = schema.node(id);
    let integer = |expected, low: i64, high: i64, divisor| Plan::Integer { expected, low, high, divisor };
    let wide = |expected, divisor| integer(expected, i64::MIN, i64::MAX, divisor);
    let narrow = |expected| integer(expected, i64::from(i32::MIN), i64::from(i32::MAX), 1);
    let millis = if matches!(node.logical, Logical::TimeMicros | Logical::TimestampMicros) { 1000 } else { 1 };
    match (&node.kind, ty) {
        (Kind::Null, _) => Plan::Null,
        (Kind::Union(branches), _) => Plan::Union(branches.iter().map(|b| plan(schema, *b, ty)).collect()),
        (Kind::Boolean, SqlType::Boolean) => Plan::Boolean,
        (Kind::Int | Kind::Long, SqlType::Int) => narrow("INTEGER"),
        (Kind::Int | Kind::Long, SqlType::BigInt) => wide("BIGINT", 1),
        (Kind::Int | Kind::Long, SqlType::Date) => narrow("DATE (days)"),
        (Kind::Int | Kind::Long, SqlType::Time) => integer("TIME (ms of the day)", 0, DAY_MS - 1, millis),
        (Kind::Int | Kind::Long, SqlType::Timestamp) => wide("TIMESTAMP (ms)", millis),
        (Kind::Int | Kind::Long, SqlType::Double) => Plan::IntegerAsDouble,
        (Kind::Float, SqlType::Double) => Plan::Float,
        (Kind::Double, SqlType::Double) => Plan::Double,
        (Kind::String, SqlType::String) => Plan::String,
        (Kind::Enum(symbols), SqlType::String) => Plan::Enum(symbols.clone()),
        (Kind::Boolean, SqlType::String) => Plan::BooleanText,
        (Kind::Int | Kind::Long, SqlType::String) => Plan::IntegerText,
        (Kind::Float, SqlType::String) => Plan::FloatText,
        (Kind::Double, SqlType::String) => Plan::DoubleText,
        (Kind::Bytes, SqlType::Bytes) => Plan::Bytes,
        (Kind::Fixed(size), SqlType::Bytes) => Plan::Fixed(*size),
        (Kind::Bytes | Kind::Fixed(_), SqlType::Decimal { precision, scale }) => {
            let Logical::Decimal { scale: from_scale, .. } = node.logical else { return wrong(schema, id, ty) };
            let size = if let Kind::Fixed(size) = node.kind { Some(size) } else { None };
            Plan::Decimal { size, from_scale, precision: *precision, scale: *scale }
        }
        (Kind::Array(element), SqlType::Array(ty)) => Plan::Array(Box::new(plan(schema, *element, ty))),
        (Kind::Map(value), SqlType::Map(_, ty)) => Plan::Map(Box::new(plan(schema, *value, ty))),
        (Kind::Array(element), SqlType::Map(key_type, value_type)) => match schema.entry(*element) {
            Some((key, value)) => {
                let (key, value) = (plan(schema, key, key_type), plan(schema, value, value_type));
                let first = schema.fields(*element).first();
                let key_first = first.is_some_and(|f| f.name.eq_ignore_ascii_case("key"));
                let (first, second) = if key_first { (key, value) } else { (value, key) };
                Plan::Entries { first: Box::new(first), second: Box::new(second), key_first }
            }
            None => wrong(schema, id, ty),
        },
        (Kind::Record(_), SqlType::Struct(fields)) => {
            record(schema, id, &fields.iter().map(|f| (f.name.as_str(), &f.ty)).collect::<Vec<_>>())
        }
        _ => wrong(schema, id, ty),
    }
}

/// The plan for a record whose fields become the cells `wanted`.
pub(crate) fn record(schema: &Schema, id: NodeId, wanted: &[(&str, &SqlType)]) -> Plan {
    let fields = schema.fields(id);
    let unwanted = |f: &Field| FieldPlan { name: f.name.clone(), node: f.node, targets: Vec::new() };
    let mut plans: Vec<_> = fields.iter().map(unwanted).collect();
    for (cell, (name, ty)) in wanted.iter().enumerate() {
        let exact = fields.iter().position(|f| f.name == *name);
        let found = exact.or_else(|| fields.iter().position(|f| f.name.to_uppercase() == name.to_uppercase()));
        if let Some(field) = found.and_then(|at| plans.get_mut(at)) {
            field.targets.push((cell, plan(schema, field.node, ty)));
        }
    }
    Plan::Record { width: wanted.len(), fields: plans }
}

fn wrong(schema: &Schema, id: NodeId, ty: &SqlType) -> Plan {
    let kind = schema.node(id).kind.name();
    Plan::Wrong { node: id, message: format!("expected {ty}, found Avro's {kind}") }
}

/// A place in a record's payload.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    pub at: usize,
    /// Values skipped: some have no bytes, so the record's length does not bound them.
    skipped: usize,
}

impl<'a> Input<'a> {
    /// Read `record` from byte `at` on.
    pub fn new(record: &'a [u8], at: usize) -> Input<'a> {
        Input { bytes: record, at, skipped: 0 }
    }

    /// Whether all was read.
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take(&mut self, n: usize) -> Result<(Range, &'a [u8]), Fault> {
        let end = self.at.saturating_add(n);
        let Some(bytes) = self.bytes.get(self.at..end) else {
            return Err(Fault::new(self.at, format!("expected {n} bytes, found the end")));
        };
        let range = Range::new(self.at, end);
        self.at = end;
        Ok((range, bytes))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (_, bytes) = self.take(N)?;
        bytes.try_into().map_err(|_| Fault::new(self.at, "expected more bytes"))
    }

    /// Zigzag in groups of seven bits, the lowest first.
    fn long(&mut self) -> Result<i64, Fault> {
        let start = self.at;
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else {
                return Err(Fault::new(self.at, "expected a number, found the end"));
            };
            self.at += 1;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((n >> 1).cast_signed() ^ -((n & 1).cast_signed()));
            }
        }
        Err(Fault::new(start, "a number of more than 64 bits"))
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        let n = self.long()?;
        usize::try_from(n).map_err(|_| Fault::new(start, format!("a length cannot be {n}")))
    }

    fn prefixed(&mut self) -> Result<(Range, &'a [u8]), Fault> {
        let n = self.length()?;
        self.take(n)
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(Fault::new(self.at - 1, format!("expected a boolean (0 or 1), found {other}"))),
        }
    }

    /// The count of the next block of an array or map; zero after the last. A block's size in bytes is not needed.
    fn block(&mut self) -> Result<u64, Fault> {
        let n = self.long()?;
        if n < 0 {
            self.long()?;
        }
        Ok(n.unsigned_abs())
    }
}

/// The value at hand as its plan says; a record's cells begin at cell `root` if that is given.
pub(crate) fn value(
    input: &mut Input<'_>,
    schema: &Schema,
    plan: &Plan,
    tape: &mut Tape,
    root: Option<u32>,
) -> Result<Cell, Fault> {
    let start = input.at;
    Ok(match plan {
        Plan::Skip(node) => return skip(input, schema, *node, 0).map(|()| Cell::Null),
        Plan::Wrong { node, message } => {
            skip(input, schema, *node, 0)?;
            return Err(Fault::new(start, message.as_str()));
        }
        Plan::Null => Cell::Null,
        Plan::Boolean => Cell::Boolean(input.boolean()?),
        Plan::Integer { expected, low, high, divisor } => {
            let n = input.long()?.div_euclid(*divisor);
            if n < *low || n > *high {
                return Err(Fault::new(start, format!("expected {expected}, found {n}")));
            }
            Cell::Int(n)
        }
        Plan::IntegerAsDouble => Cell::Double(input.long()? as f64),
        Plan::Float => Cell::Double(f64::from(f32::from_le_bytes(input.array()?))),
        Plan::Double => Cell::Double(f64::from_le_bytes(input.array()?)),
        Plan::Bytes => Cell::Raw(input.prefixed()?.0),
        Plan::Fixed(size) => Cell::Raw(input.take(*size)?.0),
        Plan::String => {
            let (range, bytes) = input.prefixed()?;
            let utf8 = |e: std::str::Utf8Error| Fault::new(range.start as usize + e.valid_up_to(), "not UTF-8");
            std::str::from_utf8(bytes).map_err(utf8)?;
            Cell::Raw(range)
        }
        Plan::Enum(symbols) => {
            let n = input.length()?;
            let none = || Fault::new(start, format!("the enum has {} symbols, found number {n}", symbols.len()));
            text(tape, symbols.get(n).ok_or_else(none)?)
        }
        Plan::Decimal { size, from_scale, precision, scale } => {
            let (_, bytes) = match size {
                Some(size) => input.take(*size)?,
                None => input.prefixed()?,
            };
            let unscaled = number::rescale(bytes, *from_scale, *precision, *scale)
                .map_err(|why| Fault::new(start, format!("expected DECIMAL({precision}, {scale}): {why}")))?;
            tape.decimal(unscaled)
        }
        Plan::BooleanText => text(tape, if input.boolean()? { "true" } else { "false" }),
        Plan::IntegerText => text(tape, itoa::Buffer::new().format(input.long()?)),
        Plan::FloatText => {
            let n = f32::from_le_bytes(input.array()?);
            float_text(tape, |out| number::write_float(n, out))
        }
        Plan::DoubleText => {
            let n = f64::from_le_bytes(input.array()?);
            float_text(tape, |out| number::write_double(n, out))
        }
        Plan::Union(branches) => {
            let n = input.length()?;
            let none = || Fault::new(start, format!("the union has {} branches, found number {n}", branches.len()));
            value(input, schema, branches.get(n).ok_or_else(none)?, tape, root)?
        }
        Plan::Array(_) | Plan::Map(_) | Plan::Entries { .. } => list(input, schema, plan, tape)?,
        Plan::Record { width, fields } => {
            let at = match root {
                Some(at) => at,
                None => reserve(tape, *width, input)?,
            };
            for FieldPlan { name, node, targets } in fields {
                let from = input.at;
                if targets.is_empty() {
                    skip(input, schema, *node, 0).map_err(|f| f.inside(Step::Field(name.clone())))?;
                }
                for (cell, plan) in targets {
                    input.at = from;
                    let inside = |f: Fault| f.inside(Step::Field(name.clone()));
                    let found = value(input, schema, plan, tape, None).map_err(inside)?;
                    tape.set(at.saturating_add(place(*cell)), found);
                }
            }
            Cell::Struct { at, end: tape.end() }
        }
    })
}

/// Arrays and maps: blocks of elements.
fn list(input: &mut Input<'_>, schema: &Schema, plan: &Plan, tape: &mut Tape) -> Result<Cell, Fault> {
    let (at, mut len) = (tape.end(), 0usize);
    let inside = |len: usize| move |f: Fault| f.inside(Step::Element(len));
    loop {
        let count = input.block()?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            match plan {
                Plan::Array(element) => {
                    let slot = reserve(tape, 1, input)?;
                    let cell = value(input, schema, element, tape, None).map_err(inside(len))?;
                    tape.set(slot, cell);
                }
                Plan::Map(entry) => {
                    let slot = reserve(tape, 2, input)?;
                    let key = value(input, schema, &Plan::String, tape, None).map_err(inside(len))?;
                    tape.set(slot, key);
                    let cell = value(input, schema, entry, tape, None).map_err(inside(len))?;
                    tape.set(slot.saturating_add(1), cell);
                }
                Plan::Entries { first, second, key_first } => {
                    let slot = reserve(tape, 2, input)?;
                    let (one, two) = if *key_first { (0, 1) } else { (1, 0) };
                    let cell = value(input, schema, first, tape, None).map_err(inside(len))?;
                    tape.set(slot.saturating_add(one), cell);
                    let cell = value(input, schema, second, tape, None).map_err(inside(len))?;
                    tape.set(slot.saturating_add(two), cell);
                }
                _ => return Ok(Cell::Null),
            }
            len += 1;
        }
    }
    let (len32, end) = (place(len), tape.end());
    if matches!(plan, Plan::Array(_)) {
        return Ok(Cell::List { at, len: len32, end });
    }
    tape.last_of_each_key(at, len, crate::tape::Source::Bytes(input.bytes));
    Ok(Cell::Map { at, len: len32, end })
}

fn reserve(tape: &mut Tape, width: usize, input: &Input<'_>) -> Result<u32, Fault> {
    let full = || Fault::new(input.at, format!("the record has more than {CELLS_MAX} values"));
    tape.reserve(width).ok_or_else(full)
}

fn text(tape: &mut Tape, text: &str) -> Cell {
    let start = tape.text.len();
    tape.text.push_str(text);
    Cell::Text(Range::new(start, tape.text.len()))
}

fn float_text(tape: &mut Tape, write: impl FnOnce(&mut Vec<u8>)) -> Cell {
    let mut digits = Vec::new();
    write(&mut digits);
    text(tape, &String::from_utf8_lossy(&digits))
}

/// Step over a value.
fn skip(input: &mut Input<'_>, schema: &Schema, id: NodeId, depth: usize) -> Result<(), Fault> {
    if depth > SKIP_DEPTH_MAX {
        return Err(Fault::new(input.at, format!("more than {SKIP_DEPTH_MAX} levels of nesting")));
    }
    input.skipped += 1;
    if input.skipped > CELLS_MAX {
        return Err(Fault::new(input.at, format!("more than {CELLS_MAX} values")));
    }
    match &schema.node(id).kind {
        Kind::Null => {}
        Kind::Boolean => drop(input.boolean()?),
        Kind::Int | Kind::Long | Kind::Enum(_) => drop(input.long()?),
        Kind::Float => drop(input.take(4)?),
        Kind::Double => drop(input.take(8)?),
        Kind::Bytes | Kind::String => drop(input.prefixed()?),
        Kind::Fixed(size) => drop(input.take(*size)?),
        Kind::Union(branches) => {
            let start = input.at;
            let n = input.length()?;
            let none = || Fault::new(start, format!("the union has {} branches, found number {n}", branches.len()));
            skip(input, schema, *branches.get(n).ok_or_else(none)?, depth + 1)?;
        }
        Kind::Record(fields) => fields.iter().try_for_each(|f| skip(input, schema, f.node, depth + 1))?,
        Kind::Array(inner) | Kind::Map(inner) => {
            let keyed = matches!(schema.node(id).kind, Kind::Map(_));
            loop {
                let count = input.block()?;
                if count == 0 {
                    return Ok(());
                }
                for _ in 0..count {
                    if keyed {
                        input.prefixed()?;
                    }
                    skip(input, schema, *inner, depth + 1)?;
                }
            }
        }
    }
    Ok(())
}
