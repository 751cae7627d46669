//! Rows to the partitions that their new keys belong to.

use arrow::{array::UInt64Array, datatypes::SchemaRef};
use formats::{EncodedRows, Encoder, Part};
use functions::RowErrors;
use operators::{Change, ChangeBatch, Picked, Report, ReportKind, merge_sorted};
use planner::{expr::evaluate, plan::NullKeys};
use recordlog::partitioner::partition_for_key;
use types::{Column, Result};

use crate::graph::ExchangeNode;

/// One partition's rows and where they go: per target, which rows.
pub(crate) struct Routed {
    pub batch: ChangeBatch,
    pub targets: Vec<Vec<u32>>,
    /// The rows' new keys as they are written, where they are wanted.
    pub keys: EncodedRows,
}

/// Computes targets for one source partition.
pub(crate) struct Router {
    encoder: Box<dyn Encoder>,
    schema: SchemaRef,
    rows: EncodedRows,
    /// Whether who takes the rows wants their keys, too.
    keeps_keys: bool,
}

impl Router {
    pub fn new(
        node: &ExchangeNode,
        schema: SchemaRef,
        registry: Option<&std::sync::Arc<dyn formats::SchemaRegistry>>,
        keeps_keys: bool,
    ) -> Result<Router> {
        let columns = node.names.iter().zip(&node.types).map(|(name, (_, ty))| Column::key(name, ty.clone()));
        let columns: Vec<Column> = columns.collect();
        let format = formats::format(&node.key_format.name)?;
        // A format with schemas needs the topic whose keys these are to be like.
        let written = match &node.like_topic {
            None if format.uses_registry() => None,
            topic => {
                let topic = topic.clone().unwrap_or_default();
                let whole_keys = node.nulls == NullKeys::Group;
                let context = formats::FormatContext { registry: registry.cloned(), topic, whole_keys };
                format.encoder_in(Part::Key, &columns, &node.key_format, &context).ok()
            }
        };
        let encoder = match written {
            Some(encoder) => encoder,
            // Keys that the format cannot write need some order all the same.
            None => {
                let spec = formats::FormatSpec { name: "JSON".into(), ..Default::default() };
                formats::format("JSON")?.encoder(Part::Key, &columns, &spec)?
            }
        };
        Ok(Router { encoder, schema, rows: EncodedRows::default(), keeps_keys })
    }

    pub fn route(
        &mut self,
        node: &ExchangeNode,
        batch: ChangeBatch,
        from: u32,
        partitions: u32,
        reports: &mut Vec<Report>,
    ) -> Result<Routed> {
        let mut targets = vec![vec![]; partitions as usize];
        if batch.is_empty() {
            return Ok(Routed { batch, targets, keys: EncodedRows::default() });
        }
        let record_batch = batch.to_record_batch(&self.schema)?;
        let mut errors = RowErrors::default();
        let keys = node.by.iter().map(|e| evaluate(e, &record_batch, &mut errors)).collect::<Result<Vec<_>>>()?;
        for (row, reason) in errors.rows {
            if batch.op(row).is_present() {
                reports.push(Report { seq: batch.seq.value(row), kind: ReportKind::Expression, message: reason });
            }
        }
        self.rows.clear();
        let mut unwritable = vec![];
        self.encoder.encode(&keys, batch.len(), None, &mut self.rows, &mut unwritable);
        for row in 0..batch.len() {
            let null = keys.iter().any(|k| k.is_null(row));
            let tombstone = batch.op(row) == Change::Tombstone;
            let dropped = match node.nulls {
                NullKeys::Drop => null || tombstone,
                NullKeys::Group => tombstone,
                NullKeys::Keep | NullKeys::KeepUnmatched => false,
            };
            if dropped {
                if !tombstone && !batch.op(row).is_retraction() {
                    let message = format!(
                        "the key {} is NULL",
                        node.types.iter().map(|t| t.0.as_str()).collect::<Vec<_>>().join(", ")
                    );
                    reports.push(Report { seq: batch.seq.value(row), kind: ReportKind::NullKey, message });
                }
                continue;
            }
            let target = match self.rows.get(row) {
                Some(key) => partition_for_key(key, partitions),
                None if node.nulls == NullKeys::Group => 0,
                None => from % partitions.max(1),
            };
            if let Some(rows) = targets.get_mut(target as usize) {
                rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
        let keys = if self.keeps_keys { std::mem::take(&mut self.rows) } else { EncodedRows::default() };
        Ok(Routed { batch: number_rows(batch, node.sub_shift), targets, keys })
    }
}

/// Rows of one cause get numbers of their own, so that they keep their order when they meet again.
fn number_rows(batch: ChangeBatch, shift: u32) -> ChangeBatch {
    let seqs = batch.seq.values();
    if seqs.windows(2).all(|w| w.first() != w.last()) {
        return batch;
    }
    let limit = (1u64 << (operators::SUB_BITS / 2)) - 1;
    let (mut last, mut run) = (None, 0u64);
    let numbered = seqs.iter().map(|seq| {
        run = if last == Some(*seq) { (run + 1).min(limit) } else { 0 };
        last = Some(*seq);
        seq + (run << shift)
    });
    ChangeBatch { seq: UInt64Array::from_iter_values(numbered), ..batch }
}

/// The rows that go to partition `target`, in order.
pub(crate) fn gather(routed: &[Routed], target: usize, schema: &SchemaRef) -> Result<ChangeBatch> {
    let pieces: Vec<Picked<'_>> = routed
        .iter()
        .map(|r| Picked { batch: &r.batch, rows: Some(r.targets.get(target).map_or(&[][..], Vec::as_slice)) })
        .collect();
    Ok(merge_sorted(&pieces)?.unwrap_or_else(|| ChangeBatch::empty(schema)))
}
