//! DELIMITED: one line of separated values, quoted as Apache Commons CSV 1.4 reads and writes its default format.
//!
//! ksqlDB's files and topics were written by that library, so its rules are the format: a quote counts only at the
//! start of a value, blanks are kept, an empty value is NULL, and what could mislead a reader is quoted: a first value
//! that does not start with an ASCII letter or digit, a value that starts with `#` or less or ends with a blank.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use types::{Column, Error, Result, SqlType};

use crate::{
    Decoder, Encoder, Format, FormatContext, FormatSpec, Part,
    check::{self, Abilities},
    number,
    rows::{ReadRecord, Reading, WriteRow, Writing},
    source::View,
    tape::{Cell, Range, Source, Tape},
};

/// Base64 as Java's encoder writes it; on reading, padding may be missing.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Milliseconds of a day: every TIME is less.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The format DELIMITED.
#[derive(Debug)]
pub struct Delimited;

impl Format for Delimited {
    fn name(&self) -> &'static str {
        "DELIMITED"
    }

    fn check(&self, part: Part, columns: &[Column], spec: &FormatSpec) -> Result<()> {
        let abilities = Abilities {
            name: self.name(),
            delimiter: true,
            schema: false,
            nullable_representation: false,
            wraps: false,
            unwraps: true,
        };
        delimiter(part, spec)?;
        check::side(abilities, part, columns, spec)?;
        check::types(self.name(), columns, |ty| {
            !matches!(ty, SqlType::Array(_) | SqlType::Map(_, _) | SqlType::Struct(_))
        })
    }

    fn decoder(&self, part: Part, columns: &[Column], wanted: &[usize], spec: &FormatSpec) -> Result<Box<dyn Decoder>> {
        self.check(part, columns, spec)?;
        let picked = check::pick(columns, wanted)?;
        let mut targets: Vec<(usize, usize)> = wanted.iter().enumerate().map(|(at, column)| (*column, at)).collect();
        targets.sort_unstable();
        let columns = columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
        let reader = Reader { delimiter: delimiter(part, spec)?, columns, targets };
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
        let writer = Writer { delimiter: delimiter(part, spec)?, null_is_no_key, value: Vec::new() };
        Ok(Box::new(Writing::new(writer, columns)))
    }

    fn wrapping_is_optional(&self) -> bool {
        false
    }
}

/// The delimiter that the options ask for, a comma if none.
fn delimiter(part: Part, spec: &FormatSpec) -> Result<char> {
    let property = || format!("{}_DELIMITER", check::side_name(part));
    let Some(text) = spec.delimiter.as_deref() else { return Ok(',') };
    if text.trim().is_empty() {
        return Err(Error::invalid(format!(
            "{} is invalid: Delimiter cannot be empty; a tab or a space is written as 'TAB' or 'SPACE'",
            property()
        )));
    }
    let mut chars = text.chars();
    match (text.to_uppercase().as_str(), chars.next(), chars.next()) {
        ("SPACE", _, _) => Ok(' '),
        ("TAB", _, _) => Ok('\t'),
        (_, Some('"'), None) => {
            Err(Error::invalid(format!("{} is invalid: a quote cannot be a delimiter", property())))
        }
        (_, Some(one), None) => Ok(one),
        _ => {
            Err(Error::invalid(format!("{} is invalid: '{text}' is not a single character, TAB or SPACE", property())))
        }
    }
}

struct Reader {
    delimiter: char,
    /// All columns: name, type.
    columns: Vec<(String, SqlType)>,
    /// (column, place among the wanted), by column.
    targets: Vec<(usize, usize)>,
}

