//! operators.
