//! WITH (…) of statements that make streams and tables: which properties there are, and what they mean.

use std::collections::BTreeMap;

use formats::FormatSpec;
use syntax::ast::{Literal, Properties, Property};
use types::{Error, Result, Span, did_you_mean};

use crate::plan::Surroundings;

/// Properties of every statement that makes a stream or table.
pub const COMMON: &[&str] = &[
    "CLEANUP_POLICY",
    "FORMAT",
    "KAFKA_TOPIC",
    "KEY_DELIMITER",
    "KEY_FORMAT",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "KEY_SCHEMA_FULL_NAME",
    "KEY_SCHEMA_ID",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION_MS",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    "VALUE_AVRO_SCHEMA_FULL_NAME",
    "VALUE_DELIMITER",
    "VALUE_FORMAT",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_ID",
    "WRAP_SINGLE_VALUE",
];

/// Properties that only sources over topics have.
pub const OVER_TOPICS: &[&str] = &["SOURCED_BY_CONNECTOR", "WINDOW_SIZE", "WINDOW_TYPE"];

/// Properties that only queries have.
pub const OF_QUERIES: &[&str] = &["QUERY_ID"];

/// Partitions that a topic can have.
pub const PARTITIONS_MAX: i64 = 10_000;

/// Replicas that a topic can have.
pub const REPLICAS_MAX: i64 = 1_000;

/// How KEY_PROTOBUF_NULLABLE_REPRESENTATION and its like can say it.
const NULLABLE_REPRESENTATIONS: [&str; 2] = ["OPTIONAL", "WRAPPER"];

/// A WITH clause whose names are known.
#[derive(Clone, Copy)]
pub struct With<'a> {
    properties: &'a Properties,
}

/// The formats that a WITH clause names.
#[derive(Debug, Clone, Default)]
pub struct Formats {
    /// KEY_FORMAT or FORMAT, with its options; no name if neither is there.
    pub key: FormatSpec,
    /// VALUE_FORMAT or FORMAT, with its options.
    pub value: FormatSpec,
}

/// What a WITH clause says of the topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topic {
    /// KAFKA_TOPIC.
    pub name: Option<String>,
    /// PARTITIONS.
    pub partitions: Option<u32>,
    /// REPLICAS.
    pub replicas: Option<u16>,
    /// RETENTION_MS and CLEANUP_POLICY, by Kafka's names.
    pub settings: BTreeMap<String, String>,
}

