//! Small results as rows of text.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use futures::StreamExt;
use types::{Error, Result};

use crate::api::{Outcome, OutputColumn, Rows, Warnings};

/// Rows of text columns.
pub(crate) fn text_rows(tag: &'static str, names: &[&str], rows: Vec<Vec<Option<String>>>) -> Result<Outcome> {
    let columns = names.iter().enumerate().map(|(at, name)| {
        let values: StringArray = rows.iter().map(|r| r.get(at).cloned().flatten()).collect();
        (*name, Arc::new(values) as ArrayRef)
    });
    let columns: Vec<_> = columns.collect();
    let fields: Vec<Field> = columns.iter().map(|(n, _)| Field::new(*n, DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, c)| c).collect());
    Ok(batches(tag, output_columns(&schema), schema, vec![batch.map_err(|e| Error::internal(e.to_string()))?]))
}

/// Rows that are all there.
pub(crate) fn batches(
    tag: &'static str,
    columns: Vec<OutputColumn>,
    schema: SchemaRef,
    all: Vec<RecordBatch>,
) -> Outcome {
    Outcome::Rows(Rows {
        columns: columns.into(),
        schema,
        batches: futures::stream::iter(all.into_iter().map(Ok)).boxed(),
        live: false,
        tag,
        warnings: Warnings::default(),
    })
}

/// A schema's fields as result columns.
pub(crate) fn output_columns(schema: &SchemaRef) -> Vec<OutputColumn> {
    let column = |f: &Arc<Field>| OutputColumn { name: f.name().clone(), data_type: f.data_type().clone(), key: false };
    schema.fields().iter().map(column).collect()
}

/// A statement carried out, without rows.
pub(crate) fn done(tag: impl Into<String>) -> Outcome {
    Outcome::Done { tag: tag.into(), notices: vec![] }
}

/// Rows with one more sentence to tell when they have ended.
pub(crate) fn warned(outcome: Outcome, sentence: Option<String>) -> Outcome {
    if let (Outcome::Rows(rows), Some(sentence)) = (&outcome, sentence) {
        rows.warnings.say(sentence);
    }
    outcome
}

/// As [`done`], with a word for the user.
pub(crate) fn done_with(tag: impl Into<String>, notice: impl Into<String>) -> Outcome {
    Outcome::Done { tag: tag.into(), notices: vec![notice.into()] }
}
