//! Patterns of dates and times as Java's `DateTimeFormatter` has them (`yyyy-MM-dd'T'HH:mm:ss.SSSX`): a compiler, a
//! formatter and a parser, in English.
//!
//! ksqlDB takes such patterns in functions and in TIMESTAMP_FORMAT. Texts are read without regard to case and leniently
//! where the day is too large for its month (2021-06-31 is the 30th), and what a pattern does not tell is that of
//! 1970-01-01T00:00, all as ksqlDB does.

mod compile;
mod format;
mod names;
mod parse;
mod resolve;
mod zone;

pub use resolve::Parsed;
pub use zone::Zone;

use crate::calendar::split_timestamp;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<Item>,
}

/// What is wrong with a pattern, a text or a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The pattern cannot be compiled.
    #[error("invalid date and time pattern '{pattern}': {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The text does not follow the pattern.
    #[error("'{text}' cannot be read as a date or time: {reason}")]
    Text {
        /// The text.
        text: String,
        /// Where it stops to do so, or which values contradict each other.
        reason: String,
    },
    /// The value has no such field: a DATE has no hour.
    #[error("the pattern asks for {field}, which a {what} does not have")]
    Missing {
        /// The field.
        field: &'static str,
        /// DATE or TIME.
        what: &'static str,
    },
    /// The value of a field has more digits than the pattern allows.
    #[error("{0} does not fit into its place in the pattern")]
    TooWide(i64),
    /// No such time zone.
    #[error("'{0}' is no time zone: expected a name such as Europe/London, UTC, or an offset such as +02:00")]
    Zone(String),
}

impl Pattern {
    /// Compile `pattern`.
    pub fn compile(pattern: &str) -> Result<Pattern, TimeError> {
        compile::compile(pattern)
    }

    /// `moment` as text.
    pub fn format(&self, moment: &Moment) -> Result<String, TimeError> {
        let mut out = String::new();
        format::write(&self.items, moment, &mut out)?;
        Ok(out)
    }

    /// Read the whole of `text`.
    pub fn parse(&self, text: &str) -> Result<Parsed, TimeError> {
        parse::parse(&self.items, text)
    }

    /// Read as much of `text` as the pattern has.
    pub fn parse_start(&self, text: &str) -> Result<Parsed, TimeError> {
        parse::parse_start(&self.items, text).map(|(parsed, _)| parsed)
    }
}

/// What is formatted: a date, a time, or both in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Days since 1970-01-01.
    days: Option<i64>,
    /// Milliseconds of the day.
    time_ms: Option<i64>,
    /// The zone, and seconds east of UTC there and then.
    zone: Option<(Zone, i64)>,
}

impl Moment {
    /// The date that is `days` after 1970-01-01.
    pub fn date(days: i64) -> Moment {
        Moment { days: Some(days), time_ms: None, zone: None }
    }

    /// The time that is `ms` after midnight.
    pub fn time(ms: i64) -> Moment {
        Moment { days: None, time_ms: Some(ms), zone: None }
    }

    /// The instant that is `ms` after 1970-01-01T00:00Z, as clocks in `zone` show it.
    pub fn instant(ms: i64, zone: &Zone) -> Moment {
        let offset = zone.offset_at(ms);
        let (days, time_ms) = split_timestamp(ms.saturating_add(offset * 1000));
        Moment { days: Some(days), time_ms: Some(time_ms), zone: Some((zone.clone(), offset)) }
    }

    /// DATE or TIME, for errors.
    fn what(&self) -> &'static str {
        match (self.days, self.time_ms) {
            (_, None) => "DATE",
            (None, _) => "TIME",
            _ => "TIMESTAMP",
        }
    }
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// This text.
    Literal(String),
    /// A number.
    Number(Number),
    /// The last two digits of a year from 2000 to 2099.
    Reduced(Field),
    /// So many digits of the fraction of a second.
    Fraction(usize),
    /// A name.
    Text(Field, Style),
    /// An offset from UTC.
    Offset(OffsetStyle),
    /// `GMT+8` or `GMT+08:00`.
    LocalizedOffset(Style),
    /// The zone's ID.
    ZoneId,
    /// The zone's name.
    ZoneName(Style),
    /// What may be missing.
    Optional(Vec<Item>),
    /// The item, filled up with spaces to a width.
    Padded(usize, Box<Item>),
}

/// A number in a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    field: Field,
    digits_min: usize,
    digits_max: usize,
    sign: Sign,
    /// Digits that belong to the numbers that follow without a gap.
    reserved: usize,
}

/// Which signs a number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// `-` before what is negative.
    Normal,
    /// `+`, too, before what has more digits than the least number of them.
    ExceedsPad,
    /// None.
    NotNegative,
}

/// How much of a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Short,
    Full,
    Narrow,
}

/// How an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OffsetStyle {
    /// Hours alone, if there are no minutes.
    minutes_optional: bool,
    colon: bool,
    /// What offset 0 is.
    zero: &'static str,
}

/// A field of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Era,
    YearOfEra,
    Year,
    Quarter,
    Month,
    WeekYear,
    WeekOfYear,
    WeekOfMonth,
    DayOfYear,
    DayOfMonth,
    /// Monday is 1.
    DayOfWeek,
    /// Sunday is 1.
    LocalDayOfWeek,
    DayOfWeekInMonth,
    ModifiedJulianDay,
    AmPm,
    /// 0 to 23.
    Hour,
    /// 1 to 24.
    ClockHour,
    /// 0 to 11.
    HourOfAmPm,
    /// 1 to 12.
    ClockHourOfAmPm,
    Minute,
    Second,
    NanoOfSecond,
    MilliOfDay,
    NanoOfDay,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Field::Era => "an era",
            Field::YearOfEra | Field::Year | Field::WeekYear => "a year",
            Field::Quarter => "a quarter",
            Field::Month => "a month",
            Field::WeekOfYear | Field::WeekOfMonth => "a week",
            Field::DayOfYear | Field::DayOfMonth | Field::DayOfWeekInMonth | Field::ModifiedJulianDay => "a day",
            Field::DayOfWeek | Field::LocalDayOfWeek => "a day of the week",
            Field::AmPm => "AM or PM",
            Field::Hour | Field::ClockHour | Field::HourOfAmPm | Field::ClockHourOfAmPm => "an hour",
            Field::Minute => "a minute",
            Field::Second => "a second",
            Field::NanoOfSecond | Field::MilliOfDay | Field::NanoOfDay => "a fraction of a second",
        }
    }
}

#[cfg(test)]
mod tests;
