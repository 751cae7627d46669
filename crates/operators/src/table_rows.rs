//! Rows as they lie in state: event time, then the columns in compact encoding; and the joining of rows from a batch
//! with rows from state.

use arrow::{
    array::{Array, ArrayRef, UInt32Array, new_null_array},
    compute::interleave,
    datatypes::{DataType, SchemaRef},
};
use functions::RowErrors;
use planner::{expr::evaluate, plan::BoundExpr};
use statestore::{Mode, RowDecoder, RowEncoder};
use types::{Error, Result};

use crate::{
    ChangeBatch, ReportKind, StepContext,
    change::{is_identity, take_rows},
    corrupt,
};

/// Types of a schema's columns.
pub(crate) fn column_types(schema: &SchemaRef) -> Vec<DataType> {
    schema.fields().iter().map(|f| f.data_type().clone()).collect()
}

/// An encoder, whose only error is a type that no column has.
pub(crate) fn encoder(columns: &[ArrayRef], mode: Mode) -> Result<RowEncoder<'_>> {
    RowEncoder::new(columns, mode).map_err(|e| Error::unsupported(e.to_string()))
}

/// Append a stored row: time, then columns.
pub(crate) fn write_row(encoder: &RowEncoder<'_>, row: usize, rowtime: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&rowtime.to_le_bytes());
    encoder.encode(row, out);
}

/// Event time (ms) and columns (compact encoding) of a stored row.
pub fn split_row(stored: &[u8]) -> (i64, &[u8]) {
    stored.split_first_chunk::<8>().map_or((0, &[]), |(time, rest)| (i64::from_le_bytes(*time), rest))
}

/// Key columns of a batch, evaluated; failures are reported.
pub(crate) fn key_columns(
    exprs: &[BoundExpr],
    input: &ChangeBatch,
    schema: &SchemaRef,
    context: &mut StepContext<'_>,
) -> Result<Vec<ArrayRef>> {
    let batch = input.to_record_batch(schema)?;
    let mut errors = RowErrors::default();
    let keys = exprs.iter().map(|e| evaluate(e, &batch, &mut errors)).collect::<Result<Vec<_>>>()?;
    for (row, reason) in errors.rows {
        context.report(input.seq.value(row), ReportKind::Expression, reason);
    }
    Ok(keys)
}

/// Columns of rows that come from a batch, from state, or are all NULL.
pub(crate) struct Side {
    decoder: RowDecoder,
    /// (0, row of the batch) or (1, row of the decoder).
    picks: Vec<(usize, usize)>,
    push_own: usize,
    null_row: Option<usize>,
    /// Whether the decoder's rows, one after the other, are all there is.
    is_decoder: bool,
}

impl Side {
    /// Of rows of `schema`.
    pub fn new(schema: &SchemaRef) -> Result<Side> {
        let decoder = RowDecoder::new(&column_types(schema), Mode::Compact).map_err(|e| corrupt("a row", e))?;
        Ok(Side { decoder, picks: vec![], push_own: 0, null_row: None, is_decoder: true })
    }

    /// Row `row` of the batch.
    pub fn push_own(&mut self, row: usize) {
        self.is_decoder = false;
        self.push_own += 1;
        self.picks.push((0, row));
    }

    /// `columns` as [`split_row`] gives them.
    pub fn push_stored(&mut self, columns: &[u8]) -> Result<()> {
        let at = self.decoder.len();
        self.decoder.push(columns).map_err(|e| corrupt("a row", e))?;
        self.picks.push((1, at));
        Ok(())
    }

    /// NULL.
    pub fn null(&mut self) {
        let at = match self.null_row.filter(|_| !self.is_decoder) {
            Some(at) => at,
            None => {
                let at = self.decoder.len();
                self.decoder.push_null();
                self.null_row = Some(at);
                at
            }
        };
        self.picks.push((1, at));
    }

    /// The columns, one row a pick.
    pub fn finish(mut self, batch: &ChangeBatch) -> Result<Vec<ArrayRef>> {
        let stored = self.decoder.finish().map_err(|e| corrupt("a row", e))?;
        if self.is_decoder {
            return Ok(stored);
        }
        if self.push_own == self.picks.len() {
            let rows: Vec<u32> = self.picks.iter().map(|(_, row)| u32::try_from(*row).unwrap_or(u32::MAX)).collect();
            if is_identity(&rows, batch.len()) {
                return Ok(batch.columns.clone());
            }
            let rows = UInt32Array::from(rows);
            return batch.columns.iter().map(|c| take_rows(c, &rows)).collect();
        }
        let columns = batch.columns.iter().zip(&stored);
        let columns = columns.map(|(own, stored)| {
            if own.null_count() == own.len() && stored.null_count() == stored.len() {
                return Ok(new_null_array(own.data_type(), self.picks.len()));
            }
            let sources: [&dyn Array; 2] = [own, stored];
            interleave(&sources, &self.picks).map_err(|e| Error::internal(format!("join: {e}")))
        });
        columns.collect()
    }
}
