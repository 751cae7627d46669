//! What the `MASK` functions share: which characters become which, and in which part of the text.

use arrow::array::{ArrayRef, Int32Array, StringArray};
use types::Result;

use crate::{RowErrors, kernel::View, scalar::definition::Call};

/// The part of a text that is masked, by a number of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    AllButLeft,
    AllButRight,
    Left,
    Right,
}

/// What stands for upper case, lower case, digits and all others; `None`: they stay.
type Masks = [Option<char>; 4];

const DEFAULT: Masks = [Some('X'), Some('x'), Some('n'), Some('-')];

/// The text, then (unless all of it is masked) a number of characters, then perhaps the four mask characters.
pub(super) fn eval(call: &Call<'_>, errors: &mut RowErrors, part: Part) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    let first_mask = if part == Part::All { 1 } else { 2 };
    let counts = if part == Part::All { None } else { Some(call.view::<Int32Array>(1)?) };
    let masks: Vec<View<'_, StringArray>> =
        (first_mask..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.try_rows::<StringArray, _, String>(errors, |row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let count = match counts.map(|c| c.get(row)) {
            None => 0,
            Some(None) => return Ok(None),
            Some(Some(count)) => {
                usize::try_from(count).map_err(|_| format!("{count} characters are less than none"))?
            }
        };
        Ok(Some(mask(text, &masks_of_row(&masks, row)?, part, count)))
    })
}

fn masks_of_row(views: &[View<'_, StringArray>], row: usize) -> Result<Masks, String> {
    let mut masks = DEFAULT;
    for (mask, view) in masks.iter_mut().zip(views) {
        *mask = match view.get(row) {
            None => None,
            Some(text) => Some(text.chars().next().ok_or("a mask character is empty")?),
        };
    }
    Ok(masks)
}

fn mask(text: &str, masks: &Masks, part: Part, count: usize) -> String {
    let len = text.chars().count();
    let from_right = len.saturating_sub(count);
    let masked = |at: usize| match part {
        Part::All => true,
        Part::AllButLeft => at >= count,
        Part::AllButRight => at < from_right,
        Part::Left => at < count,
        Part::Right => at >= from_right,
    };
    let [upper, lower, digit, other] = *masks;
    let replace = |c: char| {
        let mask = match c {
            c if c.is_uppercase() => upper,
            c if c.is_lowercase() => lower,
            c if c.is_numeric() => digit,
            _ => other,
        };
        mask.unwrap_or(c)
    };
    text.chars().enumerate().map(|(at, c)| if masked(at) { replace(c) } else { c }).collect()
}
