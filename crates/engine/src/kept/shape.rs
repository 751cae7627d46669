//! Stored rows → batches of the columns that are wanted; the others are passed over.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, new_null_array},
    datatypes::{DataType, SchemaRef},
};
use catalog::Source;
use operators::split_row;
use planner::plan::Fields;
use runtime::TableView;
use statestore::{Mode, RowDecoder};
use types::{Error, Result};

use super::written::Written;

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// How stored rows become columns.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Of the stored columns.
    types: Vec<DataType>,
    /// Those that are decoded, ascending.
    decoded: Vec<usize>,
    places: Vec<Place>,
    schema: SchemaRef,
    /// Where readers of the topic find other values than were computed.
    written: Option<Written>,
}

#[derive(Clone, Copy)]
enum Place {
    /// Place among the decoded columns.
    Decoded(usize),
    RowTime,
    Nothing,
}

/// Where in a view's rows the column of that name is: by its own name, or by what stands behind the dot.
fn place_of(view: &TableView, name: &str) -> Option<usize> {
    let fields = view.schema.fields();
    fields
        .iter()
        .position(|f| f.name() == name)
        .or_else(|| fields.iter().position(|f| f.name().rsplit_once('.').is_some_and(|(_, last)| last == name)))
}

impl Shape {
    /// The columns at `columns` of `fields`, of those that are `needed`; the others are NULLs. `schema` names them.
    pub fn new(
        view: &TableView,
        source: &Source,
        fields: &Fields,
        columns: &[usize],
        needed: &dyn Fn(usize) -> bool,
        schema: SchemaRef,
    ) -> Shape {
        let stored = |at: &usize| {
            let field = fields.columns.get(*at).filter(|_| needed(*at))?;
            match field.hidden && field.name == "ROWTIME" {
                true => Some(None),
                false => place_of(view, &field.name).map(Some),
            }
        };
        let stored: Vec<Option<Option<usize>>> = columns.iter().map(stored).collect();
        let mut decoded: Vec<usize> = stored.iter().flatten().flatten().copied().collect();
        decoded.sort_unstable();
        decoded.dedup();
        let place = |stored: &Option<Option<usize>>| match stored {
            Some(Some(at)) => decoded.iter().position(|d| d == at).map_or(Place::Nothing, Place::Decoded),
            Some(None) => Place::RowTime,
            None => Place::Nothing,
        };
        let places = stored.iter().map(place).collect();
        let types = view.schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let written = Written::new(source, columns);
        Shape { types, decoded, places, schema, written }
    }

    /// Collects at most `rows_max` rows.
    pub fn reader(&self, rows_max: usize) -> Result<Rows<'_>> {
        let decoder = RowDecoder::projected(&self.types, Mode::Compact, &self.decoded);
        Ok(Rows {
            shape: self,
            decoder: decoder.map_err(|e| Error::internal(e.to_string()))?,
            times: self.places.iter().any(|p| matches!(p, Place::RowTime)).then(Vec::new),
            rows: 0,
            left: rows_max,
            done: vec![],
            failed: None,
        })
    }
}

/// Rows on their way into batches.
pub(crate) struct Rows<'a> {
    shape: &'a Shape,
    decoder: RowDecoder,
    /// `None`: nobody asks for them.
    times: Option<Vec<i64>>,
    /// Rows since the last batch.
    rows: usize,
    left: usize,
    done: Vec<RecordBatch>,
    failed: Option<Error>,
}

impl Rows<'_> {
    /// One more row; beyond the limit it is left out.
    pub fn push(&mut self, stored: &[u8]) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let (time, columns) = split_row(stored);
        self.decoder.push(columns).map_err(|e| Error::corrupt(e.to_string()))?;
        if let Some(times) = &mut self.times {
            times.push(time);
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// As [`Rows::push`]; what fails is told by [`Rows::finish`].
    pub fn offer(&mut self, stored: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.push(stored).err();
        }
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let decoded = self.decoder.finish().map_err(|e| Error::corrupt(e.to_string()))?;
        let times = self.times.as_mut().map(|t| Arc::new(Int64Array::from(std::mem::take(t))) as ArrayRef);
        let column = |(place, field): (&Place, &Arc<arrow::datatypes::Field>)| {
            let found = match place {
                Place::Decoded(at) => decoded.get(*at).cloned(),
                Place::RowTime => times.clone(),
                Place::Nothing => None,
            };
            found.unwrap_or_else(|| new_null_array(field.data_type(), rows))
        };
        let mut columns: Vec<ArrayRef> = self.shape.places.iter().zip(self.shape.schema.fields()).map(column).collect();
        if let Some(written) = &self.shape.written {
            written.apply(&mut columns, rows)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.shape.schema.clone(), columns, &options);
        self.done.push(batch.map_err(|e| Error::internal(e.to_string()))?);
        Ok(())
    }

    /// The batches.
    pub fn finish(mut self) -> Result<Vec<RecordBatch>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.rows > 0 {
            self.flush()?;
        }
        Ok(self.done)
    }
}
