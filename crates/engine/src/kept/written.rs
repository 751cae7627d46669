//! What readers of a table's topic find in it, where that is not what was computed: Protobuf has no NULLs of most types,
//! and writes their defaults. A lookup shows what everybody else reads.

use std::sync::Arc;

use arrow::array::ArrayRef;
use catalog::Source;
use formats::{EncodedRows, FormatSpec, Part};
use types::{Column, Error, Namespace, Result};

/// The message without a registry: which schema it has makes no difference to what comes back.
const FORMAT: &str = "PROTOBUF_NOSR";

/// Values that go through their format and back.
#[derive(Clone)]
pub(super) struct Written {
    source: Arc<str>,
    /// Where the value columns stand among those that are read.
    places: Vec<usize>,
    columns: Vec<Column>,
    spec: FormatSpec,
}

impl Written {
    /// Of the source's columns at `columns`; `None` where they are read as they are.
    pub fn new(source: &Source, columns: &[usize]) -> Option<Written> {
        let spec = &source.value_format;
        if !spec.name.starts_with("PROTOBUF") || source.created_by.is_none() {
            return None;
        }
        let value = |(place, at): (usize, &usize)| {
            let column = source.schema.columns.get(*at).filter(|c| c.namespace == Namespace::Value)?;
            // A column may be shown twice.
            Some((place, Column { name: format!("C{place}"), ..column.clone() }))
        };
        let (places, columns) = columns.iter().enumerate().filter_map(value).unzip();
        let spec = FormatSpec { name: FORMAT.into(), extra: spec.extra.clone(), ..FormatSpec::default() };
        Some(Written { source: source.name.as_str().into(), places, columns, spec })
    }

    /// Replace the value columns among `columns`.
    pub fn apply(&self, columns: &mut [ArrayRef], rows: usize) -> Result<()> {
        let arrays: Vec<ArrayRef> = self.places.iter().filter_map(|at| columns.get(*at).cloned()).collect();
        let wanted: Vec<usize> = (0..self.columns.len()).collect();
        let format = formats::format(FORMAT)?;
        let (mut bytes, mut errors) = (EncodedRows::default(), vec![]);
        let mut encoder = format.encoder(Part::Value, &self.columns, &self.spec)?;
        encoder.encode(&arrays, rows, None, &mut bytes, &mut errors);
        let records: Vec<Option<&[u8]>> = (0..rows).map(|row| bytes.get(row)).collect();
        let mut decoder = format.decoder(Part::Value, &self.columns, &wanted, &self.spec)?;
        let read = decoder.decode(&records, &mut errors);
        if let Some(error) = errors.first() {
            return Err(Error::internal(format!("a row of {} cannot be written: {}", self.source, error.message)));
        }
        for (at, array) in self.places.iter().zip(read) {
            if let Some(column) = columns.get_mut(*at) {
                *column = array;
            }
        }
        Ok(())
    }
}
