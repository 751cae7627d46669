//! Bytes ⇄ Arrow columns, one file per format, each in the list at [`FORMATS`].
//!
//! A format turns the keys or the values of records into columns and back, a batch at a time, for only the columns
//! that somebody needs. A record that cannot be read costs one row: it comes back as a row of nulls and an entry in
//! the list of row errors, never as an error of the batch.
//!
//! Invariant: knows no query, no topic and no stream.

mod avro;
mod check;
pub mod compatibility;
mod delimited;
mod fault;
mod json;
mod json_sr;
mod kafka;
mod none;
mod number;
mod protobuf;
mod registry;
mod rows;
mod sink;
mod source;
mod tape;

use arrow::{array::ArrayRef, buffer::BooleanBuffer};
use types::{Column, Error, Result, did_you_mean};

pub use avro::Avro;
pub use delimited::Delimited;
pub use json::Json;
pub use json_sr::JsonSr;
pub use kafka::Kafka;
pub use none::NoFormat;
pub use protobuf::{Protobuf, ProtobufNoSr};
pub use registry::{
    FormatContext, MemoryRegistry, RegisteredSchema, SchemaReference, SchemaRegistry, SchemaText, SchemaType,
};

/// Every format, by name.
pub const FORMATS: &[&dyn Format] = &[&Avro, &Delimited, &Json, &JsonSr, &Kafka, &NoFormat, &Protobuf, &ProtobufNoSr];

/// The format of that name, in any case.
///
/// # Errors
/// No such format; the hint has the nearest name.
pub fn format(name: &str) -> Result<&'static dyn Format> {
    if let Some(found) = FORMATS.iter().find(|f| f.name().eq_ignore_ascii_case(name)) {
        return Ok(*found);
    }
    let names = || FORMATS.iter().map(|f| f.name());
    let hint = match did_you_mean(name, names()) {
        Some(near) => format!("Did you mean {near}?"),
        None => format!("The formats are {}.", names().collect::<Vec<_>>().join(", ")),
    };
    Err(Error::invalid(format!("Unknown format: {name}")).with_hint(hint))
}

/// Whether columns live in a record's key or in its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// What WITH (…) says about one side's format.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct FormatSpec {
    /// `JSON`, `DELIMITED`, `KAFKA`, `NONE`, … upper case.
    pub name: String,
    /// VALUE_DELIMITER, KEY_DELIMITER: one character, or SPACE or TAB.
    pub delimiter: Option<String>,
    /// WRAP_SINGLE_VALUE: whether a single column is a field of an object; `None`: the format's own default (values
    /// are wrapped, keys are not).
    pub wrap_single: Option<bool>,
    /// KEY_SCHEMA_ID, VALUE_SCHEMA_ID.
    pub schema_id: Option<i32>,
    /// KEY_SCHEMA_FULL_NAME, VALUE_SCHEMA_FULL_NAME.
    pub schema_full_name: Option<String>,
    /// VALUE_PROTOBUF_NULLABLE_REPRESENTATION and the like, by property name.
    pub extra: std::collections::BTreeMap<String, String>,
}

/// What went wrong with one record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// Its place in the batch.
    pub row: usize,
    /// What was expected and found, and where in the record.
    pub message: String,
}

/// Bytes → columns for a fixed list of columns.
pub trait Decoder: Send {
    /// Decode `records` (null: a tombstone, or no key) into rows behind those pushed before. A null record gives a row
    /// of nulls. A bad record gives a row of nulls and an entry in `errors` (in order of rows, at most one a row; rows
    /// count from the last [`Decoder::finish`]).
    fn push(&mut self, records: &[Option<&[u8]>], errors: &mut Vec<RowError>);

    /// The rows pushed: one array per wanted column, of the Arrow type of the column. The next push begins anew.
    fn finish(&mut self) -> Vec<ArrayRef>;

    /// What kept records of the last push from being read though nothing is wrong with them: the schema registry cannot
    /// be asked. They are to be read again later, by another decoder.
    fn outage(&mut self) -> Option<types::Error> {
        None
    }

    /// The rows of `records` at once.
    fn decode(&mut self, records: &[Option<&[u8]>], errors: &mut Vec<RowError>) -> Vec<ArrayRef> {
        self.push(records, errors);
        self.finish()
    }
}

/// Columns → bytes for a fixed list of columns.
pub trait Encoder: Send {
    /// Append `rows` rows of `columns` to `out`. Rows set in `tombstones` become null. A row that has no encoding
    /// (say, a NULL where the format has none) becomes null too and gets an entry in `errors`.
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        tombstones: Option<&BooleanBuffer>,
        out: &mut EncodedRows,
        errors: &mut Vec<RowError>,
    );
}

