//! The registry: checks a change against the state, writes it to the log, then lets it be seen.

use std::{sync::Arc, time::Duration};

use formats::{RegisteredSchema, SchemaRegistry, SchemaText, compatibility};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use recordlog::{
    Append, Commit, Offset, RecordLog, TopicPartition,
    batch::{BatchBuilder, Compression},
    replay,
};
use types::{Error, Result};

use crate::{
    Change, ChangeAnswer, Deleted, Leader, Level, Mode, RegistryError, SubjectVersion, Version,
    change::{Addition, Changed, version_of},
    entry::{Key, SchemaValue, Value},
    state::State,
};

/// Bytes of the longest schema that is taken.
const SCHEMA_BYTES_MAX: usize = 512 << 10;

/// What another process has changed is waited for so long, a look at a time.
const FOLLOW_LOOKS: usize = 2000;
const FOLLOW_PAUSE: Duration = Duration::from_millis(10);

type Checked<T> = std::result::Result<T, RegistryError>;

/// Subjects, versions and settings, as the log has them.
pub struct Registry {
    state: RwLock<State>,
    log: Arc<dyn RecordLog>,
    /// Its topic's one partition.
    partition: TopicPartition,
    /// One change at a time.
    writing: Mutex<()>,
    /// Who may change it, where several processes have it; what others have changed is read before it answers.
    leader: Option<Box<dyn Leader>>,
    /// Where the topic was read to.
    next: Mutex<Offset>,
}

impl Registry {
    /// The registry as `topic` has it, which exists.
    ///
    /// # Errors
    /// The topic cannot be read; the error names the record.
    pub fn open(log: Arc<dyn RecordLog>, topic: &str) -> Result<Registry> {
        let registry = Registry {
            state: RwLock::default(),
            log,
            partition: TopicPartition::new(topic, 0),
            writing: Mutex::default(),
            leader: None,
            next: Mutex::default(),
        };
        registry.read_on()?;
        Ok(registry)
    }

    /// As one of several over the same topic, in processes of which one at a time may change it: the others have it make
    /// their changes.
    #[must_use]
    pub fn shared(self, leader: impl Leader) -> Registry {
        Registry { leader: Some(Box::new(leader)), ..self }
    }

    /// Make a change, here or where the leader is.
    fn carry_out(&self, change: &Change) -> Checked<Changed> {
        match &self.leader {
            Some(leader) if !leader.is_here() => {
                let answer = leader.change(change).map_err(RegistryError::Store)?;
                let next = answer.next;
                let changed = answer.outcome()?;
                self.follow(next);
                Ok(changed)
            }
            _ => self.make(change),
        }
    }

    /// Make a change that another process hands to this one.
    pub fn answer(&self, change: &Change) -> ChangeAnswer {
        let outcome = self.make(change);
        let next = match self.read_on() {
            Ok(()) => *self.next.lock(),
            Err(_) => 0,
        };
        ChangeAnswer::new(outcome, next)
    }

    /// Wait until what stands before an offset is read, so that a client sees what it has changed; not for ever.
    fn follow(&self, next: Offset) {
        for _ in 0..FOLLOW_LOOKS {
            if self.read_on().is_ok() && *self.next.lock() >= next {
                return;
            }
            std::thread::sleep(FOLLOW_PAUSE);
        }
    }

    fn make(&self, change: &Change) -> Checked<Changed> {
        match change {
            Change::Add(addition) => self.insert(addition).map(|added| Changed::of(&added)),
            Change::DeleteSubject { subject, permanent } => self.delete_all(subject, *permanent).map(Changed::Numbers),
            Change::DeleteVersion { subject, version, permanent } => {
                let gone = self.delete_one(subject, version_of(*version), *permanent)?;
                Ok(Changed::Numbers(vec![gone]))
            }
            Change::SetLevel(subject, level) => {
                let _one_at_a_time = self.writing.lock();
                let key = Key::Config { subject: subject.clone() };
                self.write(&[(key, level.map(|compatibility| Value::Config { compatibility }))])?;
                Ok(Changed::Nothing)
            }
            Change::SetMode(subject, mode) => {
                let _one_at_a_time = self.writing.lock();
                let key = Key::Mode { subject: subject.clone() };
                self.write(&[(key, mode.map(|mode| Value::Mode { mode }))])?;
                Ok(Changed::Nothing)
            }
        }
    }