impl<'a> With<'a> {
    /// Check that every name is in one of the lists `known`.
    pub fn new(properties: &'a Properties, known: &[&[&'static str]]) -> Result<With<'a>> {
        let all = || known.iter().flat_map(|list| list.iter().copied());
        for (name, property) in &properties.entries {
            if all().any(|k| k == name) {
                continue;
            }
            let error =
                Error::invalid(format!("Invalid config variable(s) in the WITH clause: {name}")).at(property.name_span);
            return Err(match did_you_mean(name, all()) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error.with_hint(format!("there are {}", all().collect::<Vec<_>>().join(", "))),
            });
        }
        Ok(With { properties })
    }

    /// The property, if it is there.
    pub fn get(&self, name: &str) -> Option<&'a Property> {
        self.properties.entries.get(name)
    }

    /// Where the property's value stands; the whole clause if it is not there.
    pub fn span(&self, name: &str) -> Span {
        self.get(name).map_or(self.properties.span, |p| p.span)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(property) = self.get(name) else { return Ok(None) };
        match &property.value {
            Literal::String(text) => Ok(Some(text.clone())),
            other => Err(wrong(name, property, other, "a string in single quotes")),
        }
    }

    /// A whole number between bounds.
    pub fn integer(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>> {
        let Some(property) = self.get(name) else { return Ok(None) };
        let number = match &property.value {
            Literal::Integer(digits) | Literal::String(digits) => digits.trim().parse::<i64>().ok(),
            _ => None,
        };
        let what = format!("a whole number from {min} to {max}");
        let number = number.ok_or_else(|| wrong(name, property, &property.value, &what))?;
        if number < min || number > max {
            return Err(wrong(name, property, &property.value, &what));
        }
        Ok(Some(number))
    }

    /// TRUE or FALSE.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        let Some(property) = self.get(name) else { return Ok(None) };
        match &property.value {
            Literal::Boolean(value) => Ok(Some(*value)),
            Literal::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Literal::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            other => Err(wrong(name, property, other, "TRUE or FALSE")),
        }
    }

    /// A column's name in a string: folded to upper case unless it stands in back quotes.
    pub fn column(&self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let quoted = text.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
        Ok(Some(quoted.map_or_else(|| text.to_uppercase(), |inner| inner.replace("``", "`"))))
    }

    /// Formats and their options.
    pub fn formats(&self) -> Result<Formats> {
        let both = self.format("FORMAT")?;
        for side in ["KEY_FORMAT", "VALUE_FORMAT"] {
            if let (Some(_), Some(property)) = (&both, self.get(side)) {
                return Err(Error::invalid(format!(
                    "Cannot supply both '{side}' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats"
                ))
                .at(property.name_span)
                .with_hint("use just FORMAT, or KEY_FORMAT and VALUE_FORMAT"));
            }
        }
        let key = FormatSpec {
            name: both.clone().or(self.format("KEY_FORMAT")?).unwrap_or_default(),
            delimiter: self.delimiter("KEY_DELIMITER")?,
            wrap_single: None,
            schema_id: self.schema_id("KEY_SCHEMA_ID")?,
            schema_full_name: self.text("KEY_SCHEMA_FULL_NAME")?,
            extra: self.extra("KEY_PROTOBUF_NULLABLE_REPRESENTATION")?,
        };
        let full_name = match self.text("VALUE_SCHEMA_FULL_NAME")? {
            Some(name) => Some(name),
            None => self.text("VALUE_AVRO_SCHEMA_FULL_NAME")?,
        };
        let value = FormatSpec {
            name: both.or(self.format("VALUE_FORMAT")?).unwrap_or_default(),
            delimiter: self.delimiter("VALUE_DELIMITER")?,
            wrap_single: self.boolean("WRAP_SINGLE_VALUE")?,
            schema_id: self.schema_id("VALUE_SCHEMA_ID")?,
            schema_full_name: full_name,
            extra: self.extra("VALUE_PROTOBUF_NULLABLE_REPRESENTATION")?,
        };
        Ok(Formats { key, value })
    }

    fn format(&self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let format = formats::format(text.trim()).map_err(|e| e.at(self.span(name)))?;
        Ok(Some(format.name().to_owned()))
    }

    fn delimiter(&self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let named = ["SPACE", "TAB"].into_iter().find(|n| text.eq_ignore_ascii_case(n));
        if let Some(named) = named {
            return Ok(Some(named.to_owned()));
        }
        if text.trim().is_empty() {
            return Err(Error::invalid(format!(
                "Configuration {name} is invalid: a delimiter cannot be empty or blank"
            ))
            .at(self.span(name))
            .with_hint("for a blank or a tabulator write 'SPACE' or 'TAB'"));
        }
        if text.chars().count() != 1 {
            return Err(Error::invalid(format!("Configuration {name} is invalid: '{text}' is not one character"))
                .at(self.span(name))
                .with_hint("a delimiter is one character, or SPACE, or TAB"));
        }
        Ok(Some(text))
    }

    fn schema_id(&self, name: &str) -> Result<Option<i32>> {
        let id = self.integer(name, 0, i64::from(i32::MAX))?;
        Ok(id.and_then(|id| i32::try_from(id).ok()))
    }

    fn extra(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let Some(text) = self.text(name)? else { return Ok(BTreeMap::new()) };
        let upper = text.to_uppercase();
        if !NULLABLE_REPRESENTATIONS.contains(&upper.as_str()) {
            return Err(Error::invalid(format!("Configuration {name} is invalid: '{text}'"))
                .at(self.span(name))
                .with_hint("it is OPTIONAL or WRAPPER"));
        }
        Ok(BTreeMap::from([(name.to_owned(), upper)]))
    }

    /// What is said of the topic.
    pub fn topic(&self) -> Result<Topic> {
        let name = self.text("KAFKA_TOPIC")?;
        if name.as_deref().is_some_and(|n| n.trim().is_empty()) {
            return Err(Error::invalid("Configuration KAFKA_TOPIC is invalid: a topic's name cannot be empty")
                .at(self.span("KAFKA_TOPIC")));
        }
        let mut settings = BTreeMap::new();
        if let Some(ms) = self.integer("RETENTION_MS", -1, i64::MAX)? {
            settings.insert("retention.ms".to_owned(), ms.to_string());
        }
        if let Some(policy) = self.text("CLEANUP_POLICY")? {
            let policy = policy.to_lowercase().replace(' ', "");
            if !policy.split(',').all(|p| p == "compact" || p == "delete") {
                return Err(Error::invalid(format!("Configuration CLEANUP_POLICY is invalid: '{policy}'"))
                    .at(self.span("CLEANUP_POLICY"))
                    .with_hint("it is compact, delete or compact,delete"));
            }
            settings.insert("cleanup.policy".to_owned(), policy);
        }
        let partitions = self.integer("PARTITIONS", 1, PARTITIONS_MAX)?;
        let replicas = self.integer("REPLICAS", 1, REPLICAS_MAX)?;
        Ok(Topic {
            name,
            partitions: partitions.and_then(|n| u32::try_from(n).ok()),
            replicas: replicas.and_then(|n| u16::try_from(n).ok()),
            settings,
        })
    }
}

