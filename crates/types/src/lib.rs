//! The words that every other crate shares: SQL types and their Arrow mapping, schemas of sources, spans of
//! source text, and the one error type that users see.
//!
//! Invariant: knows no SQL text, no plan, no wire and no file.

mod error;
mod schema;
mod span;
mod sqltype;
mod suggest;

pub use error::{Error, ErrorKind, Result};
pub use schema::{Column, Namespace, Schema, quote_ident};
pub use span::Span;
pub use sqltype::{DECIMAL_PRECISION_MAX, SqlType, StructField, decimal};
pub use suggest::did_you_mean;
