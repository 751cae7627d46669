//! Lines of COPY … FROM STDIN into rows, from chunks that are cut anywhere.

use std::ops::Range;

use bytes::{Buf, BytesMut};
use types::{Error, ErrorKind, Result};

use super::CopyFormat;

/// Bytes of the longest line.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A row: its fields as text, `None` for NULL, and the line (from 1) that it began on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyRow {
    /// The fields.
    pub(crate) fields: Vec<Option<String>>,
    /// The line.
    pub(crate) line: u64,
}

/// Reads rows of `width` fields.
pub(crate) struct CopyReader {
    format: CopyFormat,
    width: usize,
    buffer: BytesMut,
    /// How far `buffer` was searched for the end of its first line.
    searched: usize,
    /// Whether the search stands inside quotes (CSV).
    in_quotes: bool,
    /// Lines that were taken off already.
    lines: u64,
    /// The header is still to come.
    header_due: bool,
    /// `\.` was read: what follows is ignored.
    ended: bool,
}

impl CopyReader {
    /// A reader at the start of the input.
    pub(crate) fn new(format: CopyFormat, width: usize) -> CopyReader {
        let header_due = format.header;
        CopyReader {
            format,
            width,
            buffer: BytesMut::new(),
            searched: 0,
            in_quotes: false,
            lines: 0,
            header_due,
            ended: false,
        }
    }

