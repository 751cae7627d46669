//! Schemas by id and by subject: what formats that carry a schema's id need, and a registry in memory.
//!
//! The interface is synchronous because a decoder meets an unknown id in the middle of a batch; an implementation over
//! a network must keep what it has fetched, schemas never change. Subjects are `<topic>-key` and `<topic>-value`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use types::{Error, ErrorKind, Result};

use crate::Part;

/// Bytes before a record's payload: a zero and the schema's id, big-endian.
pub(crate) const HEADER_BYTES: usize = 5;
/// The first byte of every record with a schema's id.
pub(crate) const MAGIC: u8 = 0;

/// Schemas that a schema refers to, and they to others.
const REFERENCES_MAX: usize = 100;

/// The language of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaType {
    /// Avro's JSON.
    Avro,
    /// JSON Schema.
    Json,
    /// A `.proto` file.
    Protobuf,
}

impl SchemaType {
    /// Its name in the registry's API.
    pub fn name(self) -> &'static str {
        match self {
            SchemaType::Avro => "AVRO",
            SchemaType::Json => "JSON",
            SchemaType::Protobuf => "PROTOBUF",
        }
    }

    /// The language of that name.
    pub fn of_name(name: &str) -> Option<SchemaType> {
        [SchemaType::Avro, SchemaType::Json, SchemaType::Protobuf].into_iter().find(|ty| ty.name() == name)
    }
}

/// Another schema that a schema imports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaReference {
    /// The name that it is imported by.
    pub name: String,
    /// Where it is registered.
    pub subject: String,
    /// Which version of that subject.
    pub version: i32,
}

/// A schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaText {
    /// Its language.
    pub ty: SchemaType,
    /// Its text.
    pub text: String,
    /// What it imports.
    pub references: Vec<SchemaReference>,
}

/// A schema with its id, which is unique in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// The id that records carry.
    pub id: i32,
    /// The schema.
    pub schema: SchemaText,
}

/// Schemas by id and by subject.
pub trait SchemaRegistry: Send + Sync {
    /// Add a version to `subject`, unless it has this schema; the schema's id, which is the same in all subjects.
    fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32>;

    /// Add a version to `subject` under an id of the caller's choice, as an import from another registry does.
    ///
    /// # Errors
    /// The id belongs to another schema, or the registry takes no imports.
    fn import(&self, subject: &str, id: i32, schema: &SchemaText) -> Result<()> {
        let _ = (id, schema);
        Err(Error::unsupported(format!("this schema registry takes no imports: {subject}")))
    }

    /// The schema of that id.
    fn by_id(&self, id: i32) -> Result<Option<Arc<RegisteredSchema>>>;

    /// The newest version of `subject`.
    fn latest(&self, subject: &str) -> Result<Option<Arc<RegisteredSchema>>>;

    /// One version of `subject`, from 1.
    fn version(&self, subject: &str, version: i32) -> Result<Option<Arc<RegisteredSchema>>>;

    /// The subjects that have a version with the schema of that id.
    fn subjects_of(&self, id: i32) -> Result<Vec<String>>;

    /// Delete `subject`, if it is there; its schemas can still be read by id.
    fn delete_subject(&self, subject: &str) -> Result<()>;
}

/// A registry that remembers that it could not be asked.
pub(crate) struct Watched {
    inner: Arc<dyn SchemaRegistry>,
    outage: Mutex<Option<Error>>,
}

impl Watched {
    pub fn new(inner: Arc<dyn SchemaRegistry>) -> Watched {
        Watched { inner, outage: Mutex::new(None) }
    }

    /// The last time that it could not be asked, since this was asked last.
    pub fn outage(&self) -> Option<Error> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn noted<T>(&self, answer: Result<T>) -> Result<T> {
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Unavailable
        {
            *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        answer
    }
}

impl SchemaRegistry for Watched {
    fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32> {
        self.noted(self.inner.register(subject, schema))
    }

    fn import(&self, subject: &str, id: i32, schema: &SchemaText) -> Result<()> {
        self.noted(self.inner.import(subject, id, schema))
    }

    fn by_id(&self, id: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        self.noted(self.inner.by_id(id))
    }

    fn latest(&self, subject: &str) -> Result<Option<Arc<RegisteredSchema>>> {
        self.noted(self.inner.latest(subject))
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        self.noted(self.inner.version(subject, version))
    }

    fn subjects_of(&self, id: i32) -> Result<Vec<String>> {
        self.noted(self.inner.subjects_of(id))
    }

