//! Functions on bytes and their encodings as text.

pub mod bigint_from_bytes;
pub mod double_from_bytes;
pub mod encode;
pub mod from_bytes;
pub mod int_from_bytes;
pub mod to_bytes;

pub(super) mod encoding;
mod numbers;

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[
    &bigint_from_bytes::FUNCTION,
    &double_from_bytes::FUNCTION,
    &encode::FUNCTION,
    &from_bytes::FUNCTION,
    &int_from_bytes::FUNCTION,
    &to_bytes::FUNCTION,
];
