//! From a text to its fields.

use super::{Field, Item, Number, OffsetStyle, Parsed, Sign, TimeError, Zone, names};

pub(super) fn parse(items: &[Item], text: &str) -> Result<Parsed, TimeError> {
    match parse_start(items, text)? {
        (parsed, "") => Ok(parsed),
        (_, rest) => {
            let reason = format!("'{rest}' is more than the pattern has");
            Err(TimeError::Text { text: text.to_owned(), reason })
        }
    }
}

/// The fields, and what of the text is behind them.
pub(super) fn parse_start<'t>(items: &[Item], text: &'t str) -> Result<(Parsed, &'t str), TimeError> {
    let mut parsed = Parsed::default();
    let error = |reason: String| TimeError::Text { text: text.to_owned(), reason };
    match read_all(items, text, &mut parsed) {
        Ok(rest) => Ok((parsed, rest)),
        Err(Stop { rest: "", wanted }) => Err(error(format!("expected {wanted} after it"))),
        Err(Stop { rest, wanted }) => Err(error(format!("expected {wanted} at '{rest}'"))),
    }
}

/// Where a text stopped to follow the pattern.
struct Stop<'t> {
    rest: &'t str,
    wanted: String,
}

type Read<'t> = Result<&'t str, Stop<'t>>;

fn read_all<'t>(items: &[Item], text: &'t str, parsed: &mut Parsed) -> Read<'t> {
    items.iter().try_fold(text, |rest, item| read(item, rest, parsed))
}

fn read<'t>(item: &Item, text: &'t str, parsed: &mut Parsed) -> Read<'t> {
    let stop = |wanted: &str| Stop { rest: text, wanted: wanted.to_owned() };
    let after = |length: usize| text.get(length..).unwrap_or("");
    match item {
        Item::Literal(literal) => {
            let length = matching(text, literal).ok_or_else(|| stop(&format!("'{literal}'")))?;
            Ok(after(length))
        }
        Item::Number(number) => read_number(number, text, parsed),
        Item::Reduced(field) => {
            let value = digits(text, 2).ok_or_else(|| stop("two digits of a year"))?;
            parsed.set(*field, 2000 + value).map_err(|e| stop(&e))?;
            Ok(after(2))
        }
        Item::Fraction(count) => {
            let value = digits(text, *count).ok_or_else(|| stop(&format!("{count} digits of a fraction")))?;
            let missing = u32::try_from(9_usize.saturating_sub(*count)).unwrap_or(0);
            parsed.set(Field::NanoOfSecond, value * 10_i64.pow(missing)).map_err(|e| stop(&e))?;
            Ok(after(*count))
        }
        Item::Text(field, style) => {
            let (value, length) = names::find(*field, *style, text).ok_or_else(|| stop(field.name()))?;
            parsed.set(*field, value).map_err(|e| stop(&e))?;
            Ok(after(length))
        }
        Item::Offset(style) => read_offset(*style, text, parsed),
        Item::LocalizedOffset(_) => {
            let length = matching(text, "GMT").ok_or_else(|| stop("GMT and an offset"))?;
            let rest = after(length);
            let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | ':'))).unwrap_or(rest.len());
            let offset = rest.get(..end).unwrap_or("");
            let zone = if offset.is_empty() { Some(Zone::Fixed(0)) } else { Zone::parse(offset).ok() };
            parsed.zone = Some(zone.ok_or_else(|| stop("an offset after GMT"))?);
            Ok(rest.get(end..).unwrap_or(""))
        }
        Item::ZoneId | Item::ZoneName(_) => {
            let names = matches!(item, Item::ZoneName(_));
            let (zone, length) = Zone::read(text, names).ok_or_else(|| stop("a time zone"))?;
            parsed.zone = Some(zone);
            Ok(after(length))
        }
        Item::Optional(inner) => {
            let mut attempt = parsed.clone();
            let rest = read_all(inner, text, &mut attempt).unwrap_or(text);
            if rest.len() < text.len() {
                *parsed = attempt;
            }
            Ok(rest)
        }
        Item::Padded(width, inner) => {
            let end = text.char_indices().nth(*width).map_or(text.len(), |(at, _)| at);
            let (field, rest) = text.split_at(end);
            match read(inner, field.trim_start_matches(' '), parsed) {
                Ok("") => Ok(rest),
                _ => Err(stop("a padded field")),
            }
        }
    }
}

/// The bytes of `text` that are `literal` but for case.
fn matching(text: &str, literal: &str) -> Option<usize> {
    let mut length = 0;
    let mut chars = text.chars();
    for want in literal.chars() {
        let got = chars.next()?;
        if got != want && !got.to_lowercase().eq(want.to_lowercase()) {
            return None;
        }
        length += got.len_utf8();
    }
    Some(length)
}

/// The number of the first `count` characters, all digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let digits = text.get(..count).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

fn read_number<'t>(number: &Number, text: &'t str, parsed: &mut Parsed) -> Read<'t> {
    let stop = |wanted: &str| Stop { rest: text, wanted: wanted.to_owned() };
    let (negative, plus, body) = match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(body), _) if number.sign != Sign::NotNegative => (true, false, body),
        (_, Some(body)) if number.sign == Sign::ExceedsPad => (false, true, body),
        _ => (false, false, text),
    };
    let count = body.bytes().take_while(u8::is_ascii_digit).count();
    let fixed = number.digits_min == number.digits_max;
    let available = if fixed { count } else { count.saturating_sub(number.reserved).max(number.digits_min.min(count)) };
    let take = available.min(number.digits_max);
    let plain = !plus || take > number.digits_min;
    if take < number.digits_min || !plain {
        return Err(stop(number.field.name()));
    }
    // 19 digits may exceed 64 bits.
    let value = digits(body, take).ok_or_else(|| stop(number.field.name()))?;
    parsed.set(number.field, if negative { -value } else { value }).map_err(|e| stop(&e))?;
    Ok(body.get(take..).unwrap_or(""))
}

fn read_offset<'t>(style: OffsetStyle, text: &'t str, parsed: &mut Parsed) -> Read<'t> {
    let stop = || Stop { rest: text, wanted: "an offset from UTC".to_owned() };
    if style.zero == "Z" && text.starts_with(['Z', 'z']) {
        parsed.offset_seconds = Some(0);
        return Ok(text.get(1..).unwrap_or(""));
    }
    // Longest first: with a colon, with minutes, hours alone.
    let lengths: &[usize] = if style.minutes_optional { &[6, 5, 3] } else { &[6, 5] };
    for length in lengths {
        let Some(offset) = text.get(..*length) else { continue };
        if let Some(seconds) = crate::calendar::parse_offset(offset) {
            parsed.offset_seconds = Some(seconds);
            return Ok(text.get(*length..).unwrap_or(""));
        }
    }
    Err(stop())
}
