//! Dates and times as PostgreSQL's ISO style writes them.
//!
//! The calendar arithmetic is Howard Hinnant's `civil_from_days` and `days_from_civil`
//! (<https://howardhinnant.github.io/date_algorithms.html>).

use bytes::{BufMut, BytesMut};

use super::cells::Interval;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// (year, month, day) of a day counted from 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// The day, counted from 1970-01-01, of a year, month and day.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// Writes `value` with at least `width` digits.
pub(crate) fn put_padded(out: &mut BytesMut, value: i64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value.unsigned_abs());
    if value < 0 {
        out.put_u8(b'-');
    }
    (text.len()..width).for_each(|_| out.put_u8(b'0'));
    out.put_slice(text.as_bytes());
}

/// `2020-02-29`; years before 1 have ` BC` behind them, which `suffix` writes after a time of day.
fn put_date_digits(out: &mut BytesMut, days: i64) -> bool {
    let (year, month, day) = civil_from_days(days);
    let before_christ = year < 1;
    put_padded(out, if before_christ { 1 - year } else { year }, 4);
    out.put_u8(b'-');
    put_padded(out, month, 2);
    out.put_u8(b'-');
    put_padded(out, day, 2);
    before_christ
}

/// A date.
pub(crate) fn put_date(out: &mut BytesMut, days: i64) {
    if put_date_digits(out, days) {
        out.put_slice(b" BC");
    }
}

/// A time of day, with as many digits of the second's fraction as it needs.
pub(crate) fn put_time(out: &mut BytesMut, micros: i64) {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    put_padded(out, seconds / 3600, 2);
    out.put_u8(b':');
    put_padded(out, seconds / 60 % 60, 2);
    out.put_u8(b':');
    put_padded(out, seconds % 60, 2);
    put_fraction(out, fraction);
}

fn put_fraction(out: &mut BytesMut, micros: i64) {
    if micros == 0 {
        return;
    }
    out.put_u8(b'.');
    let (mut digits, mut width) = (micros, 6);
    while digits % 10 == 0 {
        (digits, width) = (digits / 10, width - 1);
    }
    put_padded(out, digits, width);
}

/// A timestamp; `separator` stands between date and time, and `+00` behind it if it has a zone (ours is UTC).
pub(crate) fn put_timestamp(out: &mut BytesMut, micros: i64, separator: u8, zoned: bool) {
    let before_christ = put_date_digits(out, micros.div_euclid(MICROS_PER_DAY));
    out.put_u8(separator);
    put_time(out, micros.rem_euclid(MICROS_PER_DAY));
    if zoned {
        out.put_slice(b"+00");
    }
    if before_christ {
        out.put_slice(b" BC");
    }
}

/// An interval in the `postgres` style: `1 year 2 mons -3 days +04:05:06.7`.
pub(crate) fn put_interval(out: &mut BytesMut, interval: Interval) {
    let start = out.len();
    let (years, months) = (interval.months / 12, interval.months % 12);
    let mut negative = false;
    for (value, one, many) in [(years, "year", "years"), (months, "mon", "mons"), (interval.days, "day", "days")] {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.put_u8(b' ');
        }
        if negative && value > 0 {
            out.put_u8(b'+');
        }
        put_padded(out, value.into(), 1);
        out.put_u8(b' ');
        out.put_slice(if value == 1 { one } else { many }.as_bytes());
        negative = value < 0;
    }
    if interval.micros != 0 || out.len() == start {
        if out.len() > start {
            out.put_u8(b' ');
        }
        match interval.micros < 0 {
            true => out.put_u8(b'-'),
            false if negative => out.put_u8(b'+'),
            false => {}
        }
        put_time(out, interval.micros.saturating_abs());
    }
}

/// Days of `2020-02-29`.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let (text, before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut parts = text.splitn(3, '-');
    let year: i64 = digits(parts.next()?)?;
    let (month, day): (i64, i64) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let year = if before_christ { 1 - year } else { year };
    let days = days_from_civil(year, month, day);
    ((1..=12).contains(&month) && civil_from_days(days) == (year, month, day)).then_some(days)
}

