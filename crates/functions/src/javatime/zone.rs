//! Time zones by the names that Java knows them by.

use std::str::FromStr;

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetComponents, OffsetName, Tz};

use super::{Style, TimeError};
use crate::calendar::parse_offset;

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of UTC, always.
    Fixed(i64),
    /// A zone of the tz database.
    Named(Tz),
}

/// Abbreviations, the zones that they stand for, and whether they are those of daylight saving time.
const ABBREVIATIONS: &[(&str, Tz)] = &[
    ("ACDT", Tz::Australia__Adelaide),
    ("ACST", Tz::Australia__Darwin),
    ("AEDT", Tz::Australia__Sydney),
    ("AEST", Tz::Australia__Sydney),
    ("AKDT", Tz::America__Anchorage),
    ("AKST", Tz::America__Anchorage),
    ("AWST", Tz::Australia__Perth),
    ("BST", Tz::Europe__London),
    ("CDT", Tz::America__Chicago),
    ("CEST", Tz::Europe__Paris),
    ("CET", Tz::Europe__Paris),
    ("CST", Tz::America__Chicago),
    ("CTT", Tz::Asia__Shanghai),
    ("EDT", Tz::America__New_York),
    ("EEST", Tz::Europe__Athens),
    ("EET", Tz::Europe__Athens),
    ("EST", Tz::America__New_York),
    ("GMT", Tz::GMT),
    ("HKT", Tz::Asia__Hong_Kong),
    ("HST", Tz::Pacific__Honolulu),
    ("IST", Tz::Asia__Kolkata),
    ("JST", Tz::Asia__Tokyo),
    ("KST", Tz::Asia__Seoul),
    ("MDT", Tz::America__Denver),
    ("MSK", Tz::Europe__Moscow),
    ("MST", Tz::America__Denver),
    ("NZDT", Tz::Pacific__Auckland),
    ("NZST", Tz::Pacific__Auckland),
    ("PDT", Tz::America__Los_Angeles),
    ("PKT", Tz::Asia__Karachi),
    ("PST", Tz::America__Los_Angeles),
    ("SAST", Tz::Africa__Johannesburg),
    ("SGT", Tz::Asia__Singapore),
    ("UT", Tz::UTC),
    ("UTC", Tz::UTC),
    ("WEST", Tz::Europe__Lisbon),
    ("WET", Tz::Europe__Lisbon),
];