    fn delete_subject(&self, subject: &str) -> Result<()> {
        self.noted(self.inner.delete_subject(subject))
    }
}

/// Where records come from or go to, for formats that need more than the columns.
#[derive(Clone, Default)]
pub struct FormatContext {
    /// Where schemas are; formats with [`crate::Format::uses_registry`] need it.
    pub registry: Option<Arc<dyn SchemaRegistry>>,
    /// The topic, which gives the subjects their names.
    pub topic: String,
    /// Encoders of keys: a key whose columns are all NULL is written as such, if it is an object; else it is no key.
    pub whole_keys: bool,
}

impl FormatContext {
    /// Whether a row whose columns are all NULL has no key.
    pub(crate) fn null_is_no_key(&self, part: Part) -> bool {
        part == Part::Key && !self.whole_keys
    }
}

impl std::fmt::Debug for FormatContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FormatContext {{ registry: {}, topic: {:?} }}", self.registry.is_some(), self.topic)
    }
}

impl FormatContext {
    /// The subject of a side of the topic's records.
    pub fn subject(&self, part: Part) -> String {
        match part {
            Part::Key => format!("{}-key", self.topic),
            Part::Value => format!("{}-value", self.topic),
        }
    }

    /// The registry, which `format` cannot do without.
    pub(crate) fn registry(&self, format: &str) -> Result<&Arc<dyn SchemaRegistry>> {
        self.registry.as_ref().ok_or_else(|| Error::invalid(format!("the {format} format needs a schema registry")))
    }

    /// The schema that a side of the topic has: that of `id`, or the newest of its subject.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn schema(&self, format: &str, part: Part, id: Option<i32>) -> Result<Arc<RegisteredSchema>> {
        let registry = self.registry(format)?;
        let side = match part {
            Part::Key => "keys",
            Part::Value => "values",
        };
        let missing = |what: String| {
            Error::invalid(format!(
                "Schema for message {side} on topic '{}' does not exist in the Schema Registry: {what}",
                self.topic
            ))
        };
        match id {
            Some(id) => registry.by_id(id)?.ok_or_else(|| missing(format!("no schema has the id {id}"))),
            None => {
                let subject = self.subject(part);
                registry.latest(&subject)?.ok_or_else(|| missing(format!("no subject is named {subject}")))
            }
        }
    }
}

/// The texts of the schemas that `schema` imports, and of those that they import, each after what it needs, by the name
/// that it is imported by.
///
/// # Errors
/// One is not there, or there are too many.
pub(crate) fn references(
    schema: &SchemaText,
    registry: Option<&dyn SchemaRegistry>,
) -> Result<Vec<(String, String)>, String> {
    let (mut met, mut out) = (Vec::new(), Vec::new());
    if let Some(registry) = registry {
        collect(&schema.references, registry, &mut met, &mut out)?;
    }
    Ok(out)
}

fn collect(
    references: &[SchemaReference],
    registry: &dyn SchemaRegistry,
    met: &mut Vec<String>,
    out: &mut Vec<(String, String)>,
) -> Result<(), String> {
    for reference in references {
        if met.contains(&reference.name) {
            continue;
        }
        if met.len() >= REFERENCES_MAX {
            return Err(format!("a schema with more than {REFERENCES_MAX} references"));
        }
        met.push(reference.name.clone());
        let found = registry.version(&reference.subject, reference.version).map_err(|e| e.to_string())?;
        let missing = || format!("the registry has no version {} of {}", reference.version, reference.subject);
        let found = found.ok_or_else(missing)?;
        collect(&found.schema.references, registry, met, out)?;
        out.push((reference.name.clone(), found.schema.text.clone()));
    }
    Ok(())
}

/// The schema's id and the payload of a record.
///
/// # Errors
/// The record does not begin as it must.
pub(crate) fn split_header(record: &[u8]) -> Result<(i32, &[u8]), String> {
    match record {
        [MAGIC, a, b, c, d, payload @ ..] => Ok((i32::from_be_bytes([*a, *b, *c, *d]), payload)),
        [MAGIC, ..] => Err(format!("expected a schema id of 4 bytes, found the end (byte {})", record.len())),
        [first, ..] => Err(format!("expected a record with a schema id (first byte 0), found {first} (byte 0)")),
        [] => Err("expected a record with a schema id, found no bytes".to_owned()),
    }
}

/// Append the header for a schema's id.
pub(crate) fn write_header(id: i32, out: &mut Vec<u8>) {
    out.push(MAGIC);
    out.extend_from_slice(&id.to_be_bytes());
}

