//! A topic's name and settings: which there are, their defaults, and what they may be.

use std::collections::BTreeMap;

use crate::{LogError, Result, TopicConfig};

/// Longest topic name, bytes: Kafka's limit, so that a file name still has room for the partition.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;
/// Most partitions of one topic.
pub const TOPIC_PARTITIONS_MAX: u32 = 100_000;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// `true` or `false`.
    Bool,
    /// A whole number in these bounds.
    Number {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A fraction from 0 to 1.
    Fraction,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One or more of these words, with commas between.
    Words(&'static [&'static str]),
    /// Any text.
    Text,
}

/// A setting that a topic can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingSpec {
    /// Kafka's name.
    pub name: &'static str,
    /// Its value where the topic does not say.
    pub default: &'static str,
    /// What values it takes.
    pub kind: SettingKind,
    /// Whether the log acts on it; the others are kept and shown, for tools that set them.
    pub effective: bool,
}

const fn acts(name: &'static str, default: &'static str, kind: SettingKind) -> SettingSpec {
    SettingSpec { name, default, kind, effective: true }
}

const fn kept(name: &'static str, default: &'static str, kind: SettingKind) -> SettingSpec {
    SettingSpec { name, default, kind, effective: false }
}

const fn from(min: i64) -> SettingKind {
    SettingKind::Number { min, max: i64::MAX }
}

const fn int_from(min: i64) -> SettingKind {
    SettingKind::Number { min, max: i32::MAX as i64 }
}

const NEVER: &str = "9223372036854775807";
const CODECS: &[&str] = &["producer", "uncompressed", "none", "gzip", "snappy", "lz4", "zstd"];

/// All settings, by name.
pub const SETTINGS: &[SettingSpec] = &[
    acts("cleanup.policy", "delete", SettingKind::Words(&["compact", "delete"])),
    kept("compression.type", "producer", SettingKind::Word(CODECS)),
    acts("delete.retention.ms", "86400000", from(0)),
    kept("file.delete.delay.ms", "60000", from(0)),
    kept("flush.messages", NEVER, from(1)),
    kept("flush.ms", NEVER, from(0)),
    kept("follower.replication.throttled.replicas", "", SettingKind::Text),
    kept("index.interval.bytes", "4096", int_from(0)),
    kept("leader.replication.throttled.replicas", "", SettingKind::Text),
    kept("local.retention.bytes", "-2", from(-2)),
    kept("local.retention.ms", "-2", from(-2)),
    acts("max.compaction.lag.ms", NEVER, from(1)),
    acts("max.message.bytes", "1048588", int_from(0)),
    kept("message.timestamp.after.max.ms", NEVER, from(0)),
    kept("message.timestamp.before.max.ms", NEVER, from(0)),
    acts("message.timestamp.type", "CreateTime", SettingKind::Word(&["CreateTime", "LogAppendTime"])),
    acts("min.cleanable.dirty.ratio", "0.5", SettingKind::Fraction),
    acts("min.compaction.lag.ms", "0", from(0)),
    kept("min.insync.replicas", "1", int_from(1)),
    kept("preallocate", "false", SettingKind::Bool),
    kept("remote.storage.enable", "false", SettingKind::Bool),
    acts("retention.bytes", "-1", from(-1)),
    acts("retention.ms", "604800000", from(-1)),
    acts("segment.bytes", "1073741824", int_from(14)),
    kept("segment.index.bytes", "10485760", int_from(4)),
    kept("segment.jitter.ms", "0", from(0)),
    acts("segment.ms", "604800000", from(1)),
    kept("unclean.leader.election.enable", "false", SettingKind::Bool),
];

/// The setting of that name.
pub fn spec(name: &str) -> Option<&'static SettingSpec> {
    let found = SETTINGS.binary_search_by(|spec| spec.name.cmp(name)).ok()?;
    SETTINGS.get(found)
}

impl SettingSpec {
    /// Whether `value` is one that the setting takes.
    pub fn accepts(&self, value: &str) -> bool {
        match self.kind {
            SettingKind::Bool => matches!(value, "true" | "false"),
            SettingKind::Number { min, max } => value.parse().is_ok_and(|n: i64| (min..=max).contains(&n)),
            SettingKind::Fraction => value.parse().is_ok_and(|f: f64| (0.0..=1.0).contains(&f)),
            SettingKind::Word(words) => words.contains(&value),
            SettingKind::Words(words) => value.split(',').all(|word| words.contains(&word.trim())),
            SettingKind::Text => true,
        }
    }
}

impl TopicConfig {
    /// `partitions` partitions, one replica, all settings at their defaults.
    pub fn with_partitions(partitions: u32) -> TopicConfig {
        TopicConfig { partitions, replicas: 1, settings: BTreeMap::new() }
    }

    /// The same with one setting set.
    pub fn with(mut self, name: &str, value: &str) -> TopicConfig {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of a setting, its default where the topic does not say; `None` if there is no such setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let default = spec(name)?.default;
        Some(self.settings.get(name).map_or(default, String::as_str))
    }

