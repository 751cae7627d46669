//! CUBE_EXPLODE: a row for each combination of an array's elements, each there or NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, new_null_array};
use types::{Error, Result, SqlType};

use crate::{
    Arg, ArgType, BoundTable, FunctionDoc, RowErrors, TableFunction, TableKernel,
    overload::{Param, Shape, resolve},
    scalar::array::lists::{ELEMENTS_MAX, Lists, Picks},
};

/// Elements, NULLs aside, that an array to be combined may have: they give 2 to that power rows.
pub const CUBE_ELEMENTS_MAX: usize = 16;

/// CUBE_EXPLODE.
pub struct CubeExplode;

static DOC: FunctionDoc = FunctionDoc {
    name: "CUBE_EXPLODE",
    aliases: &[],
    category: "TABLE",
    signatures: &["CUBE_EXPLODE(array)"],
    description: "A row for each combination of the array's elements: an array of the same length where each element \
                  is there or NULL, from all NULL to all there. An element that is NULL anyway makes no further \
                  rows. No rows if the array is empty or NULL; fails for more than 16 elements that are not NULL.",
    examples: &[("CUBE_EXPLODE(ARRAY[1, 2])", "[null, null]; [null, 2]; [1, null]; [1, 2]")],
};

impl TableFunction for CubeExplode {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType]) -> Result<BoundTable> {
        let resolved = resolve("CUBE_EXPLODE", &[Shape::new(&[Param::Array(&Param::Var('T'))])], args)?;
        let array = resolved.value(0);
        let kernel = Arc::new(CubeKernel { array: array.clone() });
        Ok(BoundTable { arg_types: vec![array.clone()], return_type: array, kernel })
    }
}

struct CubeKernel {
    array: SqlType,
}

impl TableKernel for CubeKernel {
    fn evaluate(&self, args: &[Arg], rows: usize, errors: &mut RowErrors) -> Result<(ArrayRef, Vec<u32>)> {
        let array = args.first().ok_or_else(|| Error::internal("CUBE_EXPLODE got no argument"))?;
        let lists = Lists::new(array.view::<ListArray>()?);
        let (values, null) = (lists.values(), new_null_array(lists.values().data_type(), 1));
        let mut picks = Picks::new(rows);
        let mut counts = Vec::with_capacity(rows);
        let mut elements = 0_usize;
        for row in 0..rows {
            let range = lists.range(row).unwrap_or(0..0);
            let present: Vec<usize> = range.clone().filter(|at| values.is_valid(*at)).collect();
            let combinations = if range.is_empty() { 0 } else { 1_usize << present.len().min(CUBE_ELEMENTS_MAX) };
            elements = elements.saturating_add(combinations.saturating_mul(range.len()));
            if present.len() > CUBE_ELEMENTS_MAX || elements > ELEMENTS_MAX {
                errors.push(row, format!("CUBE_EXPLODE takes at most {CUBE_ELEMENTS_MAX} elements that are not NULL"));
                counts.push(0);
                continue;
            }
            for combination in 0..combinations {
                let mut left = present.len();
                for at in range.clone() {
                    let there = values.is_valid(at) && {
                        left -= 1;
                        combination >> left & 1 == 1
                    };
                    if there { picks.push(0, at) } else { picks.push(1, 0) }
                }
                picks.end_row(true)?;
            }
            counts.push(u32::try_from(combinations).unwrap_or(0));
        }
        Ok((picks.into_lists(&self.array.to_arrow(), &[values, &null])?, counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::check;

    #[test]
    fn combinations() {
        check(
            &CubeExplode,
            "ARRAY<INTEGER>",
            &["[1,2]", "[1,null]", "[]", "null", "[null]"],
            &[&["[null,null]", "[null,2]", "[1,null]", "[1,2]"], &["[null,null]", "[1,null]"], &[], &[], &["[null]"]],
        );
        let wide = format!("[{}]", ["1"; 17].join(","));
        check(&CubeExplode, "ARRAY<INTEGER>", &[&wide, "[7]"], &[&[], &["[null]", "[7]"]]);
    }
}
