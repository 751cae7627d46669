//! CASE: the value of the first branch whose condition is true.
//!
//! A branch counts only for the rows that reach it: what fails in other rows did not happen. Where few rows reach a
//! branch, only those are evaluated.

use std::{fmt, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, new_null_array},
    buffer::BooleanBuffer,
    compute::{interleave, take_record_batch},
    datatypes::{DataType, Schema},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{Result as DfResult, internal_err},
    logical_expr::ColumnarValue,
    physical_expr::PhysicalExpr,
};

use super::{
    collector,
    operand::{Operand, exprs},
    text,
};
use crate::plan::BoundExpr;

/// With fewer than one in so many rows reaching a branch, the rows are picked before it is evaluated.
const PICK_BELOW: usize = 4;

/// `CASE WHEN … THEN … ELSE … END`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CaseExpr {
    /// (condition, value).
    branches: Vec<(Operand, Operand)>,
    otherwise: Option<Operand>,
    data_type: DataType,
}

/// The value of a branch for the rows that reach it.
struct Part {
    array: ArrayRef,
    /// Where in `array` a row of the batch is; `None`: rows are where they were, or all at 0 if `constant`.
    places: Option<Vec<usize>>,
    constant: bool,
}

impl Part {
    fn place(&self, row: usize) -> usize {
        if self.constant {
            return 0;
        }
        self.places.as_ref().map_or(row, |p| p.get(row).copied().unwrap_or(0))
    }
}

impl CaseExpr {
    /// Conditions are BOOLEAN; values and `otherwise` have one type.
    pub(crate) fn new(
        branches: Vec<(BoundExpr, BoundExpr)>,
        otherwise: Option<BoundExpr>,
        data_type: DataType,
    ) -> DfResult<CaseExpr> {
        let branches = branches.into_iter().map(|(when, then)| Ok((Operand::new(when)?, Operand::new(then)?)));
        Ok(CaseExpr {
            branches: branches.collect::<DfResult<_>>()?,
            otherwise: otherwise.map(Operand::new).transpose()?,
            data_type,
        })
    }
}

/// Evaluate `operand` for the rows set in `reached`; errors of other rows are dropped.
fn evaluate_reached(operand: &Operand, batch: &RecordBatch, reached: &BooleanBuffer) -> DfResult<Part> {
    let count = reached.count_set_bits();
    let rows = batch.num_rows();
    if operand.constant().is_none() && count.saturating_mul(PICK_BELOW) < rows {
        let picked: Vec<usize> = reached.set_indices().collect();
        let at = UInt32Array::from_iter_values(picked.iter().filter_map(|r| u32::try_from(*r).ok()));
        let small = take_record_batch(batch, &at)?;
        let (values, reported) = collector::capture(|| operand.values(&small));
        let values = values?;
        let back = reported.into_iter().filter_map(|(row, why)| Some((*picked.get(row)?, why)));
        collector::report_rows(back.collect());
        let mut places = vec![0; rows];
        for (place, row) in picked.iter().enumerate() {
            if let Some(slot) = places.get_mut(*row) {
                *slot = place;
            }
        }
        return Ok(Part { array: values.array, places: Some(places), constant: values.constant });
    }
    let (values, reported) = collector::capture(|| operand.values(batch));
    let values = values?;
    if !reported.is_empty() {
        let real = reported.into_iter().filter(|(row, _)| *row < rows && reached.value(*row));
        collector::report_rows(real.collect());
    }
    Ok(Part { array: values.array, places: None, constant: values.constant })
}

impl PhysicalExpr for CaseExpr {
    fn data_type(&self, _input_schema: &Schema) -> DfResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn nullable(&self, _input_schema: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let rows = batch.num_rows();
        // Part 0 is the NULL of rows that no branch takes.
        let mut parts = vec![Part { array: new_null_array(&self.data_type, 1), places: None, constant: true }];
        let mut chosen: Vec<usize> = vec![0; rows];
        let mut open = BooleanBuffer::new_set(rows);
        for (when, then) in &self.branches {
            if open.count_set_bits() == 0 {
                break;
            }
            let part = evaluate_reached(when, batch, &open)?;
            let Some(condition) = part.array.as_boolean_opt() else {
                return internal_err!("a condition of CASE is {}", part.array.data_type());
            };
            let taken = taken(&part, condition, &open);
            if taken.count_set_bits() == 0 {
                continue;
            }
            parts.push(evaluate_reached(then, batch, &taken)?);
            choose(&mut chosen, &taken, parts.len() - 1);
            open = &open & &!&taken;
        }
        if let Some(otherwise) = &self.otherwise
            && open.count_set_bits() > 0
        {
            parts.push(evaluate_reached(otherwise, batch, &open)?);
            choose(&mut chosen, &open, parts.len() - 1);
        }
        let arrays: Vec<&dyn Array> = parts.iter().map(|p| p.array.as_ref()).collect();
        let at = |(row, part): (usize, &usize)| (*part, parts.get(*part).map_or(0, |p| p.place(row)));
        let picks: Vec<(usize, usize)> = chosen.iter().enumerate().map(at).collect();
        Ok(ColumnarValue::Array(interleave(&arrays, &picks)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        exprs(self.branches.iter().flat_map(|(when, then)| [when, then]).chain(&self.otherwise))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> DfResult<Arc<dyn PhysicalExpr>> {
        let mut children = children.into_iter();
        let mut next = || match children.next() {
            Some(child) => Operand::new(child),
            None => internal_err!("CASE needs more children"),
        };
        let mut branches = Vec::with_capacity(self.branches.len());
        for _ in &self.branches {
            branches.push((next()?, next()?));
        }
        let otherwise = self.otherwise.as_ref().map(|_| next()).transpose()?;
        Ok(Arc::new(CaseExpr { branches, otherwise, data_type: self.data_type.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The rows among `open` whose condition is true.
fn taken(part: &Part, condition: &BooleanArray, open: &BooleanBuffer) -> BooleanBuffer {
    BooleanBuffer::collect_bool(open.len(), |row| {
        let at = part.place(row);
        open.value(row) && at < condition.len() && condition.is_valid(at) && condition.value(at)
    })
}

fn choose(chosen: &mut [usize], rows: &BooleanBuffer, part: usize) {
    for row in rows.set_indices() {
        if let Some(slot) = chosen.get_mut(row) {
            *slot = part;
        }
    }
}

impl fmt::Display for CaseExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CASE")?;
        for (when, then) in &self.branches {
            write!(f, " WHEN {} THEN {}", text::sql(&when.expr), text::sql(&then.expr))?;
        }
        if let Some(otherwise) = &self.otherwise {
            write!(f, " ELSE {}", text::sql(&otherwise.expr))?;
        }
        f.write_str(" END")
    }
}
