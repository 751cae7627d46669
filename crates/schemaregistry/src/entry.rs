//! The records of the registry's topic. Keys say what an entry is about, so that the topic can be compacted; a record
//! without a value takes its entry away.

use formats::{SchemaReference, SchemaText, SchemaType};
use serde::{Deserialize, Serialize};

use crate::{Level, Mode};

/// What an entry is about. `None` as a subject stands for all that have no entry of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Key {
    /// A version of a subject.
    Schema { subject: String, version: i32 },
    /// A level.
    Config { subject: Option<String> },
    /// A mode.
    Mode { subject: Option<String> },
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Schema(SchemaValue),
    Config { compatibility: Level },
    Mode { mode: Mode },
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SchemaValue {
    pub id: i32,
    pub language: String,
    pub schema: String,
    pub references: Vec<Reference>,
    pub deleted: bool,
}

/// As [`SchemaReference`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub name: String,
    pub subject: String,
    pub version: i32,
}

impl SchemaValue {
    pub fn new(id: i32, schema: &SchemaText, deleted: bool) -> SchemaValue {
        let reference =
            |r: &SchemaReference| Reference { name: r.name.clone(), subject: r.subject.clone(), version: r.version };
        SchemaValue {
            id,
            language: schema.ty.name().to_owned(),
            schema: schema.text.clone(),
            references: schema.references.iter().map(reference).collect(),
            deleted,
        }
    }

    /// The schema.
    ///
    /// # Errors
    /// Its language is none that this version knows.
    pub fn text(&self) -> Result<SchemaText, String> {
        let unknown = || format!("a schema in the language {}", self.language);
        let reference =
            |r: &Reference| SchemaReference { name: r.name.clone(), subject: r.subject.clone(), version: r.version };
        Ok(SchemaText {
            ty: SchemaType::of_name(&self.language).ok_or_else(unknown)?,
            text: self.schema.clone(),
            references: self.references.iter().map(reference).collect(),
        })
    }
}
