//! A session's variables: those of PostgreSQL's that drivers set and tools show.
//!
//! They are apart from the engine's properties (`SET 'auto.offset.reset' = …`), whose names have dots. Most change
//! nothing here, because there is one way to write values (ISO dates, UTC, hexadecimal bytes); they are kept so that
//! who sets one reads it back.

use std::{collections::BTreeMap, time::Duration};

use types::{Error, ErrorKind, Result, did_you_mean};

/// What the server says it is.
pub(crate) const SERVER_VERSION: &str = "16.0 (Millstream 0.1)";

/// How much a variable may be changed and who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Anyone may set it.
    Free,
    /// Anyone may set it, and the client is told of a change.
    Reported,
    /// It is what it is, and the client is told at the start.
    Fixed,
    /// It is what it is.
    Constant,
}

use Rule::{Constant, Fixed, Free, Reported};

/// Name as shown, value at the start, rule, description; by lower-case name.
const VARIABLES: &[(&str, &str, Rule, &str)] = &[
    ("application_name", "", Reported, "Name of the application."),
    ("backslash_quote", "safe_encoding", Free, "Accepted without effect."),
    ("bytea_output", "hex", Free, "Bytes are always written in hexadecimal."),
    ("check_function_bodies", "on", Free, "Accepted without effect."),
    ("client_encoding", "UTF8", Reported, "Text is always UTF-8."),
    ("client_min_messages", "notice", Free, "Notices are sent at notice or lower."),
    ("DateStyle", "ISO, MDY", Reported, "Dates are always written in ISO style."),
    ("default_table_access_method", "heap", Free, "Accepted without effect."),
    ("default_tablespace", "", Free, "Accepted without effect."),
    ("default_transaction_isolation", "read committed", Free, "Accepted without effect."),
    ("default_transaction_read_only", "off", Free, "Accepted without effect."),
    ("extra_float_digits", "1", Free, "Numbers are always written with the digits they need."),
    ("fetch_wait_ms", "1000", Free, "How long FETCH from an endless query waits for its first row."),
    ("idle_in_transaction_session_timeout", "0", Free, "Accepted without effect."),
    ("idle_session_timeout", "0", Free, "Accepted without effect."),
    ("in_hot_standby", "off", Fixed, "Always off."),
    ("integer_datetimes", "on", Fixed, "Always on."),
    ("IntervalStyle", "postgres", Reported, "Intervals are always written in postgres style."),
    ("is_superuser", "on", Fixed, "Always on."),
    ("jit", "off", Free, "Accepted without effect."),
    ("lc_collate", "C", Constant, "Text is ordered by its bytes."),
    ("lc_ctype", "C", Constant, "Text is ordered by its bytes."),
    ("lc_messages", "C", Free, "Messages are English."),
    ("lc_monetary", "C", Free, "Accepted without effect."),
    ("lc_numeric", "C", Free, "Accepted without effect."),
    ("lc_time", "C", Free, "Accepted without effect."),
    ("lock_timeout", "0", Free, "Accepted without effect."),
    ("max_identifier_length", "63", Constant, "For clients that shorten names."),
    ("row_security", "on", Free, "Accepted without effect."),
    ("search_path", "public", Free, "Everything is in schema public."),
    ("server_encoding", "UTF8", Fixed, "Text is always UTF-8."),
    ("server_version", SERVER_VERSION, Fixed, "Version of PostgreSQL whose protocol and catalog are served."),
    ("server_version_num", "160000", Constant, "The same as a number."),
    ("session_authorization", "", Fixed, "The user who connected."),
    ("standard_conforming_strings", "on", Fixed, "Backslashes in strings are backslashes."),
    ("statement_timeout", "0", Free, "Longest time a statement may run; 0: any."),
    ("synchronize_seqscans", "on", Free, "Accepted without effect."),
    ("synchronous_commit", "on", Free, "Accepted without effect."),
    ("TimeZone", "UTC", Reported, "Times are always written in UTC."),
    ("transaction_isolation", "read committed", Free, "Accepted without effect."),
    ("transaction_read_only", "off", Free, "Accepted without effect."),
    ("xmloption", "content", Free, "Accepted without effect."),
];

/// The variables of a session.
#[derive(Debug, Clone)]
pub(crate) struct Variables {
    /// Values that differ from those at the start, by lower-case name.
    changed: BTreeMap<String, String>,
    /// Values that the startup message gave: what RESET goes back to.
    initial: BTreeMap<String, String>,
}

impl Variables {
    /// The variables of a session of `user`.
    pub(crate) fn new(user: &str) -> Variables {
        let initial = BTreeMap::from([("session_authorization".to_owned(), user.to_owned())]);
        Variables { changed: BTreeMap::new(), initial }
    }

    /// Whether there is a variable of that name.
    pub(crate) fn knows(name: &str) -> bool {
        find(name).is_some()
    }

    /// What a startup message says of a variable; what cannot be is left alone.
    pub(crate) fn start_with(&mut self, name: &str, value: &str) {
        if let Ok(value) = accepted(name, value) {
            self.initial.insert(name.to_ascii_lowercase(), value);
        }
    }

