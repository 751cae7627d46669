//! Where statements end: a scan that knows quotes and comments and nothing else.
//!
//! It works on text that is still being typed (the shell asks it after every line whether a statement is complete)
//! and on statements that hold `${variables}`, neither of which a tokenizer would take. It allocates nothing per
//! character, so that a long script costs no more than its longest statement.

use std::ops::Range;

/// What a byte of SQL text is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    /// Between quotes and comments.
    Code,
    /// In `'…'`, `"…"` or `` `…` ``: the quote.
    Quoted(u8),
    /// From `--` to the end of the line.
    LineComment,
    /// From `/*` to `*/`.
    BlockComment,
}

/// Follows the text byte by byte. All delimiters are ASCII, so bytes of a longer character never mislead it.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    region: Region,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `text`.
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { bytes: text.as_bytes(), at: 0, region: Region::Code }
    }

    /// The next step: its bytes and what they are part of. Delimiters belong to what they delimit; a step is one
    /// byte, or two where two make a delimiter.
    pub(crate) fn step(&mut self) -> Option<(Range<usize>, Region)> {
        let start = self.at;
        let byte = *self.bytes.get(start)?;
        let next = self.bytes.get(start + 1).copied();
        let before = self.region;
        let mut width = 1;
        match before {
            Region::Code => match (byte, next) {
                (b'\'' | b'"' | b'`', _) => self.region = Region::Quoted(byte),
                (b'-', Some(b'-')) => (self.region, width) = (Region::LineComment, 2),
                (b'/', Some(b'*')) => (self.region, width) = (Region::BlockComment, 2),
                _ => {}
            },
            // A doubled quote closes and opens again at once, which comes to the same.
            Region::Quoted(quote) if byte == quote => self.region = Region::Code,
            Region::LineComment if byte == b'\n' => self.region = Region::Code,
            Region::BlockComment if (byte, next) == (b'*', Some(b'/')) => (self.region, width) = (Region::Code, 2),
            _ => {}
        }
        self.at = start + width;
        let region = if before == Region::Code { self.region } else { before };
        Some((start..self.at, region))
    }
}

/// Splits `text` at the semicolons that end statements: the complete statements (without their semicolons, trimmed,
/// empty ones left out) and what follows the last semicolon, which is empty unless it holds more than blanks and
/// comments.
///
/// ```
/// let (complete, rest) = syntax::split_statements("SHOW TOPICS; PRINT 'a;b'; SELECT");
/// assert_eq!(complete, [0..11, 13..24]);
/// assert_eq!(rest, 26..32);
/// ```
pub fn split_statements(text: &str) -> (Vec<Range<usize>>, Range<usize>) {
    let mut scanner = Scanner::new(text);
    let mut complete = Vec::new();
    let mut content: Option<Range<usize>> = None;
    let mut uncommented = 0;
    while let Some((range, region)) = scanner.step() {
        let byte = text.as_bytes().get(range.start).copied().unwrap_or(b' ');
        match region {
            Region::Code if byte == b';' => complete.extend(content.take()),
            Region::Code if byte.is_ascii_whitespace() => {}
            Region::LineComment => {}
            Region::BlockComment => continue,
            _ => content = Some(content.map_or(range.start, |c| c.start)..range.end),
        }
        uncommented = range.end;
    }
    let open = scanner.region;
    let rest = match (content, open) {
        (Some(content), Region::Code) => content,
        (Some(content), _) => content.start..text.len(),
        // An open comment is still being typed; a closed one is nothing.
        (None, Region::BlockComment) => uncommented..text.len(),
        (None, _) => text.len()..text.len(),
    };
    (complete, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &[&str], want_rest: &str) {
        let (complete, rest) = split_statements(text);
        let got: Vec<&str> = complete.iter().map(|r| &text[r.clone()]).collect();
        assert_eq!((got.as_slice(), &text[rest]), (want, want_rest), "{text}");
    }

    #[test]
    fn splits_at_semicolons_outside_of_quotes_and_comments() {
        check("", &[], "");
        check(" ;; ; ", &[], "");
        check("a; b ;c", &["a", "b"], "c");
        check("'x;y' ; \"p;q\"; `r;s`;", &["'x;y'", "\"p;q\"", "`r;s`"], "");
        check("'it''s;' ; z", &["'it''s;'"], "z");
        check("a -- b; c\n d; -- e;\n", &["a -- b; c\n d"], "");
        check("a /* ; */ b; /* all; done */", &["a /* ; */ b"], "");
        check("--@test: x\nSELECT 'é;';ü", &["SELECT 'é;'"], "ü");
    }

    #[test]
    fn keeps_what_is_still_open() {
        check("a; 'b; ", &["a"], "'b; ");
        check("a; b /* c; ", &["a"], "b /* c; ");
        check("a; /* c; ", &["a"], "/* c; ");
    }
}
