//! EXPLODE: a row for each element of an array.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ListArray, UInt32Array},
    compute::take,
};
use types::{Error, Result, SqlType};

use crate::{
    Arg, ArgType, BoundTable, FunctionDoc, RowErrors, TableFunction, TableKernel,
    overload::{Param, Shape, resolve},
    scalar::array::lists::Lists,
};

/// EXPLODE.
pub struct Explode;

static DOC: FunctionDoc = FunctionDoc {
    name: "EXPLODE",
    aliases: &["UNNEST"],
    category: "TABLE",
    signatures: &["EXPLODE(array)"],
    description: "A row for each element of the array; none if it is empty or NULL.",
    examples: &[("EXPLODE(ARRAY[1, 2])", "1; 2")],
};

impl TableFunction for Explode {
    fn doc(&self) -> &'static FunctionDoc {
        &DOC
    }

    fn bind(&self, args: &[ArgType]) -> Result<BoundTable> {
        let resolved = resolve("EXPLODE", &[Shape::new(&[Param::Array(&Param::Var('T'))])], args)?;
        let array = resolved.value(0);
        let SqlType::Array(element) = array.clone() else { return Err(Error::internal("an ARRAY was resolved")) };
        Ok(BoundTable { arg_types: vec![array], return_type: *element, kernel: Arc::new(ExplodeKernel) })
    }
}

struct ExplodeKernel;

impl TableKernel for ExplodeKernel {
    fn evaluate(&self, args: &[Arg], rows: usize, _: &mut RowErrors) -> Result<(ArrayRef, Vec<u32>)> {
        let array = args.first().ok_or_else(|| Error::internal("EXPLODE got no argument"))?;
        let lists = Lists::new(array.view::<ListArray>()?);
        let mut places: Vec<u32> = Vec::new();
        let mut counts = Vec::with_capacity(rows);
        for row in 0..rows {
            let range = lists.range(row).unwrap_or(0..0);
            counts.push(u32::try_from(range.len()).unwrap_or(0));
            places.extend(range.filter_map(|at| u32::try_from(at).ok()));
        }
        let column = take(lists.values().as_ref(), &UInt32Array::from(places), None);
        Ok((column.map_err(|e| Error::internal(format!("taking elements: {e}")))?, counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::check;

    #[test]
    fn elements() {
        check(
            &Explode,
            "ARRAY<BIGINT>",
            &["[1,2]", "[]", "null", "[null,3]"],
            &[&["1", "2"], &[], &[], &["null", "3"]],
        );
        check(&Explode, "ARRAY<MAP<STRING, INTEGER>>", &["[{\"a\":1}]"], &[&["{\"a\":1}"]]);
        assert!(Explode.bind(&[ArgType::Value(Some(crate::testing::ty("MAP<STRING, INTEGER>")))]).is_err());
    }
}
