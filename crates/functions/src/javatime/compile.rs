//! From a pattern's text to its items.

use super::{Field, Item, Number, OffsetStyle, Pattern, Sign, Style, TimeError};

/// Digits that a number without a fixed width may have.
const DIGITS_MAX: usize = 19;

/// Levels of `[…]` in each other.
const DEPTH_MAX: usize = 16;

/// Letters in a row, and the width after `p`.
const RUN_MAX: usize = 19;

pub(super) fn compile(pattern: &str) -> Result<Pattern, TimeError> {
    let error = |reason: String| TimeError::Pattern { pattern: pattern.to_owned(), reason };
    // The outermost level and the optional ones that are open.
    let mut levels: Vec<Vec<Item>> = vec![Vec::new()];
    let mut rest: &[char] = &pattern.chars().collect::<Vec<_>>();
    while let Some((c, tail)) = rest.split_first() {
        let item = match c {
            'A'..='Z' | 'a'..='z' => {
                let run = rest.iter().take_while(|other| *other == c).count();
                let (item, used) = letters(*c, run, rest).map_err(error)?;
                rest = rest.get(used..).unwrap_or(&[]);
                item
            }
            '\'' => {
                let (text, used) = quoted(tail).ok_or_else(|| error("a quoted text does not end".into()))?;
                rest = tail.get(used..).unwrap_or(&[]);
                Item::Literal(text)
            }
            '[' => {
                if levels.len() > DEPTH_MAX {
                    return Err(error(format!("more than {DEPTH_MAX} levels of [")));
                }
                levels.push(Vec::new());
                rest = tail;
                continue;
            }
            ']' => {
                let inner = if levels.len() > 1 { levels.pop() } else { None };
                rest = tail;
                Item::Optional(inner.ok_or_else(|| error("a ] without its [".into()))?)
            }
            '{' | '}' | '#' => return Err(error(format!("'{c}' is reserved"))),
            c => {
                rest = tail;
                Item::Literal(c.to_string())
            }
        };
        if let Some(level) = levels.last_mut() {
            level.push(item);
        }
    }
    // What is still open ends with the pattern.
    while levels.len() > 1 {
        let inner = levels.pop().unwrap_or_default();
        if let Some(level) = levels.last_mut() {
            level.push(Item::Optional(inner));
        }
    }
    let mut items = levels.pop().unwrap_or_default();
    reserve(&mut items);
    Ok(Pattern { items })
}

/// The text up to the closing quote, two quotes being one, and how many characters that is with the closing one.
fn quoted(text: &[char]) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut at = 0;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            ('\'', Some('\'')) => {
                out.push('\'');
                at += 2;
            }
            ('\'', _) => return Some((if out.is_empty() { "'".to_owned() } else { out }, at + 1)),
            (c, _) => {
                out.push(*c);
                at += 1;
            }
        }
    }
}

/// What `run` times letter `c` stand for, and how many characters that is (more than `run` after `p`).
fn letters(c: char, run: usize, rest: &[char]) -> Result<(Item, usize), String> {
    if run > RUN_MAX {
        return Err(format!("too many '{c}' in a row"));
    }
    if c != 'p' {
        return Ok((item(c, run)?, run));
    }
    let next = rest.get(run).filter(|c| c.is_ascii_alphabetic()).ok_or("a p without a letter to pad")?;
    let next_run = rest.iter().skip(run).take_while(|other| *other == next).count();
    let padded = item(*next, next_run.min(RUN_MAX + 1))?;
    Ok((Item::Padded(run, Box::new(padded)), run + next_run))
}

