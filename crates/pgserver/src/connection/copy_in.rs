//! COPY … FROM STDIN: from the client's chunks to batches of rows.
//!
//! A batch is written when it is large enough, or when nothing more has arrived: so a slow feed is written row by
//! row as it comes, and a fast one fills its batches while the one before is made durable.

use types::{Error, ErrorKind};

use super::{Connection, Stop};
use crate::{
    backend::{Backend, CopyRows},
    copy::{CopyFormat, CopyReader, CopyRow},
    protocol::Frontend,
};

/// Rows of a batch.
const BATCH_ROWS_MAX: usize = 10_000;

/// Bytes of a batch's fields.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Rows on their way into `sink`.
struct Batches<C> {
    sink: C,
    rows: Vec<CopyRow>,
    bytes: usize,
    written: u64,
}

impl<B: Backend> Connection<B> {
    /// Reads rows until the client is done; the tag.
    pub(super) async fn copy_in<C: CopyRows>(&mut self, sink: C, format: CopyFormat) -> Result<String, Stop> {
        self.wire.output.copy_in(sink.width());
        self.wire.flush().await?;
        let mut reader = CopyReader::new(format, sink.width());
        let mut batches = Batches { sink, rows: Vec::new(), bytes: 0, written: 0 };
        loop {
            let message = match self.wire.message_now()? {
                Some(message) => message,
                None => {
                    batches.write(&mut self.wire).await?;
                    self.wire.message().await?
                }
            };
            match message {
                Frontend::CopyData(chunk) => {
                    reader.push(&chunk);
                    self.drain(&mut reader, &mut batches).await?;
                }
                Frontend::CopyDone => break,
                Frontend::CopyFail(reason) => {
                    let message = format!("COPY from stdin failed: {reason}");
                    return Err(Error::new(ErrorKind::User, "57014", message).into());
                }
                // A client may send Sync right behind Execute, before it knows of the COPY.
                Frontend::Flush | Frontend::Sync => {}
                _ => {
                    return Err(
                        Error::new(ErrorKind::User, "08P01", "unexpected message during COPY from stdin").into()
                    );
                }
            }
        }
        reader.finish();
        self.drain(&mut reader, &mut batches).await?;
        if let Some(error) = reader.unfinished() {
            return Err(error.into());
        }
        batches.write(&mut self.wire).await?;
        Ok(format!("COPY {}", batches.written))
    }

    async fn drain<C: CopyRows>(&mut self, reader: &mut CopyReader, batches: &mut Batches<C>) -> Result<(), Stop> {
        while let Some(row) = reader.next_row()? {
            batches.bytes += row.fields.iter().flatten().map(String::len).sum::<usize>();
            batches.rows.push(row);
            if batches.rows.len() >= BATCH_ROWS_MAX || batches.bytes >= BATCH_BYTES_MAX {
                batches.write(&mut self.wire).await?;
            }
        }
        Ok(())
    }
}

impl<C: CopyRows> Batches<C> {
    async fn write(&mut self, wire: &mut super::Wire) -> Result<(), Stop> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let lines: Vec<u64> = self.rows.iter().map(|row| row.line).collect();
        let rows = self.rows.drain(..).map(|row| row.fields).collect();
        let written = wire.wait(self.sink.write(rows)).await?.map_err(|e| at_line(e, &lines))?;
        self.written += written;
        Ok(())
    }
}

/// The error with the line of the input instead of the row of the batch (which counts from 1); with the batch's lines
/// if it names no row.
fn at_line(error: Error, lines: &[u64]) -> Error {
    let row = error.message().strip_prefix("row ").and_then(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (row, rest) = rest.split_at_checked(digits)?;
        Some((lines.get(row.parse::<usize>().ok()?.checked_sub(1)?)?, rest))
    });
    match (row, lines.first(), lines.last()) {
        (Some((line, rest)), ..) => {
            let mut renamed = Error::new(error.kind(), error.sqlstate(), format!("line {line}{rest}"));
            if let Some(hint) = error.hint() {
                renamed = renamed.with_hint(hint);
            }
            if let Some(detail) = error.detail() {
                renamed = renamed.with_detail(detail);
            }
            renamed
        }
        (None, Some(first), Some(last)) => error.context(format!("lines {first} to {last}")),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_line() {
        let check = |message: &str, want: &str| {
            assert_eq!(at_line(Error::bad_value(message), &[2, 3, 7]).message(), want);
        };
        check("row 3, column A: no number", "line 7, column A: no number");
        check("row 9: x", "lines 2 to 7: row 9: x");
        check("disk full", "lines 2 to 7: disk full");
    }
}
