//! What the engine's own topics, and its writers, are called.
//!
//! A log that one engine has to itself needs no more than a prefix. On a cluster several services share the names, so
//! each has its id in them, as ksqlDB does; the id has no dash, so that no service's names can be another's.

use std::sync::Arc;

use types::{Error, Result};

use crate::share::Share;

/// What those of a log that one engine has to itself begin with. Its Kafka listener lets no client change them.
const PREFIX: &str = "_millstream-";

/// What those of a service begin with, but its processing log. The cluster may be an engine's Kafka listener.
const SERVICE_PREFIX: &str = "_millstream.";

/// How a topic of state ends; where a query runs in tasks, a dot and the stage follow.
const CHANGELOG: &str = "-changelog";

/// How a topic between two stages of a query ends; a dot and the exchange's number follow.
const REPARTITION: &str = "-repartition";

/// Bytes that a service's id may take: with it, names are still names of topics.
const SERVICE_BYTES_MAX: usize = 64;

/// The names of one engine's, or one service's, topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicNames {
    service: Option<Arc<str>>,
}

impl TopicNames {
    /// Those of a service on a cluster.
    ///
    /// # Errors
    /// The id cannot be part of a topic's name, or has a dash.
    pub fn of_service(id: &str) -> Result<TopicNames> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if id.is_empty() || id.len() > SERVICE_BYTES_MAX || !id.chars().all(fits) {
            return Err(Error::invalid(format!(
                "{id:?} cannot be a service's id: expected up to {SERVICE_BYTES_MAX} letters, digits, dots and underscores"
            )));
        }
        Ok(TopicNames { service: Some(id.into()) })
    }

    fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    fn prefix(&self) -> String {
        match &self.service {
            Some(service) => format!("{SERVICE_PREFIX}{service}-"),
            None => PREFIX.to_owned(),
        }
    }

    /// Statements that changed the catalog.
    pub fn statements(&self) -> String {
        self.own("statements")
    }

    /// The schemas of the registry that is built in.
    pub fn schemas(&self) -> String {
        self.own("schemas")
    }

    /// How far each query has read.
    pub fn offsets(&self) -> String {
        self.own("offsets")
    }

    /// What happened to rows that are not where one would look for them.
    pub fn processing_log(&self) -> String {
        match &self.service {
            Some(service) => format!("{service}processing_log"),
            None => self.own("processing-log"),
        }
    }

    /// Which process the service is.
    pub fn owner(&self) -> String {
        self.own("owner")
    }

    /// The slots over which the service's tasks are spread: a topic without records.
    pub fn tasks(&self) -> String {
        self.own("tasks")
    }

    /// As who the service itself writes; `None`: the log is one engine's own.
    pub fn service_writer(&self) -> Option<Arc<str>> {
        self.service.clone()
    }

    /// A query's state, or where it runs in tasks a stage's: key the operator's number (2 bytes, big-endian) and the
    /// entry's key.
    pub fn changelog(&self, query: &str, stage: Option<u32>) -> String {
        match stage {
            None => self.own(&format!("{query}{CHANGELOG}")),
            Some(stage) => self.own(&format!("{query}{CHANGELOG}.{stage}")),
        }
    }

    /// What goes through an exchange of a query that runs in tasks.
    pub fn repartition(&self, query: &str, exchange: usize) -> String {
        self.own(&format!("{query}{REPARTITION}.{exchange}"))
    }

    /// The query whose state, or a part of it, a topic holds, if it is such a topic.
    pub fn query_of_changelog<'a>(&self, topic: &'a str) -> Option<&'a str> {
        self.query_before(topic, CHANGELOG)
    }

    /// The query that a topic was made for, as [`TopicNames::changelog`] or [`TopicNames::repartition`] name it, if it is
    /// such a topic.
    pub fn query_of_topic<'a>(&self, topic: &'a str) -> Option<&'a str> {
        self.query_of_changelog(topic).or_else(|| self.query_before(topic, REPARTITION))
    }

    fn query_before<'a>(&self, topic: &'a str, ending: &str) -> Option<&'a str> {
        let name = topic.strip_prefix(&self.prefix())?;
        let numbered = |(name, number): &(&'a str, &str)| {
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && name.ends_with(ending)
        };
        let plain = name.rsplit_once('.').filter(numbered).map_or(name, |(name, _)| name);
        plain.strip_suffix(ending).filter(|query| !query.is_empty())
    }

    /// As who a query commits, or one of its tasks.
    pub fn task_writer(&self, query: &str, share: Option<Share>) -> Arc<str> {
        let name = task_key(query, share);
        match &self.service {
            Some(service) => format!("{service}-{name}").into(),
            None => name.into(),
        }
    }
}

