//! The simple protocol: a text with any number of statements, each run to its end.

use super::{
    Connection, Stop,
    execute::Product,
    stream::{Pace, Shape},
};
use crate::{
    backend::Backend,
    statement::{Statement, parse},
};

impl<B: Backend> Connection<B> {
    /// Carries out a Query message.
    pub(super) async fn simple_query(&mut self, text: &str) -> Result<(), Stop> {
        let result = self.run_all(text).await;
        self.wire.end();
        match result {
            Err(Stop::Error(failure)) => self.failed(&failure, text),
            other => other?,
        }
        if self.transaction == crate::protocol::TransactionStatus::Idle {
            self.portals.clear();
        }
        self.ready();
        Ok(())
    }

    async fn run_all(&mut self, text: &str) -> Result<(), Stop> {
        let statements = parse(&self.session, text).map_err(Stop::Error)?;
        if statements.is_empty() {
            self.wire.output.empty_query();
        }
        for statement in &statements {
            let timeout = self.identity.variables.lock().statement_timeout();
            self.wire.begin(timeout);
            self.run_one(statement).await.map_err(|stop| stop.within(statement.offset))?;
        }
        Ok(())
    }

    async fn run_one(&mut self, statement: &Statement) -> Result<(), Stop> {
        let tag = match self.start(statement, None, &[]).await? {
            Product::Complete(tag) => tag,
            Product::Rows(mut rows) => {
                self.wire.output.row_description(&rows.columns, &[]);
                let sent = rows.send(&mut self.wire, &Shape::Rows(&[]), Pace::All).await?;
                rows.tag(sent.rows)
            }
            Product::Fetch { name, count } => {
                let columns = self.cursor_columns(&name)?;
                self.wire.output.row_description(&columns, &[]);
                let sent = self.fetch(&name, count, &[]).await?;
                format!("FETCH {sent}")
            }
            copy => self.copy(copy).await?,
        };
        self.wire.output.command_complete(&tag);
        Ok(())
    }
}
