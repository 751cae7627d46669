//! Frames, headers and messages as they stand on the wire.
//!
//! The messages themselves come from a crate that reserves memory by counts it has not checked, so every request is
//! first walked by its [`shape`], which is cheap and allocates nothing.

pub(crate) mod budget;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod shape;
