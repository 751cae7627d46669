//! What ARRAY_MAX and ARRAY_MIN share.

use arrow::{
    array::{Array as _, ArrayRef, UInt32Array},
    compute::take,
};
use types::{Error, Result};

use super::lists::{Lists, conform};
use crate::{
    RowErrors,
    encoded::Rows,
    overload::Param::{self, Array},
    scalar::definition::{Call, Eval, Overload},
};

/// Overloads for arrays of whatever has an order.
pub(super) const fn overloads(eval: Eval) -> [Overload; 10] {
    [
        Overload::new(&[Array(&Param::Int)], Param::Int, eval),
        Overload::new(&[Array(&Param::BigInt)], Param::BigInt, eval),
        Overload::computed(&[Array(&Param::Decimal)], super::element_type, eval),
        Overload::new(&[Array(&Param::Double)], Param::Double, eval),
        Overload::new(&[Array(&Param::Boolean)], Param::Boolean, eval),
        Overload::new(&[Array(&Param::String)], Param::String, eval),
        Overload::new(&[Array(&Param::Bytes)], Param::Bytes, eval),
        Overload::new(&[Array(&Param::Date)], Param::Date, eval),
        Overload::new(&[Array(&Param::Time)], Param::Time, eval),
        Overload::new(&[Array(&Param::Timestamp)], Param::Timestamp, eval),
    ]
}

/// The largest or smallest element that is not NULL.
pub(super) fn eval<const MAX: bool>(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let elements = Rows::of(lists.values().as_ref())?;
    let best = |row: usize| {
        let candidates = lists.range(row)?.filter(|at| !elements.is_null(*at));
        let at = if MAX {
            candidates.max_by_key(|at| elements.get(*at))?
        } else {
            candidates.min_by_key(|at| elements.get(*at))?
        };
        u32::try_from(at).ok()
    };
    let indices: UInt32Array = (0..call.rows).map(best).collect();
    let column = take(lists.values().as_ref(), &indices, None);
    let column = column.map_err(|e| Error::internal(format!("taking elements: {e}")))?;
    debug_assert_eq!(column.len(), call.rows);
    Ok(conform(column, &call.return_type.to_arrow()))
}
