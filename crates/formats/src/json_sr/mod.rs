//! JSON_SR: JSON after the id of a JSON Schema in the registry.
//!
//! The schema says which columns there are; reading needs only the columns, so records of any id are read as JSON.

pub(crate) mod compatibility;
mod schema;

use std::sync::Arc;

use types::{Column, Error, Result};

use crate::{
    Decoder, Encoder, Format, FormatSpec, Part,
    avro::columns_of,
    check::{self, Abilities},
    json::{decode, encode, text_keys, wraps},
    registry::{FormatContext, HEADER_BYTES, SchemaText, SchemaType, split_header, write_header},
    rows::{ReadRecord, Reading, WriteRow, Writing},
    source::View,
    tape::{Source, Tape},
};

/// The format JSON_SR.
#[derive(Debug)]
pub struct JsonSr;

impl Format for JsonSr {
    fn name(&self) -> &'static str {
        "JSON_SR"
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
        text_keys(columns)
    }

    fn decoder(&self, part: Part, columns: &[Column], wanted: &[usize], spec: &FormatSpec) -> Result<Box<dyn Decoder>> {
        self.check(part, columns, spec)?;
        let picked = check::pick(columns, wanted)?;
        let json = decode::Reader::new(&picked, wraps(part, columns, spec)).after(HEADER_BYTES);
        Ok(Box::new(Reading::new(Reader { json }, &picked)))
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
        let wrapped = wraps(part, columns, spec);
        let json = encode::Writer::new(columns, wrapped, context.null_is_no_key(part));
        let (id, json) = match spec.schema_id {
            Some(id) => {
                let registered = context.schema(self.name(), part, Some(id))?;
                let others = if wrapped { schema::other_fields(&registered.schema.text, columns)? } else { Vec::new() };
                (id, json.with_constants(&others))
            }
            None => {
                let text = schema::derive(columns, wrapped);
                let schema = SchemaText { ty: SchemaType::Json, text, references: Vec::new() };
                (context.registry(self.name())?.register(&context.subject(part), &schema)?, json)
            }
        };
        Ok(Box::new(Writing::new(Writer { id, json }, columns)))
    }

    fn infer(&self, part: Part, spec: &FormatSpec, context: &FormatContext) -> Result<Vec<Column>> {
        let registered: Arc<_> = context.schema(self.name(), part, spec.schema_id)?;
        let rename = if spec.schema_id.is_some() { str::to_owned } else { str::to_uppercase };
        let ty = schema::sql_type(&registered.schema.text, rename)?;
        Ok(columns_of(part, spec, ty.ok_or_else(|| Error::unsupported("the JSON schema has no SQL type"))?))
    }

    fn schema(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        _: &FormatContext,
    ) -> Result<Option<SchemaText>> {
        self.check(part, columns, spec)?;
        let text = schema::derive(columns, wraps(part, columns, spec));
        Ok(Some(SchemaText { ty: SchemaType::Json, text, references: Vec::new() }))
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

struct Reader {
    json: decode::Reader,
}

impl ReadRecord for Reader {
    fn read<'a>(&mut self, record: &'a [u8], tape: &mut Tape) -> Result<Source<'a>, String> {
        split_header(record).map_err(|why| match record.first() {
            Some(b'{' | b'[' | b'"') => format!("{why}; JSON reads records without one"),
            _ => why,
        })?;
        self.json.read(record, tape)
    }
}

struct Writer {
    id: i32,
    json: encode::Writer,
}

impl WriteRow for Writer {
    fn write(&mut self, columns: &[View<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        write_header(self.id, out);
        self.json.write(columns, row, out)
    }
}
