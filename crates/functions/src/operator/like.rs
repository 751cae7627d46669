//! LIKE: `%` stands for any characters, `_` for one, and the character after ESCAPE takes their meaning away.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use types::{Error, Result, SqlType};

use crate::{
    Arg, ArgType, BoundScalar, RowErrors,
    kernel::{closure, row_count},
    overload::describe,
};

/// `value LIKE pattern [ESCAPE escape]`. Both are STRINGs; where one is NULL the result is false.
pub fn bind_like(value: &ArgType, pattern: &ArgType, escape: Option<char>) -> Result<BoundScalar> {
    for side in [value, pattern] {
        if *side != ArgType::Value(Some(SqlType::String)) {
            return Err(Error::type_mismatch(format!("LIKE compares STRINGs, not {}", describe(side))));
        }
    }
    let kernel = closure(move |args: &[Arg], rows, _: &mut RowErrors| like(args, rows, escape));
    let text = ArgType::Value(Some(SqlType::String));
    Ok(BoundScalar { arg_types: vec![text.clone(), text], return_type: SqlType::Boolean, kernel, deterministic: true })
}

fn like(args: &[Arg], rows: usize, escape: Option<char>) -> Result<ArrayRef> {
    let [value, pattern] = args else { return Err(Error::internal("LIKE takes two operands")) };
    let (values, patterns) = (value.view::<StringArray>()?, pattern.view::<StringArray>()?);
    let rows = row_count(args, rows);
    let matches: Vec<bool> = if patterns.is_constant() {
        let pattern = patterns.get(0).map(|p| Pattern::new(p, escape));
        let of_row = |row| pattern.as_ref().zip(values.get(row)).is_some_and(|(p, v)| p.matches(v));
        (0..rows).map(of_row).collect()
    } else {
        let of_row =
            |row| patterns.get(row).zip(values.get(row)).is_some_and(|(p, v)| Pattern::new(p, escape).matches(v));
        (0..rows).map(of_row).collect()
    };
    Ok(Arc::new(BooleanArray::from(matches)))
}

/// A compiled pattern. Most are one of the four simple shapes.
#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    General(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Any,
}

impl Pattern {
    fn new(pattern: &str, escape: Option<char>) -> Pattern {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                c if Some(c) == escape => Token::Char(chars.next().unwrap_or(c)),
                '%' => Token::Any,
                '_' => Token::One,
                c => Token::Char(c),
            });
        }
        let literal = |tokens: &[Token]| -> Option<String> {
            let chars = tokens.iter().map(|t| if let Token::Char(c) = t { Some(*c) } else { None });
            chars.collect()
        };
        let simple = match tokens.as_slice() {
            [Token::Any, inner @ .., Token::Any] => literal(inner).map(Pattern::Contains),
            [Token::Any, inner @ ..] => literal(inner).map(Pattern::EndsWith),
            [inner @ .., Token::Any] => literal(inner).map(Pattern::StartsWith),
            all => literal(all).map(Pattern::Equals),
        };
        simple.unwrap_or(Pattern::General(tokens))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Equals(literal) => text == literal,
            Pattern::StartsWith(literal) => text.starts_with(literal.as_str()),
            Pattern::EndsWith(literal) => text.ends_with(literal.as_str()),
            Pattern::Contains(literal) => text.contains(literal.as_str()),
            Pattern::General(tokens) => matches_tokens(tokens, text),
        }
    }
}

/// Without recursion: after a mismatch only the last `%` takes one character more.
fn matches_tokens(tokens: &[Token], text: &str) -> bool {
    let (mut at, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let token = tokens.get(at);
        let mut chars = rest.chars();
        let step = match (token, chars.next()) {
            (None, None) => return true,
            (Some(Token::Any), _) => {
                retry = Some((at + 1, rest));
                at += 1;
                continue;
            }
            (Some(Token::One), Some(_)) => true,
            (Some(Token::Char(want)), Some(c)) => *want == c,
            _ => false,
        };
        if step {
            at += 1;
            rest = chars.as_str();
            continue;
        }
        let Some((after_any, from)) = retry else { return false };
        let mut skipped = from.chars();
        if skipped.next().is_none() {
            return false;
        }
        at = after_any;
        rest = skipped.as_str();
        retry = Some((after_any, rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |text: &str, pattern: &str, expect: bool| {
            assert_eq!(Pattern::new(pattern, Some('!')).matches(text), expect, "{text} LIKE {pattern}");
        };
        check("barfoobaz", "%foo%", true);
        check("foo", "f_o", true);
        check("fo", "f_o", false);
        check("foobar", "%oba%", true);
        check("%", "!%", true);
        check("x", "!%", false);
        check("", "%", true);
        check("", "_", false);
        check("aXbXc", "a%X_", true);
        check("aXbXcc", "a%X_", false);
        check("äöü", "_ö_", true);
        check("abc\nd", "a%d", true);
        check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "%a%a%a%a%a%a%a%a%c", false);
    }
}