/// What the progress of a query, or of one of its tasks, is under.
pub(crate) fn task_key(query: &str, share: Option<Share>) -> String {
    match share {
        None => query.to_owned(),
        Some(share) => format!("{query}/{share}"),
    }
}

/// The query, and the task, that a key of [`task_key`] stands for.
pub(crate) fn task_of_key(key: &str) -> (&str, Option<Share>) {
    match key.rsplit_once('/').and_then(|(query, share)| Some((query, share.parse().ok()?))) {
        Some((query, share)) => (query, Some(share)),
        None => (key, None),
    }
}

/// Whether a topic belongs to an engine itself.
pub fn is_internal_topic(name: &str) -> bool {
    name.starts_with(PREFIX) || name.starts_with(SERVICE_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_names_of_their_own() {
        let check = |id: &str, expect: Option<[&str; 4]>| {
            let names = TopicNames::of_service(id).ok();
            let found = names.map(|n| {
                let (changelog, writer) = (n.changelog("Q_1", None), n.task_writer("Q_1", None).to_string());
                [n.statements(), n.processing_log(), changelog, writer]
            });
            assert_eq!(found, expect.map(|names| names.map(str::to_owned)), "{id}");
        };
        check("a", Some(["_millstream.a-statements", "aprocessing_log", "_millstream.a-Q_1-changelog", "a-Q_1"]));
        check("a_", Some(["_millstream.a_-statements", "a_processing_log", "_millstream.a_-Q_1-changelog", "a_-Q_1"]));
        check("a-b", None);
        check("", None);
        check("ä", None);
    }

    #[test]
    fn a_changelog_is_that_of_one_query_of_one_service() {
        let check = |names: &TopicNames, topic: &str, expect: Option<&str>| {
            assert_eq!(names.query_of_changelog(topic), expect, "{topic}");
        };
        let service = TopicNames::of_service("a").expect("an id");
        check(&service, "_millstream.a-Q-1-changelog", Some("Q-1"));
        check(&service, "_millstream.ab-Q-changelog", None);
        check(&service, "_millstream.a-statements", None);
        check(&TopicNames::default(), "_millstream-Q-changelog", Some("Q"));
        check(&service, "_millstream.a-Q-1-changelog.3", Some("Q-1"));
        check(&service, "_millstream.a-Q-1-changelog.", None);
        check(&service, "_millstream.a-Q-1-repartition.3", None);
    }

    #[test]
    fn names_tell_what_they_were_made_for() {
        let names = TopicNames::of_service("a").expect("an id");
        for query in ["Q", "Q-1", "Q-changelog.1", "Q-repartition", "a.b"] {
            for topic in [names.changelog(query, None), names.changelog(query, Some(12)), names.repartition(query, 0)] {
                assert_eq!(names.query_of_topic(&topic), Some(query), "{topic}");
            }
            for share in [None, Some(Share { stage: 1, partition: 20 })] {
                assert_eq!(task_of_key(&task_key(query, share)), (query, share));
            }
        }
        assert_eq!(names.query_of_topic(&names.statements()), None);
        let share = Some(Share { stage: 0, partition: 3 });
        assert_eq!(&*names.task_writer("Q", share), "a-Q/0_3");
        assert_eq!(names.changelog("Q", Some(1)), "_millstream.a-Q-changelog.1");
    }
}
