//! NONE: a side of a record that is not read and not written. The key format of streams without key columns.

use arrow::{array::ArrayRef, buffer::BooleanBuffer};
use types::{Column, Error, Result};

use crate::{
    Decoder, EncodedRows, Encoder, Format, FormatSpec, Part, RowError,
    check::{self, Abilities},
};

/// The format NONE.
#[derive(Debug)]
pub struct NoFormat;

impl Format for NoFormat {
    fn name(&self) -> &'static str {
        "NONE"
    }

    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
        let abilities = Abilities {
            name: self.name(),
            delimiter: false,
            schema: false,
            nullable_representation: false,
            wraps: false,
            unwraps: false,
        };
        check::side(abilities, part, columns, spec)?;
        if columns.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "The 'NONE' format can only be used when no columns are defined. Got: {}",
            check::list(columns)
        )))
    }

    fn decoder(&self, part: Part, columns: &[Column], _: &[usize], spec: &FormatSpec) -> Result<Box<dyn Decoder>> {
        self.check(part, columns, spec)?;
        Ok(Box::new(Nothing))
    }

    fn encoder(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<Box<dyn Encoder>> {
        self.check(part, columns, spec)?;
        Ok(Box::new(Nothing))
    }

    fn wrapping_is_optional(&self) -> bool {
        false
    }
}

struct Nothing;

impl Decoder for Nothing {
    fn push(&mut self, _: &[Option<&[u8]>], _: &mut Vec<RowError>) {}

    fn finish(&mut self) -> Vec<ArrayRef> {
        Vec::new()
    }
}

impl Encoder for Nothing {
    fn encode(
        &mut self,
        _: &[ArrayRef],
        rows: usize,
        _: Option<&BooleanBuffer>,
        out: &mut EncodedRows,
        _: &mut Vec<RowError>,
    ) {
        (0..rows).for_each(|_| out.finish_null());
    }
}

#[cfg(test)]
mod tests {
    use types::SqlType;

    use super::*;

    #[test]
    fn no_columns_only() {
        let spec = FormatSpec::default();
        assert!(NoFormat.check(Part::Key, &[], &spec).is_ok());
        let error = NoFormat.check(Part::Key, &[Column::key("BAR", SqlType::Int)], &spec).expect_err("a column");
        assert!(error.message().ends_with("Got: [`BAR` INTEGER KEY]"), "{error}");
        let mut out = EncodedRows::default();
        let mut encoder = NoFormat.encoder(Part::Key, &[], &spec).expect("no columns");
        encoder.encode(&[], 2, None, &mut out, &mut Vec::new());
        assert_eq!(out.nulls, [true, true]);
    }
}
