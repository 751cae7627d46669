//! Expressions of the dialect and what DataFusion makes of the same, over random rows: they agree, or the difference is
//! in the list with its reason, and shows.
//!
//! DataFusion's functions are of other hands (Postgres' semantics, Rust's and chrono's arithmetic), so a mistake in
//! ours is not made again here. What only the dialect has is not in the list.

#![allow(clippy::unwrap_used, missing_docs)]

mod pairs;
mod rows;

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{datasource::MemTable, prelude::SessionContext};
use functions::RowErrors;
use planner::{
    expr::{Context, Scope, bind, evaluate},
    plan::{FieldDef, Fields},
};
use rand::{SeedableRng, rngs::StdRng};

use pairs::{PAIRS, Pair};

/// Rows of a batch, and batches.
const ROWS: usize = 300;
const BATCHES: u64 = 4;

fn fields() -> Fields {
    let field = |(name, ty): (&str, types::SqlType)| FieldDef {
        qualifier: None,
        name: name.to_uppercase(),
        ty,
        key: false,
        hidden: false,
    };
    Fields { columns: rows::columns().into_iter().map(field).collect() }
}

/// The dialect's values.
fn ours(sql: &str, batch: &RecordBatch) -> Result<ArrayRef, String> {
    let tree = syntax::parse_expression(sql).map_err(|e| e.render(sql))?;
    let bound = bind(&tree, &Scope::of_fields(&fields()), &Context::default()).map_err(|e| e.render(sql))?;
    let array = evaluate(&bound.expr, batch, &mut RowErrors::default()).map_err(|e| format!("{sql}: {e}"))?;
    assert_eq!(Some(array.data_type()), bound.ty.map(|ty| ty.to_arrow()).as_ref(), "{sql}");
    Ok(array)
}

/// DataFusion's values, and for which rows a difference is expected.
async fn theirs(context: &SessionContext, pair: &Pair) -> Result<(ArrayRef, BooleanArray), String> {
    let expected = if pair.differs.is_empty() { "FALSE" } else { pair.differs };
    let sql = format!("SELECT {} AS v, coalesce({expected}, FALSE) AS d FROM rows", pair.theirs);
    let frame = context.sql(&sql).await.map_err(|e| format!("{sql}: {e}"))?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.map_err(|e| format!("{sql}: {e}"))?;
    let all = arrow::compute::concat_batches(&schema, &batches).map_err(|e| format!("{sql}: {e}"))?;
    Ok((all.column(0).clone(), all.column(1).as_boolean().clone()))
}

/// The values of a column as text; doubles without the last digits, in which libraries of mathematics differ.
fn shown(array: &ArrayRef) -> Vec<String> {
    if array.data_type() == &DataType::Float64 {
        let double = |v: Option<f64>| match v {
            None => "NULL".to_owned(),
            Some(v) if v.is_nan() => "NaN".to_owned(),
            Some(v) => format!("{:.12e}", v + 0.0),
        };
        return array.as_primitive::<Float64Type>().iter().map(double).collect();
    }
    let options = FormatOptions::new().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

/// In how many rows they differ as expected.
async fn check(context: &SessionContext, batch: &RecordBatch, pair: &Pair, wrong: &mut Vec<String>) -> usize {
    let both = match (ours(pair.ours, batch), theirs(context, pair).await) {
        (Ok(ours), Ok((theirs, differs))) => cast(&theirs, ours.data_type())
            .map(|theirs| (ours, theirs, differs))
            .map_err(|e| format!("{}: {e}", pair.theirs)),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    let (ours, theirs, differs) = match both {
        Ok(both) => both,
        Err(error) => {
            wrong.push(error);
            return 0;
        }
    };
    let (ours, theirs) = (shown(&ours), shown(&theirs));
    let mut different = 0;
    for row in 0..batch.num_rows() {
        if ours[row] == theirs[row] {
            continue;
        }
        if differs.value(row) {
            different += 1;
            continue;
        }
        let cells = batch
            .columns()
            .iter()
            .zip(batch.schema_ref().fields())
            .map(|(column, field)| format!("{}={}", field.name(), shown(&column.slice(row, 1))[0]));
        let cells: Vec<String> = cells.collect();
        wrong.push(format!(
            "{}: {:?}, DataFusion {}: {:?} with {}",
            pair.ours,
            ours[row],
            pair.theirs,
            theirs[row],
            cells.join(", ")
        ));
        break;
    }
    different
}

#[tokio::test]
async fn expressions_agree_with_datafusion() {
    let mut rng = StdRng::seed_from_u64(4);
    let (mut wrong, mut different) = (vec![], vec![0; PAIRS.len()]);
    for _ in 0..BATCHES {
        let batch = rows::batch(&mut rng, ROWS);
        let context = SessionContext::new();
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).unwrap();
        context.register_table("rows", Arc::new(table)).unwrap();
        for (pair, count) in PAIRS.iter().zip(&mut different) {
            *count += check(&context, &batch, pair, &mut wrong).await;
        }
    }
    for (pair, count) in PAIRS.iter().zip(different) {
        assert_eq!(pair.differs.is_empty(), pair.why.is_empty(), "{}: a difference has a reason", pair.ours);
        if !pair.differs.is_empty() && count == 0 {
            wrong.push(format!("{}: the difference {:?} does not show", pair.ours, pair.differs));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
