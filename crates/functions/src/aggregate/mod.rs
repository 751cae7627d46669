//! Aggregate functions.
