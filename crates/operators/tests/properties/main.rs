//! What every operator must do, over random rows: out of order, with NULLs, deletions and several keys.
//!
//! Each operator is held against a slow oracle, written from its definition over plain rows, and against itself: for any
//! cut into batches, over any crash, spread over any number of partitions. See `support::check`.

mod aggregates;
mod filters;
mod foreign_key_joins;
mod materialized;
mod sessions;
mod stream_stream_joins;
mod stream_table_joins;
mod support;
mod table_table_joins;
mod windows;
