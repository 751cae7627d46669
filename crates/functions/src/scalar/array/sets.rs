//! What the functions that treat arrays as sets share: which of the elements of one or two arrays stay.

use std::collections::HashSet;

use arrow::array::ArrayRef;
use types::Result;

use super::lists::{Lists, Picks};
use crate::{encoded::Rows, scalar::definition::Call};

/// How two sets are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combination {
    /// Elements of the first that are not in the second.
    Except,
    /// Elements of both.
    Intersect,
    /// Elements of either.
    Union,
}

/// The different elements in the order in which each comes first; NULL if either array is.
pub(super) fn combine(call: &Call<'_>, how: Combination) -> Result<ArrayRef> {
    let (left, right) = (Lists::of(call, 0)?, Lists::of(call, 1)?);
    let (left_rows, right_rows) = (Rows::of(left.values().as_ref())?, Rows::of(right.values().as_ref())?);
    let mut picks = Picks::new(call.rows);
    let (mut seen, mut other) = (HashSet::new(), HashSet::new());
    for row in 0..call.rows {
        seen.clear();
        other.clear();
        let (Some(first), Some(second)) = (left.range(row), right.range(row)) else {
            picks.end_row(false)?;
            continue;
        };
        if how != Combination::Union {
            other.extend(second.clone().map(|at| right_rows.get(at)));
        }
        for at in first {
            let value = left_rows.get(at);
            let stays = how == Combination::Union || other.contains(value) == (how == Combination::Intersect);
            if stays && seen.insert(value) {
                picks.push(0, at);
            }
        }
        if how == Combination::Union {
            second.filter(|at| seen.insert(right_rows.get(*at))).for_each(|at| picks.push(1, at));
        }
        picks.end_row(true)?;
    }
    picks.into_lists(&call.return_type.to_arrow(), &[left.values(), right.values()])
}
