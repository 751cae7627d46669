//! Rows of a piece by what conditions ask for: where many of them want a value each of the same thing, the rows of all
//! these values are found in one pass, not in one for each condition.
//!
//! Promise: as that of [conditions](super::conditions).

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Int32Type, Int64Type, Schema},
};
use foldhash::fast::RandomState;
use planner::{expr::demanded, plan::BoundExpr};

/// So many values of one thing have to be asked for: below, each condition is as fast for itself.
const KEYS_MIN: usize = if cfg!(test) { 1 } else { 16 };

/// A value that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Number(i64),
    Text(Box<str>),
}

impl Key {
    /// One that a column of that type is compared with byte for byte.
    fn of(value: &ArrayRef, ty: &DataType) -> Option<Key> {
        if value.is_null(0) {
            return None;
        }
        let is_number = matches!(ty, DataType::Int32 | DataType::Int64);
        match value.data_type() {
            DataType::Int32 if is_number => Some(Key::Number(i64::from(value.as_primitive::<Int32Type>().value(0)))),
            DataType::Int64 if is_number => Some(Key::Number(value.as_primitive::<Int64Type>().value(0))),
            DataType::Utf8 if *ty == DataType::Utf8 => Some(Key::Text(value.as_string::<i32>().value(0).into())),
            _ => None,
        }
    }
}

/// What must hold for a row to pass a condition: that something has a value.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    pub part: BoundExpr,
    pub key: Key,
}

impl Demand {
    /// What a condition over columns of `schema` demands, if anything.
    pub fn of(condition: &BoundExpr, schema: &Schema) -> Option<Demand> {
        let (part, value) = demanded(condition)?;
        let key = Key::of(&value, &part.data_type(schema).ok()?)?;
        Some(Demand { part, key })
    }
}

/// Values, and how many conditions ask for each.
pub(super) type Keys = HashMap<Key, usize, RandomState>;

/// What all conditions demand.
#[derive(Default)]
pub(super) struct Asked(HashMap<BoundExpr, Arc<Keys>>);

/// A demand that is looked at with others.
pub(super) struct Pick {
    pub demand: Demand,
    /// What is asked for of the same thing.
    pub keys: Arc<Keys>,
}

impl Asked {
    /// A condition asks from now on.
    pub fn add(&mut self, demand: &Demand) {
        *Arc::make_mut(self.0.entry(demand.part.clone()).or_default()).entry(demand.key.clone()).or_default() += 1;
    }

    /// It asks no longer.
    pub fn remove(&mut self, demand: &Demand) {
        let Some(keys) = self.0.get_mut(&demand.part).map(Arc::make_mut) else { return };
        if let Some(count) = keys.get_mut(&demand.key) {
            *count -= 1;
            if *count == 0 {
                keys.remove(&demand.key);
            }
        }
        if keys.is_empty() {
            self.0.remove(&demand.part);
        }
    }

    /// A demand with those that it is looked at with; `None`: they are too few.
    pub fn pick(&self, demand: &Demand) -> Option<Pick> {
        let keys = self.0.get(&demand.part).filter(|keys| keys.len() >= KEYS_MIN)?;
        Some(Pick { demand: demand.clone(), keys: Arc::clone(keys) })
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The rows of a column that have the values that are asked for, each's in order.
pub(super) struct Places {
    numbers: HashMap<i64, Vec<u32>, RandomState>,
    texts: HashMap<Box<str>, Vec<u32>, RandomState>,
}

impl Places {
    /// Look for `keys` in a column.
    pub fn of(column: &ArrayRef, keys: &Keys) -> Places {
        let mut places = Places { numbers: HashMap::default(), texts: HashMap::default() };
        for key in keys.keys() {
            match key {
                Key::Number(number) => drop(places.numbers.insert(*number, vec![])),
                Key::Text(text) => drop(places.texts.insert(text.clone(), vec![])),
            }
        }
        let note = |rows: Option<&mut Vec<u32>>, row: usize| {
            if let (Some(rows), Ok(row)) = (rows, u32::try_from(row)) {
                rows.push(row);
            }
        };
        let is_there = |row: usize| column.is_valid(row);
        match column.data_type() {
            DataType::Int32 => {
                for (row, value) in column.as_primitive::<Int32Type>().values().iter().enumerate() {
                    note(places.numbers.get_mut(&i64::from(*value)).filter(|_| is_there(row)), row);
                }
            }
            DataType::Int64 => {
                for (row, value) in column.as_primitive::<Int64Type>().values().iter().enumerate() {
                    note(places.numbers.get_mut(value).filter(|_| is_there(row)), row);
                }
            }
            DataType::Utf8 => {
                for (row, value) in column.as_string::<i32>().iter().enumerate() {
                    note(value.and_then(|value| places.texts.get_mut(value)), row);
                }
            }
            _ => {}
        }
        places
    }

    /// The rows that have a value; `None`: it was not asked for then.
    pub fn rows(&self, key: &Key) -> Option<&[u32]> {
        let rows = match key {
            Key::Number(number) => self.numbers.get(number),
            Key::Text(text) => self.texts.get(text),
        };
        rows.map(Vec::as_slice)
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.numbers.values().chain(self.texts.values()).map(|rows| size_of_val(rows.as_slice())).sum()
    }
}
