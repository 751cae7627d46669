//! AVRO: Avro's binary encoding after a schema in the registry, whose id each record begins with.
//!
//! A record is read with the schema that it was written with; fields meet columns by name, so schemas may change. The
//! first record of an id costs a look-up and a plan, the others follow the plan.

pub(crate) mod compatibility;
mod derive;
mod read;
mod schema;
mod write;

use std::{collections::HashMap, sync::Arc};

use types::{Column, Error, Namespace, Result, SqlType};

use self::schema::{Kind, Schema};
use crate::{
    Decoder, Encoder, Format, FormatSpec, Part,
    check::{self, Abilities},
    fault::{Fault, Step},
    json::wraps,
    registry::{
        FormatContext, HEADER_BYTES, SchemaRegistry, SchemaText, SchemaType, Watched, references, split_header,
        write_header,
    },
    rows::{ReadRecord, Reading, WriteRow, Writing},
    source::View,
    tape::{CELLS_MAX, Source, Tape},
};

/// The column of a schema that is not a record: of a key, of a value.
pub(crate) const UNWRAPPED_NAMES: (&str, &str) = ("ROWKEY", "ROWVAL");

/// The format AVRO.
#[derive(Debug)]
pub struct Avro;

impl Format for Avro {
    fn name(&self) -> &'static str {
        "AVRO"
    }

    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
        let abilities = Abilities {
            name: self.name(),
            delimiter: false,
            schema: true,
            nullable_representation: false,
            wraps: true,
            unwraps: true,
        };
        check::side(abilities, part, columns, spec)?;
        if let Some(column) = columns.iter().find(|c| check::has_other_keys(&c.ty)) {
            let message =
                format!("Avro only supports MAPs with STRING keys, and column `{}` is {}", column.name, column.ty);
            return Err(Error::unsupported(message));
        }
        if wraps(part, columns, spec) { derive::check_names(columns) } else { derive::check_types(columns) }
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
        let registry = Arc::clone(context.registry(self.name())?);
        let wanted = picked.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
        let registry = Watched::new(registry);
        let reader = Reader { registry, wanted, wrapped: wraps(part, columns, spec), plans: HashMap::new() };
        Ok(Box::new(Reading::new(reader, &picked)))
    }

    fn encoder_in(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        context: &FormatContext,
    ) -> Result<Box<dyn Encoder>> {
        self.check(part, columns, spec)?;
        let wrapped = wraps(part, columns, spec);
        let (id, schema) = match spec.schema_id {
            Some(id) => (id, context.schema(self.name(), part, Some(id))?.schema.clone()),
            None => {
                let text = derive::schema(part, columns, wrapped, spec, &context.topic);
                let schema = SchemaText { ty: SchemaType::Avro, text, references: Vec::new() };
                (context.registry(self.name())?.register(&context.subject(part), &schema)?, schema)
            }
        };
        let schema = load(&schema, context.registry.as_deref()).map_err(Error::invalid)?;
        let writer = Writer::new(id, schema, columns, wrapped, context.null_is_no_key(part))?;
        Ok(Box::new(Writing::new(writer, columns)))
    }

    fn infer(&self, part: Part, spec: &FormatSpec, context: &FormatContext) -> Result<Vec<Column>> {
        let registered = context.schema(self.name(), part, spec.schema_id)?;
        let schema = load(&registered.schema, context.registry.as_deref()).map_err(Error::invalid)?;
        let rename = if spec.schema_id.is_some() { str::to_owned } else { str::to_uppercase };
        let root = schema.without_null(schema.root).unwrap_or(schema.root);
        let ty = schema.sql_type(root, rename);
        Ok(columns_of(part, spec, ty.ok_or_else(|| Error::unsupported("the Avro schema has no SQL type"))?))
    }

    fn schema(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        context: &FormatContext,
    ) -> Result<Option<SchemaText>> {
        self.check(part, columns, spec)?;
        let text = derive::schema(part, columns, wraps(part, columns, spec), spec, &context.topic);
        Ok(Some(SchemaText { ty: SchemaType::Avro, text, references: Vec::new() }))
    }

    fn wrapping_is_optional(&self) -> bool {
        true
    }

    fn uses_registry(&self) -> bool {
        true
    }

    fn infers(&self) -> bool {
        true
    }
}

/// The columns of a schema whose values have type `ty`: its fields, or itself as one column in keys, where wrapping
/// is said to be off, and where it has no fields.
pub(crate) fn columns_of(part: Part, spec: &FormatSpec, ty: SqlType) -> Vec<Column> {
    let (name, namespace) = match part {
        Part::Key => (UNWRAPPED_NAMES.0, Namespace::Key),
        Part::Value => (UNWRAPPED_NAMES.1, Namespace::Value),
    };
    let column = |name: String, ty: SqlType| Column { name, ty, namespace: namespace.clone() };
    match ty {
        SqlType::Struct(fields) if part == Part::Value && spec.wrap_single != Some(false) => {
            fields.into_iter().map(|f| column(f.name, f.ty)).collect()
        }
        other => vec![column(name.to_owned(), other)],
    }
}

