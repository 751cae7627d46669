//! Settings of topics and of the broker, as Kafka's clients describe and change them.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use recordlog::{
    RecordLog, TopicConfig,
    settings::{SETTINGS, SettingKind},
};

use crate::{
    auth::{Operation, Resource},
    broker::BROKER_ID,
    call::Call,
    error::Failure,
};

/// Kafka's numbers of what can have settings.
pub(super) const TOPIC_RESOURCE: i8 = 2;
pub(super) const BROKER_RESOURCE: i8 = 4;

/// Where a value comes from, in Kafka's numbers.
const FROM_TOPIC: i8 = 1;
const FROM_STATIC_BROKER: i8 = 4;
const FROM_DEFAULT: i8 = 5;

/// A setting with its value.
pub(super) struct Setting {
    pub name: &'static str,
    pub value: String,
    /// Kafka's number of where the value comes from.
    pub source: i8,
    /// Kafka's number of what kind of value it takes.
    pub kind: i8,
    pub read_only: bool,
    pub default: Option<&'static str>,
}

/// All settings of a topic.
pub(super) fn of_topic(config: &TopicConfig) -> impl Iterator<Item = Setting> {
    SETTINGS.iter().map(|spec| {
        let own = config.settings.get(spec.name);
        Setting {
            name: spec.name,
            value: own.map_or(spec.default, String::as_str).to_owned(),
            source: if own.is_some() { FROM_TOPIC } else { FROM_DEFAULT },
            kind: kind_code(spec.kind),
            read_only: false,
            default: Some(spec.default),
        }
    })
}

fn kind_code(kind: SettingKind) -> i8 {
    match kind {
        SettingKind::Bool => 1,
        SettingKind::Text | SettingKind::Word(_) => 2,
        SettingKind::Number { max, .. } => {
            if max <= i64::from(i32::MAX) {
                3
            } else {
                5
            }
        }
        SettingKind::Fraction => 6,
        SettingKind::Words(_) => 7,
    }
}

/// What clients ask of the broker.
pub(super) fn of_broker(call: &Call) -> Vec<Setting> {
    let settings = &call.broker.settings;
    let shown = |name, value: String, kind| Setting {
        name,
        value,
        source: FROM_STATIC_BROKER,
        kind,
        read_only: true,
        default: None,
    };
    vec![
        shown("auto.create.topics.enable", settings.auto_create_topics.to_string(), 1),
        shown("broker.id", BROKER_ID.to_string(), 3),
        shown("default.replication.factor", "1".to_owned(), 3),
        shown("max.connections", settings.connections_max.to_string(), 3),
        shown("min.insync.replicas", "1".to_owned(), 3),
        shown("node.id", BROKER_ID.to_string(), 3),
        shown("num.partitions", settings.partitions_default.to_string(), 3),
    ]
}

/// A change to one setting.
pub(super) enum Change {
    Set(String),
    Unset,
    /// Add words to a list.
    Append(String),
    /// Take words from a list.
    Subtract(String),
}

/// Change a resource's settings; `replaces_all` unsets those not named.
pub(super) async fn alter(
    call: &Call,
    resource: (i8, &str),
    changes: Vec<(String, Change)>,
    replaces_all: bool,
    validate_only: bool,
) -> Result<(), Failure> {
    let (kind, name) = resource;
    if kind == BROKER_RESOURCE {
        call.authorize(Operation::AlterConfigs, Resource::Cluster)?;
        let message = "the broker's settings are given when it starts and cannot be changed";
        return Err(Failure::new(ResponseError::InvalidRequest, message));
    }
    if kind != TOPIC_RESOURCE {
        return Err(Failure::new(ResponseError::InvalidRequest, format!("resources of kind {kind} have no settings")));
    }
    call.authorize_change(Operation::AlterConfigs, name)?;
    let log = &call.broker.log;
    let topic = log.topic(name).ok_or_else(|| recordlog::LogError::UnknownTopic(name.to_owned()))?;
    let mut settings: BTreeMap<String, Option<String>> = BTreeMap::new();
    if replaces_all {
        settings.extend(topic.config.settings.keys().map(|name| (name.clone(), None)));
    }
    for (setting, change) in changes {
        let value = changed(&topic.config, &setting, change)?;
        settings.insert(setting, value);
    }
    let invalid = |error: recordlog::LogError| match error {
        recordlog::LogError::Invalid(message) => Failure::new(ResponseError::InvalidConfig, message),
        other => other.into(),
    };
    let mut after = topic.config.clone();
    for (name, value) in &settings {
        match value {
            Some(value) => after.settings.insert(name.clone(), value.clone()),
            None => after.settings.remove(name),
        };
    }
    after.validate().map_err(invalid)?;
    if !validate_only {
        log.alter_topic(name, settings, None).await.map_err(invalid)?;
    }
    Ok(())
}

fn changed(config: &TopicConfig, setting: &str, change: Change) -> Result<Option<String>, Failure> {
    let unknown = || Failure::new(ResponseError::InvalidConfig, format!("there is no topic setting {setting:?}"));
    let spec = recordlog::settings::spec(setting).ok_or_else(unknown)?;
    let words = |text: &str| -> Vec<String> {
        text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    let (given, adds) = match change {
        Change::Set(value) => return Ok(Some(value)),
        Change::Unset => return Ok(None),
        Change::Append(given) => (given, true),
        Change::Subtract(given) => (given, false),
    };
    if !matches!(spec.kind, SettingKind::Words(_)) {
        return Err(Failure::new(ResponseError::InvalidConfig, format!("topic setting {setting} is not a list")));
    }
    let mut list = words(config.setting(setting).unwrap_or_default());
    for word in words(&given) {
        match (adds, list.contains(&word)) {
            (true, false) => list.push(word),
            (false, true) => list.retain(|have| *have != word),
            _ => {}
        }
    }
    Ok(Some(list.join(",")))
}
