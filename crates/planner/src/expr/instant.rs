//! Text → ms since 1970, where ROWTIME, WINDOWSTART or WINDOWEND is compared with a text.
//!
//! The text is a prefix of ISO 8601 from the year on (`2020`, `2020-02`, `2020-02-10T08:31`); what is missing is the
//! first moment; without an offset the time is UTC.

use chrono::{NaiveDate, NaiveTime};
use types::{Error, Result};

/// The moment that `text` names, ms since 1970-01-01T00:00:00Z.
pub fn parse(text: &str) -> Result<i64> {
    moment(text.trim()).ok_or_else(|| {
        Error::new(types::ErrorKind::User, "22007", format!("'{text}' is no time")).with_hint(
            "write it as 2020-02-10, 2020-02-10T08:31:44.001 or 2020-02-10T08:31:44.001+0100, or as ms since 1970",
        )
    })
}

fn moment(text: &str) -> Option<i64> {
    let (date_text, rest) = match text.find(['T', ' ']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, ""),
    };
    let date = date(date_text)?;
    let (time_text, offset_text) = match rest.find(['Z', '+', '-']) {
        Some(at) => (rest.get(..at)?, rest.get(at..)?),
        None => (rest, ""),
    };
    let time = if time_text.trim_end().is_empty() { NaiveTime::MIN } else { time(time_text.trim_end())? };
    let offset_ms = offset_ms(offset_text)?;
    date.and_time(time).and_utc().timestamp_millis().checked_sub(offset_ms)
}

fn date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |m| digits(m, 2))?;
    let day = parts.next().map_or(Some(1), |d| digits(d, 2))?;
    if parts.next().is_some() {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

fn time(text: &str) -> Option<NaiveTime> {
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = parts.next().map_or(Some(0), |m| digits(m, 2))?;
    let (second, milli) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once(['.', ',']) {
            None => (digits(seconds, 2)?, 0),
            Some((seconds, fraction)) => (digits(seconds, 2)?, millis(fraction)?),
        },
    };
    if parts.next().is_some() {
        return None;
    }
    NaiveTime::from_hms_milli_opt(hour, minute, second, milli)
}

/// `1` is 100 ms, `001` is 1 ms; digits after the third are below our precision.
fn millis(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<3}").get(..3)?.parse().ok()
}

/// `Z`, `+hh`, `+hhmm`, `+hh:mm`.
fn offset_ms(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first() {
        None => return Some(0),
        Some(b'Z') => return (text.len() == 1).then_some(0),
        Some(b'-') => (-1, text.get(1..)?),
        Some(_) => (1, text.get(1..)?),
    };
    let rest = rest.replace(':', "");
    let (hours, minutes) = match rest.len() {
        2 => (digits(&rest, 2)?, 0),
        4 => (digits(rest.get(..2)?, 2)?, digits(rest.get(2..)?, 2)?),
        _ => return None,
    };
    (hours <= 18 && minutes < 60).then(|| sign * (i64::from(hours) * 60 + i64::from(minutes)) * 60_000)
}

fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_offsets() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(parse(text).ok(), expect, "{text}");
        check("1970", Some(0));
        check("2018", Some(1_514_764_800_000));
        check("2018-01-01T00:00:00.001", Some(1_514_764_800_001));
        check("2020-02-10T08:31:44.001+0000", Some(1_581_323_504_001));
        check("2020-02-10T08:31:44.001Z", Some(1_581_323_504_001));
        check("2020-02-10T10:31:44.001+02:00", Some(1_581_323_504_001));
        check("2020-02-10 08", Some(1_581_321_600_000));
        check("2020-13", None);
        check("yesterday", None);
        check("2020-02-10T08:31:44.001+99", None);
        check("", None);
    }
}
