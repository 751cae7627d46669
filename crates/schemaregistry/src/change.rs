//! A change of the registry as something that can be handed to the process that may make it, and what comes of it.

use std::sync::Arc;

use formats::{RegisteredSchema, SchemaText};
use recordlog::{Append, Offset};
use serde::{Deserialize, Serialize};

use crate::{Level, Mode, RegistryError, SubjectVersion, Version, entry::SchemaValue};

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A version of a subject is to be there.
    Add(Addition),
    /// A subject is to be deleted, softly or for good.
    DeleteSubject {
        /// Its name.
        subject: String,
        /// For good.
        permanent: bool,
    },
    /// One version of a subject is to be deleted.
    DeleteVersion {
        /// The subject's name.
        subject: String,
        /// `None`: the newest.
        version: Option<i32>,
        /// For good.
        permanent: bool,
    },
    /// A level is to hold, of a subject or of all; `None`: none of its own.
    SetLevel(Option<String>, Option<Level>),
    /// A mode is to hold.
    SetMode(Option<String>, Option<Mode>),
}

/// A version to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    pub(crate) subject: String,
    pub(crate) schema: SchemaValue,
    pub(crate) normalize: bool,
    /// In mode import, both are given.
    pub(crate) id: Option<i32>,
    pub(crate) version: Option<i32>,
    /// Whatever the mode: for what runs in the engine.
    pub(crate) any_mode: bool,
}

impl Addition {
    pub(crate) fn new(subject: &str, schema: &SchemaText) -> Addition {
        let schema = SchemaValue::new(0, schema, false);
        Addition { subject: subject.to_owned(), schema, normalize: false, id: None, version: None, any_mode: false }
    }

    /// The schema as a text.
    pub(crate) fn text(&self) -> Result<SchemaText, RegistryError> {
        self.schema.text().map_err(RegistryError::Store)
    }
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Changed {
    Version { subject: String, version: i32, schema: SchemaValue, deleted: bool },
    Numbers(Vec<i32>),
    Nothing,
}

impl Changed {
    pub(crate) fn of(found: &SubjectVersion) -> Changed {
        let SubjectVersion { subject, version, schema, deleted } = found;
        let schema = SchemaValue::new(schema.id, &schema.schema, *deleted);
        Changed::Version { subject: subject.clone(), version: *version, schema, deleted: *deleted }
    }

    pub(crate) fn version(self) -> Result<SubjectVersion, RegistryError> {
        let Changed::Version { subject, version, schema, deleted } = self else { return Err(odd()) };
        let text = schema.text().map_err(RegistryError::Store)?;
        let schema = Arc::new(RegisteredSchema { id: schema.id, schema: text });
        Ok(SubjectVersion { subject, version, schema, deleted })
    }

    pub(crate) fn numbers(self) -> Result<Vec<i32>, RegistryError> {
        let Changed::Numbers(numbers) = self else { return Err(odd()) };
        Ok(numbers)
    }
}

fn odd() -> RegistryError {
    RegistryError::Store("the process that leads the service answered something else".to_owned())
}

/// What the process says that made a change, or did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeAnswer {
    outcome: Result<Changed, Refusal>,
    /// The offset of the registry's topic behind it.
    pub(crate) next: Offset,
}

/// An error on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Refusal {
    code: u32,
    message: String,
}

impl ChangeAnswer {
    pub(crate) fn new(outcome: Result<Changed, RegistryError>, next: Offset) -> ChangeAnswer {
        let refusal = |error: RegistryError| Refusal { code: error.code(), message: error.to_string() };
        ChangeAnswer { outcome: outcome.map_err(refusal), next }
    }

    pub(crate) fn outcome(self) -> Result<Changed, RegistryError> {
        self.outcome.map_err(|Refusal { code, message }| RegistryError::Elsewhere { code, message })
    }
}

/// Of several processes with one registry, the one that may change it.
pub trait Leader: Send + Sync + 'static {
    /// Whether that is this one.
    fn is_here(&self) -> bool;
    /// Make an entry durable, where this one is it.
    ///
    /// # Errors
    /// Why that cannot be done.
    fn write(&self, append: Append) -> Result<(), String>;
    /// Have it make a change; may wait.
    ///
    /// # Errors
    /// Why that cannot be done, or why it is not known whether it was.
    fn change(&self, change: &Change) -> Result<ChangeAnswer, String>;
}

/// The version that a number stands for.
pub(crate) fn version_of(number: Option<i32>) -> Version {
    number.map_or(Version::Latest, Version::Number)
}
