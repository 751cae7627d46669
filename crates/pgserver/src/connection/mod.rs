//! One connection: messages in, messages out.

mod copy_in;
mod cursor;
mod execute;
mod extended;
mod simple;
mod startup;
mod stream;
mod wire;

use std::{collections::HashMap, io, sync::Arc};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use types::{Error, ErrorKind};

use crate::{
    backend::{Backend, Session},
    cancel::Registration,
    listener::Server,
    protocol::{Frontend, Input, Output, ProtocolError, TransactionStatus},
    statement::Failure,
    variables::Variables,
};

use cursor::Cursor;
use extended::{Portal, Prepared};
pub(crate) use stream::RowStream;
pub(crate) use wire::{Stop, Wire};

/// Prepared statements, portals and cursors that a session may hold, of each kind.
const NAMED_MAX: usize = 10_000;

/// Who is connected, as functions of pg_catalog tell it.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The user's name: anyone's word is taken.
    pub(crate) user: String,
    /// The database's name: there is one, by whatever name it is asked for.
    pub(crate) database: String,
    /// What stands for a process id.
    pub(crate) process: u32,
    /// The session's variables.
    pub(crate) variables: Arc<Mutex<Variables>>,
}

/// A session's state on the wire.
struct Connection<B: Backend> {
    server: Arc<Server<B>>,
    session: B::Session,
    wire: Wire,
    identity: Identity,
    /// Kept for as long as cancel requests are to find the session.
    _registration: Registration,
    transaction: TransactionStatus,
    /// Whether this transaction was told that statements take effect at once.
    told_of_autocommit: bool,
    statements: HashMap<String, Arc<Prepared<<B::Session as Session>::Prepared>>>,
    portals: HashMap<String, Portal<<B::Session as Session>::Prepared>>,
    cursors: HashMap<String, Cursor>,
    /// An extended sequence has failed: what comes before Sync is passed over.
    skipping: bool,
}

/// Serves a connection to its end; one that is not `admitted` may only cancel.
pub(crate) async fn run<B: Backend>(server: Arc<Server<B>>, socket: TcpStream, admitted: bool) -> io::Result<()> {
    let (read, write) = socket.into_split();
    let (input, output) = (Input::new(read), Output::new(write));
    match startup::begin(server, input, output, admitted).await? {
        Some(connection) => connection.serve().await,
        None => Ok(()),
    }
}

impl<B: Backend> Connection<B> {
    async fn serve(mut self) -> io::Result<()> {
        loop {
            let message = match self.wire.input.buffered() {
                Ok(None) => {
                    self.wire.output.flush().await?;
                    tokio::select! {
                        message = self.wire.input.message() => message?,
                        () = self.server.shutdown.cancelled() => return self.terminated().await,
                    }
                }
                done => done,
            };
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(e) => return self.protocol_violated(&e).await,
            };
            match self.message(message).await {
                Ok(true) => {}
                Ok(false) => return self.wire.output.flush().await,
                Err(Stop::Gone(e)) => return Err(e),
                Err(Stop::Shutdown) => return self.terminated().await,
                // Errors of statements are answered where they arise; one that comes this far ends the session.
                Err(Stop::Error(failure)) => {
                    self.wire.output.error("FATAL", &failure.error, None);
                    return self.wire.output.flush().await;
                }
            }
        }
    }

    /// Carries out a message; false when it was good-bye.
    async fn message(&mut self, message: Frontend) -> Result<bool, Stop> {
        if self.skipping && !matches!(message, Frontend::Sync | Frontend::Terminate) {
            return Ok(true);
        }
        match message {
            Frontend::Query(text) => self.simple_query(&text).await?,
            Frontend::Parse { name, text, types } => {
                let result = self.parse(name, &text, &types).await;
                self.extended(result, &text)?;
            }
            Frontend::Bind(bind) => {
                let result = self.bind(bind);
                self.extended(result, "")?;
            }
            Frontend::Describe { target, name } => {
                let result = self.describe(target, &name);
                self.extended(result, "")?;
            }
            Frontend::Execute { portal, rows_max } => {
                let text = self.portals.get(&portal).map(|p| p.text());
                let result = self.execute_portal(&portal, rows_max).await;
                self.extended(result, text.as_deref().unwrap_or(""))?;
            }
            Frontend::Close { target, name } => self.close(target, &name),
            Frontend::Flush => self.wire.output.flush().await?,
            Frontend::Sync => {
                self.skipping = false;
                self.sync();
            }
            // What is left of a COPY that failed.
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) => {}
            Frontend::Terminate => return Ok(false),
            Frontend::Unserved(why) => {
                let error = Error::new(ErrorKind::Unsupported, "0A000", why);
                self.wire.output.error("ERROR", &error, None);
                self.ready();
            }
        }
        Ok(true)
    }

    /// Answers the failure of a message of the extended protocol.
    fn extended(&mut self, result: Result<(), Stop>, text: &str) -> Result<(), Stop> {
        match result {
            Err(Stop::Error(failure)) => {
                self.failed(&failure, text);
                self.skipping = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Sends an error of a statement of `text`.
    fn failed(&mut self, failure: &Failure, text: &str) {
        self.wire.output.error("ERROR", &failure.error, failure.position(text));
        if self.transaction == TransactionStatus::Open {
            self.transaction = TransactionStatus::Failed;
        }
    }

    fn ready(&mut self) {
        self.wire.output.ready_for_query(self.transaction);
    }

    fn notice(&mut self, message: &str) {
        if self.identity.variables.lock().wants_notices() {
            self.wire.output.notice(message);
        }
    }

    async fn protocol_violated(&mut self, error: &ProtocolError) -> io::Result<()> {
        let error = Error::new(ErrorKind::User, error.sqlstate(), error.to_string());
        self.wire.output.error("FATAL", &error, None);
        self.wire.output.flush().await
    }

    async fn terminated(&mut self) -> io::Result<()> {
        let error = Error::new(ErrorKind::Unavailable, "57P01", "terminating connection: the server is shutting down");
        self.wire.output.error("FATAL", &error, None);
        // A client that does not read must not hold up the shutdown.
        tokio::time::timeout(wire::FAREWELL_WAIT, self.wire.output.flush()).await.unwrap_or(Ok(()))
    }
}
