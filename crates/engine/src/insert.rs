//! Rows written by hand: INSERT … VALUES, DELETE, COPY.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, StringArray, new_null_array},
    compute::concat,
};
use catalog::{Source, SourceKind};
use functions::{Arg, RowErrors};
use planner::{
    insert::{bind_insert, plan_delete},
    plan::InsertRows,
};
use recordlog::{Commit, Offset, TopicPartition};
use runtime::{rows_to_appends, topic_of};
use syntax::ast::{Expr, Ident};
use types::{Error, Namespace, Result, SqlType, did_you_mean};

use crate::{
    Engine, Session,
    api::{Outcome, Parameter},
    rows::done,
    statements::commit,
};

/// INSERT INTO `target` (`columns`) [NULL] VALUES `rows`.
pub(crate) async fn values(
    session: &mut Session,
    target: &Ident,
    columns: &[Ident],
    rows: &[Vec<Expr>],
    tombstones: bool,
    parameters: &[Parameter],
) -> Result<Outcome> {
    let catalog = session.engine.catalog();
    let bound = bind_insert(target, columns, rows, tombstones, &catalog, Some(&Default::default()))?;
    let rows = bound.evaluate(parameters)?;
    let n = rows.rows;
    write(session, rows).await?;
    Ok(done(format!("INSERT 0 {n}")))
}

/// DELETE FROM `target` WHERE key = ….
pub(crate) async fn delete(session: &mut Session, target: &Ident, condition: Option<&Expr>) -> Result<Outcome> {
    let rows = plan_delete(target, condition, &session.engine.catalog())?;
    let n = rows.rows;
    write(session, rows).await?;
    Ok(done(format!("DELETE {n}")))
}

async fn write(session: &mut Session, rows: InsertRows) -> Result<()> {
    let now = session.engine.host.clock.now_ms();
    let times = rows.rowtime.iter().map(|t| t.unwrap_or(now)).collect();
    let written = append(&session.engine, &rows.source, rows.columns, times, &rows.tombstones).await?;
    for (partition, end) in written {
        session.written.insert(partition, end);
    }
    Ok(())
}

/// Write rows to a source's topic, durably; gives one past the last offset written, by partition.
async fn append(
    engine: &Engine,
    source: &Arc<Source>,
    columns: Vec<ArrayRef>,
    times: Vec<i64>,
    tombstones: &[bool],
) -> Result<HashMap<TopicPartition, Offset>> {
    let log = &*engine.log;
    let topic = topic_of(source, log)?;
    let appends = rows_to_appends(source, columns, times, tombstones, &topic.config, Some(&engine.registry()))?;
    let places: Vec<TopicPartition> = appends.iter().map(|a| a.partition.clone()).collect();
    let appended = commit(log, Commit::of(appends)).await?;
    Ok(places.into_iter().zip(appended).map(|(p, a)| (p, a.base_offset + i64::from(a.record_count))).collect())
}

/// Rows on their way into a stream or table.
pub struct CopyInto {
    engine: Arc<Engine>,
    source: Arc<Source>,
    /// Columns of the source's schema that the fields go to; `None`: ROWTIME.
    targets: Vec<Option<usize>>,
}

impl CopyInto {
    pub(crate) fn new(engine: &Arc<Engine>, target: &Ident, columns: &[Ident]) -> Result<CopyInto> {
        let catalog = engine.catalog();
        let Some(source) = catalog.source(&target.value) else {
            let message = format!("{} does not exist", target.value);
            return Err(planner::ddl::unknown(message, target, &catalog));
        };
        if source.read_only || source.windowed.is_some() {
            return Err(Error::invalid(format!("Cannot insert into {}: it is read only", source.name)).at(target.span));
        }
        let writable =
            |i: &usize| source.schema.columns.get(*i).is_some_and(|c| !matches!(c.namespace, Namespace::Headers(_)));
        let mut targets = vec![];
        if columns.is_empty() {
            targets.extend((0..source.schema.columns.len()).filter(writable).map(Some));
        }
        for column in columns {
            let found = source.schema.find(&column.value).map(|(i, _)| i).filter(writable);
            match found {
                Some(at) => targets.push(Some(at)),
                None if column.value == "ROWTIME" => targets.push(None),
                None => {
                    let error = Error::undefined_column(format!("{} has no column {}", source.name, column.value));
                    let known = source.schema.columns.iter().map(|c| c.name.as_str());
                    let error = error.at(column.span);
                    return Err(match did_you_mean(&column.value, known) {
                        Some(name) => error.with_hint(format!("did you mean {name}?")),
                        None => error,
                    });
                }
            }
        }
        Ok(CopyInto { engine: engine.clone(), source: source.clone(), targets })
    }

