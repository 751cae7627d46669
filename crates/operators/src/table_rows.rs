//! Rows as they lie in state: event time, then the columns in compact encoding; and the joining of rows from a batch
//! with rows from state.

use arrow::{
    array::{Array, ArrayRef, UInt32Array},
    compute::interleave,
    datatypes::{DataType, SchemaRef},
};
use functions::RowErrors;
use planner::{expr::evaluate, plan::BoundExpr};
use statestore::{Keys, Mode, RowDecoder, RowEncoder, Store};
use types::{Error, Result};

use crate::{
    ChangeBatch, ReportKind, StepContext,
    change::{is_identity, take_rows},
    corrupt,
    nulls::{is_null_column, null_column},
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

/// Have in memory what `tables` hold under the keys of a batch, if they may have left any of it to a cold store.
pub(crate) fn page_in(tables: &mut [Store], keys: &RowEncoder<'_>, rows: usize) -> Result<()> {
    if tables.iter().all(|t| t.residency().is_none()) {
        return Ok(());
    }
    let mut wanted = Keys::default();
    (0..rows).filter(|row| !keys.any_null(*row)).for_each(|row| wanted.push(|out| keys.encode(row, out)));
    tables.iter_mut().try_for_each(|table| table.page_in(&wanted))
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
    /// Of each column its type, and whether it is wanted: else it is NULL.
    columns: Vec<(DataType, bool)>,
}

impl Side {
    /// Of rows of `schema`.
    pub fn new(schema: &SchemaRef) -> Result<Side> {
        Side::of(schema, vec![true; schema.fields().len()])
    }

    /// Of rows of `schema`, of whose columns only some are wanted.
    pub fn of(schema: &SchemaRef, wanted: Vec<bool>) -> Result<Side> {
        let (types, all) = (column_types(schema), 0..schema.fields().len());
        let places: Vec<usize> = all.filter(|at| wanted.get(*at) == Some(&true)).collect();
        let decoder = match places.len() == types.len() {
            true => RowDecoder::new(&types, Mode::Compact),
            false => RowDecoder::projected(&types, Mode::Compact, &places),
        };
        let decoder = decoder.map_err(|e| corrupt("a row", e))?;
        let columns = types.into_iter().zip(wanted).collect();
        Ok(Side { decoder, picks: vec![], push_own: 0, null_row: None, is_decoder: true, columns })
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

    /// Rows pushed by [`Side::push_stored`], and NULLs: the place of the next one.
    pub fn next_stored(&self) -> usize {
        self.decoder.len()
    }

    /// The row at a place once more.
    pub fn push_again(&mut self, at: usize) {
        self.is_decoder = false;
        self.picks.push((1, at));
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
        let mut stored = self.decoder.finish().map_err(|e| corrupt("a row", e))?.into_iter();
        let rows = match self.push_own {
            own if own > 0 && own < self.picks.len() => None,
            _ => Some(self.picks.iter().map(|(_, row)| u32::try_from(*row).unwrap_or(u32::MAX)).collect::<Vec<_>>()),
        };
        let (whole, rows) = match rows {
            Some(rows) => (self.push_own > 0 && is_identity(&rows, batch.len()), Some(UInt32Array::from(rows))),
            None => (false, None),
        };
        let column = |(at, (ty, wanted)): (usize, &(DataType, bool))| {
            let stored = if *wanted { stored.next() } else { None };
            let own = batch.columns.get(at);
            match (stored, own, &rows) {
                (Some(stored), _, _) if self.is_decoder => Ok(stored),
                (Some(_), Some(own), Some(_)) if whole => Ok(own.clone()),
                (Some(_), Some(own), Some(rows)) if self.push_own > 0 => take_rows(own, rows),
                (Some(stored), _, Some(rows)) => take_rows(&stored, rows),
                (Some(stored), Some(own), None) => self.interleaved(own, &stored),
                _ => Ok(null_column(ty, self.picks.len())),
            }
        };
        self.columns.iter().enumerate().map(column).collect()
    }

    fn interleaved(&self, own: &ArrayRef, stored: &ArrayRef) -> Result<ArrayRef> {
        if is_null_column(own) && is_null_column(stored) {
            return Ok(null_column(own.data_type(), self.picks.len()));
        }
        let sources: [&dyn Array; 2] = [own, stored];
        interleave(&sources, &self.picks).map_err(|e| Error::internal(format!("join: {e}")))
    }
}
