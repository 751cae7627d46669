//! `CONVERT_TZ`.

use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    javatime::Zone,
    overload::Param::{String, Timestamp},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "CONVERT_TZ",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["CONVERT_TZ(timestamp, from_zone, to_zone)"],
        description: "The timestamp that clocks in the second zone show when those in the first show the given one. \
                      Zones are names such as 'Europe/London' or offsets such as '+02:00'; others are errors.",
        examples: &[("CONVERT_TZ(FROM_UNIXTIME(0), '+0200', '+0500')", "1970-01-01T03:00:00.000")],
    },
    overloads: &[Overload::new(&[Timestamp, String, String], Timestamp, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let stamps = call.view::<TimestampMillisecondArray>(0)?;
    let (froms, tos) = (call.view::<StringArray>(1)?, call.view::<StringArray>(2)?);
    let (mut zones_from, mut zones_to) = (call.cache.by_row(Zone::parse), call.cache.by_row(Zone::parse));
    call.try_rows::<TimestampMillisecondArray, _, std::string::String>(errors, |row| {
        let (Some(local), Some(from), Some(to)) = (stamps.get(row), froms.get(row), tos.get(row)) else {
            return Ok(None);
        };
        let from = zones_from.get(from).map_err(|e| e.to_string())?;
        let to = zones_to.get(to).map_err(|e| e.to_string())?;
        let instant = local.checked_sub(from.offset_of_local(local) * 1000);
        let shown = instant.and_then(|instant| instant.checked_add(to.offset_at(instant) * 1000));
        shown.map(Some).ok_or_else(|| "the result does not fit into a TIMESTAMP".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["TIMESTAMP 1970-01-01T00:00:00.100", "'+0200'", "'+0500'"], "1970-01-01T03:00:00.100");
        check(
            &FUNCTION,
            &["TIMESTAMP 2020-07-01T12:00", "'America/New_York'", "'Europe/London'"],
            "2020-07-01T17:00:00.000",
        );
        check(&FUNCTION, &["TIMESTAMP 2020-07-01T12:00", "'x'", "'UTC'"], "!");
        check(&FUNCTION, &["NULL", "'UTC'", "'UTC'"], "NULL");
    }
}
