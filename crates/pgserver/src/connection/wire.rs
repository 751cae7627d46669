//! The two halves of a connection, and waiting on something while the client may cancel, leave, or run out of time.

use std::{future::Future, io, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{Error, ErrorKind};

use crate::{
    cancel::Cancel,
    protocol::{Frontend, Input, Output, ProtocolError},
    statement::Failure,
};

/// How long a shutdown waits for a client to take the last message.
pub(crate) const FAREWELL_WAIT: Duration = Duration::from_secs(1);

/// Why a statement did not run to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed; the session goes on.
    Error(Failure),
    /// The client went away.
    Gone(io::Error),
    /// The server goes away.
    Shutdown,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(Failure { error, offset: 0 })
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Gone(error)
    }
}

impl Stop {
    /// The same, its span counted from byte `offset` of the message.
    pub(crate) fn within(self, offset: usize) -> Stop {
        match self {
            Stop::Error(failure) => Stop::Error(Failure { error: failure.error, offset }),
            other => other,
        }
    }
}

/// The connection's two halves and what can end a wait.
pub(crate) struct Wire {
    /// From the client.
    pub(crate) input: Input,
    /// To the client.
    pub(crate) output: Output,
    /// Cancel requests.
    pub(crate) cancel: Arc<Cancel>,
    /// The server's end.
    pub(crate) shutdown: CancellationToken,
    /// When the running statement has had its time.
    pub(crate) deadline: Option<Instant>,
}

impl Wire {
    /// A statement begins.
    pub(crate) fn begin(&mut self, timeout: Option<Duration>) {
        self.deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        self.cancel.begin();
    }

    /// The statement is over.
    pub(crate) fn end(&mut self) {
        self.deadline = None;
        self.cancel.end();
    }

    /// Waits for `future` unless the statement is cancelled, times out, or the client or the server goes away. What
    /// the client sends meanwhile is kept.
    pub(crate) async fn wait<F: Future>(&mut self, future: F) -> Result<F::Output, Stop> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            stop = interrupted(&self.cancel, &self.shutdown, self.deadline) => Err(stop),
            error = self.input.closed() => Err(Stop::Gone(error)),
        }
    }

    /// The next message, under the same conditions.
    pub(crate) async fn message(&mut self) -> Result<Frontend, Stop> {
        let message = tokio::select! {
            biased;
            message = self.input.message() => message?,
            stop = interrupted(&self.cancel, &self.shutdown, self.deadline) => return Err(stop),
        };
        received(message)
    }

    /// The next message if it is there already.
    pub(crate) fn message_now(&mut self) -> Result<Option<Frontend>, Stop> {
        match self.input.message().now_or_never() {
            Some(message) => received(message?).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the statement may go on, asked where nothing is waited for.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        match interrupted(&self.cancel, &self.shutdown, self.deadline).now_or_never() {
            Some(stop) => Err(stop),
            None => Ok(()),
        }
    }

    /// Sends what waits, under the same conditions: a client that does not read can still cancel.
    pub(crate) async fn flush(&mut self) -> Result<(), Stop> {
        tokio::select! {
            biased;
            flushed = self.output.flush() => Ok(flushed?),
            stop = interrupted(&self.cancel, &self.shutdown, self.deadline) => Err(stop),
        }
    }
}

fn received(message: Result<Option<Frontend>, ProtocolError>) -> Result<Frontend, Stop> {
    match message {
        Ok(Some(Frontend::Terminate) | None) => Err(Stop::Gone(io::ErrorKind::UnexpectedEof.into())),
        Ok(Some(message)) => Ok(message),
        // Where the next message begins is unknown: the session cannot go on.
        Err(e) => Err(Stop::Gone(io::Error::new(io::ErrorKind::InvalidData, e.to_string()))),
    }
}

async fn interrupted(cancel: &Cancel, shutdown: &CancellationToken, deadline: Option<Instant>) -> Stop {
    let timed_out = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let cancelled = |why: &str| Error::new(ErrorKind::User, "57014", format!("canceling statement due to {why}"));
    tokio::select! {
        () = cancel.requested() => cancelled("user request").into(),
        () = timed_out => cancelled("statement timeout").into(),
        () = shutdown.cancelled() => Stop::Shutdown,
    }
}