/// Full names of the zones that share an abbreviation's zone: (zone, standard, daylight saving).
const FULL_NAMES: &[(Tz, &str, &str)] = &[
    (Tz::America__Los_Angeles, "Pacific Standard Time", "Pacific Daylight Time"),
    (Tz::America__Denver, "Mountain Standard Time", "Mountain Daylight Time"),
    (Tz::America__Chicago, "Central Standard Time", "Central Daylight Time"),
    (Tz::America__New_York, "Eastern Standard Time", "Eastern Daylight Time"),
    (Tz::America__Anchorage, "Alaska Standard Time", "Alaska Daylight Time"),
    (Tz::Pacific__Honolulu, "Hawaii-Aleutian Standard Time", "Hawaii-Aleutian Daylight Time"),
    (Tz::Europe__London, "Greenwich Mean Time", "British Summer Time"),
    (Tz::Europe__Lisbon, "Western European Standard Time", "Western European Summer Time"),
    (Tz::Europe__Paris, "Central European Standard Time", "Central European Summer Time"),
    (Tz::Europe__Athens, "Eastern European Standard Time", "Eastern European Summer Time"),
    (Tz::Europe__Moscow, "Moscow Standard Time", "Moscow Summer Time"),
    (Tz::Asia__Kolkata, "India Standard Time", "India Standard Time"),
    (Tz::Asia__Shanghai, "China Standard Time", "China Daylight Time"),
    (Tz::Asia__Tokyo, "Japan Standard Time", "Japan Daylight Time"),
    (Tz::Asia__Singapore, "Singapore Standard Time", "Singapore Standard Time"),
    (Tz::Australia__Sydney, "Australian Eastern Standard Time", "Australian Eastern Daylight Time"),
    (Tz::Pacific__Auckland, "New Zealand Standard Time", "New Zealand Daylight Time"),
    (Tz::UTC, "Coordinated Universal Time", "Coordinated Universal Time"),
    (Tz::GMT, "Greenwich Mean Time", "Greenwich Mean Time"),
];

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone::Named(Tz::UTC);

    /// The zone of that ID: `Europe/London`, `UTC`, `Z`, `+02:00`, `GMT+2`, `UTC-0800`, or an abbreviation (`PST`).
    pub fn parse(id: &str) -> Result<Zone, TimeError> {
        Zone::find(id.trim()).ok_or_else(|| TimeError::Zone(id.to_owned()))
    }

    fn find(id: &str) -> Option<Zone> {
        if let Some(seconds) = short_offset(id) {
            return Some(Zone::Fixed(seconds));
        }
        if let Ok(tz) = Tz::from_str(id) {
            return Some(Zone::Named(tz));
        }
        if let Some(zone) = Zone::of_abbreviation(id) {
            return Some(zone);
        }
        let prefix = ["UTC", "GMT", "UT"].into_iter().find_map(|prefix| id.strip_prefix(prefix))?;
        short_offset(prefix).map(Zone::Fixed)
    }

    fn of_abbreviation(text: &str) -> Option<Zone> {
        let known = ABBREVIATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map(|(_, tz)| Zone::Named(*tz))
    }

    /// Seconds east of UTC at `ms` since 1970-01-01T00:00Z.
    pub fn offset_at(&self, ms: i64) -> i64 {
        match self {
            Zone::Fixed(seconds) => *seconds,
            Zone::Named(tz) => i64::from(tz.offset_from_utc_datetime(&naive(ms)).fix().local_minus_utc()),
        }
    }

    /// Seconds east of UTC when clocks there show `local_ms` since 1970-01-01T00:00. Of two such instants the first
    /// is meant; when clocks skip that time, the offset before they do.
    pub fn offset_of_local(&self, local_ms: i64) -> i64 {
        let Zone::Named(tz) = self else { return self.offset_at(0) };
        let local = naive(local_ms);
        let found = match tz.offset_from_local_datetime(&local) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => Some(offset),
            LocalResult::None => {
                // No gap is longer than a day.
                let before = local.checked_sub_signed(Duration::days(1)).unwrap_or(local);
                tz.offset_from_local_datetime(&before).earliest()
            }
        };
        found.map_or(0, |offset| i64::from(offset.fix().local_minus_utc()))
    }

    /// The ID: `Europe/London`, `+02:00`, `Z`.
    pub(super) fn id(&self) -> String {
        match self {
            Zone::Fixed(0) => "Z".to_owned(),
            Zone::Fixed(seconds) => {
                let sign = if *seconds < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60)
            }
            Zone::Named(tz) => tz.name().to_owned(),
        }
    }

    /// The name in use at `ms` since 1970-01-01T00:00Z.
    pub(super) fn name_at(&self, style: Style, ms: i64) -> String {
        let Zone::Named(tz) = self else { return self.id() };
        let offset = tz.offset_from_utc_datetime(&naive(ms));
        let abbreviation = offset.abbreviation().unwrap_or("");
        let abbreviated = abbreviation.starts_with(|c: char| c.is_ascii_alphabetic());
        if style == Style::Full {
            let daylight = offset.dst_offset() != Duration::zero();
            let of = |tz: Tz| FULL_NAMES.iter().find(|(known, ..)| *known == tz);
            let by_abbreviation =
                || ABBREVIATIONS.iter().find(|(name, _)| *name == abbreviation).and_then(|(_, tz)| of(*tz));
            if let Some((_, standard, summer)) = of(*tz).or_else(by_abbreviation) {
                return if daylight { *summer } else { *standard }.to_owned();
            }
        }
        if abbreviated { abbreviation.to_owned() } else { format!("GMT{}", Zone::Fixed(self.offset_at(ms)).id()) }
    }

    /// The zone whose ID or name `text` begins with, the longest one, and the length of that.
    pub(super) fn read(text: &str, names: bool) -> Option<(Zone, usize)> {
        if names {
            let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            for (tz, standard, summer) in FULL_NAMES {
                if let Some(name) = [standard, summer].into_iter().find(|name| starts(name)) {
                    return Some((Zone::Named(*tz), name.len()));
                }
            }
        }
        let in_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-' | ':');
        let end = text.find(|c| !in_id(c)).unwrap_or(text.len()).min(ZONE_ID_BYTES_MAX);
        (1..=end).rev().find_map(|length| {
            let id = text.get(..length)?;
            let zone = if names { Zone::of_abbreviation(id).or_else(|| Zone::find(id)) } else { Zone::find(id) };
            zone.map(|zone| (zone, length))
        })
    }
}

/// The longest ID of the tz database has 30 characters.
const ZONE_ID_BYTES_MAX: usize = 40;

/// Seconds of an offset, of which Java's IDs may have one digit of hours.
fn short_offset(text: &str) -> Option<i64> {
    parse_offset(text).or_else(|| {
        let (sign, hours) = text.split_at_checked(1)?;
        (hours.len() == 1).then(|| parse_offset(&format!("{sign}0{hours}"))).flatten()
    })
}

/// chrono's form of an instant, or the nearest that it has.
fn naive(ms: i64) -> NaiveDateTime {
    let nearest = if ms < 0 { DateTime::<chrono::Utc>::MIN_UTC } else { DateTime::<chrono::Utc>::MAX_UTC };
    let exact = DateTime::from_timestamp_millis(ms);
    // A zone's offset is added to it, so it must not lie at the very edge.
    let margin = Duration::days(2);
    let inside = exact.filter(|t| t.checked_add_signed(margin).is_some() && t.checked_sub_signed(margin).is_some());
    let edge = || if ms < 0 { nearest.checked_add_signed(margin) } else { nearest.checked_sub_signed(margin) };
    inside.or_else(edge).unwrap_or(nearest).naive_utc()
}
