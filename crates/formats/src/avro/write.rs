//! Columns → Avro's binary encoding, after any schema that the columns fit.
//!
//! The schema may be the one derived from the columns or one that a statement names by its id. A field that no column
//! fills gets its default, or null where it may be null; a NULL where the schema has no null gets the field's default.

use serde_json::Value;
use types::SqlType;

use super::schema::{Field, Kind, Logical, NodeId, Schema};
use crate::{number, source::View};

/// Levels of nesting that a default may have.
const DEFAULT_DEPTH_MAX: usize = 64;

/// How a column's value is written.
#[derive(Debug)]
pub(crate) enum Plan {
    Boolean,
    Int,
    Long {
        factor: i64,
    },
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Enum(Vec<String>),
    Decimal {
        size: Option<usize>,
        from_scale: u8,
        scale: u8,
    },
    Array(Box<Plan>),
    Map(Box<Plan>),
    Entries {
        first: Box<Plan>,
        second: Box<Plan>,
        key_first: bool,
    },
    Record(Vec<FieldPlan>),
    /// A union: the branch of values, and the branch of null if it has one.
    Union {
        some: i64,
        null: Option<i64>,
        inner: Box<Plan>,
    },
}

/// How a record's field is written.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    name: String,
    source: FieldSource,
}

#[derive(Debug)]
enum FieldSource {
    /// The place of a column, its plan, the bytes that stand for NULL.
    Column { place: usize, plan: Plan, default: Option<Vec<u8>> },
    /// No column: always the same bytes.
    Constant(Vec<u8>),
    /// No column, no default.
    Missing,
}

/// The plan to write values of `ty` as the node.
///
/// # Errors
/// What does not fit what.
pub(crate) fn plan(schema: &Schema, id: NodeId, ty: &SqlType) -> Result<Plan, String> {
    let node = schema.node(id);
    let boxed = |id: NodeId, ty: &SqlType| plan(schema, id, ty).map(Box::new);
    let micros = matches!(node.logical, Logical::TimeMicros | Logical::TimestampMicros);
    Ok(match (&node.kind, ty) {
        (Kind::Union(branches), _) => {
            let null = branches.iter().position(|b| matches!(schema.node(*b).kind, Kind::Null));
            let fits = |(i, b): (usize, &NodeId)| plan(schema, *b, ty).ok().map(|inner| (i, Box::new(inner)));
            let Some((some, inner)) = branches.iter().enumerate().find_map(fits) else {
                return Err(format!("no branch of the union takes {ty}"));
            };
            let branch = |i: usize| i64::try_from(i).unwrap_or(i64::MAX);
            Plan::Union { some: branch(some), null: null.map(branch), inner }
        }
        (Kind::Boolean, SqlType::Boolean) => Plan::Boolean,
        (Kind::Int, SqlType::Int | SqlType::BigInt | SqlType::Date | SqlType::Time) => Plan::Int,
        (Kind::Long, SqlType::Int | SqlType::BigInt | SqlType::Date) => Plan::Long { factor: 1 },
        (Kind::Long, SqlType::Time | SqlType::Timestamp) => Plan::Long { factor: if micros { 1000 } else { 1 } },
        (Kind::Float, SqlType::Double) => Plan::Float,
        (Kind::Double, SqlType::Double | SqlType::Int | SqlType::BigInt) => Plan::Double,
        (Kind::String, SqlType::String) => Plan::String,
        (Kind::Enum(symbols), SqlType::String) => Plan::Enum(symbols.clone()),
        (Kind::Bytes, SqlType::Bytes) => Plan::Bytes,
        (Kind::Fixed(size), SqlType::Bytes) => Plan::Fixed(*size),
        (Kind::Bytes | Kind::Fixed(_), SqlType::Decimal { scale: from_scale, .. }) => match node.logical {
            Logical::Decimal { scale, .. } => {
                let size = if let Kind::Fixed(size) = node.kind { Some(size) } else { None };
                Plan::Decimal { size, from_scale: *from_scale, scale }
            }
            _ => return Err(format!("bytes without a logical type do not take {ty}")),
        },
        (Kind::Array(element), SqlType::Array(ty)) => Plan::Array(boxed(*element, ty)?),
        (Kind::Map(value), SqlType::Map(_, ty)) => Plan::Map(boxed(*value, ty)?),
        (Kind::Array(element), SqlType::Map(key_type, value_type)) => {
            let (key, value) = schema.entry(*element).ok_or_else(|| format!("an array does not take {ty}"))?;
            let (key, value) = (boxed(key, key_type)?, boxed(value, value_type)?);
            let first = schema.fields(*element).first();
            let key_first = first.is_some_and(|f| f.name.eq_ignore_ascii_case("key"));
            let (first, second) = if key_first { (key, value) } else { (value, key) };
            Plan::Entries { first, second, key_first }
        }
        (Kind::Record(_), SqlType::Struct(fields)) => {
            record(schema, id, &fields.iter().map(|f| (f.name.as_str(), &f.ty)).collect::<Vec<_>>())?
        }
        (kind, _) => return Err(format!("the schema has {}, which does not take {ty}", kind.name())),
    })
}

