//! What a statement sets going: a tag, rows, or a COPY. Statements that are the wire's own business end here.

use syntax::ast::{self, StatementKind, TransactionKind};
use types::{Error, ErrorKind, Result};

use engine::{Outcome, Parameter};

use super::{
    Connection, Stop,
    stream::{KnownColumns, Pace, RowStream, Shape},
};
use crate::{
    backend::{Backend, Session},
    copy::CopyFormat,
    pg_catalog::variable_rows,
    protocol::TransactionStatus,
    statement::{Kind, Statement},
    topics::{TopicOutcome, TopicWriter},
};

/// What a statement set going.
pub(super) enum Product<C> {
    /// Nothing more: its tag.
    Complete(String),
    /// Rows.
    Rows(RowStream),
    /// Rows of a cursor.
    Fetch { name: String, count: Option<u64> },
    /// COPY … TO STDOUT.
    CopyOut(RowStream, CopyFormat),
    /// COPY … FROM STDIN into a stream or table.
    CopyIn(C, CopyFormat),
    /// COPY … FROM STDIN into a topic.
    CopyTopic(TopicWriter, CopyFormat),
}

/// The COPY sink of a backend's sessions.
pub(super) type CopyOf<B> = <<B as Backend>::Session as Session>::CopyInto;
/// The plan of a backend's sessions.
pub(super) type PlanOf<B> = <<B as Backend>::Session as Session>::Prepared;

const WRITES_ARE_AUTOCOMMITTED: &str = "statements take effect at once: ROLLBACK will not undo this one";

