//! A topic partition's rows, piece by piece: what queries that end read.

use std::sync::Arc;

use arrow::{array::RecordBatch, record_batch::RecordBatchOptions};
use catalog::Source;
use planner::{expr::source_fields, plan::Start};
use recordlog::{Offset, RecordLog, TopicPartition};
use types::{Error, Result};

use crate::{
    graph::SourceNode,
    log_error,
    rows::RowReader,
    source::{Reader, topic_of},
};

/// Offsets of a source's partitions: first to be read, and one past the last.
pub type Extent = Vec<(Offset, Offset)>;

/// How often the ends of a topic's partitions are asked for until two answers agree.
const STABLE_READS_MAX: usize = 64;

/// What the source's topic holds now, by partition. Commits appear on all partitions at once, so ends that did not
/// change while they were asked for hold whole epochs only.
pub fn extent(log: &dyn RecordLog, source: &Source) -> Result<Extent> {
    let topic = topic_of(source, log)?;
    let read = || -> Result<Extent> {
        let offsets = |p| log.offsets(&TopicPartition::new(topic.name.clone(), p)).map_err(log_error);
        (0..topic.config.partitions).map(|p| offsets(p).map(|o| (o.start, o.end))).collect()
    };
    let mut extent = read()?;
    for _ in 0..STABLE_READS_MAX {
        let again = read()?;
        if again == extent {
            break;
        }
        extent = again;
    }
    Ok(extent)
}

/// The rows of one partition between two offsets.
pub struct TopicScan {
    log: Arc<dyn RecordLog>,
    reader: Reader,
    rows: RowReader,
    end: Offset,
    /// Positions among the source's fields of the columns that come out, in order.
    columns: Vec<usize>,
    schema: arrow::datatypes::SchemaRef,
    /// Records that could not be read, and why the first of them.
    failed: (u64, Option<String>),
}

impl TopicScan {
    /// Of partition `partition` the offsets `from..end`; out come the columns at `columns` of [`source_fields`]. Only
    /// these are decoded.
    ///
    /// # Errors
    /// The source's formats cannot be read.
    pub fn new(
        source: &Arc<Source>,
        partition: u32,
        (from, end): (Offset, Offset),
        columns: &[usize],
        log: Arc<dyn RecordLog>,
        registry: Option<&Arc<dyn formats::SchemaRegistry>>,
    ) -> Result<TopicScan> {
        let fields = source_fields(source, "");
        let declared = source.schema.columns.len();
        let mut wanted: Vec<usize> = columns.iter().copied().filter(|c| *c < declared).collect();
        let hidden: std::collections::BTreeSet<usize> = columns.iter().copied().filter(|c| *c >= declared).collect();
        // ROWTIME is read from the column that the source names for it.
        let time = source.timestamp.as_ref().and_then(|t| source.schema.find(&t.column)).map(|(at, _)| at);
        wanted.extend(time.filter(|_| hidden.contains(&declared)));
        wanted.sort_unstable();
        wanted.dedup();
        let node = SourceNode {
            source: source.clone(),
            start: Start::Earliest,
            wanted,
            wanted_hidden: hidden,
            condition: None,
        };
        let plain = |c: &planner::plan::FieldDef| arrow::datatypes::Field::new(&c.name, c.ty.to_arrow(), true);
        let all = fields.columns.iter().map(plain).collect::<Vec<_>>();
        let schema = Arc::new(arrow::datatypes::Schema::new(all));
        let shown = schema.project(columns).map_err(|e| Error::internal(e.to_string()))?;
        let mut reader = Reader::new(TopicPartition::new(source.topic.as_str(), partition), from, None);
        reader.numbers = log.arrival_end().is_none().then(Arc::default);
        Ok(TopicScan {
            rows: RowReader::new(&node, schema, registry, false)?,
            reader,
            end,
            columns: columns.to_vec(),
            schema: Arc::new(shown),
            failed: (0, None),
            log,
        })
    }

    /// The next rows, of about `bytes` bytes of records; `None` at the end.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn next_rows(&mut self, bytes: usize) -> Result<Option<RecordBatch>> {
        if self.reader.next >= self.end {
            return Ok(None);
        }
        let mut reports = vec![];
        let taken = self.reader.read_all(&mut self.rows, &*self.log, bytes, self.end)?;
        let rows = self.rows.finish(&self.reader.partition, &mut reports)?;
        if taken.to <= taken.from {
            return Ok(None);
        }
        self.failed.0 += reports.len() as u64;
        if self.failed.1.is_none() {
            self.failed.1 = reports.into_iter().next().map(|r| r.message);
        }
        let columns = self.columns.iter().filter_map(|at| rows.columns.get(*at).cloned()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.rowtime.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        batch.map(Some).map_err(|e| Error::internal(e.to_string()))
    }

    /// How many records could not be read so far, and why the first of them.
    pub fn failed(&self) -> (u64, Option<&str>) {
        (self.failed.0, self.failed.1.as_deref())
    }
}
