//! Comparing the records of topics with those that a case expects.

use std::fmt::Write;

use formats::Part;

use crate::{
    case::{HeaderSpec, RecordSpec, WindowSpec},
    compare::compare,
    failure::{Failure, side_by_side},
    record::{Found, Shape, shown},
};
use serde_json::Value;

/// Compare the records of one topic with what is expected of it.
///
/// # Errors
/// The first difference, and both lists.
pub fn check_topic(topic: &str, expected: &[&RecordSpec], actual: &[Found], shape: &Shape) -> Result<(), Failure> {
    let differences = expected.iter().zip(actual).map(|(want, have)| check_record(want, have, shape));
    let first = differences.enumerate().find_map(|(at, difference)| Some(at).zip(difference.err()));
    let (at, reason) = match first {
        Some((at, difference)) => (at, format!("record {at} differs at {difference}")),
        None if expected.len() == actual.len() => return Ok(()),
        None => {
            let at = expected.len().min(actual.len());
            (at, format!("expected {} records, found {}", expected.len(), actual.len()))
        }
    };
    let want: Vec<String> = expected.iter().map(|r| spec_line(r)).collect();
    let have: Vec<String> = actual.iter().map(|r| found_line(r, shape)).collect();
    Err(Failure::new(format!("topic {topic}: {reason}")).with(side_by_side(&want, &have, at)))
}

/// Compare one record.
///
/// # Errors
/// Where and what differs.
pub fn check_record(want: &RecordSpec, have: &Found, shape: &Shape) -> Result<(), String> {
    check_side("key", Part::Key, &want.key, have.key.as_deref(), shape)?;
    check_window(want.window, have.window)?;
    check_side("value", Part::Value, &want.value, have.value.as_deref(), shape)?;
    if let Some(timestamp) = want.timestamp.filter(|t| *t != have.timestamp) {
        return Err(format!("timestamp: expected {timestamp}, found {}", have.timestamp));
    }
    match &want.headers {
        Some(headers) if *headers != have.headers => {
            Err(format!("headers: expected {}, found {}", headers_line(headers), headers_line(&have.headers)))
        }
        _ => Ok(()),
    }
}

fn check_side(name: &str, part: Part, want: &Value, bytes: Option<&[u8]>, shape: &Shape) -> Result<(), String> {
    let side = shape.decode(part, bytes).map_err(|e| format!("{name}: cannot be read: {e}"))?;
    // What a text format wrote is text; a case may write it as a number.
    let text = match (&side.value, want) {
        (Value::String(_), Value::Number(_) | Value::Bool(_)) if side.ty.is_none() => {
            Some(Value::from(want.to_string()))
        }
        _ => None,
    };
    compare(text.as_ref().unwrap_or(want), &side.value, side.ty.as_ref(), side.rules).map_err(|e| format!("{name}{e}"))
}

fn check_window(want: Option<WindowSpec>, have: Option<WindowSpec>) -> Result<(), String> {
    let Some(want) = want else {
        return have.map_or(Ok(()), |have| Err(format!("window: expected none, found {}", window_line(have))));
    };
    let Some(have) = have else { return Err(format!("window: expected {}, found none", window_line(want))) };
    let ends_differ = match (want.end, have.end) {
        (Some(want), Some(have)) => want != have,
        (Some(_), None) => want.session,
        (None, _) => false,
    };
    if want.start != have.start || want.session != have.session || ends_differ {
        return Err(format!("window: expected {}, found {}", window_line(want), window_line(have)));
    }
    Ok(())
}

fn window_line(window: WindowSpec) -> String {
    let kind = if window.session { "session" } else { "time" };
    let end = window.end.map_or("?".to_owned(), |end| end.to_string());
    format!("{kind} {}..{end}", window.start)
}

fn headers_line(headers: &[HeaderSpec]) -> String {
    let one = |h: &HeaderSpec| format!("{}={}", h.name, h.value.as_deref().map_or("null".to_owned(), shown));
    format!("[{}]", headers.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn spec_line(record: &RecordSpec) -> String {
    let mut line = record.timestamp.map_or(String::new(), |t| format!("@{t} "));
    let _ = write!(line, "{} → {}", record.key, record.value);
    if let Some(window) = record.window {
        let _ = write!(line, " {}", window_line(window));
    }
    if let Some(headers) = &record.headers {
        let _ = write!(line, " {}", headers_line(headers));
    }
    line
}

fn found_line(record: &Found, shape: &Shape) -> String {
    let side = |part: Part, bytes: Option<&[u8]>| match shape.decode(part, bytes) {
        Ok(side) => side.value.to_string(),
        Err(_) => bytes.map_or("null".to_owned(), shown),
    };
    let key = side(Part::Key, record.key.as_deref());
    let mut line = format!("@{} {key} → {}", record.timestamp, side(Part::Value, record.value.as_deref()));
    if let Some(window) = record.window {
        let _ = write!(line, " {}", window_line(window));
    }
    if !record.headers.is_empty() {
        let _ = write!(line, " {}", headers_line(&record.headers));
    }
    line
}
