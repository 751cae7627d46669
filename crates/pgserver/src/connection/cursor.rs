//! DECLARE, FETCH, CLOSE: a query read in pieces, also one that never ends.

use std::sync::Arc;

use syntax::ast::Ident;
use types::{Error, ErrorKind, Result};

use super::{
    Connection, NAMED_MAX, Stop,
    stream::{Pace, RowStream, Shape},
};
use crate::{
    backend::Backend,
    protocol::{Format, TransactionStatus},
    values::ResultColumn,
};

/// The cursor that psql makes when its variable FETCH_COUNT is set, as names are folded here. psql takes a FETCH
/// that gives fewer rows than it asked for as the end of the query, so this one waits for as many as it was asked.
const PSQL_CURSOR: &str = "_PSQL_CURSOR";

/// A query being read by FETCH.
pub(super) struct Cursor {
    rows: RowStream,
    /// Whether the end of the transaction closes it.
    in_transaction: bool,
}

impl<B: Backend> Connection<B> {
    /// Keeps `rows` under `name`.
    pub(super) fn declare(&mut self, name: &Ident, rows: RowStream) -> Result<()> {
        if self.cursors.contains_key(&name.value) {
            let message = format!("cursor \"{}\" already exists", name.value);
            return Err(Error::new(ErrorKind::Conflict, "42P03", message).at(name.span));
        }
        if self.cursors.len() >= NAMED_MAX {
            return Err(Error::new(ErrorKind::User, "53000", format!("more than {NAMED_MAX} cursors in a session")));
        }
        let in_transaction = self.transaction == TransactionStatus::Open;
        self.cursors.insert(name.value.clone(), Cursor { rows, in_transaction });
        Ok(())
    }

    /// The columns of a cursor.
    pub(super) fn cursor_columns(&self, name: &str) -> Result<Arc<[ResultColumn]>> {
        self.cursors.get(name).map(|c| Arc::clone(&c.rows.columns)).ok_or_else(|| no_cursor(name))
    }

    /// Sends at most `count` rows (all: `None`) of a cursor; how many it were.
    ///
    /// From a query that ends come as many as were asked for, as long as there are so many. From one that goes on
    /// come those that are there, after waiting for the first as long as the variable `fetch_wait_ms` says.
    pub(super) async fn fetch(&mut self, name: &str, count: Option<u64>, formats: &[Format]) -> Result<usize, Stop> {
        let Connection { cursors, wire, identity, .. } = self;
        let cursor = cursors.get_mut(name).ok_or_else(|| no_cursor(name))?;
        let rows_max = count.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let pace = if cursor.rows.live && (name != PSQL_CURSOR || count.is_none()) {
            Pace::Available { rows_max, first_wait: Some(identity.variables.lock().fetch_wait()) }
        } else {
            Pace::Exactly(rows_max)
        };
        Ok(cursor.rows.send(wire, &Shape::Rows(formats), pace).await?.rows)
    }

    /// CLOSE name, or all (`None`).
    pub(super) fn close_cursor(&mut self, name: Option<&Ident>) -> Result<()> {
        match name {
            None => self.cursors.clear(),
            Some(name) => {
                self.cursors.remove(&name.value).ok_or_else(|| no_cursor(&name.value).at(name.span))?;
            }
        }
        Ok(())
    }

    /// The transaction ends.
    pub(super) fn close_cursors_of_transaction(&mut self) {
        self.cursors.retain(|_, cursor| !cursor.in_transaction);
    }
}

fn no_cursor(name: &str) -> Error {
    Error::new(ErrorKind::User, "34000", format!("cursor \"{name}\" does not exist"))
}