impl<B: Backend> Connection<B> {
    /// Sets a statement going; `plan` saves planning it, and may know its columns.
    pub(super) async fn start(
        &mut self,
        statement: &Statement,
        plan: Option<(&PlanOf<B>, Option<&KnownColumns>)>,
        parameters: &[Parameter],
    ) -> Result<Product<CopyOf<B>>, Stop> {
        self.refuse_in_failed_transaction(statement)?;
        match &statement.kind {
            Kind::System(query) => {
                let planning = engine::deep(self.server.system.run(query, &self.identity, parameters));
                Ok(Product::Rows(self.wire.wait(planning).await??))
            }
            Kind::Topic(topic) => {
                let log = self.server.backend.log().ok_or_else(|| Error::unavailable("the log cannot be reached"))?;
                Ok(match self.wire.wait(crate::topics::execute(log, topic)).await?? {
                    TopicOutcome::Done(tag) => Product::Complete(tag.to_owned()),
                    TopicOutcome::Rows(rows) => Product::Rows(rows),
                    TopicOutcome::CopyIn(writer, format) => Product::CopyTopic(writer, format),
                })
            }
            Kind::Peer(request) => {
                let answer = crate::peer::answer(&self.server.backend, request);
                Ok(Product::Rows(self.wire.wait(answer).await?))
            }
            Kind::Sql(sql) => match &sql.kind {
                StatementKind::Transaction(kind) => Ok(Product::Complete(self.transact(*kind).to_owned())),
                StatementKind::DeclareCursor { name, query } => {
                    let rows = self.query(sql, query).await?;
                    self.declare(name, rows)?;
                    Ok(Product::Complete("DECLARE CURSOR".to_owned()))
                }
                StatementKind::Fetch { name, count } => Ok(Product::Fetch { name: name.value.clone(), count: *count }),
                StatementKind::Close { name } => {
                    self.close_cursor(name.as_ref())?;
                    Ok(Product::Complete(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" }.to_owned()))
                }
                StatementKind::CopyTo { query, options } => {
                    let format = CopyFormat::new(options)?;
                    Ok(Product::CopyOut(self.query(sql, query).await?, format))
                }
                StatementKind::CopyFrom { target, columns, options } => {
                    let format = CopyFormat::new(options)?;
                    self.tell_of_autocommit();
                    let copy = self.session.copy_into(target, columns);
                    Ok(Product::CopyIn(self.wire.wait(copy).await??, format))
                }
                StatementKind::Discard => Ok(Product::Complete(self.discard(&sql.text)?)),
                StatementKind::ShowVariable { name } => Ok(Product::Rows(variable_rows(&self.identity, name)?)),
                StatementKind::Set { name, value } if is_variable(name) => {
                    self.set(name, value)?;
                    Ok(Product::Complete("SET".to_owned()))
                }
                _ => self.run_sql(sql, plan, parameters).await,
            },
        }
    }

    async fn run_sql(
        &mut self,
        sql: &ast::Statement,
        plan: Option<(&PlanOf<B>, Option<&KnownColumns>)>,
        parameters: &[Parameter],
    ) -> Result<Product<CopyOf<B>>, Stop> {
        if writes(&sql.kind) {
            self.tell_of_autocommit();
        }
        let planned;
        let (plan, known) = match plan {
            Some(plan) => plan,
            None => {
                planned = self.wire.wait(self.session.prepare(sql)).await??;
                (&planned, None)
            }
        };
        match self.wire.wait(self.session.execute(plan, parameters)).await?? {
            Outcome::Done { tag, notices } => {
                notices.iter().for_each(|notice| self.notice(notice));
                Ok(Product::Complete(tag))
            }
            Outcome::Rows(rows) => Ok(Product::Rows(RowStream::new(rows, known))),
        }
    }

    /// The rows of a query inside another statement.
    async fn query(&mut self, around: &ast::Statement, query: &ast::Query) -> Result<RowStream, Stop> {
        let statement =
            ast::Statement { kind: StatementKind::Query(query.clone()), span: query.span, text: query.text.clone() };
        // pg_catalog's queries are known by their text, wherever they stand.
        if let Some(system) = crate::pg_catalog::recognize(&query.text) {
            let planning = engine::deep(self.server.system.run(&system, &self.identity, &[]));
            return Ok(self.wire.wait(planning).await??);
        }
        match self.run_sql(&statement, None, &[]).await? {
            Product::Rows(rows) => Ok(rows),
            _ => Err(Error::invalid("the query gives no rows").at(around.span).into()),
        }
    }

    /// Runs a COPY; its tag.
    pub(super) async fn copy(&mut self, product: Product<CopyOf<B>>) -> Result<String, Stop> {
        match product {
            Product::CopyOut(mut rows, format) => {
                self.wire.output.copy_out(rows.columns.len());
                if format.header {
                    let names: Vec<&str> = rows.columns.iter().map(|c| c.name.as_str()).collect();
                    self.wire.output.copy_data(|out| format.put_header(out, &names));
                }
                let sent = rows.send(&mut self.wire, &Shape::Copy(&format), Pace::All).await?;
                self.wire.output.copy_done();
                Ok(format!("COPY {}", sent.rows))
            }
            Product::CopyIn(sink, format) => self.copy_in(sink, format).await,
            Product::CopyTopic(sink, format) => self.copy_in(sink, format).await,
            Product::Complete(tag) => Ok(tag),
            Product::Rows(_) | Product::Fetch { .. } => Err(Error::internal("rows where a COPY was expected").into()),
        }
    }

    fn refuse_in_failed_transaction(&self, statement: &Statement) -> Result<()> {
        let ends = match &statement.kind {
            Kind::Sql(sql) => {
                use TransactionKind::{Commit, Rollback};
                matches!(sql.kind, StatementKind::Transaction(Commit | Rollback))
            }
            Kind::System(_) | Kind::Topic(_) | Kind::Peer(_) => false,
        };
        if self.transaction == TransactionStatus::Failed && !ends {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Error::new(ErrorKind::User, "25P02", message));
        }
        Ok(())
    }

    /// BEGIN, COMMIT, ROLLBACK: nothing but the status that clients track; the tag.
    fn transact(&mut self, kind: TransactionKind) -> &'static str {
        let was = self.transaction;
        match kind {
            TransactionKind::Begin => {
                match was {
                    TransactionStatus::Idle => self.told_of_autocommit = false,
                    _ => self.notice("there is already a transaction in progress"),
                }
                self.transaction = TransactionStatus::Open;
                return "BEGIN";
            }
            TransactionKind::Commit | TransactionKind::Rollback if was == TransactionStatus::Idle => {
                self.notice("there is no transaction in progress");
            }
            TransactionKind::Commit | TransactionKind::Rollback => self.close_cursors_of_transaction(),
        }
        self.transaction = TransactionStatus::Idle;
        let committed = kind == TransactionKind::Commit && was != TransactionStatus::Failed;
        if committed { "COMMIT" } else { "ROLLBACK" }
    }