fn item(c: char, count: usize) -> Result<Item, String> {
    let number = |field| any_or_two(field, c, count);
    Ok(match c {
        'G' => Item::Text(Field::Era, text_style(c, count.max(3))?),
        'u' => year(Field::Year, count),
        'y' => year(Field::YearOfEra, count),
        'Y' => year(Field::WeekYear, count),
        'D' => match count {
            1 => variable(Field::DayOfYear, 1, Sign::Normal),
            2 | 3 => digits(Field::DayOfYear, count, 3, Sign::NotNegative),
            _ => return Err(too_many(c)),
        },
        'M' | 'L' => number_or_text(Field::Month, c, count)?,
        'Q' | 'q' => number_or_text(Field::Quarter, c, count)?,
        'd' => number(Field::DayOfMonth)?,
        'g' => variable(Field::ModifiedJulianDay, count, Sign::Normal),
        'w' => number(Field::WeekOfYear)?,
        'W' | 'F' if count > 1 => return Err(too_many(c)),
        'W' => variable(Field::WeekOfMonth, 1, Sign::Normal),
        'F' => variable(Field::DayOfWeekInMonth, 1, Sign::Normal),
        'E' => Item::Text(Field::DayOfWeek, text_style(c, count.max(3))?),
        'e' if count <= 2 => digits(Field::LocalDayOfWeek, count, 2, Sign::NotNegative),
        'c' if count == 1 => digits(Field::LocalDayOfWeek, 1, 2, Sign::NotNegative),
        'c' if count == 2 => return Err("'cc' means nothing".into()),
        'e' | 'c' => Item::Text(Field::DayOfWeek, text_style(c, count)?),
        'a' if count == 1 => Item::Text(Field::AmPm, Style::Short),
        'h' => number(Field::ClockHourOfAmPm)?,
        'K' => number(Field::HourOfAmPm)?,
        'k' => number(Field::ClockHour)?,
        'H' => number(Field::Hour)?,
        'm' => number(Field::Minute)?,
        's' => number(Field::Second)?,
        'S' if count <= 9 => Item::Fraction(count),
        'A' => variable(Field::MilliOfDay, count, Sign::NotNegative),
        'n' => variable(Field::NanoOfSecond, count, Sign::NotNegative),
        'N' => variable(Field::NanoOfDay, count, Sign::NotNegative),
        'V' if count == 2 => Item::ZoneId,
        'V' => return Err("the zone's ID is 'VV'".into()),
        'v' if count == 1 => Item::ZoneName(Style::Short),
        'v' if count == 4 => Item::ZoneName(Style::Full),
        'z' if count <= 3 => Item::ZoneName(Style::Short),
        'z' if count == 4 => Item::ZoneName(Style::Full),
        'O' if count == 1 => Item::LocalizedOffset(Style::Short),
        'O' if count == 4 => Item::LocalizedOffset(Style::Full),
        'O' => return Err("the localized offset is 'O' or 'OOOO'".into()),
        'Z' if count == 4 => Item::LocalizedOffset(Style::Full),
        'X' | 'x' | 'Z' if count <= 5 => Item::Offset(offset(c, count)),
        'a' | 'S' | 'v' | 'z' | 'X' | 'x' | 'Z' => return Err(too_many(c)),
        _ => return Err(format!("the letter '{c}' means nothing")),
    })
}

fn too_many(c: char) -> String {
    format!("too many '{c}'")
}

fn offset(c: char, count: usize) -> OffsetStyle {
    let colon = count == 3 || count == 5;
    match (c, count) {
        ('X', _) => OffsetStyle { minutes_optional: count == 1, colon, zero: "Z" },
        ('x', 1) => OffsetStyle { minutes_optional: true, colon, zero: "+00" },
        ('x', _) => OffsetStyle { minutes_optional: false, colon, zero: if colon { "+00:00" } else { "+0000" } },
        (_, 5) => OffsetStyle { minutes_optional: false, colon: true, zero: "Z" },
        _ => OffsetStyle { minutes_optional: false, colon: false, zero: "+0000" },
    }
}

fn year(field: Field, count: usize) -> Item {
    match count {
        2 => Item::Reduced(field),
        1 | 3 => variable(field, count, Sign::Normal),
        _ => variable(field, count, Sign::ExceedsPad),
    }
}

fn digits(field: Field, digits_min: usize, digits_max: usize, sign: Sign) -> Item {
    Item::Number(Number { field, digits_min, digits_max, sign, reserved: 0 })
}

fn variable(field: Field, digits_min: usize, sign: Sign) -> Item {
    digits(field, digits_min, DIGITS_MAX, sign)
}

/// One letter: any number of digits; two: exactly two.
fn any_or_two(field: Field, c: char, count: usize) -> Result<Item, String> {
    match count {
        1 => Ok(variable(field, 1, Sign::Normal)),
        2 => Ok(digits(field, 2, 2, Sign::NotNegative)),
        _ => Err(too_many(c)),
    }
}

fn number_or_text(field: Field, c: char, count: usize) -> Result<Item, String> {
    if count <= 2 { any_or_two(field, c, count) } else { Ok(Item::Text(field, text_style(c, count)?)) }
}

fn text_style(c: char, count: usize) -> Result<Style, String> {
    match count {
        3 => Ok(Style::Short),
        4 => Ok(Style::Full),
        5 => Ok(Style::Narrow),
        _ => Err(too_many(c)),
    }
}

/// Tell each number of variable width how many digits the numbers of fixed width right after it need.
fn reserve(items: &mut [Item]) {
    let mut following = 0;
    for item in items.iter_mut().rev() {
        match item {
            Item::Number(number) if number.digits_min == number.digits_max && number.sign == Sign::NotNegative => {
                following += number.digits_min;
            }
            Item::Number(number) => {
                number.reserved = following;
                following = 0;
            }
            Item::Reduced(_) => following += 2,
            Item::Fraction(digits) => following += *digits,
            Item::Optional(inner) => {
                reserve(inner);
                following = 0;
            }
            _ => following = 0,
        }
    }
}
