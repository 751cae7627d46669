//! KAFKA: one primitive as the serializers that come with Kafka's Java client write it. The default of keys.
//!
//! INT and BIGINT are 4 and 8 bytes big-endian two's complement, DOUBLE 8 bytes IEEE 754 big-endian, STRING UTF-8,
//! BYTES as they are. Nothing is coerced: a record of another length is an error.

use types::{Column, Error, Result, SqlType};

use crate::{
    Decoder, Encoder, Format, FormatSpec, Part,
    check::{self, Abilities},
    rows::{ReadRecord, Reading, WriteRow, Writing},
    source::View,
    tape::{Cell, Range, Source, Tape},
};

/// The format KAFKA.
#[derive(Debug)]
pub struct Kafka;

impl Format for Kafka {
    fn name(&self) -> &'static str {
        "KAFKA"
    }

    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
        let abilities = Abilities {
            name: self.name(),
            delimiter: false,
            schema: false,
            nullable_representation: false,
            wraps: false,
            unwraps: true,
        };
        check::side(abilities, part, columns, spec)?;
        if columns.len() > 1 {
            return Err(Error::unsupported(format!(
                "The 'KAFKA' format only supports a single field. Got: {}",
                check::list(columns)
            )));
        }
        check::types(self.name(), columns, |ty| {
            matches!(ty, SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::String | SqlType::Bytes)
        })
    }

    fn decoder(&self, part: Part, columns: &[Column], wanted: &[usize], spec: &FormatSpec) -> Result<Box<dyn Decoder>> {
        self.check(part, columns, spec)?;
        let wanted = check::pick(columns, wanted)?;
        let types = wanted.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
        Ok(Box::new(Reading::new(Reader { types }, &wanted)))
    }

    fn encoder(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<Box<dyn Encoder>> {
        self.check(part, columns, spec)?;
        Ok(Box::new(Writing::new(Writer, columns)))
    }

    fn wrapping_is_optional(&self) -> bool {
        false
    }
}

struct Reader {
    types: Vec<(String, SqlType)>,
}

impl ReadRecord for Reader {
    fn read<'a>(&mut self, record: &'a [u8], tape: &mut Tape) -> Result<Source<'a>, String> {
        let mut source = Source::Bytes(record);
        for (name, ty) in &self.types {
            let cell = match ty {
                SqlType::String => text(record).map(|text| {
                    source = Source::Text(text);
                    Cell::Raw(Range::new(0, text.len()))
                }),
                _ => value(ty, record),
            };
            tape.cells.push(cell.map_err(|e| format!("column `{name}`: {e}"))?);
        }
        Ok(source)
    }
}

#[inline]
fn text(record: &[u8]) -> Result<&str, String> {
    let wrong = |e: simdutf8::compat::Utf8Error| {
        format!("expected STRING, found a byte that is not UTF-8 (byte {})", e.valid_up_to())
    };
    simdutf8::compat::from_utf8(record).map_err(wrong)
}

fn value(ty: &SqlType, record: &[u8]) -> Result<Cell, String> {
    Ok(match ty {
        SqlType::Int => Cell::Int(i64::from(i32::from_be_bytes(exactly(ty, record)?))),
        SqlType::BigInt => Cell::Int(i64::from_be_bytes(exactly(ty, record)?)),
        SqlType::Double => Cell::Double(f64::from_be_bytes(exactly(ty, record)?)),
        _ => Cell::Raw(Range::new(0, record.len())),
    })
}

fn exactly<const N: usize>(ty: &SqlType, record: &[u8]) -> Result<[u8; N], String> {
    record.try_into().map_err(|_| format!("expected {ty} of {N} bytes, found {} bytes", record.len()))
}

struct Writer;

impl WriteRow for Writer {
    fn write(&mut self, columns: &[View<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        let Some(column) = columns.first() else { return Ok(false) };
        if column.is_null(row) {
            return Ok(false);
        }
        match column {
            View::Int(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            View::BigInt(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            View::Double(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            View::String(a) => out.extend_from_slice(a.value(row).as_bytes()),
            View::Bytes(a) => out.extend_from_slice(a.value(row)),
            _ => return Err("KAFKA has no encoding of this type".to_owned()),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EncodedRows, RowError};

    /// Decode `record`, and encode what came back: the bytes must be the same.
    fn check(ty: SqlType, record: Option<&[u8]>, error: Option<&str>) {
        let (columns, spec) = ([Column::key("K", ty)], FormatSpec::default());
        let mut errors: Vec<RowError> = Vec::new();
        let mut decoder = Kafka.decoder(Part::Key, &columns, &[0], &spec).expect("a decoder");
        let arrays = decoder.decode(&[record], &mut errors);
        assert_eq!(errors.first().map(|e| e.message.as_str()), error);
        let mut out = EncodedRows::default();
        let mut encoder = Kafka.encoder(Part::Key, &columns, &spec).expect("an encoder");
        encoder.encode(&arrays, 1, None, &mut out, &mut errors);
        assert_eq!(out.get(0), if error.is_some() { None } else { record });
    }

    #[test]
    fn primitives_there_and_back() {
        check(SqlType::Int, Some(&[0xff, 0xff, 0xff, 0xfe]), None);
        check(SqlType::BigInt, Some(&[0, 0, 0, 0, 0, 0, 1, 2]), None);
        check(SqlType::Double, Some(&[0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18]), None);
        check(SqlType::String, Some("é".as_bytes()), None);
        check(SqlType::String, Some(b""), None);
        check(SqlType::Bytes, Some(&[0xff, 0]), None);
        check(SqlType::BigInt, None, None);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        check(SqlType::Int, Some(&[1]), Some("column `K`: expected INTEGER of 4 bytes, found 1 bytes"));
        let utf8 = "column `K`: expected STRING, found a byte that is not UTF-8 (byte 1)";
        check(SqlType::String, Some(&[b'a', 0xff]), Some(utf8));
    }

    #[test]
    fn one_primitive_only() {
        let spec = FormatSpec::default();
        let refused = |columns: &[Column]| Kafka.check(Part::Key, columns, &spec).expect_err("refused").to_string();
        let decimal = refused(&[Column::key("K", SqlType::Decimal { precision: 2, scale: 1 })]);
        assert_eq!(decimal, "The 'KAFKA' format does not support type 'DECIMAL', column: `K`");
        let two = refused(&[Column::key("A", SqlType::Int), Column::key("B", SqlType::Int)]);
        assert_eq!(two, "The 'KAFKA' format only supports a single field. Got: [`A` INTEGER KEY, `B` INTEGER KEY]");
    }
}