/// The plan to write columns as the fields of a record.
pub(crate) fn record(schema: &Schema, id: NodeId, columns: &[(&str, &SqlType)]) -> Result<Plan, String> {
    let column_of = |field: &Field| {
        let exact = columns.iter().position(|(name, _)| *name == field.name);
        exact.or_else(|| columns.iter().position(|(name, _)| name.to_uppercase() == field.name.to_uppercase()))
    };
    let mut plans = Vec::new();
    let mut filled = vec![false; columns.len()];
    for field in schema.fields(id) {
        let default = field.default.as_ref().and_then(|value| {
            let mut out = Vec::new();
            default_bytes(schema, field.node, value, &mut out, 0).map(|()| out)
        });
        let source = match column_of(field).and_then(|place| columns.get(place).map(|(_, ty)| (place, ty))) {
            Some((place, ty)) => {
                if let Some(filled) = filled.get_mut(place) {
                    *filled = true;
                }
                let plan = plan(schema, field.node, ty).map_err(|why| format!("field {}: {why}", field.name))?;
                FieldSource::Column { place, plan, default }
            }
            None => match default.or_else(|| null_bytes(schema, field.node)) {
                Some(bytes) => FieldSource::Constant(bytes),
                None => FieldSource::Missing,
            },
        };
        plans.push(FieldPlan { name: field.name.clone(), source });
    }
    match filled.iter().position(|f| !f).and_then(|at| columns.get(at)) {
        Some((name, ty)) => Err(format!("the schema has no field for `{name}` {ty}")),
        None => Ok(Plan::Record(plans)),
    }
}

impl Plan {
    /// A field of the record that nothing fills: no row could be written.
    pub(crate) fn unfilled(&self) -> Option<&str> {
        let Plan::Record(fields) = self else { return None };
        fields.iter().find(|f| matches!(f.source, FieldSource::Missing)).map(|f| f.name.as_str())
    }
}

/// The bytes of null, where a node may be null.
fn null_bytes(schema: &Schema, id: NodeId) -> Option<Vec<u8>> {
    match &schema.node(id).kind {
        Kind::Null => Some(Vec::new()),
        Kind::Union(branches) => {
            let null = branches.iter().position(|b| matches!(schema.node(*b).kind, Kind::Null))?;
            let mut out = Vec::new();
            long(i64::try_from(null).ok()?, &mut out);
            Some(out)
        }
        _ => None,
    }
}