    /// Read what was added to the topic.
    fn read_on(&self) -> types::Result<()> {
        let (mut next, partition) = (self.next.lock(), &self.partition);
        let failed = |e: recordlog::LogError| Error::corrupt(e.to_string());
        *next = replay(&*self.log, partition, *next, failed, |record| {
            let damaged =
                |e: String| Error::corrupt(format!("{partition} is damaged at offset {}: {e}", record.offset));
            let key = serde_json::from_slice(record.key.unwrap_or_default());
            let key: Key = key.map_err(|e| damaged(e.to_string()))?;
            let value = record.value.map(serde_json::from_slice).transpose();
            let value: Option<Value> = value.map_err(|e| damaged(e.to_string()))?;
            self.state.write().apply(&key, value.as_ref()).map_err(damaged)
        })?;
        Ok(())
    }

    /// What is known, others' changes included.
    fn state(&self) -> RwLockReadGuard<'_, State> {
        if self.leader.is_some()
            && let Err(error) = self.read_on()
        {
            tracing::warn!(%error, "schemas that other processes have registered cannot be read");
        }
        self.state.read()
    }

    /// Make entries durable, then visible. The caller holds `writing`.
    fn write(&self, entries: &[(Key, Option<Value>)]) -> Checked<()> {
        let fail = |e: &dyn std::fmt::Display| RegistryError::Store(e.to_string());
        let mut builder = BatchBuilder::with_capacity(256);
        for (key, value) in entries {
            let key = serde_json::to_vec(key).map_err(|e| fail(&e))?;
            let value = value.as_ref().map(serde_json::to_vec).transpose().map_err(|e| fail(&e))?;
            builder.push(Some(&key), value.as_deref(), 0, &[]).map_err(|e| fail(&e))?;
        }
        let batches = builder.finish(Compression::None).map_err(|e| fail(&e))?;
        let append = Append { partition: self.partition.clone(), batches: batches.into() };
        match &self.leader {
            Some(leader) => leader.write(append).map_err(|e| fail(&e))?,
            None => {
                let ticket = self.log.commit(Commit::of(vec![append]));
                // The log has a thread of its own: waiting for it here holds up nobody that it waits for.
                let committed = futures::executor::block_on(ticket).map_err(|_| fail(&"the log is closed"))?;
                committed.map_err(|e| fail(&e))?;
            }
        }
        let mut state = self.state.write();
        entries.iter().try_for_each(|(key, value)| state.apply(key, value.as_ref())).map_err(|e| fail(&e))
    }

    /// Names of subjects, sorted.
    pub fn subjects(&self, deleted: Deleted) -> Vec<String> {
        self.state().subjects(deleted).map(str::to_owned).collect()
    }

    /// A subject's versions, oldest first.
    ///
    /// # Errors
    /// There are none.
    pub fn versions(&self, subject: &str, deleted: Deleted) -> Checked<Vec<SubjectVersion>> {
        let versions = self.state().versions(subject, deleted);
        if versions.is_empty() {
            return Err(RegistryError::SubjectNotFound(subject.to_owned()));
        }
        Ok(versions)
    }

    /// One version of a subject.
    ///
    /// # Errors
    /// It is not there.
    pub fn version_of(&self, subject: &str, version: Version, deleted: Deleted) -> Checked<SubjectVersion> {
        self.state().version(subject, version, deleted)
    }

    /// The schema of an id.
    ///
    /// # Errors
    /// No schema has it.
    pub fn schema(&self, id: i32) -> Checked<Arc<RegisteredSchema>> {
        let missing = || RegistryError::SchemaNotFound(format!("Schema {id} not found"));
        self.state().by_id(id).ok_or_else(missing)
    }

    /// Every version of every subject that is the schema of an id.
    ///
    /// # Errors
    /// No schema has it.
    pub fn versions_of_id(&self, id: i32, deleted: Deleted) -> Checked<Vec<SubjectVersion>> {
        self.schema(id)?;
        Ok(self.state().versions_of_id(id, deleted))
    }

    /// Ids of the schemas that refer to a version.
    ///
    /// # Errors
    /// The version is not there.
    pub fn referenced_by(&self, subject: &str, version: Version) -> Checked<Vec<i32>> {
        let state = self.state();
        let version = state.version(subject, version, Deleted::With)?.version;
        Ok(state.referenced_by(subject, version))
    }

    fn canonical(&self, schema: &SchemaText, normalize: bool) -> Checked<SchemaText> {
        let invalid = |why: String| RegistryError::InvalidSchema { language: schema.ty.name(), why };
        if schema.text.len() > SCHEMA_BYTES_MAX {
            return Err(invalid(format!("it has {} bytes, {SCHEMA_BYTES_MAX} are allowed", schema.text.len())));
        }
        compatibility::canonical(schema, Some(self), normalize).map_err(invalid)
    }

    /// The version of `subject` that is this schema.
    ///
    /// # Errors
    /// It is not a schema, or no version is it.
    pub fn lookup(
        &self,
        subject: &str,
        schema: &SchemaText,
        normalize: bool,
        deleted: Deleted,
    ) -> Checked<SubjectVersion> {
        let wanted = self.canonical(schema, normalize)?;
        let sorted = self.canonical(schema, true)?;
        let versions = self.versions(subject, deleted)?;
        let same = |v: &&SubjectVersion| v.schema.schema == wanted || v.schema.schema == sorted;
        let missing = || RegistryError::SchemaNotFound("Schema not found".to_owned());
        versions.iter().rev().find(same).cloned().ok_or_else(missing)
    }

    /// Add a version, unless the subject has the schema; what is there then.
    ///
    /// # Errors
    /// It is not a schema, does not fit earlier versions, or the log does not take it.
    pub fn add(&self, subject: &str, schema: &SchemaText, normalize: bool) -> Checked<SubjectVersion> {
        self.carry_out(&Change::Add(Addition { normalize, ..Addition::new(subject, schema) }))?.version()
    }

    /// Add a version under an id and a number of the caller's choice, in mode import.
    ///
    /// # Errors
    /// The mode is another, the id is another schema's, or the log does not take it.
    pub fn import(&self, subject: &str, schema: &SchemaText, id: i32, version: Option<i32>) -> Checked<SubjectVersion> {
        self.carry_out(&Change::Add(Addition { id: Some(id), version, ..Addition::new(subject, schema) }))?.version()
    }

    fn insert(&self, wanted: &Addition) -> Checked<SubjectVersion> {
        let subject = wanted.subject.as_str();
        let schema = self.canonical(&wanted.text()?, wanted.normalize)?;
        let _one_at_a_time = self.writing.lock();
        let (id, version) = {
            let state = self.state();
            if wanted.id.is_none()
                && let Some(same) =
                    state.versions(subject, Deleted::Without).into_iter().rev().find(|v| v.schema.schema == schema)
            {
                return Ok(same);
            }
            let mode = state.mode(subject);
            let refuse =
                |why: &str| Err(RegistryError::OperationNotPermitted(subject.to_owned(), mode.name(), why.to_owned()));
            match (mode, wanted.id) {
                _ if wanted.any_mode => {}
                (Mode::ReadOnly, _) => return refuse("nothing can be registered"),
                (Mode::Import, None) => return refuse("a schema needs its id"),
                (Mode::ReadWrite, Some(_)) => return refuse("a schema cannot bring its id"),
                (Mode::ReadWrite, None) | (Mode::Import, Some(_)) => {}
            }
            if let Some(id) = wanted.id
                && state.by_id(id).is_some_and(|other| other.schema != schema)
            {
                return Err(RegistryError::IdTaken(id));
            }
            let id = wanted.id.or_else(|| state.id_of(&schema)).unwrap_or_else(|| state.next_id());
            (id, wanted.version.unwrap_or_else(|| state.next_version(subject)))
        };
        if wanted.id.is_none() {
            let level = self.state().level(subject);
            let reasons = self.faults(subject, &schema, None)?;
            if !reasons.is_empty() {
                return Err(RegistryError::Incompatible { subject: subject.to_owned(), level, reasons });
            }
        }
        let key = Key::Schema { subject: subject.to_owned(), version };
        self.write(&[(key, Some(Value::Schema(SchemaValue::new(id, &schema, false))))])?;
        self.version_of(subject, Version::Number(version), Deleted::Without)
    }

    /// What keeps `schema` from following the versions of `subject`, at the level that holds; or, with `against`, from
    /// following that version alone.
    ///
    /// # Errors
    /// It is not a schema, or the version is not there.
    pub fn test(&self, subject: &str, schema: &SchemaText, against: Option<Version>) -> Checked<Vec<String>> {
        let schema = self.canonical(schema, false)?;
        self.faults(subject, &schema, against)
    }

    fn faults(&self, subject: &str, schema: &SchemaText, against: Option<Version>) -> Checked<Vec<String>> {
        let (level, versions) = {
            let state = self.state();
            let versions = match against {
                Some(version) => vec![state.version(subject, version, Deleted::Without)?],
                None => state.versions(subject, Deleted::Without),
            };
            (state.level(subject), versions)
        };
        let considered = match level.is_transitive() || against.is_some() {
            true => versions.as_slice(),
            false => versions.last().map(std::slice::from_ref).unwrap_or_default(),
        };
        let mut found = Vec::new();
        for earlier in considered.iter().rev() {
            let invalid = |why: String| RegistryError::InvalidSchema { language: schema.ty.name(), why };
            let mut compare = |reader: &SchemaText, writer: &SchemaText, which: &str| -> Checked<()> {
                let reasons = compatibility::incompatibilities(reader, writer, Some(self)).map_err(invalid)?;
                found.extend(reasons.into_iter().map(|why| format!("{which} version {}: {why}", earlier.version)));
                Ok(())
            };
            if level.is_backward() {
                compare(schema, &earlier.schema.schema, "reading the data of")?;
            }
            if level.is_forward() {
                compare(&earlier.schema.schema, schema, "being read by")?;
            }
        }
        Ok(found)
    }

    /// Delete a subject: softly, so that its schemas can still be read by id, or for good what is deleted softly. The
    /// versions that this was about.
    ///
    /// # Errors
    /// It is not there, is deleted already or not yet, or others refer to it.
    pub fn delete_subject(&self, subject: &str, permanent: bool) -> Checked<Vec<i32>> {
        self.carry_out(&Change::DeleteSubject { subject: subject.to_owned(), permanent })?.numbers()
    }

    fn delete_all(&self, subject: &str, permanent: bool) -> Checked<Vec<i32>> {
        let _one_at_a_time = self.writing.lock();
        let all = self.versions(subject, Deleted::With)?;
        let live: Vec<_> = all.iter().filter(|v| !v.deleted).cloned().collect();
        let affected = match (permanent, live.is_empty()) {
            (true, false) => return Err(RegistryError::SubjectNotSoftDeleted(subject.to_owned())),
            (false, true) => return Err(RegistryError::SubjectSoftDeleted(subject.to_owned())),
            (true, true) => all,
            (false, false) => live,
        };
        self.delete(&affected, permanent)
    }

    /// Delete one version, as [`Registry::delete_subject`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_version(&self, subject: &str, version: Version, permanent: bool) -> Checked<i32> {
        let number = match version {
            Version::Latest => None,
            Version::Number(number) => Some(number),
        };
        let change = Change::DeleteVersion { subject: subject.to_owned(), version: number, permanent };
        let gone = self.carry_out(&change)?.numbers()?;
        gone.first().copied().ok_or_else(|| RegistryError::SubjectNotFound(subject.to_owned()))
    }

    fn delete_one(&self, subject: &str, version: Version, permanent: bool) -> Checked<i32> {
        let _one_at_a_time = self.writing.lock();
        let seen = if version == Version::Latest && !permanent { Deleted::Without } else { Deleted::With };
        let found = self.version_of(subject, version, seen)?;
        match (permanent, found.deleted) {
            (true, false) => Err(RegistryError::VersionNotSoftDeleted(subject.to_owned(), found.version)),
            (false, true) => Err(RegistryError::VersionSoftDeleted(subject.to_owned(), found.version)),
            _ => {
                self.delete(std::slice::from_ref(&found), permanent)?;
                Ok(found.version)
            }
        }
    }

    fn delete(&self, versions: &[SubjectVersion], permanent: bool) -> Checked<Vec<i32>> {
        let mut entries = Vec::with_capacity(versions.len());
        for version in versions {
            let SubjectVersion { subject, version: number, schema, .. } = version;
            if self.state().mode(subject) == Mode::ReadOnly {
                let why = "nothing can be deleted".to_owned();
                return Err(RegistryError::OperationNotPermitted(subject.clone(), Mode::ReadOnly.name(), why));
            }
            let users = self.state().referenced_by(subject, *number);
            if !users.is_empty() {
                return Err(RegistryError::ReferenceExists(subject.clone(), *number, users));
            }
            let key = Key::Schema { subject: subject.clone(), version: *number };
            let gone = || Value::Schema(SchemaValue::new(schema.id, &schema.schema, true));
            entries.push((key, (!permanent).then(gone)));
        }
        self.write(&entries)?;
        Ok(versions.iter().map(|v| v.version).collect())
    }

    /// The level of a subject, or with `None` of all that have none of their own. `fallback`: where a subject has none,
    /// that of all.
    ///
    /// # Errors
    /// The subject has none of its own.
    pub fn level(&self, subject: Option<&str>, fallback: bool) -> Checked<Level> {
        let state = self.state();
        match subject {
            None => Ok(state.own_level(None).unwrap_or(Level::Backward)),
            Some(subject) if fallback => Ok(state.level(subject)),
            Some(subject) => {
                state.own_level(Some(subject)).ok_or_else(|| RegistryError::NoSubjectLevel(subject.to_owned()))
            }
        }
    }

    /// Set a level; with `None` take it away.
    ///
    /// # Errors
    /// The log does not take it.
    pub fn set_level(&self, subject: Option<&str>, level: Option<Level>) -> Checked<()> {
        self.carry_out(&Change::SetLevel(subject.map(str::to_owned), level)).map(drop)
    }

    /// The mode of a subject, as [`Registry::level`].
    ///
    /// # Errors
    /// The subject has none of its own.
    pub fn mode(&self, subject: Option<&str>, fallback: bool) -> Checked<Mode> {
        let state = self.state();
        match subject {
            None => Ok(state.own_mode(None).unwrap_or(Mode::ReadWrite)),
            Some(subject) if fallback => Ok(state.mode(subject)),
            Some(subject) => {
                state.own_mode(Some(subject)).ok_or_else(|| RegistryError::NoSubjectMode(subject.to_owned()))
            }
        }
    }

    /// Set a mode; with `None` take it away.
    ///
    /// # Errors
    /// The log does not take it.
    pub fn set_mode(&self, subject: Option<&str>, mode: Option<Mode>) -> Checked<()> {
        self.carry_out(&Change::SetMode(subject.map(str::to_owned), mode)).map(drop)
    }
}

