//! Columns of nothing but NULLs, which stand where nobody reads a column.
//!
//! A batch has many of them, and they are all alike: each thread keeps one of each type, and gives parts of it.

use std::{cell::RefCell, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, new_null_array},
    datatypes::DataType,
};

/// Rows of a kept column; a longer one is made anew.
const ROWS_MAX: usize = 1 << 16;

/// Types of which a thread keeps a column.
const TYPES_MAX: usize = 16;

thread_local! {
    static KEPT: RefCell<Vec<(DataType, ArrayRef)>> = const { RefCell::new(vec![]) };
}

/// A column of so many NULLs.
pub fn null_column(ty: &DataType, rows: usize) -> ArrayRef {
    if rows > ROWS_MAX || ty.is_nested() {
        return new_null_array(ty, rows);
    }
    KEPT.with_borrow_mut(|kept| {
        let at = kept.iter().position(|(own, _)| own == ty);
        let known = at.and_then(|at| kept.get(at)).filter(|(_, column)| column.len() >= rows);
        if let Some((_, column)) = known {
            return column.slice(0, rows);
        }
        let column = new_null_array(ty, rows.next_power_of_two());
        let (place, may_be_kept) = (at.unwrap_or(kept.len()), kept.len() < TYPES_MAX);
        match kept.get_mut(place) {
            Some((_, shorter)) => *shorter = Arc::clone(&column),
            None if may_be_kept => kept.push((ty.clone(), Arc::clone(&column))),
            None => {}
        }
        column.slice(0, rows)
    })
}

/// Whether a column is nothing but NULLs.
pub(crate) fn is_null_column(column: &ArrayRef) -> bool {
    column.null_count() == column.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_of_any_type() {
        for ty in [DataType::Int64, DataType::Utf8, DataType::Boolean, DataType::new_list(DataType::Int32, true)] {
            for rows in [3, 0, 100, 70_000, 7] {
                let column = null_column(&ty, rows);
                assert_eq!((column.len(), column.null_count(), column.data_type()), (rows, rows, &ty));
            }
        }
    }
}
