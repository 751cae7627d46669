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

    /// See [`Decoder::outage`].
    fn outage(&mut self) -> Option<types::Error> {
        None
    }
}

/// A decoder around a reader.
pub(crate) struct Reading<R> {
    reader: R,
    sinks: Vec<Sink>,
    tape: Tape,
    /// Rows pushed, and the bytes of their records.
    pushed: (usize, usize),
    /// Rows of the batch before, and the bytes of text that each column had in it.
    before: (usize, Vec<usize>),
}

impl<R: ReadRecord> Reading<R> {
    /// A decoder that gives one array for each of `columns`.
    pub fn new(reader: R, columns: &[&Column]) -> Reading<R> {
        let sinks: Vec<Sink> = columns.iter().map(|c| Sink::new(&c.ty)).collect();
        Reading { reader, before: (0, vec![0; sinks.len()]), sinks, tape: Tape::default(), pushed: (0, 0) }
    }

    fn push_cells(&mut self, source: Source<'_>) {
        for (i, sink) in (0u32..).zip(self.sinks.iter_mut()) {
            sink.push(self.tape.cell(i), &self.tape, source);
        }
    }

    fn push_nulls(&mut self) {
        for sink in &mut self.sinks {
            sink.push(Cell::Null, &self.tape, Source::Text(""));
        }
    }

    /// Room for a batch like the one before, and a little longer: a column that has to grow is copied, and held twice.
    fn begin(&mut self, rows: usize) {
        let longer = |before: usize| before + before / 16;
        let (rows_before, text_before) = &self.before;
        for (sink, text_bytes) in self.sinks.iter_mut().zip(text_before) {
            sink.reserve(rows.max(longer(*rows_before)), longer(*text_bytes));
        }
    }
}

impl<R: ReadRecord> Decoder for Reading<R> {
    fn push(&mut self, records: &[Option<&[u8]>], errors: &mut Vec<RowError>) {
        if self.pushed.0 == 0 {
            self.begin(records.len());
        }
        let (first, mut batch_bytes) = self.pushed;
        for (at, record) in records.iter().enumerate() {
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
                Ok(source) => self.push_cells(source),
                Err(message) => {
                    self.push_nulls();
                    errors.push(RowError { row: first + at, message });
                }
            }
        }
        self.pushed = (first + records.len(), batch_bytes);
    }

    fn outage(&mut self) -> Option<types::Error> {
        self.reader.outage()
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.before.0 = self.pushed.0;
        for (sink, text_bytes) in self.sinks.iter().zip(self.before.1.iter_mut()) {
            *text_bytes = sink.text_bytes();
        }
        self.pushed = (0, 0);
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