    /// The value of the variable of that name, in any case of letters.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let key = name.to_ascii_lowercase();
        let (_, default, ..) = find(name)?;
        Some(self.changed.get(&key).or_else(|| self.initial.get(&key)).map_or(default, String::as_str))
    }

    /// The value, or the error that there is no such variable.
    pub(crate) fn show(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| unknown(name))
    }

    /// Sets a variable; the name and value to report to the client if it must know.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<Option<(&'static str, String)>> {
        let (shown, _, rule, _) = find(name).ok_or_else(|| unknown(name))?;
        let before = self.get(name).map(str::to_owned);
        let value =
            if value.eq_ignore_ascii_case("default") { self.initial_value(name) } else { accepted(name, value)? };
        self.changed.insert(name.to_ascii_lowercase(), value.clone());
        Ok((*rule == Reported && before.as_ref() != Some(&value)).then_some((*shown, value)))
    }

    /// Back to the start: one variable, or all.
    pub(crate) fn reset(&mut self, name: Option<&str>) -> Result<Vec<(&'static str, String)>> {
        let names = match name {
            Some(name) => vec![find(name).ok_or_else(|| unknown(name))?.0.to_ascii_lowercase()],
            None => self.changed.keys().cloned().collect(),
        };
        self.changed.retain(|changed, _| !names.contains(changed));
        let reported = names.iter().filter_map(|name| find(name)).filter(|v| v.2 == Reported);
        Ok(reported.map(|v| (v.0, self.get(v.0).unwrap_or_default().to_owned())).collect())
    }

    fn initial_value(&self, name: &str) -> String {
        let default = find(name).map_or("", |v| v.1);
        self.initial.get(&name.to_ascii_lowercase()).map_or(default, String::as_str).to_owned()
    }

    /// All of them: name, value, description.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
        VARIABLES.iter().map(|(name, default, _, description)| (*name, self.get(name).unwrap_or(default), *description))
    }

    /// Those that a client is told of at the start.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let told = VARIABLES.iter().filter(|v| matches!(v.2, Reported | Fixed));
        told.map(|(name, default, ..)| (*name, self.get(name).unwrap_or(default)))
    }

    /// `statement_timeout`, if there is one.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.get("statement_timeout").and_then(milliseconds).filter(|ms| *ms > 0).map(Duration::from_millis)
    }

    /// `fetch_wait_ms`.
    pub(crate) fn fetch_wait(&self) -> Duration {
        Duration::from_millis(self.get("fetch_wait_ms").and_then(milliseconds).unwrap_or(0))
    }

    /// Whether notices are to be sent.
    pub(crate) fn wants_notices(&self) -> bool {
        let level = self.get("client_min_messages").unwrap_or("notice").to_ascii_lowercase();
        !matches!(level.as_str(), "warning" | "error" | "fatal" | "panic")
    }
}

fn find(name: &str) -> Option<&'static (&'static str, &'static str, Rule, &'static str)> {
    VARIABLES.iter().find(|v| v.0.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> Error {
    let error = Error::new(
        ErrorKind::User,
        "42704",
        format!("unrecognized configuration parameter \"{}\"", name.to_lowercase()),
    );
    match did_you_mean(name, VARIABLES.iter().map(|v| v.0)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error,
    }
}

/// The value to keep when `value` is asked for.
fn accepted(name: &str, value: &str) -> Result<String> {
    let (shown, default, rule, _) = find(name).ok_or_else(|| unknown(name))?;
    let refused = |hint: &str| {
        let message = format!("invalid value for parameter \"{shown}\": \"{value}\"");
        Err(Error::new(ErrorKind::User, "22023", message).with_hint(hint))
    };
    if matches!(rule, Fixed | Constant) && value != *default {
        return Err(Error::new(ErrorKind::User, "55P02", format!("parameter \"{shown}\" cannot be changed")));
    }
    match *shown {
        "client_encoding" => {
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            match plain.to_ascii_lowercase().as_str() {
                "utf8" | "unicode" | "sqlascii" => Ok("UTF8".to_owned()),
                _ => refused("only UTF8 is supported"),
            }
        }
        // There is one style and one zone; who asks for another still gets values that say what they are.
        "DateStyle" | "TimeZone" | "IntervalStyle" => Ok((*default).to_owned()),
        "statement_timeout" | "fetch_wait_ms" if milliseconds(value).is_none() => {
            refused("a number of milliseconds, or with a unit: ms, s, min, h, d")
        }
        _ => Ok(value.to_owned()),
    }
}

/// `250`, `250ms`, `5s`, `1min`, `2h`, `1d`.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit_at)?;
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(VARIABLES.windows(2).all(|w| matches!(w, [a, b] if a.0.to_lowercase() < b.0.to_lowercase())));
    }

    #[test]
    fn set_show_reset() {
        let mut v = Variables::new("me");
        v.start_with("application_name", "psql");
        assert_eq!(v.show("session_authorization"), Ok("me"));
        assert_eq!(v.set("APPLICATION_NAME", "x"), Ok(Some(("application_name", "x".to_owned()))));
        assert_eq!(v.set("timezone", "Europe/Berlin"), Ok(None));
        assert_eq!(v.show("TimeZone"), Ok("UTC"));
        assert_eq!(v.reset(None), Ok(vec![("application_name", "psql".to_owned()), ("TimeZone", "UTC".to_owned())]));
        assert_eq!(v.set("server_version", "9").map_err(|e| e.sqlstate()), Err("55P02"));
        assert_eq!(v.set("client_encoding", "LATIN1").map_err(|e| e.sqlstate()), Err("22023"));
        assert_eq!(
            v.show("serch_path").map_err(|e| e.hint().map(str::to_owned)),
            Err(Some("did you mean search_path?".into()))
        );
        assert_eq!(v.statement_timeout(), None);
        assert_eq!(v.set("statement_timeout", "2s"), Ok(None));
        assert_eq!(v.statement_timeout(), Some(Duration::from_secs(2)));
    }
}
