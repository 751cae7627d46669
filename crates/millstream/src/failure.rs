//! Why a command ended without having done what it was asked.

use std::{fmt, io, process::ExitCode};

/// Exit code of a command that failed; 2 is clap's, for arguments that make no sense.
const FAILED: u8 = 1;

/// A command's failure.
#[derive(Debug)]
pub(crate) struct Failure {
    message: Option<String>,
}

impl Failure {
    /// With a sentence for standard error.
    pub(crate) fn new(message: impl fmt::Display) -> Failure {
        Failure { message: Some(message.to_string()) }
    }

    /// When what there is to say was said already.
    pub(crate) fn told() -> Failure {
        Failure { message: None }
    }

    /// The same, with what was being done before its sentence.
    pub(crate) fn context(self, doing: impl fmt::Display) -> Failure {
        Failure { message: self.message.map(|m| format!("{doing}: {m}")) }
    }

    /// What to say.
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(FAILED)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        // Whoever read our output has seen enough.
        if error.kind() == io::ErrorKind::BrokenPipe { Failure::told() } else { Failure::new(error) }
    }
}

impl From<types::Error> for Failure {
    fn from(error: types::Error) -> Failure {
        let hint = error.hint().map(|h| format!("\nhint: {h}")).unwrap_or_default();
        Failure::new(format!("{error}{hint}"))
    }
}
