//! Answers of queries: columns and rows.

use std::time::Duration;

use engine::{OutputColumn, Rows};
use futures::StreamExt;
use serde_json::Value;
use syntax::ast::ColumnConstraint;
use types::{Result, SqlType};

use crate::{
    case::{Answer, AnswerRow},
    compare::{Rules, compare},
    failure::{Failure, side_by_side},
    value::to_json,
    world::World,
};

/// How long a query that goes on for ever may be silent before its answer is taken for complete.
const SILENCE_MS_MAX: u64 = 2_000;

/// A query that was begun.
pub struct Running {
    /// Whether it shows changes: then rows have an order, and columns no marks of keys.
    push: bool,
    rows: Rows,
    found: Vec<Vec<Value>>,
}

/// A column of an answer as a case names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: String,
    ty: Option<SqlType>,
    key: bool,
}

impl Running {
    /// Begin a query.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn begin(world: &mut World, query: &str) -> Result<Running> {
        let (rows, push) = world.query(query).await?;
        Ok(Running { push, rows, found: Vec::new() })
    }

    /// Read on until the answer has as many rows as expected, ended, or nothing comes any more; then compare.
    ///
    /// # Errors
    /// The query failed (`Err(Ok(error))`), or its answer is another.
    pub async fn finish(mut self, world: &mut World, expected: &Answer) -> Result<(), Result<Failure, types::Error>> {
        let ended = self.read(world, expected).await.map_err(Err)?;
        self.compare(expected, ended).map_err(Ok)
    }

    async fn read(&mut self, world: &mut World, expected: &Answer) -> Result<bool> {
        let silence = Duration::from_millis(SILENCE_MS_MAX);
        loop {
            let next = futures::poll!(self.rows.batches.next());
            let next = match next {
                std::task::Poll::Ready(next) => next,
                std::task::Poll::Pending => {
                    world.drive().await?;
                    let enough = self.push && !expected.ends && self.found.len() >= expected.rows.len();
                    if enough {
                        return Ok(false);
                    }
                    match tokio::time::timeout(silence, self.rows.batches.next()).await {
                        Ok(next) => next,
                        Err(_) => return Ok(false),
                    }
                }
            };
            let Some(batch) = next else { return Ok(true) };
            let batch = batch?;
            for row in 0..batch.num_rows() {
                self.found.push(batch.columns().iter().map(|c| to_json(c.as_ref(), row)).collect());
            }
        }
    }

    fn compare(&self, expected: &Answer, ended: bool) -> Result<(), Failure> {
        if let Some(schema) = &expected.schema {
            check_columns(schema, &self.rows.columns, self.push)?;
        }
        if expected.ends && !ended {
            return Err(self.differs(expected, expected.rows.len(), "the query does not end".to_owned()));
        }
        let types: Vec<Option<SqlType>> = self.rows.columns.iter().map(|c| SqlType::from_arrow(&c.data_type)).collect();
        if self.push {
            return self.compare_in_order(expected, &types);
        }
        let keys: Vec<usize> = self.rows.columns.iter().enumerate().filter(|(_, c)| c.key).map(|(at, _)| at).collect();
        self.compare_by_key(expected, &types, &keys)
    }

    fn compare_in_order(&self, expected: &Answer, types: &[Option<SqlType>]) -> Result<(), Failure> {
        for (at, (want, have)) in expected.rows.iter().zip(&self.found).enumerate() {
            row_equal(want, have, types).map_err(|e| self.differs(expected, at, format!("row {at} differs at {e}")))?;
        }
        self.check_count(expected)
    }

    /// Rows of a query that ends come in any order, but those of one key in theirs.
    fn compare_by_key(&self, expected: &Answer, types: &[Option<SqlType>], keys: &[usize]) -> Result<(), Failure> {
        let mut taken = vec![false; self.found.len()];
        for (at, want) in expected.rows.iter().enumerate() {
            let same_key = |have: &[Value]| {
                keys.iter().all(|key| match (want.cells.get(*key), have.get(*key)) {
                    (Some(want), Some(have)) => {
                        compare(want, have, types.get(*key).and_then(Option::as_ref), Rules::STRICT).is_ok()
                    }
                    _ => false,
                })
            };
            let candidates = self.found.iter().enumerate().filter(|(i, _)| taken.get(*i) == Some(&false));
            let found = if keys.is_empty() {
                candidates.into_iter().find(|(_, have)| row_equal(want, have, types).is_ok())
            } else {
                candidates
                    .into_iter()
                    .find(|(_, have)| same_key(have))
                    .filter(|(_, have)| row_equal(want, have, types).is_ok())
            };
            match found {
                Some((i, _)) => {
                    if let Some(slot) = taken.get_mut(i) {
                        *slot = true;
                    }
                }
                None => return Err(self.differs(expected, at, format!("row {at} is not among those found"))),
            }
        }
        self.check_count(expected)
    }

    fn check_count(&self, expected: &Answer) -> Result<(), Failure> {
        let (want, have) = (expected.rows.len(), self.found.len());
        if want == have {
            return Ok(());
        }
        Err(self.differs(expected, want.min(have), format!("expected {want} rows, found {have}")))
    }

    fn differs(&self, expected: &Answer, at: usize, reason: String) -> Failure {
        let line = |cells: &[Value]| cells.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
        let want: Vec<String> = expected
            .rows
            .iter()
            .map(|row| format!("{}{}", line(&row.cells), if row.tombstone { " (deleted)" } else { "" }))
            .collect();
        let have: Vec<String> = self.found.iter().map(|row| line(row)).collect();
        Failure::new(format!("answer: {reason}")).with(side_by_side(&want, &have, at))
    }
}

fn row_equal(want: &AnswerRow, have: &[Value], types: &[Option<SqlType>]) -> Result<(), String> {
    if want.cells.len() != have.len() {
        return Err(format!("its width: expected {}, found {}", want.cells.len(), have.len()));
    }
    for (at, (want, have)) in want.cells.iter().zip(have).enumerate() {
        compare(want, have, types.get(at).and_then(Option::as_ref), Rules::STRICT)
            .map_err(|e| format!("cell {at}{e}"))?;
    }
    Ok(())
}

fn check_columns(schema: &str, columns: &[OutputColumn], push: bool) -> Result<(), Failure> {
    let unreadable = |e: types::Error| Failure::new(format!("the case's schema {schema:?} cannot be read: {e}"));
    let mut want = Vec::new();
    for column in syntax::parse_schema(schema).map_err(unreadable)? {
        let ty = planner::ddl::resolve_type(&column.ty, None).map_err(unreadable)?;
        let key = matches!(column.constraint, Some(ColumnConstraint::Key | ColumnConstraint::PrimaryKey));
        want.push(Named { name: column.name.value, ty: Some(ty), key });
    }
    let named =
        |c: &OutputColumn| Named { name: c.name.clone(), ty: SqlType::from_arrow(&c.data_type), key: c.key && !push };
    let have: Vec<Named> = columns.iter().map(named).collect();
    if want == have {
        return Ok(());
    }
    let line = |c: &Named| {
        let ty = c.ty.as_ref().map_or("?".to_owned(), SqlType::to_string);
        format!("`{}` {ty}{}", c.name, if c.key { " KEY" } else { "" })
    };
    let text = |columns: &[Named]| columns.iter().map(line).collect::<Vec<_>>().join(", ");
    Err(Failure::new(format!("answer's columns: expected {}, found {}", text(&want), text(&have))))
}