    /// How many fields a row has.
    pub fn width(&self) -> usize {
        self.targets.len()
    }

    /// Write a batch of rows: fields as text, `None` for NULL. Durable when it returns.
    ///
    /// # Errors
    /// Names the row (from 1) and the column; none of the batch is written then.
    pub async fn write(&mut self, rows: Vec<Vec<Option<String>>>) -> Result<u64> {
        let n = rows.len();
        if let Some((at, row)) = rows.iter().enumerate().find(|(_, r)| r.len() != self.targets.len()) {
            let message = format!("row {}: {} fields, expected {}", at + 1, row.len(), self.targets.len());
            return Err(Error::new(types::ErrorKind::User, "22P04", message));
        }
        let mut columns: Vec<ArrayRef> =
            self.source.schema.columns.iter().map(|c| new_null_array(&c.ty.to_arrow(), n)).collect();
        let mut times = vec![self.engine.host.clock.now_ms(); n];
        for (field, target) in self.targets.iter().enumerate() {
            let text: StringArray = rows.iter().map(|r| r.get(field).and_then(Option::as_deref)).collect();
            let place = target.and_then(|t| self.source.schema.columns.get(t));
            let (name, ty) = place.map_or(("ROWTIME", &SqlType::BigInt), |c| (c.name.as_str(), &c.ty));
            let array = from_text(text, name, ty)?;
            match target {
                Some(at) => {
                    if let Some(column) = columns.get_mut(*at) {
                        *column = array;
                    }
                }
                None => {
                    let typed = array.as_any().downcast_ref::<arrow::array::Int64Array>();
                    for (time, given) in times.iter_mut().zip(typed.into_iter().flatten()) {
                        *time = given.unwrap_or(*time);
                    }
                }
            }
        }
        if self.source.kind == SourceKind::Table {
            let keys = self.source.schema.columns.iter().zip(&columns).filter(|(c, _)| c.namespace == Namespace::Key);
            for (column, array) in keys {
                if let Some(row) = (0..n).find(|r| array.is_null(*r)) {
                    return Err(Error::bad_value(format!("row {}: PRIMARY KEY {} is NULL", row + 1, column.name)));
                }
            }
        }
        append(&self.engine, &self.source, columns, times, &vec![false; n]).await?;
        Ok(n as u64)
    }
}

/// Text as values of a column.
fn from_text(text: StringArray, name: &str, ty: &SqlType) -> Result<ArrayRef> {
    let text: ArrayRef = Arc::new(text);
    if *ty == SqlType::String {
        return Ok(text);
    }
    if matches!(ty, SqlType::Array(_) | SqlType::Map(_, _) | SqlType::Struct(_) | SqlType::Bytes) {
        return from_json(&text, name, ty);
    }
    let kernel = planner_cast(ty)?;
    let mut errors = RowErrors::default();
    let array = kernel.kernel.evaluate(&[Arg::Column(text.clone())], text.len(), &mut errors)?;
    if let Some((row, reason)) = errors.rows.first() {
        return Err(Error::bad_value(format!("row {}, column {name}: {reason}", row + 1)));
    }
    if array.len() == text.len() {
        return Ok(array);
    }
    let copies: Vec<&dyn Array> = (0..text.len()).map(|_| &*array).collect();
    concat(&copies).map_err(|e| Error::internal(e.to_string()))
}

fn planner_cast(ty: &SqlType) -> Result<functions::BoundScalar> {
    functions::bind_cast(Some(&SqlType::String), ty, false)
}

/// Nested values are given as JSON, bytes in base64.
fn from_json(text: &ArrayRef, name: &str, ty: &SqlType) -> Result<ArrayRef> {
    let column = types::Column::value(name, ty.clone());
    let spec = formats::FormatSpec { name: "JSON".into(), wrap_single: Some(false), ..Default::default() };
    let format = formats::format("JSON")?;
    let mut decoder = format.decoder(formats::Part::Value, &[column], &[0], &spec)?;
    let typed = text.as_any().downcast_ref::<StringArray>().ok_or_else(|| Error::internal("text expected"))?;
    let quoted: Vec<Option<String>> = typed
        .iter()
        .map(|v| v.map(|v| if *ty == SqlType::Bytes { serde_json::Value::from(v).to_string() } else { v.to_string() }))
        .collect();
    let records: Vec<Option<&[u8]>> = quoted.iter().map(|v| v.as_ref().map(String::as_bytes)).collect();
    let mut errors = vec![];
    let mut arrays = decoder.decode(&records, &mut errors);
    if let Some(e) = errors.first() {
        return Err(Error::bad_value(format!("row {}, column {name}: {}", e.row + 1, e.message)));
    }
    arrays.pop().ok_or_else(|| Error::internal("no column was decoded"))
}
