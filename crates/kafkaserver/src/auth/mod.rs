//! Who a client is and what it may do.
//!
//! A client is known by its certificate, by a SASL exchange, or not at all. Whether anybody has to say who he is, and
//! whether anything is forbidden, the settings decide; users and rules come from them and, while the server runs, over
//! the wire. Those of the settings cannot be changed over the wire, so that nobody is locked out for good.

pub(crate) mod acl;
mod identity;
mod plain;
pub(crate) mod rules;
mod sasl;
mod scram;
mod subject;
pub(crate) mod tls;
pub(crate) mod users;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    identity::Connection,
    sasl::{Exchange, MECHANISMS, Progress},
    scram::{Hash, Keys},
};
use self::{rules::Rules, users::Users};
pub use self::{
    rules::{Names, ResourceKind, Rule},
    tls::{TlsError, TlsFiles},
    users::User,
};

use crate::{Settings, store::Kept};

/// What everybody is who did not say.
pub(crate) const ANONYMOUS: &str = "User:ANONYMOUS";

/// What can be done to a resource, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Take records from a topic, be a member of a group.
    Read,
    /// Give records to a topic, use a transactional id.
    Write,
    /// Make a topic.
    Create,
    /// Delete a topic, its records, a group.
    Delete,
    /// Add partitions; of the cluster, change users and rules.
    Alter,
    /// See that it is there, and what it is like.
    Describe,
    /// See its settings.
    DescribeConfigs,
    /// Change its settings.
    AlterConfigs,
    /// What brokers do among each other; there is one, so it is never asked for.
    ClusterAction,
    /// Produce idempotently, which everybody may who may write.
    IdempotentWrite,
}

/// All operations.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::Read,
    Operation::Write,
    Operation::Create,
    Operation::Delete,
    Operation::Alter,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
    Operation::ClusterAction,
    Operation::IdempotentWrite,
];

impl Operation {
    /// For messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Create => "create",
            Operation::Delete => "delete",
            Operation::Alter => "alter",
            Operation::Describe => "describe",
            Operation::DescribeConfigs => "describe the settings of",
            Operation::AlterConfigs => "alter the settings of",
            Operation::ClusterAction => "act as a broker of",
            Operation::IdempotentWrite => "write idempotently to",
        }
    }

    /// As rules of the settings write it.
    pub fn word(self) -> &'static str {
        match self {
            Operation::DescribeConfigs => "describe_configs",
            Operation::AlterConfigs => "alter_configs",
            Operation::ClusterAction => "cluster_action",
            Operation::IdempotentWrite => "idempotent_write",
            other => other.name(),
        }
    }

    /// The operation of that word.
    pub fn of_word(word: &str) -> Option<Operation> {
        OPERATIONS.iter().copied().find(|operation| operation.word() == word)
    }
}

/// What something is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    Transaction(&'a str),
    Cluster,
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic {name}"),
            Resource::Group(name) => write!(f, "group {name}"),
            Resource::Transaction(name) => write!(f, "transactional id {name}"),
            Resource::Cluster => write!(f, "the cluster"),
        }
    }
}

/// Users and access rules of a broker.
#[derive(Debug)]
pub(crate) struct Auth {
    pub users: Users,
    pub rules: Rules,
    /// Held while one of them is changed: what is in memory is changed when it is durable.
    changing: tokio::sync::Mutex<()>,
}

impl Auth {
    /// As the settings have them, and as they were changed over the wire. `random` gives salts.
    pub fn new(settings: &Settings, kept: &Kept, random: &dyn host::Random) -> Auth {
        Auth {
            users: Users::new(&settings.users, kept, random),
            rules: Rules::new(&settings.rules, &settings.super_users, kept),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Whether clients have to go through a SASL exchange.
    pub fn wants_sasl(&self) -> bool {
        self.users.are_required()
    }

    /// Whether a client may do that.
    pub fn allows(&self, connection: &Connection, operation: Operation, resource: Resource<'_>) -> bool {
        self.rules.allow(&connection.principal(), connection.peer.ip(), operation, resource)
    }

    /// The right to change users and rules, for one at a time.
    pub async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }
}
