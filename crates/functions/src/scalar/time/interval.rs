//! What the functions share that add and subtract intervals.

use arrow::array::{ArrayRef, Date32Array, Int32Array, Time32MillisecondArray, TimestampMillisecondArray};
use types::Result;

use crate::{RowErrors, calendar::DAY_MS, scalar::definition::Call};

/// Whether the interval is added or taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// The interval of each row in milliseconds, with its sign.
fn intervals<'a>(call: &Call<'a>, direction: Direction) -> Result<impl Fn(usize) -> Option<i64> + use<'a>> {
    let unit_ms = unit_ms(call.unit(0)?)?;
    let counts = call.view::<Int32Array>(1)?;
    let sign = if direction == Direction::Forward { 1 } else { -1 };
    // 2^31 days in milliseconds are well within 64 bits.
    Ok(move |row| counts.get(row).map(|count| i64::from(count) * unit_ms * sign))
}

/// Milliseconds of a unit of time.
fn unit_ms(unit: &str) -> Result<i64> {
    match unit.to_ascii_uppercase().as_str() {
        "DAYS" | "DAY" => Ok(DAY_MS),
        "HOURS" | "HOUR" => Ok(3_600_000),
        "MINUTES" | "MINUTE" => Ok(60_000),
        "SECONDS" | "SECOND" => Ok(1000),
        "MILLISECONDS" | "MILLISECOND" => Ok(1),
        _ => Err(types::Error::invalid(format!(
            "'{unit}' is no unit of time: expected DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS"
        ))),
    }
}

/// `DATEADD` and `DATESUB`: what is left beside whole days is dropped.
pub(super) fn dates(call: &Call<'_>, errors: &mut RowErrors, direction: Direction) -> Result<ArrayRef> {
    let (intervals, dates) = (intervals(call, direction)?, call.view::<Date32Array>(2)?);
    call.try_rows::<Date32Array, _, _>(errors, |row| {
        let Some((interval, days)) = intervals(row).zip(dates.get(row)) else { return Ok(None) };
        let days = (i64::from(days) * DAY_MS + interval).div_euclid(DAY_MS);
        i32::try_from(days).map(Some).map_err(|_| "the day does not fit into a DATE")
    })
}

/// `TIMEADD` and `TIMESUB`: midnight is passed.
pub(super) fn times(call: &Call<'_>, errors: &mut RowErrors, direction: Direction) -> Result<ArrayRef> {
    let (intervals, times) = (intervals(call, direction)?, call.view::<Time32MillisecondArray>(2)?);
    call.try_rows::<Time32MillisecondArray, _, _>(errors, |row| {
        let Some((interval, time)) = intervals(row).zip(times.get(row)) else { return Ok(None) };
        let time = (i64::from(time) + interval).rem_euclid(DAY_MS);
        i32::try_from(time).map(Some).map_err(|_| "the time does not fit into a TIME")
    })
}

/// `TIMESTAMPADD` and `TIMESTAMPSUB`.
pub(super) fn timestamps(call: &Call<'_>, errors: &mut RowErrors, direction: Direction) -> Result<ArrayRef> {
    let (intervals, stamps) = (intervals(call, direction)?, call.view::<TimestampMillisecondArray>(2)?);
    call.try_rows::<TimestampMillisecondArray, _, _>(errors, |row| {
        let Some((interval, stamp)) = intervals(row).zip(stamps.get(row)) else { return Ok(None) };
        stamp.checked_add(interval).map(Some).ok_or("the result does not fit into a TIMESTAMP")
    })
}
