//! `INSTR`.

use arrow::array::{ArrayRef, Int32Array, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "INSTR",
        aliases: &[],
        category: "STRING",
        signatures: &["INSTR(text, part[, position[, occurrence]])"],
        description: "Where the part stands in the text, counted from 1; 0 if nowhere, or if either is NULL. The \
                      search starts at the position, or goes backward from it, counted from the end, if that is \
                      negative. With an occurrence it is the place of that one.",
        examples: &[
            ("INSTR('CORPORATE FLOOR', 'OR')", "2"),
            ("INSTR('CORPORATE FLOOR', 'OR', 3, 2)", "14"),
            ("INSTR('CORPORATE FLOOR', 'OR', -3, 2)", "2"),
        ],
    },
    overloads: &[
        Overload::new(&[String, String], Int, eval),
        Overload::new(&[String, String, Int], Int, eval),
        Overload::new(&[String, String, Int, Int], Int, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, parts) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    let (positions, occurrences) = (call.optional::<Int32Array>(2)?, call.optional::<Int32Array>(3)?);
    call.rows::<Int32Array, _>(|row| {
        let position = positions.map_or(Some(1), |p| p.get(row));
        let occurrence = occurrences.map_or(Some(1), |o| o.get(row));
        let found = match (texts.get(row), parts.get(row), position, occurrence) {
            (Some(text), Some(part), Some(position), Some(occurrence)) => find(text, part, position, occurrence),
            _ => None,
        };
        Some(found.and_then(|at| i32::try_from(at + 1).ok()).unwrap_or(0))
    })
}

/// The place of the match, counted in characters from 0. Matches may overlap.
fn find(text: &str, part: &str, position: i32, occurrence: i32) -> Option<usize> {
    let nth = usize::try_from(occurrence).ok()?.checked_sub(1)?;
    let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    let last = text.len().checked_sub(part.len())?;
    let matches = |at: &usize| text.get(*at..at + part.len()) == Some(part.as_slice());
    if position >= 0 {
        let start = usize::try_from(position).ok()?.saturating_sub(1);
        return (start..=last).filter(matches).nth(nth);
    }
    let back = usize::try_from(position.unsigned_abs()).ok()?;
    let start = text.len().checked_sub(back)?.min(last);
    (0..=start).rev().filter(matches).nth(nth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        let text = "'CORPORATE FLOOR'";
        check(&FUNCTION, &[text, "'OR'"], "2");
        check(&FUNCTION, &[text, "'OR'", "3"], "5");
        check(&FUNCTION, &[text, "'OR'", "3", "2"], "14");
        check(&FUNCTION, &[text, "'OR'", "-3"], "5");
        check(&FUNCTION, &[text, "'OR'", "-3", "2"], "2");
        check(&FUNCTION, &[text, "'MISSING'"], "0");
        check(&FUNCTION, &["'short'", "'or'", "4", "2"], "0");
        check(&FUNCTION, &["NULL", "'or'"], "0");
        check(&FUNCTION, &["'a'", "'a'", "-2147483648", "1"], "0");
        check(&FUNCTION, &["'aaa'", "'aa'", "1", "2"], "2");
    }
}
