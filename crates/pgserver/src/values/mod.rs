//! Values between Arrow and PostgreSQL: which type stands for which, rows on their way out (text and binary),
//! parameters and COPY fields on their way in.

mod binary;
mod cells;
mod datetime;
mod json;
mod number;
mod parameter;
mod pg_array;
mod pg_type;
mod rows;
mod text;

pub(crate) use cells::Cells;
pub(crate) use parameter::decode_parameter;
pub(crate) use pg_type::{PG_TYPE_KEY, PgType, ResultColumn, TYPES};
pub(crate) use rows::{CellText, cell_text, encode_copy_rows, encode_rows};
