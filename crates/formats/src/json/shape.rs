//! What a JSON value should look like for a SQL type, with the lookup of fields by name.
//!
//! A field belongs to the column of exactly its name, otherwise to columns that differ from it only in case: columns
//! are mostly upper case, fields mostly lower. Records of a topic mostly have the same fields in the same order, so an
//! object remembers the keys it has seen, as bytes, and tries the successor of the last one first.

use std::collections::HashMap;

use types::{Column, SqlType};

use super::scan::Scanner;
use crate::fault::Fault;

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
    /// Fields that differ in case only, for [`Target::Many`].
    many: Vec<Vec<Hit>>,
    seen: Vec<Seen>,
    /// The place in `seen` of the key that is expected next.
    next: usize,
    /// Counts objects.
    generation: u64,
    /// For each field the last object that had a key of exactly its name.
    exact: Vec<u64>,
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
    /// The first eight of them, and which of those count; the last eight if there are more.
    head: u64,
    mask: u64,
    tail: u64,
    target: Target,
}

impl Seen {
    fn new(bytes: &[u8], target: Target) -> Seen {
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, b| (n << 8) | u64::from(*b));
        let head = bytes.get(..8).unwrap_or(bytes);
        let tail = bytes.get(bytes.len().saturating_sub(8)..).unwrap_or_default();
        let mask = if head.len() == 8 { u64::MAX } else { (1 << (8 * head.len())) - 1 };
        Seen { bytes: bytes.into(), head: word(head), mask, tail: word(tail), target }
    }

    /// Whether the key is at hand. Two loads decide for most keys.
    #[inline(always)]
    fn is_at(&self, scanner: &Scanner<'_>, at: usize) -> bool {
        let length = self.bytes.len();
        match scanner.word(at) {
            Some(word) if length <= 8 => (word ^ self.head) & self.mask == 0,
            Some(word) if length <= 16 => word == self.head && scanner.word(at + length - 8) == Some(self.tail),
            _ => scanner.is_all_at(at, &self.bytes),
        }
    }
}

/// Whose a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nobody's.
    Nothing,
    /// One field's.
    One(Hit),
    /// Several fields', which differ in case: a place in the object's list of such.
    Many(usize),
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
        let exact = vec![0; fields.len()];
        Object { fields, by_name, many: Vec::new(), seen: Vec::new(), next: 0, generation: 0, exact }
    }

    /// The object of the wanted columns.
    pub fn of_columns(columns: &[&Column]) -> Object {
        Object::new(columns.iter().map(|c| (c.name.as_str(), &c.ty)))
    }

    /// A new object begins.
    #[inline(always)]
    pub fn begin(&mut self) {
        self.next = 0;
        self.generation += 1;
    }

    /// If the key at `at` is the expected one: whose it is, and where it and its colon end.
    #[inline(always)]
    pub fn expected_key(&mut self, scanner: &Scanner<'_>, at: usize) -> Option<(Target, usize)> {
        let seen = self.seen.get(self.next).filter(|seen| seen.is_at(scanner, at))?;
        self.next += 1;
        Some((seen.target, at + seen.bytes.len()))
    }

    /// Step over the key at hand and its colon: whose it is.
    #[inline(never)]
    pub fn key(&mut self, scanner: &mut Scanner<'_>) -> Result<Target, Fault> {
        let order = (self.next..self.seen.len()).chain(0..self.next.min(self.seen.len()));
        for i in order {
            if let Some(seen) = self.seen.get(i).filter(|seen| seen.is_at(scanner, scanner.at)) {
                scanner.at += seen.bytes.len();
                self.next = i + 1;
                return Ok(seen.target);
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
        if self.seen.len() < SEEN_MAX {
            self.seen.push(Seen::new(scanner.since(start).as_bytes(), target));
            self.next = self.seen.len();
        }
        Ok(target)
    }

    fn look_up(&mut self, name: &str) -> Target {
        let Some(places) = self.by_name.get(&name.to_uppercase()) else { return Target::Nothing };
        let hit = |i: &usize| Hit { field: *i, exact: self.fields.get(*i).is_some_and(|f| f.name == name) };
        if let [one] = places.as_slice() {
            return Target::One(hit(one));
        }
        let hits: Vec<Hit> = places.iter().map(hit).collect();
        let known = self.many.iter().position(|other| *other == hits);
        Target::Many(known.unwrap_or_else(|| {
            self.many.push(hits);
            self.many.len() - 1
        }))
    }

    /// One of the fields of a [`Target::Many`].
    pub fn hit(&self, many: usize, i: usize) -> Option<Hit> {
        self.many.get(many)?.get(i).copied()
    }

    /// The field that a key names, unless the object at hand had a key that names it better.
    #[inline(always)]
    pub fn field(&mut self, hit: Hit) -> Option<&mut Field> {
        let exact = self.exact.get_mut(hit.field)?;
        if hit.exact {
            *exact = self.generation;
        } else if *exact == self.generation {
            return None;
        }
        self.fields.get_mut(hit.field)
    }
}
