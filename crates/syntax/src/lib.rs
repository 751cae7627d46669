//! SQL text ⇄ tree with spans: the ksqlDB dialect on sqlparser's tokenizer.
//!
//! Text is split into statements (`scan`), variables are replaced (`variables`), tokens get their places (`lexer`),
//! and a recursive-descent grammar (`statements`, `query`, `expr`) builds the tree. A query that ends and is not in
//! the streaming grammar is left to sqlparser's own parser (`query::general`).
//!
//! Invariant: knows no catalog and no types beyond their names; a tree says what was typed, not what is meant.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

pub mod ast;
mod dialect;
mod expr;
mod format;
mod keywords;
mod lexer;
mod operand;
mod parser;
mod query;
mod scan;
mod script;
mod statements;
mod typename;
mod units;
mod variables;

pub use dialect::General;
pub use parser::{EXPRESSION_HEIGHT_MAX, NESTING_MAX};
pub use scan::split_statements;
pub use script::{Lookup, STATEMENT_BYTES_MAX, TEXT_BYTES_MAX, parse, parse_expression, parse_schema, parse_type};
