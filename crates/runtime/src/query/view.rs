//! A table's rows, for those who look them up.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::SchemaRef;
use parking_lot::RwLock;
use statestore::View;

/// A table's rows, for lookups.
#[derive(Clone)]
pub struct TableView {
    /// By partition, those that are here: key columns in ordered encoding → time and columns.
    pub partitions: Vec<Arc<RwLock<View>>>,
    /// Which partition of the table each of them is, ascending.
    pub numbers: Vec<u32>,
    /// How many partitions the table has, here and elsewhere.
    pub of: u32,
    /// Whether all partitions that are here are committed together; else each has epochs of its own.
    pub together: bool,
    /// The columns of a row.
    pub schema: SchemaRef,
    /// Positions of the key columns, windows included.
    pub key: Vec<usize>,
}

impl TableView {
    /// The views of several tasks of one query as one; `None`: there are none.
    pub fn merged(views: &[Arc<TableView>]) -> Option<TableView> {
        let first = views.first()?;
        let parts = views.iter().flat_map(|view| view.numbers.iter().zip(&view.partitions));
        let parts: BTreeMap<u32, Arc<RwLock<View>>> = parts.map(|(number, view)| (*number, view.clone())).collect();
        Some(TableView {
            numbers: parts.keys().copied().collect(),
            partitions: parts.into_values().collect(),
            of: views.iter().map(|view| view.of).max().unwrap_or(0),
            together: views.len() == 1 && first.together,
            schema: first.schema.clone(),
            key: first.key.clone(),
        })
    }
}
