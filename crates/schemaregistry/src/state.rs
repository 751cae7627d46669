//! What the registry holds, as a function of its entries: pure, so that running the topic again gives the same.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use formats::{RegisteredSchema, SchemaText};

use crate::{
    Deleted, Level, Mode, RegistryError, Version,
    entry::{Key, SchemaValue, Value},
};

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectVersion {
    /// The subject.
    pub subject: String,
    /// The version, from 1.
    pub version: i32,
    /// The schema and its id.
    pub schema: Arc<RegisteredSchema>,
    /// Whether it is deleted, softly.
    pub deleted: bool,
}

/// Subjects, schemas, settings.
#[derive(Debug, Default)]
pub(crate) struct State {
    subjects: BTreeMap<String, BTreeMap<i32, (Arc<RegisteredSchema>, bool)>>,
    by_id: BTreeMap<i32, Arc<RegisteredSchema>>,
    ids: HashMap<SchemaText, i32>,
    levels: BTreeMap<Option<String>, Level>,
    modes: BTreeMap<Option<String>, Mode>,
}

impl State {
    /// Take in an entry.
    ///
    /// # Errors
    /// Its key and value do not belong together, or are from a later version.
    pub fn apply(&mut self, key: &Key, value: Option<&Value>) -> Result<(), String> {
        match (key, value) {
            (Key::Schema { subject, version }, Some(Value::Schema(value))) => self.put(subject, *version, value)?,
            (Key::Schema { subject, version }, None) => self.remove(subject, *version),
            (Key::Config { subject }, Some(Value::Config { compatibility })) => {
                self.levels.insert(subject.clone(), *compatibility);
            }
            (Key::Config { subject }, None) => {
                self.levels.remove(subject);
            }
            (Key::Mode { subject }, Some(Value::Mode { mode })) => {
                self.modes.insert(subject.clone(), *mode);
            }
            (Key::Mode { subject }, None) => {
                self.modes.remove(subject);
            }
            (key, value) => return Err(format!("{key:?} cannot have {value:?}")),
        }
        Ok(())
    }

    fn put(&mut self, subject: &str, version: i32, value: &SchemaValue) -> Result<(), String> {
        let schema = value.text()?;
        let registered = self.by_id.entry(value.id).or_insert_with(|| {
            let id = value.id;
            Arc::new(RegisteredSchema { id, schema: schema.clone() })
        });
        self.ids.entry(schema).or_insert(value.id);
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        versions.insert(version, (registered.clone(), value.deleted));
        Ok(())
    }

    fn remove(&mut self, subject: &str, version: i32) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some((schema, _)) = versions.remove(&version) else { return };
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let used = self.subjects.values().flat_map(BTreeMap::values).any(|(other, _)| other.id == schema.id);
        if !used {
            self.by_id.remove(&schema.id);
            self.ids.retain(|_, id| *id != schema.id);
        }
    }

    /// Names of subjects that have a version.
    pub fn subjects(&self, deleted: Deleted) -> impl Iterator<Item = &str> {
        let shown = move |versions: &BTreeMap<i32, (Arc<RegisteredSchema>, bool)>| match deleted {
            Deleted::With => true,
            Deleted::Without => versions.values().any(|(_, deleted)| !deleted),
        };
        self.subjects.iter().filter(move |(_, versions)| shown(versions)).map(|(name, _)| name.as_str())
    }

    /// A subject's versions, oldest first.
    pub fn versions(&self, subject: &str, deleted: Deleted) -> Vec<SubjectVersion> {
        let of = |(version, (schema, gone)): (&i32, &(Arc<RegisteredSchema>, bool))| SubjectVersion {
            subject: subject.to_owned(),
            version: *version,
            schema: schema.clone(),
            deleted: *gone,
        };
        let versions = self.subjects.get(subject).into_iter().flatten().map(of);
        versions.filter(|v| deleted == Deleted::With || !v.deleted).collect()
    }

    /// One version.
    pub fn version(&self, subject: &str, version: Version, deleted: Deleted) -> Result<SubjectVersion, RegistryError> {
        let versions = self.versions(subject, deleted);
        let missing = || RegistryError::SubjectNotFound(subject.to_owned());
        let last = versions.last().ok_or_else(missing)?;
        match version {
            Version::Latest => Ok(last.clone()),
            Version::Number(number) => {
                let found = versions.iter().find(|v| v.version == number).cloned();
                found.ok_or_else(|| RegistryError::VersionNotFound(subject.to_owned(), number))
            }
        }
    }

    /// The number that a new version gets: deleted ones keep theirs.
    pub fn next_version(&self, subject: &str) -> i32 {
        self.subjects.get(subject).and_then(|v| v.keys().next_back()).map_or(1, |last| last.saturating_add(1))
    }

    /// The id of a schema that is known.
    pub fn id_of(&self, schema: &SchemaText) -> Option<i32> {
        self.ids.get(schema).copied()
    }

    /// The id of a schema that is new.
    pub fn next_id(&self) -> i32 {
        self.by_id.keys().next_back().map_or(1, |last| last.saturating_add(1))
    }

    /// The schema of that id.
    pub fn by_id(&self, id: i32) -> Option<Arc<RegisteredSchema>> {
        self.by_id.get(&id).cloned()
    }

    /// Every version of every subject with that id.
    pub fn versions_of_id(&self, id: i32, deleted: Deleted) -> Vec<SubjectVersion> {
        let all = self.subjects.keys().flat_map(|subject| self.versions(subject, deleted));
        all.filter(|v| v.schema.id == id).collect()
    }

    /// Ids of the schemas that refer to that version.
    pub fn referenced_by(&self, subject: &str, version: i32) -> Vec<i32> {
        let refers = |v: &SubjectVersion| {
            v.schema.schema.references.iter().any(|r| r.subject == subject && r.version == version)
        };
        let all = self.subjects.keys().flat_map(|other| self.versions(other, Deleted::Without));
        let mut ids: Vec<_> = all.filter(refers).map(|v| v.schema.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The level set for the subject (`None`: for all), if one is set.
    pub fn own_level(&self, subject: Option<&str>) -> Option<Level> {
        self.levels.get(&subject.map(str::to_owned)).copied()
    }

    /// The level that holds.
    pub fn level(&self, subject: &str) -> Level {
        self.own_level(Some(subject)).or(self.own_level(None)).unwrap_or(Level::Backward)
    }

    /// The mode set for the subject (`None`: for all), if one is set.
    pub fn own_mode(&self, subject: Option<&str>) -> Option<Mode> {
        self.modes.get(&subject.map(str::to_owned)).copied()
    }

    /// The mode that holds.
    pub fn mode(&self, subject: &str) -> Mode {
        self.own_mode(Some(subject)).or(self.own_mode(None)).unwrap_or(Mode::ReadWrite)
    }
}
