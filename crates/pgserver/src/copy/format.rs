//! Delimiters, quotes and NULL of a COPY, and how a field is written.

use bytes::{BufMut, BytesMut};
use syntax::ast::CopyOptions;
use types::{Error, Result};

/// How the lines of a COPY look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyFormat {
    /// CSV rather than text.
    pub(crate) csv: bool,
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Stands for NULL.
    pub(crate) null: String,
    /// The first line holds names.
    pub(crate) header: bool,
    /// Around fields of CSV; also escapes itself.
    pub(crate) quote: u8,
}

impl CopyFormat {
    /// The format that a COPY's options ask for.
    pub(crate) fn new(options: &CopyOptions) -> Result<CopyFormat> {
        let byte = |c: char, what: &str| {
            u8::try_from(c).ok().filter(|b| b.is_ascii() && !matches!(b, b'\n' | b'\r' | 0)).ok_or_else(|| {
                Error::new(types::ErrorKind::User, "22023", format!("COPY {what} must be one ASCII character"))
            })
        };
        let default_delimiter = if options.csv { ',' } else { '\t' };
        let delimiter = byte(options.delimiter.unwrap_or(default_delimiter), "delimiter")?;
        if !options.csv && options.quote.is_some() {
            return Err(Error::unsupported("COPY quote available only in CSV mode"));
        }
        let quote = byte(options.quote.unwrap_or('"'), "quote")?;
        if options.csv && quote == delimiter {
            return Err(Error::invalid("COPY delimiter and quote must be different"));
        }
        if !options.csv && (delimiter == b'\\' || delimiter == b'.' || delimiter.is_ascii_alphanumeric()) {
            return Err(Error::invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
        }
        let null = options.null.clone().unwrap_or_else(|| if options.csv { "" } else { "\\N" }.to_owned());
        if null.contains(['\n', '\r']) {
            return Err(Error::invalid("COPY null representation cannot use newline or carriage return"));
        }
        Ok(CopyFormat { csv: options.csv, delimiter, null, header: options.header, quote })
    }

    /// Writes a field that is not NULL.
    pub(crate) fn put_field(&self, out: &mut BytesMut, field: &[u8]) {
        if self.csv {
            return self.put_csv(out, field);
        }
        for byte in field {
            let escaped = match byte {
                b'\\' => b'\\',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x08 => b'b',
                0x0b => b'v',
                0x0c => b'f',
                b if *b == self.delimiter => *b,
                b => {
                    out.put_u8(*b);
                    continue;
                }
            };
            out.put_slice(&[b'\\', escaped]);
        }
    }

    /// Writes the line of names.
    pub(crate) fn put_header(&self, out: &mut BytesMut, names: &[&str]) {
        for (i, name) in names.iter().enumerate() {
            if i > 0 {
                out.put_u8(self.delimiter);
            }
            self.put_field(out, name.as_bytes());
        }
        out.put_u8(b'\n');
    }

    fn put_csv(&self, out: &mut BytesMut, field: &[u8]) {
        let special = |b: &u8| *b == self.delimiter || *b == self.quote || matches!(b, b'\n' | b'\r');
        if field != self.null.as_bytes() && field != b"\\." && !field.iter().any(special) {
            return out.put_slice(field);
        }
        out.put_u8(self.quote);
        for byte in field {
            if *byte == self.quote {
                out.put_u8(self.quote);
            }
            out.put_u8(*byte);
        }
        out.put_u8(self.quote);
    }
}