/// The server's default for a format of that side (`key`, `value`), if there is one. Keys are written as KAFKA unless
/// the server says otherwise.
pub fn default_format(side: &str, surroundings: &dyn Surroundings) -> Result<Option<String>> {
    let property = format!("ksql.persistence.default.format.{side}");
    match surroundings.property(&property).filter(|p| !p.trim().is_empty()) {
        Some(name) => {
            let format = formats::format(name.trim()).map_err(|e| e.context(&property))?;
            Ok(Some(format.name().to_owned()))
        }
        None => Ok((side == "key").then(|| "KAFKA".to_owned())),
    }
}

/// The server's default of WRAP_SINGLE_VALUE for a value of `columns` columns, where the format leaves the choice.
pub fn default_wrapping(value: &FormatSpec, columns: usize, surroundings: &dyn Surroundings) -> Option<bool> {
    if columns != 1 || !formats::format(&value.name).is_ok_and(formats::Format::wrapping_is_optional) {
        return None;
    }
    match surroundings.property("ksql.persistence.wrap.single.values")?.to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A setting that is on or off.
pub fn is_on(surroundings: &dyn Surroundings, property: &str, default: bool) -> bool {
    match surroundings.property(property) {
        Some(text) if text.eq_ignore_ascii_case("true") => true,
        Some(text) if text.eq_ignore_ascii_case("false") => false,
        _ => default,
    }
}

/// `10 SECONDS` in a property, in ms.
pub fn duration_ms(text: &str) -> Result<i64> {
    const UNITS: [(&str, i64); 5] =
        [("DAY", 86_400_000), ("HOUR", 3_600_000), ("MILLISECOND", 1), ("MINUTE", 60_000), ("SECOND", 1_000)];
    let invalid = |why: &str| Error::invalid(format!("Invalid duration: '{text}'. {why}"));
    let mut words = text.split_whitespace();
    let (Some(count), Some(unit), None) = (words.next(), words.next(), words.next()) else {
        return Err(invalid("Expected a number and a unit of time").with_hint("10 SECONDS, for example"));
    };
    let upper = unit.to_uppercase();
    let singular = upper.strip_suffix('S').unwrap_or(&upper);
    let Some((_, unit_ms)) = UNITS.iter().find(|(name, _)| *name == singular) else {
        let known: Vec<String> = UNITS.iter().map(|(name, _)| format!("{name}S")).collect();
        return Err(
            invalid(&format!("Unknown time unit: '{upper}'")).with_hint(format!("units are {}", known.join(", ")))
        );
    };
    match count.parse::<i64>() {
        Ok(count) if count > 0 => count.checked_mul(*unit_ms).ok_or_else(|| invalid("It is too long")),
        Ok(_) => Err(invalid("It must be longer than zero")),
        Err(_) => Err(invalid(&format!("Not a number: '{count}'"))),
    }
}

fn wrong(name: &str, property: &Property, value: &Literal, expected: &str) -> Error {
    let found = match value {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(value) => value.to_string().to_uppercase(),
        Literal::String(text) => format!("'{text}'"),
        Literal::Integer(text) | Literal::Decimal(text) | Literal::Double(text) => text.clone(),
    };
    Error::invalid(format!("Configuration {name} is invalid: {found} is not {expected}")).at(property.span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        for list in [COMMON, OVER_TOPICS, OF_QUERIES] {
            assert!(list.is_sorted());
        }
    }

    #[test]
    fn durations() {
        let check = |text: &str, expect: Result<i64, &str>| {
            let got = duration_ms(text);
            assert_eq!(got.as_ref().map_err(Error::message).copied(), expect, "{text}");
        };
        check("30 seconds", Ok(30_000));
        check("1 Day", Ok(86_400_000));
        check("30 bobs", Err("Invalid duration: '30 bobs'. Unknown time unit: 'BOBS'"));
        check("x SECONDS", Err("Invalid duration: 'x SECONDS'. Not a number: 'x'"));
        check("10", Err("Invalid duration: '10'. Expected a number and a unit of time"));
        check("9223372036854775807 DAYS", Err("Invalid duration: '9223372036854775807 DAYS'. It is too long"));
    }
}
