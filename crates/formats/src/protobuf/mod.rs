//! PROTOBUF and PROTOBUF_NOSR: Protocol Buffers, with and without a schema in the registry.
//!
//! With one, a record begins with the schema's id and the place of its message in the `.proto` file; without, it is
//! the message alone, of the file that the columns would get. Columns are always fields of a message.

pub(crate) mod compatibility;
mod derive;
pub(crate) mod descriptor;
mod parse;
mod read;
mod schema;
mod write;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use types::{Column, Error, Namespace, Result, SqlType};

use self::schema::Schema;
use crate::{
    Decoder, Encoder, Format, FormatSpec, Part,
    check::{self, Abilities},
    fault::Fault,
    registry::{
        FormatContext, HEADER_BYTES, SchemaRegistry, SchemaText, SchemaType, Watched, references, split_header,
        write_header,
    },
    rows::{ReadRecord, Reading, WriteRow, Writing},
    source::View,
    tape::{CELLS_MAX, Source, Tape},
};

/// Levels of messages within messages that a record can begin at.
const PATH_MAX: u64 = 32;

/// The format PROTOBUF.
#[derive(Debug)]
pub struct Protobuf;

/// The format PROTOBUF_NOSR.
#[derive(Debug)]
pub struct ProtobufNoSr;

fn check(format: &'static str, registry: bool, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
    let abilities = Abilities {
        name: format,
        delimiter: false,
        schema: registry,
        nullable_representation: true,
        wraps: true,
        unwraps: false,
    };
    check::side(abilities, part, columns, spec)?;
    derive::check("PROTOBUF", columns)
}

impl Format for Protobuf {
    fn name(&self) -> &'static str {
        "PROTOBUF"
    }

    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
        check(self.name(), true, part, columns, spec)
    }

    fn decoder(&self, part: Part, columns: &[Column], wanted: &[usize], spec: &FormatSpec) -> Result<Box<dyn Decoder>> {
        self.decoder_in(part, columns, wanted, spec, &FormatContext::default())
    }

    fn encoder(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<Box<dyn Encoder>> {
        self.encoder_in(part, columns, spec, &FormatContext::default())
    }

    fn decoder_in(
        &self,
        part: Part,
        columns: &[Column],
        wanted: &[usize],
        spec: &FormatSpec,
        context: &FormatContext,
    ) -> Result<Box<dyn Decoder>> {
        self.check(part, columns, spec)?;
        let picked = check::pick(columns, wanted)?;
        let registry = Some(Arc::clone(context.registry(self.name())?));
        Ok(Box::new(Reading::new(Reader::new(registry, &picked), &picked)))
    }

    fn encoder_in(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        context: &FormatContext,
    ) -> Result<Box<dyn Encoder>> {
        self.check(part, columns, spec)?;
        let registry = context.registry(self.name())?;
        let (id, text) = match spec.schema_id {
            Some(id) => (id, context.schema(self.name(), part, Some(id))?.schema.clone()),
            None => {
                let text = derived(columns, spec);
                (registry.register(&context.subject(part), &text)?, text)
            }
        };
        let schema = load(&text, Some(registry.as_ref())).map_err(Error::invalid)?;
        let message = find(&schema, spec)?;
        let mut header = Vec::new();
        write_header(id, &mut header);
        match schema.message(message).path.as_slice() {
            [0] => header.push(0),
            path => {
                write_place(path.len(), &mut header);
                path.iter().for_each(|place| write_place(*place, &mut header));
            }
        }
        Ok(Box::new(Writing::new(
            Writer::new(header, &schema, message, columns, context.null_is_no_key(part))?,
            columns,
        )))
    }

    fn infer(&self, part: Part, spec: &FormatSpec, context: &FormatContext) -> Result<Vec<Column>> {
        let registered = context.schema(self.name(), part, spec.schema_id)?;
        let schema = load(&registered.schema, context.registry.as_deref()).map_err(Error::invalid)?;
        let rename = if spec.schema_id.is_some() { str::to_owned } else { str::to_uppercase };
        let Some(SqlType::Struct(fields)) = schema.struct_of(find(&schema, spec)?, rename) else {
            return Err(Error::unsupported("the Protobuf message has no field with a SQL type"));
        };
        let namespace = if part == Part::Key { Namespace::Key } else { Namespace::Value };
        let column = |f: types::StructField| Column { name: f.name, ty: f.ty, namespace: namespace.clone() };
        Ok(fields.into_iter().map(column).collect())
    }

    fn schema(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        _: &FormatContext,
    ) -> Result<Option<SchemaText>> {
        self.check(part, columns, spec)?;
        Ok(Some(derived(columns, spec)))
    }

    fn wrapping_is_optional(&self) -> bool {
        false
    }

    fn writes_null_key(&self) -> bool {
        true
    }

    fn uses_registry(&self) -> bool {
        true
    }

    fn infers(&self) -> bool {
        true
    }
}

