//! The operators of the dialect: arithmetic, casts, comparison and the types that they agree on.

use types::{Result, SqlType};

use crate::{ArgType, BoundScalar};

/// `+ - * / %`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `+`; on strings: concatenation.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
}

/// `left op right`, with ksqlDB's result types (DECIMAL precision rules included).
pub fn bind_arithmetic(op: Arithmetic, left: &ArgType, right: &ArgType) -> Result<BoundScalar> {
    let _ = (op, left, right);
    Err(types::Error::unsupported("arithmetic"))
}

/// `CAST(from AS to)`: every pair that ksqlDB can cast; `implicit` allows only those that it does by itself. The
/// kernel takes one argument of type `from`.
pub fn bind_cast(from: Option<&SqlType>, to: &SqlType, implicit: bool) -> Result<BoundScalar> {
    let _ = (from, to, implicit);
    Err(types::Error::unsupported("casts"))
}

/// Whether a value of `from` may stand where `to` is wanted without CAST.
pub fn implicitly_castable(from: &SqlType, to: &SqlType) -> bool {
    from == to
}

/// The type to which both sides of a comparison, or all branches of a CASE, all elements of an ARRAY and so on,
/// convert; `None` in the list is the literal NULL. The error names the two types that do not agree.
pub fn common_type(types: &[Option<SqlType>]) -> Result<Option<SqlType>> {
    Ok(types.iter().flatten().next().cloned())
}