    /// More input.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        if !self.ended {
            self.buffer.extend_from_slice(chunk);
        }
    }

    /// The input ends: a last line need not have a line feed.
    pub(crate) fn finish(&mut self) {
        if !self.buffer.is_empty() && !self.ended {
            self.buffer.extend_from_slice(b"\n");
        }
    }

    /// The next row that is there as a whole. After [`finish`](CopyReader::finish), what is left must be one.
    pub(crate) fn next_row(&mut self) -> Result<Option<CopyRow>> {
        while !self.ended {
            let Some(end) = self.line_end() else {
                if self.buffer.len() > LINE_BYTES_MAX {
                    return Err(self.error(self.lines + 1, "54000", "line is too long"));
                }
                return Ok(None);
            };
            let line_number = self.lines + 1;
            let line = self.buffer.split_to(end);
            self.buffer.advance(1);
            (self.searched, self.in_quotes) = (0, false);
            self.lines += 1 + u64::try_from(memchr::memchr_iter(b'\n', &line).count()).unwrap_or(0);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line == b"\\." {
                self.ended = true;
                self.buffer.clear();
                return Ok(None);
            }
            if std::mem::take(&mut self.header_due) {
                continue;
            }
            let fields = if self.format.csv { self.csv(line, line_number)? } else { self.text(line, line_number)? };
            self.check_width(fields.len(), line_number)?;
            return Ok(Some(CopyRow { fields, line: line_number }));
        }
        Ok(None)
    }

    /// Whether the input ended inside quotes.
    pub(crate) fn unfinished(&self) -> Option<Error> {
        let open = !self.buffer.is_empty() && !self.ended;
        open.then(|| self.error(self.lines + 1, "22P04", "unterminated CSV quoted field"))
    }

    fn error(&self, line: u64, sqlstate: &'static str, message: &str) -> Error {
        Error::new(ErrorKind::User, sqlstate, format!("line {line}: {message}"))
    }

    /// Where the first line ends: at a line feed that is neither quoted nor escaped.
    fn line_end(&mut self) -> Option<usize> {
        if self.format.csv {
            for (i, byte) in self.buffer.iter().enumerate().skip(self.searched) {
                if *byte == self.format.quote {
                    self.in_quotes = !self.in_quotes;
                } else if *byte == b'\n' && !self.in_quotes {
                    return Some(i);
                }
            }
            self.searched = self.buffer.len();
            return None;
        }
        while let Some(i) = memchr::memchr(b'\n', self.buffer.get(self.searched..)?) {
            let end = self.searched + i;
            let escapes = self.buffer.iter().take(end).rev().take_while(|b| **b == b'\\').count();
            if escapes % 2 == 0 {
                return Some(end);
            }
            self.searched = end + 1;
        }
        self.searched = self.buffer.len();
        None
    }

    fn check_width(&self, fields: usize, line: u64) -> Result<()> {
        match fields.cmp(&self.width) {
            std::cmp::Ordering::Less => {
                let what = format!("missing data: {fields} of {} columns", self.width);
                Err(self.error(line, "22P04", &what))
            }
            std::cmp::Ordering::Greater => {
                let what = format!("extra data after last expected column: {fields} for {} columns", self.width);
                Err(self.error(line, "22P04", &what))
            }
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    fn utf8(&self, bytes: Vec<u8>, line: u64) -> Result<String> {
        String::from_utf8(bytes).map_err(|_| self.error(line, "22021", "invalid byte sequence for encoding \"UTF8\""))
    }

    fn text(&self, line: &[u8], number: u64) -> Result<Vec<Option<String>>> {
        let mut fields = Vec::with_capacity(self.width);
        for range in text_fields(line, self.format.delimiter) {
            let raw = line.get(range).unwrap_or(&[]);
            if raw == self.format.null.as_bytes() {
                fields.push(None);
            } else if memchr::memchr(b'\\', raw).is_none() {
                fields.push(Some(self.utf8(raw.to_vec(), number)?));
            } else {
                fields.push(Some(self.utf8(unescape(raw), number)?));
            }
        }
        // A table without columns has lines without fields.
        if self.width == 0 && line.is_empty() {
            fields.clear();
        }
        Ok(fields)
    }

    fn csv(&self, line: &[u8], number: u64) -> Result<Vec<Option<String>>> {
        let (quote, delimiter) = (self.format.quote, self.format.delimiter);
        let mut fields = Vec::with_capacity(self.width);
        let mut rest = line;
        loop {
            let mut field = Vec::new();
            let (mut quoted, mut inside, mut more) = (false, false, false);
            while let Some((byte, after)) = rest.split_first() {
                rest = after;
                match (*byte, inside) {
                    (b, true) if b == quote => {
                        if after.first() == Some(&quote) {
                            field.push(quote);
                            rest = after.get(1..).unwrap_or(&[]);
                        } else {
                            inside = false;
                        }
                    }
                    (b, false) if b == quote => (quoted, inside) = (true, true),
                    (b, false) if b == delimiter => {
                        more = true;
                        break;
                    }
                    (b, _) => field.push(b),
                }
            }
            if !quoted && field == self.format.null.as_bytes() {
                fields.push(None);
            } else {
                fields.push(Some(self.utf8(field, number)?));
            }
            if !more {
                return Ok(fields);
            }
        }
    }
}

/// The fields of a line of text: between delimiters that are not escaped.
fn text_fields(line: &[u8], delimiter: u8) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = Some(0);
    std::iter::from_fn(move || {
        let from = start?;
        let mut at = from;
        while let Some(i) = memchr::memchr2(delimiter, b'\\', line.get(at..)?) {
            if line.get(at + i) == Some(&b'\\') {
                at = (at + i + 2).min(line.len());
                continue;
            }
            start = Some(at + i + 1);
            return Some(from..at + i);
        }
        start = None;
        Some(from..line.len())
    })
}

