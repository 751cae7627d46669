//! The schema registry that is built in: subjects, versions and ids, kept in a topic of the log.

use std::sync::Arc;

use formats::{
    FormatContext, MemoryRegistry, Part, RegisteredSchema, SchemaReference, SchemaRegistry, SchemaText, SchemaType,
};
use parking_lot::Mutex;
use recordlog::{
    Append, Commit, RecordLog, TopicPartition,
    batch::{BatchBuilder, Compression},
};
use serde::{Deserialize, Serialize};
use types::{Error, Result};

/// Its topic.
pub(crate) const SCHEMAS_TOPIC: &str = "_millstream-schemas";

/// A registry whose entries are records of a topic.
pub(crate) struct LoggedRegistry {
    memory: MemoryRegistry,
    log: Arc<dyn RecordLog>,
    /// One registration at a time.
    writing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    subject: String,
    id: i32,
    language: String,
    schema: String,
    references: Vec<(String, String, i32)>,
}

fn language(ty: SchemaType) -> &'static str {
    match ty {
        SchemaType::Avro => "AVRO",
        SchemaType::Json => "JSON",
        SchemaType::Protobuf => "PROTOBUF",
    }
}

impl LoggedRegistry {
    /// The registry as the log has it.
    pub fn open(log: Arc<dyn RecordLog>) -> Result<LoggedRegistry> {
        let memory = MemoryRegistry::default();
        let entries: Vec<Entry> = crate::statements::read_json(&*log, SCHEMAS_TOPIC)?;
        for entry in entries {
            let ty = match entry.language.as_str() {
                "AVRO" => SchemaType::Avro,
                "JSON" => SchemaType::Json,
                "PROTOBUF" => SchemaType::Protobuf,
                other => return Err(Error::corrupt(format!("a schema of {} is in {other}", entry.subject))),
            };
            let reference =
                |(name, subject, version): (String, String, i32)| SchemaReference { name, subject, version };
            let references = entry.references.into_iter().map(reference).collect();
            memory.insert(&entry.subject, entry.id, &SchemaText { ty, text: entry.schema, references })?;
        }
        Ok(LoggedRegistry { memory, log, writing: Mutex::default() })
    }

    /// Append a version to the topic, and wait until it is there.
    fn write(&self, subject: &str, id: i32, schema: &SchemaText) -> Result<()> {
        let references = schema.references.iter().map(|r| (r.name.clone(), r.subject.clone(), r.version)).collect();
        let (language, schema) = (language(schema.ty).to_string(), schema.text.clone());
        let entry = Entry { subject: subject.to_string(), id, language, schema, references };
        let json = serde_json::to_vec(&entry).map_err(|e| Error::internal(e.to_string()))?;
        let mut builder = BatchBuilder::with_capacity(json.len() + 64);
        let fail = |e| Error::internal(format!("schema registry: {e}"));
        builder.push(None, Some(&json), 0, &[]).map_err(fail)?;
        let batches = builder.finish(Compression::None).map_err(fail)?;
        let partition = TopicPartition::new(SCHEMAS_TOPIC, 0);
        let ticket = self.log.commit(Commit { appends: vec![Append { partition, batches }] });
        // The log has a thread of its own: waiting for it here holds up nobody that it waits for.
        let committed = futures::executor::block_on(ticket).map_err(|_| Error::unavailable("the log is closed"))?;
        committed.map(drop).map_err(runtime::log_error)
    }
}

impl SchemaRegistry for LoggedRegistry {
    fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32> {
        let _one_at_a_time = self.writing.lock();
        let before = self.memory.versions(subject).len();
        let id = self.memory.register(subject, schema)?;
        if self.memory.versions(subject).len() > before {
            self.write(subject, id, schema)?;
        }
        Ok(id)
    }

    fn import(&self, subject: &str, id: i32, schema: &SchemaText) -> Result<()> {
        let _one_at_a_time = self.writing.lock();
        let before = self.memory.versions(subject).len();
        self.memory.insert(subject, id, schema)?;
        if self.memory.versions(subject).len() > before {
            self.write(subject, id, schema)?;
        }
        Ok(())
    }

    fn by_id(&self, id: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        self.memory.by_id(id)
    }

    fn latest(&self, subject: &str) -> Result<Option<Arc<RegisteredSchema>>> {
        self.memory.latest(subject)
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Arc<RegisteredSchema>>> {
        self.memory.version(subject, version)
    }
}

/// Register the schemas of a source's keys and values, where its formats have any. `only_missing`: not under subjects
/// that have one already (a source over a topic that others write).
pub(crate) fn register(registry: &Arc<dyn SchemaRegistry>, source: &catalog::Source, only_missing: bool) -> Result<()> {
    let context = FormatContext { registry: Some(registry.clone()), topic: source.topic.clone(), ..Default::default() };
    let key: Vec<_> = source.schema.key().cloned().collect();
    let value: Vec<_> = source.schema.value().cloned().collect();
    for (part, columns, spec) in [(Part::Key, key, &source.key_format), (Part::Value, value, &source.value_format)] {
        let format = formats::format(&spec.name)?;
        if !format.uses_registry() || columns.is_empty() || spec.schema_id.is_some() {
            continue;
        }
        let subject = context.subject(part);
        if only_missing && registry.latest(&subject)?.is_some() {
            continue;
        }
        if let Some(schema) = format.schema(part, &columns, spec, &context)? {
            registry.register(&subject, &schema)?;
        }
    }
    Ok(())
}