/// A registry in memory: for tests, and for those who keep it elsewhere and load it at the start.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_id: BTreeMap<i32, Arc<RegisteredSchema>>,
    ids: HashMap<SchemaText, i32>,
    subjects: BTreeMap<String, Vec<i32>>,
}

impl MemoryRegistry {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Add a version of `subject` under an id of the caller's choice.
    ///
    /// # Errors
    /// The id belongs to another schema.
    pub fn insert(&self, subject: &str, id: i32, schema: &SchemaText) -> Result<()> {
        let mut state = self.state();
        if let Some(other) = state.by_id.get(&id).filter(|other| other.schema != *schema) {
            return Err(Error::exists(format!("the schema id {id} is taken by {}", other.schema.text)));
        }
        state.add(subject, id, schema);
        Ok(())
    }

    /// All subjects, sorted.
    pub fn subjects(&self) -> Vec<String> {
        self.state().subjects.keys().cloned().collect()
    }

    /// The ids of a subject's versions, from version 1 on.
    pub fn versions(&self, subject: &str) -> Vec<i32> {
        self.state().subjects.get(subject).cloned().unwrap_or_default()
    }
}

impl State {
    fn add(&mut self, subject: &str, id: i32, schema: &SchemaText) {
        let registered = || Arc::new(RegisteredSchema { id, schema: schema.clone() });
        self.by_id.entry(id).or_insert_with(registered);
        self.ids.entry(schema.clone()).or_insert(id);
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        if !versions.contains(&id) {
            versions.push(id);
        }
    }

    fn of(&self, id: Option<&i32>) -> Option<Arc<RegisteredSchema>> {
        id.and_then(|id| self.by_id.get(id)).cloned()
    }
}

impl SchemaRegistry for MemoryRegistry {
    fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32> {
        let mut state = self.state();
        let next = state.by_id.keys().next_back().map_or(1, |last| last.saturating_add(1));
        let id = state.ids.get(schema).copied().unwrap_or(next);
        state.add(subject, id, schema);
        Ok(id)
    }

    fn import(&self, subject: &str, id: i32, schema: &SchemaText) -> Result<()> {
        self.insert(subject, id, schema)
    }

    fn by_id(&self, id: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        Ok(self.state().of(Some(&id)))
    }

    fn latest(&self, subject: &str) -> Result<Option<Arc<RegisteredSchema>>> {
        let state = self.state();
        Ok(state.of(state.subjects.get(subject).and_then(|versions| versions.last())))
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        let state = self.state();
        let place = usize::try_from(version).ok().and_then(|v| v.checked_sub(1));
        let versions = state.subjects.get(subject);
        Ok(state.of(place.and_then(|place| versions.and_then(|v| v.get(place)))))
    }

    fn subjects_of(&self, id: i32) -> Result<Vec<String>> {
        let state = self.state();
        let having = state.subjects.iter().filter(|(_, versions)| versions.contains(&id));
        Ok(having.map(|(subject, _)| subject.clone()).collect())
    }

    fn delete_subject(&self, subject: &str) -> Result<()> {
        self.state().subjects.remove(subject);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shared_and_versions_count_from_one() {
        let registry = MemoryRegistry::default();
        let schema = |text: &str| SchemaText { ty: SchemaType::Avro, text: text.to_owned(), references: Vec::new() };
        assert_eq!(registry.register("a-value", &schema("\"int\"")), Ok(1));
        assert_eq!(registry.register("b-value", &schema("\"int\"")), Ok(1));
        assert_eq!(registry.register("a-value", &schema("\"long\"")), Ok(2));
        assert_eq!(registry.insert("a-value", 100, &schema("\"string\"")), Ok(()));
        assert!(registry.insert("a-value", 1, &schema("\"string\"")).is_err());
        let id = |found: Result<Option<Arc<RegisteredSchema>>>| found.ok().flatten().map(|s| s.id);
        assert_eq!((id(registry.latest("a-value")), id(registry.version("a-value", 1))), (Some(100), Some(1)));
        assert_eq!((id(registry.version("a-value", 0)), id(registry.latest("c"))), (None, None));
        assert_eq!(registry.register("c", &schema("\"bytes\"")), Ok(101));
        let mut subjects = registry.subjects_of(1).unwrap_or_default();
        subjects.sort();
        assert_eq!((subjects, registry.subjects_of(7)), (vec!["a-value".to_owned(), "b-value".to_owned()], Ok(vec![])));
    }
}