impl Format for ProtobufNoSr {
    fn name(&self) -> &'static str {
        "PROTOBUF_NOSR"
    }

    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
        check(self.name(), false, part, columns, spec)
    }

    fn decoder(&self, part: Part, columns: &[Column], wanted: &[usize], spec: &FormatSpec) -> Result<Box<dyn Decoder>> {
        self.check(part, columns, spec)?;
        let picked = check::pick(columns, wanted)?;
        let schema = load(&derived(columns, spec), None).map_err(Error::invalid)?;
        let mut reader = Reader::new(None, &picked);
        let plan = reader.make_plan(&schema, find(&schema, spec)?);
        reader.plans.insert((0, Vec::new()), plan);
        Ok(Box::new(Reading::new(reader, &picked)))
    }

    fn encoder(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<Box<dyn Encoder>> {
        self.encoder_in(part, columns, spec, &FormatContext::default())
    }

    fn encoder_in(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        context: &FormatContext,
    ) -> Result<Box<dyn Encoder>> {
        self.check(part, columns, spec)?;
        let schema = load(&derived(columns, spec), None).map_err(Error::invalid)?;
        let null_is_no_key = context.null_is_no_key(part);
        let writer = Writer::new(Vec::new(), &schema, find(&schema, spec)?, columns, null_is_no_key)?;
        Ok(Box::new(Writing::new(writer, columns)))
    }

    fn wrapping_is_optional(&self) -> bool {
        false
    }

    fn writes_null_key(&self) -> bool {
        true
    }
}

fn derived(columns: &[Column], spec: &FormatSpec) -> SchemaText {
    SchemaText { ty: SchemaType::Protobuf, text: derive::schema(columns, spec), references: Vec::new() }
}

/// Parse a schema with what it refers to.
pub(crate) fn load(schema: &SchemaText, registry: Option<&dyn SchemaRegistry>) -> Result<Schema, String> {
    let files: BTreeMap<_, _> = references(schema, registry)?.into_iter().collect();
    parse::parse(&schema.text, &|name| files.get(name).cloned())
}

/// The message that the options name, or the first.
fn find(schema: &Schema, spec: &FormatSpec) -> Result<usize> {
    let name = spec.schema_full_name.as_deref();
    schema.named(name).ok_or_else(|| match name {
        Some(name) => Error::invalid(format!("the Protobuf schema has no message {name}")),
        None => Error::invalid("the Protobuf schema has no message"),
    })
}

/// A place in the file, as the header writes it: zigzag.
fn write_place(n: usize, out: &mut Vec<u8>) {
    write::varint(u64::try_from(n).unwrap_or(0) << 1, out);
}

/// A schema's id and a message's path in it.
type MessageKey = (i32, Vec<usize>);

struct Reader {
    registry: Option<Watched>,
    wanted: Vec<(String, SqlType)>,
    plans: HashMap<MessageKey, read::MessagePlan>,
    /// The message of the record at hand.
    key: MessageKey,
    found: Vec<read::Found>,
}

