//! English names of months, days and so on.

use super::{Field, Style};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ERAS: [&str; 2] = ["Before Christ", "Anno Domini"];
const ERAS_SHORT: [&str; 2] = ["BC", "AD"];
const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
const QUARTERS_SHORT: [&str; 4] = ["Q1", "Q2", "Q3", "Q4"];
const QUARTERS_NARROW: [&str; 4] = ["1", "2", "3", "4"];
const HALVES: [&str; 2] = ["AM", "PM"];

/// The names of a field's values in order, and the first value.
fn names(field: Field, style: Style) -> (&'static [&'static str], i64) {
    match (field, style) {
        (Field::Month, _) => (&MONTHS, 1),
        (Field::DayOfWeek, _) => (&DAYS, 1),
        (Field::Era, Style::Full) => (&ERAS, 0),
        (Field::Era, _) => (&ERAS_SHORT, 0),
        (Field::Quarter, Style::Full) => (&QUARTERS, 1),
        (Field::Quarter, Style::Short) => (&QUARTERS_SHORT, 1),
        (Field::Quarter, Style::Narrow) => (&QUARTERS_NARROW, 1),
        (Field::AmPm, _) => (&HALVES, 0),
        _ => (&[], 0),
    }
}

/// The part of the name that the style shows.
fn cut(field: Field, style: Style, name: &'static str) -> &'static str {
    let length = match (field, style) {
        (Field::Month | Field::DayOfWeek, Style::Short) => 3,
        (Field::Month | Field::DayOfWeek | Field::Era, Style::Narrow) => 1,
        _ => name.len(),
    };
    name.get(..length).unwrap_or(name)
}

/// The name of value `value` of `field`.
pub(super) fn name_of(field: Field, style: Style, value: i64) -> Option<&'static str> {
    let (names, first) = names(field, style);
    let name = names.get(usize::try_from(value.checked_sub(first)?).ok()?)?;
    Some(cut(field, style, name))
}

/// The value whose name `text` begins with, the longest one, and the length of that name.
pub(super) fn find(field: Field, style: Style, text: &str) -> Option<(i64, usize)> {
    let (names, first) = names(field, style);
    let mut best: Option<(i64, usize)> = None;
    for (name, value) in names.iter().zip(first..) {
        let name = cut(field, style, name);
        let matches = text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if matches && best.is_none_or(|(_, length)| name.len() > length) {
            best = Some((value, name.len()));
        }
    }
    best
}
