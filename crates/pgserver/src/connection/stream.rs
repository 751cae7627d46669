//! Rows on their way from a query to the client, at the pace that the client set.

use std::{sync::Arc, time::Duration};

use arrow::array::RecordBatch;
use engine::{OutputColumn, Rows, Warnings};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use types::Result;

use super::{Stop, Wire};
use crate::{
    copy::CopyFormat,
    protocol::Format,
    values::{ResultColumn, encode_copy_rows, encode_rows},
};

/// A query's rows: those that were sent and those that are to come.
pub(crate) struct RowStream {
    /// The columns.
    pub(crate) columns: Arc<[ResultColumn]>,
    /// Whether it goes on for ever.
    pub(crate) live: bool,
    /// The command tag without its count.
    pub(crate) tag: &'static str,
    warnings: Warnings,
    batches: BoxStream<'static, Result<RecordBatch>>,
    batch: Option<RecordBatch>,
    /// Rows of `batch` that were sent.
    at: usize,
    ended: bool,
}

/// A statement's columns as the engine has them and as the wire has them.
pub(crate) struct KnownColumns {
    /// The engine's.
    pub(crate) engine: Arc<[OutputColumn]>,
    /// The same on the wire.
    pub(crate) wire: Arc<[ResultColumn]>,
}

impl KnownColumns {
    /// From the engine's.
    pub(crate) fn new(engine: Vec<OutputColumn>) -> KnownColumns {
        let wire = engine.iter().map(ResultColumn::from).collect();
        KnownColumns { engine: engine.into(), wire }
    }
}

/// How many rows are wanted and how long to wait for them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// All, however long it takes.
    All,
    /// So many, however long it takes.
    Exactly(usize),
    /// At most `rows_max`: the first waits (for ever: `None`), the others must be there already.
    Available { rows_max: usize, first_wait: Option<Duration> },
}

/// How rows are written.
pub(crate) enum Shape<'a> {
    /// DataRow messages.
    Rows(&'a [Format]),
    /// Lines of a COPY.
    Copy(&'a CopyFormat),
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Rows.
    pub(crate) rows: usize,
    /// The query is at its end.
    pub(crate) ended: bool,
}

impl RowStream {
    /// The rows of the engine. `known`: columns that were made from the engine's before.
    pub(crate) fn new(rows: Rows, known: Option<&KnownColumns>) -> RowStream {
        let known = known.filter(|k| k.engine == rows.columns).map(|k| Arc::clone(&k.wire));
        let columns = known.unwrap_or_else(|| rows.columns.iter().map(ResultColumn::from).collect());
        let stream = RowStream::with_columns(columns, rows.batches, rows.live, rows.tag);
        RowStream { warnings: rows.warnings, ..stream }
    }

    /// Rows with columns of their own types.
    pub(crate) fn with_columns(
        columns: Arc<[ResultColumn]>,
        batches: BoxStream<'static, Result<RecordBatch>>,
        live: bool,
        tag: &'static str,
    ) -> RowStream {
        RowStream { columns, live, tag, warnings: Warnings::default(), batches, batch: None, at: 0, ended: false }
    }

    /// Sends rows at `pace`. What was written is flushed whenever the buffer is full and before waiting for more.
    pub(crate) async fn send(&mut self, wire: &mut Wire, shape: &Shape<'_>, pace: Pace) -> Result<Sent, Stop> {
        let (rows_max, first_wait, only_available) = match pace {
            Pace::All => (usize::MAX, None, false),
            Pace::Exactly(n) => (n, None, false),
            Pace::Available { rows_max, first_wait } => (rows_max, first_wait, true),
        };
        let mut rows = 0;
        while rows < rows_max {
            wire.check()?;
            if let Some(batch) = self.batch.take() {
                let end = batch.num_rows().min(self.at.saturating_add(rows_max - rows));
                let written = self.write(wire, shape, &batch, end)?;
                self.at += written;
                rows += written;
                if self.at < batch.num_rows() {
                    self.batch = Some(batch);
                }
                if wire.output.is_full() {
                    wire.flush().await?;
                }
                continue;
            }
            if self.ended {
                break;
            }
            let next = match self.batches.next().now_or_never() {
                Some(next) => next,
                None if only_available && rows > 0 => break,
                None => {
                    if rows > 0 || self.live {
                        wire.flush().await?;
                    }
                    let next = wire.wait(self.batches.next());
                    match first_wait {
                        None => next.await?,
                        Some(wait) => match tokio::time::timeout(wait, next).await {
                            Ok(next) => next?,
                            Err(_) => break,
                        },
                    }
                }
            };
            match next {
                Some(batch) => (self.batch, self.at) = (Some(batch?), 0),
                None => self.ended = true,
            }
            if self.batch.as_ref().is_some_and(|batch| batch.num_rows() == 0) {
                self.batch = None;
            }
        }
        let ended = self.ended && self.batch.is_none();
        if ended {
            self.warnings.take().iter().for_each(|warning| wire.output.warning(warning));
        }
        Ok(Sent { rows, ended })
    }

    fn write(&self, wire: &mut Wire, shape: &Shape<'_>, batch: &RecordBatch, end: usize) -> Result<usize> {
        let range = self.at..end;
        let written = match shape {
            Shape::Rows(formats) => encode_rows(&mut wire.output, batch, range, &self.columns, formats),
            Shape::Copy(format) => encode_copy_rows(&mut wire.output, batch, range, &self.columns, format),
        }?;
        Ok(written)
    }

    /// The command tag after `rows` rows.
    pub(crate) fn tag(&self, rows: usize) -> String {
        match self.tag {
            "SELECT" | "FETCH" | "INSERT" | "COPY" => format!("{} {rows}", self.tag),
            tag => tag.to_owned(),
        }
    }
}