    fn tell_of_autocommit(&mut self) {
        if self.transaction == TransactionStatus::Open && !self.told_of_autocommit {
            self.told_of_autocommit = true;
            self.notice(WRITES_ARE_AUTOCOMMITTED);
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let reported = self.identity.variables.lock().set(name, value)?;
        if let Some((name, value)) = reported {
            self.wire.output.parameter_status(name, &value);
        }
        Ok(())
    }

    /// DISCARD, DEALLOCATE, RESET; the tag.
    fn discard(&mut self, text: &str) -> Result<String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let is = |i: usize, word: &str| words.get(i).is_some_and(|w| w.eq_ignore_ascii_case(word));
        // SET TRANSACTION …, SET SESSION CHARACTERISTICS …: there is one kind of transaction.
        if is(0, "set") {
            return Ok("SET".to_owned());
        }
        let object = words.iter().skip(1).find(|w| !w.eq_ignore_ascii_case("prepare")).copied().unwrap_or("ALL");
        let all = object.eq_ignore_ascii_case("all");
        if is(0, "deallocate") {
            if all {
                self.statements.retain(|name, _| name.is_empty());
                return Ok("DEALLOCATE ALL".to_owned());
            }
            let folded = object.to_ascii_lowercase();
            let name = object.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(&folded);
            return match self.statements.remove(name) {
                Some(_) => Ok("DEALLOCATE".to_owned()),
                None => Err(no_statement(name)),
            };
        }
        if is(0, "reset") {
            let reported = self.identity.variables.lock().reset((!all).then_some(object))?;
            reported.iter().for_each(|(name, value)| self.wire.output.parameter_status(name, value));
            return Ok("RESET".to_owned());
        }
        if all {
            self.statements.clear();
            self.portals.clear();
            self.cursors.clear();
            let reported = self.identity.variables.lock().reset(None)?;
            reported.iter().for_each(|(name, value)| self.wire.output.parameter_status(name, value));
        } else if object.eq_ignore_ascii_case("plans") {
            self.statements.retain(|name, _| !name.is_empty());
        }
        Ok(format!("DISCARD {}", object.to_ascii_uppercase()))
    }
}

/// The error that no prepared statement has that name.
pub(super) fn no_statement(name: &str) -> Error {
    Error::new(ErrorKind::User, "26000", format!("prepared statement \"{name}\" does not exist"))
}

/// Whether SET of that name is for the wire rather than for the engine.
pub(super) fn is_variable(name: &str) -> bool {
    crate::variables::Variables::knows(name)
}

fn writes(kind: &StatementKind) -> bool {
    !matches!(
        kind,
        StatementKind::Query(_)
            | StatementKind::Show(_)
            | StatementKind::Describe { .. }
            | StatementKind::DescribeFunction { .. }
            | StatementKind::DescribeConnector { .. }
            | StatementKind::DescribeAll { .. }
            | StatementKind::Explain { .. }
            | StatementKind::ExplainQuery { .. }
            | StatementKind::Print { .. }
            | StatementKind::Set { .. }
            | StatementKind::Unset { .. }
            | StatementKind::Define { .. }
            | StatementKind::Undefine { .. }
    )
}