    /// A setting that is a number (see [`SETTINGS`] for which are).
    fn number(&self, name: &str) -> i64 {
        self.setting(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// The longest batch that the topic takes, bytes (`max.message.bytes`).
    pub fn message_bytes_max(&self) -> usize {
        usize::try_from(self.number("max.message.bytes")).unwrap_or(0)
    }

    /// Check partitions and settings; the error names what is wrong.
    pub fn validate(&self) -> Result<()> {
        if self.partitions == 0 || self.partitions > TOPIC_PARTITIONS_MAX {
            let count = self.partitions;
            return invalid(format!("a topic has 1 to {TOPIC_PARTITIONS_MAX} partitions, not {count}"));
        }
        for (name, value) in &self.settings {
            let Some(spec) = spec(name) else {
                return invalid(format!("there is no topic setting {name:?}"));
            };
            if !spec.accepts(value) {
                return invalid(format!("topic setting {name} cannot be {value:?}{}", expected(spec.kind)));
            }
        }
        Ok(())
    }
}

fn expected(kind: SettingKind) -> String {
    match kind {
        SettingKind::Bool => ", only true or false".into(),
        SettingKind::Number { min, max } => format!(", only a whole number from {min} to {max}"),
        SettingKind::Fraction => ", only a fraction from 0 to 1".into(),
        SettingKind::Word(words) => format!(", only one of {}", words.join(", ")),
        SettingKind::Words(words) => format!(", only words of {}, with commas between", words.join(", ")),
        SettingKind::Text => String::new(),
    }
}

fn invalid<T>(what: String) -> Result<T> {
    Err(LogError::Invalid(what))
}

/// Check a topic's name by Kafka's rules.
pub fn validate_topic_name(name: &str) -> Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() {
        return invalid("a topic's name cannot be empty".into());
    }
    if matches!(name, "." | "..") {
        return invalid(format!("a topic cannot be named {name:?}"));
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return invalid(format!("a topic's name takes at most {TOPIC_NAME_BYTES_MAX} bytes, not {}", name.len()));
    }
    if !name.bytes().all(legal) {
        return invalid(format!("topic name {name:?} may hold only ASCII letters, digits, '.', '_' and '-'"));
    }
    Ok(())
}

/// The settings that the log acts on, parsed once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effective {
    pub compact: bool,
    pub delete: bool,
    pub retention_ms: Option<i64>,
    pub retention_bytes: Option<u64>,
    pub segment_bytes: u64,
    pub segment_ms: i64,
    pub message_bytes_max: usize,
    pub log_append_time: bool,
    pub delete_retention_ms: i64,
    pub compaction_lag_min_ms: i64,
    pub compaction_lag_max_ms: i64,
    pub dirty_ratio_min: f64,
}

impl Effective {
    /// From a config that was validated.
    pub(crate) fn of(config: &TopicConfig) -> Effective {
        let policy = config.setting("cleanup.policy").unwrap_or_default();
        let has = |word| policy.split(',').any(|given| given.trim() == word);
        let retention_ms = config.number("retention.ms");
        Effective {
            compact: has("compact"),
            delete: has("delete"),
            retention_ms: (retention_ms >= 0).then_some(retention_ms),
            retention_bytes: u64::try_from(config.number("retention.bytes")).ok(),
            segment_bytes: config.number("segment.bytes").unsigned_abs(),
            segment_ms: config.number("segment.ms"),
            message_bytes_max: config.message_bytes_max(),
            log_append_time: config.setting("message.timestamp.type") == Some("LogAppendTime"),
            delete_retention_ms: config.number("delete.retention.ms"),
            compaction_lag_min_ms: config.number("min.compaction.lag.ms"),
            compaction_lag_max_ms: config.number("max.compaction.lag.ms"),
            dirty_ratio_min: config
                .setting("min.cleanable.dirty.ratio")
                .and_then(|value| value.parse().ok())
                .unwrap_or(0.5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_legal() {
        assert!(SETTINGS.is_sorted_by(|a, b| a.name < b.name));
        for spec in SETTINGS {
            assert!(spec.accepts(spec.default), "{}", spec.name);
            assert_eq!(TopicConfig::default().setting(spec.name), Some(spec.default));
        }
    }

    #[test]
    fn names_follow_kafkas_rules() {
        let check = |name: &str, legal: bool| assert_eq!(validate_topic_name(name).is_ok(), legal, "{name:?}");
        for name in ["a", "A.b_c-9", "__consumer_offsets", "...", &"x".repeat(249)] {
            check(name, true);
        }
        for name in ["", ".", "..", "a b", "a/b", "ä", "a\0", &"x".repeat(250)] {
            check(name, false);
        }
    }

    #[test]
    fn settings_are_checked_and_the_error_names_them() {
        let check = |name: &str, value: &str, expect: Option<&str>| {
            let error = TopicConfig::with_partitions(1).with(name, value).validate().err().map(|e| e.to_string());
            match expect {
                None => assert_eq!(error, None),
                Some(part) => assert!(error.as_deref().is_some_and(|e| e.contains(part)), "{error:?}"),
            }
        };
        check("retention.ms", "-1", None);
        check("retention.ms", "-2", Some("retention.ms cannot be \"-2\""));
        check("retention.ms", "1 day", Some("a whole number"));
        check("cleanup.policy", "compact,delete", None);
        check("cleanup.policy", "compact, delete", None);
        check("cleanup.policy", "shred", Some("compact, delete"));
        check("min.cleanable.dirty.ratio", "1.5", Some("fraction"));
        check("retention", "5", Some("no topic setting \"retention\""));
        assert!(TopicConfig::default().validate().is_err());
        let config = TopicConfig::with_partitions(1).with("cleanup.policy", "compact, delete");
        let effective = Effective::of(&config);
        assert!(effective.compact && effective.delete);
        assert_eq!((effective.retention_ms, effective.retention_bytes), (Some(604_800_000), None));
    }
}
