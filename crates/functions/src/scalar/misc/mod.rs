//! Functions that belong nowhere else, and what collections are built with.

pub mod as_value;
pub mod uuid;

use arrow::array::{ArrayBuilder, MapBuilder, MapFieldNames};

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[&as_value::FUNCTION, &uuid::FUNCTION];

/// Builds MAPs with the names that the type's Arrow form has.
pub(super) fn map_builder<K: ArrayBuilder, V: ArrayBuilder>(keys: K, values: V) -> MapBuilder<K, V> {
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), keys, values)
}