impl ReadRecord for Reader {
    fn read<'a>(&mut self, record: &'a [u8], tape: &mut Tape) -> Result<Source<'a>, String> {
        let text = simdutf8::compat::from_utf8(record).map_err(|e| format!("not UTF-8 (byte {})", e.valid_up_to()))?;
        tape.cells.resize(self.targets.len(), Cell::Null);
        let first_line = text.len() - text.trim_start_matches(['\r', '\n']).len();
        let rest = text.get(first_line..).unwrap_or_default();
        if rest.is_empty() && self.columns.len() != 1 {
            return Err(format!("expected {} values, found none", self.columns.len()));
        }
        let mut line = Line { text, at: first_line, delimiter: self.delimiter, more: true };
        let mut targets = self.targets.iter().peekable();
        let mut found = 0usize;
        while line.more {
            let start = line.at;
            let value = line.value(tape)?;
            while let Some((_, place)) = targets.next_if(|(column, _)| *column == found) {
                let Some((name, ty)) = self.columns.get(found) else { break };
                let cell = typed(ty, value, tape, text).map_err(|e| format!("column `{name}`: {e} (byte {start})"))?;
                tape.set(crate::tape::place(*place), cell);
            }
            found += 1;
        }
        if found != self.columns.len() {
            return Err(format!("expected {} values, found {found}", self.columns.len()));
        }
        Ok(Source::Text(text))
    }
}

/// The values of one line.
struct Line<'a> {
    text: &'a str,
    at: usize,
    delimiter: char,
    /// Whether another value follows.
    more: bool,
}

impl Line<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next value's text: [`Cell::Raw`] or, where quotes were doubled, [`Cell::Text`].
    fn value(&mut self, tape: &mut Tape) -> Result<Cell, String> {
        if self.rest().starts_with('"') {
            return self.quoted(tape);
        }
        let start = self.at;
        let delimiter = self.delimiter;
        let end = self.rest().find([delimiter, '\n', '\r']).map_or(self.text.len(), |i| start + i);
        self.at = end;
        self.end_value();
        Ok(Cell::Raw(Range::new(start, end)))
    }

    /// Step over the delimiter, or see that the line ends.
    fn end_value(&mut self) {
        self.more = self.rest().starts_with(self.delimiter);
        if self.more {
            self.at += self.delimiter.len_utf8();
        }
    }

    fn quoted(&mut self, tape: &mut Tape) -> Result<Cell, String> {
        let open = self.at;
        self.at += 1;
        let (start, copied) = (self.at, tape.text.len());
        let mut doubled = false;
        let end = loop {
            let Some(quote) = self.rest().find('"').map(|i| self.at + i) else {
                return Err(format!("a quoted value does not end (byte {open})"));
            };
            let part = self.text.get(self.at..quote).unwrap_or_default();
            self.at = quote + 1;
            if !self.rest().starts_with('"') {
                if doubled {
                    tape.text.push_str(part);
                }
                break quote;
            }
            doubled = true;
            tape.text.push_str(part);
            tape.text.push('"');
            self.at += 1;
        };
        // Blanks may follow the quote, nothing else.
        while let Some(c) = self.rest().chars().next() {
            if c == self.delimiter || c == '\n' || c == '\r' {
                break;
            }
            if !c.is_whitespace() {
                return Err(format!("expected a delimiter after the quoted value, found {c:?} (byte {})", self.at));
            }
            self.at += c.len_utf8();
        }
        self.end_value();
        if doubled {
            return Ok(Cell::Text(Range::new(copied, tape.text.len())));
        }
        Ok(Cell::Raw(Range::new(start, end)))
    }
}