/// Append a default as the specification writes it in schemas; `None` where it does not fit.
fn default_bytes(schema: &Schema, id: NodeId, value: &Value, out: &mut Vec<u8>, depth: usize) -> Option<()> {
    if depth > DEFAULT_DEPTH_MAX {
        return None;
    }
    match &schema.node(id).kind {
        Kind::Null => value.is_null().then_some(())?,
        Kind::Boolean => out.push(u8::from(value.as_bool()?)),
        Kind::Int => long(i64::from(i32::try_from(value.as_i64()?).ok()?), out),
        Kind::Long => long(value.as_i64()?, out),
        // The nearest float is what is meant.
        Kind::Float => out.extend_from_slice(&(value.as_f64()? as f32).to_le_bytes()),
        Kind::Double => out.extend_from_slice(&value.as_f64()?.to_le_bytes()),
        Kind::String => bytes(value.as_str()?.as_bytes(), out),
        Kind::Bytes => bytes(&latin1(value)?, out),
        Kind::Fixed(size) => out.extend_from_slice(latin1(value).filter(|b| b.len() == *size)?.as_slice()),
        Kind::Enum(symbols) => {
            let symbol = symbols.iter().position(|s| Some(s.as_str()) == value.as_str())?;
            long(i64::try_from(symbol).ok()?, out);
        }
        Kind::Union(branches) => {
            // Any branch that takes it, the first of them if several do.
            let start = out.len();
            for (i, branch) in (0i64..).zip(branches) {
                long(i, out);
                if default_bytes(schema, *branch, value, out, depth + 1).is_some() {
                    return Some(());
                }
                out.truncate(start);
            }
            return None;
        }
        Kind::Array(element) => {
            let elements = value.as_array()?;
            count(elements.len(), out);
            for one in elements {
                default_bytes(schema, *element, one, out, depth + 1)?;
            }
            long(0, out);
        }
        Kind::Map(node) => {
            let entries = value.as_object()?;
            count(entries.len(), out);
            for (key, one) in entries {
                bytes(key.as_bytes(), out);
                default_bytes(schema, *node, one, out, depth + 1)?;
            }
            long(0, out);
        }
        Kind::Record(fields) => {
            let given = value.as_object()?;
            for field in fields {
                let one = given.get(&field.name).or(field.default.as_ref())?;
                default_bytes(schema, field.node, one, out, depth + 1)?;
            }
        }
    }
    Some(())
}

/// Bytes in a schema's JSON: one character each.
fn latin1(value: &Value) -> Option<Vec<u8>> {
    value.as_str()?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// Append one value that is not NULL, or NULL where the plan has one.
///
/// # Errors
/// Why the value has no encoding.
pub(crate) fn value(column: &View<'_>, plan: &Plan, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if column.is_null(row) {
        return match plan {
            Plan::Union { null: Some(null), .. } => {
                long(*null, out);
                Ok(())
            }
            _ => Err("the value is NULL, and the schema has no null for it".to_owned()),
        };
    }
    match (plan, column) {
        (Plan::Union { some, inner, .. }, _) => {
            long(*some, out);
            value(column, inner, row, out)?;
        }
        (Plan::Boolean, View::Boolean(a)) => out.push(u8::from(a.value(row))),
        (Plan::Int, _) => {
            let n = integer(column, row)?;
            let narrow = i32::try_from(n).map_err(|_| format!("{n} does not fit an int"))?;
            long(i64::from(narrow), out);
        }
        (Plan::Long { factor }, _) => {
            let n = integer(column, row)?;
            long(n.checked_mul(*factor).ok_or_else(|| format!("{n} ms are too many microseconds"))?, out);
        }
        // A float has fewer digits: the schema asks for that.
        (Plan::Float, View::Double(a)) => out.extend_from_slice(&(a.value(row) as f32).to_le_bytes()),
        (Plan::Double, View::Double(a)) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        (Plan::Double, _) => out.extend_from_slice(&(integer(column, row)? as f64).to_le_bytes()),
        (Plan::String, View::String(a)) => bytes(a.value(row).as_bytes(), out),
        (Plan::Enum(symbols), View::String(a)) => {
            let symbol = symbols.iter().position(|s| s == a.value(row));
            let symbol = symbol.ok_or_else(|| format!("the enum has no symbol {:?}", a.value(row)))?;
            long(i64::try_from(symbol).unwrap_or(i64::MAX), out);
        }
        (Plan::Bytes, View::Bytes(a)) => bytes(a.value(row), out),
        (Plan::Fixed(size), View::Bytes(a)) => {
            let found = a.value(row);
            if found.len() != *size {
                return Err(format!("{} bytes do not fit a fixed of {size}", found.len()));
            }
            out.extend_from_slice(found);
        }
        (Plan::Decimal { size, from_scale, scale }, View::Decimal(a, _)) => {
            decimal(a.value(row), *from_scale, *scale, *size, out)?;
        }
        (Plan::Record(fields), View::Struct(_, children)) => record_row(children, fields, row, out)?,
        _ => return list(column, plan, row, out),
    }
    Ok(())
}