/// Backslash escapes of the text format.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    let digit = |byte: u8, radix: u32| char::from(byte).to_digit(radix).and_then(|d| u8::try_from(d).ok());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            None => out.push(b'\\'),
            Some(b'b') => out.push(0x08),
            Some(b'f') => out.push(0x0c),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(0x0b),
            Some(b'x') if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0_u8;
                for _ in 0..2 {
                    let Some(d) = bytes.peek().and_then(|b| digit(*b, 16)) else { break };
                    value = value << 4 | d;
                    bytes.next();
                }
                out.push(value);
            }
            Some(first @ b'0'..=b'7') => {
                let mut value = first - b'0';
                for _ in 0..2 {
                    let Some(d) = bytes.peek().and_then(|b| digit(*b, 8)) else { break };
                    value = value.wrapping_shl(3) | d;
                    bytes.next();
                }
                out.push(value);
            }
            Some(other) => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use syntax::ast::CopyOptions;

    fn read(options: CopyOptions, width: usize, chunks: &[&[u8]]) -> Result<Vec<CopyRow>> {
        let mut reader = CopyReader::new(CopyFormat::new(&options)?, width);
        let mut rows = Vec::new();
        for chunk in chunks {
            reader.push(chunk);
            while let Some(row) = reader.next_row()? {
                rows.push(row);
            }
        }
        reader.finish();
        while let Some(row) = reader.next_row()? {
            rows.push(row);
        }
        reader.unfinished().map_or(Ok(rows), Err)
    }

    fn check(options: CopyOptions, width: usize, text: &str, want: &str) {
        let cut_everywhere: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        for chunks in [vec![text.as_bytes()], cut_everywhere] {
            let got = match read(options.clone(), width, &chunks) {
                Ok(rows) => {
                    let row = |r: &CopyRow| {
                        let fields = r.fields.iter().map(|f| f.as_ref().map_or("NULL".into(), |f| format!("{f:?}")));
                        format!("{}: {}", r.line, fields.collect::<Vec<_>>().join(" "))
                    };
                    rows.iter().map(row).collect::<Vec<_>>().join("; ")
                }
                Err(e) => format!("{} {e}", e.sqlstate()),
            };
            assert_eq!(got, want, "{text:?}");
        }
    }

    fn csv() -> CopyOptions {
        CopyOptions { csv: true, ..CopyOptions::default() }
    }

    #[test]
    fn text() {
        let text = CopyOptions::default();
        check(text.clone(), 2, "a\tb\n\\N\t\\\\N\n", r#"1: "a" "b"; 2: NULL "\\N""#);
        check(text.clone(), 1, "a\\tb\\x41\\101\r\nlast", r#"1: "a\tbAA"; 2: "last""#);
        check(text.clone(), 2, "a\\\tb\tc\n", r#"1: "a\tb" "c""#);
        check(text.clone(), 1, "a\\\nb\nc\n", r#"1: "a\nb"; 3: "c""#);
        check(text.clone(), 1, "a\n\\.\nignored\n", r#"1: "a""#);
        check(text.clone(), 2, "a\tb\nc\n", "22P04 line 2: missing data: 1 of 2 columns");
        check(text, 1, "a\tb\n", "22P04 line 1: extra data after last expected column: 2 for 1 columns");
        let header =
            CopyOptions { header: true, delimiter: Some('|'), null: Some(String::new()), ..Default::default() };
        check(header, 2, "x|y\n1|\n", r#"2: "1" NULL"#);
    }

    #[test]
    fn comma_separated() {
        check(csv(), 2, "a,b\r\n,\"\"\n", r#"1: "a" "b"; 2: NULL """#);
        check(csv(), 2, "\"a\n\"\"b\"\"\",c\nd,e", r#"1: "a\n\"b\"" "c"; 3: "d" "e""#);
        check(csv(), 1, "\"open\nnever closed", "22P04 line 1: unterminated CSV quoted field");
        let quote = CopyOptions { quote: Some('\''), delimiter: Some(';'), ..csv() };
        check(quote, 2, "'a;''b';c\n", r#"1: "a;'b" "c""#);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[ -~\n\r\t\\\\,\"é]{0,6}"), 2), 0..6),
            csv in any::<bool>(),
            cut in 1_usize..9,
        ) {
            let options = CopyOptions { csv, null: csv.then(|| "NIL".to_owned()), ..CopyOptions::default() };
            let format = CopyFormat::new(&options).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let mut out = BytesMut::new();
            for row in &rows {
                for (i, field) in row.iter().enumerate() {
                    if i > 0 { out.extend_from_slice(&[format.delimiter]); }
                    match field {
                        None => out.extend_from_slice(format.null.as_bytes()),
                        Some(field) => format.put_field(&mut out, field.as_bytes()),
                    }
                }
                out.extend_from_slice(b"\n");
            }
            let chunks: Vec<&[u8]> = out.chunks(cut).collect();
            let got = read(options, 2, &chunks).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let got: Vec<_> = got.into_iter().map(|r| r.fields).collect();
            prop_assert_eq!(got, rows);
        }
    }
}