impl Reader {
    fn new(registry: Option<Arc<dyn SchemaRegistry>>, wanted: &[&Column]) -> Reader {
        let wanted = wanted.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
        let registry = registry.map(Watched::new);
        Reader { registry, wanted, plans: HashMap::new(), key: (0, Vec::new()), found: Vec::new() }
    }

    fn make_plan(&self, schema: &Schema, message: usize) -> read::MessagePlan {
        let wanted: Vec<_> = self.wanted.iter().map(|(name, ty)| (name.as_str(), ty)).collect();
        read::message(schema, message, &wanted)
    }

    /// Read the header: what the record is, and where its message begins.
    fn header(&mut self, record: &[u8]) -> Result<usize, String> {
        let (id, _) = split_header(record)?;
        self.key.0 = id;
        self.key.1.clear();
        let mut at = HEADER_BYTES;
        let mut next = || read::varint(record, &mut at, record.len()).map(|n| n >> 1).map_err(|f| f.render());
        let count = next()?;
        if count > PATH_MAX {
            return Err(Fault::new(HEADER_BYTES, format!("a message {count} levels deep")).render());
        }
        if count == 0 {
            self.key.1.push(0);
        }
        for _ in 0..count {
            self.key.1.push(usize::try_from(next()?).unwrap_or(usize::MAX));
        }
        Ok(at)
    }

    fn plan(&mut self) -> Result<(), String> {
        if self.plans.contains_key(&self.key) {
            return Ok(());
        }
        let Some(registry) = &self.registry else { return Err("no schema".to_owned()) };
        let id = self.key.0;
        let found = registry.by_id(id).map_err(|e| e.to_string())?;
        let found = found.ok_or_else(|| format!("the schema registry has no schema {id} (byte 1)"))?;
        if found.schema.ty != SchemaType::Protobuf {
            return Err(format!("the schema {id} is not a Protobuf schema (byte 1)"));
        }
        let schema = load(&found.schema, Some(registry))?;
        let message = schema.at_path(&self.key.1);
        let message = message.ok_or_else(|| format!("the schema {id} has no message at {:?} (byte 5)", self.key.1))?;
        let plan = self.make_plan(&schema, message);
        self.plans.insert(self.key.clone(), plan);
        Ok(())
    }
}

impl ReadRecord for Reader {
    fn read<'a>(&mut self, record: &'a [u8], tape: &mut Tape) -> Result<Source<'a>, String> {
        let start = if self.registry.is_some() { self.header(record)? } else { 0 };
        self.plan()?;
        let plan = self.plans.get(&self.key).ok_or("no schema")?;
        tape.reserve(self.wanted.len()).ok_or_else(|| format!("more than {CELLS_MAX} columns"))?;
        self.found.clear();
        let mut input = read::Input { record, found: &mut self.found };
        input.message(plan, tape, 0, (start, record.len())).map_err(|f| f.render())?;
        Ok(Source::Bytes(record))
    }

    fn outage(&mut self) -> Option<types::Error> {
        self.registry.as_ref().and_then(Watched::outage)
    }
}

struct Writer {
    header: Vec<u8>,
    plan: write::MessagePlan,
    /// A key whose columns are all NULL is no key.
    null_is_no_key: bool,
}

impl Writer {
    fn new(
        header: Vec<u8>,
        schema: &Schema,
        message: usize,
        columns: &[Column],
        null_is_no_key: bool,
    ) -> Result<Writer> {
        let columns: Vec<_> = columns.iter().map(|c| (c.name.as_str(), &c.ty)).collect();
        let mismatch = |why| Error::type_mismatch(format!("the columns do not fit the Protobuf schema: {why}"));
        let plan = write::message(schema, message, &columns).map_err(mismatch)?;
        Ok(Writer { header, plan, null_is_no_key })
    }
}

impl WriteRow for Writer {
    fn write(&mut self, columns: &[View<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        if self.null_is_no_key && columns.iter().all(|c| c.is_null(row)) {
            return Ok(false);
        }
        out.extend_from_slice(&self.header);
        write::row(columns, &self.plan, row, out)?;
        Ok(true)
    }
}
