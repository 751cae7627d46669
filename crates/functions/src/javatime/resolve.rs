//! From fields to a date, a time, an instant.

use std::collections::BTreeMap;

use super::{
    Field, TimeError, Zone,
    format::{MODIFIED_JULIAN_EPOCH, day_of_week, first_week},
};
use crate::calendar::{DAY_MS, days_from_civil, days_of_month, is_leap};

/// What a text told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    fields: BTreeMap<Field, i64>,
    pub(super) offset_seconds: Option<i64>,
    pub(super) zone: Option<Zone>,
}

impl Parsed {
    /// Note a field; the error says why the value cannot be.
    pub(super) fn set(&mut self, field: Field, value: i64) -> Result<(), String> {
        let (min, max) = range(field);
        if value < min || value > max {
            return Err(format!("{} from {min} to {max}", field.name()));
        }
        match self.fields.insert(field, value) {
            Some(other) if other != value => Err(format!("{} to be {other} again", field.name())),
            _ => Ok(()),
        }
    }

    fn get(&self, field: Field) -> Option<i64> {
        self.fields.get(&field).copied()
    }

    /// Days since 1970-01-01. What is not told is that of 1970-01-01; a day that its month does not have is the
    /// month's last.
    pub fn date(&self) -> Result<i64, TimeError> {
        let error = |reason: &str| TimeError::Text { text: self.describe(), reason: reason.to_owned() };
        if let Some(julian) = self.get(Field::ModifiedJulianDay) {
            return Ok(julian - MODIFIED_JULIAN_EPOCH);
        }
        let day_of_week_told =
            self.get(Field::DayOfWeek).or_else(|| self.get(Field::LocalDayOfWeek).map(|d| (d + 5) % 7 + 1));
        let year = self.year();
        let has_day = self.fields.keys().any(|f| matches!(f, Field::Month | Field::DayOfMonth));
        let days = if let (Some(week), false) = (self.get(Field::WeekOfYear), has_day) {
            let week_year = self.get(Field::WeekYear).unwrap_or(year);
            first_week(week_year) + (week - 1) * 7 + day_of_week_told.unwrap_or(7) % 7
        } else if let (Some(day), false) = (self.get(Field::DayOfYear), has_day) {
            if day == 366 && !is_leap(year) {
                return Err(error("the year has no day 366"));
            }
            days_from_civil(year, 1, 1).ok_or_else(|| error("there is no such year"))? + day - 1
        } else {
            let quarter = self.get(Field::Quarter).map(|q| (q - 1) * 3 + 1);
            let month = self.get(Field::Month).or(quarter).unwrap_or(1);
            let day = self.get(Field::DayOfMonth).unwrap_or(1).min(days_of_month(year, month));
            days_from_civil(year, month, day).ok_or_else(|| error("there is no such year"))?
        };
        match day_of_week_told {
            Some(told) if has_day && told != day_of_week(days) => Err(error("it was another day of the week")),
            _ => Ok(days),
        }
    }

    fn year(&self) -> i64 {
        let of_era = |year: i64| if self.get(Field::Era) == Some(0) { 1 - year } else { year };
        self.get(Field::Year).or_else(|| self.get(Field::YearOfEra).map(of_era)).unwrap_or(1970)
    }

    /// Milliseconds since midnight; what is not told is 0.
    pub fn time(&self) -> i64 {
        if let Some(nanos) = self.get(Field::NanoOfDay) {
            return nanos / 1_000_000;
        }
        if let Some(ms) = self.get(Field::MilliOfDay) {
            return ms;
        }
        let half = self.get(Field::AmPm).unwrap_or(0) * 12;
        let of_half = self.get(Field::ClockHourOfAmPm).map(|h| h % 12).or_else(|| self.get(Field::HourOfAmPm));
        let hour = self.get(Field::Hour).or_else(|| self.get(Field::ClockHour).map(|h| h % 24));
        let hour = hour.unwrap_or_else(|| of_half.unwrap_or(0) + half);
        let (minute, second) = (self.get(Field::Minute).unwrap_or(0), self.get(Field::Second).unwrap_or(0));
        let ms = self.get(Field::NanoOfSecond).unwrap_or(0) / 1_000_000;
        ((hour * 60 + minute) * 60 + second) * 1000 + ms
    }

    /// Milliseconds since 1970-01-01T00:00Z; where the text tells no zone and no offset, clocks in `zone` are meant.
    pub fn instant(&self, zone: &Zone) -> Result<i64, TimeError> {
        let error = || TimeError::Text { text: self.describe(), reason: "it is too far away".to_owned() };
        let local =
            self.date()?.checked_mul(DAY_MS).and_then(|days| days.checked_add(self.time())).ok_or_else(error)?;
        let zone = self.zone.as_ref().unwrap_or(zone);
        let offset = self.offset_seconds.unwrap_or_else(|| zone.offset_of_local(local));
        local.checked_sub(offset * 1000).ok_or_else(error)
    }

    fn describe(&self) -> String {
        let told: Vec<String> =
            self.fields.iter().map(|(field, value)| format!("{} of {value}", field.name())).collect();
        told.join(", ")
    }
}

/// The values that a field can have.
fn range(field: Field) -> (i64, i64) {
    match field {
        Field::Era | Field::AmPm => (0, 1),
        Field::YearOfEra => (1, 999_999_999),
        Field::Year | Field::WeekYear => (-999_999_999, 999_999_999),
        Field::Quarter => (1, 4),
        Field::Month => (1, 12),
        Field::WeekOfYear => (1, 54),
        Field::WeekOfMonth => (0, 6),
        Field::DayOfYear => (1, 366),
        Field::DayOfMonth => (1, 31),
        Field::DayOfWeek | Field::LocalDayOfWeek => (1, 7),
        Field::DayOfWeekInMonth => (1, 5),
        Field::ModifiedJulianDay => (-365_000_000_000, 365_000_000_000),
        Field::Hour => (0, 23),
        Field::ClockHour => (1, 24),
        Field::HourOfAmPm => (0, 11),
        Field::ClockHourOfAmPm => (1, 12),
        Field::Minute | Field::Second => (0, 59),
        Field::NanoOfSecond => (0, 999_999_999),
        Field::MilliOfDay => (0, DAY_MS - 1),
        Field::NanoOfDay => (0, DAY_MS * 1_000_000 - 1),
    }
}
