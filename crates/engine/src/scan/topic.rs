//! A stream's records in a DataFusion plan.
//!
//! Records are decoded on threads of their own, which wait when nobody takes their rows: what is in memory at a time is
//! a few batches a thread, however long the topic is.

use std::{fmt, sync::Arc};

use datafusion::{
    common::tree_node::TreeNodeRecursion,
    error::Result as DfResult,
    execution::TaskContext,
    physical_expr::PhysicalExpr,
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
        execution_plan::ReplaceChildrenOptions, stream::RecordBatchReceiverStream,
    },
};
use recordlog::Offset;
use runtime::TopicScan as PartitionScan;
use types::Result;

use super::{
    Asked,
    leaf::{leaf_methods, properties},
    outside,
    pushdown::Tests,
};
use crate::{Engine, warnings::Warnings};

/// Bytes of records that are decoded at once: some thousand rows.
const PIECE_BYTES: usize = 1 << 20;

/// Batches that wait for who takes them.
const BATCHES_WAITING_MAX: usize = 2;

/// A partition of the topic and the offsets that are read of it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    partition: u32,
    from: Offset,
    end: Offset,
}

/// The records of a topic.
struct TopicScan {
    engine: Arc<Engine>,
    asked: Asked,
    /// By partition of the plan: what it reads, one after the other.
    pieces: Vec<Vec<Piece>>,
    warnings: Warnings,
    properties: Arc<PlanProperties>,
}

/// The plan of a scan.
pub(super) fn scan(
    engine: &Arc<Engine>,
    asked: Asked,
    tests: &Tests,
    warnings: &Warnings,
) -> Result<Arc<dyn ExecutionPlan>> {
    let extent = runtime::extent(&*engine.log, &asked.source)?;
    let mut all = vec![];
    for (partition, (start, end)) in (0u32..).zip(extent) {
        let (low, high) = tests.offsets();
        let piece = Piece { partition, from: start.max(low), end: end.min(high) };
        if tests.takes_partition(partition) && piece.from < piece.end {
            all.push(piece);
        }
    }
    let width = all.len().clamp(1, engine.config.threads.max(1) * 2);
    let mut pieces = vec![vec![]; width];
    // The longest first, each to whoever has least: threads end at about the same time.
    all.sort_by_key(|p| p.from - p.end);
    for piece in all {
        let load = |own: &&mut Vec<Piece>| own.iter().map(|p: &Piece| p.end - p.from).sum::<Offset>();
        if let Some(least) = pieces.iter_mut().min_by_key(load) {
            least.push(piece);
        }
    }
    let properties = properties(&asked.schema, width);
    Ok(Arc::new(TopicScan { engine: engine.clone(), asked, pieces, warnings: warnings.clone(), properties }))
}

impl fmt::Debug for TopicScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicScan({})", self.asked.source.name)
    }
}

impl DisplayAs for TopicScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces = self.pieces.iter().flatten();
        let records: Offset = pieces.clone().map(|p| p.end - p.from).sum();
        let source = &self.asked.source;
        let (partitions, names) = (pieces.count(), self.asked.names());
        write!(
            f,
            "TopicScan: {}, topic {}, {records} offsets of {partitions} partition(s), columns=[{names}]",
            source.name, source.topic
        )
    }
}

impl ExecutionPlan for TopicScan {
    leaf_methods!("TopicScan");

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let mut builder = RecordBatchReceiverStream::builder(self.asked.schema.clone(), BATCHES_WAITING_MAX);
        let (engine, asked, warnings) = (self.engine.clone(), self.asked.clone(), self.warnings.clone());
        let pieces = self.pieces.get(partition).cloned().unwrap_or_default();
        let sender = builder.tx();
        builder.spawn_blocking(move || {
            let mut left = asked.rows_max;
            for piece in pieces {
                let extent = (piece.from, piece.end);
                let registry = engine.registry();
                let log = engine.log.clone();
                let scan =
                    PartitionScan::new(&asked.source, piece.partition, extent, &asked.columns, log, Some(&registry));
                let mut scan = scan.map_err(outside)?;
                while let Some(batch) = scan.next_rows(PIECE_BYTES).map_err(outside)? {
                    let batch = batch.slice(0, batch.num_rows().min(left));
                    left -= batch.num_rows();
                    if sender.blocking_send(Ok(batch)).is_err() || left == 0 {
                        return Ok(());
                    }
                }
                if let (rows, Some(reason)) = scan.failed() {
                    warnings.add(&format!("reading {}", asked.source.name), rows, reason);
                }
            }
            Ok(())
        });
        Ok(builder.build())
    }
}
