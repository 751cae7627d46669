//! What sqlparser is told of our text: one dialect to cut it into tokens, one to parse queries that are not
//! in the streaming grammar.

use sqlparser::{derive_dialect, dialect::{Dialect, PostgreSqlDialect}};

/// The characters of ksqlDB's tokens: back-quoted and double-quoted names, `@` within names, `$` only before a
/// parameter's number, no prefixes or escapes in strings.
#[derive(Debug)]
pub(crate) struct Tokens;

impl Dialect for Tokens {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        is_quote(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '@'
    }

    fn supports_dollar_placeholder(&self) -> bool {
        true
    }
}

fn is_quote(ch: char) -> bool {
    ch == '`' || ch == '"'
}

derive_dialect!(
    General,
    PostgreSqlDialect,
    preserve_type_id = true,
    overrides = {
        is_delimited_identifier_start = |ch: char| ch == '`' || ch == '"',
        supports_nested_comments = false,
        supports_dollar_placeholder = true
    }
);
