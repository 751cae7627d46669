//! The proleptic Gregorian calendar over 64 bits, and ISO 8601 texts of DATE, TIME and TIMESTAMP as ksqlDB's casts
//! read and write them.
//!
//! Not chrono: its dates end at the year 262143, and a TIMESTAMP of 64 bits of milliseconds reaches farther.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Astronomical: 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// The day that is `days` after 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub fn civil_from_days(days: i64) -> Civil {
    // Within this range nothing below overflows; no DATE or TIMESTAMP lies outside of it.
    let z = days.clamp(-200_000_000_000, 200_000_000_000) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Civil { year: yoe + era * 400 + i64::from(month <= 2), month, day }
}

/// Days from 1970-01-01 to that day; `None` if there is no such day or the year has more than nine digits.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if year.abs() > 999_999_999 || !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some(era * 146_097 + doe - 719_468)
}

/// Whether February has 29 days.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// 28 to 31.
pub fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days and milliseconds of the day of a timestamp.
pub fn split_timestamp(ms: i64) -> (i64, i64) {
    (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS))
}

/// `2020-05-26`, as `LocalDate.toString`.
pub fn format_date(days: i64) -> String {
    let Civil { year, month, day } = civil_from_days(days);
    let year = match year {
        10_000.. => format!("+{year}"),
        0..10_000 => format!("{year:04}"),
        _ => format!("-{:04}", -year),
    };
    format!("{year}-{month:02}-{day:02}")
}

/// `13:25`, `13:25:01`, `13:25:01.007`, as `LocalTime.toString`.
pub fn format_time(ms: i64) -> String {
    let ms = ms.rem_euclid(DAY_MS);
    let (seconds, fraction) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (second, fraction) {
        (0, 0) => format!("{hour:02}:{minute:02}"),
        (_, 0) => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}.{fraction:03}"),
    }
}

/// `2020-05-26T13:25:01.007`, always with milliseconds.
pub fn format_timestamp(ms: i64) -> String {
    let (days, ms) = split_timestamp(ms);
    let (seconds, fraction) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{fraction:03}", format_date(days))
}

/// Why a text is no DATE, TIME or TIMESTAMP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {what}: expected {expected}")]
pub struct TimeTextError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

/// Days of `2020-05-26`, `2020-05` (its first day) or `2020` (its first of January).
pub fn parse_date(text: &str) -> Result<i64, TimeTextError> {
    let error = || TimeTextError { text: text.to_owned(), what: "DATE", expected: "yyyy-MM-dd, or a beginning of it" };
    date_of(text.trim()).ok_or_else(error)
}

/// Milliseconds of `13:25:01.007`, or of a beginning of it (`13:25`).
pub fn parse_time(text: &str) -> Result<i64, TimeTextError> {
    let error =
        || TimeTextError { text: text.to_owned(), what: "TIME", expected: "HH:mm:ss.SSS, or a beginning of it" };
    time_of(text.trim()).ok_or_else(error)
}

/// Milliseconds since 1970-01-01T00:00Z of `2020-05-26T13:25:01.007`, or of a beginning of it; after a time may stand
/// `Z` or an offset such as `+0100` or `-08:00`. Without one it is UTC.
pub fn parse_timestamp(text: &str) -> Result<i64, TimeTextError> {
    let expected = "yyyy-MM-ddTHH:mm:ss.SSS, or a beginning of it, with Z or an offset (+hhmm) at will";
    let error = || TimeTextError { text: text.to_owned(), what: "TIMESTAMP", expected };
    timestamp_of(text.trim()).ok_or_else(error)
}

fn timestamp_of(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't']).unwrap_or((text, ""));
    let days = date_of(date)?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    let time = if time.is_empty() { 0 } else { time_of(time)? };
    let offset = if zone.is_empty() { 0 } else { parse_offset(zone)? };
    days.checked_mul(DAY_MS)?.checked_add(time)?.checked_sub(offset * 1000)
}

/// Seconds east of UTC of `Z`, `+hh`, `+hhmm`, `+hh:mm`.
pub fn parse_offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, body) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(body), _) => (1, body),
        (_, Some(body)) => (-1, body),
        _ => return None,
    };
    let digits = body.replacen(':', "", 1);
    let (hours, minutes) = match digits.len() {
        2 => (number(&digits)?, 0),
        4 => (number(digits.get(..2)?)?, number(digits.get(2..)?)?),
        _ => return None,
    };
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn date_of(text: &str) -> Option<i64> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = body.split('-');
    let year = parts.next().filter(|y| (4..=9).contains(&y.len())).and_then(number)?;
    let month = parts.next().map_or(Some(1), two_digits)?;
    let day = parts.next().map_or(Some(1), two_digits)?;
    if parts.next().is_some() {
        return None;
    }
    days_from_civil(if negative { -year } else { year }, month, day)
}

fn time_of(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hour = two_digits(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), two_digits)?;
    let (second, fraction) = match parts.next() {
        None => (0, 0),
        Some(last) => {
            let (second, fraction) = last.split_once('.').unwrap_or((last, "0"));
            (two_digits(second)?, milliseconds(fraction)?)
        }
    };
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * 1000 + fraction)
}

/// Milliseconds of the digits behind the point: one to nine of them, what is finer is cut off.
fn milliseconds(digits: &str) -> Option<i64> {
    if digits.len() > 9 {
        return None;
    }
    number(&format!("{digits:0<9}")).filter(|_| !digits.is_empty()).map(|nanos| nanos / 1_000_000)
}

fn two_digits(text: &str) -> Option<i64> {
    (1..=2).contains(&text.len()).then(|| number(text)).flatten()
}

fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(parse_timestamp(text).ok(), expect, "{text}");
        check("1970-01-01T00:00:00.010", Some(10));
        check("1970-01-01T00:00:01", Some(1000));
        check("2018", Some(1_514_764_800_000));
        check("2022-06-14", Some(1_655_164_800_000));
        check("2022-04-28T21:44:47.943Z", Some(1_651_182_287_943));
        check("2020-02-10T08:31:44.001+0000", Some(1_581_323_504_001));
        check("1970-01-01T01:00+01:00", Some(0));
        check("foo", None);
        check("2018-13-01", None);
        check("2018-02-29", None);
        check("", None);
        assert_eq!(parse_time("09:16:00"), Ok(33_360_000));
        assert_eq!(parse_time("00:00:00.005"), Ok(5));
        assert!(parse_time("24:00").is_err());
        assert_eq!(format_time(5000), "00:00:05");
        assert_eq!(format_time(48_300_000), "13:25");
        assert_eq!(format_date(-1), "1969-12-31");
        assert_eq!(format_timestamp(4), "1970-01-01T00:00:00.004");
    }

    proptest! {
        #[test]
        fn days_round_trip(days in -100_000_000_000_i64..100_000_000_000) {
            let Civil { year, month, day } = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), Some(days));
        }

        #[test]
        fn text_round_trip(ms in -60_000_000_000_000_i64..250_000_000_000_000) {
            prop_assert_eq!(parse_timestamp(&format_timestamp(ms)), Ok(ms));
        }
    }
}
