//! Functions on dates and times.

pub mod convert_tz;
pub mod dateadd;
pub mod datesub;
pub mod datetostring;
pub mod format_date;
pub mod format_time;
pub mod format_timestamp;
pub mod from_days;
pub mod from_unixtime;
pub mod parse_date;
pub mod parse_time;
pub mod parse_timestamp;
pub mod stringtodate;
pub mod stringtotimestamp;
pub mod timeadd;
pub mod timestampadd;
pub mod timestampsub;
pub mod timestamptostring;
pub mod timesub;
pub mod unix_date;
pub mod unix_timestamp;

mod interval;
mod text;

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[
    &convert_tz::FUNCTION,
    &dateadd::FUNCTION,
    &datesub::FUNCTION,
    &datetostring::FUNCTION,
    &format_date::FUNCTION,
    &format_time::FUNCTION,
    &format_timestamp::FUNCTION,
    &from_days::FUNCTION,
    &from_unixtime::FUNCTION,
    &parse_date::FUNCTION,
    &parse_time::FUNCTION,
    &parse_timestamp::FUNCTION,
    &stringtodate::FUNCTION,
    &stringtotimestamp::FUNCTION,
    &timeadd::FUNCTION,
    &timestampadd::FUNCTION,
    &timestampsub::FUNCTION,
    &timestamptostring::FUNCTION,
    &timesub::FUNCTION,
    &unix_date::FUNCTION,
    &unix_timestamp::FUNCTION,
];
