//! From a moment to its text.

use super::{Field, Item, Moment, Number, OffsetStyle, Sign, Style, TimeError, names::name_of};
use crate::calendar::{Civil, civil_from_days, days_from_civil};

/// Days from the first modified Julian day to 1970-01-01.
pub(super) const MODIFIED_JULIAN_EPOCH: i64 = 40_587;

pub(super) fn write(items: &[Item], moment: &Moment, out: &mut String) -> Result<(), TimeError> {
    for item in items {
        write_item(item, moment, out)?;
    }
    Ok(())
}

fn write_item(item: &Item, moment: &Moment, out: &mut String) -> Result<(), TimeError> {
    match item {
        Item::Literal(text) => out.push_str(text),
        Item::Number(number) => write_number(number, value_of(number.field, moment)?, out)?,
        Item::Reduced(field) => out.push_str(&format!("{:02}", value_of(*field, moment)?.rem_euclid(100))),
        Item::Fraction(digits) => {
            let nanos = format!("{:09}", value_of(Field::NanoOfSecond, moment)?);
            out.push_str(nanos.get(..*digits).unwrap_or(&nanos));
        }
        Item::Text(field, style) => {
            let value = value_of(*field, moment)?;
            out.push_str(name_of(*field, *style, value).ok_or(TimeError::TooWide(value))?);
        }
        Item::Offset(style) => write_offset(*style, offset_of(moment)?, out),
        Item::LocalizedOffset(style) => write_localized(*style, offset_of(moment)?, out),
        Item::ZoneId => out.push_str(&zone_of(moment)?.0.id()),
        Item::ZoneName(style) => {
            let (zone, offset) = zone_of(moment)?;
            let local = moment
                .days
                .unwrap_or(0)
                .saturating_mul(crate::calendar::DAY_MS)
                .saturating_add(moment.time_ms.unwrap_or(0));
            out.push_str(&zone.name_at(*style, local.saturating_sub(offset * 1000)));
        }
        Item::Optional(inner) => {
            // Left out where the moment has not what it asks for.
            let mut text = String::new();
            if write(inner, moment, &mut text).is_ok() {
                out.push_str(&text);
            }
        }
        Item::Padded(width, inner) => {
            let mut text = String::new();
            write_item(inner, moment, &mut text)?;
            let count = text.chars().count();
            if count > *width {
                return Err(TimeError::TooWide(i64::try_from(count).unwrap_or(i64::MAX)));
            }
            out.push_str(&" ".repeat(width - count));
            out.push_str(&text);
        }
    }
    Ok(())
}

fn write_number(number: &Number, value: i64, out: &mut String) -> Result<(), TimeError> {
    let digits = value.unsigned_abs().to_string();
    if digits.len() > number.digits_max || (value < 0 && number.sign == Sign::NotNegative) {
        return Err(TimeError::TooWide(value));
    }
    if value < 0 {
        out.push('-');
    } else if number.sign == Sign::ExceedsPad && digits.len() > number.digits_min {
        out.push('+');
    }
    out.push_str(&"0".repeat(number.digits_min.saturating_sub(digits.len())));
    out.push_str(&digits);
    Ok(())
}

fn write_offset(style: OffsetStyle, seconds: i64, out: &mut String) {
    if seconds == 0 {
        out.push_str(style.zero);
        return;
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    out.push_str(&format!("{sign}{hours:02}"));
    if minutes != 0 || !style.minutes_optional {
        let colon = if style.colon { ":" } else { "" };
        out.push_str(&format!("{colon}{minutes:02}"));
    }
}

fn write_localized(style: Style, seconds: i64, out: &mut String) {
    out.push_str("GMT");
    if seconds == 0 {
        return;
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (style, minutes) {
        (Style::Full, _) => out.push_str(&format!("{sign}{hours:02}:{minutes:02}")),
        (_, 0) => out.push_str(&format!("{sign}{hours}")),
        _ => out.push_str(&format!("{sign}{hours}:{minutes:02}")),
    }
}

fn zone_of(moment: &Moment) -> Result<(&super::Zone, i64), TimeError> {
    let zone = moment.zone.as_ref().ok_or(TimeError::Missing { field: "a time zone", what: moment.what() })?;
    Ok((&zone.0, zone.1))
}

fn offset_of(moment: &Moment) -> Result<i64, TimeError> {
    zone_of(moment).map(|(_, offset)| offset)
}

fn value_of(field: Field, moment: &Moment) -> Result<i64, TimeError> {
    let missing = || TimeError::Missing { field: field.name(), what: moment.what() };
    let of_time = |divisor: i64| moment.time_ms.map(|ms| ms / divisor).ok_or_else(missing);
    let of_date = || moment.days.ok_or_else(missing);
    Ok(match field {
        Field::AmPm => of_time(43_200_000)?,
        Field::Hour => of_time(3_600_000)?,
        Field::ClockHour => (of_time(3_600_000)? + 23) % 24 + 1,
        Field::HourOfAmPm => of_time(3_600_000)? % 12,
        Field::ClockHourOfAmPm => (of_time(3_600_000)? + 11) % 12 + 1,
        Field::Minute => of_time(60_000)? % 60,
        Field::Second => of_time(1000)? % 60,
        Field::NanoOfSecond => of_time(1)? % 1000 * 1_000_000,
        Field::MilliOfDay => of_time(1)?,
        Field::NanoOfDay => of_time(1)? * 1_000_000,
        _ => value_of_date(field, of_date()?),
    })
}

/// Monday is 1.
pub(super) fn day_of_week(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// Days since 1970-01-01 of the Sunday with which week 1 begins: that of the week with January 1.
pub(super) fn first_week(year: i64) -> i64 {
    let january = days_from_civil(year, 1, 1).unwrap_or(0);
    january - day_of_week(january) % 7
}

fn value_of_date(field: Field, days: i64) -> i64 {
    let Civil { year, month, day } = civil_from_days(days);
    let year_start = days_from_civil(year, 1, 1).unwrap_or(days);
    match field {
        Field::Era => i64::from(year > 0),
        Field::YearOfEra => {
            if year > 0 {
                year
            } else {
                1 - year
            }
        }
        Field::Year => year,
        Field::Quarter => (month - 1) / 3 + 1,
        Field::Month => month,
        Field::WeekYear => year + i64::from(days >= first_week(year + 1)),
        Field::WeekOfYear => {
            let start = if days >= first_week(year + 1) { first_week(year + 1) } else { first_week(year) };
            (days - start) / 7 + 1
        }
        Field::WeekOfMonth => {
            let first = days - day + 1;
            (days - (first - day_of_week(first) % 7)) / 7 + 1
        }
        Field::DayOfYear => days - year_start + 1,
        Field::DayOfMonth => day,
        Field::DayOfWeek => day_of_week(days),
        Field::LocalDayOfWeek => day_of_week(days) % 7 + 1,
        Field::DayOfWeekInMonth => (day - 1) / 7 + 1,
        Field::ModifiedJulianDay => days + MODIFIED_JULIAN_EPOCH,
        // Fields of the time.
        _ => 0,
    }
}
