//! What a JSON value should look like for a SQL type, with the lookup of fields by name.
//!
//! A field belongs to the column of exactly its name, otherwise to columns that differ from it only in case: columns
//! are mostly upper case, fields mostly lower. Records of a topic mostly have the same fields in the same order, so an
//! object remembers the keys it has seen, as bytes, and tries the successor of the last one first.

use std::collections::HashMap;

use types::{Column, SqlType};

use super::scan::{Fault, Scanner};

/// Keys that an object remembers; beyond that it looks names up.
const SEEN_MAX: usize = 64;

/// What to expect.
#[derive(Debug)]
pub(crate) enum Shape {
    Boolean,
    Int,
    BigInt,
    Double,
    Decimal { precision: u8, scale: u8 },
    String,
    Bytes,
    Date,
    Time,
    Timestamp,
    Array(Box<Shape>),
    Map(Box<Shape>),
    Object(Box<Object>),
}

impl Shape {
    /// The shape of a type's values.
    pub fn new(ty: &SqlType) -> Shape {
        match ty {
            SqlType::Boolean => Shape::Boolean,
            SqlType::Int => Shape::Int,
            SqlType::BigInt => Shape::BigInt,
            SqlType::Double => Shape::Double,
            SqlType::Decimal { precision, scale } => Shape::Decimal { precision: *precision, scale: *scale },
            SqlType::String => Shape::String,
            SqlType::Bytes => Shape::Bytes,
            SqlType::Date => Shape::Date,
            SqlType::Time => Shape::Time,
            SqlType::Timestamp => Shape::Timestamp,
            SqlType::Array(element) => Shape::Array(Box::new(Shape::new(element))),
            SqlType::Map(_, value) => Shape::Map(Box::new(Shape::new(value))),
            SqlType::Struct(fields) => {
                Shape::Object(Box::new(Object::new(fields.iter().map(|f| (f.name.as_str(), &f.ty)))))
            }
        }
    }
}

/// An object's fields.
#[derive(Debug)]
pub(crate) struct Object {
    pub fields: Vec<Field>,
    /// Places of fields by upper-case name.
    by_name: HashMap<String, Vec<usize>>,
    seen: Vec<Seen>,
    /// The place in `seen` of the key that is expected next.
    next: usize,
    /// For each field whether the object at hand had a key of exactly its name.
    pub exact: Vec<bool>,
}

/// A field.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: String,
    pub shape: Shape,
}

/// A key as it stood in a record, with quotes and colon, and whose it is.
#[derive(Debug)]
struct Seen {
    bytes: Box<[u8]>,
    target: Target,
}

/// Whose a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nobody's.
    Nothing,
    /// One field's.
    One(Hit),
    /// Several fields', which differ in case.
    Many(Vec<Hit>),
}

/// A field that a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub field: usize,
    /// Whether the key is its name to the letter.
    pub exact: bool,
}

impl Object {
    /// An object of these fields.
    pub fn new<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>) -> Object {
        let fields: Vec<Field> =
            fields.map(|(name, ty)| Field { name: name.to_owned(), shape: Shape::new(ty) }).collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, field) in fields.iter().enumerate() {
            by_name.entry(field.name.to_uppercase()).or_default().push(i);
        }
        let exact = vec![false; fields.len()];
        Object { fields, by_name, seen: Vec::new(), next: 0, exact }
    }

    /// The object of the wanted columns.
    pub fn of_columns(columns: &[&Column]) -> Object {
        Object::new(columns.iter().map(|c| (c.name.as_str(), &c.ty)))
    }

    /// A new object begins.
    #[inline]
    pub fn begin(&mut self) {
        self.next = 0;
        self.exact.fill(false);
    }

    /// Step over the key at hand and its colon; the place of its target for [`Object::target`].
    #[inline]
    pub fn key(&mut self, scanner: &mut Scanner<'_>) -> Result<Key, Fault> {
        if let Some(seen) = self.seen.get(self.next)
            && scanner.take_all(&seen.bytes)
        {
            self.next += 1;
            return Ok(Key::Seen(self.next - 1));
        }
        self.other_key(scanner)
    }

    fn other_key(&mut self, scanner: &mut Scanner<'_>) -> Result<Key, Fault> {
        let after = self.next.saturating_add(1);
        let order = (after..self.seen.len()).chain(0..self.next.min(self.seen.len()));
        for i in order {
            if self.seen.get(i).is_some_and(|seen| scanner.take_all(&seen.bytes)) {
                self.next = i + 1;
                return Ok(Key::Seen(i));
            }
        }
        let start = scanner.at;
        let quoted = scanner.key()?;
        let target = if quoted.escaped {
            let mut name = String::new();
            scanner.unescape(quoted, &mut name)?;
            self.look_up(&name)
        } else {
            self.look_up(quoted.range.text(scanner.text))
        };
        if self.seen.len() >= SEEN_MAX {
            return Ok(Key::New(target));
        }
        self.seen.push(Seen { bytes: scanner.since(start).as_bytes().into(), target });
        self.next = self.seen.len();
        Ok(Key::Seen(self.next - 1))
    }

    fn look_up(&self, name: &str) -> Target {
        let Some(places) = self.by_name.get(&name.to_uppercase()) else { return Target::Nothing };
        let hit = |i: &usize| Hit { field: *i, exact: self.fields.get(*i).is_some_and(|f| f.name == name) };
        match places.as_slice() {
            [one] => Target::One(hit(one)),
            many => Target::Many(many.iter().map(hit).collect()),
        }
    }

    /// Whose the key is.
    #[inline]
    pub fn target(&self, key: &Key) -> Target {
        match key {
            Key::Seen(i) => self.seen.get(*i).map_or(Target::Nothing, |seen| seen.target.clone()),
            Key::New(target) => target.clone(),
        }
    }
}

/// A key that was stepped over.
#[derive(Debug)]
pub(crate) enum Key {
    /// Its place among those remembered.
    Seen(usize),
    /// Not remembered.
    New(Target),
}