/// Microseconds of `12:34[:56[.789]]`.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(3, ':');
    let (hours, minutes): (i64, i64) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let (seconds, micros) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (digits(seconds)?, 0),
            Some((seconds, fraction)) => (digits(seconds)?, parse_fraction(fraction)?),
        },
    };
    let fits = hours < 24 && minutes < 60 && seconds < 60 || (hours, minutes, seconds, micros) == (24, 0, 0, 0);
    fits.then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

/// Microseconds since 1970 of `2020-02-29[ T]12:34:56[.789][Z|±hh[:mm]]`, or of a date alone.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let Some(at) = text.char_indices().skip(1).find(|(_, c)| *c == ' ' || *c == 'T').map(|(i, _)| i) else {
        return parse_date(text)?.checked_mul(MICROS_PER_DAY);
    };
    let (date, time) = (text.get(..at)?, text.get(at + 1..)?);
    let (time, era) = match time.strip_suffix(" BC") {
        Some(time) => (time, " BC"),
        None => (time, ""),
    };
    let (time, offset) = match time.find(['Z', '+', '-']) {
        None => (time, 0),
        Some(i) => (time.get(..i)?, parse_offset(time.get(i..)?)?),
    };
    let days = parse_date(&format!("{date}{era}"))?;
    days.checked_mul(MICROS_PER_DAY)?.checked_add(parse_time(time)?)?.checked_sub(offset)
}

fn parse_offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, digits_text) = (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?);
    let (hours, minutes) = match digits_text.split_once(':') {
        Some((hours, minutes)) => (digits(hours)?, digits(minutes)?),
        None if digits_text.len() == 4 => (digits(digits_text.get(..2)?)?, digits(digits_text.get(2..)?)?),
        None => (digits(digits_text)?, 0),
    };
    (hours < 16 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

fn parse_fraction(text: &str) -> Option<i64> {
    let kept = text.get(..text.len().min(6))?;
    digits(text.get(kept.len()..).filter(|rest| !rest.is_empty()).unwrap_or("0"))?;
    Some(digits(kept)? * 10_i64.pow(6_u32.saturating_sub(u32::try_from(kept.len()).ok()?)))
}

fn digits(text: &str) -> Option<i64> {
    let sound = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn check(timestamp: &str, micros: i64) {
        assert_eq!(parse_timestamp(timestamp), Some(micros));
        assert_eq!(text(|o| put_timestamp(o, micros, b' ', false)), timestamp);
    }

    #[test]
    fn timestamps() {
        check("1970-01-01 00:00:00", 0);
        check("2020-02-29 23:59:59.25", 1_583_020_799_250_000);
        check("1969-12-31 23:59:59.999999", -1);
        check("0001-12-31 00:00:00 BC", days_from_civil(0, 12, 31) * MICROS_PER_DAY);
        assert_eq!(parse_timestamp("2020-01-01T01:00:00+01:00"), parse_timestamp("2020-01-01 00:00:00"));
        assert_eq!(parse_timestamp("2020-01-01"), parse_timestamp("2020-01-01 00:00Z"));
        for wrong in ["", "x", "2020-02-30", "2020-01-01 25:00", "2020-01-01 00:00:00.x", "2020-13-01"] {
            assert_eq!(parse_timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn intervals() {
        let check = |months, days, micros, want: &str| {
            assert_eq!(text(|o| put_interval(o, Interval { months, days, micros })), want);
        };
        check(0, 0, 0, "00:00:00");
        check(14, 3, 4_500_000, "1 year 2 mons 3 days 00:00:04.5");
        check(-1, 2, -1_000_000, "-1 mons +2 days -00:00:01");
        check(0, 0, 90_000_000_000, "25:00:00");
    }

    proptest! {
        #[test]
        fn days_round_trip(days in -1_000_000_i64..10_000_000) {
            let (y, m, d) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(y, m, d), days);
            prop_assert_eq!(parse_date(&text(|o| put_date(o, days))), Some(days));
        }

        #[test]
        fn parsers_never_panic(text in ".{0,24}") {
            _ = (parse_date(&text), parse_time(&text), parse_timestamp(&text));
        }
    }
}
