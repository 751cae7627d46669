//! A kept table's rows in a DataFusion plan: a lookup, a range scan, or a scan. A table that nobody keeps is folded
//! from its topic when the plan runs.

use std::{fmt, sync::Arc};

use arrow::{array::RecordBatch, datatypes::DataType};
use datafusion::{
    common::{Statistics, stats::Precision, tree_node::TreeNodeRecursion},
    error::{DataFusionError, Result as DfResult},
    execution::TaskContext,
    physical_expr::PhysicalExpr,
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
        execution_plan::ReplaceChildrenOptions, statistics::StatisticsArgs, stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt, TryStreamExt};
use runtime::TableView;
use tokio::sync::OnceCell;
use types::{Error, Result};

use super::{
    Asked,
    leaf::{leaf_methods, properties},
    outside,
    pushdown::Tests,
};
use crate::{
    Engine,
    kept::{self, Shape, Wanted},
    member,
    pull::fold,
    running::RunningQuery,
};

/// The rows of a table, as of one committed epoch of it.
struct StateScan {
    engine: Arc<Engine>,
    asked: Asked,
    wanted: Wanted,
    /// Who keeps them, and the rows, or what they look like where several processes have them; `None`: its topic is to be
    /// read.
    kept: Option<(Arc<RunningQuery>, Arc<TableView>)>,
    /// By partition; read when the first of them is asked for.
    rows: Arc<OnceCell<Vec<Vec<RecordBatch>>>>,
    properties: Arc<PlanProperties>,
}

/// The plan of a scan.
pub(super) fn scan(engine: &Arc<Engine>, asked: Asked, tests: &Tests) -> Result<Arc<dyn ExecutionPlan>> {
    let kept = engine.kept_table(&asked.source.name);
    let wanted = match &kept {
        None => Wanted::All,
        Some((_, view)) => {
            let column = |at: &usize| view.schema.fields().get(*at);
            let plain = |name: &str| name.rsplit_once('.').map_or(name, |(_, last)| last).to_string();
            let key: Vec<(String, DataType)> =
                view.key.iter().filter_map(column).map(|f| (plain(f.name()), f.data_type().clone())).collect();
            tests.wanted(&key)?
        }
    };
    let partitions = match (&kept, &wanted) {
        (Some((_, view)), Wanted::All | Wanted::Ranges(_)) => view.of as usize,
        _ => 1,
    };
    let properties = properties(&asked.schema, partitions);
    Ok(Arc::new(StateScan { engine: engine.clone(), asked, wanted, kept, rows: Arc::default(), properties }))
}

/// The rows, by partition of the plan.
async fn read(
    engine: Arc<Engine>,
    asked: Asked,
    wanted: Wanted,
    kept: Option<(Arc<RunningQuery>, Arc<TableView>)>,
) -> Result<Vec<Vec<RecordBatch>>> {
    let shape = |view: &TableView| {
        Shape::new(view, &asked.source, &asked.fields, &asked.columns, &|_| true, asked.schema.clone())
    };
    let (view, together) = match kept {
        Some((query, view)) if query.is_spread() => {
            let rows = member::read(&engine, &query, &wanted, &shape(&view), asked.rows_max).await?;
            let is_one = matches!(wanted, Wanted::Keys(_) | Wanted::First);
            return Ok(if is_one { vec![rows.into_iter().flatten().collect()] } else { rows });
        }
        Some((_, view)) => (view, false),
        None => (fold(&engine, &asked.source).await?, true),
    };
    let read = tokio::task::spawn_blocking(move || {
        let shape = Shape::new(&view, &asked.source, &asked.fields, &asked.columns, &|_| true, asked.schema.clone());
        kept::read(&view, &wanted, &shape, asked.rows_max, &engine.pool)
    });
    let rows = read.await.map_err(|e| Error::internal(format!("a scan broke off: {e}")))??;
    Ok(if together { vec![rows.into_iter().flatten().collect()] } else { rows })
}

impl StateScan {
    fn how(&self) -> String {
        match (&self.kept, &self.wanted) {
            (None, _) => "fold of the topic".to_string(),
            (_, Wanted::Keys(keys)) => format!("lookup of {} key(s)", keys.len()),
            (_, Wanted::Ranges(ranges)) => format!("range scan of {} range(s)", ranges.len()),
            (_, Wanted::All | Wanted::First) => "scan".to_string(),
        }
    }
}

impl fmt::Debug for StateScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateScan({})", self.asked.source.name)
    }
}

impl DisplayAs for StateScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateScan: {}, {}, columns=[{}]", self.asked.source.name, self.how(), self.asked.names())
    }
}

impl ExecutionPlan for StateScan {
    leaf_methods!("StateScan");

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let (engine, asked, wanted) = (self.engine.clone(), self.asked.clone(), self.wanted.clone());
        let (kept, rows) = (self.kept.clone(), self.rows.clone());
        let batches = async move {
            let rows = rows.get_or_try_init(|| read(engine, asked, wanted, kept)).await.map_err(outside)?;
            let own = rows.get(partition).cloned().unwrap_or_default();
            Ok::<_, DataFusionError>(futures::stream::iter(own.into_iter().map(Ok::<_, DataFusionError>)))
        };
        let batches = futures::stream::once(batches).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.asked.schema.clone(), batches)))
    }

    /// About how many rows there are, which decides about sides of joins.
    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> DfResult<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.asked.schema);
        let rows = match (&self.kept, &self.wanted) {
            (_, Wanted::Keys(keys)) => Some(keys.len()),
            (Some((query, view)), Wanted::All) if !query.is_spread() => {
                Some(view.partitions.iter().map(|p| p.read().store().len()).sum())
            }
            _ => None,
        };
        if let Some(rows) = rows {
            statistics.num_rows = Precision::Inexact(rows);
        }
        Ok(Arc::new(statistics))
    }
}