/// Encoded rows in one buffer.
#[derive(Debug, Default, Clone)]
pub struct EncodedRows {
    /// All bytes.
    pub data: Vec<u8>,
    /// For each row the end of its bytes in `data`; a null row ends where the one before it does.
    pub ends: Vec<usize>,
    /// For each row whether it is null.
    pub nulls: Vec<bool>,
}

impl EncodedRows {
    /// Rows so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of row `row`: `None` when it is null or not there.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        if *self.nulls.get(row)? {
            return None;
        }
        let start = if row == 0 { 0 } else { *self.ends.get(row - 1)? };
        self.data.get(start..*self.ends.get(row)?)
    }

    /// End a row whose bytes were appended to `data`.
    pub fn finish(&mut self) {
        self.ends.push(self.data.len());
        self.nulls.push(false);
    }

    /// End a null row.
    pub fn finish_null(&mut self) {
        self.ends.push(self.data.len());
        self.nulls.push(true);
    }

    /// Forget all rows, keep the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
        self.nulls.clear();
    }
}

/// A format: checks and makers.
pub trait Format: Send + Sync {
    /// Upper case, as in WITH.
    fn name(&self) -> &'static str;

    /// Whether the format can carry these columns on that side with those options; the error names the culprit
    /// (column, type or option).
    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()>;

    /// A decoder for `columns` (all columns of that side, in order), which returns only those at the places `wanted`,
    /// in that order.
    fn decoder(&self, part: Part, columns: &[Column], wanted: &[usize], spec: &FormatSpec) -> Result<Box<dyn Decoder>>;

    /// An encoder for `columns`.
    fn encoder(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<Box<dyn Encoder>>;

    /// As [`Format::decoder`], for a topic and with a schema registry.
    fn decoder_in(
        &self,
        part: Part,
        columns: &[Column],
        wanted: &[usize],
        spec: &FormatSpec,
        _context: &FormatContext,
    ) -> Result<Box<dyn Decoder>> {
        self.decoder(part, columns, wanted, spec)
    }

    /// As [`Format::encoder`], for a topic and with a schema registry. Registers the columns' schema, unless the
    /// options name a schema by id.
    fn encoder_in(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        _context: &FormatContext,
    ) -> Result<Box<dyn Encoder>> {
        self.encoder(part, columns, spec)
    }

    /// The columns that the registered schema of a side has. Names are upper case, unless the options name the schema
    /// by its id: then they are as in the schema.
    fn infer(&self, _part: Part, _spec: &FormatSpec, _context: &FormatContext) -> Result<Vec<Column>> {
        Err(Error::unsupported(format!("the {} format has no schema from which columns can be inferred", self.name())))
    }

    /// The schema that columns have in the registry; `None` for formats without.
    fn schema(
        &self,
        _part: Part,
        _columns: &[Column],
        _spec: &FormatSpec,
        _context: &FormatContext,
    ) -> Result<Option<SchemaText>> {
        Ok(None)
    }

    /// Whether a single column may be wrapped or not by WRAP_SINGLE_VALUE.
    fn wrapping_is_optional(&self) -> bool;

    /// Whether a key of one column that is NULL can be written and is a key all the same, where
    /// [`FormatContext::whole_keys`] asks for it.
    fn writes_null_key(&self) -> bool {
        false
    }

    /// Whether the format finds its schema in a registry.
    fn uses_registry(&self) -> bool {
        false
    }

    /// Whether the format has a schema from which columns can be inferred, by [`Format::infer`].
    fn infers(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_every_name_is_found() {
        let names: Vec<_> = FORMATS.iter().map(|f| f.name()).collect();
        assert!(names.is_sorted(), "{names:?}");
        for name in names {
            assert_eq!(format(&name.to_lowercase()).map(|f| f.name()), Ok(name));
        }
    }

    #[test]
    fn an_unknown_format_is_named_with_the_nearest() {
        let error = format("JSN").err().expect("no such format");
        assert_eq!((error.message(), error.hint()), ("Unknown format: JSN", Some("Did you mean JSON?")));
        let error = format("FOO").err().expect("no such format");
        assert_eq!(
            error.hint(),
            Some("The formats are AVRO, DELIMITED, JSON, JSON_SR, KAFKA, NONE, PROTOBUF, PROTOBUF_NOSR.")
        );
    }
}
