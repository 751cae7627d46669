//! What the server needs of the engine, and no more: so that the protocol can be tested without one.

use std::{future::Future, sync::Arc};

use catalog::Catalog;
use engine::{CopyInto, Description, Engine, Outcome, Parameter, Prepared};
use recordlog::RecordLog;
use syntax::ast::{Ident, Statement};
use types::Result;

/// Something that sessions can be opened on.
pub trait Backend: Send + Sync + 'static {
    /// A connection's session.
    type Session: Session;

    /// Open a session.
    fn session(self: &Arc<Self>) -> Self::Session;
    /// The catalog as it is now.
    fn catalog(&self) -> Arc<Catalog>;
    /// The log; `None` if topics cannot be reached.
    fn log(&self) -> Option<Arc<dyn RecordLog>>;
    /// Answer another process of the same service.
    fn answer(self: &Arc<Self>, request: &str) -> impl Future<Output = Vec<u8>> + Send;
}

/// One connection's session: see [`engine::Session`], whose methods these are.
pub trait Session: Send + Sync + 'static {
    /// A planned statement.
    type Prepared: Send + Sync + 'static;
    /// Rows on their way in.
    type CopyInto: CopyRows;

    /// Text → statements.
    fn parse(&self, text: &str) -> Result<Vec<Statement>>;
    /// What a statement will take and give.
    fn describe(&self, statement: &Statement) -> impl Future<Output = Result<Description>> + Send;
    /// Plan a statement.
    fn prepare(&self, statement: &Statement) -> impl Future<Output = Result<Self::Prepared>> + Send;
    /// Carry a statement out.
    fn execute(
        &mut self,
        prepared: &Self::Prepared,
        parameters: &[Parameter],
    ) -> impl Future<Output = Result<Outcome>> + Send;
    /// Begin to write rows.
    fn copy_into(&mut self, target: &Ident, columns: &[Ident]) -> impl Future<Output = Result<Self::CopyInto>> + Send;
}

/// Rows on their way in: see [`engine::CopyInto`].
pub trait CopyRows: Send + 'static {
    /// Fields of a row.
    fn width(&self) -> usize;
    /// Write a batch of rows, all or none. An error about a row begins with `row n`, counted from 1.
    fn write(&mut self, rows: Vec<Vec<Option<String>>>) -> impl Future<Output = Result<u64>> + Send;
}

impl Backend for Engine {
    type Session = engine::Session;

    fn session(self: &Arc<Self>) -> engine::Session {
        Engine::session(self)
    }

    fn catalog(&self) -> Arc<Catalog> {
        Engine::catalog(self)
    }

    fn log(&self) -> Option<Arc<dyn RecordLog>> {
        Some(Engine::log(self))
    }

    async fn answer(self: &Arc<Self>, request: &str) -> Vec<u8> {
        Engine::answer(self, request).await
    }
}

impl Session for engine::Session {
    type Prepared = Prepared;
    type CopyInto = CopyInto;

    fn parse(&self, text: &str) -> Result<Vec<Statement>> {
        engine::Session::parse(self, text)
    }

    async fn describe(&self, statement: &Statement) -> Result<Description> {
        engine::Session::describe(self, statement).await
    }

    async fn prepare(&self, statement: &Statement) -> Result<Prepared> {
        engine::Session::prepare(self, statement).await
    }

    async fn execute(&mut self, prepared: &Prepared, parameters: &[Parameter]) -> Result<Outcome> {
        engine::Session::execute(self, prepared, parameters).await
    }

    async fn copy_into(&mut self, target: &Ident, columns: &[Ident]) -> Result<CopyInto> {
        engine::Session::copy_into(self, target, columns).await
    }
}

impl CopyRows for CopyInto {
    fn width(&self) -> usize {
        CopyInto::width(self)
    }

    async fn write(&mut self, rows: Vec<Vec<Option<String>>>) -> Result<u64> {
        CopyInto::write(self, rows).await
    }
}