/// Parse a schema with what it refers to.
pub(crate) fn load(schema: &SchemaText, registry: Option<&dyn SchemaRegistry>) -> Result<Schema, String> {
    Schema::parse(&schema.text, &references(schema, registry)?)
}

struct Reader {
    registry: Watched,
    wanted: Vec<(String, SqlType)>,
    wrapped: bool,
    plans: HashMap<i32, (Schema, read::Plan)>,
}

impl Reader {
    fn plan(&mut self, id: i32) -> Result<&(Schema, read::Plan), String> {
        if !self.plans.contains_key(&id) {
            let found = self.registry.by_id(id).map_err(|e| e.to_string())?;
            let found = found.ok_or_else(|| format!("the schema registry has no schema {id} (byte 1)"))?;
            if found.schema.ty != SchemaType::Avro {
                return Err(format!("the schema {id} is not an Avro schema (byte 1)"));
            }
            let schema = load(&found.schema, Some(&self.registry))?;
            let plan = self.make_plan(&schema);
            self.plans.insert(id, (schema, plan));
        }
        self.plans.get(&id).ok_or_else(|| format!("no schema {id}"))
    }

    fn make_plan(&self, schema: &Schema) -> read::Plan {
        if !self.wrapped {
            return match self.wanted.first() {
                Some((_, ty)) => read::plan(schema, schema.root, ty),
                None => read::Plan::Skip(schema.root),
            };
        }
        let wanted: Vec<_> = self.wanted.iter().map(|(name, ty)| (name.as_str(), ty)).collect();
        let branch = |id| match schema.node(id).kind {
            Kind::Null => read::Plan::Null,
            Kind::Record(_) => read::record(schema, id, &wanted),
            _ => read::Plan::Wrong { node: id, message: "expected a record".to_owned() },
        };
        match &schema.node(schema.root).kind {
            Kind::Union(branches) => read::Plan::Union(branches.iter().map(|b| branch(*b)).collect()),
            _ => branch(schema.root),
        }
    }
}

impl ReadRecord for Reader {
    fn read<'a>(&mut self, record: &'a [u8], tape: &mut Tape) -> Result<Source<'a>, String> {
        let (id, _) = split_header(record)?;
        let name = self.wanted.first().map(|(name, _)| name.clone());
        let (width, wrapped) = (self.wanted.len(), self.wrapped);
        let (schema, plan) = self.plan(id)?;
        tape.reserve(width).ok_or_else(|| format!("more than {CELLS_MAX} columns"))?;
        let mut input = read::Input::new(record, HEADER_BYTES);
        let cell = read::value(&mut input, schema, plan, tape, wrapped.then_some(0)).map_err(|fault| match name {
            Some(name) if !wrapped => fault.inside(Step::Field(name)).render(),
            _ => fault.render(),
        })?;
        if !input.is_done() {
            return Err(Fault::new(input.at, "expected the end of the record").render());
        }
        if !wrapped && width > 0 {
            tape.set(0, cell);
        }
        Ok(Source::Bytes(record))
    }

    fn outage(&mut self) -> Option<types::Error> {
        self.registry.outage()
    }
}

struct Writer {
    id: i32,
    plan: write::Plan,
    wrapped: bool,
    /// A key whose columns are all NULL is no key.
    null_is_no_key: bool,
}

impl Writer {
    fn new(id: i32, schema: Schema, columns: &[Column], wrapped: bool, null_is_no_key: bool) -> Result<Writer> {
        let mismatch = |why: String| Error::type_mismatch(format!("the columns do not fit the schema {id}: {why}"));
        let root = schema.without_null(schema.root).unwrap_or(schema.root);
        let plan = match columns {
            [column] if !wrapped => write::plan(&schema, root, &column.ty),
            _ => write::record(&schema, root, &columns.iter().map(|c| (c.name.as_str(), &c.ty)).collect::<Vec<_>>()),
        };
        let plan = plan.map_err(mismatch)?;
        if let Some(field) = plan.unfilled() {
            let why = format!("Unable to serialize records: its field {field} has no default, and no column is it");
            return Err(mismatch(why));
        }
        let plan = match &schema.node(schema.root).kind {
            Kind::Union(branches) => {
                let some = branches.iter().position(|b| *b == root).and_then(|i| i64::try_from(i).ok()).unwrap_or(0);
                write::Plan::Union { some, null: None, inner: Box::new(plan) }
            }
            _ => plan,
        };
        Ok(Writer { id, plan, wrapped, null_is_no_key })
    }
}

impl WriteRow for Writer {
    fn write(&mut self, columns: &[View<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        let all_null = columns.iter().all(|c| c.is_null(row));
        if all_null && (self.null_is_no_key || !self.wrapped) {
            return Ok(false);
        }
        write_header(self.id, out);
        let mut plan = &self.plan;
        if let write::Plan::Union { some, inner, .. } = plan
            && self.wrapped
        {
            write::long(*some, out);
            plan = inner;
        }
        match (plan, columns) {
            (_, [column]) if !self.wrapped => write::value(column, plan, row, out)?,
            (write::Plan::Record(fields), _) => write::record_row(columns, fields, row, out)?,
            _ => return Err("the schema is not a record".to_owned()),
        }
        Ok(true)
    }
}
