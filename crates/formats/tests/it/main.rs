//! The formats from outside. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod cases;
mod fuzz;
mod properties;
mod registry;
mod support;
