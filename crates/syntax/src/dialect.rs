//! What sqlparser is told of our text: one dialect to cut it into tokens, one to parse the queries that are not
//! in the streaming grammar.

use std::{any::TypeId, cell::Cell};

use sqlparser::{
    ast,
    dialect::{Dialect, PostgreSqlDialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
};

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

/// PostgreSQL's queries with our quotes. It is not PostgreSQL's own dialect because that one reads `a<-1` as an
/// operator `<-`, as user-defined operators would have it, and knows no back quotes.
///
/// sqlparser reads `CAST(` as a cast and, if what is inside is wrong, once more as a function, so wrong calls within each
/// other take time without an end. The dialect is asked at the beginning of every operand: it counts them.
#[derive(Debug)]
pub struct General {
    operands_left: Cell<usize>,
}

/// How often sqlparser may begin an operand, for each token: a few times where it tries one meaning after another.
const OPERANDS_PER_TOKEN_MAX: usize = 8;

impl General {
    /// The dialect for one text of so many tokens.
    pub fn new(tokens: usize) -> General {
        General { operands_left: Cell::new(tokens.saturating_add(1).saturating_mul(OPERANDS_PER_TOKEN_MAX)) }
    }

    /// Whether more operands were begun than may be.
    pub fn is_exhausted(&self) -> bool {
        self.operands_left.get() == 0
    }
}

impl Dialect for General {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        is_quote(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        Tokens.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        Tokens.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        PostgreSqlDialect {}.is_reserved_for_identifier(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        PostgreSqlDialect {}.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        PostgreSqlDialect {}.prec_value(precedence)
    }

    fn parse_prefix(&self, _parser: &mut Parser) -> Option<Result<ast::Expr, ParserError>> {
        let left = self.operands_left.get().saturating_sub(1);
        self.operands_left.set(left);
        (left == 0).then_some(Err(ParserError::RecursionLimitExceeded))
    }

    fn parse_infix(
        &self,
        _parser: &mut Parser,
        _expr: &ast::Expr,
        _precedence: u8,
    ) -> Option<Result<ast::Expr, ParserError>> {
        None
    }

    fn supports_dollar_placeholder(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn supports_within_after_array_aggregation(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_limit_comma(&self) -> bool {
        false
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        false
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }
}

fn is_quote(ch: char) -> bool {
    ch == '`' || ch == '"'
}