/// A value's text as a value of the type. Empty text is NULL.
fn typed(ty: &SqlType, cell: Cell, tape: &mut Tape, record: &str) -> Result<Cell, String> {
    let text = tape.text_of(cell, Source::Text(record));
    if text.is_empty() {
        return Ok(Cell::Null);
    }
    let wrong = || format!("expected {ty}, found {}", excerpt(text));
    let int = |low: i64, high: i64| {
        let n = number::integer(text.as_bytes()).filter(|n| (low..=high).contains(n));
        n.map(Cell::Int).ok_or_else(wrong)
    };
    Ok(match ty {
        SqlType::String => cell,
        SqlType::Boolean => Cell::Boolean(text.eq_ignore_ascii_case("true")),
        SqlType::Int | SqlType::Date => int(i64::from(i32::MIN), i64::from(i32::MAX))?,
        SqlType::BigInt | SqlType::Timestamp => int(i64::MIN, i64::MAX)?,
        SqlType::Time => int(0, DAY_MS - 1)?,
        SqlType::Double => Cell::Double(number::double(text).ok_or_else(wrong)?),
        SqlType::Decimal { precision, scale } => {
            let unscaled = number::decimal(text.as_bytes(), *precision, *scale)
                .map_err(|why| format!("{} {why} for {ty}", excerpt(text)))?;
            tape.decimal(unscaled)
        }
        SqlType::Bytes => {
            let bytes = BASE64.decode(text).map_err(|_| format!("expected base64, found {}", excerpt(text)))?;
            let start = tape.bytes.len();
            tape.bytes.extend_from_slice(&bytes);
            Cell::Bytes(Range::new(start, tape.bytes.len()))
        }
        SqlType::Array(_) | SqlType::Map(_, _) | SqlType::Struct(_) => return Err(wrong()),
    })
}

/// The beginning of a value, quoted, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 32;
    match text.char_indices().nth(CHARS_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

struct Writer {
    delimiter: char,
    /// A key whose columns are all NULL is no key.
    null_is_no_key: bool,
    /// The value at hand.
    value: Vec<u8>,
}

impl WriteRow for Writer {
    fn write(&mut self, columns: &[View<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        if self.null_is_no_key && columns.iter().all(|c| c.is_null(row)) {
            return Ok(false);
        }
        let mut character = [0; 4];
        let delimiter = self.delimiter.encode_utf8(&mut character).as_bytes();
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(delimiter);
            }
            if column.is_null(row) {
                continue;
            }
            self.value.clear();
            plain(column, row, &mut self.value)?;
            quote(&self.value, i == 0, delimiter, out);
        }
        Ok(true)
    }
}

/// Append a value's text.
fn plain(column: &View<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let mut digits = itoa::Buffer::new();
    match column {
        View::Boolean(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
        View::Int(a) => out.extend_from_slice(digits.format(a.value(row)).as_bytes()),
        View::BigInt(a) => out.extend_from_slice(digits.format(a.value(row)).as_bytes()),
        View::Date(a) => out.extend_from_slice(digits.format(a.value(row)).as_bytes()),
        View::Time(a) => out.extend_from_slice(digits.format(a.value(row)).as_bytes()),
        View::Timestamp(a) => out.extend_from_slice(digits.format(a.value(row)).as_bytes()),
        View::Double(a) => number::write_double(a.value(row), out),
        View::Decimal(a, scale) => number::write_decimal(a.value(row), *scale, out),
        View::String(a) => out.extend_from_slice(a.value(row).as_bytes()),
        View::Bytes(a) => out.extend_from_slice(BASE64.encode(a.value(row)).as_bytes()),
        View::List(_, _) | View::Map(_, _) | View::Struct(_, _) => {
            return Err("DELIMITED has no encoding of nested values".to_owned());
        }
    }
    Ok(())
}

/// Append `value`, quoted where the rules at the top of the file say so.
fn quote(value: &[u8], first_of_line: bool, delimiter: &[u8], out: &mut Vec<u8>) {
    let special = |b: &u8| matches!(b, b'\n' | b'\r' | b'"');
    let needed = match (value.first(), value.last()) {
        (Some(first), Some(last)) => {
            (first_of_line && !first.is_ascii_alphanumeric())
                || *first <= b'#'
                || *last <= b' '
                || value.iter().any(special)
                || value.windows(delimiter.len()).any(|w| w == delimiter)
        }
        _ => first_of_line,
    };
    if !needed {
        return out.extend_from_slice(value);
    }
    out.push(b'"');
    for byte in value {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
