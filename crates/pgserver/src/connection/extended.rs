//! The extended protocol: prepared statements, portals, and running portals in pieces.

use std::sync::Arc;

use engine::Parameter;
use syntax::ast::{self, StatementKind};
use types::{Error, ErrorKind, Result, SqlType};

use super::{
    Connection, NAMED_MAX, Stop,
    execute::{PlanOf, Product, is_variable, no_statement},
    stream::{KnownColumns, Pace, RowStream, Shape},
};
use crate::{
    backend::{Backend, Session},
    protocol::{Bind, Format, Target, TransactionStatus, format_of},
    statement::{Failure, Kind, Statement, parse},
    values::{PgType, ResultColumn, decode_parameter},
};

/// A prepared statement.
pub(super) struct Prepared<P> {
    text: Arc<str>,
    /// `None` for a text without a statement.
    statement: Option<Statement>,
    /// The engine's plan, where the engine is to run it.
    plan: Option<P>,
    parameters: Vec<ParameterType>,
    /// Its rows' columns; `None`: it gives none.
    columns: Option<Arc<[ResultColumn]>>,
    /// The same, where they are the engine's.
    known: Option<KnownColumns>,
}

/// What a parameter is sent as and what the statement wants.
struct ParameterType {
    oid: u32,
    ty: SqlType,
}

/// A statement with its parameters.
pub(super) struct Portal<P> {
    prepared: Arc<Prepared<P>>,
    parameters: Vec<Parameter>,
    formats: Vec<Format>,
    state: PortalState,
}

enum PortalState {
    Fresh,
    Suspended(RowStream),
    Done,
}

/// What a statement will take and give.
struct Described {
    parameters: Vec<Option<SqlType>>,
    columns: Option<Arc<[ResultColumn]>>,
}

impl<P> Prepared<P> {
    /// The engine's plan and columns.
    fn planned(&self) -> Option<(&P, Option<&KnownColumns>)> {
        self.plan.as_ref().map(|plan| (plan, self.known.as_ref()))
    }
}

impl<P> Portal<P> {
    /// The statement's text, for the positions of errors.
    pub(super) fn text(&self) -> Arc<str> {
        Arc::clone(&self.prepared.text)
    }
}

