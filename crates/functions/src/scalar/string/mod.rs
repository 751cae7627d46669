//! Functions on text.

pub mod chr;
pub mod concat;
pub mod concat_ws;
pub mod elt;
pub mod field;
pub mod initcap;
pub mod instr;
pub mod lcase;
pub mod len;
pub mod lpad;
pub mod mask;
pub mod mask_keep_left;
pub mod mask_keep_right;
pub mod mask_left;
pub mod mask_right;
pub mod md5;
pub mod regexp_extract;
pub mod regexp_extract_all;
pub mod regexp_replace;
pub mod regexp_split_to_array;
pub mod replace;
pub mod rpad;
pub mod split;
pub mod split_to_map;
pub mod substring;
pub mod trim;
pub mod ucase;

mod masking;
mod pad;
mod regex;

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[
    &chr::FUNCTION,
    &concat::FUNCTION,
    &concat_ws::FUNCTION,
    &elt::FUNCTION,
    &field::FUNCTION,
    &initcap::FUNCTION,
    &instr::FUNCTION,
    &lcase::FUNCTION,
    &len::FUNCTION,
    &lpad::FUNCTION,
    &mask::FUNCTION,
    &mask_keep_left::FUNCTION,
    &mask_keep_right::FUNCTION,
    &mask_left::FUNCTION,
    &mask_right::FUNCTION,
    &md5::FUNCTION,
    &regexp_extract::FUNCTION,
    &regexp_extract_all::FUNCTION,
    &regexp_replace::FUNCTION,
    &regexp_split_to_array::FUNCTION,
    &replace::FUNCTION,
    &rpad::FUNCTION,
    &split::FUNCTION,
    &split_to_map::FUNCTION,
    &substring::FUNCTION,
    &trim::FUNCTION,
    &ucase::FUNCTION,
];
