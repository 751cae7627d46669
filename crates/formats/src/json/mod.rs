//! JSON: objects with a field per column, or one bare value.
//!
//! Reading is schema-driven: [`scan`] walks the bytes once and validates them, [`decode`] turns the fields that are
//! wanted into typed cells on the way, nothing is built that is not a column. [`encode`] writes straight from the
//! columns.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod scan;
pub(crate) mod shape;
mod stringify;

use types::{Column, Error, Result};

use crate::{
    Decoder, Encoder, Format, FormatContext, FormatSpec, Part,
    check::{self, Abilities},
    rows::{Reading, Writing},
};

/// The format JSON.
#[derive(Debug)]
pub struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
        let abilities = Abilities {
            name: self.name(),
            delimiter: false,
            schema: false,
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
        let reader = decode::Reader::new(&picked, wraps(part, columns, spec));
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
        let null_is_no_key = context.null_is_no_key(part);
        let writer = encode::Writer::new(columns, wraps(part, columns, spec), null_is_no_key);
        let writer = if part == Part::Key && context.whole_keys { writer.with_bare_null() } else { writer };
        Ok(Box::new(Writing::new(writer, columns)))
    }

    fn writes_null_key(&self) -> bool {
        true
    }

    fn wrapping_is_optional(&self) -> bool {
        true
    }
}

/// Whether the columns are fields of an object: always when there are several; one alone is wrapped by default in
/// values and not in keys.
pub(crate) fn wraps(part: Part, columns: &[Column], spec: &FormatSpec) -> bool {
    columns.len() != 1 || spec.wrap_single.unwrap_or(part == Part::Value)
}

/// JSON's objects have text for keys, so MAPs must have.
pub(crate) fn text_keys(columns: &[Column]) -> Result<()> {
    match columns.iter().find(|c| check::has_other_keys(&c.ty)) {
        None => Ok(()),
        Some(column) => Err(Error::unsupported(format!(
            "JSON only supports MAP types with STRING keys, and column `{}` is {}",
            column.name, column.ty
        ))),
    }
}
