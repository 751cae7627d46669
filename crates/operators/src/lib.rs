//! Streaming operators, one file each: batches of changes in, batches of changes out, state inside.
//!
//! An operator works on one partition. It gets the rows of an epoch in the order in which they arrived, and must give
//! what it would give had they come one by one (with caching on: the last change of each key of the epoch). What it
//! has to remember it keeps in memory, hands out what changed once an epoch, and takes it back when restored. Where
//! entries may leave memory for a cold store, it first reads in one go what the rows at hand ask for.
//!
//! Invariant: knows no task, no topic and no file; a step is a function of the state and its input.

mod aggregate;
mod change;
mod distinct;
mod filter;
mod flat_map;
mod foreign_key_join;
mod key_bytes;
mod latest;
mod materialize;
mod merge;
mod nulls;
mod project;
mod residual;
mod session;
mod stream_stream_join;
mod stream_table_join;
mod table_rows;
mod table_table_join;
mod timeline;
mod versions;

pub use aggregate::{Aggregate, AggregateSpec};
pub use change::{Change, ChangeBatch, ChangeBuilder, SUB_BITS, downcast};
pub use distinct::Distinct;
pub use filter::Filter;
pub use flat_map::FlatMap;
pub use foreign_key_join::{ForeignKeyJoin, ForeignKeySpec};
pub use materialize::{Expiry, Materialize};
pub use merge::{Picked, merge_sorted, pick};
pub use nulls::null_column;
pub use project::Project;
pub use session::SessionAggregate;
pub use stream_stream_join::{StreamStreamJoin, StreamStreamSpec};
pub use stream_table_join::StreamTableJoin;
pub use table_rows::split_row;
pub use table_table_join::TableTableJoin;
pub use timeline::{TimeCursor, TimeLine};
pub use versions::{KeepNewest, NumberVersions};

use statestore::{Keys, Paged};
use types::Result;

/// What happened to a row that is not in the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The row's place in the order of arrival (see [`ChangeBatch::seq`]).
    pub seq: u64,
    /// Why.
    pub kind: ReportKind,
    /// What exactly.
    pub message: String,
}

/// Kinds of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReportKind {
    /// The key or the value could not be decoded; the record was dropped.
    Undecodable,
    /// The key (or a part of it) was NULL where one is needed; the row was dropped.
    NullKey,
    /// An expression failed; it is NULL, or the row was dropped where it was a condition.
    Expression,
    /// The row came after its window was closed; it was dropped.
    Late,
    /// The row could not be written in the sink's format; it was dropped.
    Unwritable,
}

/// What an epoch tells its operators.
pub struct StepContext<'a> {
    /// The epoch that the rows belong to.
    pub epoch: u64,
    /// Whether superseded changes of a key within the epoch may be dropped.
    pub caching: bool,
    /// Stream time over all partitions of the operator, row by row.
    pub time: &'a TimeLine,
    /// Where rows that get lost are written down.
    pub reports: &'a mut Vec<Report>,
}

impl StepContext<'_> {
    /// A row got lost, or a part of it.
    pub fn report(&mut self, seq: u64, kind: ReportKind, message: impl Into<String>) {
        self.reports.push(Report { seq, kind, message: message.into() });
    }
}

/// An operator on one partition.
pub trait Operator: Send {
    /// As EXPLAIN and errors name it.
    fn name(&self) -> &'static str;

    /// The rows of one epoch, one batch an input, through the operator. Rows come in the order of `seq`, and go out in
    /// the order of `seq`.
    fn step(&mut self, inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch>;

    /// Call `each` with the stream times at which windows close that have a result to give (EMIT FINAL), in any order.
    fn closings(&self, each: &mut dyn FnMut(i64)) {
        let _ = each;
    }

    /// What the state's entries changed to since the last drain (`None`: gone), for the changelog.
    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let _ = each;
    }

    /// Take back an entry that [`Operator::drain`] gave.
    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let _ = (key, value);
        Ok(())
    }

    /// The rows that stand in the output for entries in memory, by their keys, as upserts: of an operator whose output
    /// follows from its entries.
    ///
    /// # Errors
    /// An entry cannot be read.
    fn rows(&self, keys: &Keys) -> Result<Option<ChangeBatch>> {
        let _ = keys;
        Ok(None)
    }

    /// Take back a state that follows from rows: upserts and tombstones.
    ///
    /// # Errors
    /// A column cannot be stored.
    fn restore_rows(&mut self, rows: &ChangeBatch) -> Result<()> {
        let _ = rows;
        Ok(())
    }

    /// All entries of the state that are in memory. Where [`Operator::drain`] gives several in one, these are one by one,
    /// and only for comparing states.
    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let _ = each;
    }

    /// Call `each` with the parts of the state, always in the same order, if entries of all of it may leave memory for a
    /// cold store; whether they may.
    fn paged(&mut self, each: &mut dyn FnMut(&mut dyn Paged)) -> bool {
        let _ = each;
        false
    }

    /// Entries and bytes of the state in memory, about.
    fn size(&self) -> (usize, usize) {
        (0, 0)
    }
}

/// A corrupt state entry, as an error.
fn corrupt(what: &str, error: impl std::fmt::Display) -> types::Error {
    types::Error::corrupt(format!("stored state of {what} cannot be read: {error}"))
}