/// Append the fields of a record.
pub(crate) fn record_row(
    columns: &[View<'_>],
    fields: &[FieldPlan],
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    for field in fields {
        match &field.source {
            FieldSource::Constant(bytes) => out.extend_from_slice(bytes),
            FieldSource::Missing => {
                return Err(format!("field {}: no column has it, and the schema has no default for it", field.name));
            }
            FieldSource::Column { place, plan, default } => {
                let Some(column) = columns.get(*place) else { return Err(format!("field {}: no column", field.name)) };
                let nullable = matches!(plan, Plan::Union { null: Some(_), .. });
                match default {
                    Some(bytes) if column.is_null(row) && !nullable => out.extend_from_slice(bytes),
                    _ => value(column, plan, row, out).map_err(|why| format!("field {}: {why}", field.name))?,
                }
            }
        }
    }
    Ok(())
}

fn list(column: &View<'_>, plan: &Plan, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let range = match column {
        View::List(a, _) => a.value_offsets().get(row).zip(a.value_offsets().get(row + 1)),
        View::Map(a, _) => a.value_offsets().get(row).zip(a.value_offsets().get(row + 1)),
        _ => None,
    };
    let place = |n: &i32| usize::try_from(*n).unwrap_or(0);
    let Some((start, end)) = range.map(|(start, end)| (place(start), place(end))) else {
        return Err("the value has another type than the schema".to_owned());
    };
    let len = end.saturating_sub(start);
    count(len, out);
    for at in start..end {
        match (plan, column) {
            (Plan::Array(element), View::List(_, items)) => value(items, element, at, out)?,
            (Plan::Map(entry), View::Map(_, entries)) => {
                value(&entries.0, &Plan::String, at, out)?;
                value(&entries.1, entry, at, out)?;
            }
            (Plan::Entries { first, second, key_first }, View::Map(_, entries)) => {
                let (one, two) = if *key_first { (&entries.0, &entries.1) } else { (&entries.1, &entries.0) };
                value(one, first, at, out)?;
                value(two, second, at, out)?;
            }
            _ => return Err("the value has another type than the schema".to_owned()),
        }
    }
    long(0, out);
    Ok(())
}

fn integer(column: &View<'_>, row: usize) -> Result<i64, String> {
    Ok(match column {
        View::Int(a) => i64::from(a.value(row)),
        View::BigInt(a) => a.value(row),
        View::Date(a) => i64::from(a.value(row)),
        View::Time(a) => i64::from(a.value(row)),
        View::Timestamp(a) => a.value(row),
        _ => return Err("the value has another type than the schema".to_owned()),
    })
}

fn decimal(unscaled: i128, from_scale: u8, scale: u8, size: Option<usize>, out: &mut Vec<u8>) -> Result<(), String> {
    let power = 10i128.checked_pow(u32::from(scale.abs_diff(from_scale))).unwrap_or(i128::MAX);
    let rescaled = if scale >= from_scale {
        unscaled.checked_mul(power)
    } else {
        (unscaled % power == 0).then(|| unscaled / power)
    };
    let rescaled = rescaled.ok_or("the decimal does not fit the schema's scale")?;
    let all = rescaled.to_be_bytes();
    match size {
        None => bytes(number::twos_complement(&all), out),
        Some(size) => {
            let short = number::twos_complement(&all);
            let missing = size.checked_sub(short.len()).ok_or("the decimal does not fit the schema's size")?;
            out.extend(std::iter::repeat_n(if rescaled < 0 { 0xff } else { 0 }, missing));
            out.extend_from_slice(short);
        }
    }
    Ok(())
}

/// Zigzag in groups of seven bits, the lowest first.
pub(crate) fn long(n: i64, out: &mut Vec<u8>) {
    let mut rest = ((n << 1) ^ (n >> 63)).cast_unsigned();
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn bytes(data: &[u8], out: &mut Vec<u8>) {
    long(i64::try_from(data.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(data);
}

/// The count of a block; nothing if it is empty, since a zero ends the blocks.
fn count(n: usize, out: &mut Vec<u8>) {
    if n > 0 {
        long(i64::try_from(n).unwrap_or(i64::MAX), out);
    }
}
