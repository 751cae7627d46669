//! The entrances: text in, trees out.

use types::{Error, Result, Span};

use crate::{
    ast::{ColumnDef, Expr, Statement, StatementKind, TypeName},
    lexer,
    parser::Parser,
    scan::split_statements,
    variables::{Substituted, Variables},
};

/// How long one statement may be, in bytes, before and after its variables are replaced.
pub const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// How long a text of several statements may be, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 28;

/// Finds a variable's value by its name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The statements of a script or of one message, separated by `;`. Empty statements are skipped; the last needs no
/// semicolon. Spans are byte offsets into `text`.
///
/// `variables` gives the values of `${name}`; without it, variables are not replaced. DEFINE and UNDEFINE within the
/// text hold for the statements after them.
///
/// # Errors
/// With SQLSTATE 42601 and a position, when the text is no SQL or is longer or more nested than the limits.
///
/// ```
/// let statements = syntax::parse("SHOW TOPICS; SELECT * FROM s EMIT CHANGES;", None)?;
/// assert_eq!(statements.len(), 2);
/// # Ok::<(), types::Error>(())
/// ```
pub fn parse(text: &str, variables: Option<Lookup<'_>>) -> Result<Vec<Statement>> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::syntax(format!("the text is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let mut variables = variables.map(Variables::new);
    let (mut ranges, rest) = split_statements(text);
    ranges.extend(Some(rest).filter(|rest| !rest.is_empty()));
    let mut statements = Vec::with_capacity(ranges.len());
    for range in ranges {
        let span = Span::new(range.start, range.end);
        check_length(range.len(), span)?;
        let source = match &variables {
            Some(variables) => variables.substitute(text, range)?,
            None => Substituted::unchanged(text, range),
        };
        check_length(source.text.len(), span)?;
        let statement = read(&source, |p| p.statement())?;
        if let Some(variables) = &mut variables {
            match &statement.kind {
                StatementKind::Define { name, value } => variables.set(&name.value, Some(value.clone())),
                StatementKind::Undefine { name } => variables.set(&name.value, None),
                _ => {}
            }
        }
        statements.push(statement);
    }
    Ok(statements)
}

/// One expression.
///
/// # Errors
/// As [`parse`].
pub fn parse_expression(text: &str) -> Result<Expr> {
    whole(text, |p| p.expr())
}

/// Columns as a CREATE statement lists them, without the brackets: ``ID BIGINT KEY, V STRUCT<`A` INTEGER>``. An empty
/// text is no columns.
///
/// # Errors
/// As [`parse`].
pub fn parse_schema(text: &str) -> Result<Vec<ColumnDef>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    whole(text, |p| p.list(Parser::element))
}

/// One type: `MAP<STRING, DECIMAL(4, 2)>`.
///
/// # Errors
/// As [`parse`].
pub fn parse_type(text: &str) -> Result<TypeName> {
    whole(text, |p| p.type_name())
}

fn whole<T>(text: &str, rule: impl FnOnce(&mut Parser) -> Result<T>) -> Result<T> {
    check_length(text.len(), Span::new(0, text.len()))?;
    read(&Substituted::unchanged(text, 0..text.len()), |p| {
        let tree = rule(p)?;
        p.expect_end()?;
        Ok(tree)
    })
}

fn read<T>(source: &Substituted, rule: impl FnOnce(&mut Parser) -> Result<T>) -> Result<T> {
    let tokens = lexer::tokens(source)?;
    rule(&mut Parser::new(source, &tokens))
}

fn check_length(bytes: usize, span: Span) -> Result<()> {
    if bytes <= STATEMENT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::syntax(format!("the statement is longer than {STATEMENT_BYTES_MAX} bytes")).at(span))
}
