//! The loops over a batch that all formats share: nulls, limits, errors of single records, reuse of memory.

use arrow::{array::ArrayRef, buffer::BooleanBuffer};
use types::Column;

use crate::{
    Decoder, EncodedRows, Encoder, RowError,
    sink::Sink,
    source::{self, View},
    tape::{BATCH_BYTES_MAX, Cell, Source, Tape},
};

/// Reads one record.
pub(crate) trait ReadRecord: Send {
    /// Write the wanted columns' cells to the (empty) tape's first places, one each; say what ranges point into.
    ///
    /// # Errors
    /// What was expected and found, and where.
    fn read<'a>(&mut self, record: &'a [u8], tape: &mut Tape) -> Result<Source<'a>, String>;
}

/// A decoder around a reader.
pub(crate) struct Reading<R> {
    reader: R,
    sinks: Vec<Sink>,
    /// Bytes of text that each column had in the batch before.
    text_bytes: Vec<usize>,
    tape: Tape,
}

impl<R: ReadRecord> Reading<R> {
    /// A decoder that gives one array for each of `columns`.
    pub fn new(reader: R, columns: &[&Column]) -> Reading<R> {
        let sinks: Vec<Sink> = columns.iter().map(|c| Sink::new(&c.ty)).collect();
        Reading { reader, text_bytes: vec![0; sinks.len()], sinks, tape: Tape::default() }
    }

    fn push(&mut self, source: Source<'_>) {
        for (i, sink) in (0u32..).zip(self.sinks.iter_mut()) {
            sink.push(self.tape.cell(i), &self.tape, source);
        }
    }

    fn push_nulls(&mut self) {
        for sink in &mut self.sinks {
            sink.push(Cell::Null, &self.tape, Source::Text(""));
        }
    }
}

impl<R: ReadRecord> Decoder for Reading<R> {
    fn decode(&mut self, records: &[Option<&[u8]>], errors: &mut Vec<RowError>) -> Vec<ArrayRef> {
        for (sink, text_bytes) in self.sinks.iter_mut().zip(&self.text_bytes) {
            sink.reserve(records.len(), *text_bytes);
        }
        let mut batch_bytes = 0usize;
        for (row, record) in records.iter().enumerate() {
            let Some(record) = record else {
                self.push_nulls();
                continue;
            };
            self.tape.clear();
            batch_bytes = batch_bytes.saturating_add(record.len());
            let read = if batch_bytes > BATCH_BYTES_MAX {
                Err(format!("the batch has more than {BATCH_BYTES_MAX} bytes"))
            } else {
                self.reader.read(record, &mut self.tape)
            };
            match read {
                Ok(source) => self.push(source),
                Err(message) => {
                    self.push_nulls();
                    errors.push(RowError { row, message });
                }
            }
        }
        for (sink, text_bytes) in self.sinks.iter().zip(self.text_bytes.iter_mut()) {
            *text_bytes = sink.text_bytes();
        }
        self.sinks.iter_mut().map(Sink::finish).collect()
    }
}

/// Writes one row.
pub(crate) trait WriteRow: Send {
    /// Append the row's bytes; `false`: the row is null, and what was appended is taken back.
    ///
    /// # Errors
    /// Why the row has no encoding.
    fn write(&mut self, columns: &[View<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, String>;
}

/// An encoder around a writer.
pub(crate) struct Writing<W> {
    writer: W,
    columns: Vec<Column>,
}

impl<W: WriteRow> Writing<W> {
    /// An encoder of `columns`.
    pub fn new(writer: W, columns: &[Column]) -> Writing<W> {
        Writing { writer, columns: columns.to_vec() }
    }
}

impl<W: WriteRow> Encoder for Writing<W> {
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        tombstones: Option<&BooleanBuffer>,
        out: &mut EncodedRows,
        errors: &mut Vec<RowError>,
    ) {
        let typed = source::typed(&self.columns, columns, rows);
        let views = typed.as_ref().map_err(Clone::clone).and_then(|arrays| source::views(arrays));
        out.ends.reserve(rows);
        out.nulls.reserve(rows);
        for row in 0..rows {
            if tombstones.is_some_and(|t| row < t.len() && t.value(row)) {
                out.finish_null();
                continue;
            }
            let start = out.data.len();
            let written = match &views {
                Ok(views) => self.writer.write(views, row, &mut out.data),
                Err(message) => Err(message.clone()),
            };
            match written {
                Ok(true) => out.finish(),
                Ok(false) => {
                    out.data.truncate(start);
                    out.finish_null();
                }
                Err(message) => {
                    out.data.truncate(start);
                    out.finish_null();
                    errors.push(RowError { row, message });
                }
            }
        }
    }
}
