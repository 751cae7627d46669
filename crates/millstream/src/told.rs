//! What the server says went wrong, as a terminal shows it.

use std::fmt::Write;

use tokio_postgres::{Error, error::ErrorPosition};

/// The server's words with its hint, or why it could not be asked.
pub fn describe(error: &Error) -> String {
    described(error, None)
}

/// The same, with the line of `text` that the error points at and a caret under the place.
pub fn describe_in(error: &Error, text: &str) -> String {
    described(error, Some(text))
}

fn described(error: &Error, text: Option<&str>) -> String {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        return format!("{error}{}", cause.unwrap_or_default());
    };
    let mut out = format!("{}: {}", said.severity(), said.message());
    if let (Some(text), Some(ErrorPosition::Original(at))) = (text, said.position()) {
        out.push_str(&caret(text, *at));
    }
    for (label, more) in [("DETAIL", said.detail()), ("HINT", said.hint())] {
        if let Some(more) = more {
            let _ = write!(out, "\n{label}: {more}");
        }
    }
    out
}

/// The line of `text` that holds its character number `at` (from 1), and a caret under that character.
fn caret(text: &str, at: u32) -> String {
    let before = usize::try_from(at).unwrap_or(usize::MAX).saturating_sub(1);
    let byte = text.char_indices().nth(before).map_or(text.len(), |(byte, _)| byte);
    let (head, tail) = text.split_at_checked(byte).unwrap_or((text, ""));
    let (number, start) = (head.matches('\n').count() + 1, head.rfind('\n').map_or(0, |i| i + 1));
    let head = head.get(start..).unwrap_or("");
    let label = format!("LINE {number}: ");
    let pad = " ".repeat(label.len() + head.chars().count());
    format!("\n{label}{head}{}\n{pad}^", tail.lines().next().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::caret;

    #[test]
    fn a_caret_under_the_character() {
        assert_eq!(caret("SELECT 'ü'\nFROM nowhere;", 17), "\nLINE 2: FROM nowhere;\n             ^");
        assert_eq!(caret("SELECT", 7), "\nLINE 1: SELECT\n              ^");
    }
}
