//! What the functions share that read and write dates and times as text: patterns and zones, compiled once.

use arrow::array::{Array, ArrayAccessor, ArrayRef, StringArray};
use types::Result;

use crate::{
    RowErrors,
    javatime::{Moment, Parsed, Pattern, TimeError, Zone},
    scalar::definition::Call,
};

/// The first argument, formatted by the pattern in the second, in the zone in the third (UTC, if there is none).
pub(super) fn format<'a, A>(
    call: &Call<'a>,
    errors: &mut RowErrors,
    moment: impl Fn(<&'a A as ArrayAccessor>::Item, &Zone) -> Moment,
) -> Result<ArrayRef>
where
    A: Array + 'static,
    &'a A: ArrayAccessor,
{
    let (values, patterns, zones) =
        (call.view::<A>(0)?, call.view::<StringArray>(1)?, call.optional::<StringArray>(2)?);
    let (mut compiled, mut by_id) = (call.cache.by_row(Pattern::compile), call.cache.by_row(Zone::parse));
    call.try_rows::<StringArray, _, TimeError>(errors, |row| {
        let Some((value, pattern)) = values.get(row).zip(patterns.get(row)) else { return Ok(None) };
        let zone = match zones.map(|z| z.get(row)) {
            None => None,
            Some(None) => return Ok(None),
            Some(Some(id)) => Some(by_id.get(id)?),
        };
        let pattern = compiled.get(pattern)?;
        pattern.format(&moment(value, zone.unwrap_or(&Zone::UTC))).map(Some)
    })
}

/// What `value` makes of the text in the first argument, read by the pattern in the second, in the zone in the third
/// (UTC, if there is none).
pub(super) fn parse<A, T>(
    call: &Call<'_>,
    errors: &mut RowErrors,
    value: impl Fn(&Parsed, &Zone) -> Result<T, TimeError>,
) -> Result<ArrayRef>
where
    A: Array + FromIterator<Option<T>> + 'static,
{
    parse_with::<A, T>(call, errors, Pattern::parse, value)
}

/// As [`parse`], with another way to read a text by a pattern.
pub(super) fn parse_with<A, T>(
    call: &Call<'_>,
    errors: &mut RowErrors,
    read: impl Fn(&Pattern, &str) -> Result<Parsed, TimeError>,
    value: impl Fn(&Parsed, &Zone) -> Result<T, TimeError>,
) -> Result<ArrayRef>
where
    A: Array + FromIterator<Option<T>> + 'static,
{
    let texts = call.view::<StringArray>(0)?;
    let (patterns, zones) = (call.view::<StringArray>(1)?, call.optional::<StringArray>(2)?);
    let (mut compiled, mut by_id) = (call.cache.by_row(Pattern::compile), call.cache.by_row(Zone::parse));
    call.try_rows::<A, T, TimeError>(errors, |row| {
        let Some((text, pattern)) = texts.get(row).zip(patterns.get(row)) else { return Ok(None) };
        let zone = match zones.map(|z| z.get(row)) {
            None => None,
            Some(None) => return Ok(None),
            Some(Some(id)) => Some(by_id.get(id)?),
        };
        let pattern = compiled.get(pattern)?;
        let parsed = read(pattern, text)?;
        value(&parsed, zone.unwrap_or(&Zone::UTC)).map(Some)
    })
}

/// Days of what was read, as a DATE or INTEGER holds them.
pub(super) fn days(parsed: &Parsed) -> Result<i32, TimeError> {
    let days = parsed.date()?;
    i32::try_from(days).map_err(|_| TimeError::TooWide(days))
}
