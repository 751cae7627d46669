//! SQL text ⇄ tree with spans: the ksqlDB dialect on sqlparser's tokenizer.
//!
//! Invariant: knows no catalog and no types beyond their names; a tree says what was typed, not what is meant.

pub mod ast;
