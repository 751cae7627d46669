//! Several batches, each in order of arrival, into one: what an exchange and a union do.

use arrow::{
    array::{Array, ArrayRef, Int64Array, UInt8Array, UInt64Array},
    compute::interleave,
};
use types::{Error, Result};

use crate::{ChangeBatch, change::downcast, nulls::null_column};

/// Some rows of a batch, ascending.
pub struct Picked<'a> {
    /// The batch.
    pub batch: &'a ChangeBatch,
    /// Which rows; `None`: all.
    pub rows: Option<&'a [u32]>,
}

impl Picked<'_> {
    fn len(&self) -> usize {
        self.rows.map_or(self.batch.len(), <[u32]>::len)
    }

    fn row(&self, at: usize) -> usize {
        self.rows.map_or(at, |r| r.get(at).map_or(0, |r| *r as usize))
    }

    fn seq(&self, at: usize) -> u64 {
        self.batch.seq.values().get(self.row(at)).copied().unwrap_or(u64::MAX)
    }
}

/// The rows of all pieces in order of `seq`; ties go to the earlier piece. `None` when there is no row at all.
pub fn merge_sorted(pieces: &[Picked<'_>]) -> Result<Option<ChangeBatch>> {
    let mut heads: Vec<(usize, usize)> =
        pieces.iter().enumerate().filter(|(_, p)| p.len() > 0).map(|(i, _)| (i, 0)).collect();
    if let [(only, _)] = heads.as_slice() {
        let Some(piece) = pieces.get(*only) else { return Ok(None) };
        return Ok(Some(match piece.rows {
            None => piece.batch.clone(),
            Some(rows) if rows.len() == piece.batch.len() => piece.batch.clone(),
            Some(rows) => piece.batch.take(&rows.to_vec().into())?,
        }));
    }
    let total: usize = pieces.iter().map(Picked::len).sum();
    if total == 0 {
        return Ok(None);
    }
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(total);
    while heads.len() > 1 {
        let head_seq = |(piece, at): &(usize, usize)| pieces.get(*piece).map_or(u64::MAX, |p| p.seq(*at));
        let Some(least) = (0..heads.len()).min_by_key(|h| heads.get(*h).map_or((u64::MAX, 0), |x| (head_seq(x), x.0)))
        else {
            break;
        };
        // Run on in that piece for as long as no other comes first.
        let others = heads.iter().enumerate().filter(|(h, _)| *h != least).map(|(_, x)| (head_seq(x), x.0)).min();
        let Some(head) = heads.get_mut(least) else { break };
        let Some(piece) = pieces.get(head.0) else { break };
        while head.1 < piece.len() && others.is_none_or(|o| (piece.seq(head.1), head.0) < o) {
            order.push((head.0, piece.row(head.1)));
            head.1 += 1;
        }
        if head.1 == piece.len() {
            heads.remove(least);
        }
    }
    if let Some((piece, at)) = heads.pop()
        && let Some(p) = pieces.get(piece)
    {
        order.extend((at..p.len()).map(|at| (piece, p.row(at))));
    }
    let batches: Vec<&ChangeBatch> = pieces.iter().map(|p| p.batch).collect();
    pick(&batches, &order).map(Some)
}

/// The rows `(batch, row)`, in that order.
pub fn pick(batches: &[&ChangeBatch], order: &[(usize, usize)]) -> Result<ChangeBatch> {
    let fail = |e: arrow::error::ArrowError| Error::internal(format!("interleave: {e}"));
    let width = batches.first().map_or(0, |b| b.columns.len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(width);
    for c in 0..width {
        let arrays: Vec<&dyn Array> = batches.iter().filter_map(|b| b.columns.get(c)).map(AsRef::as_ref).collect();
        if arrays.iter().all(|a| a.null_count() == a.len()) {
            // Columns that nobody needs come as NULLs: no need to gather them.
            let ty = arrays.first().map(|a| a.data_type().clone()).unwrap_or(arrow::datatypes::DataType::Null);
            columns.push(null_column(&ty, order.len()));
        } else {
            columns.push(interleave(&arrays, order).map_err(fail)?);
        }
    }
    let times: Vec<&dyn Array> = batches.iter().map(|b| &b.rowtime as &dyn Array).collect();
    let seqs: Vec<&dyn Array> = batches.iter().map(|b| &b.seq as &dyn Array).collect();
    let ops = if batches.iter().any(|b| b.ops.is_some()) {
        let op = |(batch, row): &(usize, usize)| batches.get(*batch).map_or(0, |b| b.op(*row) as u8);
        Some(UInt8Array::from_iter_values(order.iter().map(op)))
    } else {
        None
    };
    Ok(ChangeBatch {
        columns,
        rowtime: downcast::<Int64Array>(&interleave(&times, order).map_err(fail)?)?,
        seq: downcast::<UInt64Array>(&interleave(&seqs, order).map_err(fail)?)?,
        ops,
    })
}
