//! Conditions of queries that read the same source, looked at where its rows are decoded: what several of them have in
//! common is computed once a piece.
//!
//! Promise: a row is left out only where the query's own filter would drop it without a report. The filter looks at
//! what is left as it would at all rows, so that nothing else depends on what happens here.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array},
    buffer::BooleanBuffer,
    compute::FilterBuilder,
    datatypes::{Field, Schema, SchemaRef},
};
use functions::RowErrors;
use operators::{Change, ChangeBatch, downcast, null_column};
use parking_lot::Mutex;
use planner::{
    expr::{as_column, canonical, computed_parts, evaluate, replace_parts},
    plan::BoundExpr,
};
use types::{Error, Result};

use super::picks::{Asked, Demand, Pick, Places};

/// What the conditions of all members have in common.
#[derive(Default)]
pub(super) struct Common {
    /// In how many conditions a part is.
    counts: HashMap<BoundExpr, usize>,
    /// Changes when a part becomes one of several conditions, or ceases to be.
    version: u64,
    asked: Asked,
}

/// A member's condition.
pub(super) struct Condition {
    whole: BoundExpr,
    parts: Vec<BoundExpr>,
    demand: Option<Demand>,
    shaped: Option<Arc<Shaped>>,
}

/// A condition as it is evaluated where others are, too.
pub(super) struct Shaped {
    version: u64,
    whole: BoundExpr,
    schema: SchemaRef,
    /// What it has in common with others …
    common: Vec<BoundExpr>,
    /// … and what it does with that: an expression over the source's columns and, behind them, `common`.
    rest: BoundExpr,
    rest_schema: SchemaRef,
}

/// Columns that were computed of a piece's rows, for whoever needs them.
#[derive(Default)]
pub(super) struct Computed {
    /// `None`: some row fails.
    columns: Mutex<HashMap<BoundExpr, Arc<OnceLock<Option<ArrayRef>>>>>,
    /// `None`: some row fails.
    places: Mutex<HashMap<BoundExpr, Arc<OnceLock<Option<Arc<Places>>>>>>,
    bytes: AtomicUsize,
}

impl Condition {
    /// `expr` over columns of `schema`.
    pub fn new(expr: &BoundExpr, schema: &Schema) -> Condition {
        let whole = canonical(expr, schema);
        Condition { parts: computed_parts(&whole), demand: Demand::of(&whole, schema), whole, shaped: None }
    }
}

impl Common {
    /// Count the parts of a condition that is looked at from now on.
    pub fn add(&mut self, condition: &Condition) {
        condition.demand.iter().for_each(|demand| self.asked.add(demand));
        for part in &condition.parts {
            let count = self.counts.entry(part.clone()).or_default();
            *count += 1;
            self.version += u64::from(*count == 2);
        }
    }

    /// A condition is no longer looked at.
    pub fn remove(&mut self, condition: &Condition) {
        condition.demand.iter().for_each(|demand| self.asked.remove(demand));
        for part in &condition.parts {
            let Some(count) = self.counts.get_mut(part) else { continue };
            *count -= 1;
            match *count {
                0 => {
                    self.counts.remove(part);
                }
                1 => self.version += 1,
                _ => {}
            }
        }
    }

    /// What the condition demands, where others demand other values of the same thing.
    pub fn pick(&self, condition: &Condition) -> Option<Pick> {
        condition.demand.as_ref().and_then(|demand| self.asked.pick(demand))
    }

    /// The condition as it is evaluated now.
    pub fn shape(&self, condition: &mut Condition, schema: &SchemaRef) -> Arc<Shaped> {
        if let Some(shaped) = condition.shaped.as_ref().filter(|shaped| shaped.version == self.version) {
            return shaped.clone();
        }
        let shaped = Arc::new(self.shaped(condition, schema));
        condition.shaped = Some(shaped.clone());
        shaped
    }

    fn shaped(&self, condition: &Condition, schema: &SchemaRef) -> Shaped {
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        let mut common: Vec<BoundExpr> = vec![];
        let width = fields.len();
        let rest = replace_parts(&condition.whole, &mut |part| {
            if self.counts.get(part).is_none_or(|count| *count < 2) {
                return None;
            }
            let known = common.iter().position(|c| c == part);
            if known.is_none() {
                fields.push(Arc::new(Field::new(part.to_string(), part.data_type(schema).ok()?, true)));
                common.push(part.clone());
            }
            Some(width + known.unwrap_or(common.len() - 1))
        });
        let (version, whole, schema) = (self.version, condition.whole.clone(), schema.clone());
        Shaped { version, whole, schema, common, rest, rest_schema: Arc::new(Schema::new(fields)) }
    }
}

impl Computed {
    /// What the columns take.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// `expr` over all of `rows`; `None`: some row fails.
    fn column(&self, expr: &BoundExpr, rows: &ChangeBatch, schema: &SchemaRef) -> Result<Option<ArrayRef>> {
        let place = self.columns.lock().entry(expr.clone()).or_default().clone();
        if let Some(known) = place.get() {
            return Ok(known.clone());
        }
        let mut errors = RowErrors::default();
        let column = evaluate(expr, &rows.to_record_batch(schema)?, &mut errors)?;
        let column = errors.rows.is_empty().then_some(column);
        // Two may have computed it at once: one of them is kept.
        let kept = place.get_or_init(|| {
            self.bytes.fetch_add(column.as_ref().map_or(0, |c| c.get_array_memory_size()), Ordering::Relaxed);
            column
        });
        Ok(kept.clone())
    }