impl<B: Backend> Connection<B> {
    /// Carries out a Parse message.
    pub(super) async fn parse(&mut self, name: String, text: &str, oids: &[u32]) -> Result<(), Stop> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(ErrorKind::Conflict, "42P05", message).into());
        }
        if self.statements.len() >= NAMED_MAX {
            let message = format!("more than {NAMED_MAX} prepared statements in a session");
            return Err(Error::new(ErrorKind::User, "53000", message).into());
        }
        let mut statements = parse(&self.session, text).map_err(Stop::Error)?;
        let statement = statements.pop();
        if !statements.is_empty() {
            return Err(Error::syntax("cannot insert multiple commands into a prepared statement").into());
        }
        let offset = statement.as_ref().map_or(0, |s| s.offset);
        self.wire.begin(None);
        let prepared = self.plan(text, statement, oids).await;
        self.wire.end();
        let prepared = prepared.map_err(|stop| stop.within(offset))?;
        self.statements.insert(name, Arc::new(prepared));
        self.wire.output.parse_complete();
        Ok(())
    }

    async fn plan(
        &mut self,
        text: &str,
        statement: Option<Statement>,
        oids: &[u32],
    ) -> Result<Prepared<PlanOf<B>>, Stop> {
        let nothing = || Described { parameters: Vec::new(), columns: None };
        let mut known = None;
        let (shape, plan) = match statement.as_ref().map(|s| &s.kind) {
            None => (nothing(), None),
            Some(Kind::Topic(topic)) => (Described { parameters: Vec::new(), columns: topic.columns() }, None),
            Some(Kind::Peer(_)) => (Described { parameters: Vec::new(), columns: Some(crate::peer::columns()) }, None),
            Some(Kind::System(query)) => {
                let described = engine::deep(self.server.system.describe(query, &self.identity));
                let (parameters, columns) = self.wire.wait(described).await??;
                (Described { parameters, columns: Some(columns) }, None)
            }
            Some(Kind::Sql(sql)) => match self.wires_own(sql) {
                Some(columns) => (Described { parameters: Vec::new(), columns }, None),
                None => {
                    let described = self.wire.wait(self.session.describe(sql)).await??;
                    known = described.columns.map(KnownColumns::new);
                    let columns = known.as_ref().map(|k: &KnownColumns| Arc::clone(&k.wire));
                    let plan = self.wire.wait(self.session.prepare(sql)).await??;
                    (Described { parameters: described.parameters, columns }, Some(plan))
                }
            },
        };
        let count = shape.parameters.len().max(oids.len());
        let parameters = (0..count).map(|i| {
            let known = shape.parameters.get(i).cloned().flatten();
            let asked = oids.get(i).copied().filter(|oid| *oid != 0 && *oid != UNKNOWN_OID);
            let ty = known.unwrap_or(SqlType::String);
            ParameterType { oid: asked.unwrap_or_else(|| PgType::of_sql(&ty).oid), ty }
        });
        let (text, parameters, columns) = (text.into(), parameters.collect(), shape.columns);
        Ok(Prepared { text, statement, plan, parameters, columns, known })
    }

    /// The columns of a statement that the wire carries out itself; `None` for others.
    fn wires_own(&self, sql: &ast::Statement) -> Option<Option<Arc<[ResultColumn]>>> {
        match &sql.kind {
            StatementKind::Transaction(_)
            | StatementKind::DeclareCursor { .. }
            | StatementKind::Close { .. }
            | StatementKind::CopyTo { .. }
            | StatementKind::CopyFrom { .. }
            | StatementKind::Discard => Some(None),
            StatementKind::Set { name, .. } if is_variable(name) => Some(None),
            StatementKind::Fetch { name, .. } => Some(self.cursor_columns(&name.value).ok()),
            StatementKind::ShowVariable { name } => Some(Some(crate::pg_catalog::variable_columns(name))),
            _ => None,
        }
    }

    /// Carries out a Bind message.
    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let prepared = self.statements.get(&bind.statement).ok_or_else(|| no_statement(&bind.statement))?;
        let prepared = Arc::clone(prepared);
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            let message = format!("portal \"{}\" already exists", bind.portal);
            return Err(Error::new(ErrorKind::Conflict, "42P03", message).into());
        }
        if self.portals.len() >= NAMED_MAX {
            let message = format!("more than {NAMED_MAX} portals in a transaction");
            return Err(Error::new(ErrorKind::User, "53000", message).into());
        }
        let (got, want) = (bind.values.len(), prepared.parameters.len());
        if got != want {
            let message = format!("bind message supplies {got} parameters, but the prepared statement requires {want}");
            return Err(Error::new(ErrorKind::User, "08P01", message).into());
        }
        check_formats("parameter", bind.formats.len(), want)?;
        if let Some(columns) = &prepared.columns {
            check_formats("result", bind.result_formats.len(), columns.len())?;
        }
        let values = bind.values.iter().zip(&prepared.parameters).enumerate();
        let parameters = values.map(|(i, (value, parameter))| {
            decode_parameter(value.as_deref(), format_of(&bind.formats, i), parameter.oid, &parameter.ty)
                .map_err(|e| e.context(format!("parameter ${}", i + 1)))
        });
        let parameters = parameters.collect::<Result<_>>()?;
        let portal = Portal { prepared, parameters, formats: bind.result_formats, state: PortalState::Fresh };
        self.portals.insert(bind.portal, portal);
        self.wire.output.bind_complete();
        Ok(())
    }

    /// Carries out a Describe message.
    pub(super) fn describe(&mut self, target: Target, name: &str) -> Result<(), Stop> {
        let (columns, formats) = match target {
            Target::Statement => {
                let prepared = self.statements.get(name).ok_or_else(|| no_statement(name))?;
                let oids: Vec<u32> = prepared.parameters.iter().map(|p| p.oid).collect();
                self.wire.output.parameter_description(&oids);
                (&prepared.columns, [].as_slice())
            }
            Target::Portal => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (&portal.prepared.columns, portal.formats.as_slice())
            }
        };
        match columns {
            Some(columns) => self.wire.output.row_description(columns, formats),
            None => self.wire.output.no_data(),
        }
        Ok(())
    }

    /// Carries out an Execute message; `rows_max` 0: all.
    pub(super) async fn execute_portal(&mut self, name: &str, rows_max: u32) -> Result<(), Stop> {
        // Out of the map while it runs: the session must be free for it.
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let timeout = self.identity.variables.lock().statement_timeout();
        self.wire.begin(timeout);
        let offset = portal.prepared.statement.as_ref().map_or(0, |s| s.offset);
        let result = self.run_portal(&mut portal, rows_max).await.map_err(|stop| stop.within(offset));
        self.wire.end();
        if result.is_ok() {
            self.portals.insert(name.to_owned(), portal);
        }
        result
    }

    async fn run_portal(&mut self, portal: &mut Portal<PlanOf<B>>, rows_max: u32) -> Result<(), Stop> {
        let prepared = Arc::clone(&portal.prepared);
        let Some(statement) = &prepared.statement else {
            self.wire.output.empty_query();
            return Ok(());
        };
        let mut rows = match std::mem::replace(&mut portal.state, PortalState::Done) {
            PortalState::Suspended(rows) => rows,
            PortalState::Fresh => match self.start(statement, prepared.planned(), &portal.parameters).await? {
                Product::Rows(rows) => {
                    same_columns(prepared.columns.as_deref(), &rows.columns)?;
                    rows
                }
                Product::Fetch { name, count } => {
                    let sent = self.fetch(&name, count, &portal.formats).await?;
                    self.wire.output.command_complete(&format!("FETCH {sent}"));
                    return Ok(());
                }
                other => {
                    let tag = self.copy(other).await?;
                    self.wire.output.command_complete(&tag);
                    return Ok(());
                }
            },
            PortalState::Done if prepared.columns.is_some() => {
                self.wire.output.command_complete("SELECT 0");
                return Ok(());
            }
            PortalState::Done => {
                return Err(Error::new(ErrorKind::User, "55000", "the portal has been run already").into());
            }
        };
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let pace = match (rows_max, rows.live) {
            (0, _) => Pace::All,
            // What is there goes to the client at once, not when its page is full.
            (rows_max, true) => Pace::Available { rows_max, first_wait: None },
            (rows_max, false) => Pace::Exactly(rows_max),
        };
        let sent = rows.send(&mut self.wire, &Shape::Rows(&portal.formats), pace).await?;
        if sent.ended || rows_max == 0 {
            self.wire.output.command_complete(&rows.tag(sent.rows));
        } else {
            self.wire.output.portal_suspended();
            portal.state = PortalState::Suspended(rows);
        }
        Ok(())
    }

    /// Carries out a Close message.
    pub(super) fn close(&mut self, target: Target, name: &str) {
        match target {
            Target::Statement => _ = self.statements.remove(name),
            Target::Portal => _ = self.portals.remove(name),
        }
        self.wire.output.close_complete();
    }

    /// Carries out a Sync message: outside of a transaction it ends the portals.
    pub(super) fn sync(&mut self) {
        if self.transaction == TransactionStatus::Idle {
            self.portals.clear();
        }
        self.ready();
    }
}

/// The type of a literal whose type is not known yet.
const UNKNOWN_OID: u32 = 705;

fn no_portal(name: &str) -> Error {
    Error::new(ErrorKind::User, "34000", format!("portal \"{name}\" does not exist"))
}

fn check_formats(what: &str, got: usize, count: usize) -> Result<()> {
    if got <= 1 || got == count {
        return Ok(());
    }
    let message = format!("bind message has {got} {what} formats but {count} values");
    Err(Error::new(ErrorKind::User, "08P01", message))
}

/// A client that was told of columns reads rows by them.
fn same_columns(told: Option<&[ResultColumn]>, now: &[ResultColumn]) -> Result<(), Failure> {
    let same = |told: &[ResultColumn]| {
        told.len() == now.len() && told.iter().zip(now).all(|(t, n)| t.pg_type.oid == n.pg_type.oid)
    };
    if told.is_none_or(same) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Conflict, "0A000", "cached plan must not change result type")
        .with_hint("prepare the statement again");
    Err(Failure { error, offset: 0 })
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Error(failure)
    }
}
