//! Regular expressions as Java's, on the regex crate: linear in the text, so without look-around and backreferences.

use regex::{Regex, RegexBuilder};

/// Bytes that one compiled expression may take.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Compile `pattern`; the error says what is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
    built.map_err(|e| format!("invalid regular expression '{pattern}': {e}"))
}

/// What Java's replacement text (`$1`, `\$`) is for this crate (`${1}`, `$$`).
pub(super) fn replacement(java: &str) -> String {
    let mut out = String::with_capacity(java.len());
    let mut chars = java.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => out.push_str("$$"),
                Some(c) => out.push(c),
                None => {}
            },
            '$' => match chars.peek() {
                Some(digit) if digit.is_ascii_digit() => {
                    out.push_str("${");
                    out.push(*digit);
                    out.push('}');
                    chars.next();
                }
                Some('{') => out.push('$'),
                _ => out.push_str("$$"),
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements() {
        assert_eq!(replacement("$1-\\$-$2x"), "${1}-$$-${2}x");
        assert_eq!(replacement("${name}"), "${name}");
        assert_eq!(replacement("cost $"), "cost $$");
        assert!(compile("(").is_err());
    }
}