impl SchemaRegistry for Registry {
    fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32> {
        Ok(self.add(subject, schema, false)?.schema.id)
    }

    fn import(&self, subject: &str, id: i32, schema: &SchemaText) -> Result<()> {
        let wanted = Addition { id: Some(id), any_mode: true, ..Addition::new(subject, schema) };
        let canonical = self.canonical(schema, false)?;
        let same = |v: &SubjectVersion| v.schema.id == id && v.schema.schema == canonical;
        if self.versions(subject, Deleted::Without).is_ok_and(|versions| versions.last().is_some_and(same)) {
            return Ok(());
        }
        self.carry_out(&Change::Add(wanted)).map(drop)?;
        Ok(())
    }

    fn by_id(&self, id: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        Ok(self.state().by_id(id))
    }

    fn latest(&self, subject: &str) -> Result<Option<Arc<RegisteredSchema>>> {
        Ok(self.version_of(subject, Version::Latest, Deleted::Without).ok().map(|v| v.schema))
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        // Deleted softly, it can still be referred to.
        Ok(self.version_of(subject, Version::Number(version), Deleted::With).ok().map(|v| v.schema))
    }

    fn subjects_of(&self, id: i32) -> Result<Vec<String>> {
        let versions = self.state().versions_of_id(id, Deleted::Without);
        Ok(versions.into_iter().map(|v| v.subject).collect())
    }

    fn delete_subject(&self, subject: &str) -> Result<()> {
        match Registry::delete_subject(self, subject, false) {
            Ok(_) | Err(RegistryError::SubjectNotFound(_) | RegistryError::SubjectSoftDeleted(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
