//! What the registry refuses, with the codes that its clients know.

use types::{Error, ErrorKind};

use crate::Level;

/// An error of the registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No subject of that name.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// The subject has no such version.
    #[error("Version {1} of subject '{0}' not found.")]
    VersionNotFound(String, i32),
    /// No schema has that id, or no version of the subject is that schema.
    #[error("{0}")]
    SchemaNotFound(String),
    /// It is deleted already.
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently.")]
    SubjectSoftDeleted(String),
    /// It must be deleted softly first.
    #[error("Subject '{0}' was not deleted first before being permanently deleted.")]
    SubjectNotSoftDeleted(String),
    /// It is deleted already.
    #[error("Version {1} of subject '{0}' was soft deleted. Set permanent=true to delete permanently.")]
    VersionSoftDeleted(String, i32),
    /// It must be deleted softly first.
    #[error("Version {1} of subject '{0}' was not deleted first before being permanently deleted.")]
    VersionNotSoftDeleted(String, i32),
    /// Nothing is set for the subject itself.
    #[error("Subject '{0}' does not have subject-level compatibility configured.")]
    NoSubjectLevel(String),
    /// Nothing is set for the subject itself.
    #[error("Subject '{0}' does not have subject-level mode configured.")]
    NoSubjectMode(String),
    /// The schema does not fit those before it.
    #[error("Schema being registered is incompatible with an earlier schema for subject \"{subject}\", \
             compatibility {}: {}", .level.name(), .reasons.join("; "))]
    Incompatible {
        /// The subject.
        subject: String,
        /// The level that holds.
        level: Level,
        /// What is in the way, with the version that it is about.
        reasons: Vec<String>,
    },
    /// The text is not a schema of its language.
    #[error("Invalid schema of type {language}: {why}")]
    InvalidSchema {
        /// Its language.
        language: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Not a version.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// Not a level.
    #[error(
        "Invalid compatibility level '{0}'. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel(String),
    /// Not a mode.
    #[error("Invalid mode '{0}'. Valid values are READWRITE, READONLY and IMPORT")]
    InvalidMode(String),
    /// The mode forbids it.
    #[error("Subject '{0}' is in mode {1}: {2}")]
    OperationNotPermitted(String, &'static str, String),
    /// Other schemas refer to it.
    #[error("One or more references exist to the schema {{subject={0}, version={1}}}: ids {2:?}.")]
    ReferenceExists(String, i32, Vec<i32>),
    /// The id belongs to another schema.
    #[error("Overwrite new schema with id {0} is not permitted: it belongs to another schema.")]
    IdTaken(i32),
    /// Refused by the process that may change the registry.
    #[error("{message}")]
    Elsewhere {
        /// As [`RegistryError::code`].
        code: u32,
        /// Why.
        message: String,
    },
    /// The log did not take it.
    #[error("Error in the backend data store: {0}")]
    Store(String),
}

/// Codes that are told apart here, too.
const INCOMPATIBLE: u32 = 409;
const STORE: u32 = 50001;

impl RegistryError {
    /// The code in the body of an answer.
    pub fn code(&self) -> u32 {
        match self {
            RegistryError::SubjectNotFound(_) => 40401,
            RegistryError::VersionNotFound(..) => 40402,
            RegistryError::SchemaNotFound(_) => 40403,
            RegistryError::SubjectSoftDeleted(_) => 40404,
            RegistryError::SubjectNotSoftDeleted(_) => 40405,
            RegistryError::VersionSoftDeleted(..) => 40406,
            RegistryError::VersionNotSoftDeleted(..) => 40407,
            RegistryError::NoSubjectLevel(_) => 40408,
            RegistryError::NoSubjectMode(_) => 40409,
            RegistryError::Incompatible { .. } => INCOMPATIBLE,
            RegistryError::InvalidSchema { .. } => 42201,
            RegistryError::InvalidVersion(_) => 42202,
            RegistryError::InvalidLevel(_) => 42203,
            RegistryError::InvalidMode(_) => 42204,
            RegistryError::OperationNotPermitted(..) | RegistryError::IdTaken(_) => 42205,
            RegistryError::ReferenceExists(..) => 42206,
            RegistryError::Elsewhere { code, .. } => *code,
            RegistryError::Store(_) => STORE,
        }
    }

    /// HTTP's status: the first three digits of the code.
    pub fn status(&self) -> u16 {
        let code = self.code();
        u16::try_from(if code < 1000 { code } else { code / 100 }).unwrap_or(500)
    }
}

impl From<RegistryError> for Error {
    fn from(error: RegistryError) -> Error {
        let text = format!("schema registry: {error}");
        match error.code() {
            STORE => Error::unavailable(text),
            INCOMPATIBLE => Error::new(ErrorKind::Conflict, "42000", text),
            _ => Error::invalid(text),
        }
    }
}