    /// Where what somebody asks for lies in `rows`; `None`: some row fails.
    fn places(&self, pick: &Pick, rows: &ChangeBatch, schema: &SchemaRef) -> Result<Option<Arc<Places>>> {
        let part = &pick.demand.part;
        let place = self.places.lock().entry(part.clone()).or_default().clone();
        if let Some(known) = place.get() {
            return Ok(known.clone());
        }
        let column = match as_column(part) {
            Some(at) => rows.columns.get(at).cloned(),
            None => self.column(part, rows, schema)?,
        };
        let kept = place.get_or_init(|| {
            let places = Places::of(&column?, &pick.keys);
            self.bytes.fetch_add(places.bytes(), Ordering::Relaxed);
            Some(Arc::new(places))
        });
        Ok(kept.clone())
    }

    /// As [`Shaped::select`], by what the condition demands; `None`: that does not tell.
    pub fn pick(
        &self,
        pick: &Pick,
        rows: &ChangeBatch,
        schema: &SchemaRef,
        (from, to): (usize, usize),
        wants: &dyn Fn(usize) -> bool,
    ) -> Result<Option<ChangeBatch>> {
        // Rows that are no plain ones pass whatever they have.
        if rows.ops.is_some() {
            return Ok(None);
        }
        let Some(places) = self.places(pick, rows, schema)? else { return Ok(None) };
        let Some(own) = places.rows(&pick.demand.key) else { return Ok(None) };
        let behind = |end: usize| own.partition_point(|row| (*row as usize) < end);
        let own = UInt32Array::from(own.get(behind(from)..behind(to)).unwrap_or_default().to_vec());
        let shown = rows.columns.iter().enumerate().map(|(at, column)| match wants(at) {
            true => column.clone(),
            false => null_column(column.data_type(), rows.len()),
        });
        let shown = ChangeBatch { columns: shown.collect(), ..rows.clone() };
        shown.take(&own).map(Some)
    }
}

impl Shaped {
    /// Of the rows from `from` to before `to` of a piece's `rows`, those that the filter is to see, with the columns
    /// that `wants` says.
    ///
    /// # Errors
    /// Ours, never the data's.
    pub fn select(
        &self,
        rows: &ChangeBatch,
        computed: &Computed,
        (from, to): (usize, usize),
        wants: &dyn Fn(usize) -> bool,
    ) -> Result<ChangeBatch> {
        let length = to.saturating_sub(from);
        let mut columns: Option<Vec<ArrayRef>> = Some(Vec::with_capacity(self.common.len()));
        for part in &self.common {
            let column = computed.column(part, rows, &self.schema)?;
            columns = columns.zip(column).map(|(mut columns, column)| {
                columns.push(column.slice(from, length));
                columns
            });
        }
        let mut part = rows.slice(from, length);
        let mut errors = RowErrors::default();
        let passes = match columns {
            Some(common) => {
                let mut all = part.clone();
                all.columns.extend(common);
                evaluate(&self.rest, &all.to_record_batch(&self.rest_schema)?, &mut errors)?
            }
            // Where something fails that is a part of the condition is for the condition to say.
            None => evaluate(&self.whole, &part.to_record_batch(&self.schema)?, &mut errors)?,
        };
        let passes = passes.as_any().downcast_ref::<BooleanArray>();
        let passes = passes.ok_or_else(|| Error::internal("a condition that is no BOOLEAN"))?;
        let kept = kept(passes, &part, &errors);
        if kept.true_count() == length {
            return Ok(part);
        }
        let filter = FilterBuilder::new(&kept).optimize().build();
        let failed = |e: arrow::error::ArrowError| Error::internal(format!("filter: {e}"));
        for (at, column) in part.columns.iter_mut().enumerate() {
            *column = match wants(at) {
                true => filter.filter(column).map_err(failed)?,
                false => new_null_array(column.data_type(), filter.count()),
            };
        }
        let word = |array: &dyn Array| filter.filter(array).map_err(failed);
        part.rowtime = downcast(&word(&part.rowtime)?)?;
        part.seq = downcast(&word(&part.seq)?)?;
        part.ops = part.ops.as_ref().map(|ops| downcast(&word(ops)?)).transpose()?;
        Ok(part)
    }
}

/// The rows that a filter does not drop in silence: they pass, or fail, or are no plain rows.
fn kept(passes: &BooleanArray, rows: &ChangeBatch, errors: &RowErrors) -> BooleanArray {
    let mut kept = match passes.nulls() {
        Some(nulls) => passes.values() & nulls.inner(),
        None => passes.values().clone(),
    };
    if let Some(ops) = &rows.ops {
        let plain = Change::Insert as u8;
        kept = &kept | &BooleanBuffer::collect_bool(rows.len(), |row| ops.values().get(row) != Some(&plain));
    }
    if !errors.rows.is_empty() {
        let mut failed = vec![false; rows.len()];
        for (row, _) in &errors.rows {
            if let Some(failed) = failed.get_mut(*row) {
                *failed = true;
            }
        }
        kept = &kept | &BooleanBuffer::from(failed);
    }
    BooleanArray::new(kept, None)
}

#[cfg(test)]
impl Common {
    /// Nothing is counted any more.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.asked.is_empty()
    }
}
