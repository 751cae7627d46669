//! Rows of a batch into the buffer that goes out: DataRow messages, or lines of COPY … TO STDOUT.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, RecordBatch};
use bytes::{BufMut, BytesMut};
use types::{Error, Result};

use super::{
    binary,
    cells::{Cell, Cells, unfold},
    pg_type::{PgType, ResultColumn},
    text,
};
use crate::{
    copy::CopyFormat,
    protocol::{Format, Output, format_of, with_length},
};

/// The columns of a batch, ready for [`Cells`].
fn arrays(batch: &RecordBatch, columns: &[ResultColumn]) -> Result<Vec<ArrayRef>> {
    if batch.num_columns() != columns.len() {
        let (got, want) = (batch.num_columns(), columns.len());
        return Err(Error::internal(format!("a batch of {got} columns in a result of {want}")));
    }
    batch.columns().iter().map(unfold).collect()
}

fn cells(arrays: &[ArrayRef]) -> Result<Vec<Cells<'_>>> {
    arrays.iter().map(|array| Cells::new(array.as_ref() as &dyn Array)).collect()
}

/// The type to write a column as: what was announced, unless the batch has something of another shape.
fn written_types(arrays: &[ArrayRef], columns: &[ResultColumn]) -> Result<Vec<PgType>> {
    let written = arrays.iter().zip(columns).map(|(array, column)| {
        let same = array.data_type() == &column.data_type || PgType::of_arrow(array.data_type()) == column.pg_type;
        // An unfolded dictionary differs in its Arrow type alone.
        let unfolded = PgType::of_arrow(&column.data_type) == PgType::of_arrow(array.data_type());
        if same || unfolded {
            Ok(column.pg_type)
        } else {
            let (name, got, want) = (&column.name, array.data_type(), &column.data_type);
            Err(Error::internal(format!("column {name} came as {got} and was announced as {want}")))
        }
    });
    written.collect()
}

/// Writes the rows of `range` as DataRow messages until the buffer is full; how many were written.
pub(crate) fn encode_rows(
    output: &mut Output,
    batch: &RecordBatch,
    range: Range<usize>,
    columns: &[ResultColumn],
    formats: &[Format],
) -> Result<usize> {
    let arrays = arrays(batch, columns)?;
    let cells = cells(&arrays)?;
    let types = written_types(&arrays, columns)?;
    let width = u16::try_from(columns.len())
        .map_err(|_| Error::unsupported(format!("a result of {} columns", columns.len())))?;
    let (start, end) = (range.start, range.end);
    for row in range {
        if output.is_full() {
            return Ok(row - start);
        }
        let out = output.buffer();
        out.put_u8(b'D');
        with_length(out, true, |out| {
            out.put_u16(width);
            for (i, (cells, ty)) in cells.iter().zip(&types).enumerate() {
                binary::put_cell(out, cells, row, *ty, format_of(formats, i) == Format::Binary);
            }
        });
    }
    Ok(end.saturating_sub(start))
}

/// Writes the rows of `range` as CopyData messages, one a line, until the buffer is full; how many were written.
pub(crate) fn encode_copy_rows(
    output: &mut Output,
    batch: &RecordBatch,
    range: Range<usize>,
    columns: &[ResultColumn],
    format: &CopyFormat,
) -> Result<usize> {
    let arrays = arrays(batch, columns)?;
    let cells = cells(&arrays)?;
    let types = written_types(&arrays, columns)?;
    let (start, end) = (range.start, range.end);
    let mut scratch = BytesMut::new();
    for row in range {
        if output.is_full() {
            return Ok(row - start);
        }
        output.copy_data(|out| {
            for (i, (cells, ty)) in cells.iter().zip(&types).enumerate() {
                if i > 0 {
                    out.put_u8(format.delimiter);
                }
                if cells.is_null(row) {
                    out.put_slice(format.null.as_bytes());
                    continue;
                }
                scratch.clear();
                text::put(&mut scratch, cells, row, *ty);
                format.put_field(out, &scratch);
            }
            out.put_u8(b'\n');
        });
    }
    Ok(end.saturating_sub(start))
}

/// A value as the functions of pg_catalog take it.
pub(crate) enum CellText {
    /// NULL.
    Null,
    /// boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Anything else in its text form.
    Text(String),
    /// An array, its elements in their text form.
    List(Vec<String>),
}

/// The value at `row`, in the few shapes that pg_catalog knows.
pub(crate) fn cell_text(cells: &Cells<'_>, row: usize) -> CellText {
    let as_text = |cells: &Cells<'_>, row| {
        let mut out = BytesMut::new();
        text::put(&mut out, cells, row, PgType::TEXT);
        String::from_utf8_lossy(&out).into_owned()
    };
    if cells.is_null(row) {
        return CellText::Null;
    }
    match cells.get(row) {
        Cell::Bool(value) => CellText::Bool(value),
        Cell::Int(value) => CellText::Int(value),
        Cell::List(child, range) => CellText::List(range.map(|row| as_text(child, row)).collect()),
        _ => CellText::Text(as_text(cells, row)),
    }
}
